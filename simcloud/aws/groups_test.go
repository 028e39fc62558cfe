package aws_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	asgtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/aws"
)

// plain makes a group without a target group and returns its name.
func (r *rig) plain(name, image string, size int32) serverGroup {
	g := serverGroup{name: name, template: r.newTemplate(name, image)}
	r.newGroup(g, size)
	return g
}

func (r *rig) activities(name string) []asgtypes.Activity {
	r.t.Helper()
	var all []asgtypes.Activity
	pages := autoscaling.NewDescribeScalingActivitiesPaginator(r.asg, &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: &name})
	for pages.HasMorePages() {
		all = append(all, must[*autoscaling.DescribeScalingActivitiesOutput](r.t)(pages.NextPage(ctx(r.t))).Activities...)
	}
	return all
}

func ids(g *asgtypes.AutoScalingGroup, state asgtypes.LifecycleState) []string {
	var out []string
	for _, i := range g.Instances {
		if i.LifecycleState == state {
			out = append(out, *i.InstanceId)
		}
	}
	slices.Sort(out)
	return out
}

// TestInstancesComeAndGo follows a group from its creation to its scale in.
func TestInstancesComeAndGo(t *testing.T) {
	r := manual(t)
	g := r.plain("shop-prod-v001", "shop-1.0", 4)
	group := r.group(g.name)
	if n := len(ids(group, asgtypes.LifecycleStatePending)); n != 4 {
		t.Fatalf("%d instances pending at once", n)
	}
	if a := r.activities(g.name)[0]; a.StatusCode != asgtypes.ScalingActivityStatusCodeInProgress || !strings.Contains(*a.Cause, "changing the desired capacity from 0 to 4") {
		t.Errorf("activity %s: %s", a.StatusCode, *a.Cause)
	}
	r.advance(7 * time.Second)
	group = r.group(g.name)
	zones := map[string]int{}
	for _, i := range group.Instances {
		zones[*i.AvailabilityZone]++
	}
	if diff := cmp.Diff(map[string]int{"us-east-1a": 2, "us-east-1b": 2}, zones); diff != "" || inService(group) != 4 {
		t.Errorf("%d in service, zones %s", inService(group), diff)
	}
	out := must[*ec2.DescribeInstancesOutput](t)(r.ec2.DescribeInstances(ctx(t), &ec2.DescribeInstancesInput{
		Filters: []ec2types.Filter{{Name: p("tag:aws:autoscaling:groupName"), Values: []string{"shop-*"}}, {Name: p("instance-state-name"), Values: []string{"running"}}},
	}))
	if len(out.Reservations) != 4 || tagOfInstance(out.Reservations[0].Instances[0], "slipway:cluster") != "shop-prod" {
		t.Errorf("%d running instances, with tags %v", len(out.Reservations), out.Reservations[0].Instances[0].Tags)
	}

	protected := *group.Instances[0].InstanceId
	must[*autoscaling.SetInstanceProtectionOutput](t)(r.asg.SetInstanceProtection(ctx(t), &autoscaling.SetInstanceProtectionInput{
		AutoScalingGroupName: &g.name, InstanceIds: []string{protected}, ProtectedFromScaleIn: p(true),
	}))
	r.resize(g.name, 1)
	if a := r.activities(g.name)[0]; !strings.Contains(*a.Cause, "constraints to min: 1, max: 1, desired: 1 changing the desired capacity from 4 to 1") {
		t.Errorf("cause: %s", *a.Cause)
	}
	until(t, "the group to be small", func() bool { r.advance(time.Second); return len(r.group(g.name).Instances) == 1 })
	if left := r.group(g.name).Instances[0]; *left.InstanceId != protected {
		t.Errorf("%s is left, not the protected %s", *left.InstanceId, protected)
	}
	for _, a := range r.activities(g.name) {
		if a.StatusCode != asgtypes.ScalingActivityStatusCodeSuccessful || a.EndTime == nil || *a.Progress != 100 {
			t.Errorf("activity %s is %s", *a.Description, a.StatusCode)
		}
	}
}

func tagOfInstance(i ec2types.Instance, key string) string {
	for _, t := range i.Tags {
		if *t.Key == key {
			return *t.Value
		}
	}
	return ""
}

// TestStockout fails launches: they are Failed activities, tried again ever more rarely, until there is capacity.
func TestStockout(t *testing.T) {
	r := manual(t)
	fault := must[simcloud.Fault](t)(r.world.Faults.Add(simcloud.Fault{Match: simcloud.Match{Action: "RunInstances"}, Effect: simcloud.Effect{Kind: simcloud.EffectNoCapacity}}))
	g := r.plain("shop-prod-v001", "shop-1.0", 2)
	r.advance(100 * time.Second)
	failed := r.activities(g.name)
	if len(failed) != 3 { // at 0, 15 and 45 seconds; the next comes at 105
		t.Errorf("%d attempts in 100 seconds", len(failed))
	}
	for _, a := range failed {
		if a.StatusCode != asgtypes.ScalingActivityStatusCodeFailed || !strings.HasPrefix(*a.StatusMessage, "We currently do not have sufficient t3.small capacity") {
			t.Errorf("activity %s: %s", a.StatusCode, *a.StatusMessage)
		}
	}
	r.world.Faults.Remove(fault.ID)
	r.advance(15 * time.Second)
	if n := inService(r.group(g.name)); n != 2 {
		t.Errorf("%d in service after the stockout", n)
	}
}

// TestLostInstanceIsReplaced kills a machine.
func TestLostInstanceIsReplaced(t *testing.T) {
	r := manual(t)
	g := r.plain("shop-prod-v001", "shop-1.0", 2)
	r.advance(7 * time.Second)
	lost := *r.group(g.name).Instances[0].InstanceId
	machine, _ := r.world.Fleet.Instance(lost)
	machine.Kill("test")
	r.advance(8 * time.Second)
	group := r.group(g.name)
	if inService(group) != 2 || slices.Contains(ids(group, asgtypes.LifecycleStateInService), lost) {
		t.Errorf("after a loss: %v", ids(group, asgtypes.LifecycleStateInService))
	}
	causes := ""
	for _, a := range r.activities(g.name) {
		causes += *a.Cause + "\n"
	}
	for _, want := range []string{
		"an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped.",
		"an instance was launched in response to an unhealthy instance needing to be replaced.",
	} {
		if !strings.Contains(causes, want) {
			t.Errorf("no activity says %q:\n%s", want, causes)
		}
	}
}

// TestSickInstanceIsReplacedAfterGrace runs an image that never becomes healthy behind a load balancer.
func TestSickInstanceIsReplacedAfterGrace(t *testing.T) {
	r := newRig(t, simcloud.WorldOptions{Scale: 120}, aws.Options{})
	listener, old := r.seedShop(1)
	g := serverGroup{name: "shop-prod-v001", template: r.newTemplate("shop-prod-v001", "shop-sick"), target: r.newTarget("shop-prod-v001")}
	r.newGroup(g, 1)
	until(t, "an instance in service", func() bool { return inService(r.group(g.name)) == 1 })
	began := r.world.Clock.Now()
	r.weights(listener, map[string]int32{old: 100, g.target: 0})
	until(t, "an unhealthy target", func() bool { return r.targets(g.target)[elbtypes.TargetHealthStateEnumUnhealthy] == 1 })
	if at := r.world.Clock.Now().Sub(began); at < 45*time.Second && r.group(g.name).Instances[0].LifecycleState != asgtypes.LifecycleStateInService {
		t.Errorf("replaced %s after its start, within the grace period", at)
	}
	until(t, "the replacement", func() bool {
		return slices.ContainsFunc(r.activities(g.name), func(a asgtypes.Activity) bool {
			return strings.Contains(*a.Cause, "ELB system health check failure")
		})
	})
}

// TestSuspendedProcesses holds launches, terminations and registrations back.
func TestSuspendedProcesses(t *testing.T) {
	r := manual(t)
	_, target := r.seedShop(1)
	name := "shop-prod-v000"
	r.advance(7 * time.Second)
	change := func(processes ...string) (*autoscaling.SuspendProcessesInput, *autoscaling.ResumeProcessesInput) {
		return &autoscaling.SuspendProcessesInput{AutoScalingGroupName: &name, ScalingProcesses: processes},
			&autoscaling.ResumeProcessesInput{AutoScalingGroupName: &name, ScalingProcesses: processes}
	}
	suspend, resume := change("Launch", "AddToLoadBalancer")
	must[*autoscaling.SuspendProcessesOutput](t)(r.asg.SuspendProcesses(ctx(t), suspend))
	r.resize(name, 2)
	r.advance(10 * time.Second)
	if n := len(r.group(name).Instances); n != 1 {
		t.Errorf("%d instances while launches are suspended", n)
	}
	resume.ScalingProcesses = []string{"Launch"}
	must[*autoscaling.ResumeProcessesOutput](t)(r.asg.ResumeProcesses(ctx(t), resume))
	r.advance(10 * time.Second)
	_, resume = change() // all
	must[*autoscaling.ResumeProcessesOutput](t)(r.asg.ResumeProcesses(ctx(t), resume))
	r.advance(2 * time.Second)
	total := 0
	for _, n := range r.targets(target) {
		total += n
	}
	if n := inService(r.group(name)); n != 2 || total != 1 {
		t.Errorf("%d in service, %d registered; AddToLoadBalancer was suspended during the launch", n, total)
	}
	suspend, _ = change("Terminate")
	must[*autoscaling.SuspendProcessesOutput](t)(r.asg.SuspendProcesses(ctx(t), suspend))
	r.resize(name, 0)
	r.advance(60 * time.Second)
	if n := inService(r.group(name)); n != 2 {
		t.Errorf("%d in service while terminations are suspended", n)
	}
}

// TestDeletion deletes groups in every state.
func TestDeletion(t *testing.T) {
	r := manual(t)
	g := r.plain("shop-prod-v001", "shop-1.0", 1)
	r.advance(7 * time.Second)
	remove := func(force bool) error {
		return second(r.asg.DeleteAutoScalingGroup(ctx(t), &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: &g.name, ForceDelete: &force}))
	}
	if err := remove(false); codeOf(err) != "ResourceInUse" {
		t.Errorf("with an instance: %v", err)
	}
	if err := remove(true); err != nil {
		t.Fatal(err)
	}
	if group := r.group(g.name); group.Status == nil || *group.Status != "Delete in progress" {
		t.Errorf("status %v", group.Status)
	}
	err := second(r.asg.UpdateAutoScalingGroup(ctx(t), &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: &g.name, MinSize: p(int32(0))}))
	if codeOf(err) != "ValidationError" || !strings.Contains(err.Error(), "pending delete") {
		t.Errorf("update while it is deleted: %v", err)
	}
	in := &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: &g.name, MinSize: p(int32(0)), MaxSize: p(int32(0)), VPCZoneIdentifier: p(r.network.Subnets["us-east-1a"]),
		LaunchTemplate: &asgtypes.LaunchTemplateSpecification{LaunchTemplateId: &g.template, Version: p("1")},
	}
	if err := second(r.asg.CreateAutoScalingGroup(ctx(t), in)); codeOf(err) != "AlreadyExists" || !strings.Contains(err.Error(), "pending delete") {
		t.Errorf("create while it is deleted: %v", err)
	}
	until(t, "the group to be gone", func() bool { r.advance(time.Second); return r.group(g.name) == nil })
	if err := remove(true); codeOf(err) != "ValidationError" {
		t.Errorf("delete what is gone: %v", err)
	}
	if err := second(r.asg.CreateAutoScalingGroup(ctx(t), in)); err != nil {
		t.Errorf("create anew: %v", err)
	}
	if err := remove(false); err != nil {
		t.Errorf("delete an empty group: %v", err)
	}
	out := must[*autoscaling.DescribeScalingActivitiesOutput](t)(r.asg.DescribeScalingActivities(ctx(t), &autoscaling.DescribeScalingActivitiesInput{IncludeDeletedGroups: p(true)}))
	if len(out.Activities) != 2 || out.Activities[0].AutoScalingGroupState == nil {
		t.Errorf("%d activities of deleted groups", len(out.Activities))
	}
}

// TestTrafficSources attaches and detaches a target group.
func TestTrafficSources(t *testing.T) {
	r := manual(t)
	target := r.newTarget("shop-prod-v001")
	g := r.plain("shop-prod-v001", "shop-1.0", 1)
	r.advance(7 * time.Second)
	sources := []asgtypes.TrafficSourceIdentifier{{Identifier: &target, Type: p("elbv2")}}
	must[*autoscaling.AttachTrafficSourcesOutput](t)(r.asg.AttachTrafficSources(ctx(t), &autoscaling.AttachTrafficSourcesInput{AutoScalingGroupName: &g.name, TrafficSources: sources}))
	state := func() string {
		out := must[*autoscaling.DescribeTrafficSourcesOutput](t)(r.asg.DescribeTrafficSources(ctx(t), &autoscaling.DescribeTrafficSourcesInput{AutoScalingGroupName: &g.name}))
		legacy := must[*autoscaling.DescribeLoadBalancerTargetGroupsOutput](t)(r.asg.DescribeLoadBalancerTargetGroups(ctx(t), &autoscaling.DescribeLoadBalancerTargetGroupsInput{AutoScalingGroupName: &g.name}))
		if len(out.TrafficSources) != len(legacy.LoadBalancerTargetGroups) {
			t.Errorf("%d traffic sources, %d target groups", len(out.TrafficSources), len(legacy.LoadBalancerTargetGroups))
		}
		if len(out.TrafficSources) == 0 {
			return ""
		}
		return *out.TrafficSources[0].State
	}
	if s := state(); s != "Added" {
		t.Errorf("attached: %s", s)
	}
	if n := r.targets(target)[elbtypes.TargetHealthStateEnumUnused]; n != 1 {
		t.Errorf("%d unused targets", n)
	}
	must[*autoscaling.DetachTrafficSourcesOutput](t)(r.asg.DetachTrafficSources(ctx(t), &autoscaling.DetachTrafficSourcesInput{AutoScalingGroupName: &g.name, TrafficSources: sources}))
	until(t, "the source to be removed", func() bool { r.advance(time.Second); return state() == "" })
	if n := inService(r.group(g.name)); n != 1 {
		t.Errorf("%d in service after detaching", n)
	}
	must[*elb.DeleteTargetGroupOutput](t)(r.elb.DeleteTargetGroup(ctx(t), &elb.DeleteTargetGroupInput{TargetGroupArn: &target}))
}

// TestTerminateInGroup ends one instance, with and without its place.
func TestTerminateInGroup(t *testing.T) {
	r := manual(t)
	g := r.plain("shop-prod-v001", "shop-1.0", 2)
	r.advance(7 * time.Second)
	terminate := func(id string, shrink bool) error {
		return second(r.asg.TerminateInstanceInAutoScalingGroup(ctx(t), &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &id, ShouldDecrementDesiredCapacity: &shrink}))
	}
	id := *r.group(g.name).Instances[0].InstanceId
	if err := terminate(id, true); codeOf(err) != "ValidationError" {
		t.Errorf("below the minimum: %v", err)
	}
	if err := terminate(id, false); err != nil {
		t.Fatal(err)
	}
	if err := terminate(id, false); codeOf(err) != "ScalingActivityInProgress" {
		t.Errorf("twice: %v", err)
	}
	r.advance(8 * time.Second)
	if n := inService(r.group(g.name)); n != 2 {
		t.Errorf("%d in service after a replacement", n)
	}
}

// TestInstanceRefresh replaces the instances of a group by those of another template version.
func TestInstanceRefresh(t *testing.T) {
	r := manual(t)
	g := r.plain("shop-prod-v001", "shop-1.0", 3)
	r.advance(7 * time.Second)
	must[*ec2.CreateLaunchTemplateVersionOutput](t)(r.ec2.CreateLaunchTemplateVersion(ctx(t), &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateId: &g.template, SourceVersion: p("1"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: p(r.images["shop-1.1"])},
	}))
	start := &autoscaling.StartInstanceRefreshInput{
		AutoScalingGroupName: &g.name,
		DesiredConfiguration: &asgtypes.DesiredConfiguration{LaunchTemplate: &asgtypes.LaunchTemplateSpecification{LaunchTemplateId: &g.template, Version: p("2")}},
		Preferences:          &asgtypes.RefreshPreferences{MinHealthyPercentage: p(int32(60)), InstanceWarmup: p(int32(5)), SkipMatching: p(true)},
	}
	must[*autoscaling.StartInstanceRefreshOutput](t)(r.asg.StartInstanceRefresh(ctx(t), start))
	if err := second(r.asg.StartInstanceRefresh(ctx(t), start)); codeOf(err) != "InstanceRefreshInProgress" {
		t.Errorf("a second refresh: %v", err)
	}
	least := 3
	until(t, "the refresh to end", func() bool {
		r.advance(time.Second)
		least = min(least, inService(r.group(g.name)))
		out := must[*autoscaling.DescribeInstanceRefreshesOutput](t)(r.asg.DescribeInstanceRefreshes(ctx(t), &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: &g.name}))
		return out.InstanceRefreshes[0].Status == asgtypes.InstanceRefreshStatusSuccessful
	})
	if least != 2 {
		t.Errorf("at the least %d in service, 60 %% of 3 are 2", least)
	}
	out := must[*ec2.DescribeInstancesOutput](t)(r.ec2.DescribeInstances(ctx(t), &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{
		{Name: p("instance-state-name"), Values: []string{"running"}}, {Name: p("image-id"), Values: []string{r.images["shop-1.1"]}},
	}}))
	if len(out.Reservations) != 3 {
		t.Errorf("%d instances of the new image", len(out.Reservations))
	}
}
