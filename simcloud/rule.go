package simcloud

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// match returns the first rule whose conditions a request meets, nil when there is none.
func (r *routing) match(request *http.Request) *Rule {
	for i := range r.rules {
		if r.rules[i].matches(request) {
			return &r.rules[i]
		}
	}
	return nil
}

func (r *Rule) matches(request *http.Request) bool {
	for _, c := range r.Conditions {
		if !c.matches(request) {
			return false
		}
	}
	return true
}

// choose picks a destination: point is in [0, 1). It is nil when all weights are 0. There is no failover: a target group
// without targets keeps its share.
func (r *Rule) choose(point float64) *TargetGroup {
	total := 0
	for _, d := range r.Forward {
		total += d.Weight
	}
	rest := point * float64(total)
	for _, d := range r.Forward {
		if rest < float64(d.Weight) {
			return d.TargetGroup
		}
		rest -= float64(d.Weight)
	}
	return nil
}

func (c Condition) matches(r *http.Request) bool {
	if c.Test != nil {
		return c.Test(c.part(r))
	}
	switch c.Field {
	case FieldPath:
		return c.any(r.URL.Path)
	case FieldMethod:
		return c.any(r.Method)
	case FieldHost:
		return c.anyFold(hostOf(r))
	case FieldHeader:
		for _, value := range r.Header.Values(c.Name) {
			if c.anyFold(value) {
				return true
			}
		}
		return false
	case FieldQuery:
		return c.matchesQuery(r)
	case FieldSource:
		return c.matchesSource(r)
	default:
		return false
	}
}

// part is what a request has at the place that the condition is about.
func (c Condition) part(r *http.Request) []string {
	switch c.Field {
	case FieldPath:
		return []string{r.URL.Path}
	case FieldMethod:
		return []string{r.Method}
	case FieldHost:
		return []string{hostOf(r)}
	case FieldHeader:
		return r.Header.Values(c.Name)
	case FieldQuery:
		return r.URL.Query()[c.Name]
	default:
		return []string{r.RemoteAddr}
	}
}

// hostOf is the host that a request asks for, without the port.
func hostOf(r *http.Request) string {
	if name, _, err := net.SplitHostPort(r.Host); err == nil {
		return name
	}
	return r.Host
}

func (c Condition) matchesQuery(r *http.Request) bool {
	for key, values := range r.URL.Query() {
		if c.Name != "" && !strings.EqualFold(key, c.Name) {
			continue
		}
		for _, value := range values {
			if c.anyFold(value) {
				return true
			}
		}
	}
	return false
}

func (c Condition) matchesSource(r *http.Request) bool {
	source, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	for _, value := range c.Values {
		if block, err := netip.ParsePrefix(value); err == nil && block.Contains(source.Addr().Unmap()) {
			return true
		}
	}
	return false
}

func (c Condition) any(s string) bool {
	for _, pattern := range c.Values {
		if wildcard(pattern, s) {
			return true
		}
	}
	return false
}

func (c Condition) anyFold(s string) bool {
	for _, pattern := range c.Values {
		if wildcard(strings.ToLower(pattern), strings.ToLower(s)) {
			return true
		}
	}
	return false
}

// wildcard tells whether s matches a pattern in which * stands for any run of characters and ? for one.
func wildcard(pattern, s string) bool {
	p, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
