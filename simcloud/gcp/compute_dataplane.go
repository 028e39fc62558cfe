package gcp

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"

	"github.com/slipway-cd/slipway/simcloud"
)

// This file lets the world's target groups and load balancers follow the project's backend services and URL maps.

// noFailOpen keeps requests from instances that are not healthy: when none is, an Envoy-based application load balancer
// answers 503 (Load Balancing guide, "Health checks overview"). That it never fails open: assumption.
const noFailOpen = -1

// registrationDelay is the time from an instance's start to its first health check: assumption.
const registrationDelay = 2 * time.Second

// runBackendService makes a backend service work, or brings its work up to what it says.
func (p *computePlane) runBackendService(path string) {
	message := lookup[*computepb.BackendService](p.project.data, path)
	config := simcloud.TargetGroupConfig{
		ID: path, Name: message.GetName(), Account: p.project.account, Region: regionOfPath(path), RegistrationDelay: registrationDelay,
		DeregistrationDelay: time.Duration(message.GetConnectionDraining().GetDrainingTimeoutSec()) * time.Second, MinimumHealthy: noFailOpen,
	}
	if checks := message.GetHealthChecks(); len(checks) > 0 {
		config.HealthCheck = p.healthCheck(pathOfLink(checks[0]))
	}
	if tg := p.targets[path]; tg != nil {
		tg.SetConfig(config)
		return
	}
	p.targets[path] = simcloud.NewTargetGroup(p.project.cloud.world, config)
}

// syncBackends registers the running instances of each backend's group, and lets those go that are ending or whose backend is
// gone or drained by its capacityScaler.
func (p *computePlane) syncBackends() {
	for _, path := range slices.Sorted(maps.Keys(p.targets)) {
		r := p.project.data.resources[path]
		if r == nil {
			continue
		}
		tg, wanted := p.targets[path], p.backendsOf(r.message.(*computepb.BackendService))
		for _, h := range tg.Health() {
			if !wanted[h.Instance] {
				tg.Deregister(h.Instance)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(wanted)) {
			if live, ok := p.project.cloud.world.Fleet.Instance(name); ok {
				tg.Register(live)
			}
		}
		r.extra.(*backendState).health = tg.Health()
	}
}

// backendsOf are the instances that are to be registered.
func (p *computePlane) backendsOf(service *computepb.BackendService) map[string]bool {
	wanted := map[string]bool{}
	for _, b := range service.GetBackends() {
		g := groupOf(p.project.data.resources[managerOf(pathOfLink(b.GetGroup()))])
		if g == nil || b.GetCapacityScaler() == 0 {
			continue
		}
		for _, m := range g.members {
			if m.status == statusRunning && !m.ending {
				wanted[m.name] = true
			}
		}
	}
	return wanted
}

// deregister takes a member's machine out of everything that knows it.
func (p *computePlane) deregister(g *group, m *member) {
	for _, path := range p.services(g) {
		if tg := p.targets[path]; tg != nil {
			tg.Deregister(m.name)
		}
	}
	if check := p.checks[g.path]; check != nil {
		check.Deregister(m.name)
	}
}

// drained tells whether no backend service waits for a member's requests any more. A backend service that has let the group
// go may still wait.
func (p *computePlane) drained(m *member) bool {
	for _, tg := range p.targets {
		if !tg.Drained(m.name) {
			return false
		}
	}
	return true
}

// mapsOf are the paths of the URL maps that name a backend service.
func (p *computePlane) mapsOf(service string) []string {
	var out []string
	for _, r := range all[*computepb.UrlMap](p.project.data) {
		if !r.doomed && slices.Contains(servicesIn(r.message.(*computepb.UrlMap)), service) {
			out = append(out, r.path)
		}
	}
	return out
}

// listen makes a URL map a load balancer with a port, for a forwarding rule.
func (p *computePlane) listen(urlMap string, port int) error {
	lb := p.balancers[urlMap]
	if lb == nil {
		lb = simcloud.NewLoadBalancer(p.project.cloud.world, simcloud.LoadBalancerConfig{
			ID: urlMap, Name: nameOf(urlMap), Account: p.project.account, Region: regionOfPath(urlMap), Unavailable: unavailable,
		})
		p.balancers[urlMap] = lb
	}
	if !slices.Contains(lb.Ports(), port) {
		if _, err := lb.Listen(port); err != nil {
			return err
		}
	}
	p.applyMap(urlMap)
	return nil
}

// applyMap gives a load balancer the rules of its URL map.
func (p *computePlane) applyMap(path string) {
	lb := p.balancers[path]
	message := lookup[*computepb.UrlMap](p.project.data, path)
	if lb == nil || message == nil {
		return
	}
	rules := p.rulesOf(path, message)
	for _, port := range lb.Ports() {
		if err := lb.SetRules(port, rules); err != nil {
			p.project.cloud.options.Logger.Error("apply URL map", "urlMap", path, "error", err)
		}
	}
}

// unavailable is what an Envoy-based load balancer says in place of a backend: the words of Envoy.
func unavailable(status int) (contentType, body string) {
	switch status {
	case http.StatusServiceUnavailable:
		return "text/plain", "no healthy upstream"
	case http.StatusGatewayTimeout:
		return "text/plain", "upstream request timeout"
	default:
		return "text/plain", "upstream connect error or disconnect/reset before headers"
	}
}

// servicesIn are the paths of the backend services that a URL map names, each once.
func servicesIn(message *computepb.UrlMap) []string {
	var out []string
	add := func(service string, action *computepb.HttpRouteAction) {
		links := []string{service}
		for _, w := range action.GetWeightedBackendServices() {
			links = append(links, w.GetBackendService())
		}
		for _, link := range links {
			if path := pathOfLink(link); strings.Contains(link, "/backendServices/") && !slices.Contains(out, path) {
				out = append(out, path)
			}
		}
	}
	add(message.GetDefaultService(), message.GetDefaultRouteAction())
	for _, m := range message.GetPathMatchers() {
		add(m.GetDefaultService(), m.GetDefaultRouteAction())
		for _, r := range m.GetPathRules() {
			add(r.GetService(), r.GetRouteAction())
		}
		for _, r := range m.GetRouteRules() {
			add(r.GetService(), r.GetRouteAction())
		}
	}
	return out
}
