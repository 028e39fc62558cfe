package mig

import (
	"fmt"
	"testing"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const host = "https://www.googleapis.com/compute/v1/"

func serviceURL(name string) string { return host + servicePath(name) }

func servicePath(name string) string { return "projects/p/regions/r/backendServices/" + name }

func weighted(name string, weight uint32) *computepb.WeightedBackendService {
	return &computepb.WeightedBackendService{BackendService: proto.String(serviceURL(name)), Weight: proto.Uint32(weight)}
}

// sharedMap is a URL map of several teams.
func sharedMap() *computepb.UrlMap {
	return &computepb.UrlMap{
		Name: proto.String("web"), SelfLink: proto.String(host + "projects/p/regions/r/urlMaps/web"), Fingerprint: proto.String("f1"),
		DefaultService: proto.String(serviceURL("landing")),
		PathMatchers: []*computepb.PathMatcher{
			{
				Name: proto.String("shop"),
				DefaultRouteAction: &computepb.HttpRouteAction{
					WeightedBackendServices: []*computepb.WeightedBackendService{weighted("shop-v001", 90), weighted("shop-v002", 10)},
					RetryPolicy:             &computepb.HttpRetryPolicy{NumRetries: proto.Uint32(2)},
					RequestMirrorPolicy:     &computepb.RequestMirrorPolicy{BackendService: proto.String(serviceURL("shadow"))},
				},
				PathRules: []*computepb.PathRule{{Paths: []string{"/old/*"}, Service: proto.String(serviceURL("legacy"))}},
				RouteRules: []*computepb.HttpRouteRule{{
					Priority:    proto.Int32(7),
					RouteAction: &computepb.HttpRouteAction{WeightedBackendServices: []*computepb.WeightedBackendService{weighted("shop-v002", 5)}},
				}},
			},
			{Name: proto.String("away"), DefaultUrlRedirect: &computepb.HttpRedirectAction{HostRedirect: proto.String("example.com")}},
		},
	}
}

func TestPlaces(t *testing.T) {
	var got []string
	for _, p := range placesOf(sharedMap()) {
		got = append(got, fmt.Sprintf("%s: %v %t", p, p.destinations, p.elsewhere))
	}
	want := []string{
		"the default of URL map web: [{projects/p/regions/r/backendServices/landing 100}] false",
		"the default of path matcher shop of URL map web: [{projects/p/regions/r/backendServices/shop-v001 90} {projects/p/regions/r/backendServices/shop-v002 10}] false",
		"the copies of the default of path matcher shop of URL map web: [{projects/p/regions/r/backendServices/shadow 100}] false",
		"the default of path matcher away of URL map web: [] true",
		"path rule 1 of path matcher shop of URL map web: [{projects/p/regions/r/backendServices/legacy 100}] false",
		"route rule 7 of path matcher shop of URL map web: [{projects/p/regions/r/backendServices/shop-v002 5}] false",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestPatchKeepsTheRest changes the weights of one path matcher: everything else
// of the URL map stays.
func TestPatchKeepsTheRest(t *testing.T) {
	m := sharedMap()
	p := placesOf(m)[1]
	p.stored().WeightedBackendServices[0].HeaderAction = &computepb.HttpHeaderAction{RequestHeadersToRemove: []string{"X-Old"}}
	before := proto.CloneOf(m)
	got := p.patch([]destination{{servicePath("shop-v001"), 0}, {servicePath("shop-v002"), 100}})
	want := &computepb.UrlMap{Fingerprint: proto.String("f1"), PathMatchers: proto.CloneOf(m).PathMatchers}
	action := want.PathMatchers[0].DefaultRouteAction
	action.WeightedBackendServices[0].Weight, action.WeightedBackendServices[1].Weight = proto.Uint32(0), proto.Uint32(100)
	if !proto.Equal(want, got) {
		t.Errorf("patch %s; want %s", protojson.Format(got), protojson.Format(want))
	}
	if !proto.Equal(before, m) {
		t.Error("the URL map that was read has changed")
	}
}

// TestFirstWeights turns the one service of a URL map into weights.
func TestFirstWeights(t *testing.T) {
	m := sharedMap()
	p := placesOf(m)[0]
	if !p.single() {
		t.Fatal("not a single service")
	}
	got := p.replacement([]destination{{servicePath("landing"), 100}, {servicePath("shop-v001"), 0}})
	want := proto.CloneOf(m)
	want.DefaultService = nil
	want.DefaultRouteAction = &computepb.HttpRouteAction{WeightedBackendServices: []*computepb.WeightedBackendService{
		{BackendService: proto.String(servicePath("landing")), Weight: proto.Uint32(100)}, {BackendService: proto.String(servicePath("shop-v001")), Weight: proto.Uint32(0)},
	}}
	if !proto.Equal(want, got) {
		t.Errorf("update %s; want %s", protojson.Format(got), protojson.Format(want))
	}
}

func TestFingerprint(t *testing.T) {
	place := func(change func(*computepb.UrlMap)) place {
		m := sharedMap()
		change(m)
		return placesOf(m)[1]
	}
	base := place(func(*computepb.UrlMap) {}).fingerprint()
	weights := func(m *computepb.UrlMap) []*computepb.WeightedBackendService {
		return m.PathMatchers[0].DefaultRouteAction.WeightedBackendServices
	}
	for name, test := range map[string]struct {
		change func(*computepb.UrlMap)
		same   bool
	}{
		"order":                {func(m *computepb.UrlMap) { w := weights(m); w[0], w[1] = w[1], w[0] }, true},
		"another place":        {func(m *computepb.UrlMap) { m.DefaultService = proto.String(serviceURL("other")) }, true},
		"the map's own":        {func(m *computepb.UrlMap) { m.Fingerprint = proto.String("f2") }, true},
		"weight":               {func(m *computepb.UrlMap) { weights(m)[0].Weight = proto.Uint32(91) }, false},
		"service":              {func(m *computepb.UrlMap) { weights(m)[0].BackendService = proto.String(serviceURL("x")) }, false},
		"another path matcher": {func(m *computepb.UrlMap) { m.PathMatchers[0].Name = proto.String("x") }, false},
	} {
		if same := place(test.change).fingerprint() == base; same != test.same {
			t.Errorf("%s: same %t; want %t", name, same, test.same)
		}
	}
}

func TestEquivalent(t *testing.T) {
	for _, test := range []struct {
		have, want []destination
		same       bool
	}{
		{[]destination{{"a", 1}}, []destination{{"a", 100}}, true},
		{[]destination{{"a", 500}, {"b", 500}}, []destination{{"b", 50}, {"a", 50}}, true},
		{[]destination{{"a", 500}, {"b", 500}}, []destination{{"b", 51}, {"a", 49}}, false},
		{[]destination{{"a", 100}, {"b", 0}}, []destination{{"a", 100}}, false},
		{[]destination{{"a", 0}}, []destination{{"a", 100}}, false},
		{[]destination{{"a", 100}}, []destination{{"b", 100}}, false},
	} {
		if got := equivalent(test.have, test.want); got != test.same {
			t.Errorf("%v and %v: %t", test.have, test.want, got)
		}
	}
}

// TestRedirectIsNotUsed: a default that sends requests to a URL takes no weights.
func TestRedirectIsNotUsed(t *testing.T) {
	s := &survey{cluster: testCluster, maps: []*computepb.UrlMap{sharedMap()}}
	_, s.place = s.pick("away")
	if p, problem := s.usable(settings{LoadBalancers: []string{"web"}, PathMatcher: "away"}); p != nil || problem == nil || problem.Pointer != atBalancer {
		t.Errorf("place %v, problem %+v", p, problem)
	}
}
