package gcp

import (
	"strings"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"

	"github.com/slipway-cd/slipway/simcloud"
)

// The numbers of the services come from the data plane: the counters of target groups, by minute, and the machines of
// the fleet at the beginning of each minute. What is deleted takes its numbers along: simulator's limit.

// target is a target group that a metric is about.
type target struct {
	group *simcloud.TargetGroup
	path  string // of the backend service or revision
}

// targetsOf returns the project's target groups in a collection, "backendServices" or "revisions". A group's id is the
// path of what it stands for, perhaps with a fragment.
func (p *project) targetsOf(collection string) []target {
	var out []target
	for _, g := range p.cloud.world.TargetGroups() {
		path, _, _ := strings.Cut(g.ID(), "#")
		if strings.HasPrefix(path, "projects/"+p.id+"/") && strings.Contains(path, "/"+collection+"/") {
			out = append(out, target{g, path})
		}
	}
	return out
}

// counted makes points of the minutes in a time and about it. A minute without a number has none: assumption.
func (t target) counted(from, to time.Time, number func(simcloud.Metrics) int) []point {
	var out []point
	for _, m := range t.group.Metrics(from.Add(-time.Minute), to) {
		if n := number(m); n > 0 {
			out = append(out, point{from: m.Minute, to: m.Minute.Add(time.Minute), number: float64(n)})
		}
	}
	return out
}

// latencies makes distributions of the same minutes.
func (t target) latencies(from, to time.Time) []point {
	var out []point
	for _, m := range t.group.Metrics(from.Add(-time.Minute), to) {
		answers := m.Target2XX + m.Target3XX + m.Target4XX + m.Target5XX
		if answers > 0 && len(m.ResponseTimes) > 0 {
			out = append(out, point{from: m.Minute, to: m.Minute.Add(time.Minute), spread: newSpread(m.ResponseTimes, answers, m.ResponseTimeSum)})
		}
	}
	return out
}

// classes are how answers are counted, with the names of the class at the load balancers and at Cloud Run. The data plane
// does not know single codes, so there is no label response_code: simulator's limit.
var classes = []struct {
	balancer, run string
	number        func(simcloud.Metrics) int
}{
	{"200", "2xx", func(m simcloud.Metrics) int { return m.Target2XX }},
	{"300", "3xx", func(m simcloud.Metrics) int { return m.Target3XX }},
	{"400", "4xx", func(m simcloud.Metrics) int { return m.Target4XX }},
	{"500", "5xx", func(m simcloud.Metrics) int { return m.Target5XX }},
}

// balancerRequests counts what a load balancer answered for each backend service, by itself or by a backend.
func balancerRequests(p *project, m *metricType, from, to time.Time) []*series {
	var out []*series
	for _, t := range p.backendServices(m.resource) {
		for _, class := range classes {
			number := class.number
			if class.balancer == "500" {
				number = func(m simcloud.Metrics) int { return m.Target5XX + m.ELB5XX }
			}
			out = append(out, &series{
				metric: map[string]string{"response_code_class": class.balancer}, resource: p.balancerLabels(t.path), points: t.counted(from, to, number),
			})
		}
	}
	return out
}

// balancerLatencies has no label of the class: the data plane does not know which answer took how long.
func balancerLatencies(p *project, m *metricType, from, to time.Time) []*series {
	var out []*series
	for _, t := range p.backendServices(m.resource) {
		out = append(out, &series{metric: map[string]string{}, resource: p.balancerLabels(t.path), points: t.latencies(from, to)})
	}
	return out
}

// backendServices returns those of a kind of load balancer: global, regional and internal, or regional and external.
func (p *project) backendServices(resource string) []target {
	var out []target
	for _, t := range p.targetsOf("backendServices") {
		kind := "http_external_regional_lb_rule"
		switch service := lookup[*computepb.BackendService](p.data, t.path); {
		case strings.Contains(t.path, "/global/"):
			kind = "https_lb_rule"
		case strings.HasPrefix(service.GetLoadBalancingScheme(), "INTERNAL"):
			kind = "internal_http_lb_rule"
		}
		if kind == resource {
			out = append(out, t)
		}
	}
	return out
}

// balancerLabels name the backend service and its backend. Those of the URL map and what leads to it are missing:
// simulator's limit.
func (p *project) balancerLabels(path string) map[string]string {
	out := map[string]string{
		"project_id": p.id, "region": regionOfPath(path), "backend_target_name": nameOf(path), "backend_target_type": "BACKEND_SERVICE",
		"backend_name": "", "backend_type": "UNKNOWN", "backend_scope": "UNKNOWN", "backend_scope_type": "UNKNOWN",
	}
	service := lookup[*computepb.BackendService](p.data, path)
	if backends := service.GetBackends(); len(backends) > 0 {
		out["backend_name"], out["backend_type"] = nameOf(backends[0].GetGroup()), "INSTANCE_GROUP"
		out["backend_scope"], out["backend_scope_type"] = regionOfPath(backends[0].GetGroup()), "REGION"
	}
	return out
}

// revisionRequests counts what reached a revision's containers.
func revisionRequests(p *project, _ *metricType, from, to time.Time) []*series {
	var out []*series
	for _, t := range p.targetsOf("revisions") {
		for _, class := range classes {
			out = append(out, &series{
				metric: map[string]string{"response_code_class": class.run}, resource: p.revisionLabels(t.path), points: t.counted(from, to, class.number),
			})
		}
	}
	return out
}

func revisionLatencies(p *project, _ *metricType, from, to time.Time) []*series {
	var out []*series
	for _, t := range p.targetsOf("revisions") {
		out = append(out, &series{metric: map[string]string{}, resource: p.revisionLabels(t.path), points: t.latencies(from, to)})
	}
	return out
}

// revisionLabels are those of a path "projects/p/locations/l/services/s/revisions/r".
func (p *project) revisionLabels(path string) map[string]string {
	service, _, _ := strings.Cut(path, "/revisions/")
	return map[string]string{
		"project_id": p.id, "location": regionOfPath(path), "service_name": nameOf(service), "configuration_name": nameOf(service), "revision_name": nameOf(path),
	}
}
