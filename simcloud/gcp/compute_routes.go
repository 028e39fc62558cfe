package gcp

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
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
	add(p.rule(path+"#default", message.GetDefaultService(), message.GetDefaultRouteAction()))
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
			ways = append(ways, pathWay{path, p.rule(id+"/"+strconv.Itoa(n), rule.GetService(), rule.GetRouteAction())})
		}
	}
	slices.SortStableFunc(ways, func(a, b pathWay) int { return len(b.path) - len(a.path) })
	for _, way := range ways {
		way.rule.Conditions = []simcloud.Condition{{Field: simcloud.FieldPath, Values: []string{way.path}}}
		out = append(out, way.rule)
	}
	routes := slices.SortedFunc(slices.Values(m.GetRouteRules()), func(a, b *computepb.HttpRouteRule) int { return cmp.Compare(a.GetPriority(), b.GetPriority()) })
	for _, rule := range routes {
		to := p.rule(id+"/"+strconv.Itoa(int(rule.GetPriority())), rule.GetService(), rule.GetRouteAction())
		for _, match := range rule.GetMatchRules() {
			conditions, refusal := conditionsOf("", match)
			if refusal != nil {
				continue // checked when it was stored
			}
			to.Conditions = conditions
			out = append(out, to)
		}
		if len(rule.GetMatchRules()) == 0 {
			out = append(out, to)
		}
	}
	return append(out, p.rule(id, m.GetDefaultService(), m.GetDefaultRouteAction()))
}

// rule leads to a service, or to several by weight. A service without any backend answers 503 by itself.
func (p *computePlane) rule(id, service string, action *computepb.HttpRouteAction) simcloud.Rule {
	out := simcloud.Rule{ID: id}
	if service != "" {
		path := pathOfLink(service)
		if len(lookup[*computepb.BackendService](p.project.data, path).GetBackends()) == 0 {
			contentType, body := unavailable(http.StatusServiceUnavailable)
			out.Fixed = &simcloud.FixedResponse{Status: http.StatusServiceUnavailable, ContentType: contentType, Body: body}
			return out
		}
		out.Forward = []simcloud.Destination{{TargetGroup: p.targets[path], Weight: 100}}
		return out
	}
	for _, w := range action.GetWeightedBackendServices() {
		out.Forward = append(out.Forward, simcloud.Destination{TargetGroup: p.targets[pathOfLink(w.GetBackendService())], Weight: int(w.GetWeight())})
	}
	return out
}

// conditionsOf are the conditions of a match rule, which hold together (discovery document, HttpRouteRuleMatch).
func conditionsOf(field string, match *computepb.HttpRouteRuleMatch) ([]simcloud.Condition, *apiError) {
	path, refusal := pathCondition(field, match)
	if refusal != nil {
		return nil, refusal
	}
	out := path
	for i, header := range match.GetHeaderMatches() {
		one, refusal := headerCondition(fmt.Sprintf("%sheaderMatches[%d].", field, i), header)
		if refusal != nil {
			return nil, refusal
		}
		out = append(out, one)
	}
	for i, query := range match.GetQueryParameterMatches() {
		one, refusal := queryCondition(fmt.Sprintf("%squeryParameterMatches[%d].", field, i), query)
		if refusal != nil {
			return nil, refusal
		}
		out = append(out, one)
	}
	if match.PathTemplateMatch != nil || len(match.GetMetadataFilters()) > 0 {
		return nil, &apiError{status: http.StatusNotImplemented, reason: "notImplemented", message: "The simulator has no path templates and metadata filters."}
	}
	return out, nil
}

// pathCondition is none when the match rule says nothing about the path.
func pathCondition(field string, match *computepb.HttpRouteRuleMatch) ([]simcloud.Condition, *apiError) {
	fold := func(s string) string { return s }
	if match.GetIgnoreCase() {
		fold = strings.ToLower
	}
	var tests []func(string) bool
	if match.PrefixMatch != nil {
		if !strings.HasPrefix(match.GetPrefixMatch(), "/") {
			return nil, invalidValue(field+"prefixMatch", match.GetPrefixMatch(), "prefixMatch must begin with a /.")
		}
		tests = append(tests, func(s string) bool { return strings.HasPrefix(fold(s), fold(match.GetPrefixMatch())) })
	}
	if match.FullPathMatch != nil {
		tests = append(tests, func(s string) bool { return fold(s) == fold(match.GetFullPathMatch()) })
	}
	if match.RegexMatch != nil {
		whole, refusal := expression(field+"regexMatch", match.GetRegexMatch())
		if refusal != nil {
			return nil, refusal
		}
		tests = append(tests, whole.MatchString)
	}
	if len(tests) > 1 {
		return nil, invalidValue(field+"prefixMatch", match.GetPrefixMatch(), "Only one of prefixMatch, fullPathMatch, regexMatch or pathTemplateMatch must be specified.")
	}
	if len(tests) == 0 {
		return nil, nil
	}
	return []simcloud.Condition{{Field: simcloud.FieldPath, Test: func(values []string) bool { return tests[0](values[0]) }}}, nil
}

func expression(field, text string) (*regexp.Regexp, *apiError) {
	whole, err := regexp.Compile("^(?:" + text + ")$")
	if err != nil {
		return nil, invalidValue(field, text, "The regular expression is malformed.")
	}
	return whole, nil
}

// headerCondition is the condition of a header. Several values of a header count as one, with commas between them. ":method" and
// ":authority" stand for method and host.
func headerCondition(field string, match *computepb.HttpHeaderMatch) (simcloud.Condition, *apiError) {
	out := simcloud.Condition{Field: simcloud.FieldHeader, Name: match.GetHeaderName()}
	switch match.GetHeaderName() {
	case "":
		return out, invalidValue(field+"headerName", "", "A header name must be specified.")
	case ":method":
		out.Field = simcloud.FieldMethod
	case ":authority":
		out.Field = simcloud.FieldHost
	}
	test, refusal := headerTest(field, match)
	if refusal != nil {
		return out, refusal
	}
	out.Test = func(values []string) bool {
		met := len(values) > 0 && test(strings.Join(values, ","))
		return met != match.GetInvertMatch()
	}
	return out, nil
}

func headerTest(field string, match *computepb.HttpHeaderMatch) (func(string) bool, *apiError) {
	var tests []func(string) bool
	if match.ExactMatch != nil {
		tests = append(tests, func(s string) bool { return s == match.GetExactMatch() })
	}
	if match.PrefixMatch != nil {
		tests = append(tests, func(s string) bool { return strings.HasPrefix(s, match.GetPrefixMatch()) })
	}
	if match.SuffixMatch != nil {
		tests = append(tests, func(s string) bool { return strings.HasSuffix(s, match.GetSuffixMatch()) })
	}
	if match.GetPresentMatch() {
		tests = append(tests, func(string) bool { return true })
	}
	if match.RegexMatch != nil {
		whole, refusal := expression(field+"regexMatch", match.GetRegexMatch())
		if refusal != nil {
			return nil, refusal
		}
		tests = append(tests, whole.MatchString)
	}
	if r := match.GetRangeMatch(); r != nil {
		tests = append(tests, func(s string) bool { // the end is not in the range: "for a range [-5, 0] ... 0 will not match"
			n, err := strconv.ParseInt(s, 10, 64)
			return err == nil && n >= r.GetRangeStart() && n < r.GetRangeEnd()
		})
	}
	if len(tests) != 1 {
		return nil, invalidValue(field+"exactMatch", match.GetExactMatch(), "Only one of exactMatch, prefixMatch, suffixMatch, regexMatch, presentMatch or rangeMatch must be set.")
	}
	return tests[0], nil
}

// queryCondition is the condition of a query parameter, which must be there.
func queryCondition(field string, match *computepb.HttpQueryParameterMatch) (simcloud.Condition, *apiError) {
	out := simcloud.Condition{Field: simcloud.FieldQuery, Name: match.GetName()}
	var tests []func(string) bool
	if match.ExactMatch != nil {
		tests = append(tests, func(s string) bool { return s == match.GetExactMatch() })
	}
	if match.GetPresentMatch() {
		tests = append(tests, func(string) bool { return true })
	}
	if match.RegexMatch != nil {
		whole, refusal := expression(field+"regexMatch", match.GetRegexMatch())
		if refusal != nil {
			return out, refusal
		}
		tests = append(tests, whole.MatchString)
	}
	if len(tests) != 1 || match.GetName() == "" {
		return out, invalidValue(field+"exactMatch", match.GetExactMatch(), "Only one of presentMatch, exactMatch, or regexMatch must be set.")
	}
	out.Test = func(values []string) bool { return slices.ContainsFunc(values, tests[0]) }
	return out, nil
}
