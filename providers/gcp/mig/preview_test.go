package mig_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/providertest"
)

var canary = delivery.Match{Header: "X-Canary", Value: "always"}

// matched is a cloud whose clusters have their place in a path matcher.
type matched struct {
	*cloud
	setUp int // writes that the set-up made
}

const matcher = "everything"

func newMatched(t *testing.T) matched {
	t.Helper()
	c := newCloud(t)
	c.changeMap(t, balancer, func(m *computepb.UrlMap) {
		m.HostRules = []*computepb.HostRule{{Hosts: []string{"*"}, PathMatcher: proto.String(matcher)}}
		m.PathMatchers = []*computepb.PathMatcher{{Name: proto.String(matcher), DefaultRouteAction: split([]string{placeholder}, []uint32{100})}}
	})
	return matched{c, c.Writes()}
}

func (c matched) Writes() int { return c.cloud.Writes() - c.setUp }

func (c matched) Spec(image string, size int, behindLoadBalancer bool) delivery.GroupSpec {
	spec := c.cloud.Spec(image, size, behindLoadBalancer)
	if behindLoadBalancer {
		spec = with(spec, "pathMatcher", `"`+matcher+`"`)
	}
	return spec
}

// Pieces are those of the cloud, the destinations of the path matcher among them.
func (c matched) Pieces() []string {
	out := c.cloud.Pieces()
	for _, m := range must(c.urlMaps.Get(context.Background(), &computepb.GetRegionUrlMapRequest{Project: project, Region: region, UrlMap: balancer})).GetPathMatchers() {
		for _, w := range m.GetDefaultRouteAction().GetWeightedBackendServices() {
			out = append(out, "matcher "+w.String())
		}
		for _, r := range m.GetRouteRules() {
			out = append(out, "rule "+r.String())
		}
	}
	slices.Sort(out)
	return out
}

// TestConformanceOfAPathMatcher runs the suite where previews can be had.
func TestConformanceOfAPathMatcher(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Cloud { return newMatched(t) })
}

func (c *cloud) preview(group string, m delivery.Match) delivery.Change {
	return delivery.Change{Key: delivery.ChangeKey(group + "#preview"), Kind: delivery.CreatePreview, Cluster: c.Cluster(shop), Deployment: "01TEST/1", Group: group, Match: &m}
}

// dark makes a group that takes all traffic, and one that takes none.
func (c matched) dark(t *testing.T) (serving, dark string) {
	t.Helper()
	create := func(sequence int) delivery.Change {
		change := c.create(shop.ServerGroup(sequence), "shop-1-1", 1)
		spec := c.Spec("shop-1-1", 1, true)
		change.Spec = &spec
		return change
	}
	serving, dark = shop.ServerGroup(1), shop.ServerGroup(2)
	c.apply(t, create(1))
	c.apply(t, c.weigh(t, delivery.Weight{ServerGroup: serving, Percent: 100}))
	c.apply(t, create(2))
	return serving, dark
}

// TestPreviewBelowOtherRules: it comes after the rules of others, which stay, and
// before the default.
func TestPreviewBelowOtherRules(t *testing.T) {
	t.Parallel()
	c := newMatched(t)
	c.addService(t, "docs")
	_, dark := c.dark(t)
	c.changeMap(t, balancer, func(m *computepb.UrlMap) {
		m.PathMatchers[0].RouteRules = []*computepb.HttpRouteRule{{Priority: proto.Int32(7), Service: proto.String(path("backendServices", "docs")),
			MatchRules: []*computepb.HttpRouteRuleMatch{{PrefixMatch: proto.String("/docs")}}}}
	})
	c.apply(t, c.preview(dark, delivery.Match{Cookie: "canary", Value: "a.b"}))
	rules := c.urlMap(t, balancer).GetPathMatchers()[0].GetRouteRules()
	if len(rules) != 2 || rules[0].GetPriority() != 7 || rules[1].GetPriority() != 8 {
		t.Fatalf("rules %v", rules)
	}
	if h := rules[1].GetMatchRules()[0].GetHeaderMatches()[0]; h.GetHeaderName() != "Cookie" || h.GetRegexMatch() != `(.*; ?)?canary=a\.b(;.*)?` {
		t.Errorf("header match %v", h)
	}
	spec := c.Spec("shop-1-1", 1, true)
	if findings, err := c.target.Validate(t.Context(), c.Cluster(shop), spec); err != nil || len(findings) > 0 {
		t.Errorf("validate beside a preview: %v, %v", findings, err)
	}
	c.apply(t, c.destroy(dark))
	if rules := c.urlMap(t, balancer).GetPathMatchers()[0].GetRouteRules(); len(rules) != 1 || rules[0].GetPriority() != 7 {
		t.Errorf("rules after the destruction: %v", rules)
	}
}

// TestRuleThatWasAPreview: one that somebody changed since leads to whoever they meant.
// It takes traffic, and nothing is removed under it.
func TestRuleThatWasAPreview(t *testing.T) {
	t.Parallel()
	c := newMatched(t)
	_, dark := c.dark(t)
	c.apply(t, c.preview(dark, canary))
	c.changeMap(t, balancer, func(m *computepb.UrlMap) { m.PathMatchers[0].RouteRules[0].MatchRules[0].HeaderMatches = nil })
	if seen := c.observe(t, "").Routing; len(seen.Previews) > 0 {
		t.Errorf("previews %+v", seen.Previews)
	}
	if _, err := c.target.Apply(t.Context(), c.destroy(dark)); delivery.KindOf(err) != delivery.Guarded {
		t.Errorf("destroy: %v", err)
	}
}

// TestNoRoomForAPreview: what stands against one is said when the spec is validated.
func TestNoRoomForAPreview(t *testing.T) {
	t.Parallel()
	c := newMatched(t)
	_, dark := c.dark(t)
	c.apply(t, c.preview(dark, canary))
	findings := func(c providertest.Cloud, m delivery.Match) []delivery.Finding {
		spec := c.Spec("shop-1-1", 1, true)
		spec.Match = &m
		return must(c.Target().Validate(t.Context(), c.Cluster(shop), spec))
	}
	for _, test := range []struct {
		cloud            providertest.Cloud
		match            delivery.Match
		pointer, message string
	}{
		{c, canary, "/match", "leads to server group " + dark},
		{c, delivery.Match{Header: "host", Value: "y"}, "/match/header", "host rules"},
		{newCloud(t), canary, "/match", "needs a path matcher"},
	} {
		if got := findings(test.cloud, test.match); len(got) != 1 || got[0].Pointer != test.pointer || !strings.Contains(got[0].Message, test.message) {
			t.Errorf("%+v: %v", test.match, got)
		}
	}
	c.changeMap(t, balancer, func(m *computepb.UrlMap) {
		m.PathMatchers[0].RouteRules = nil
		m.PathMatchers[0].PathRules = []*computepb.PathRule{{Paths: []string{"/docs/*"}, Service: proto.String(path("backendServices", placeholder))}}
	})
	if got := findings(c, canary); len(got) != 1 || !strings.Contains(got[0].Message, "has path rules") {
		t.Errorf("beside path rules: %v", got)
	}
}
