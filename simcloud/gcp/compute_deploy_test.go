package gcp_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/gcp"
)

// TestComputeDeployUnderLoad replaces one server group by another with the calls of a delivery tool, under load: no request
// may fail, everything made for the old group can be removed, and the auditor has nothing to say.
func TestComputeDeployUnderLoad(t *testing.T) {
	r := newComputeRig(t, 60, gcp.Options{})
	l := startLoad(t, r.seedShop(4))
	eventually(t, "traffic on the old version", func() bool { return l.count("1.0") > 50 })
	seeded := r.world.Log.Last()

	r.addTemplate(newGroup, "shop-1-1")
	r.done(r.addGroup(newGroup, 2))
	r.addService(newGroup, newGroup)
	r.soon("the group to be stable", func() bool { return r.group(newGroup).GetStatus().GetIsStable() })
	if listed := r.health(newGroup); len(listed) != 0 {
		t.Errorf("the health of a backend service that no URL map names: %v", listed)
	}
	r.weigh(oldGroup, 100, newGroup, 0)
	r.soon("new instances to be healthy", func() bool { return r.healthy(newGroup) == 2 })
	if n := l.count("1.1"); n != 0 {
		t.Errorf("%d requests at weight 0", n)
	}

	r.weigh(oldGroup, 50, newGroup, 50)
	eventually(t, "traffic on both versions", func() bool { return l.count("1.1") > 50 })
	r.resize(newGroup, 4)
	r.soon("all new instances to be healthy", func() bool { return r.healthy(newGroup) == 4 })
	r.weigh(oldGroup, 0, newGroup, 100)
	l.only(t, "1.1")
	r.resize(oldGroup, 0)
	r.soon("the old group to be empty", func() bool { return len(r.members(oldGroup)) == 0 })
	r.resize(newGroup, 2) // scale in under load
	r.soon("the new group to be small", func() bool { return len(r.members(newGroup)) == 2 })
	l.end()

	r.destroyOld()
	config := simcloud.AuditConfig{
		After: seeded, Final: true, RoutingReads: []string{"RegionUrlMaps.Get"}, Ceilings: map[string]int{"shop-prod": 8},
		Floors: map[string]int{"shop-prod": 2},
	}
	for _, v := range simcloud.Audit(r.world.Log.Events(), config) {
		t.Errorf("the auditor complains: %v", v)
	}
}

func (r *computeRig) destroyOld() {
	t := r.t
	deleteGroup := &computepb.DeleteRegionInstanceGroupManagerRequest{Project: shopProject, Region: shopRegion, InstanceGroupManager: oldGroup}
	deleteService := &computepb.DeleteRegionBackendServiceRequest{Project: shopProject, Region: shopRegion, BackendService: oldGroup}
	deleteTemplate := &computepb.DeleteRegionInstanceTemplateRequest{Project: shopProject, Region: shopRegion, InstanceTemplate: oldGroup}
	const used = "400 resourceInUseByAnotherResource"
	if _, err := r.services.Delete(t.Context(), deleteService); why(err) != used {
		t.Errorf("delete a backend service that a URL map names: %v", err)
	}
	r.weigh(newGroup, 100)
	if _, err := r.managers.Delete(t.Context(), deleteGroup); why(err) != used {
		t.Errorf("delete a group that a backend service has: %v", err)
	}
	r.done(r.services.Delete(t.Context(), deleteService))
	if _, err := r.templates.Delete(t.Context(), deleteTemplate); why(err) != used {
		t.Errorf("delete a template that a group has: %v", err)
	}
	r.done(r.managers.Delete(t.Context(), deleteGroup))
	r.done(r.templates.Delete(t.Context(), deleteTemplate))
}

// TestComputeGuiltyDeploy does what no delivery tool may do: the auditor must see it.
func TestComputeGuiltyDeploy(t *testing.T) {
	r := newComputeRig(t, 60, gcp.Options{})
	r.seedShop(2)
	r.addTemplate(newGroup, "sick-1-0")
	r.done(r.addGroup(newGroup, 1))
	r.addService(newGroup, newGroup)
	r.resize(oldGroup, 0)
	r.weigh(oldGroup, 0, newGroup, 100)
	r.addTemplate("nobodys", "shop-1-0")
	found := map[string]bool{}
	for _, v := range simcloud.Audit(r.world.Log.Events(), simcloud.AuditConfig{
		RoutingReads: []string{"RegionUrlMaps.Get"}, Drain: time.Hour, Ceilings: map[string]int{"shop-prod": 2}, Final: true,
	}) {
		found[v.Invariant] = true
	}
	for _, invariant := range []string{"I3", "I4", "I5", "I13"} {
		if !found[invariant] {
			t.Errorf("%s was not seen; only %v", invariant, found)
		}
	}
}

// TestComputeDrain lets a request in flight finish while its machine is on its way out.
func TestComputeDrain(t *testing.T) {
	r := newComputeRig(t, 60, gcp.Options{})
	if _, err := r.cloud.SeedImage(shopProject, simcloud.Image{Name: "shop-1.0", Version: "1.0", BootDelay: time.Second, Latency: 200 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	l := startLoad(t, r.seedShop(3))
	eventually(t, "traffic", func() bool { return l.count("1.0") > 5 })
	r.resize(oldGroup, 1)
	r.soon("two to be gone", func() bool { return len(r.members(oldGroup)) == 1 })
	eventually(t, "more traffic", func() bool { return l.count("1.0") > 20 })
}

// TestComputeRoutes sends requests through every kind of rule.
func TestComputeRoutes(t *testing.T) {
	r := newComputeRig(t, 60, gcp.Options{})
	url := r.seedShop(1)
	r.addTemplate(newGroup, "shop-1-1")
	r.done(r.addGroup(newGroup, 1))
	r.addService(newGroup, newGroup)
	to := weighted(newGroup, 100)
	rule := func(priority int32, match *computepb.HttpRouteRuleMatch) *computepb.HttpRouteRule {
		return &computepb.HttpRouteRule{Priority: &priority, MatchRules: []*computepb.HttpRouteRuleMatch{match}, RouteAction: to}
	}
	header := func(priority int32, match *computepb.HttpHeaderMatch) *computepb.HttpRouteRule {
		return rule(priority, &computepb.HttpRouteRuleMatch{PrefixMatch: proto.String("/"), HeaderMatches: []*computepb.HttpHeaderMatch{match}})
	}
	service := proto.String(link("backendServices", oldGroup))
	r.done(r.patchMap(&computepb.UrlMap{
		Fingerprint: r.urlMap().Fingerprint,
		HostRules: []*computepb.HostRule{
			{Hosts: []string{"*"}, PathMatcher: proto.String("routes")}, {Hosts: []string{"paths.example.com", "*.paths.example.com"}, PathMatcher: proto.String("paths")},
		},
		PathMatchers: []*computepb.PathMatcher{
			{Name: proto.String("routes"), DefaultService: service, RouteRules: []*computepb.HttpRouteRule{
				header(2, &computepb.HttpHeaderMatch{HeaderName: proto.String("X-Release"), ExactMatch: proto.String("canary")}),
				header(3, &computepb.HttpHeaderMatch{HeaderName: proto.String("X-Pre"), PrefixMatch: proto.String("can")}),
				header(4, &computepb.HttpHeaderMatch{HeaderName: proto.String("X-Suf"), SuffixMatch: proto.String("ary")}),
				header(5, &computepb.HttpHeaderMatch{HeaderName: proto.String("X-Re"), RegexMatch: proto.String("c[a-z]+y")}),
				header(6, &computepb.HttpHeaderMatch{HeaderName: proto.String("X-There"), PresentMatch: proto.Bool(true)}),
				header(7, &computepb.HttpHeaderMatch{HeaderName: proto.String("X-Range"), RangeMatch: &computepb.Int64RangeMatch{RangeStart: proto.Int64(-5), RangeEnd: proto.Int64(0)}}),
				rule(8, &computepb.HttpRouteRuleMatch{FullPathMatch: proto.String("/Exact"), IgnoreCase: proto.Bool(true)}),
				rule(9, &computepb.HttpRouteRuleMatch{RegexMatch: proto.String("/v[0-9]+/.*")}),
				rule(10, &computepb.HttpRouteRuleMatch{PrefixMatch: proto.String("/q"), QueryParameterMatches: []*computepb.HttpQueryParameterMatch{{Name: proto.String("Canary"), ExactMatch: proto.String("yes")}}}),
				header(11, &computepb.HttpHeaderMatch{HeaderName: proto.String("X-Not"), ExactMatch: proto.String("old"), InvertMatch: proto.Bool(true)}),
				// The first that matches wins, whatever the order of the list is.
				{Priority: proto.Int32(1), Service: service, MatchRules: []*computepb.HttpRouteRuleMatch{{PrefixMatch: proto.String("/"), HeaderMatches: []*computepb.HttpHeaderMatch{{HeaderName: proto.String("X-First"), PresentMatch: proto.Bool(true)}}}}},
			}},
			{Name: proto.String("paths"), DefaultService: service, PathRules: []*computepb.PathRule{
				{Paths: []string{"/*"}, Service: service}, {Paths: []string{"/new/*", "/new"}, RouteAction: to}, {Paths: []string{"/new/old/*"}, Service: service},
				{Paths: []string{"/away"}, UrlRedirect: &computepb.HttpRedirectAction{HostRedirect: proto.String("example.org"), PathRedirect: proto.String("/there"), StripQuery: proto.Bool(true)}},
			}},
		},
	}))
	r.soon("the new group to be healthy", func() bool { return r.healthy(newGroup) == 1 })
	w := &routeWalker{t: t, url: url}
	eventually(t, "the rules to be in effect in every worker", func() bool { return w.steady("/", "paths.example.com", "1.0") })
	for _, row := range routeRows {
		w.check(row)
	}
	if location := w.location("/away?x=1", "paths.example.com"); location != "http://example.org/there" {
		t.Errorf("redirected to %s", location)
	}
	// A rule that a header leads to divides nobody's traffic, and the log has no weights of it.
	told := map[string]bool{}
	for _, e := range r.world.Log.Events() {
		if _, rule, ok := strings.Cut(e.Resource, "#routes/"); ok && e.Kind == simcloud.WeightsStored {
			told[rule] = true
		}
	}
	if told["2"] || !told["9"] {
		t.Errorf("weights told of the route rules %v", told)
	}
}

// TestFirstDeploy puts the first server group in the place of a backend service without backends, which answers 503.
func TestFirstDeploy(t *testing.T) {
	r := newComputeRig(t, 60, gcp.Options{})
	if err := r.cloud.SeedLoadBalancer(gcp.SeedLoadBalancer{Project: shopProject, Region: shopRegion, Name: "shop"}); err != nil {
		t.Fatal(err)
	}
	seeded := r.world.Log.Last()
	url := r.cloud.LoadBalancers()[0].URL
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusServiceUnavailable || string(body) != "no healthy upstream" {
		t.Errorf("a backend service without backends answers %d %q %v", answer.StatusCode, body, err)
	}
	_ = answer.Body.Close()
	r.addTemplate(newGroup, "shop-1-1")
	r.done(r.addGroup(newGroup, 1))
	r.addService(newGroup, newGroup)
	next := r.urlMap()
	next.DefaultService, next.DefaultRouteAction = nil, weighted("shop", 100, newGroup, 0)
	r.done(r.maps.Update(t.Context(), &computepb.UpdateRegionUrlMapRequest{Project: shopProject, Region: shopRegion, UrlMap: "shop", UrlMapResource: next}))
	r.soon("the group to be healthy", func() bool { return r.healthy(newGroup) == 1 })
	r.weigh(newGroup, 100)
	w := &routeWalker{t: t, url: url}
	eventually(t, "traffic on the new group alone", func() bool { return w.steady("/", "", "1.1") })
	for _, v := range simcloud.Audit(r.world.Log.Events(), simcloud.AuditConfig{After: seeded}) {
		t.Errorf("the auditor complains: %v", v)
	}
}
