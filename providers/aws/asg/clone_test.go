package asg_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
)

// like makes a creation of a group like another one; settings is the cluster object.
func (c *cloud) like(group, from, settings string) delivery.Change {
	out := c.create(group, "", 1)
	out.Spec.From, out.Spec.Settings = from, json.RawMessage(settings)
	return out
}

func (c *cloud) groupOf(t *testing.T, name string) astypes.AutoScalingGroup {
	t.Helper()
	return must(c.groups.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{name}})).AutoScalingGroups[0]
}

func (c *cloud) launches(t *testing.T, name string) ec2types.ResponseLaunchTemplateData {
	t.Helper()
	return *must(c.compute.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{
		LaunchTemplateName: sdk.String(name), Versions: []string{"$Latest"},
	})).LaunchTemplateVersions[0].LaunchTemplateData
}

// TestCloneCopiesEverything copies a group that others made by hand, and overrides
// what the second copy says.
func TestCloneCopiesEverything(t *testing.T) {
	c := newCloud(t)
	c.Plant(t, "shop-test-v007")
	must(c.compute.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateName: sdk.String("shop-test-v007"), SourceVersion: sdk.String("1"),
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{UserData: sdk.String("c2VjcmV0"), KeyName: sdk.String("ops"), SecurityGroupIds: []string{c.seeded.SecurityGroups["db"]}},
	}))
	must(c.groups.UpdateAutoScalingGroup(t.Context(), &autoscaling.UpdateAutoScalingGroupInput{
		AutoScalingGroupName: sdk.String("shop-test-v007"), HealthCheckGracePeriod: sdk.Int32(77), DefaultCooldown: sdk.Int32(33),
		LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateName: sdk.String("shop-test-v007"), Version: sdk.String("2")},
	}))
	must(c.groups.CreateOrUpdateTags(t.Context(), &autoscaling.CreateOrUpdateTagsInput{Tags: []astypes.Tag{
		{ResourceId: sdk.String("shop-test-v007"), ResourceType: sdk.String("auto-scaling-group"), Key: sdk.String("team"), Value: sdk.String("payments"), PropagateAtLaunch: sdk.Bool(false)},
	}}))
	c.apply(t, c.like("shop-test-v008", "shop-test-v007", `{}`))
	c.apply(t, c.like("shop-test-v009", "shop-test-v007", `{"instanceType":"t3.large","keyPair":"dev","securityGroups":["web"],"base64UserData":"aGVsbG8=",
		"healthCheckGracePeriod":11,"cooldown":22,"subnetType":"","availabilityZones":{"us-east-1":["us-east-1b"]},"tags":{"team":"search"}}`))

	source, copied := c.launches(t, "shop-test-v007"), c.launches(t, "shop-test-v008")
	if diff := cmp.Diff(source, copied, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
		t.Errorf("launch template (-source +copy):\n%s", diff)
	}
	from, like := c.groupOf(t, "shop-test-v007"), c.groupOf(t, "shop-test-v008")
	if *like.HealthCheckGracePeriod != 77 || *like.DefaultCooldown != 33 || *like.HealthCheckType != *from.HealthCheckType || *like.VPCZoneIdentifier != *from.VPCZoneIdentifier {
		t.Errorf("copy %+v of %+v", like, from)
	}
	if !slices.ContainsFunc(like.Tags, func(x astypes.TagDescription) bool {
		return *x.Key == "team" && *x.Value == "payments" && !*x.PropagateAtLaunch
	}) {
		t.Errorf("tags of the copy: %+v", like.Tags)
	}

	data, other := c.launches(t, "shop-test-v009"), c.groupOf(t, "shop-test-v009")
	if data.InstanceType != "t3.large" || *data.KeyName != "dev" || *data.UserData != "aGVsbG8=" || !slices.Equal(data.SecurityGroupIds, []string{c.seeded.SecurityGroups["web"]}) ||
		*data.ImageId != *source.ImageId {
		t.Errorf("overridden launch template %+v", data)
	}
	if *other.HealthCheckGracePeriod != 11 || *other.DefaultCooldown != 22 || *other.VPCZoneIdentifier != c.seeded.Subnets["us-east-1b"] {
		t.Errorf("overridden group %+v", other)
	}
}

// TestCloneCopiesTheTargetGroup takes port, health check and attributes from the
// source, not from the group that serves.
func TestCloneCopiesTheTargetGroup(t *testing.T) {
	c := newCloud(t)
	odd := c.create("shop-test-v001", "shop-1.1", 1)
	spec := with(t, with(t, *odd.Spec, "healthCheckInterval", "17"), "port", "8080")
	odd.Spec = &spec
	c.apply(t, odd)
	c.apply(t, c.create("shop-test-v002", "shop-1.1", 1))
	count := "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count"
	must(c.balance.ModifyTargetGroupAttributes(t.Context(), &elb.ModifyTargetGroupAttributesInput{
		TargetGroupArn: sdk.String(c.groupOf(t, "shop-test-v001").TargetGroupARNs[0]),
		Attributes:     []elbtypes.TargetGroupAttribute{{Key: sdk.String(count), Value: sdk.String("2")}},
	}))
	c.apply(t, c.like("shop-test-v003", "shop-test-v001", `{}`))
	arn := c.groupOf(t, "shop-test-v003").TargetGroupARNs[0]
	got := must(c.balance.DescribeTargetGroups(t.Context(), &elb.DescribeTargetGroupsInput{TargetGroupArns: []string{arn}})).TargetGroups[0]
	if *got.Port != 8080 || *got.HealthCheckIntervalSeconds != 17 || *got.HealthCheckPath != "/healthz" {
		t.Errorf("target group of the copy: %+v", got)
	}
	attributes := must(c.balance.DescribeTargetGroupAttributes(t.Context(), &elb.DescribeTargetGroupAttributesInput{TargetGroupArn: sdk.String(arn)})).Attributes
	if !slices.ContainsFunc(attributes, func(a elbtypes.TargetGroupAttribute) bool { return *a.Key == count && *a.Value == "2" }) {
		t.Errorf("attributes of the copy: %+v", attributes)
	}
}

// TestLaunchDataHasOneShape walks the two sets of types that EC2 has for launch
// template data: what an answer has a request takes, but for what is EC2's own.
func TestLaunchDataHasOneShape(t *testing.T) {
	ours := []string{
		".MetadataOptions.State",                         // whether the options have been applied
		".NetworkInterfaces.Ipv6Addresses.IsPrimaryIpv6", // of one instance
		".Operator.HiddenByDefault", ".Operator.Managed", // left out with the operator
	}
	var missing []string
	var walk func(at string, answer, request reflect.Type)
	walk = func(at string, answer, request reflect.Type) {
		for answer.Kind() == request.Kind() && (answer.Kind() == reflect.Pointer || answer.Kind() == reflect.Slice) {
			answer, request = answer.Elem(), request.Elem()
		}
		switch {
		case answer.Kind() != request.Kind():
			missing = append(missing, at)
		case answer.Kind() == reflect.Struct && answer != request:
			for i := range answer.NumField() {
				f := answer.Field(i)
				if !f.IsExported() {
					continue
				}
				if g, ok := request.FieldByName(f.Name); ok {
					walk(at+"."+f.Name, f.Type, g.Type)
				} else {
					missing = append(missing, at+"."+f.Name)
				}
			}
		}
	}
	walk("", reflect.TypeFor[ec2types.ResponseLaunchTemplateData](), reflect.TypeFor[ec2types.RequestLaunchTemplateData]())
	if diff := cmp.Diff(ours, missing); diff != "" {
		t.Errorf("a copy loses (-known +found):\n%s", diff)
	}
}
