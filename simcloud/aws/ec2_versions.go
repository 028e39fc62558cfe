package aws

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

type createLaunchTemplateVersionInput struct {
	DryRun             bool
	ClientToken        string
	LaunchTemplateId   string
	LaunchTemplateName string
	SourceVersion      string
	VersionDescription string
	LaunchTemplateData templateData `wire:",required"`
	ResolveAlias       ignored
}

type createLaunchTemplateVersionOutput struct {
	LaunchTemplateVersion templateVersionXML `xml:"launchTemplateVersion"`
}

type templateVersionXML struct {
	LaunchTemplateId   string       `xml:"launchTemplateId"`
	LaunchTemplateName string       `xml:"launchTemplateName"`
	VersionNumber      int64        `xml:"versionNumber"`
	VersionDescription *string      `xml:"versionDescription"`
	CreateTime         *stamp       `xml:"createTime"`
	CreatedBy          string       `xml:"createdBy"`
	DefaultVersion     bool         `xml:"defaultVersion"`
	LaunchTemplateData templateData `xml:"launchTemplateData"`
}

func renderVersion(t *launchTemplate, v templateVersion) templateVersionXML {
	return templateVersionXML{
		LaunchTemplateId: t.ID, LaunchTemplateName: t.Name, VersionNumber: v.Number, VersionDescription: optional(v.Description),
		CreateTime: stampOf(v.CreatedAt), CreatedBy: t.CreatedBy, DefaultVersion: v.Number == t.Default, LaunchTemplateData: v.Data,
	}
}

func (c *call) createLaunchTemplateVersion(in *createLaunchTemplateVersionInput) (*createLaunchTemplateVersionOutput, error) {
	record, seen, digest, refusal := c.replay(in.ClientToken, in)
	if refusal != nil {
		return nil, refusal
	}
	t, refusal := c.data.template(in.LaunchTemplateId, in.LaunchTemplateName)
	if refusal != nil {
		return nil, refusal
	}
	if seen {
		if v := t.version(strconv.FormatInt(record.Version, 10)); v != nil {
			return &createLaunchTemplateVersionOutput{renderVersion(t, *v)}, nil
		}
	}
	data := in.LaunchTemplateData
	if in.SourceVersion != "" {
		source := t.version(in.SourceVersion)
		if source == nil {
			return nil, versionNotFound(in.SourceVersion)
		}
		data = data.over(source.Data)
	}
	v := templateVersion{Number: t.latest() + 1, Description: in.VersionDescription, CreatedAt: c.now, Data: data}
	t.Versions = append(t.Versions, v)
	if in.ClientToken != "" {
		c.data.Tokens[c.action+"/"+in.ClientToken] = tokenRecord{Parameters: digest, Resource: t.ID, Version: v.Number}
	}
	return &createLaunchTemplateVersionOutput{renderVersion(t, v)}, nil
}

// over fills what d leaves open from a source version ("any parameters that you
// specify override the same parameters in the source version").
func (d templateData) over(source templateData) templateData {
	d.ImageId = cmp.Or(d.ImageId, source.ImageId)
	d.InstanceType = cmp.Or(d.InstanceType, source.InstanceType)
	d.KeyName = cmp.Or(d.KeyName, source.KeyName)
	d.UserData = cmp.Or(d.UserData, source.UserData)
	if len(d.SecurityGroupIds) == 0 {
		d.SecurityGroupIds = slices.Clone(source.SecurityGroupIds)
	}
	if len(d.TagSpecification) == 0 {
		d.TagSpecification = slices.Clone(source.TagSpecification)
	}
	return d
}

func versionNotFound(version string) *apiError {
	return refuse("InvalidLaunchTemplateId.VersionNotFound", "Could not find launch template version %s.", version)
}

type describeLaunchTemplateVersionsInput struct {
	DryRun                  bool
	LaunchTemplateId        string
	LaunchTemplateName      string
	LaunchTemplateVersion   []string
	MinVersion              string
	MaxVersion              string
	Filter                  refused
	MaxResults              int32
	NextToken               string
	ResolveAlias            ignored
	IncludeManagedResources ignored
}

type describeLaunchTemplateVersionsOutput struct {
	LaunchTemplateVersionSet items[templateVersionXML] `xml:"launchTemplateVersionSet"`
	NextToken                *string                   `xml:"nextToken"`
}

func (c *call) describeLaunchTemplateVersions(in *describeLaunchTemplateVersionsInput) (*describeLaunchTemplateVersionsOutput, error) {
	t, refusal := c.data.template(in.LaunchTemplateId, in.LaunchTemplateName)
	if refusal != nil {
		return nil, refusal
	}
	bounds := [2]int64{1, t.latest()}
	for i, word := range []string{in.MinVersion, in.MaxVersion} {
		if word == "" {
			continue
		}
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return nil, refuse("InvalidParameterValue", "Value (%s) for a version bound is invalid.", word)
		}
		bounds[i] = n
	}
	var found []templateVersionXML
	for _, v := range t.Versions {
		if v.Number >= bounds[0] && v.Number <= bounds[1] {
			found = append(found, renderVersion(t, v))
		}
	}
	if len(in.LaunchTemplateVersion) > 0 {
		found = nil
		for _, word := range in.LaunchTemplateVersion {
			v := t.version(word)
			if v == nil {
				return nil, versionNotFound(word)
			}
			found = append(found, renderVersion(t, *v))
		}
	}
	slices.SortFunc(found, func(a, b templateVersionXML) int { return cmp.Compare(a.VersionNumber, b.VersionNumber) })
	part, next, ok := page(found, func(v templateVersionXML) string { return fmt.Sprintf("%019d", v.VersionNumber) }, in.NextToken, c.size(in.MaxResults))
	if !ok {
		return nil, invalidNextToken(in.NextToken)
	}
	return &describeLaunchTemplateVersionsOutput{setOf(part), optional(next)}, nil
}
