package asg

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/aws"
)

// This file turns names of a spec into ids. Each function returns findings for
// what the spec got wrong and an error for what could not be asked.

// image is what an image's name or id resolved to.
type image struct{ id, name string }

// resolveImage finds exactly one available image. Names are looked up among the
// account's own images and those of the configured owners only.
func (t *Target) resolveImage(ctx context.Context, wanted string) (image, []delivery.Finding, error) {
	finding := func(format string, args ...any) []delivery.Finding {
		return []delivery.Finding{{Pointer: "/amiName", Message: fmt.Sprintf(format, args...)}}
	}
	in := &ec2.DescribeImagesInput{}
	byID := strings.HasPrefix(wanted, "ami-")
	if byID {
		in.Filters = []ec2types.Filter{{Name: ptr("image-id"), Values: []string{wanted}}}
	} else {
		in.Owners = append([]string{"self"}, t.options.ImageOwners...)
		in.Filters = []ec2types.Filter{{Name: ptr("name"), Values: []string{literal(wanted)}}}
	}
	var found []ec2types.Image
	for pages := ec2.NewDescribeImagesPaginator(t.compute, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return image{}, nil, aws.Classify(err, "describe image %s", wanted)
		}
		found = append(found, page.Images...)
	}
	if len(found) == 0 {
		return image{}, finding("no image %q in %s", wanted, t.region), nil
	}
	if len(found) > 1 {
		ids := make([]string, len(found))
		for i, f := range found {
			ids[i] = deref(f.ImageId)
		}
		return image{}, finding("%q names %d images (%s); give the id of one", wanted, len(found), strings.Join(ids, ", ")), nil
	}
	if found[0].State != "" && found[0].State != ec2types.ImageStateAvailable {
		return image{}, finding("image %q is %s, not available", wanted, found[0].State), nil
	}
	return image{id: deref(found[0].ImageId), name: deref(found[0].Name)}, nil, nil
}

// literal keeps the wild cards of EC2's filters from meaning anything.
func literal(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`).Replace(s)
}

// resolveSecurityGroups turns names and ids into ids, within one VPC.
func (t *Target) resolveSecurityGroups(ctx context.Context, wanted []string, vpc string) ([]string, []delivery.Finding, error) {
	if len(wanted) == 0 {
		return nil, nil, nil
	}
	in := &ec2.DescribeSecurityGroupsInput{Filters: []ec2types.Filter{{Name: ptr("vpc-id"), Values: []string{vpc}}}}
	var all []ec2types.SecurityGroup
	for pages := ec2.NewDescribeSecurityGroupsPaginator(t.compute, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, nil, aws.Classify(err, "describe security groups")
		}
		all = append(all, page.SecurityGroups...)
	}
	var ids []string
	var findings []delivery.Finding
	for i, name := range wanted {
		at := slices.IndexFunc(all, func(g ec2types.SecurityGroup) bool {
			return deref(g.GroupId) == name || deref(g.GroupName) == name
		})
		if at < 0 {
			findings = append(findings, delivery.Finding{
				Pointer: fmt.Sprintf("/securityGroups/%d", i), Message: fmt.Sprintf("no security group %q in %s", name, vpc),
			})
			continue
		}
		ids = append(ids, deref(all[at].GroupId))
	}
	return ids, findings, nil
}

// resolveSubnets returns the VPC's subnets for the spec's zones.
func (t *Target) resolveSubnets(ctx context.Context, s settings, vpc string) ([]string, []delivery.Finding, error) {
	all, err := t.subnets(ctx, vpc)
	if err != nil {
		return nil, nil, err
	}
	fitting := slices.DeleteFunc(slices.Clone(all), func(n ec2types.Subnet) bool {
		return s.SubnetType != "" && !serves(n, s.SubnetType)
	})
	if len(fitting) == 0 && s.SubnetType != "" {
		return nil, []delivery.Finding{{
			Pointer: "/subnetType", Message: fmt.Sprintf("no subnet of type %q in %s", s.SubnetType, t.region),
		}}, nil
	}
	zones := s.AvailabilityZones[t.region]
	pointer := "/availabilityZones/" + delivery.PointerToken(t.region)
	var ids []string
	var findings []delivery.Finding
	for i, zone := range zones {
		if !slices.ContainsFunc(fitting, func(n ec2types.Subnet) bool { return deref(n.AvailabilityZone) == zone }) {
			findings = append(findings, delivery.Finding{
				Pointer: fmt.Sprintf("%s/%d", pointer, i), Message: fmt.Sprintf("no fitting subnet in zone %q", zone),
			})
		}
	}
	for _, n := range fitting {
		if len(zones) == 0 || slices.Contains(zones, deref(n.AvailabilityZone)) {
			ids = append(ids, deref(n.SubnetId))
		}
	}
	if len(ids) == 0 && len(findings) == 0 {
		findings = append(findings, delivery.Finding{Pointer: pointer, Message: "no fitting subnet in any zone"})
	}
	slices.Sort(ids)
	return ids, findings, nil
}

// network returns the VPC of a spec that names no load balancer: that of its
// subnet type's subnets, else the default VPC. Security groups are looked up in
// it; those of another VPC of the same name would be refused at launch.
func (t *Target) network(ctx context.Context, s settings) (string, []delivery.Finding, error) {
	if s.SubnetType == "" {
		answer, err := t.compute.describeVPCs(ctx, &ec2.DescribeVpcsInput{
			Filters: []ec2types.Filter{{Name: ptr("is-default"), Values: []string{"true"}}},
		})
		if err != nil {
			return "", nil, aws.Classify(err, "describe the default VPC")
		}
		if len(answer.Vpcs) == 0 {
			return "", []delivery.Finding{{Pointer: "/subnetType", Message: "is missing, and " + t.region + " has no default VPC"}}, nil
		}
		return deref(answer.Vpcs[0].VpcId), nil, nil
	}
	all, err := t.subnets(ctx, "")
	if err != nil {
		return "", nil, err
	}
	var networks []string
	for _, n := range all {
		if vpc := deref(n.VpcId); serves(n, s.SubnetType) && !slices.Contains(networks, vpc) {
			networks = append(networks, vpc)
		}
	}
	switch len(networks) {
	case 0:
		return "", []delivery.Finding{{Pointer: "/subnetType", Message: fmt.Sprintf("no subnet of type %q in %s", s.SubnetType, t.region)}}, nil
	case 1:
		return networks[0], nil, nil
	default:
		return "", []delivery.Finding{{Pointer: "/subnetType", Message: fmt.Sprintf("subnets of type %q are in %d VPCs (%s); say which, as \"%s (name of the VPC)\"",
			s.SubnetType, len(networks), strings.Join(networks, ", "), s.SubnetType)}}, nil
	}
}

// subnets returns those of a VPC, or all when vpc is empty.
func (t *Target) subnets(ctx context.Context, vpc string) ([]ec2types.Subnet, error) {
	in := &ec2.DescribeSubnetsInput{}
	if vpc != "" {
		in.Filters = []ec2types.Filter{{Name: ptr("vpc-id"), Values: []string{vpc}}}
	}
	var out []ec2types.Subnet
	for pages := ec2.NewDescribeSubnetsPaginator(t.compute, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, aws.Classify(err, "describe subnets")
		}
		out = append(out, page.Subnets...)
	}
	return out, nil
}

// serves reports whether the subnet is of the type, as Spinnaker reads it: the
// "purpose" in the JSON of the tag immutable_metadata, else the Name tag
// "vpc.purpose.zone" as "purpose (vpc)". The purpose alone is accepted too.
func serves(n ec2types.Subnet, subnetType string) bool {
	tags := map[string]string{}
	for _, tag := range n.Tags {
		tags[deref(tag.Key)] = deref(tag.Value)
	}
	if raw := tags["immutable_metadata"]; raw != "" {
		var metadata struct {
			Purpose string `json:"purpose"`
		}
		if err := json.Unmarshal([]byte(raw), &metadata); err == nil && metadata.Purpose == subnetType {
			return true
		}
	}
	parts := strings.Split(tags[tagName], ".")
	if len(parts) >= 3 && (parts[1] == subnetType || fmt.Sprintf("%s (%s)", parts[1], parts[0]) == subnetType) {
		return true
	}
	return tags[tagName] == subnetType
}
