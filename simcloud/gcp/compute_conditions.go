package gcp

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"

	"github.com/slipway-cd/slipway/simcloud"
)

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
