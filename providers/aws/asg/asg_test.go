package asg_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/aws"
	"github.com/slipway-cd/slipway/providers/aws/asg"
	"github.com/slipway-cd/slipway/providers/providertest"
	"github.com/slipway-cd/slipway/simcloud"
)

func TestConformance(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Cloud { return newCloud(t) })
}

// shop is the cluster of these tests.
var shop = delivery.Moniker{App: "shop", Stack: "test"}

func codeOf(err error) string {
	var e *delivery.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func (c *cloud) create(group, image string, size int) delivery.Change {
	cluster := c.Cluster(shop)
	spec := c.Spec(image, size, true)
	return delivery.Change{
		Key: delivery.ChangeKey("01TEST/1/" + cluster.Key() + "/" + group + "#create"), Kind: delivery.CreateGroup,
		Cluster: cluster, Deployment: "01TEST/1", Group: group, Spec: &spec,
	}
}

func with(t *testing.T, spec delivery.GroupSpec, field, value string) delivery.GroupSpec {
	t.Helper()
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(spec.Settings, &fields); err != nil {
		t.Fatal(err)
	}
	fields[field] = json.RawMessage(value)
	if value == "" {
		delete(fields, field)
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	spec.Settings = raw
	return spec
}

// apply carries a change through.
func (c *cloud) apply(t *testing.T, change delivery.Change) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		receipt, err := c.target.Apply(t.Context(), change)
		if err != nil && !delivery.KindOf(err).Retryable() {
			t.Fatalf("%v: %v", change, err)
		}
		if receipt.Done {
			return
		}
	}
	t.Fatalf("%v is not done", change)
}

func (c *cloud) observe(t *testing.T, loadBalancer string) delivery.Snapshot {
	t.Helper()
	seen, err := c.target.Observe(t.Context(), c.Cluster(shop), loadBalancer)
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func (c *cloud) weigh(t *testing.T, weights ...delivery.Weight) delivery.Change {
	t.Helper()
	return delivery.Change{
		Key: "weigh", Kind: delivery.SetRouting, Cluster: c.Cluster(shop), Weights: weights,
		Fingerprint: c.observe(t, "").Routing.Fingerprint,
	}
}

// TestValidateNamesTheField gives one wrong value after the other.
func TestValidateNamesTheField(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.addBalancer(t, "taken", elbtypes.Action{
		Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: sdk.String(c.addTargetGroup(t, "somebody-elses")),
	})
	must(c.balance.CreateLoadBalancer(t.Context(), &elb.CreateLoadBalancerInput{
		Name: sdk.String("bare"), Subnets: []string{c.seeded.Subnets["us-east-1a"], c.seeded.Subnets["us-east-1b"]},
	}))
	writes := c.Writes()
	for _, test := range []struct{ field, value, pointer, message string }{
		{"instanceType", ``, "/instanceType", "is missing"},
		{"instanceType", `5`, "/instanceType", "want a string"},
		{"availabilityZones", ``, "/availabilityZones", "no zones of region us-east-1"},
		{"availabilityZones", `{"us-west-2":["us-west-2a"]}`, "/availabilityZones", "no zones of region us-east-1"},
		{"availabilityZones", `{"us-east-1":["us-east-1a","us-east-1z"]}`, "/availabilityZones/us-east-1/1", `"us-east-1z"`},
		{"subnetType", `"moon"`, "/subnetType", `"moon"`},
		{"securityGroups", `["web","nope"]`, "/securityGroups/1", `"nope"`},
		{"loadBalancers", `["nope"]`, "/loadBalancers/0", `"nope"`},
		{"loadBalancers", `["shop","taken"]`, "/loadBalancers", "2 load balancers"},
		{"loadBalancers", `["taken"]`, "/loadBalancers/0", "somebody-elses"},
		{"loadBalancers", `["bare"]`, "/loadBalancers/0", "has no listener"},
		{"listenerPort", `8443`, "/listenerPort", "8443"},
		{"listenerPort", `70000`, "/listenerPort", "70000"},
		{"healthyThreshold", `1`, "/healthyThreshold", "want 2 to 10"},
		{"healthCheckGracePeriod", `-1`, "/healthCheckGracePeriod", "-1"},
		{"healthCheckType", `"NONE"`, "/healthCheckType", `"NONE"`},
		{"targetGroups", `["tg"]`, "/targetGroups", "loadBalancers"},
		{"suspendedProcesses", `["Launch"]`, "/suspendedProcesses", "rolled"},
		{"base64UserData", `"%%"`, "/base64UserData", "base64"},
		{"tags", `{"slipway:cluster":"other"}`, "/tags/slipway:cluster", "reserved"},
		{"tags", `{"aws:a/b":"x"}`, "/tags/aws:a~1b", "reserved"},
	} {
		spec := with(t, c.Spec("shop-1.1", 1, true), test.field, test.value)
		spec.LoadBalancer = ""
		findings, err := c.target.Validate(t.Context(), c.Cluster(shop), spec)
		if err != nil {
			t.Errorf("%s=%s: %v", test.field, test.value, err)
			continue
		}
		if len(findings) != 1 || findings[0].Pointer != test.pointer || !strings.Contains(findings[0].Message, test.message) {
			t.Errorf("%s=%s: findings %+v; want %s with %q", test.field, test.value, findings, test.pointer, test.message)
		}
	}
	for _, image := range []string{"", "shop-si*", "shop-sic?", "ami-00000000000000000"} {
		spec := c.Spec(image, 1, true)
		findings, err := c.target.Validate(t.Context(), c.Cluster(shop), spec)
		if err != nil || len(findings) != 1 || findings[0].Pointer != "/amiName" {
			t.Errorf("image %q: findings %+v, %v", image, findings, err)
		}
	}
	if n := c.Writes() - writes; n != 0 {
		t.Errorf("validation wrote %d times", n)
	}
}

// TestFullRule: a sixth target group is refused while validating, not while rolling. It
// is a limit and no mistake; mistakes are told first.
func TestFullRule(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for i := range 5 {
		c.apply(t, c.create(shop.ServerGroup(i), "shop-1.1", 0))
	}
	findings, err := c.target.Validate(t.Context(), c.Cluster(shop), c.Spec("shop-1.1", 1, true))
	if delivery.KindOf(err) != delivery.Quota || len(findings) > 0 || !strings.Contains(err.Error(), "AWS allows 5") {
		t.Errorf("findings %+v, %v", findings, err)
	}
	findings, err = c.target.Validate(t.Context(), c.Cluster(shop), c.Spec("no-such-image", 1, true))
	if err != nil || len(findings) != 1 {
		t.Errorf("with a mistake: %+v, %v", findings, err)
	}
}

// TestCalls counts the requests of one observation, so that a change which asks
// for more shows here and not as throttling in production.
func TestCalls(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for i := range 2 {
		c.apply(t, c.create(shop.ServerGroup(i), "shop-1.1", 0))
	}
	for _, test := range []struct {
		loadBalancer string
		want         map[string]int
	}{
		{balancer, map[string]int{
			"DescribeAutoScalingGroups": 1, "DescribeLaunchTemplates": 1, "DescribeLoadBalancers": 1,
			"DescribeListeners": 1, "DescribeRules": 1, "DescribeTargetHealth": 2,
		}},
		{"", map[string]int{
			"DescribeAutoScalingGroups": 1, "DescribeLaunchTemplates": 1, "DescribeTargetGroups": 1,
			"DescribeListeners": 1, "DescribeRules": 1, "DescribeTargetHealth": 2,
		}},
	} {
		since := c.world.Log.Last()
		c.observe(t, test.loadBalancer)
		_, got := c.calls(since)
		if fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("observe %q: %v; want %v", test.loadBalancer, got, test.want)
		}
	}
}

// TestGroupsMadeBySpinnaker: a group without tags behind the cluster's rule is
// seen, may be weighed and resized, and is never destroyed.
func TestGroupsMadeBySpinnaker(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	name := shop.ServerGroup(3)
	c.Plant(t, name)
	arn := c.addTargetGroup(t, "spinnaker-made")
	must(c.balance.ModifyListener(t.Context(), &elb.ModifyListenerInput{
		ListenerArn:    must(c.balance.DescribeListeners(t.Context(), &elb.DescribeListenersInput{LoadBalancerArn: sdk.String(c.balancer)})).Listeners[0].ListenerArn,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: sdk.String(arn)}},
	}))
	must(c.groups.AttachLoadBalancerTargetGroups(t.Context(), &autoscaling.AttachLoadBalancerTargetGroupsInput{
		AutoScalingGroupName: sdk.String(name), TargetGroupARNs: []string{arn},
	}))
	must(c.groups.UpdateAutoScalingGroup(t.Context(), &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: sdk.String(name), DesiredCapacity: sdk.Int32(1)}))
	var seen delivery.Snapshot
	c.until(t, "the group is seen", func() bool {
		seen = c.observe(t, balancer)
		return seen.Group(name) != nil
	})
	g := seen.Group(name)
	if g.Managed || !g.Complete || g.ImageID == "" || seen.Routing.Percent(name) != 100 {
		t.Errorf("group %+v, routing %+v", g, seen.Routing)
	}
	if findings, err := c.target.Validate(t.Context(), c.Cluster(shop), c.Spec("shop-1.1", 1, true)); err != nil || len(findings) > 0 {
		t.Errorf("validate beside it: %v, %v", findings, err)
	}
	c.apply(t, c.create(shop.ServerGroup(4), "shop-1.1", 1))
	seen = c.observe(t, balancer)
	if len(seen.Groups) != 2 || seen.Routing.Percent(name) != 100 {
		t.Errorf("after the creation beside it: %+v", seen)
	}
	destroy := delivery.Change{Key: "destroy", Kind: delivery.DestroyGroup, Cluster: c.Cluster(shop), Group: name}
	if _, err := c.target.Apply(t.Context(), destroy); delivery.KindOf(err) != delivery.Guarded {
		t.Errorf("destroy: %v", err)
	}
	resize := delivery.Change{Key: "resize", Kind: delivery.ResizeGroup, Cluster: c.Cluster(shop), Group: name, Capacity: &delivery.Capacity{Max: 1}}
	if _, err := c.target.Apply(t.Context(), resize); delivery.KindOf(err) != delivery.Guarded {
		t.Errorf("resize to 0 under traffic: %v", err)
	}
	c.apply(t, c.weigh(t, delivery.Weight{ServerGroup: shop.ServerGroup(4), Percent: 100}))
	c.apply(t, resize)
	c.until(t, "the last target is gone", func() bool {
		return len(must(c.balance.DescribeTargetHealth(t.Context(), &elb.DescribeTargetHealthInput{TargetGroupArn: sdk.String(arn)})).TargetHealthDescriptions) == 0
	})
	if g := c.observe(t, balancer).Group(name); g == nil || g.Managed || !g.Complete || g.Capacity.Max != 1 {
		t.Errorf("scaled to 0 it is %+v", g)
	}
	if findings, err := c.target.Validate(t.Context(), c.Cluster(shop), c.Spec("shop-1.1", 1, true)); err != nil || len(findings) > 0 {
		t.Errorf("validate beside the empty group: %v, %v", findings, err)
	}
}

// TestTwoRules: a cluster that two rules send requests to is not rolled, and no
// group is emptied while any rule sends requests to it.
func TestTwoRules(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	first := shop.ServerGroup(1)
	c.apply(t, c.create(first, "shop-1.1", 1))
	c.apply(t, c.weigh(t, delivery.Weight{ServerGroup: first, Percent: 100}))
	arn := must(c.groups.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{first}})).AutoScalingGroups[0].TargetGroupARNs[0]
	c.addListener(t, c.balancer, 8080, elbtypes.Action{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: sdk.String(arn)})

	findings, err := c.target.Validate(t.Context(), c.Cluster(shop), c.Spec("shop-1.1", 1, true))
	if err != nil || len(findings) != 1 || findings[0].Pointer != "/loadBalancers/0" || !strings.Contains(findings[0].Message, "ports 80 and 8080") {
		t.Errorf("findings %+v, %v", findings, err)
	}
	second := c.create(shop.ServerGroup(2), "shop-1.1", 0)
	for range 10 {
		if _, err = c.target.Apply(t.Context(), second); err != nil {
			break
		}
	}
	if delivery.KindOf(err) != delivery.Conflict {
		t.Errorf("creation: %v", err)
	}
	port80 := must(c.balance.DescribeListeners(t.Context(), &elb.DescribeListenersInput{LoadBalancerArn: sdk.String(c.balancer)})).Listeners[0]
	must(c.balance.ModifyListener(t.Context(), &elb.ModifyListenerInput{ListenerArn: port80.ListenerArn, DefaultActions: []elbtypes.Action{{
		Type: elbtypes.ActionTypeEnumForward, ForwardConfig: &elbtypes.ForwardActionConfig{
			TargetGroups: []elbtypes.TargetGroupTuple{{TargetGroupArn: sdk.String(arn), Weight: sdk.Int32(0)}}},
	}}}))
	empty := delivery.Change{Key: "resize", Kind: delivery.ResizeGroup, Cluster: c.Cluster(shop), Group: first, Capacity: &delivery.Capacity{}}
	if _, err := c.target.Apply(t.Context(), empty); delivery.KindOf(err) != delivery.Guarded || !strings.Contains(err.Error(), "port 8080") {
		t.Errorf("resize to 0: %v", err)
	}
}

// TestAnotherLoadBalancer: a cluster does not move to another load balancer by
// being deployed to it; its old groups would serve on unseen.
func TestAnotherLoadBalancer(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.apply(t, c.create(shop.ServerGroup(1), "shop-1.1", 1))
	c.addBalancer(t, "second", elbtypes.Action{
		Type: elbtypes.ActionTypeEnumFixedResponse, FixedResponseConfig: &elbtypes.FixedResponseActionConfig{StatusCode: sdk.String("503")},
	})
	spec := with(t, c.Spec("shop-1.1", 1, true), "loadBalancers", `["second"]`)
	spec.LoadBalancer = "second"
	findings, err := c.target.Validate(t.Context(), c.Cluster(shop), spec)
	if err != nil || len(findings) != 1 || findings[0].Pointer != "/loadBalancers/0" || !strings.Contains(findings[0].Message, "behind load balancer shop") {
		t.Errorf("findings %+v, %v", findings, err)
	}
}

// TestWrongAccount: with credentials of another account nothing is written.
func TestWrongAccount(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	session, err := aws.Open(t.Context(), aws.Options{Account: account, AccountID: "999999999999", Endpoint: c.endpoint, AccessKeyID: "AKIATEST", SecretAccessKey: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	wrong := asg.New(session, region, asg.Options{})
	if _, err := wrong.Apply(t.Context(), c.create(shop.ServerGroup(1), "shop-1.1", 0)); delivery.KindOf(err) != delivery.Denied {
		t.Errorf("apply: %v", err)
	}
	if _, err := wrong.Validate(t.Context(), c.Cluster(shop), c.Spec("shop-1.1", 1, true)); delivery.KindOf(err) != delivery.Denied {
		t.Errorf("validate: %v", err)
	}
	if n := c.Writes(); n != 0 {
		t.Errorf("%d writes", n)
	}
}

// TestTwoNetworks: the security groups of a group behind no load balancer are of
// the VPC of its subnets, also where other VPCs have some of the same names.
func TestTwoNetworks(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	ofNetwork := map[string]string{c.seeded.SecurityGroups["web"]: c.seeded.VPC}
	for range 4 {
		more := c.addNetwork()
		ofNetwork[more.SecurityGroups["web"]] = more.VPC
	}
	change := c.create(shop.ServerGroup(1), "shop-1.1", 0)
	spec := c.Spec("shop-1.1", 0, false)
	change.Spec = &spec
	c.apply(t, change)
	group := must(c.groups.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{change.Group}})).AutoScalingGroups[0]
	subnet, _, _ := strings.Cut(*group.VPCZoneIdentifier, ",")
	subnets := must(c.compute.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{SubnetIds: []string{subnet}})).Subnets
	version := must(c.compute.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: group.LaunchTemplate.LaunchTemplateId})).LaunchTemplateVersions[0]
	if got, want := ofNetwork[version.LaunchTemplateData.SecurityGroupIds[0]], *subnets[0].VpcId; got != want {
		t.Errorf("security group of %s, subnets of %s", got, want)
	}
}

// TestOddDeploymentID: what a group's tag says of its deployment is the id to the
// letter, else the deployment would not know its own group.
func TestOddDeploymentID(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for i, id := range []delivery.DeploymentID{"01TEST/deploy #1 (prod)/a/r/c", "01TEST/größe=50%/a/r/c", "01TEST/=4/a/r/="} {
		change := c.create(shop.ServerGroup(i), "shop-1.1", 0)
		change.Deployment = id
		c.apply(t, change)
		if got := c.observe(t, balancer).Group(change.Group).Deployment; got != id {
			t.Errorf("deployment %q; want %q", got, id)
		}
	}
}

func (c *cloud) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if ok() {
			return
		}
	}
	t.Fatalf("%s: not within 20 s", what)
}

// TestRulesOfOthers: weights go to the rule that knows the cluster; stickiness,
// other rules and target groups of others stay as they are.
func TestRulesOfOthers(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	other := c.addTargetGroup(t, "other-team")
	listener := c.addListener(t, c.balancer, 8080, elbtypes.Action{
		Type: elbtypes.ActionTypeEnumFixedResponse, FixedResponseConfig: &elbtypes.FixedResponseActionConfig{StatusCode: sdk.String("404")},
	})
	must(c.balance.CreateRule(t.Context(), &elb.CreateRuleInput{
		ListenerArn: sdk.String(listener), Priority: sdk.Int32(5),
		Conditions: []elbtypes.RuleCondition{{Field: sdk.String("path-pattern"), Values: []string{"/other/*"}}},
		Actions:    []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: sdk.String(other)}},
	}))
	first := c.create(shop.ServerGroup(1), "shop-1.1", 0)
	spec := with(t, *first.Spec, "listenerPort", "8080")
	first.Spec = &spec
	c.apply(t, first)
	mine := func() elbtypes.Rule {
		for _, r := range must(c.balance.DescribeRules(t.Context(), &elb.DescribeRulesInput{ListenerArn: sdk.String(listener), PageSize: sdk.Int32(50)})).Rules {
			if *r.IsDefault {
				return r
			}
		}
		t.Fatal("no default rule")
		return elbtypes.Rule{}
	}
	action := mine().Actions[0]
	action.ForwardConfig.TargetGroupStickinessConfig = &elbtypes.TargetGroupStickinessConfig{Enabled: sdk.Bool(true), DurationSeconds: sdk.Int32(90)}
	action.ForwardConfig.TargetGroups = append(action.ForwardConfig.TargetGroups, elbtypes.TargetGroupTuple{TargetGroupArn: sdk.String(other), Weight: sdk.Int32(7)})
	action.TargetGroupArn = nil
	must(c.balance.ModifyListener(t.Context(), &elb.ModifyListenerInput{ListenerArn: sdk.String(listener), DefaultActions: []elbtypes.Action{action}}))

	c.apply(t, c.weigh(t, delivery.Weight{ServerGroup: shop.ServerGroup(1), Percent: 100}))
	after := mine().Actions[0].ForwardConfig
	if !*after.TargetGroupStickinessConfig.Enabled || *after.TargetGroupStickinessConfig.DurationSeconds != 90 {
		t.Errorf("stickiness %+v", after.TargetGroupStickinessConfig)
	}
	weights := map[string]int32{}
	for _, d := range after.TargetGroups {
		weights[*d.TargetGroupArn] = *d.Weight
	}
	if len(weights) != 2 || weights[other] != 7 {
		t.Errorf("weights %v", weights)
	}
	second := c.create(shop.ServerGroup(2), "shop-1.1", 0)
	for range 10 {
		if _, err := c.target.Apply(t.Context(), second); err != nil {
			if delivery.KindOf(err) != delivery.Conflict || !strings.Contains(err.Error(), "other-team") {
				t.Errorf("creation beside a stranger: %v", err)
			}
			return
		}
	}
	t.Error("a rule that others use was changed")
}

// TestErrors wants the kind and the code of what AWS answers.
func TestErrors(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.apply(t, c.create(shop.ServerGroup(1), "shop-1.1", 0))
	for _, test := range []struct {
		name   string
		effect simcloud.Effect
		want   delivery.Kind
		code   string
	}{
		{"throttled", simcloud.Effect{Kind: simcloud.EffectThrottle}, delivery.Throttled, "Throttling"},
		{"down", simcloud.Effect{Kind: simcloud.EffectError, Status: 503}, delivery.Transient, "ServiceUnavailable"},
		{"reset", simcloud.Effect{Kind: simcloud.EffectReset}, delivery.Transient, ""},
		{"forbidden", simcloud.Effect{Kind: simcloud.EffectError, Status: 403, Code: "AccessDenied"}, delivery.Denied, "AccessDenied"},
	} {
		c.fault(simcloud.Fault{Match: simcloud.Match{Action: "DescribeAutoScalingGroups"}, Effect: test.effect})
		_, err := c.target.Observe(t.Context(), c.Cluster(shop), "")
		c.world.Faults.Clear()
		if delivery.KindOf(err) != test.want || codeOf(err) != test.code {
			t.Errorf("%s: kind %v, code %q, %v", test.name, delivery.KindOf(err), codeOf(err), err)
		}
	}
	if _, err := c.target.Observe(t.Context(), c.Cluster(shop), "nope"); delivery.KindOf(err) != delivery.NotFound {
		t.Errorf("unknown load balancer: %v", err)
	}
	if _, err := c.target.Apply(t.Context(), delivery.Change{Kind: "explode", Cluster: c.Cluster(shop), Group: shop.ServerGroup(1)}); delivery.KindOf(err) != delivery.Invalid {
		t.Errorf("unknown change: %v", err)
	}
}

// TestStaleReads lets each read of a creation see the state before the last
// write: it ends with one group all the same.
func TestStaleReads(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.apply(t, c.create(shop.ServerGroup(1), "shop-1.1", 0))
	c.fault(simcloud.Fault{Match: simcloud.Match{Reads: true, Probability: 0.3}, Effect: simcloud.Effect{Kind: simcloud.EffectStaleRead, Reads: 40}})
	c.apply(t, c.create(shop.ServerGroup(2), "shop-1.1", 0))
	c.world.Faults.Clear()
	seen := c.observe(t, "")
	if len(seen.Groups) != 2 || !seen.Groups[1].Complete || len(seen.Routing.Weights) != 2 {
		t.Errorf("after stale reads: %+v", seen)
	}
}

func launchTemplate(name string) *astypes.LaunchTemplateSpecification {
	return &astypes.LaunchTemplateSpecification{LaunchTemplateName: sdk.String(name), Version: sdk.String("1")}
}
