package asg

import (
	"context"
	"slices"
	"strings"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/aws"
)

// A preview is a listener rule of its own above the cluster's: it has the
// conditions of that rule and one more, and forwards to one target group. Its tags
// tell it from rules of others that look like it.

const (
	headerField = "http-header"
	cookieName  = "Cookie"
	// lastPriority is the highest that a rule may have (API reference of RulePriorityPair).
	lastPriority = 50000
	// maxHeaderName and maxHeaderValue are the limits of HttpHeaderConditionConfig.
	maxHeaderName, maxHeaderValue = 40, 128
)

// condition is what a match adds to the conditions of a rule. A cookie stands in its
// header between others: four patterns find it alone, first, last and amid them, and
// no other whose name or value only contains it.
func condition(m delivery.Match) elbtypes.RuleCondition {
	name, values := m.Header, []string{m.Value}
	if m.Kind() == delivery.MatchCookie {
		pair := m.Cookie + "=" + m.Value
		name, values = cookieName, []string{pair, pair + ";*", "*; " + pair, "*; " + pair + ";*"}
	}
	return elbtypes.RuleCondition{Field: ptr(headerField), HttpHeaderConfig: &elbtypes.HttpHeaderConditionConfig{HttpHeaderName: ptr(name), Values: values}}
}

// matchOf reads the match back from the last header condition of a rule.
func matchOf(conditions []elbtypes.RuleCondition) (delivery.Match, bool) {
	for _, c := range slices.Backward(conditions) {
		if deref(c.Field) != headerField || c.HttpHeaderConfig == nil || len(c.HttpHeaderConfig.Values) == 0 {
			continue
		}
		name, value := deref(c.HttpHeaderConfig.HttpHeaderName), c.HttpHeaderConfig.Values[0]
		if cookie, of, ok := strings.Cut(value, "="); ok && strings.EqualFold(name, cookieName) {
			return delivery.Match{Cookie: cookie, Value: of}, true
		}
		return delivery.Match{Header: name, Value: value}, true
	}
	return delivery.Match{}, false
}

// markPreviews finds out which rules are previews of the cluster's groups. owner
// returns the group of a target group, or "". Without a rule that looks like one, no
// call is made.
func (t *Target) markPreviews(ctx context.Context, cluster delivery.Cluster, rules []rule, owner func(targetGroup string) string) error {
	type candidate struct {
		rule  *rule
		group string
		match delivery.Match
	}
	var found []candidate
	var arns []string
	for i := range rules {
		r := &rules[i]
		match, ok := matchOf(r.conditions)
		if to := r.destinations(); ok && !r.isDefault && len(to) == 1 && owner(deref(to[0].TargetGroupArn)) != "" {
			found = append(found, candidate{r, owner(deref(to[0].TargetGroupArn)), match})
			arns = append(arns, r.arn)
		}
	}
	tags, err := t.elbTagsOf(ctx, arns)
	if delivery.KindOf(err) == delivery.NotFound {
		return delivery.Errorf(delivery.NotReady, "a rule of cluster %s went between two reads", cluster.Name())
	}
	for _, c := range found {
		if owned(tags[c.rule.arn], cluster, c.group) {
			c.rule.preview = &delivery.Preview{ServerGroup: c.group, Match: c.match}
		}
	}
	return err
}

// findPreviews marks the previews among the survey's rules.
func (t *Target) findPreviews(ctx context.Context, s *survey) error {
	return t.markPreviews(ctx, s.cluster, s.rules, func(arn string) string {
		if p := s.ownerOf(arn); p != nil {
			return p.name
		}
		return ""
	})
}

// previews are sorted by server group.
func (s *survey) previews() []delivery.Preview {
	var out []delivery.Preview
	for _, r := range s.rules {
		if r.preview != nil {
			out = append(out, *r.preview)
		}
	}
	slices.SortStableFunc(out, func(a, b delivery.Preview) int { return strings.Compare(a.ServerGroup, b.ServerGroup) })
	return out
}

// createPreview makes the rule that leads what matches to the group.
func (t *Target) createPreview(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	if c.Match == nil || len(checkMatch(*c.Match)) > 0 {
		return delivery.Receipt{}, delivery.Errorf(delivery.Invalid, "no listener rule can tell what is to be led to %s", c.Group)
	}
	s, err := t.survey(ctx, c.Cluster, "")
	if err != nil {
		return delivery.Receipt{}, err
	}
	p := s.groups[c.Group]
	if p == nil || len(p.targetGroups) == 0 || s.rule == nil {
		return delivery.Receipt{}, delivery.Errorf(delivery.NotFound, "server group %s behind a load balancer", c.Group)
	}
	for _, is := range s.previews() {
		switch {
		case is.ServerGroup == c.Group && is.Match.Is(*c.Match):
			return done(), nil
		case is.ServerGroup == c.Group, is.Match.Is(*c.Match):
			return delivery.Receipt{}, delivery.Errorf(delivery.Conflict, "%s leads to %s already", is.Match, is.ServerGroup)
		}
	}
	in, err := s.previewInput(c, p.targetGroups[0])
	if err != nil {
		return delivery.Receipt{}, err
	}
	_, err = t.balance.CreateRule(ctx, in)
	if aws.Code(err) == "PriorityInUse" {
		// By somebody else, or by an earlier try of ours whose answer was lost.
		return delivery.Receipt{}, delivery.Errorf(delivery.NotReady, "priority %d of port %d was taken since it was read", *in.Priority, s.rule.port)
	}
	if err != nil {
		return delivery.Receipt{}, aws.Classify(err, "create rule %d of port %d", *in.Priority, s.rule.port)
	}
	return wrote("CreateRule"), nil
}

// previewInput has everything of the cluster's rule but its destinations.
func (s *survey) previewInput(c delivery.Change, targetGroup string) (*elb.CreateRuleInput, error) {
	priority, ok := s.freePriority()
	if !ok {
		return nil, delivery.Errorf(delivery.Quota, "every priority above the rule of port %d is taken", s.rule.port)
	}
	if s.rule.signsIn() {
		return nil, delivery.Errorf(delivery.Invalid, "the rule of port %d signs users in: its client secret cannot be read for a second rule", s.rule.port)
	}
	actions, err := s.rule.with([]elbtypes.TargetGroupTuple{{TargetGroupArn: ptr(targetGroup), Weight: ptr(int32(100))}})
	if err != nil {
		return nil, err
	}
	conditions := slices.Clone(s.rule.conditions)
	for i := range conditions {
		if conditions[i].HostHeaderConfig != nil || conditions[i].PathPatternConfig != nil {
			conditions[i].Values = nil // AWS shows these in both places and takes them in one
		}
	}
	return &elb.CreateRuleInput{
		ListenerArn: ptr(s.rule.listener), Priority: ptr(int32(priority)),
		Conditions: append(conditions, condition(*c.Match)), Actions: actions, Tags: elbTags(ownership(c)),
	}, nil
}

// freePriority returns the free priority that is nearest above the cluster's rule:
// rules that are more important than that one stay so.
func (s *survey) freePriority() (int, bool) {
	taken := map[int]bool{}
	for _, r := range s.rules {
		if r.listener == s.rule.listener {
			taken[r.priority] = true
		}
	}
	for p := min(s.rule.priority-1, lastPriority); p > 0; p-- {
		if !taken[p] {
			return p, true
		}
	}
	return 0, false
}

// deletePreview removes the rule that leads to the group.
func (t *Target) deletePreview(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	s, err := t.survey(ctx, c.Cluster, "")
	if err != nil {
		return delivery.Receipt{}, err
	}
	for _, r := range s.rules {
		if r.preview != nil && r.preview.ServerGroup == c.Group {
			return t.deleteRule(ctx, r)
		}
	}
	return done(), nil
}

func (t *Target) deleteRule(ctx context.Context, r rule) (delivery.Receipt, error) {
	_, err := t.balance.DeleteRule(ctx, &elb.DeleteRuleInput{RuleArn: ptr(r.arn)})
	if err = aws.Classify(err, "delete rule %d of port %d", r.priority, r.port); err != nil && delivery.KindOf(err) != delivery.NotFound {
		return delivery.Receipt{}, err
	}
	return wrote("DeleteRule"), nil
}

// signsIn reports whether the rule has a client secret, which AWS does not show.
func (r rule) signsIn() bool {
	return slices.ContainsFunc(r.actions, func(a elbtypes.Action) bool { return a.AuthenticateOidcConfig != nil })
}

// checkMatch tells what of a match no listener rule can say. The pointers are those
// of a cluster object.
func checkMatch(m delivery.Match) []delivery.Finding {
	value := condition(m).HttpHeaderConfig.Values
	switch {
	case m.Kind() == delivery.MatchTagURL:
		return finding("/match", "is required: an Auto Scaling group has no address of its own")
	case len(m.Header) > maxHeaderName:
		return finding("/match/header", "has %d characters; AWS allows %d", len(m.Header), maxHeaderName)
	case strings.EqualFold(m.Header, "Host"):
		return finding("/match/header", "is Host; AWS has other conditions for it, and this one would never be met")
	case strings.ContainsAny(m.Cookie+m.Value, "*?"):
		return finding("/match/value", "has a * or ?, which AWS takes for any characters")
	case len(value[len(value)-1]) > maxHeaderValue:
		return finding("/match/value", "needs a condition of %d characters; AWS allows %d", len(value[len(value)-1]), maxHeaderValue)
	default:
		return nil
	}
}

// checkPreview tells what of the load balancer stands against a preview.
func (found *survey) checkPreview(m *delivery.Match, chosen *rule) []delivery.Finding {
	if m == nil {
		return nil
	}
	for _, is := range found.previews() {
		if is.Match.Is(*m) {
			return finding("/match", "leads to server group %s already; promote or abandon that one first", is.ServerGroup)
		}
	}
	if chosen.signsIn() {
		return finding("/match", "needs a second rule like that of port %d, which signs users in: its client secret cannot be read", chosen.port)
	}
	of := *found
	of.rule = chosen
	if _, ok := of.freePriority(); !ok {
		return finding("/match", "needs a rule above that of port %d, and every priority there is taken", chosen.port)
	}
	return nil
}
