package asg

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/aws"
)

// rule is one listener rule with the listener that it belongs to. ModifyRule
// replaces the whole list of actions, so a rule is always written back with
// everything that was read.
type rule struct {
	arn, listener string
	port          int32
	priority      int // 1 to 50000; the default rule comes last
	isDefault     bool
	actions       []elbtypes.Action
	conditions    []elbtypes.RuleCondition
	// preview is set for a rule that leads testers to one group of the cluster. Its
	// weight divides nobody's traffic.
	preview *delivery.Preview
}

const defaultPriority = 1 << 20

// rules returns every rule of a load balancer, sorted by port and priority.
func (t *Target) rules(ctx context.Context, balancerARN string) ([]rule, error) {
	var out []rule
	listeners := elb.NewDescribeListenersPaginator(t.balance, &elb.DescribeListenersInput{LoadBalancerArn: ptr(balancerARN)})
	for listeners.HasMorePages() {
		page, err := listeners.NextPage(ctx)
		if err != nil {
			return nil, aws.Classify(err, "describe listeners of %s", nameOfLoadBalancer(balancerARN))
		}
		for _, l := range page.Listeners {
			of, err := t.rulesOf(ctx, l)
			if err != nil {
				return nil, err
			}
			out = append(out, of...)
		}
	}
	slices.SortFunc(out, func(a, b rule) int {
		return cmp.Or(cmp.Compare(a.port, b.port), cmp.Compare(a.priority, b.priority))
	})
	return out, nil
}

func (t *Target) rulesOf(ctx context.Context, l elbtypes.Listener) ([]rule, error) {
	var out []rule
	pages := elb.NewDescribeRulesPaginator(t.balance, &elb.DescribeRulesInput{ListenerArn: l.ListenerArn})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, aws.Classify(err, "describe rules of port %d", deref(l.Port))
		}
		for _, r := range page.Rules {
			priority, err := strconv.Atoi(deref(r.Priority))
			if err != nil {
				priority = defaultPriority // the default rule's priority is the word "default"
			}
			out = append(out, rule{
				arn: deref(r.RuleArn), listener: deref(l.ListenerArn), port: deref(l.Port),
				priority: priority, isDefault: deref(r.IsDefault), actions: r.Actions, conditions: r.Conditions,
			})
		}
	}
	return out, nil
}

// rulesUsing returns the rules that forward to one of the target groups, at any
// weight, of whichever load balancer.
func (t *Target) rulesUsing(ctx context.Context, targetGroups []elbtypes.TargetGroup) ([]rule, error) {
	var out []rule
	read := map[string][]rule{}
	for _, g := range targetGroups {
		for _, balancer := range g.LoadBalancerArns {
			if _, known := read[balancer]; !known {
				all, err := t.rules(ctx, balancer)
				if err != nil {
					return nil, err
				}
				read[balancer] = all
			}
			for _, r := range read[balancer] {
				if r.has(deref(g.TargetGroupArn)) {
					out = append(out, r)
				}
			}
		}
	}
	return out, nil
}

// destinations returns the target groups that the rule forwards to.
func (r rule) destinations() []elbtypes.TargetGroupTuple {
	for _, a := range r.actions {
		if a.Type != elbtypes.ActionTypeEnumForward {
			continue
		}
		if a.ForwardConfig != nil && len(a.ForwardConfig.TargetGroups) > 0 {
			return a.ForwardConfig.TargetGroups
		}
		if a.TargetGroupArn != nil {
			return []elbtypes.TargetGroupTuple{{TargetGroupArn: a.TargetGroupArn}}
		}
	}
	return nil
}

// weight is what a destination counts. AWS writes 1 for the single target group
// of a rule that was made without weights.
func weight(d elbtypes.TargetGroupTuple) int32 {
	if d.Weight == nil {
		return 1
	}
	return *d.Weight
}

// has reports whether the rule forwards to the target group, at any weight.
func (r rule) has(targetGroup string) bool {
	return slices.ContainsFunc(r.destinations(), func(d elbtypes.TargetGroupTuple) bool {
		return deref(d.TargetGroupArn) == targetGroup
	})
}

// weighs reports whether the rule sends requests to one of the target groups.
func (r rule) weighs(owned func(targetGroup string) bool) bool {
	return slices.ContainsFunc(r.destinations(), func(d elbtypes.TargetGroupTuple) bool {
		return weight(d) > 0 && owned(deref(d.TargetGroupArn))
	})
}

// final is the action that ends the rule's list, the one that slipway changes.
// ok is false when it is one that must not be replaced, such as a redirect.
func (r rule) final() (index int, ok bool) {
	for i, a := range r.actions {
		switch a.Type {
		case elbtypes.ActionTypeEnumForward, elbtypes.ActionTypeEnumFixedResponse:
			return i, true
		}
	}
	return 0, false
}

// with returns the rule's actions with other destinations: stickiness and the
// actions before it (authentication) are kept. A rule without a destination
// answers 503 itself.
func (r rule) with(destinations []elbtypes.TargetGroupTuple) ([]elbtypes.Action, error) {
	index, ok := r.final()
	if !ok {
		return nil, delivery.Errorf(delivery.Invalid, "rule %s on port %d neither forwards nor answers itself", r.arn, r.port)
	}
	actions := slices.Clone(r.actions)
	for i, a := range actions {
		if a.AuthenticateOidcConfig != nil {
			// The secret is never shown, so it has to be kept by name.
			keep := *a.AuthenticateOidcConfig
			keep.UseExistingClientSecret = ptr(true)
			actions[i].AuthenticateOidcConfig = &keep
		}
	}
	old := actions[index]
	if len(destinations) == 0 {
		actions[index] = elbtypes.Action{
			Type: elbtypes.ActionTypeEnumFixedResponse, Order: old.Order,
			FixedResponseConfig: &elbtypes.FixedResponseActionConfig{StatusCode: ptr("503")},
		}
		return actions, nil
	}
	forward := &elbtypes.ForwardActionConfig{TargetGroups: destinations}
	if old.ForwardConfig != nil {
		forward.TargetGroupStickinessConfig = old.ForwardConfig.TargetGroupStickinessConfig
	}
	actions[index] = elbtypes.Action{Type: elbtypes.ActionTypeEnumForward, Order: old.Order, ForwardConfig: forward}
	return actions, nil
}

// writeRule replaces the rule's actions and returns the action that was called.
func (t *Target) writeRule(ctx context.Context, r rule, destinations []elbtypes.TargetGroupTuple) (string, error) {
	actions, err := r.with(destinations)
	if err != nil {
		return "", err
	}
	if r.isDefault {
		_, err = t.balance.ModifyListener(ctx, &elb.ModifyListenerInput{ListenerArn: ptr(r.listener), DefaultActions: actions})
		return "ModifyListener", aws.Classify(err, "modify default rule of port %d", r.port)
	}
	_, err = t.balance.ModifyRule(ctx, &elb.ModifyRuleInput{RuleArn: ptr(r.arn), Actions: actions})
	return "ModifyRule", aws.Classify(err, "modify rule %d of port %d", r.priority, r.port)
}

// fingerprint is a hash over everything that the rule stores about where
// requests go. The order of the destinations has no meaning and no influence.
func (r rule) fingerprint() string {
	type destination struct {
		ARN    string
		Weight int32
	}
	stored := struct {
		Rule         string
		Kinds        []elbtypes.ActionTypeEnum
		Destinations []destination
		Stickiness   *elbtypes.TargetGroupStickinessConfig
	}{Rule: r.arn}
	for _, a := range r.actions {
		stored.Kinds = append(stored.Kinds, a.Type)
		if a.ForwardConfig != nil && a.ForwardConfig.TargetGroupStickinessConfig != nil {
			stored.Stickiness = a.ForwardConfig.TargetGroupStickinessConfig
		}
	}
	for _, d := range r.destinations() {
		stored.Destinations = append(stored.Destinations, destination{deref(d.TargetGroupArn), weight(d)})
	}
	slices.SortFunc(stored.Destinations, func(a, b destination) int { return cmp.Compare(a.ARN, b.ARN) })
	text, err := json.Marshal(stored)
	if err != nil {
		return "" // plain strings and numbers always marshal
	}
	sum := sha256.Sum256(text)
	return fmt.Sprintf("%x", sum[:16])
}
