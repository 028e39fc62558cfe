package aws

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/slipway-cd/slipway/simcloud"
)

type describeVpcsInput struct {
	DryRun     bool
	VpcId      []string
	Filter     []filter
	MaxResults int32
	NextToken  string
}

type vpcXML struct {
	VpcId     string         `xml:"vpcId"`
	State     string         `xml:"state"`
	CidrBlock string         `xml:"cidrBlock"`
	IsDefault bool           `xml:"isDefault"`
	OwnerId   string         `xml:"ownerId"`
	Tags      items[ec2Tag1] `xml:"tagSet"`
}

type describeVpcsOutput struct {
	Vpcs      items[vpcXML] `xml:"vpcSet"`
	NextToken *string       `xml:"nextToken"`
}

func (c *call) describeVpcs(in *describeVpcsInput) (*describeVpcsOutput, error) {
	found, refusal := pick(c.data.VPCs, in.VpcId, func(id string) *apiError {
		return refuse("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", id)
	})
	if refusal != nil {
		return nil, refusal
	}
	found, refusal = filtered(found, in.Filter, func(v *vpc) attributes {
		return attributes{"vpc-id": {v.ID}, "cidr": {v.CIDR}, "is-default": {strconv.FormatBool(v.Default)}, "state": {"available"}}.tagged(v.Tags)
	})
	if refusal != nil {
		return nil, refusal
	}
	part, next, ok := page(found, func(v *vpc) string { return v.ID }, in.NextToken, c.sizeUnless(in.VpcId, in.MaxResults))
	if !ok {
		return nil, invalidNextToken(in.NextToken)
	}
	return &describeVpcsOutput{setOf(mapped(part, func(v *vpc) vpcXML {
		return vpcXML{v.ID, "available", v.CIDR, v.Default, c.account.ID, setOf(renderTags(v.Tags))}
	})), optional(next)}, nil
}

// pick returns the resources with the given ids, or all when there are none, in
// the order of their ids.
func pick[T any](all map[string]T, ids []string, missing func(string) *apiError) ([]T, *apiError) {
	if len(ids) == 0 {
		return sorted(all), nil
	}
	ids = slices.Clone(ids)
	slices.Sort(ids)
	var found []T
	for _, id := range slices.Compact(ids) {
		v, ok := all[id]
		if !ok {
			return nil, missing(id)
		}
		found = append(found, v)
	}
	return found, nil
}

type describeSubnetsInput struct {
	DryRun     bool
	SubnetId   []string
	Filter     []filter
	MaxResults int32
	NextToken  string
}

type subnetXML struct {
	SubnetId                string         `xml:"subnetId"`
	SubnetArn               string         `xml:"subnetArn"`
	State                   string         `xml:"state"`
	VpcId                   string         `xml:"vpcId"`
	CidrBlock               string         `xml:"cidrBlock"`
	AvailabilityZone        string         `xml:"availabilityZone"`
	AvailableIpAddressCount int            `xml:"availableIpAddressCount"`
	OwnerId                 string         `xml:"ownerId"`
	Tags                    items[ec2Tag1] `xml:"tagSet"`
}

type describeSubnetsOutput struct {
	Subnets   items[subnetXML] `xml:"subnetSet"`
	NextToken *string          `xml:"nextToken"`
}

func (c *call) describeSubnets(in *describeSubnetsInput) (*describeSubnetsOutput, error) {
	found, refusal := pick(c.data.Subnets, in.SubnetId, func(id string) *apiError {
		return refuse("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id)
	})
	if refusal != nil {
		return nil, refusal
	}
	found, refusal = filtered(found, in.Filter, func(s *subnet) attributes {
		return attributes{
			"subnet-id": {s.ID}, "vpc-id": {s.VPC}, "state": {"available"}, "cidr-block": {s.CIDR},
			"availability-zone": {s.Zone}, "availabilityZone": {s.Zone},
		}.tagged(s.Tags)
	})
	if refusal != nil {
		return nil, refusal
	}
	part, next, ok := page(found, func(s *subnet) string { return s.ID }, in.NextToken, c.sizeUnless(in.SubnetId, in.MaxResults))
	if !ok {
		return nil, invalidNextToken(in.NextToken)
	}
	return &describeSubnetsOutput{setOf(mapped(part, func(s *subnet) subnetXML {
		return subnetXML{
			SubnetId: s.ID, SubnetArn: c.arn("ec2", "subnet/"+s.ID), State: "available", VpcId: s.VPC, CidrBlock: s.CIDR,
			AvailabilityZone: s.Zone, AvailableIpAddressCount: 4091, OwnerId: c.account.ID, Tags: setOf(renderTags(s.Tags)),
		}
	})), optional(next)}, nil
}

type describeSecurityGroupsInput struct {
	DryRun     bool
	GroupId    []string
	GroupName  []string
	Filter     []filter
	MaxResults int32
	NextToken  string
}

type securityGroupXML struct {
	OwnerId          string         `xml:"ownerId"`
	GroupId          string         `xml:"groupId"`
	GroupName        string         `xml:"groupName"`
	GroupDescription string         `xml:"groupDescription"`
	VpcId            string         `xml:"vpcId"`
	Tags             items[ec2Tag1] `xml:"tagSet"`
}

type describeSecurityGroupsOutput struct {
	SecurityGroups items[securityGroupXML] `xml:"securityGroupInfo"`
	NextToken      *string                 `xml:"nextToken"`
}

func (c *call) describeSecurityGroups(in *describeSecurityGroupsInput) (*describeSecurityGroupsOutput, error) {
	found, refusal := pick(c.data.SecurityGroups, in.GroupId, func(id string) *apiError {
		return refuse("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
	})
	if refusal != nil {
		return nil, refusal
	}
	for _, name := range in.GroupName {
		if !slices.ContainsFunc(found, func(g *securityGroup) bool { return g.Name == name }) {
			return nil, refuse("InvalidGroup.NotFound", "The security group '%s' does not exist", name)
		}
	}
	if len(in.GroupName) > 0 {
		found = slices.DeleteFunc(found, func(g *securityGroup) bool { return !slices.Contains(in.GroupName, g.Name) })
	}
	found, refusal = filtered(found, in.Filter, func(g *securityGroup) attributes {
		return attributes{"group-id": {g.ID}, "group-name": {g.Name}, "vpc-id": {g.VPC}}.tagged(g.Tags)
	})
	if refusal != nil {
		return nil, refusal
	}
	part, next, ok := page(found, func(g *securityGroup) string { return g.ID }, in.NextToken,
		c.sizeUnless(append(in.GroupId, in.GroupName...), in.MaxResults))
	if !ok {
		return nil, invalidNextToken(in.NextToken)
	}
	return &describeSecurityGroupsOutput{setOf(mapped(part, func(g *securityGroup) securityGroupXML {
		return securityGroupXML{c.account.ID, g.ID, g.Name, g.Name, g.VPC, setOf(renderTags(g.Tags))}
	})), optional(next)}, nil
}

type describeImagesInput struct {
	DryRun            bool
	ImageId           []string
	Owner             []string
	Filter            []filter
	MaxResults        int32
	NextToken         string
	ExecutableBy      ignored
	IncludeDeprecated ignored
	IncludeDisabled   ignored
}

type imageXML struct {
	ImageId            string         `xml:"imageId"`
	ImageLocation      string         `xml:"imageLocation"`
	ImageState         string         `xml:"imageState"`
	ImageOwnerId       string         `xml:"imageOwnerId"`
	IsPublic           bool           `xml:"isPublic"`
	Architecture       string         `xml:"architecture"`
	ImageType          string         `xml:"imageType"`
	Name               string         `xml:"name"`
	RootDeviceType     string         `xml:"rootDeviceType"`
	VirtualizationType string         `xml:"virtualizationType"`
	CreationDate       *stamp         `xml:"creationDate"`
	Tags               items[ec2Tag1] `xml:"tagSet"`
}

type describeImagesOutput struct {
	Images    items[imageXML] `xml:"imagesSet"`
	NextToken *string         `xml:"nextToken"`
}

// describeImages knows every image of the world as owned by the asking account
// and present in each region.
func (c *call) describeImages(in *describeImagesInput) (*describeImagesOutput, error) {
	if slices.ContainsFunc(in.Owner, func(o string) bool { return o != "self" && o != c.account.ID }) &&
		!slices.Contains(in.Owner, "self") && !slices.Contains(in.Owner, c.account.ID) {
		return &describeImagesOutput{}, nil
	}
	all := map[string]simcloud.Image{}
	for _, image := range c.region.images() {
		all[image.ID] = image
	}
	found, refusal := pick(all, in.ImageId, func(id string) *apiError {
		return refuse("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
	})
	if refusal != nil {
		return nil, refusal
	}
	found, refusal = filtered(found, in.Filter, func(i simcloud.Image) attributes {
		return attributes{
			"image-id": {i.ID}, "name": {i.Name}, "state": {"available"}, "owner-id": {c.account.ID}, "is-public": {"false"},
			"architecture": {"x86_64"}, "virtualization-type": {"hvm"}, "root-device-type": {"ebs"}, "image-type": {"machine"},
		}.tagged(nil)
	})
	if refusal != nil {
		return nil, refusal
	}
	slices.SortFunc(found, func(a, b simcloud.Image) int { return cmp.Compare(a.ID, b.ID) })
	part, next, ok := page(found, func(i simcloud.Image) string { return i.ID }, in.NextToken, c.sizeUnless(in.ImageId, in.MaxResults))
	if !ok {
		return nil, invalidNextToken(in.NextToken)
	}
	return &describeImagesOutput{setOf(mapped(part, func(i simcloud.Image) imageXML {
		return imageXML{
			ImageId: i.ID, ImageLocation: c.account.ID + "/" + i.Name, ImageState: "available", ImageOwnerId: c.account.ID,
			Architecture: "x86_64", ImageType: "machine", Name: i.Name, RootDeviceType: "ebs", VirtualizationType: "hvm",
			CreationDate: stampOf(c.cloud.started),
		}
	})), optional(next)}, nil
}
