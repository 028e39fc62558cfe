package aws_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	asgtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// refreshOf starts a refresh to another version of the group's template.
func refreshOf(r *rig, g serverGroup, version string, preferences *asgtypes.RefreshPreferences) error {
	preferences.SkipMatching = p(true)
	return second(r.asg.StartInstanceRefresh(ctx(r.t), &autoscaling.StartInstanceRefreshInput{
		AutoScalingGroupName: &g.name, Preferences: preferences,
		DesiredConfiguration: &asgtypes.DesiredConfiguration{LaunchTemplate: &asgtypes.LaunchTemplateSpecification{LaunchTemplateId: &g.template, Version: &version}},
	}))
}

// TestInstanceRefreshLaunchesFirst: with a maximum above 100 % the group never has fewer instances than it wants, and is of the old
// version until the refresh has succeeded.
func TestInstanceRefreshLaunchesFirst(t *testing.T) {
	r := manual(t)
	g := r.plain("shop-prod-v001", "shop-1.0", 4)
	r.advance(7 * time.Second)
	must[*ec2.CreateLaunchTemplateVersionOutput](t)(r.ec2.CreateLaunchTemplateVersion(ctx(t), &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateId: &g.template, SourceVersion: p("1"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: p(r.images["shop-1.1"])},
	}))
	if err := refreshOf(r, g, "2", &asgtypes.RefreshPreferences{MinHealthyPercentage: p(int32(100)), MaxHealthyPercentage: p(int32(150)), InstanceWarmup: p(int32(5))}); err != nil {
		t.Fatal(err)
	}
	status, least, most := asgtypes.InstanceRefreshStatus(""), 4, 0
	until(t, "the refresh to end", func() bool {
		r.advance(time.Second)
		group := r.group(g.name)
		alive := 0
		for _, i := range group.Instances {
			if i.LifecycleState != asgtypes.LifecycleStateTerminating {
				alive++
			}
		}
		least, most = min(least, inService(group)), max(most, alive)
		one := must[*autoscaling.DescribeInstanceRefreshesOutput](t)(r.asg.DescribeInstanceRefreshes(ctx(t), &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: &g.name})).InstanceRefreshes[0]
		status = one.Status
		if *one.DesiredConfiguration.LaunchTemplate.Version != "2" {
			t.Fatalf("desired configuration %v", one.DesiredConfiguration)
		}
		if version := *group.LaunchTemplate.Version; (version == "2") != (status == asgtypes.InstanceRefreshStatusSuccessful) {
			t.Fatalf("version %s while the refresh is %s", version, status)
		}
		return status == asgtypes.InstanceRefreshStatusSuccessful
	})
	if least != 4 || most != 6 {
		t.Errorf("%d in service at the least, %d instances at the most; want 4 and 6", least, most)
	}
}

// TestInstanceRefreshRollsBack: what was launched is replaced, the group keeps its version.
func TestInstanceRefreshRollsBack(t *testing.T) {
	r := manual(t)
	g := r.plain("shop-prod-v001", "shop-1.0", 3)
	r.advance(7 * time.Second)
	must[*ec2.CreateLaunchTemplateVersionOutput](t)(r.ec2.CreateLaunchTemplateVersion(ctx(t), &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateId: &g.template, SourceVersion: p("1"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: p(r.images["shop-1.1"])},
	}))
	if err := refreshOf(r, g, "2", &asgtypes.RefreshPreferences{MinHealthyPercentage: p(int32(100)), MaxHealthyPercentage: p(int32(100)), InstanceWarmup: p(int32(60))}); err != nil {
		t.Fatal(err)
	}
	r.advance(10 * time.Second)
	if n := len(r.group(g.name).Instances); n != 4 {
		t.Errorf("%d instances; want one beyond the desired capacity where there is no room", n)
	}
	must[*autoscaling.RollbackInstanceRefreshOutput](t)(r.asg.RollbackInstanceRefresh(ctx(t), &autoscaling.RollbackInstanceRefreshInput{AutoScalingGroupName: &g.name}))
	until(t, "the group to be as before", func() bool {
		r.advance(time.Second)
		group := r.group(g.name)
		if inService(group) < 3 {
			t.Fatalf("%d in service", inService(group))
		}
		for _, i := range group.Instances {
			if *i.LaunchTemplate.Version != "1" {
				return false
			}
		}
		return len(group.Instances) == 3 && *group.LaunchTemplate.Version == "1"
	})
	for name, preferences := range map[string]*asgtypes.RefreshPreferences{
		"too much": {MinHealthyPercentage: p(int32(100)), MaxHealthyPercentage: p(int32(201))}, "too wide": {MinHealthyPercentage: p(int32(50)), MaxHealthyPercentage: p(int32(151))},
		"no minimum": {MaxHealthyPercentage: p(int32(110))},
	} {
		if err := refreshOf(r, g, "2", preferences); codeOf(err) != "ValidationError" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
