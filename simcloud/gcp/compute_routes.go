package gcp

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"

	"github.com/slipway-cd/slipway/simcloud"
)

// checkMatcher refuses a path matcher whose rules cannot be (discovery document: only one of pathRules and routeRules;
// priorities are unique; a path begins with / and has * only at its end after a /).
func checkMatcher(at string, m *computepb.PathMatcher) *apiError {
	if !rfc1035.MatchString(m.GetName()) {
		return invalidValue(at+"name", m.GetName(), "Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'")
	}
	if len(m.GetPathRules()) > 0 && len(m.GetRouteRules()) > 0 {
		return invalidValue(at+"routeRules", "", "Only one of pathRules or routeRules must be set.")
	}
	for i, rule := range m.GetPathRules() {
		for _, path := range rule.GetPaths() {
			if bare := strings.TrimSuffix(path, "/*"); !strings.HasPrefix(path, "/") || strings.ContainsAny(bare, "*?#") {
				return invalidValue(fmt.Sprintf("%spathRules[%d].paths", at, i), path, "Paths must start with / and may have a * at the end only, following a /.")
			}
		}
	}
	seen := map[int32]bool{}
	for i, rule := range m.GetRouteRules() {
		field := fmt.Sprintf("%srouteRules[%d].", at, i)
		if priority := rule.GetPriority(); priority < 0 || seen[priority] {
			return invalidValue(field+"priority", fmt.Sprint(priority), "Priorities are numbers from 0 to 2147483647, and unique.")
		}
		seen[rule.GetPriority()] = true
		for n, match := range rule.GetMatchRules() {
			if _, refusal := conditionsOf(fmt.Sprintf("%smatchRules[%d].", field, n), match); refusal != nil {
				return refusal
			}
		}
	}
	return nil
}

// rulesOf are the rules of a load balancer that a URL map makes. Every place has one id, "<path>#default", "#<matcher>" or
// "#<matcher>/<n>" with the number of a path rule or the priority of a route rule; a place with several ways to it becomes
// several rules of that id.
func (p *computePlane) rulesOf(path string, message *computepb.UrlMap) []simcloud.Rule {
	var out []simcloud.Rule
	add := func(rule simcloud.Rule) {
		rule.Priority = len(out)
		out = append(out, rule)
	}
	for _, way := range hostsOf(message) {
		host := simcloud.Condition{Field: simcloud.FieldHost, Values: []string{way.host}}
		for _, rule := range p.matcherRules(path+"#"+way.matcher.GetName(), way.matcher) {
			rule.Conditions = append([]simcloud.Condition{host}, rule.Conditions...)
			add(rule)
		}
	}
	add(p.rule(path+"#default", destination{message.GetDefaultService(), message.GetDefaultRouteAction(), message.GetDefaultUrlRedirect()}))
	return out
}

// hostWay is a host of a host rule with the path matcher that it leads to.
type hostWay struct {
	host    string
	matcher *computepb.PathMatcher
}

// hostsOf are all hosts in the order in which they are tried: exact ones, then the longest pattern first ("URL maps overview",
// host matching).
func hostsOf(message *computepb.UrlMap) []hostWay {
	var out []hostWay
	for _, rule := range message.GetHostRules() {
		for _, m := range message.GetPathMatchers() {
			if m.GetName() != rule.GetPathMatcher() {
				continue
			}
			for _, host := range rule.GetHosts() {
				out = append(out, hostWay{host, m})
			}
		}
	}
	rank := func(w hostWay) int {
		if strings.HasPrefix(w.host, "*") {
			return -len(w.host)
		}
		return -1 << 20
	}
	slices.SortStableFunc(out, func(a, b hostWay) int { return rank(a) - rank(b) })
	return out
}

// matcherRules are the rules of a path matcher: path rules longest first, route rules by priority, then its default.
func (p *computePlane) matcherRules(id string, m *computepb.PathMatcher) []simcloud.Rule {
	var out []simcloud.Rule
	type pathWay struct {
		path string
		rule simcloud.Rule
	}
	var ways []pathWay
	for n, rule := range m.GetPathRules() {
		for _, path := range rule.GetPaths() {
			ways = append(ways, pathWay{path, p.rule(id+"/"+strconv.Itoa(n), destination{rule.GetService(), rule.GetRouteAction(), rule.GetUrlRedirect()})})
		}
	}
	slices.SortStableFunc(ways, func(a, b pathWay) int { return len(b.path) - len(a.path) })
	for _, way := range ways {
		way.rule.Conditions = []simcloud.Condition{{Field: simcloud.FieldPath, Values: []string{way.path}}}
		out = append(out, way.rule)
	}
	routes := slices.SortedFunc(slices.Values(m.GetRouteRules()), func(a, b *computepb.HttpRouteRule) int { return cmp.Compare(a.GetPriority(), b.GetPriority()) })
	for _, rule := range routes {
		to := p.rule(id+"/"+strconv.Itoa(int(rule.GetPriority())), destination{rule.GetService(), rule.GetRouteAction(), rule.GetUrlRedirect()})
		for _, match := range rule.GetMatchRules() {
			conditions, refusal := conditionsOf("", match)
			if refusal != nil {
				continue // checked when it was stored
			}
			to.Conditions = conditions
			// Whoever sends a certain header asks for this one backend service.
			to.Preview = len(match.GetHeaderMatches()) > 0 && len(to.Forward) == 1
			out = append(out, to)
		}
		if len(rule.GetMatchRules()) == 0 {
			out = append(out, to)
		}
	}
	return append(out, p.rule(id, destination{m.GetDefaultService(), m.GetDefaultRouteAction(), m.GetDefaultUrlRedirect()}))
}

// destination is where a place leads: one of its fields is set, but an action may also come with a service.
type destination struct {
	service  string
	action   *computepb.HttpRouteAction
	redirect *computepb.HttpRedirectAction
}

// rule leads to a service, to several by weight, or elsewhere.
func (p *computePlane) rule(id string, to destination) simcloud.Rule {
	out := simcloud.Rule{ID: id}
	switch {
	case to.redirect != nil:
		out.Fixed = &simcloud.FixedResponse{Status: redirectStatus[to.redirect.GetRedirectResponseCode()], Location: locationOf(to.redirect)}
	case to.service != "":
		out.Forward = []simcloud.Destination{{TargetGroup: p.targets[pathOfLink(to.service)], Weight: 100}}
	}
	for _, w := range to.action.GetWeightedBackendServices() {
		out.Forward = append(out.Forward, simcloud.Destination{TargetGroup: p.targets[pathOfLink(w.GetBackendService())], Weight: int(w.GetWeight())})
	}
	return out
}
