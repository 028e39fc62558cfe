package mig_test

import (
	"strings"
	"testing"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/delivery"
)

// serve makes a group that takes all traffic.
func (c *cloud) serve(t *testing.T, sequence int) string {
	t.Helper()
	group := shop.ServerGroup(sequence)
	c.apply(t, c.create(group, "shop-1-1", 1))
	c.apply(t, c.weigh(t, delivery.Weight{ServerGroup: group, Percent: 100}))
	return group
}

func (c *cloud) defaults(t *testing.T) map[string]uint32 {
	t.Helper()
	m := c.urlMap(t, balancer)
	return weights(m.GetDefaultService(), m.GetDefaultRouteAction())
}

// TestPlaceholder: the backend service without backends that a URL map begins with
// keeps the traffic until the first weights, which replace it.
func TestPlaceholder(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	first := c.create(shop.ServerGroup(1), "shop-1-1", 1)
	c.apply(t, first)
	if diff := cmp.Diff(map[string]uint32{placeholder: 100, first.Group: 0}, c.defaults(t)); diff != "" {
		t.Error(diff)
	}
	if r := c.observe(t, balancer).Routing; r.Percent(first.Group) != 0 || len(r.Weights) != 1 {
		t.Errorf("routing %+v", r)
	}
	c.apply(t, c.weigh(t, delivery.Weight{ServerGroup: first.Group, Percent: 100}))
	if diff := cmp.Diff(map[string]uint32{first.Group: 100}, c.defaults(t)); diff != "" {
		t.Error(diff)
	}
}

// TestForeignDestination: beside a backend service of others that has backends no
// group is made; weights that are moved all the same leave it alone.
func TestForeignDestination(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	first := c.serve(t, 1)
	c.Plant(t, "other-team")
	c.addService(t, "other-team", "other-team")
	c.changeMap(t, balancer, func(m *computepb.UrlMap) {
		m.DefaultRouteAction = split([]string{first, "other-team"}, []uint32{90, 10})
	})
	findings, err := c.target.Validate(t.Context(), c.Cluster(shop), c.Spec("shop-1-1", 1, true))
	if err != nil || len(findings) != 1 || findings[0].Pointer != "/loadBalancers/0" || !strings.Contains(findings[0].Message, "other-team") {
		t.Errorf("findings %+v, %v", findings, err)
	}
	second := c.create(shop.ServerGroup(2), "shop-1-1", 0)
	if err := c.refused(t, second); delivery.KindOf(err) != delivery.Conflict || !strings.Contains(err.Error(), "other-team") {
		t.Errorf("creation: %v", err)
	}
	if r := c.observe(t, balancer).Routing; r.Percent(first) != 100 || len(r.Weights) != 1 {
		t.Errorf("routing %+v; want the cluster's own part of it", r)
	}
	c.changeMap(t, balancer, func(m *computepb.UrlMap) {
		m.DefaultRouteAction = split([]string{first, "other-team"}, []uint32{0, 10})
	})
	c.apply(t, c.weigh(t, delivery.Weight{ServerGroup: first, Percent: 100}))
	if diff := cmp.Diff(map[string]uint32{first: 100, "other-team": 10}, c.defaults(t)); diff != "" {
		t.Error(diff)
	}
	c.apply(t, c.destroy(second.Group))
}

// TestDrift: weights decided on a routing that somebody changed since are refused;
// changes of other parts of the URL map are none of the cluster's business, and
// stay.
func TestDrift(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	first := c.serve(t, 1)
	second := shop.ServerGroup(2)
	c.apply(t, c.create(second, "shop-1-1", 1))
	weigh := c.weigh(t, delivery.Weight{ServerGroup: first, Percent: 50}, delivery.Weight{ServerGroup: second, Percent: 50})

	c.addService(t, "docs")
	c.changeMap(t, balancer, func(m *computepb.UrlMap) {
		m.HostRules = []*computepb.HostRule{{Hosts: []string{"docs.example.com"}, PathMatcher: proto.String("docs")}}
		m.PathMatchers = []*computepb.PathMatcher{{Name: proto.String("docs"), DefaultService: proto.String(path("backendServices", "docs"))}}
	})
	c.apply(t, weigh)
	m := c.urlMap(t, balancer)
	if diff := cmp.Diff(map[string]uint32{first: 50, second: 50}, c.defaults(t)); diff != "" || last(m.GetPathMatchers()[0].GetDefaultService()) != "docs" || len(m.GetHostRules()) != 1 {
		t.Errorf("URL map %v: %s", m, diff)
	}

	again := c.weigh(t, delivery.Weight{ServerGroup: second, Percent: 100})
	c.changeMap(t, balancer, func(m *computepb.UrlMap) { m.DefaultRouteAction = split([]string{first, second}, []uint32{80, 20}) })
	writes := c.Writes()
	if _, err := c.target.Apply(t.Context(), again); delivery.KindOf(err) != delivery.Conflict {
		t.Errorf("weights decided on an older routing: %v", err)
	}
	if n := c.Writes() - writes; n != 0 {
		t.Errorf("refused, and wrote %d times", n)
	}
}

// TestPathMatcher: a cluster whose stage names a path matcher has its weights in
// the default of that; rules and other defaults stay.
func TestPathMatcher(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.addService(t, "docs")
	c.addMap(t, "shared", "docs", &computepb.PathMatcher{
		Name: proto.String("shop"), DefaultService: proto.String(path("backendServices", placeholder)),
		PathRules: []*computepb.PathRule{{Paths: []string{"/docs/*"}, Service: proto.String(path("backendServices", "docs"))}},
	})
	change := func(sequence int) delivery.Change {
		out := c.create(shop.ServerGroup(sequence), "shop-1-1", 1)
		spec := with(with(*out.Spec, "loadBalancers", `["shared"]`), "pathMatcher", `"shop"`)
		spec.LoadBalancer = "shared"
		out.Spec = &spec
		return out
	}
	first, second := change(1), change(2)
	c.apply(t, first)
	c.apply(t, c.weigh(t, delivery.Weight{ServerGroup: first.Group, Percent: 100}))
	c.apply(t, second)
	c.apply(t, c.weigh(t, delivery.Weight{ServerGroup: first.Group, Percent: 30}, delivery.Weight{ServerGroup: second.Group, Percent: 70}))
	m := c.urlMap(t, "shared")
	matcher := m.GetPathMatchers()[0]
	if diff := cmp.Diff(map[string]uint32{first.Group: 30, second.Group: 70}, weights(matcher.GetDefaultService(), matcher.GetDefaultRouteAction())); diff != "" {
		t.Error(diff)
	}
	if last(m.GetDefaultService()) != "docs" || len(matcher.GetPathRules()) != 1 || last(matcher.GetPathRules()[0].GetService()) != "docs" {
		t.Errorf("URL map %v", m)
	}
	seen := c.observe(t, "")
	if seen.Routing.Percent(second.Group) != 70 || seen.Routing.LoadBalancer != "shared" || seen.Routing.Router != path("urlMaps", "shared") {
		t.Errorf("routing %+v", seen.Routing)
	}
	c.apply(t, c.weigh(t, delivery.Weight{ServerGroup: first.Group, Percent: 100}))
	c.apply(t, c.destroy(second.Group))
	matcher = c.urlMap(t, "shared").GetPathMatchers()[0]
	if diff := cmp.Diff(map[string]uint32{first.Group: 100}, weights(matcher.GetDefaultService(), matcher.GetDefaultRouteAction())); diff != "" {
		t.Error(diff)
	}
}

// TestTwoPlaces: a cluster that two parts of a URL map send requests to is not
// rolled, and no group is emptied or destroyed while any part does.
func TestTwoPlaces(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	first := c.serve(t, 1)
	c.changeMap(t, balancer, func(m *computepb.UrlMap) {
		m.HostRules = []*computepb.HostRule{{Hosts: []string{"*"}, PathMatcher: proto.String("all")}}
		m.PathMatchers = []*computepb.PathMatcher{{
			Name: proto.String("all"), DefaultService: proto.String(path("backendServices", placeholder)),
			RouteRules: []*computepb.HttpRouteRule{{
				Priority: proto.Int32(1), Service: proto.String(path("backendServices", first)),
				MatchRules: []*computepb.HttpRouteRuleMatch{{PrefixMatch: proto.String("/api")}},
			}},
		}}
	})
	findings, err := c.target.Validate(t.Context(), c.Cluster(shop), c.Spec("shop-1-1", 1, true))
	if err != nil || len(findings) != 1 || findings[0].Pointer != "/loadBalancers/0" || !strings.Contains(findings[0].Message, "route rule 1 of path matcher all") {
		t.Errorf("findings %+v, %v", findings, err)
	}
	second := c.create(shop.ServerGroup(2), "shop-1-1", 0)
	if err := c.refused(t, second); delivery.KindOf(err) != delivery.Conflict {
		t.Errorf("creation: %v", err)
	}
	c.changeMap(t, balancer, func(m *computepb.UrlMap) {
		m.DefaultRouteAction = split([]string{placeholder, first}, []uint32{100, 0})
	})
	if _, err := c.target.Apply(t.Context(), c.resize(first, "empty", delivery.Pinned(0))); delivery.KindOf(err) != delivery.Guarded || !strings.Contains(err.Error(), "route rule 1") {
		t.Errorf("resize to 0: %v", err)
	}
	if _, err := c.target.Apply(t.Context(), c.destroy(first)); delivery.KindOf(err) != delivery.Guarded || !strings.Contains(err.Error(), "route rule 1") {
		t.Errorf("destroy: %v", err)
	}
}

// TestRuleAlone: a default that never was the cluster's gets no weights because a
// rule beside it names the cluster.
func TestRuleAlone(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	first := c.serve(t, 1)
	c.addService(t, "docs")
	c.changeMap(t, balancer, func(m *computepb.UrlMap) {
		m.DefaultService, m.DefaultRouteAction = proto.String(path("backendServices", "docs")), nil
		m.HostRules = []*computepb.HostRule{{Hosts: []string{"*"}, PathMatcher: proto.String("all")}}
		m.PathMatchers = []*computepb.PathMatcher{{
			Name: proto.String("all"), DefaultService: proto.String(path("backendServices", "docs")),
			PathRules: []*computepb.PathRule{{Paths: []string{"/shop/*"}, Service: proto.String(path("backendServices", first))}},
		}}
	})
	if r := c.observe(t, "").Routing; r != nil {
		t.Errorf("routing %+v", r)
	}
	writes := c.Writes()
	weigh := delivery.Change{Key: "weigh", Kind: delivery.SetRouting, Cluster: c.Cluster(shop), Weights: []delivery.Weight{{ServerGroup: first, Percent: 100}}}
	if _, err := c.target.Apply(t.Context(), weigh); delivery.KindOf(err) != delivery.NotFound {
		t.Errorf("weights: %v", err)
	}
	if n := c.Writes() - writes; n != 0 {
		t.Errorf("%d writes", n)
	}
}

// TestAnotherURLMap: a cluster does not move to another URL map by being deployed
// to it; its old groups would serve on unseen.
func TestAnotherURLMap(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.serve(t, 1)
	c.addMap(t, "second", placeholder)
	spec := with(c.Spec("shop-1-1", 1, true), "loadBalancers", `["second"]`)
	spec.LoadBalancer = "second"
	findings, err := c.target.Validate(t.Context(), c.Cluster(shop), spec)
	if err != nil || len(findings) != 1 || findings[0].Pointer != "/loadBalancers/0" || !strings.Contains(findings[0].Message, "behind URL map "+balancer) {
		t.Errorf("findings %+v, %v", findings, err)
	}
}

// TestGroupsOfOthers: a group without ownership tags behind the cluster's place is
// seen, may be weighed and resized, and is never destroyed.
func TestGroupsOfOthers(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	name := shop.ServerGroup(3)
	c.Plant(t, name)
	c.addService(t, "made-by-hand", name)
	c.changeMap(t, balancer, func(m *computepb.UrlMap) { m.DefaultService = proto.String(path("backendServices", "made-by-hand")) })
	c.apply(t, c.resize(name, "grow", delivery.Pinned(1)))
	c.until(t, "the group is healthy", func() bool { return c.observe(t, balancer).Group(name).Healthy() == 1 })
	seen := c.observe(t, balancer)
	g := seen.Group(name)
	if g.Managed || !g.Complete || g.Image != "shop-1-0" || len(g.HealthSources) != 2 || seen.Routing.Percent(name) != 100 {
		t.Errorf("group %+v, routing %+v", g, seen.Routing)
	}
	if findings, err := c.target.Validate(t.Context(), c.Cluster(shop), c.Spec("shop-1-1", 1, true)); err != nil || len(findings) > 0 {
		t.Errorf("validate beside it: %v, %v", findings, err)
	}
	second := c.create(shop.ServerGroup(4), "shop-1-1", 1)
	c.apply(t, second)
	if seen = c.observe(t, ""); len(seen.Groups) != 2 || seen.Routing.Percent(name) != 100 {
		t.Errorf("after the creation beside it: %+v", seen)
	}
	if _, err := c.target.Apply(t.Context(), c.destroy(name)); delivery.KindOf(err) != delivery.Guarded {
		t.Errorf("destroy: %v", err)
	}
	if _, err := c.target.Apply(t.Context(), c.resize(name, "empty", delivery.Pinned(0))); delivery.KindOf(err) != delivery.Guarded {
		t.Errorf("resize to 0 under traffic: %v", err)
	}
	c.apply(t, c.weigh(t, delivery.Weight{ServerGroup: second.Group, Percent: 100}))
	c.apply(t, c.resize(name, "empty later", delivery.Pinned(0)))
	if diff := cmp.Diff(map[string]uint32{"made-by-hand": 0, second.Group: 100}, c.defaults(t)); diff != "" {
		t.Error(diff)
	}
}
