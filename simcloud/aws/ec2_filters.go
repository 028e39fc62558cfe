package aws

import (
	"path"
	"strings"
)

// filter is an EC2 filter: all filters must match, each by any of its values,
// which may hold * and ?.
type filter struct {
	Name  string `wire:",required"`
	Value []string
}

// attributes are what a resource answers to filters, by filter name.
type attributes map[string][]string

// tagged adds the filters tag:<key> and tag-key.
func (a attributes) tagged(tags []tag) attributes {
	for _, t := range tags {
		a["tag:"+t.Key] = []string{t.Value}
		a["tag-key"] = append(a["tag-key"], t.Key)
	}
	return a
}

// filtered keeps what matches all filters. A filter name that the resource does
// not have is refused, as EC2 does.
func filtered[T any](values []T, filters []filter, of func(T) attributes) ([]T, *apiError) {
	var out []T
	for _, v := range values {
		have, keep := of(v), true
		for _, f := range filters {
			got, ok := have[f.Name]
			if !ok && !strings.HasPrefix(f.Name, "tag:") && f.Name != "tag-key" {
				return nil, refuse("InvalidParameterValue", "The filter '%s' is invalid", f.Name)
			}
			keep = keep && matchesAny(f.Value, got)
		}
		if keep {
			out = append(out, v)
		}
	}
	return out, nil
}

func matchesAny(patterns, values []string) bool {
	for _, p := range patterns {
		for _, v := range values {
			if wildcard(p, v) {
				return true
			}
		}
	}
	return false
}

// wildcard matches * and ? over all characters, slashes included.
func wildcard(pattern, value string) bool {
	hide := strings.NewReplacer("/", "\x00", "[", "\x01", "]", "\x02", "\\", "\x03")
	ok, err := path.Match(hide.Replace(pattern), hide.Replace(value))
	return err == nil && ok
}

func mapped[A, B any](values []A, f func(A) B) []B {
	out := make([]B, 0, len(values))
	for _, v := range values {
		out = append(out, f(v))
	}
	return out
}

func invalidNextToken(token string) *apiError {
	return refuse("InvalidNextToken", "The token '%s' is invalid", token)
}
