package asg

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/aws"
)

// source is a server group that another one is made like. What it holds, its user
// data above all, goes into requests to AWS and nowhere else.
type source struct {
	group *astypes.AutoScalingGroup
	data  *ec2types.RequestLaunchTemplateData
	// targetGroup is nil for a group behind no load balancer.
	targetGroup *elbtypes.TargetGroup
}

// source reads the named server group; nil without a name. Findings tell why it
// cannot be copied.
func (t *Target) source(ctx context.Context, name string) (*source, []delivery.Finding, error) {
	if name == "" {
		return nil, nil, nil
	}
	group, err := t.group(ctx, name)
	switch {
	case err != nil:
		return nil, nil, err
	case group == nil:
		return nil, finding(delivery.AtSource, "no Auto Scaling group %q in %s", name, t.region), nil
	case group.Status != nil:
		return nil, finding(delivery.AtSource, "Auto Scaling group %s is being deleted", name), nil
	case group.LaunchTemplate == nil || group.LaunchTemplate.LaunchTemplateId == nil:
		return nil, finding(delivery.AtSource, "Auto Scaling group %s has a launch configuration or a mix of instance types; only one with a launch template can be copied", name), nil
	}
	s := &source{group: group}
	var findings []delivery.Finding
	if s.data, findings, err = t.launchData(ctx, group); err != nil || len(findings) > 0 {
		return nil, findings, err
	}
	if len(group.TargetGroupARNs) == 0 {
		return s, nil, nil
	}
	found, err := t.targetGroupsByARN(ctx, group.TargetGroupARNs[:1])
	if err != nil {
		return nil, nil, err
	}
	if len(found) > 0 {
		s.targetGroup = &found[0]
	}
	return s, nil, nil
}

// launchData reads what a group launches its instances from.
func (t *Target) launchData(ctx context.Context, group *astypes.AutoScalingGroup) (*ec2types.RequestLaunchTemplateData, []delivery.Finding, error) {
	name := deref(group.AutoScalingGroupName)
	answer, err := t.compute.describeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{
		LaunchTemplateId: group.LaunchTemplate.LaunchTemplateId, Versions: []string{cmp.Or(deref(group.LaunchTemplate.Version), "$Default")},
		ResolveAlias: ptr(true), // the image that an SSM parameter names now
	})
	err = aws.Classify(err, "describe launch template of %s", name)
	if delivery.KindOf(err) == delivery.NotFound {
		return nil, finding(delivery.AtSource, "the launch template of %s is gone", name), nil
	}
	if err != nil {
		return nil, nil, err
	}
	if len(answer.LaunchTemplateVersions) == 0 || answer.LaunchTemplateVersions[0].LaunchTemplateData == nil {
		return nil, finding(delivery.AtSource, "the launch template of %s holds nothing", name), nil
	}
	data, err := requestOf(answer.LaunchTemplateVersions[0].LaunchTemplateData)
	return data, nil, err
}

// requestOf makes the launch template data of an answer that of a request. EC2 has
// two sets of types for it, with the same names of fields; what an answer alone
// has is EC2's own to say.
func requestOf(answered *ec2types.ResponseLaunchTemplateData) (*ec2types.RequestLaunchTemplateData, error) {
	out := &ec2types.RequestLaunchTemplateData{}
	text, err := json.Marshal(answered)
	if err == nil {
		err = json.Unmarshal(text, out)
	}
	if err != nil {
		return nil, fmt.Errorf("copy launch template data: %w", err)
	}
	out.Operator = nil // which service of AWS manages it
	return out, nil
}

// template is what a new launch template begins with.
func (s *source) template() *ec2types.RequestLaunchTemplateData {
	if s == nil {
		return &ec2types.RequestLaunchTemplateData{}
	}
	copied := *s.data
	copied.NetworkInterfaces = slices.Clone(s.data.NetworkInterfaces)
	return &copied
}

// setSecurity gives instances their security groups, if any are given. Where there
// is a network interface they are its, and EC2 takes no others.
func setSecurity(data *ec2types.RequestLaunchTemplateData, ids []string) {
	switch {
	case len(ids) == 0:
	case len(data.NetworkInterfaces) > 0:
		data.NetworkInterfaces[0].Groups = ids
	default:
		data.SecurityGroupIds, data.SecurityGroups = ids, nil
	}
}

// fill gives a group what the source has and no spec can say otherwise, and what a
// spec may.
func (s *source) fill(in *autoscaling.CreateAutoScalingGroupInput) {
	if s == nil {
		return
	}
	g := s.group
	in.HealthCheckType, in.HealthCheckGracePeriod = g.HealthCheckType, g.HealthCheckGracePeriod
	in.DefaultCooldown, in.TerminationPolicies = g.DefaultCooldown, g.TerminationPolicies
	in.DefaultInstanceWarmup, in.MaxInstanceLifetime = g.DefaultInstanceWarmup, g.MaxInstanceLifetime
	in.NewInstancesProtectedFromScaleIn, in.CapacityRebalance = g.NewInstancesProtectedFromScaleIn, g.CapacityRebalance
	in.InstanceMaintenancePolicy, in.AvailabilityZoneDistribution = g.InstanceMaintenancePolicy, g.AvailabilityZoneDistribution
	in.AvailabilityZoneImpairmentPolicy, in.PlacementGroup = g.AvailabilityZoneImpairmentPolicy, g.PlacementGroup
	in.ServiceLinkedRoleARN = g.ServiceLinkedRoleARN
}

// tags are the source's, without those that say what it is and whose.
func (s *source) tags() map[string]string {
	out := map[string]string{}
	if s == nil {
		return out
	}
	for key, value := range groupTags(s.group) {
		if !strings.HasPrefix(key, tagPrefix) && !strings.HasPrefix(strings.ToLower(key), "aws:") {
			out[key] = value
		}
	}
	return out
}

// keepsToItself reports whether the source's instances do not get the tag.
func (s *source) keepsToItself(key string) bool {
	return s != nil && slices.ContainsFunc(s.group.Tags, func(t astypes.TagDescription) bool {
		return deref(t.Key) == key && !deref(t.PropagateAtLaunch) && !strings.HasPrefix(key, tagPrefix)
	})
}

// subnets are the ids of the source's.
func (s *source) subnets() []string {
	ids := strings.Split(deref(s.group.VPCZoneIdentifier), ",")
	for i := range ids {
		ids[i] = strings.TrimSpace(ids[i])
	}
	slices.Sort(ids)
	return ids
}

// imageOfSpec finds the image that the spec names, else the source's.
func (t *Target) imageOfSpec(ctx context.Context, s settings, from *source) (image, []delivery.Finding, error) {
	if s.AMIName != "" || from == nil {
		return t.resolveImage(ctx, s.AMIName)
	}
	id := deref(from.data.ImageId)
	if !strings.HasPrefix(id, "ami-") {
		return image{}, finding(delivery.AtSource, "the launch template of %s names no image by its id; name one in amiName", s.from), nil
	}
	img, findings, err := t.resolveImage(ctx, id)
	for i := range findings {
		findings[i].Pointer = delivery.AtSource
	}
	return img, findings, err
}

// networkOf returns the VPC of a spec that names no load balancer: the source's
// unless the spec says which subnets.
func (t *Target) networkOf(ctx context.Context, s settings, from *source) (string, []delivery.Finding, error) {
	if from == nil || s.SubnetType != "" {
		return t.network(ctx, s)
	}
	vpc, err := t.vpcOf(ctx, from)
	if err != nil || vpc != "" {
		return vpc, nil, err
	}
	return "", finding(delivery.AtSource, "the subnets of %s are gone", s.from), nil
}

// vpcOf is the VPC of the source's subnets; empty when they are gone.
func (t *Target) vpcOf(ctx context.Context, from *source) (string, error) {
	all, err := t.subnets(ctx, "")
	for _, n := range all {
		if slices.Contains(from.subnets(), deref(n.SubnetId)) {
			return deref(n.VpcId), err
		}
	}
	return "", err
}

// subnetsOf returns the subnets that the spec means within the VPC, else the source's.
func (t *Target) subnetsOf(ctx context.Context, s settings, from *source, vpc string) ([]string, []delivery.Finding, error) {
	if from == nil || s.SubnetType != "" || len(s.AvailabilityZones) > 0 {
		return t.resolveSubnets(ctx, s, vpc)
	}
	is, err := t.vpcOf(ctx, from)
	if err != nil {
		return nil, nil, err
	}
	if is != vpc {
		return nil, finding(delivery.AtSource, "the subnets of %s are not in %s, the VPC of the load balancer; say which in availabilityZones", s.from, vpc), nil
	}
	return from.subnets(), nil, nil
}

// attributes returns those of a target group.
func (t *Target) attributes(ctx context.Context, targetGroup string) (map[string]string, error) {
	stored, err := t.balance.DescribeTargetGroupAttributes(ctx, &elb.DescribeTargetGroupAttributesInput{TargetGroupArn: ptr(targetGroup)})
	if err != nil {
		return nil, aws.Classify(err, "describe attributes of target group %s", nameOfTargetGroup(targetGroup))
	}
	out := make(map[string]string, len(stored.Attributes))
	for _, a := range stored.Attributes {
		out[deref(a.Key)] = deref(a.Value)
	}
	return out, nil
}

// sourceAttributes are those of the source's target group; none without one.
func (n *creation) sourceAttributes(ctx context.Context) (map[string]string, error) {
	if n.source == nil || n.source.targetGroup == nil {
		return map[string]string{}, nil
	}
	return n.attributes(ctx, deref(n.source.targetGroup.TargetGroupArn))
}
