package mig

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

// place is one part of a URL map that sends requests to backend services: the
// default of the map or of one of its path matchers, which are what Slipway moves
// weights in, or a rule of a path matcher, which is left alone.
type place struct {
	urlMap *computepb.UrlMap
	// matcher is the index of the path matcher, top for the map itself.
	matcher int
	// rule names a rule, or a copy of the traffic; empty for a default.
	rule string
	// route is the route rule, mirror true for the copies of its traffic; nil and false
	// for all other places.
	route  *computepb.HttpRouteRule
	mirror bool
	// destinations are in stored order. The single service of a place without
	// weights counts whole.
	destinations []destination
	// elsewhere is true when the default sends requests to a URL.
	elsewhere bool
}

// destination is a backend service with its weight.
type destination struct {
	service string // path
	weight  uint32 // 0 to 1000
}

const top = -1

// whole is the weight of a destination that gets everything.
const whole = 100

// placesOf returns the parts of a URL map, its defaults first.
func placesOf(m *computepb.UrlMap) []place {
	out := defaultsOf(m)
	for i, p := range m.GetPathMatchers() {
		for n, r := range p.GetPathRules() {
			out = append(out, rulesOf(place{urlMap: m, matcher: i, rule: fmt.Sprintf("path rule %d", n+1)}, r.GetService(), r.GetRouteAction())...)
		}
		for _, r := range p.GetRouteRules() {
			out = append(out, rulesOf(place{urlMap: m, matcher: i, rule: fmt.Sprintf("route rule %d", r.GetPriority()), route: r}, r.GetService(), r.GetRouteAction())...)
		}
	}
	return out
}

func defaultsOf(m *computepb.UrlMap) []place {
	all := place{urlMap: m, matcher: top, elsewhere: m.GetDefaultUrlRedirect() != nil}
	out := rulesOf(all, m.GetDefaultService(), m.GetDefaultRouteAction())
	for i, p := range m.GetPathMatchers() {
		of := place{urlMap: m, matcher: i, elsewhere: p.GetDefaultUrlRedirect() != nil}
		out = append(out, rulesOf(of, p.GetDefaultService(), p.GetDefaultRouteAction())...)
	}
	return out
}

// rulesOf fills in the destinations of a place. A service that gets a copy of the
// requests is a place of its own.
func rulesOf(p place, service string, action *computepb.HttpRouteAction) []place {
	if service != "" {
		p.destinations = []destination{{pathOf(service), whole}}
	}
	for _, w := range action.GetWeightedBackendServices() {
		p.destinations = append(p.destinations, destination{pathOf(w.GetBackendService()), w.GetWeight()})
	}
	out := []place{p}
	if mirror := action.GetRequestMirrorPolicy().GetBackendService(); mirror != "" {
		p.rule = "the copies of " + cmp.Or(p.rule, "the default")
		p.destinations, p.mirror = []destination{{pathOf(mirror), whole}}, true
		out = append(out, p)
	}
	return out
}

// matcherName is the name of the place's path matcher; empty for the map itself.
func (p place) matcherName() string {
	if p.matcher == top {
		return ""
	}
	return p.urlMap.GetPathMatchers()[p.matcher].GetName()
}

// String says where the place is.
func (p place) String() string {
	what := cmp.Or(p.rule, "the default")
	if p.matcher == top {
		return fmt.Sprintf("%s of URL map %s", what, p.urlMap.GetName())
	}
	return fmt.Sprintf("%s of path matcher %s of URL map %s", what, p.matcherName(), p.urlMap.GetName())
}

// is reports whether both are the same part of the same URL map.
func (p place) is(o place) bool {
	return p.urlMap.GetName() == o.urlMap.GetName() && p.matcher == o.matcher && p.rule == o.rule
}

// has reports whether the place names the service, at any weight.
func (p place) has(service string) bool {
	return slices.ContainsFunc(p.destinations, func(d destination) bool { return d.service == service })
}

// weighs reports whether the place sends requests to one of the services.
func (p place) weighs(owned func(service string) bool) bool {
	return slices.ContainsFunc(p.destinations, func(d destination) bool { return d.weight > 0 && owned(d.service) })
}

// action returns the place's route action with other destinations. What else it
// holds, such as retries and the headers of a destination, is kept.
func (p place) action(destinations []destination) *computepb.HttpRouteAction {
	out := &computepb.HttpRouteAction{}
	if old := p.stored(); old != nil {
		out = proto.CloneOf(old)
	}
	kept := out.GetWeightedBackendServices()
	out.WeightedBackendServices = nil
	for _, d := range destinations {
		entry := &computepb.WeightedBackendService{BackendService: proto.String(d.service)}
		if i := slices.IndexFunc(kept, func(w *computepb.WeightedBackendService) bool { return pathOf(w.GetBackendService()) == d.service }); i >= 0 {
			entry = proto.CloneOf(kept[i])
		}
		entry.Weight = proto.Uint32(d.weight)
		out.WeightedBackendServices = append(out.WeightedBackendServices, entry)
	}
	return out
}

func (p place) stored() *computepb.HttpRouteAction {
	if p.matcher == top {
		return p.urlMap.GetDefaultRouteAction()
	}
	return p.urlMap.GetPathMatchers()[p.matcher].GetDefaultRouteAction()
}

// single reports whether the place names one service in place of weights.
func (p place) single() bool {
	return len(p.stored().GetWeightedBackendServices()) == 0
}

// patch is the URL map with what a patch of the place changes, and its
// fingerprint. Arrays of a patch replace those that are stored.
func (p place) patch(destinations []destination) *computepb.UrlMap {
	out := &computepb.UrlMap{Fingerprint: p.urlMap.Fingerprint}
	if p.matcher == top {
		out.DefaultRouteAction = p.action(destinations)
		return out
	}
	for i, m := range p.urlMap.GetPathMatchers() {
		m = proto.CloneOf(m)
		if i == p.matcher {
			m.DefaultService, m.DefaultRouteAction = nil, p.action(destinations)
		}
		out.PathMatchers = append(out.PathMatchers, m)
	}
	return out
}

// replacement is the whole URL map with other destinations at its own default,
// which may have named one service: a patch could not take that away.
func (p place) replacement(destinations []destination) *computepb.UrlMap {
	out := proto.CloneOf(p.urlMap)
	out.DefaultService, out.DefaultRouteAction = nil, p.action(destinations)
	return out
}

// fingerprint is a hash over everything that the place stores about where requests
// go. The order of the destinations has no meaning and no influence.
func (p place) fingerprint() string {
	type entry struct {
		Service string
		Weight  uint32
	}
	stored := struct {
		Map, Matcher string
		Elsewhere    bool
		Destinations []entry
	}{Map: pathOf(p.urlMap.GetSelfLink()), Matcher: p.matcherName(), Elsewhere: p.elsewhere}
	for _, d := range p.destinations {
		stored.Destinations = append(stored.Destinations, entry{d.service, d.weight})
	}
	slices.SortFunc(stored.Destinations, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Weight, b.Weight))
	})
	text, err := json.Marshal(stored)
	if err != nil {
		return "" // plain strings and numbers always marshal
	}
	sum := sha256.Sum256(text)
	return fmt.Sprintf("%x", sum[:16])
}

// equivalent reports whether two lists split requests in the same way: the same
// services in the same proportion.
func equivalent(have, want []destination) bool {
	if len(have) != len(want) {
		return false
	}
	stored := map[string]int64{}
	var haveTotal, wantTotal int64
	for _, d := range have {
		stored[d.service] = int64(d.weight)
		haveTotal += int64(d.weight)
	}
	for _, d := range want {
		wantTotal += int64(d.weight)
	}
	for _, d := range want {
		share, ok := stored[d.service]
		if !ok || share*wantTotal != int64(d.weight)*haveTotal {
			return false
		}
	}
	return (haveTotal == 0) == (wantTotal == 0)
}
