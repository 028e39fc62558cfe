package aws

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/slipway-cd/slipway/simcloud"
)

type ruleXML struct {
	RuleArn    string
	Priority   string
	IsDefault  bool
	Conditions members[ruleCondition]
	Actions    members[ruleAction]
	Transforms members[string]
}

type rulesOutput struct {
	Rules      members[ruleXML]
	NextMarker *string
}

func renderRule(r *rule) ruleXML {
	priority := "default"
	if !r.isDefault() {
		priority = strconv.Itoa(r.Priority)
	}
	return ruleXML{RuleArn: r.ARN, Priority: priority, IsDefault: r.isDefault(), Conditions: listOf(r.Conditions), Actions: listOf(r.Actions)}
}

type createRuleInput struct {
	ListenerArn string          `wire:",required"`
	Priority    *int32          `wire:",required"`
	Conditions  []ruleCondition `wire:",required"`
	Actions     []ruleAction    `wire:",required"`
	Tags        []queryTag
	Transforms  refused
}

// maxPriority: API reference of RulePriorityPair ("The rule priority", 1 to 50000).
const maxPriority = 50000

func checkPriority(p int32) *apiError {
	if p < 1 || p > maxPriority {
		return refuse("ValidationError", "The priority '%d' must be between 1 and %d", p, maxPriority)
	}
	return nil
}

func (c *call) createRule(in *createRuleInput) (*rulesOutput, error) {
	l := c.data.Listeners[in.ListenerArn]
	if l == nil {
		return nil, listenerNotFound()
	}
	if refusal := checkPriority(*in.Priority); refusal != nil {
		return nil, refusal
	}
	for _, r := range c.data.rulesOf(l.ARN) {
		if r.Priority == int(*in.Priority) {
			return nil, refuse("PriorityInUse", "Priority '%d' is currently in use", *in.Priority)
		}
	}
	conditions, refusal := checkConditions(in.Conditions)
	if refusal != nil {
		return nil, refusal
	}
	actions, refusal := c.checkActions(in.Actions, l.Balancer)
	if refusal != nil {
		return nil, refusal
	}
	r := c.region.addRule(l, &rule{Priority: int(*in.Priority), Conditions: conditions, Actions: actions, Tags: toTags(in.Tags)})
	c.resource(simcloud.ResourceCreated, thing{simcloud.TypeRule, r.ARN, strconv.Itoa(r.Priority), r.Tags})
	c.region.applyListener(l)
	return &rulesOutput{Rules: listOf([]ruleXML{renderRule(r)})}, nil
}

func listenerNotFound() *apiError {
	return refuse("ListenerNotFound", "One or more listeners not found")
}

func ruleNotFound() *apiError { return refuse("RuleNotFound", "One or more rules not found") }

// addRule stores a rule of a listener under a new ARN.
func (r *region) addRule(l *listener, added *rule) *rule {
	added.Listener = l.ARN
	added.ARN = replaceKind(l.ARN, "listener/", "listener-rule/") + "/" + r.cloud.newID("", 16)
	r.data.Rules[added.ARN] = added
	return added
}

// rulesOf returns the rules of a listener by priority, the default rule last.
func (d *regionData) rulesOf(listenerARN string) []*rule {
	var rules []*rule
	for _, r := range d.Rules {
		if r.Listener == listenerARN {
			rules = append(rules, r)
		}
	}
	slices.SortFunc(rules, func(a, b *rule) int { return cmp.Compare(a.order(), b.order()) })
	return rules
}

func (r *rule) order() int {
	if r.isDefault() {
		return maxPriority + 1
	}
	return r.Priority
}

type describeRulesInput struct {
	ListenerArn string
	RuleArns    []string
	Marker      string
	PageSize    *int32
}

func (c *call) describeRules(in *describeRulesInput) (*rulesOutput, error) {
	var found []*rule
	switch {
	case in.ListenerArn != "" && len(in.RuleArns) > 0:
		return nil, refuse("ValidationError", "Rule ARNs and a listener ARN cannot be specified at the same time")
	case in.ListenerArn != "":
		if c.data.Listeners[in.ListenerArn] == nil {
			return nil, listenerNotFound()
		}
		found = c.data.rulesOf(in.ListenerArn)
	case len(in.RuleArns) == 0:
		return nil, refuse("ValidationError", "One of the following must be specified: a listener ARN or rule ARNs")
	}
	for _, arn := range in.RuleArns {
		r := c.data.Rules[arn]
		if r == nil {
			return nil, ruleNotFound()
		}
		found = append(found, r)
	}
	key := func(r *rule) string { return fmt.Sprintf("%05d%s", r.order(), r.ARN) }
	slices.SortFunc(found, func(a, b *rule) int { return cmp.Compare(key(a), key(b)) })
	part, next, ok := page(found, key, in.Marker, c.size(valueOr(in.PageSize, 0)))
	if !ok {
		return nil, invalidMarker()
	}
	return &rulesOutput{Rules: listOf(mapped(part, renderRule)), NextMarker: optional(next)}, nil
}

func invalidMarker() *apiError { return refuse("ValidationError", "The marker is invalid") }

type modifyRuleInput struct {
	RuleArn         string `wire:",required"`
	Actions         []ruleAction
	Conditions      []ruleCondition
	ResetTransforms ignored
	Transforms      refused
}

// modifyRule replaces the lists that are given (API reference: "you must provide the entire list"). The default rule is
// changed through ModifyListener only: "OperationNotPermitted: Default rule '...' cannot be modified", recorded in
// FeLvi-zzz/tentez pull request 32.
func (c *call) modifyRule(in *modifyRuleInput) (*rulesOutput, error) {
	r := c.data.Rules[in.RuleArn]
	if r == nil {
		return nil, ruleNotFound()
	}
	if r.isDefault() {
		return nil, refuse("OperationNotPermitted", "Default rule '%s' cannot be modified", r.ARN)
	}
	l := c.data.Listeners[r.Listener]
	changed := copyOf(*r)
	if in.Conditions != nil {
		conditions, refusal := checkConditions(in.Conditions)
		if refusal != nil {
			return nil, refusal
		}
		changed.Conditions = conditions
	}
	if in.Actions != nil {
		actions, refusal := c.checkActions(in.Actions, l.Balancer)
		if refusal != nil {
			return nil, refusal
		}
		changed.Actions = actions
	}
	*r = changed
	c.region.applyListener(l)
	return &rulesOutput{Rules: listOf([]ruleXML{renderRule(r)})}, nil
}

type deleteRuleInput struct {
	RuleArn string `wire:",required"`
}

type nothing struct{}

func (c *call) deleteRule(in *deleteRuleInput) (*nothing, error) {
	r := c.data.Rules[in.RuleArn]
	if r == nil {
		return nil, ruleNotFound()
	}
	if r.isDefault() {
		return nil, refuse("OperationNotPermitted", "Default rule '%s' cannot be deleted", r.ARN)
	}
	delete(c.data.Rules, r.ARN)
	c.resource(simcloud.ResourceDeleted, thing{simcloud.TypeRule, r.ARN, strconv.Itoa(r.Priority), r.Tags})
	c.region.applyListener(c.data.Listeners[r.Listener])
	return &nothing{}, nil
}

type rulePriority struct {
	RuleArn  string `wire:",required"`
	Priority *int32 `wire:",required"`
}

type setRulePrioritiesInput struct {
	RulePriorities []rulePriority `wire:",required"`
}

// setRulePriorities moves all given rules at once, so that two rules can swap.
func (c *call) setRulePriorities(in *setRulePrioritiesInput) (*rulesOutput, error) {
	wanted := map[string]int{}
	for _, p := range in.RulePriorities {
		r := c.data.Rules[p.RuleArn]
		if r == nil {
			return nil, ruleNotFound()
		}
		if r.isDefault() {
			return nil, refuse("OperationNotPermitted", "Default rule '%s' cannot be modified", r.ARN)
		}
		if refusal := checkPriority(*p.Priority); refusal != nil {
			return nil, refusal
		}
		wanted[p.RuleArn] = int(*p.Priority)
	}
	if refusal := c.data.prioritiesFree(wanted); refusal != nil {
		return nil, refusal
	}
	var out []ruleXML
	for _, p := range in.RulePriorities {
		r := c.data.Rules[p.RuleArn]
		r.Priority = wanted[p.RuleArn]
		out = append(out, renderRule(r))
		c.region.applyListener(c.data.Listeners[r.Listener])
	}
	return &rulesOutput{Rules: listOf(out)}, nil
}

func (d *regionData) prioritiesFree(wanted map[string]int) *apiError {
	taken := map[string]bool{}
	for _, r := range sorted(d.Rules) {
		priority := r.Priority
		if p, ok := wanted[r.ARN]; ok {
			priority = p
		}
		key := fmt.Sprintf("%s %d", r.Listener, priority)
		if taken[key] {
			return refuse("PriorityInUse", "Priority '%d' is currently in use", priority)
		}
		taken[key] = true
	}
	return nil
}
