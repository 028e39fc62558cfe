package aws

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/simcloud"
)

// This file lets the world's load balancers, target groups and machines follow the region's data.

// addTargetGroup stores a target group under a new ARN and makes it run.
func (r *region) addTargetGroup(g *targetGroup) {
	g.ARN = r.arn("elasticloadbalancing", "targetgroup/"+g.Name+"/"+r.cloud.newID("", 16))
	r.data.TargetGroups[g.ARN] = g
	r.targets[g.ARN] = simcloud.NewTargetGroup(r.cloud.world, r.targetConfig(g))
}

func (r *region) targetConfig(g *targetGroup) simcloud.TargetGroupConfig {
	seconds := func(n int) time.Duration { return time.Duration(n) * time.Second }
	attribute := func(key string) int {
		n, err := strconv.Atoi(g.Attributes[key])
		if err != nil {
			return 0
		}
		return n
	}
	return simcloud.TargetGroupConfig{
		ID: g.ARN, Name: g.Name, Account: r.account.Name, Region: r.name,
		HealthCheck: simcloud.HealthCheck{
			Path: g.Check.Path, Interval: seconds(g.Check.Interval), Timeout: seconds(g.Check.Timeout),
			HealthyThreshold: g.Check.Healthy, UnhealthyThreshold: g.Check.Unhealth, Accept: acceptCodes(g.Check.Codes),
		},
		RegistrationDelay:   r.cloud.options.RegistrationDelay,
		DeregistrationDelay: seconds(attribute("deregistration_delay.timeout_seconds")),
		MinimumHealthy:      attribute(attributeMinimumHealthy),
	}
}

type codeRange struct{ low, high int }

// parseCodes reads a matcher: "200", "200,202" or "200-299".
func parseCodes(text string) ([]codeRange, error) {
	var ranges []codeRange
	for part := range strings.SplitSeq(text, ",") {
		low, high, dashed := strings.Cut(part, "-")
		if !dashed {
			high = low
		}
		a, err := strconv.Atoi(low)
		if err != nil {
			return nil, fmt.Errorf("parse matcher %q: %w", text, err)
		}
		b, err := strconv.Atoi(high)
		if err != nil || a < 200 || b > 499 || a > b {
			return nil, fmt.Errorf("parse matcher %q: not within 200-499", text)
		}
		ranges = append(ranges, codeRange{a, b})
	}
	return ranges, nil
}

func acceptCodes(text string) func(int) bool {
	ranges, err := parseCodes(text)
	if err != nil {
		return nil
	}
	return func(status int) bool {
		for _, r := range ranges {
			if status >= r.low && status <= r.high {
				return true
			}
		}
		return false
	}
}

// applyListener gives the rules of a listener to the load balancer.
func (r *region) applyListener(l *listener) {
	var rules []simcloud.Rule
	for _, rule := range r.data.rulesOf(l.ARN) {
		rules = append(rules, r.dataRule(rule))
	}
	if err := r.balancers[l.Balancer].SetRules(l.Port, rules); err != nil {
		r.cloud.options.Logger.Error("apply rules", "listener", l.ARN, "error", err)
	}
}

func (r *region) dataRule(from *rule) simcloud.Rule {
	out := simcloud.Rule{ID: from.ARN, Priority: from.order()}
	for _, t := range from.destinations() {
		out.Forward = append(out.Forward, simcloud.Destination{TargetGroup: r.targets[t.TargetGroupArn], Weight: int(*t.Weight)})
	}
	for _, a := range from.Actions {
		if f := a.FixedResponseConfig; a.Type == "fixed-response" && f != nil {
			status, err := strconv.Atoi(f.StatusCode)
			if err != nil {
				status = 503
			}
			out.Fixed = &simcloud.FixedResponse{Status: status, ContentType: f.ContentType, Body: f.MessageBody}
		}
	}
	for _, c := range from.Conditions {
		out.Conditions = append(out.Conditions, dataConditions(c)...)
		// Whoever sends a certain header asks for this one target group.
		out.Preview = out.Preview || c.Field == "http-header" && len(out.Forward) == 1
	}
	return out
}

func dataConditions(c ruleCondition) []simcloud.Condition {
	one := func(field simcloud.ConditionField, name string, values []string) []simcloud.Condition {
		return []simcloud.Condition{{Field: field, Name: name, Values: values}}
	}
	switch c.Field {
	case "host-header":
		return one(simcloud.FieldHost, "", c.Values)
	case "path-pattern":
		return one(simcloud.FieldPath, "", c.Values)
	case "http-header":
		return one(simcloud.FieldHeader, c.HttpHeaderConfig.HttpHeaderName, c.HttpHeaderConfig.Values)
	case "http-request-method":
		return one(simcloud.FieldMethod, "", c.HttpRequestMethodConfig.Values)
	case "source-ip":
		return one(simcloud.FieldSource, "", c.SourceIpConfig.Values)
	default:
		var key string
		var values []string
		for _, pair := range c.QueryStringConfig.Values {
			key, values = valueOr(pair.Key, ""), append(values, pair.Value)
		}
		return one(simcloud.FieldQuery, key, values)
	}
}

// observeTargets copies the load balancers' present view of their targets into the data.
func (r *region) observeTargets(d *regionData) {
	for arn, g := range d.TargetGroups {
		if live := r.targets[arn]; live != nil {
			g.Health = live.Health()
		}
	}
}

func (r *region) register(groupARN, instanceID string) {
	live, ok := r.cloud.world.Fleet.Instance(instanceID)
	if group := r.targets[groupARN]; ok && group != nil {
		group.Register(live)
	}
}

// stopInstance begins to end a machine. One that has not booted yet goes the same way.
func (r *region) stopInstance(id string) {
	if live, ok := r.cloud.world.Fleet.Instance(id); ok {
		live.Stop("Client.UserInitiatedShutdown")
	}
}
