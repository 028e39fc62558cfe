package asg_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/slipway-cd/slipway/delivery"
)

// TestNewGroupCopiesTheServingOne: port and health check come from the target
// group that serves now.
func TestNewGroupCopiesTheServingOne(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.apply(t, c.create(shop.ServerGroup(1), "shop-1.1", 0))
	second := c.create(shop.ServerGroup(2), "shop-1.1", 0)
	spec := *second.Spec
	for _, field := range []string{"healthCheckPath", "healthCheckInterval", "healthCheckTimeout", "healthyThreshold", "unhealthyThreshold"} {
		spec = with(t, spec, field, "")
	}
	spec = with(t, spec, "port", "8081")
	second.Spec = &spec
	c.apply(t, second)
	var got []string
	for _, g := range must(c.balance.DescribeTargetGroups(t.Context(), &elb.DescribeTargetGroupsInput{PageSize: sdk.Int32(50)})).TargetGroups {
		got = append(got, fmt.Sprintf("%d %s %d %d", *g.Port, *g.HealthCheckPath, *g.HealthCheckIntervalSeconds, *g.HealthyThresholdCount))
	}
	if len(got) != 2 || got[0] == got[1] || !strings.HasSuffix(got[0], " /healthz 5 2") || !strings.HasSuffix(got[1], " /healthz 5 2") {
		t.Errorf("target groups %q", got)
	}
}

// TestBorrowedTags: a group of another cluster that wears the cluster's tag is
// not of the cluster, and one that is named as ours and lacks the tags is not ours.
func TestBorrowedTags(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.Plant(t, "shop-test-extra-v001")
	must(c.groups.CreateOrUpdateTags(t.Context(), &autoscaling.CreateOrUpdateTagsInput{Tags: []astypes.Tag{{
		ResourceId: sdk.String("shop-test-extra-v001"), ResourceType: sdk.String("auto-scaling-group"),
		Key: sdk.String("slipway:cluster"), Value: sdk.String("shop-test"), PropagateAtLaunch: sdk.Bool(false),
	}}}))
	if seen := c.observe(t, ""); len(seen.Groups) != 0 {
		t.Errorf("groups of the cluster: %+v", seen.Groups)
	}
	bare := shop.ServerGroup(9)
	must(c.groups.CreateAutoScalingGroup(t.Context(), &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: sdk.String(bare), MinSize: sdk.Int32(0), MaxSize: sdk.Int32(0),
		VPCZoneIdentifier: sdk.String(c.seeded.Subnets["us-east-1a"]), LaunchTemplate: launchTemplate("shop-test-extra-v001"),
	}))
	destroy := delivery.Change{Key: "destroy", Kind: delivery.DestroyGroup, Cluster: c.Cluster(shop), Group: bare}
	if _, err := c.target.Apply(t.Context(), destroy); delivery.KindOf(err) != delivery.Guarded {
		t.Errorf("destroy of a group without tags: %v", err)
	}
}

// TestPieces looks at what AWS stores of a group that was made from a spec.
func TestPieces(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	change := c.create(shop.ServerGroup(1), "shop-1.1", 0)
	spec := with(t, *change.Spec, "securityGroups", fmt.Sprintf(`["web",%q]`, c.seeded.SecurityGroups["admin"]))
	spec = with(t, spec, "tags", `{"team":"shop"}`)
	change.Spec = &spec
	c.apply(t, change)

	group := must(c.groups.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{})).AutoScalingGroups[0]
	if *group.HealthCheckType != "ELB" || *group.HealthCheckGracePeriod != 20 || *group.LaunchTemplate.Version != "1" || len(group.TargetGroupARNs) != 1 {
		t.Errorf("Auto Scaling group %+v", group)
	}
	subnets := strings.Split(*group.VPCZoneIdentifier, ",")
	want := []string{c.seeded.Subnets["us-east-1a"], c.seeded.Subnets["us-east-1b"]}
	slices.Sort(want)
	if !slices.Equal(subnets, want) {
		t.Errorf("subnets %v; want those of the two zones %v", subnets, want)
	}
	tags := map[string]string{}
	for _, tag := range group.Tags {
		tags[*tag.Key] = *tag.Value
		if !*tag.PropagateAtLaunch {
			t.Errorf("tag %s is not propagated", *tag.Key)
		}
	}
	for key, value := range map[string]string{
		"slipway:application": "shop", "slipway:cluster": "shop-test", "slipway:server-group": change.Group, "slipway:deployment": "01TEST/1",
		"slipway:change": strings.ReplaceAll(string(change.Key), "#", "@"), "slipway:image": "shop-1.1", "Name": change.Group, "team": "shop",
	} {
		if tags[key] != value {
			t.Errorf("tag %s is %q; want %q", key, tags[key], value)
		}
	}
	attributes := must(c.balance.DescribeTargetGroupAttributes(t.Context(), &elb.DescribeTargetGroupAttributesInput{TargetGroupArn: sdk.String(group.TargetGroupARNs[0])}))
	if !slices.ContainsFunc(attributes.Attributes, func(a elbtypes.TargetGroupAttribute) bool {
		return *a.Key == "deregistration_delay.timeout_seconds" && *a.Value == "5"
	}) {
		t.Error("the deregistration delay was not written")
	}
	data := must(c.compute.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: sdk.String(change.Group)})).LaunchTemplateVersions[0].LaunchTemplateData
	if want := []string{c.seeded.SecurityGroups["web"], c.seeded.SecurityGroups["admin"]}; !slices.Equal(data.SecurityGroupIds, want) || data.InstanceType != "t3.small" {
		t.Errorf("launch template %+v", data)
	}
}
