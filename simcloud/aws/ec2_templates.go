package aws

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/slipway-cd/slipway/simcloud"
)

// templateData is LaunchTemplateData as far as the simulator launches from it.
// Its XML form is that of DescribeLaunchTemplateVersions.
type templateData struct {
	ImageId          *string        `xml:"imageId"`
	InstanceType     *string        `xml:"instanceType"`
	KeyName          *string        `xml:"keyName"`
	UserData         *string        `xml:"userData"`
	SecurityGroupIds []string       `wire:"SecurityGroupId" xml:"securityGroupIdSet>item"`
	TagSpecification []templateTags `xml:"tagSpecificationSet>item"`

	BlockDeviceMapping                ignored `xml:"-"`
	CpuOptions                        ignored `xml:"-"`
	CreditSpecification               ignored `xml:"-"`
	DisableApiStop                    ignored `xml:"-"`
	DisableApiTermination             ignored `xml:"-"`
	EbsOptimized                      ignored `xml:"-"`
	EnclaveOptions                    ignored `xml:"-"`
	IamInstanceProfile                ignored `xml:"-"`
	InstanceInitiatedShutdownBehavior ignored `xml:"-"`
	MaintenanceOptions                ignored `xml:"-"`
	MetadataOptions                   ignored `xml:"-"`
	Monitoring                        ignored `xml:"-"`
	NetworkPerformanceOptions         ignored `xml:"-"`
	PrivateDnsNameOptions             ignored `xml:"-"`

	CapacityReservationSpecification refused `xml:"-"`
	ElasticGpuSpecification          refused `xml:"-"`
	ElasticInferenceAccelerator      refused `xml:"-"`
	HibernationOptions               refused `xml:"-"`
	InstanceMarketOptions            refused `xml:"-"`
	InstanceRequirements             refused `xml:"-"`
	KernelId                         refused `xml:"-"`
	LicenseSpecification             refused `xml:"-"`
	NetworkInterface                 refused `xml:"-"`
	Operator                         refused `xml:"-"`
	Placement                        refused `xml:"-"`
	RamDiskId                        refused `xml:"-"`
	SecondaryInterface               refused `xml:"-"`
	SecurityGroup                    refused `xml:"-"`
}

type templateTags struct {
	ResourceType string    `xml:"resourceType"`
	Tag          []ec2Tag1 `xml:"tagSet>item"`
}

// ec2Tag1 is a tag in the EC2 protocol, in both directions.
type ec2Tag1 struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

type createLaunchTemplateInput struct {
	DryRun             bool
	ClientToken        string
	LaunchTemplateName string `wire:",required"`
	VersionDescription string
	LaunchTemplateData templateData `wire:",required"`
	TagSpecification   []templateTags
	Operator           refused
}

type launchTemplateXML struct {
	LaunchTemplateId     string         `xml:"launchTemplateId"`
	LaunchTemplateName   string         `xml:"launchTemplateName"`
	CreateTime           *stamp         `xml:"createTime"`
	CreatedBy            string         `xml:"createdBy"`
	DefaultVersionNumber int64          `xml:"defaultVersionNumber"`
	LatestVersionNumber  int64          `xml:"latestVersionNumber"`
	Tags                 items[ec2Tag1] `xml:"tagSet"`
}

type launchTemplateOutput struct {
	LaunchTemplate launchTemplateXML `xml:"launchTemplate"`
}

func renderTemplate(t *launchTemplate) launchTemplateXML {
	return launchTemplateXML{
		LaunchTemplateId: t.ID, LaunchTemplateName: t.Name, CreateTime: stampOf(t.CreatedAt), CreatedBy: t.CreatedBy,
		DefaultVersionNumber: t.Default, LatestVersionNumber: t.latest(), Tags: setOf(renderTags(t.Tags)),
	}
}

func renderTags(tags []tag) []ec2Tag1 {
	out := make([]ec2Tag1, 0, len(tags))
	for _, t := range tags {
		out = append(out, ec2Tag1(t))
	}
	return out
}

func (t *launchTemplate) latest() int64 { return t.Versions[len(t.Versions)-1].Number }

// version resolves "$Latest", "$Default", "" (= $Default) and numbers.
func (t *launchTemplate) version(word string) *templateVersion {
	number := t.Default
	switch word {
	case "", "$Default":
	case "$Latest":
		number = t.latest()
	default:
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return nil
		}
		number = n
	}
	for i := range t.Versions {
		if t.Versions[i].Number == number {
			return &t.Versions[i]
		}
	}
	return nil
}

// templateName is the pattern of the API reference of CreateLaunchTemplate:
// 3 to 128 of letters, digits and ( ) . / _ -.
var templateName = regexp.MustCompile(`^[a-zA-Z0-9().\-/_]{3,128}$`)

// replay answers a request whose client token was used before: the first
// resource when the parameters are the same, IdempotentParameterMismatch when
// they are not (EC2 API reference, "Ensuring idempotency").
func (c *call) replay(token string, parameters any) (tokenRecord, bool, string, *apiError) {
	text, err := json.Marshal(parameters)
	if err != nil {
		return tokenRecord{}, false, "", asAPIError(err)
	}
	digest := fmt.Sprintf("%x", sha256.Sum256(text))
	if token == "" {
		return tokenRecord{}, false, digest, nil
	}
	record, ok := c.data.Tokens[c.action+"/"+token]
	if ok && record.Parameters != digest {
		return record, true, digest, refuse("IdempotentParameterMismatch",
			"Client token already used before with different parameters.")
	}
	return record, ok, digest, nil
}

func (c *call) createLaunchTemplate(in *createLaunchTemplateInput) (*launchTemplateOutput, error) {
	record, seen, digest, refusal := c.replay(in.ClientToken, in)
	if refusal != nil {
		return nil, refusal
	}
	if t := c.data.Templates[record.Resource]; seen && t != nil {
		return &launchTemplateOutput{renderTemplate(t)}, nil
	}
	if !templateName.MatchString(in.LaunchTemplateName) {
		return nil, refuse("InvalidLaunchTemplateName.MalformedException",
			"A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the following characters: - ( ) . / _.")
	}
	if c.data.templateByName(in.LaunchTemplateName) != nil {
		return nil, refuse("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
	}
	tags, refusal := tagsFor("launch-template", in.TagSpecification)
	if refusal != nil {
		return nil, refusal
	}
	t := &launchTemplate{
		ID: c.cloud.newID("lt-", 17), Name: in.LaunchTemplateName, CreatedAt: c.now, CreatedBy: c.principal.ARN,
		Default: 1, Tags: tags,
		Versions: []templateVersion{{Number: 1, Description: in.VersionDescription, CreatedAt: c.now, Data: in.LaunchTemplateData}},
	}
	c.data.Templates[t.ID] = t
	if in.ClientToken != "" {
		c.data.Tokens[c.action+"/"+in.ClientToken] = tokenRecord{Parameters: digest, Resource: t.ID, Version: 1}
	}
	c.resource(simcloud.ResourceCreated, thing{simcloud.TypeLaunchTemplate, t.ID, t.Name, t.Tags})
	return &launchTemplateOutput{renderTemplate(t)}, nil
}

// tagsFor returns the tags of TagSpecification for the resource being created;
// a specification for another type of resource is refused, as EC2 does.
func tagsFor(resource string, specs []templateTags) ([]tag, *apiError) {
	var tags []tag
	for _, spec := range specs {
		if spec.ResourceType != resource {
			return nil, refuse("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", spec.ResourceType)
		}
		for _, t := range spec.Tag {
			tags = mergeTags(tags, []tag{tag(t)})
		}
	}
	return tags, nil
}

func (d *regionData) templateByName(name string) *launchTemplate {
	for _, t := range d.Templates {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// template finds a launch template by id or name with EC2's errors.
func (d *regionData) template(id, name string) (*launchTemplate, *apiError) {
	switch {
	case id != "" && name != "":
		return nil, refuse("InvalidParameterCombination", "The parameters launchTemplateName and launchTemplateId cannot be used together.")
	case id != "":
		if t := d.Templates[id]; t != nil {
			return t, nil
		}
		return nil, refuse("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", id)
	case name != "":
		if t := d.templateByName(name); t != nil {
			return t, nil
		}
		return nil, refuse("InvalidLaunchTemplateName.NotFoundException", "At least one of the launch templates specified in the request does not exist.")
	default:
		return nil, refuse("MissingParameter", "The request must contain the parameter launchTemplateId or launchTemplateName")
	}
}

type describeLaunchTemplatesInput struct {
	DryRun                  bool
	LaunchTemplateId        []string
	LaunchTemplateName      []string
	Filter                  []filter
	MaxResults              int32
	NextToken               string
	IncludeManagedResources ignored
}

type describeLaunchTemplatesOutput struct {
	LaunchTemplates items[launchTemplateXML] `xml:"launchTemplates"`
	NextToken       *string                  `xml:"nextToken"`
}

func (c *call) describeLaunchTemplates(in *describeLaunchTemplatesInput) (*describeLaunchTemplatesOutput, error) {
	var found []*launchTemplate
	for _, id := range in.LaunchTemplateId {
		t, refusal := c.data.template(id, "")
		if refusal != nil {
			return nil, refusal
		}
		found = append(found, t)
	}
	for _, name := range in.LaunchTemplateName {
		t, refusal := c.data.template("", name)
		if refusal != nil {
			return nil, refusal
		}
		found = append(found, t)
	}
	if len(in.LaunchTemplateId)+len(in.LaunchTemplateName) == 0 {
		found = sorted(c.data.Templates)
	}
	found, refusal := filtered(found, in.Filter, func(t *launchTemplate) attributes {
		return attributes{"launch-template-name": {t.Name}, "create-time": {t.CreatedAt.UTC().Format("2006-01-02T15:04:05.000Z")}}.tagged(t.Tags)
	})
	if refusal != nil {
		return nil, refusal
	}
	slices.SortFunc(found, func(a, b *launchTemplate) int { return cmp.Compare(a.ID, b.ID) })
	part, next, ok := page(slices.Compact(found), func(t *launchTemplate) string { return t.ID }, in.NextToken, c.size(in.MaxResults))
	if !ok {
		return nil, invalidNextToken(in.NextToken)
	}
	return &describeLaunchTemplatesOutput{setOf(mapped(part, renderTemplate)), optional(next)}, nil
}

type deleteLaunchTemplateInput struct {
	DryRun             bool
	LaunchTemplateId   string
	LaunchTemplateName string
}

// deleteLaunchTemplate succeeds while a group uses the template: EC2 documents no
// such check, and the group's next launch fails.
func (c *call) deleteLaunchTemplate(in *deleteLaunchTemplateInput) (*launchTemplateOutput, error) {
	t, refusal := c.data.template(in.LaunchTemplateId, in.LaunchTemplateName)
	if refusal != nil {
		return nil, refusal
	}
	delete(c.data.Templates, t.ID)
	c.resource(simcloud.ResourceDeleted, thing{simcloud.TypeLaunchTemplate, t.ID, t.Name, t.Tags})
	return &launchTemplateOutput{renderTemplate(t)}, nil
}
