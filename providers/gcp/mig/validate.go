package mig

import (
	"context"
	"fmt"
	"slices"

	"cloud.google.com/go/compute/apiv1/computepb"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/gcp"
)

const atBalancer = "/loadBalancers/0"

// Validate checks a spec without changing anything. Findings that need no call
// come alone, so that a spec of the wrong shape costs none.
func (t *Target) Validate(ctx context.Context, cluster delivery.Cluster, spec delivery.GroupSpec) ([]delivery.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s, findings := parseSettings(spec)
	if len(findings) > 0 {
		return findings, nil
	}
	if findings = s.check(cluster); len(findings) > 0 {
		return findings, nil
	}
	from, findings, err := t.source(ctx, s.from)
	if err != nil || len(findings) > 0 {
		return findings, err
	}
	for _, check := range []func() ([]delivery.Finding, error){
		func() ([]delivery.Finding, error) {
			_, found, err := t.imageOfSpec(ctx, s, from)
			return found, err
		},
		func() ([]delivery.Finding, error) { return t.resolveZones(ctx, s) },
		func() ([]delivery.Finding, error) { return t.resolveSubnet(ctx, s) },
		func() ([]delivery.Finding, error) { return t.resolveHealthCheck(ctx, "/healthCheck", s.HealthCheck) },
		func() ([]delivery.Finding, error) {
			return t.resolveHealthCheck(ctx, "/autoHealingPolicy/healthCheck", s.healing())
		},
		func() ([]delivery.Finding, error) { return t.checkBalancer(ctx, cluster, s, from, spec.Match) },
	} {
		found, err := check()
		if err != nil {
			return nil, err
		}
		findings = append(findings, found...)
	}
	return findings, nil
}

// checkBalancer checks the URL map and the cluster's place in it.
func (t *Target) checkBalancer(ctx context.Context, cluster delivery.Cluster, s settings, from *source, match *delivery.Match) ([]delivery.Finding, error) {
	if s.balancer() == "" {
		return nil, nil
	}
	found, err := t.survey(ctx, cluster, s.balancer(), s.PathMatcher)
	if delivery.KindOf(err) == delivery.NotFound {
		return t.missingMap(ctx, s.balancer())
	}
	if err != nil {
		return nil, err
	}
	chosen, problem := found.usable(s)
	if problem != nil {
		return []delivery.Finding{*problem}, nil
	}
	var out []delivery.Finding
	n := &creation{settings: s, source: from, survey: found}
	if n.model(*chosen) == nil && s.HealthCheck == "" {
		out = append(out, missingHealthCheck)
	}
	if serving := n.like(); serving != nil && s.PortName != "" && len(s.ports()) == 0 && !hasPort(serving.manager, s.PortName) {
		out = append(out, delivery.Finding{Pointer: "/portName", Message: fmt.Sprintf("server group %s, whose named ports are used, has no port %q", serving.name, s.PortName)})
	}
	if match != nil {
		out = append(out, found.checkPreview(*match, *chosen)...)
	}
	elsewhere, err := t.elsewhere(ctx, found)
	if err != nil {
		return nil, err
	}
	if elsewhere != "" {
		out = append(out, finding(atBalancer, "server groups of cluster %s are behind URL map %s; a cluster has one", cluster.Name(), elsewhere)...)
	}
	return out, nil
}

func hasPort(m *computepb.InstanceGroupManager, name string) bool {
	return slices.ContainsFunc(m.GetNamedPorts(), func(p *computepb.NamedPort) bool { return p.GetName() == name })
}

// missingMap says why a URL map cannot be used that the region does not have.
func (t *Target) missingMap(ctx context.Context, name string) ([]delivery.Finding, error) {
	m, err := t.globalMaps.Get(ctx, &computepb.GetUrlMapRequest{Project: t.project, UrlMap: name}, gcp.Reads()...)
	if m, err = found(m, err, "get global URL map %s", name); err != nil {
		return nil, err
	}
	if m != nil {
		return finding(atBalancer, "URL map %s is global; server groups are regional and need one of %s", name, t.region), nil
	}
	return finding(atBalancer, "no URL map %q in %s", name, t.region), nil
}

// usable returns the place that takes one more server group of the cluster, or
// what keeps it from that.
func (s *survey) usable(wanted settings) (*place, *delivery.Finding) {
	refuse := func(pointer, format string, args ...any) (*place, *delivery.Finding) {
		return nil, &finding(pointer, format, args...)[0]
	}
	if name := wanted.PathMatcher; name != "" && !slices.ContainsFunc(s.places(), func(p place) bool { return p.matcherName() == name }) {
		return refuse("/pathMatcher", "URL map %s has no path matcher %q", wanted.balancer(), name)
	}
	chosen := s.place
	if chosen.elsewhere || len(chosen.destinations) == 0 {
		return refuse(atBalancer, "%s sends requests to no backend service", chosen)
	}
	if other := s.second(chosen); other != nil {
		return refuse(atBalancer, "two parts of a URL map, %s and %s, send requests to cluster %s; weights can be moved in one only: let the other redirect or remove it",
			chosen, other, s.cluster.Name())
	}
	for _, d := range chosen.destinations {
		if !s.owns(d.service) && !s.strangers[d.service].placeholder {
			return refuse(atBalancer, "%s sends requests to %s, which is not of cluster %s", chosen, lastTwo(d.service), s.cluster.Name())
		}
	}
	return chosen, nil
}

// elsewhere returns the name of another URL map that sends requests to a group of
// the cluster, or "".
func (t *Target) elsewhere(ctx context.Context, s *survey) (string, error) {
	if !slices.ContainsFunc(s.names(), func(name string) bool { return len(s.groups[name].services) > 0 }) {
		return "", nil
	}
	all, err := t.allMaps(ctx)
	if err != nil {
		return "", err
	}
	for _, m := range all {
		if m.GetName() == s.place.urlMap.GetName() {
			continue
		}
		if slices.ContainsFunc(placesOf(m), func(p place) bool { return p.weighs(s.owns) }) {
			return m.GetName(), nil
		}
	}
	return "", nil
}
