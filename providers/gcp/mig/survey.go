package mig

import (
	"context"
	"maps"
	"regexp"
	"slices"

	"cloud.google.com/go/compute/apiv1/computepb"

	"github.com/slipway-cd/slipway/delivery"
)

// survey is what exists of a cluster, without health.
type survey struct {
	cluster delivery.Cluster
	groups  map[string]*pieces
	// maps are the named URL map, else all that name a backend service of the cluster.
	maps []*computepb.UrlMap
	// place is where the cluster's weights are; nil when it is behind no URL map.
	place *place
	// strangers are the backend services that the place names and that lead to no
	// group of the cluster, by path. A placeholder is one without any backend.
	strangers map[string]stranger
}

// stranger is a destination of others.
type stranger struct {
	service     *computepb.BackendService // nil when it is none of this region
	placeholder bool
}

func (s *survey) piece(name string) *pieces {
	p := s.groups[name]
	if p == nil {
		p = &pieces{name: name}
		s.groups[name] = p
	}
	return p
}

// names returns the server groups in a stable order.
func (s *survey) names() []string { return slices.Sorted(maps.Keys(s.groups)) }

// ownerOf returns the server group that a backend service leads to, or nil.
func (s *survey) ownerOf(service string) *pieces {
	for _, name := range s.names() {
		if s.groups[name].leads(service) {
			return s.groups[name]
		}
	}
	return nil
}

func (s *survey) owns(service string) bool { return s.ownerOf(service) != nil }

// survey reads what exists. loadBalancer may be empty: then the URL maps that name
// a backend service of the cluster lead to it. matcher is the path matcher whose
// default is the cluster's place when none names it yet; empty for the map's own.
func (t *Target) survey(ctx context.Context, cluster delivery.Cluster, loadBalancer, matcher string) (*survey, error) {
	s := &survey{cluster: cluster, groups: map[string]*pieces{}, strangers: map[string]stranger{}}
	if err := t.findPieces(ctx, s); err != nil {
		return nil, err
	}
	if err := t.findMaps(ctx, s, loadBalancer); err != nil {
		return nil, err
	}
	known, fallback := s.pick(matcher)
	if s.place = known; known == nil && loadBalancer != "" {
		s.place = fallback
	}
	return s, t.resolveStrangers(ctx, s)
}

// findPieces reads everything that has the name of a server group of the cluster.
func (t *Target) findPieces(ctx context.Context, s *survey) error {
	expression := regexp.QuoteMeta(s.cluster.Name()) + "-v[0-9]{3}"
	managers, err := t.managersNamed(ctx, expression)
	if err != nil {
		return err
	}
	templates, err := t.templatesNamed(ctx, expression+templateSuffix)
	if err != nil {
		return err
	}
	services, err := t.servicesNamed(ctx, expression)
	if err != nil {
		return err
	}
	for _, m := range managers {
		if s.cluster.Owns(m.GetName()) {
			s.piece(m.GetName()).manager = m
		}
	}
	for _, v := range templates {
		if group := groupOfTemplate(v.GetName()); s.cluster.Owns(group) {
			p := s.piece(group)
			p.templates = append(p.templates, v)
		}
	}
	for _, p := range s.groups {
		p.choose()
	}
	for _, v := range services {
		if s.cluster.Owns(v.GetName()) {
			p := s.piece(v.GetName())
			p.services = append(p.services, v)
		}
	}
	return t.findAutoscalers(ctx, s, expression)
}

// findAutoscalers reads the autoscalers by the groups' names, and those of another
// name that a group says it has.
func (t *Target) findAutoscalers(ctx context.Context, s *survey, expression string) error {
	autoscalers, err := t.autoscalersNamed(ctx, expression)
	if err != nil {
		return err
	}
	for _, a := range autoscalers {
		if s.cluster.Owns(a.GetName()) && t.scalesGroup(a, a.GetName()) {
			s.piece(a.GetName()).autoscaler = a
		}
	}
	for _, name := range s.names() {
		p := s.groups[name]
		if p.autoscaler != nil || p.manager.GetStatus().GetAutoscaler() == "" {
			continue
		}
		if p.autoscaler, err = t.autoscalerOf(ctx, p.manager, name); err != nil {
			return err
		}
	}
	return nil
}

// findMaps reads the URL maps: the named one, else those that lead to the cluster.
func (t *Target) findMaps(ctx context.Context, s *survey, loadBalancer string) error {
	if loadBalancer != "" {
		m, err := t.urlMap(ctx, loadBalancer)
		if err != nil {
			return err
		}
		if m == nil {
			return delivery.Errorf(delivery.NotFound, "URL map %s in %s", loadBalancer, t.region)
		}
		s.maps = []*computepb.UrlMap{m}
		return nil
	}
	if !slices.ContainsFunc(s.names(), func(name string) bool { return len(s.groups[name].services) > 0 }) {
		return nil
	}
	all, err := t.allMaps(ctx)
	if err != nil {
		return err
	}
	for _, m := range all {
		if slices.ContainsFunc(placesOf(m), func(p place) bool {
			return slices.ContainsFunc(p.destinations, func(d destination) bool { return s.owns(d.service) })
		}) {
			s.maps = append(s.maps, m)
		}
	}
	return nil
}

// places returns the places of all the survey's URL maps.
func (s *survey) places() []place {
	var out []place
	for _, m := range s.maps {
		out = append(out, placesOf(m)...)
	}
	return out
}

// pick returns the default that names a backend service of the cluster, of several
// one that gives it weight; and the default of the path matcher, or of the URL map
// when matcher is empty, which a cluster begins with that is named nowhere yet.
func (s *survey) pick(matcher string) (known, fallback *place) {
	for _, p := range s.places() {
		if p.rule != "" {
			continue
		}
		if p.weighs(s.owns) {
			return &p, nil
		}
		if known == nil && slices.ContainsFunc(p.destinations, func(d destination) bool { return s.owns(d.service) }) {
			known = &p
		}
		if fallback == nil && p.matcherName() == matcher {
			fallback = &p
		}
	}
	return known, fallback
}

// second returns a place besides the chosen one that sends requests to the
// cluster, or nil. Weights are moved in one place; the other would go on sending
// requests to groups that are scaled down.
func (s *survey) second(chosen *place) *place {
	for _, p := range s.places() {
		if !p.is(*chosen) && s.previewOf(p) == nil && p.weighs(s.owns) {
			return &p
		}
	}
	return nil
}

// resolveStrangers finds out what the destinations are that have no name of a
// group: a backend service whose only backend is a group of the cluster belongs to
// it, whoever made it.
func (t *Target) resolveStrangers(ctx context.Context, s *survey) error {
	if s.place == nil {
		return nil
	}
	for _, d := range s.place.destinations {
		if s.owns(d.service) {
			continue
		}
		if d.service != t.path("backendServices", nameOf(d.service)) {
			s.strangers[d.service] = stranger{} // a bucket, or a service of another project
			continue
		}
		service, err := t.service(ctx, nameOf(d.service))
		if err != nil {
			return err
		}
		if group := t.onlyGroup(service); s.cluster.Owns(group) && s.groups[group] != nil {
			s.groups[group].services = append(s.groups[group].services, service)
			continue
		}
		s.strangers[d.service] = stranger{service, service != nil && len(service.GetBackends()) == 0}
	}
	return nil
}

// onlyGroup is the name of the regional instance group that is the service's only
// backend; empty for none.
func (t *Target) onlyGroup(service *computepb.BackendService) string {
	backends := service.GetBackends()
	if len(backends) != 1 {
		return ""
	}
	path := pathOf(backends[0].GetGroup())
	if path != t.path("instanceGroups", nameOf(path)) {
		return ""
	}
	return nameOf(path)
}
