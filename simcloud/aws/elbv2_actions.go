package aws

import (
	"slices"
	"strings"
)

// maxForwardGroups and maxWeight: API reference of TargetGroupTuple and quota "Target groups per action on an
// Application Load Balancer".
const (
	maxForwardGroups = 5
	maxWeight        = 999
)

// checkActions validates the actions of a rule or listener and brings them into the form in which AWS returns them: a
// forward action always has a ForwardConfig with weights, and TargetGroupArn when it has one target group.
func (c *call) checkActions(actions []ruleAction, balancerARN string) ([]ruleAction, *apiError) {
	if len(actions) == 0 {
		return nil, refuse("ValidationError", "An action must be specified")
	}
	if len(actions) > 1 {
		return nil, unsimulated(c.action, "Actions.member.2")
	}
	a := copyOf(actions[0])
	a.Order = nil
	switch a.Type {
	case "forward":
		if refusal := c.checkForward(&a, balancerARN); refusal != nil {
			return nil, refusal
		}
	case "fixed-response":
		if a.FixedResponseConfig == nil || len(a.FixedResponseConfig.StatusCode) != 3 || !strings.Contains("245", a.FixedResponseConfig.StatusCode[:1]) {
			return nil, refuse("InvalidLoadBalancerAction", "The fixed-response action needs a status code 2XX, 4XX or 5XX")
		}
	default:
		return nil, unsimulated(c.action, "Actions of type "+a.Type)
	}
	a.Order = ptr(int32(1))
	return []ruleAction{a}, nil
}

func (c *call) checkForward(a *ruleAction, balancerARN string) *apiError {
	if a.ForwardConfig == nil {
		if valueOr(a.TargetGroupArn, "") == "" {
			return refuse("ValidationError", "A target group ARN must be specified")
		}
		a.ForwardConfig = &forwardConfig{TargetGroups: []targetTuple{{TargetGroupArn: *a.TargetGroupArn}}}
	}
	f := a.ForwardConfig
	if len(f.TargetGroups) == 0 {
		return refuse("ValidationError", "A target group ARN must be specified")
	}
	if a.TargetGroupArn != nil && (len(f.TargetGroups) != 1 || f.TargetGroups[0].TargetGroupArn != *a.TargetGroupArn) {
		return refuse("ValidationError", "If you specify both ForwardConfig and TargetGroupArn, you can specify only one target group using ForwardConfig and it must be the same target group specified in TargetGroupArn")
	}
	if len(f.TargetGroups) > maxForwardGroups {
		return refuse("ValidationError", "A forward action can have at most %d target groups", maxForwardGroups)
	}
	seen := map[string]bool{}
	for i := range f.TargetGroups {
		t := &f.TargetGroups[i]
		if seen[t.TargetGroupArn] {
			return refuse("ValidationError", "Target group '%s' is specified more than once", t.TargetGroupArn)
		}
		seen[t.TargetGroupArn] = true
		t.Weight = ptr(valueOr(t.Weight, 1))
		if *t.Weight < 0 || *t.Weight > maxWeight {
			return refuse("ValidationError", "Weight '%d' must be between 0 and %d", *t.Weight, maxWeight)
		}
		if refusal := c.data.usable(t.TargetGroupArn, balancerARN); refusal != nil {
			return refusal
		}
	}
	a.TargetGroupArn = nil
	if len(f.TargetGroups) == 1 {
		a.TargetGroupArn = &f.TargetGroups[0].TargetGroupArn
	}
	return checkStickiness(f)
}

// checkStickiness fills in what AWS returns for an action without stickiness. The range is that of
// TargetGroupStickinessConfig: 1 second to 7 days.
func checkStickiness(f *forwardConfig) *apiError {
	s := f.TargetGroupStickinessConfig
	if s == nil {
		f.TargetGroupStickinessConfig = &stickinessConfig{Enabled: ptr(false)}
		return nil
	}
	if !valueOr(s.Enabled, false) {
		return nil
	}
	if s.DurationSeconds == nil || *s.DurationSeconds < 1 || *s.DurationSeconds > 604800 {
		return refuse("ValidationError", "Target group stickiness duration must be between 1 and 604800 seconds")
	}
	return nil
}

// usable tells whether a rule of the load balancer may forward to a target group: the group exists and no other load
// balancer uses it (TargetGroupAssociationLimit).
func (d *regionData) usable(groupARN, balancerARN string) *apiError {
	if d.TargetGroups[groupARN] == nil {
		return targetGroupNotFound(groupARN)
	}
	if users := d.balancersOf(groupARN); len(users) > 0 && !slices.Contains(users, balancerARN) {
		return refuse("TargetGroupAssociationLimit",
			"The following target groups cannot be associated with more than one load balancer: %s", groupARN)
	}
	return nil
}

func targetGroupNotFound(string) *apiError {
	return refuse("TargetGroupNotFound", "One or more target groups not found")
}

// balancersOf returns the load balancers whose rules name the target group.
func (d *regionData) balancersOf(groupARN string) []string {
	var arns []string
	for _, r := range sorted(d.Rules) {
		for _, t := range r.destinations() {
			if l := d.Listeners[r.Listener]; t.TargetGroupArn == groupARN && l != nil && !slices.Contains(arns, l.Balancer) {
				arns = append(arns, l.Balancer)
			}
		}
	}
	return arns
}

// conditionKinds maps a condition's field to its values.
var conditionKinds = map[string]func(c *ruleCondition) int{
	"host-header":         func(c *ruleCondition) int { return count(c.HostHeaderConfig) + len(c.Values) },
	"path-pattern":        func(c *ruleCondition) int { return count(c.PathPatternConfig) + len(c.Values) },
	"http-header":         func(c *ruleCondition) int { return headerCount(c.HttpHeaderConfig) },
	"query-string":        func(c *ruleCondition) int { return queryCount(c.QueryStringConfig) },
	"http-request-method": func(c *ruleCondition) int { return methodCount(c.HttpRequestMethodConfig) },
	"source-ip":           func(c *ruleCondition) int { return sourceCount(c.SourceIpConfig) },
}

func count(v *valuesConfig) int {
	if v == nil {
		return 0
	}
	return len(v.Values)
}

func headerCount(v *headerConfig) int {
	if v == nil || v.HttpHeaderName == "" || len(v.HttpHeaderName) > 40 {
		return 0
	}
	return len(v.Values)
}

func queryCount(v *queryConfig) int {
	if v == nil {
		return 0
	}
	return len(v.Values)
}

func methodCount(v *methodsConfig) int {
	if v == nil {
		return 0
	}
	return len(v.Values)
}

func sourceCount(v *sourceConfig) int {
	if v == nil {
		return 0
	}
	return len(v.Values)
}

// checkConditions validates conditions; limits are those of RuleCondition (a header name has at most 40 characters).
func checkConditions(conditions []ruleCondition) ([]ruleCondition, *apiError) {
	out := copyOf(conditions)
	for i := range out {
		values, ok := conditionKinds[out[i].Field]
		if !ok {
			return nil, refuse("ValidationError", "Condition field '%s' must be one of '[path-pattern, host-header, http-header, http-request-method, query-string, source-ip]'", out[i].Field)
		}
		if values(&out[i]) == 0 {
			return nil, refuse("ValidationError", "A condition value must be specified")
		}
		if out[i].queryKeys() > 1 {
			return nil, refuse("UnsupportedOperation", "simulator: a query-string condition with several keys is not simulated")
		}
		out[i].normalize()
	}
	return out, nil
}

// queryKeys counts the different keys of a query-string condition.
func (c *ruleCondition) queryKeys() int {
	keys := map[string]bool{}
	if c.QueryStringConfig != nil {
		for _, pair := range c.QueryStringConfig.Values {
			keys[valueOr(pair.Key, "")] = true
		}
	}
	return len(keys)
}

// normalize fills Values and the config of host and path conditions from each other, as AWS returns both.
func (c *ruleCondition) normalize() {
	config := map[string]**valuesConfig{"host-header": &c.HostHeaderConfig, "path-pattern": &c.PathPatternConfig}[c.Field]
	if config == nil {
		return
	}
	if *config == nil {
		*config = &valuesConfig{Values: slices.Clone(c.Values)}
	}
	c.Values = slices.Clone((*config).Values)
}
