package gcp

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// term is one comparison of a filter (cloud.google.com/monitoring/api/v3/filters).
type term struct {
	field, value string
	prefix       bool // starts_with("...")
}

func (t term) matches(value string) bool {
	if t.prefix {
		return strings.HasPrefix(value, t.value)
	}
	return value == t.value
}

func badMetricFilter(filter, why string) *apiError {
	return badRequest("Field filter had an invalid value of %q: %s", filter, why)
}

var (
	// metricTerm is one comparison: a field, perhaps a function, and a text.
	metricTerm = regexp.MustCompile(`^\s*(metric\.type|resource\.type|(?:metric|resource)\.labels?\."?\w+"?)\s*=\s*(starts_with\(\s*)?("(?:[^"\\]|\\.)*")(\s*\))?`)
	metricAnd  = regexp.MustCompile(`^\s+AND\s`)
)

// labelPath is the one spelling of a field: "resource.label.\"zone\"" is "resource.labels.zone".
func labelPath(field string) string {
	return strings.NewReplacer(".label.", ".labels.", `"`, "").Replace(field)
}

// parseMetricFilter reads comparisons with "=" that are joined by AND. The language can do more; the simulator refuses that.
func parseMetricFilter(filter string) ([]term, *apiError) {
	var out []term
	for rest := filter; ; {
		m := metricTerm.FindStringSubmatch(rest)
		if m == nil || (m[2] == "") != (m[4] == "") {
			return nil, badMetricFilter(filter, fmt.Sprintf("could not parse %q", rest))
		}
		value, err := strconv.Unquote(m[3])
		if err != nil {
			return nil, badMetricFilter(filter, fmt.Sprintf("could not parse %q", m[3]))
		}
		out = append(out, term{field: labelPath(m[1]), value: value, prefix: m[2] != ""})
		rest = rest[len(m[0]):]
		if strings.TrimSpace(rest) == "" {
			return out, nil
		}
		and := metricAnd.FindString(rest)
		if and == "" {
			return nil, badMetricFilter(filter, fmt.Sprintf("could not parse %q", rest))
		}
		rest = rest[len(and):]
	}
}
