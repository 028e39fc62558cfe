package aws_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	asgtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/aws"
)

// load sends requests without pause and counts answers by version.
type load struct {
	stop   chan struct{}
	done   sync.WaitGroup
	failed atomic.Int64
	first  atomic.Value // text of the first failure
	mu     sync.Mutex
	seen   map[string]int
}

func startLoad(url string, clients int) *load {
	l := &load{stop: make(chan struct{}), seen: map[string]int{}}
	for range clients {
		l.done.Go(func() { l.run(url) })
	}
	return l
}

func (l *load) run(url string) {
	client := &http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	ticker := time.NewTicker(4 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-ticker.C:
		}
		version, err := ask(client, url)
		if err != nil {
			l.failed.Add(1)
			l.first.CompareAndSwap(nil, err.Error())
			continue
		}
		l.mu.Lock()
		l.seen[version]++
		l.mu.Unlock()
	}
}

func ask(client *http.Client, url string) (string, error) {
	answer, err := client.Get(url)
	if err != nil {
		return "", fmt.Errorf("get: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", answer.StatusCode)
	}
	var body struct{ Version string }
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		return "", fmt.Errorf("decode: %w", err)
	}
	return body.Version, nil
}

func (l *load) count(version string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen[version]
}

func (l *load) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = map[string]int{}
}

func (l *load) end() {
	close(l.stop)
	l.done.Wait()
}

// serverGroup is a launch template, a target group and a group made as a delivery tool makes them.
type serverGroup struct {
	name, template, target string
}

// ownership are the tags by which the auditor knows who owns a server group.
func ownership(group string) map[string]string {
	return map[string]string{
		"slipway:application": "shop", "slipway:cluster": "shop-prod", "slipway:server-group": group, "slipway:deployment": "deploy-" + group,
	}
}

func owned[T any](group string, tag func(key, value string) T) []T {
	var tags []T
	for k, v := range ownership(group) {
		tags = append(tags, tag(k, v))
	}
	return tags
}

func (r *rig) newTarget(name string) string {
	r.t.Helper()
	out := must[*elb.CreateTargetGroupOutput](r.t)(r.elb.CreateTargetGroup(ctx(r.t), &elb.CreateTargetGroupInput{
		Name: &name, Protocol: elbtypes.ProtocolEnumHttp, Port: p(int32(8080)), VpcId: &r.network.VPC, HealthCheckPath: p("/healthz"),
		HealthCheckIntervalSeconds: p(int32(5)), HealthCheckTimeoutSeconds: p(int32(2)), HealthyThresholdCount: p(int32(2)),
		UnhealthyThresholdCount: p(int32(2)),
		Tags:                    owned(name, func(k, v string) elbtypes.Tag { return elbtypes.Tag{Key: &k, Value: &v} }),
	}))
	arn := *out.TargetGroups[0].TargetGroupArn
	must[*elb.ModifyTargetGroupAttributesOutput](r.t)(r.elb.ModifyTargetGroupAttributes(ctx(r.t), &elb.ModifyTargetGroupAttributesInput{
		TargetGroupArn: &arn, Attributes: []elbtypes.TargetGroupAttribute{{Key: p("deregistration_delay.timeout_seconds"), Value: p("30")}},
	}))
	return arn
}

func (r *rig) newTemplate(name, image string) string {
	r.t.Helper()
	out := must[*ec2.CreateLaunchTemplateOutput](r.t)(r.ec2.CreateLaunchTemplate(ctx(r.t), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: &name, LaunchTemplateData: &ec2types.RequestLaunchTemplateData{
			ImageId: p(r.images[image]), InstanceType: ec2types.InstanceTypeT3Small,
			SecurityGroupIds: []string{r.network.SecurityGroups["web"]},
		},
		TagSpecifications: []ec2types.TagSpecification{{
			ResourceType: ec2types.ResourceTypeLaunchTemplate,
			Tags:         owned(name, func(k, v string) ec2types.Tag { return ec2types.Tag{Key: &k, Value: &v} }),
		}},
	}))
	return *out.LaunchTemplate.LaunchTemplateId
}

func (r *rig) newGroup(g serverGroup, size int32) {
	r.t.Helper()
	in := &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: &g.name, MinSize: &size, MaxSize: &size, DesiredCapacity: &size,
		LaunchTemplate:    &asgtypes.LaunchTemplateSpecification{LaunchTemplateId: &g.template, Version: p("1")},
		VPCZoneIdentifier: p(r.network.Subnets["us-east-1a"] + "," + r.network.Subnets["us-east-1b"]),
		HealthCheckType:   p("ELB"), HealthCheckGracePeriod: p(int32(60)),
		Tags: owned(g.name, func(k, v string) asgtypes.Tag {
			return asgtypes.Tag{Key: &k, Value: &v, PropagateAtLaunch: p(true), ResourceId: &g.name, ResourceType: p("auto-scaling-group")}
		}),
	}
	if g.target != "" {
		in.TrafficSources = []asgtypes.TrafficSourceIdentifier{{Identifier: &g.target, Type: p("elbv2")}}
	}
	must[*autoscaling.CreateAutoScalingGroupOutput](r.t)(r.asg.CreateAutoScalingGroup(ctx(r.t), in))
}

func (r *rig) resize(name string, size int32) {
	r.t.Helper()
	must[*autoscaling.UpdateAutoScalingGroupOutput](r.t)(r.asg.UpdateAutoScalingGroup(ctx(r.t), &autoscaling.UpdateAutoScalingGroupInput{
		AutoScalingGroupName: &name, MinSize: &size, MaxSize: &size, DesiredCapacity: &size,
	}))
}

func (r *rig) group(name string) *asgtypes.AutoScalingGroup {
	r.t.Helper()
	out := must[*autoscaling.DescribeAutoScalingGroupsOutput](r.t)(r.asg.DescribeAutoScalingGroups(ctx(r.t),
		&autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{name}}))
	if len(out.AutoScalingGroups) == 0 {
		return nil
	}
	return &out.AutoScalingGroups[0]
}

// healthyTargets counts targets by state.
func (r *rig) targets(arn string) map[elbtypes.TargetHealthStateEnum]int {
	r.t.Helper()
	out := must[*elb.DescribeTargetHealthOutput](r.t)(r.elb.DescribeTargetHealth(ctx(r.t), &elb.DescribeTargetHealthInput{TargetGroupArn: &arn}))
	states := map[elbtypes.TargetHealthStateEnum]int{}
	for _, d := range out.TargetHealthDescriptions {
		states[d.TargetHealth.State]++
	}
	return states
}

func (r *rig) seedShop(size int) (listener, target string) {
	r.t.Helper()
	err := r.cloud.SeedCluster(aws.SeedCluster{
		AccountID: accountID, Region: region, LoadBalancer: "shop", Group: "shop-prod-v000", TargetGroup: "shop-prod-v000",
		Image: "shop-1.0", Capacity: simcloud.Capacity{Min: size, Max: size, Desired: size}, SecurityGroup: "web",
		Tags: ownership("shop-prod-v000"),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	lbs := must[*elb.DescribeLoadBalancersOutput](r.t)(r.elb.DescribeLoadBalancers(ctx(r.t), &elb.DescribeLoadBalancersInput{Names: []string{"shop"}}))
	out := must[*elb.DescribeListenersOutput](r.t)(r.elb.DescribeListeners(ctx(r.t), &elb.DescribeListenersInput{LoadBalancerArn: lbs.LoadBalancers[0].LoadBalancerArn}))
	return *out.Listeners[0].ListenerArn, *out.Listeners[0].DefaultActions[0].TargetGroupArn
}

func (r *rig) weights(listener string, weights map[string]int32) {
	r.t.Helper()
	forward := &elbtypes.ForwardActionConfig{}
	for arn, weight := range weights {
		forward.TargetGroups = append(forward.TargetGroups, elbtypes.TargetGroupTuple{TargetGroupArn: p(arn), Weight: p(weight)})
	}
	must[*elb.ModifyListenerOutput](r.t)(r.elb.ModifyListener(ctx(r.t), &elb.ModifyListenerInput{
		ListenerArn: &listener, DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, ForwardConfig: forward}},
	}))
	out := must[*elb.DescribeListenersOutput](r.t)(r.elb.DescribeListeners(ctx(r.t), &elb.DescribeListenersInput{ListenerArns: []string{listener}}))
	for _, t := range out.Listeners[0].DefaultActions[0].ForwardConfig.TargetGroups {
		if *t.Weight != weights[*t.TargetGroupArn] {
			r.t.Errorf("weight of %s is %d, wanted %d", *t.TargetGroupArn, *t.Weight, weights[*t.TargetGroupArn])
		}
	}
}

// TestDeployUnderLoad replaces one server group by another with the calls of a delivery tool, under load: no request may
// fail, and everything made for the old group can be removed.
func TestDeployUnderLoad(t *testing.T) {
	r := newRig(t, simcloud.WorldOptions{Scale: 60, PropagationMin: time.Second, PropagationMax: 3 * time.Second}, aws.Options{})
	listener, old := r.seedShop(4)
	until(t, "the seeded cluster to be healthy", func() bool { return r.targets(old)[elbtypes.TargetHealthStateEnumHealthy] == 4 })

	info := r.cloud.LoadBalancers()
	if len(info) != 1 || info[0].Name != "shop" || info[0].Account != "aws-sim" || !strings.HasPrefix(info[0].URL, "http://127.0.0.1:") {
		t.Fatalf("load balancers: %+v", info)
	}
	l := startLoad(info[0].URL, 4)
	defer func() {
		if n := l.failed.Load(); n > 0 {
			t.Errorf("%d requests failed, first: %v", n, l.first.Load())
		}
	}()
	until(t, "traffic on the old version", func() bool { return l.count("shop-1.0") > 50 })

	g := serverGroup{name: "shop-prod-v001", template: r.newTemplate("shop-prod-v001", "shop-1.1"), target: r.newTarget("shop-prod-v001")}
	r.newGroup(g, 2)
	until(t, "instances in service", func() bool { return inService(r.group(g.name)) == 2 })
	if states := r.targets(g.target); states[elbtypes.TargetHealthStateEnumUnused] != 2 {
		t.Errorf("targets of a group that no rule names: %v", states)
	}
	r.weights(listener, map[string]int32{old: 100, g.target: 0})
	until(t, "new targets to be healthy", func() bool { return r.targets(g.target)[elbtypes.TargetHealthStateEnumHealthy] == 2 })
	if n := l.count("shop-1.1"); n != 0 {
		t.Errorf("%d requests at weight 0", n)
	}

	r.weights(listener, map[string]int32{old: 50, g.target: 50})
	until(t, "traffic on both versions", func() bool { return l.count("shop-1.1") > 50 })
	r.resize(g.name, 4)
	until(t, "all new targets to be healthy", func() bool { return r.targets(g.target)[elbtypes.TargetHealthStateEnumHealthy] == 4 })
	r.weights(listener, map[string]int32{old: 0, g.target: 100})
	until(t, "no traffic on the old version", func() bool {
		l.reset()
		until(t, "some traffic", func() bool { return l.count("shop-1.1") > 100 })
		return l.count("shop-1.0") == 0
	})
	r.resize("shop-prod-v000", 0)
	until(t, "the old group to be empty", func() bool { return len(r.group("shop-prod-v000").Instances) == 0 })
	r.resize(g.name, 2) // scale in under load
	until(t, "the new group to be small", func() bool { return len(r.group(g.name).Instances) == 2 })
	l.end()

	r.destroyOld(listener, old, g.target)
	if violations := simcloud.Audit(r.world.Log.Events(), simcloud.AuditConfig{}); len(violations) > 0 {
		t.Errorf("the auditor complains: %v", violations)
	}
}

func inService(g *asgtypes.AutoScalingGroup) int {
	n := 0
	for _, i := range g.Instances {
		if i.LifecycleState == asgtypes.LifecycleStateInService {
			n++
		}
	}
	return n
}

func (r *rig) destroyOld(listener, old, kept string) {
	t := r.t
	_, err := r.elb.DeleteTargetGroup(ctx(t), &elb.DeleteTargetGroupInput{TargetGroupArn: &old})
	if codeOf(err) != "ResourceInUse" {
		t.Errorf("delete a target group in use: %v", err)
	}
	r.weights(listener, map[string]int32{kept: 100})
	name := p("shop-prod-v000")
	must[*autoscaling.DeleteAutoScalingGroupOutput](t)(r.asg.DeleteAutoScalingGroup(ctx(t), &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: name, ForceDelete: p(true)}))
	if g := r.group(*name); g == nil || g.Status == nil || *g.Status != "Delete in progress" {
		t.Errorf("a group being deleted: %+v", g)
	}
	until(t, "the group to be gone", func() bool { return r.group(*name) == nil })
	must[*elb.DeleteTargetGroupOutput](t)(r.elb.DeleteTargetGroup(ctx(t), &elb.DeleteTargetGroupInput{TargetGroupArn: &old}))
	must[*ec2.DeleteLaunchTemplateOutput](t)(r.ec2.DeleteLaunchTemplate(ctx(t), &ec2.DeleteLaunchTemplateInput{LaunchTemplateName: name}))
}
