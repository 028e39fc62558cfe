package asg_test

import (
	"slices"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/slipway-cd/slipway/delivery"
)

var canary = delivery.Match{Header: "X-Canary", Value: "always"}

func (c *cloud) preview(group string, m delivery.Match) delivery.Change {
	return delivery.Change{Key: delivery.ChangeKey(group + "#preview"), Kind: delivery.CreatePreview, Cluster: c.Cluster(shop), Deployment: "01TEST/1", Group: group, Match: &m}
}

// addRule makes a rule on the listener of port 80, above its default.
func (c *cloud) addRule(t *testing.T, priority int32, targetGroup string, conditions ...elbtypes.RuleCondition) {
	t.Helper()
	listeners := must(c.balance.DescribeListeners(t.Context(), &elb.DescribeListenersInput{LoadBalancerArn: sdk.String(c.balancer)})).Listeners
	must(c.balance.CreateRule(t.Context(), &elb.CreateRuleInput{
		ListenerArn: listeners[0].ListenerArn, Priority: sdk.Int32(priority), Conditions: conditions,
		Actions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: sdk.String(targetGroup)}},
	}))
}

func header(name string, values ...string) elbtypes.RuleCondition {
	return elbtypes.RuleCondition{Field: sdk.String("http-header"),
		HttpHeaderConfig: &elbtypes.HttpHeaderConditionConfig{HttpHeaderName: sdk.String(name), Values: values}}
}

// serve makes a group that takes all traffic, and one that takes none.
func (c *cloud) serve(t *testing.T) (serving, dark string) {
	t.Helper()
	serving, dark = shop.ServerGroup(1), shop.ServerGroup(2)
	c.apply(t, c.create(serving, "shop-1.0", 1))
	c.apply(t, c.weigh(t, delivery.Weight{ServerGroup: serving, Percent: 100}))
	c.apply(t, c.create(dark, "shop-1.1", 1))
	return serving, dark
}

// ruleAt returns the rule of a priority, or nil.
func (c *cloud) ruleAt(t *testing.T, priority string) *elbtypes.Rule {
	rules := c.rules(t.Context())
	if i := slices.IndexFunc(rules, func(r elbtypes.Rule) bool { return sdk.ToString(r.Priority) == priority }); i >= 0 {
		return &rules[i]
	}
	return nil
}

// TestPreviewAboveTheDefault: its priority is the free one that is nearest, so that
// rules of others stay more important, and its tags name its owner.
func TestPreviewAboveTheDefault(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	serving, dark := c.serve(t)
	c.addRule(t, 50000, c.addTargetGroup(t, "docs"), elbtypes.RuleCondition{Field: sdk.String("path-pattern"), Values: []string{"/docs/*"}})
	c.apply(t, c.preview(dark, delivery.Match{Cookie: "canary", Value: "yes"}))
	r := c.ruleAt(t, "49999")
	if r == nil || len(r.Conditions) != 1 || len(destinations(*r)) != 1 {
		t.Fatalf("rule %+v", r)
	}
	got := r.Conditions[0].HttpHeaderConfig
	if want := []string{"canary=yes", "canary=yes;*", "*; canary=yes", "*; canary=yes;*"}; *got.HttpHeaderName != "Cookie" || !slices.Equal(got.Values, want) {
		t.Errorf("condition %+v", got)
	}
	seen := c.observe(t, "").Routing
	if seen.Percent(serving) != 100 || seen.Percent(dark) != 0 || seen.PreviewBy(dark, delivery.Match{Cookie: "canary", Value: "yes"}) == nil {
		t.Errorf("routing %+v", seen)
	}
	if findings, err := c.target.Validate(t.Context(), c.Cluster(shop), c.Spec("shop-1.1", 1, true)); err != nil || len(findings) > 0 {
		t.Errorf("validate beside a preview: %v, %v", findings, err)
	}
}

// TestPreviewOfARule: a cluster whose rule has conditions is previewed under them,
// and one more.
func TestPreviewOfARule(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.apply(t, c.create(shop.ServerGroup(1), "shop-1.0", 1))
	own := destinations(*c.ruleAt(t, "default"))[0].TargetGroupArn
	c.addRule(t, 10, *own, elbtypes.RuleCondition{Field: sdk.String("host-header"), Values: []string{"shop.example.com"}})
	listeners := must(c.balance.DescribeListeners(t.Context(), &elb.DescribeListenersInput{LoadBalancerArn: sdk.String(c.balancer)})).Listeners
	must(c.balance.ModifyListener(t.Context(), &elb.ModifyListenerInput{ListenerArn: listeners[0].ListenerArn, DefaultActions: []elbtypes.Action{{
		Type: elbtypes.ActionTypeEnumFixedResponse, FixedResponseConfig: &elbtypes.FixedResponseActionConfig{StatusCode: sdk.String("404")}}}}))
	dark := shop.ServerGroup(2)
	c.apply(t, c.create(dark, "shop-1.1", 1))
	c.apply(t, c.preview(dark, canary))
	r := c.ruleAt(t, "9")
	if r == nil || len(r.Conditions) != 2 || *r.Conditions[0].Field != "host-header" || r.Conditions[0].HostHeaderConfig.Values[0] != "shop.example.com" ||
		*r.Conditions[1].HttpHeaderConfig.HttpHeaderName != "X-Canary" {
		t.Errorf("rule %+v", r)
	}
	c.apply(t, delivery.Change{Key: "gone", Kind: delivery.DestroyGroup, Cluster: c.Cluster(shop), Group: dark})
	if r := c.ruleAt(t, "9"); r != nil {
		t.Errorf("left behind: %+v", r)
	}
}

// TestRuleLikeAPreview: a rule of others that leads to a group of the cluster by a
// header is no preview. It takes traffic, so nothing is moved or removed beside it.
func TestRuleLikeAPreview(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	_, dark := c.serve(t)
	own := destinations(*c.ruleAt(t, "default"))
	c.addRule(t, 7, *own[1].TargetGroupArn, header("X-Canary", "always"))
	if seen := c.observe(t, "").Routing; len(seen.Previews) > 0 {
		t.Errorf("previews %+v", seen.Previews)
	}
	if _, err := c.target.Apply(t.Context(), delivery.Change{Key: "gone", Kind: delivery.DestroyGroup, Cluster: c.Cluster(shop), Group: dark}); delivery.KindOf(err) != delivery.Guarded {
		t.Errorf("destroy: %v", err)
	}
	if c.ruleAt(t, "7") == nil {
		t.Error("the rule of others is gone")
	}
}

// TestNoRoomForAPreview: what stands against a preview is said when the spec is
// validated, with the field, and again when it is written.
func TestNoRoomForAPreview(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	_, dark := c.serve(t)
	c.apply(t, c.preview(dark, canary))
	for _, test := range []struct {
		match            delivery.Match
		pointer, message string
	}{
		{delivery.Match{}, "/match", "no address of its own"},
		{canary, "/match", "leads to server group " + dark},
		{delivery.Match{Header: strings.Repeat("x", 41), Value: "y"}, "/match/header", "AWS allows 40"},
		{delivery.Match{Header: "host", Value: "y"}, "/match/header", "other conditions"},
		{delivery.Match{Header: "X-Canary", Value: "al*"}, "/match/value", "any characters"},
		{delivery.Match{Cookie: "canary", Value: strings.Repeat("y", 118)}, "/match/value", "AWS allows 128"},
	} {
		spec := c.Spec("shop-1.1", 1, true)
		spec.Match = &test.match
		findings, err := c.target.Validate(t.Context(), c.Cluster(shop), spec)
		if err != nil || len(findings) != 1 || findings[0].Pointer != test.pointer || !strings.Contains(findings[0].Message, test.message) {
			t.Errorf("%+v: %v, %v", test.match, findings, err)
		}
	}
	if _, err := c.target.Apply(t.Context(), c.preview(dark, delivery.Match{Header: "X-Other", Value: "y"})); delivery.KindOf(err) != delivery.Conflict {
		t.Errorf("a second way to one group: %v", err)
	}
}
