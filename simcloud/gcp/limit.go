package gcp

import (
	"cmp"
	"net/http"
	"strings"
	"time"
)

// DefaultLimits returns how many requests a project may make in one minute of the clock, by bucket. Compute Engine counts
// by "Compute Engine API quotas" 1,500 a minute for each of its default groups, lists and operation reads apart; Cloud Run
// by "Cloud Run quotas and limits" 3,000 reads and 180 writes a minute in a region. That of the IAM credentials: assumption.
func DefaultLimits() map[string]int {
	return map[string]int{
		"compute:read": 1500, "compute:list": 1500, "compute:write": 1500, "compute:operations": 1500,
		"run:read": 3000, "run:write": 180, "iamcredentials:write": 600, "iamcredentials:read": 600,
		"monitoring:read": 6000, "monitoring:write": 6000,
	}
}

// window counts the requests of one minute. Windows begin with the minutes of the clock ("API rate quotas" of Compute
// Engine: quota is enforced per minute).
type window struct {
	minute time.Time
	count  int
}

func bucketOf(m *method) string {
	kind := "read"
	switch {
	case m.service == serviceCompute && strings.HasSuffix(strings.SplitN(m.name, ".", 2)[0], "Operations"):
		kind = "operations"
	case m.write:
		kind = "write"
	case m.service == serviceCompute && strings.Contains(m.name, ".List") || strings.Contains(m.name, ".AggregatedList"):
		kind = "list"
	}
	return m.service + ":" + kind
}

// take counts a request and reports whether the project may make it.
func (p *project) take(m *method, region string, now time.Time) bool {
	name := bucketOf(m)
	limit, ok := p.cloud.options.Limits[name]
	if !ok {
		limit = DefaultLimits()[name]
	}
	if m.service == serviceRun {
		name += ":" + region // each region has its own
	}
	w := p.limits[name]
	if minute := now.Truncate(time.Minute); w == nil || !w.minute.Equal(minute) {
		w = &window{minute: minute}
		p.limits[name] = w
	}
	if w.count >= limit {
		return false
	}
	w.count++
	return true
}

// tooFast is the answer to a client that calls too often: Compute says 403 with the reason rateLimitExceeded, newer APIs
// say 429 ("API rate quotas" of Compute Engine; cloud.google.com/apis/design/errors).
func tooFast(service, code string) *apiError {
	if service == serviceCompute {
		if code == "" {
			code = "rateLimitExceeded"
		}
		return &apiError{status: http.StatusForbidden, reason: code, domain: "usageLimits", grpc: "PERMISSION_DENIED",
			errorInfo: "RATE_LIMIT_EXCEEDED", message: "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service 'compute.googleapis.com'."}
	}
	return &apiError{status: http.StatusTooManyRequests, grpc: "RESOURCE_EXHAUSTED", errorInfo: cmp.Or(code, "RATE_LIMIT_EXCEEDED"),
		message: "Quota exceeded for quota metric 'Write requests' and limit 'Write requests per minute' of service '" + service + ".googleapis.com'."}
}
