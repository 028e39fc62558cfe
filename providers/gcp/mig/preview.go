package mig

import (
	"context"
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strings"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/delivery"
)

// A preview is a route rule of the path matcher whose default is the cluster's place.
// The default of a URL map itself has no rules beside it. The rule's description
// holds the ownership tags and the match.

// tagMatch is the match of a preview, as JSON.
const tagMatch = "slipway:match"

// headerMatch is what a match asks of a request. Compute Engine compares with case. A
// cookie stands in its header between others; the expression has to match all of it.
func headerMatch(m delivery.Match) *computepb.HttpHeaderMatch {
	if m.Kind() == delivery.MatchCookie {
		return &computepb.HttpHeaderMatch{HeaderName: proto.String("Cookie"),
			RegexMatch: proto.String(`(.*; ?)?` + regexp.QuoteMeta(m.Cookie+"="+m.Value) + `(;.*)?`)}
	}
	return &computepb.HttpHeaderMatch{HeaderName: proto.String(m.Header), ExactMatch: proto.String(m.Value)}
}

// matchRules has every path: a rule needs one.
func matchRules(m delivery.Match) []*computepb.HttpRouteRuleMatch {
	return []*computepb.HttpRouteRuleMatch{{PrefixMatch: proto.String("/"), HeaderMatches: []*computepb.HttpHeaderMatch{headerMatch(m)}}}
}

// previewOf returns what a place is a preview of; nil for a default, for a rule of
// others, and for one that is no longer what it was made as.
func (s *survey) previewOf(p place) *delivery.Preview {
	if p.route == nil || len(p.destinations) != 1 || p.mirror {
		return nil
	}
	owner, text := s.ownerOf(p.destinations[0].service), tagsIn(p.route.GetDescription())
	var match delivery.Match
	if owner == nil || !text.owned(s.cluster, owner.name) || json.Unmarshal([]byte(text[tagMatch]), &match) != nil {
		return nil
	}
	rules := p.route.GetMatchRules()
	if len(rules) != 1 || !proto.Equal(rules[0], matchRules(match)[0]) {
		return nil
	}
	return &delivery.Preview{ServerGroup: owner.name, Match: match}
}

// previews are sorted by server group.
func (s *survey) previews() []delivery.Preview {
	var out []delivery.Preview
	for _, p := range s.places() {
		if preview := s.previewOf(p); preview != nil {
			out = append(out, *preview)
		}
	}
	slices.SortStableFunc(out, func(a, b delivery.Preview) int { return strings.Compare(a.ServerGroup, b.ServerGroup) })
	return out
}

// checkPreview tells what stands against a preview beside the chosen place. The
// pointers are those of a cluster object.
func (s *survey) checkPreview(m delivery.Match, chosen place) []delivery.Finding {
	if strings.EqualFold(m.Header, "Host") {
		return finding("/match/header", "is Host; URL maps have host rules for it")
	}
	if chosen.matcher == top {
		return finding("/match", "needs a path matcher: the default route of URL map %s has no rules beside it; name one of its path matchers as pathMatcher", chosen.urlMap.GetName())
	}
	matcher := chosen.urlMap.GetPathMatchers()[chosen.matcher]
	if len(matcher.GetPathRules()) > 0 {
		return finding("/match", "cannot be used: path matcher %s has path rules, and a path matcher has those or route rules", matcher.GetName())
	}
	if _, ok := freePriority(matcher); !ok {
		return finding("/match", "cannot be used: the last priority of path matcher %s is taken", matcher.GetName())
	}
	for _, is := range s.previews() {
		if is.Match.Is(m) {
			return finding("/match", "leads to server group %s already; promote or abandon that one first", is.ServerGroup)
		}
	}
	return nil
}

// freePriority comes after those of all other rules: they stay more important.
func freePriority(m *computepb.PathMatcher) (int32, bool) {
	next := int64(1)
	for _, r := range m.GetRouteRules() {
		next = max(next, int64(r.GetPriority())+1)
	}
	return int32(min(next, math.MaxInt32)), next <= math.MaxInt32
}

// createPreview makes the rule that leads what matches to the group.
func (t *Target) createPreview(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	if c.Match == nil || c.Match.Kind() == delivery.MatchTagURL {
		return delivery.Receipt{}, delivery.Errorf(delivery.Invalid, "no route rule can tell what is to be led to %s: it has no address of its own", c.Group)
	}
	running, err := t.running(ctx)
	if err != nil {
		return delivery.Receipt{}, err
	}
	s, err := t.survey(ctx, c.Cluster, "", "")
	if err != nil {
		return delivery.Receipt{}, err
	}
	p := s.groups[c.Group]
	if p == nil || len(p.services) == 0 || s.place == nil {
		return delivery.Receipt{}, delivery.Errorf(delivery.NotFound, "server group %s behind a URL map", c.Group)
	}
	waiting := running.on(t.path("urlMaps", s.place.urlMap.GetName())).waiting()
	for _, is := range s.previews() {
		switch {
		case is.ServerGroup == c.Group && is.Match.Is(*c.Match) && waiting.Waiting == "":
			return done(), nil
		case is.ServerGroup == c.Group && is.Match.Is(*c.Match):
			return waiting, nil
		case is.ServerGroup == c.Group, is.Match.Is(*c.Match):
			return delivery.Receipt{}, delivery.Errorf(delivery.Conflict, "%s leads to %s already", is.Match, is.ServerGroup)
		}
	}
	if findings := s.checkPreview(*c.Match, *s.place); len(findings) > 0 {
		return delivery.Receipt{}, delivery.Errorf(delivery.Invalid, "%s cannot lead to %s: it %s", c.Match, c.Group, findings[0].Message)
	}
	if waiting.Waiting != "" {
		return waiting, nil
	}
	rule, err := s.route(c, pathOf(p.services[0].GetSelfLink()))
	if err != nil {
		return delivery.Receipt{}, err
	}
	return t.writeRules(ctx, c.Key, *s.place, func(rules []*computepb.HttpRouteRule) []*computepb.HttpRouteRule { return append(rules, rule) })
}

// route is the rule of a preview: what the place does with requests, but for where
// they go.
func (s *survey) route(c delivery.Change, service string) (*computepb.HttpRouteRule, error) {
	match, err := json.Marshal(c.Match)
	if err != nil {
		return nil, err
	}
	text := tags{
		tagApplication: c.Cluster.Moniker.App, tagCluster: c.Cluster.Name(), tagServerGroup: c.Group,
		tagDeployment: string(c.Deployment), tagChange: string(c.Key), tagMatch: string(match),
	}
	priority, _ := freePriority(s.place.urlMap.GetPathMatchers()[s.place.matcher])
	return &computepb.HttpRouteRule{
		Priority: proto.Int32(priority), Description: proto.String(text.description()), MatchRules: matchRules(*c.Match),
		RouteAction: s.place.action([]destination{{service, whole}}),
	}, nil
}

// deletePreview removes the rule that leads to the group.
func (t *Target) deletePreview(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	running, err := t.running(ctx)
	if err != nil {
		return delivery.Receipt{}, err
	}
	s, err := t.survey(ctx, c.Cluster, "", "")
	if err != nil {
		return delivery.Receipt{}, err
	}
	for _, p := range s.places() {
		waiting := running.on(t.path("urlMaps", p.urlMap.GetName())).waiting()
		switch preview := s.previewOf(p); {
		case preview == nil || preview.ServerGroup != c.Group:
		case waiting.Waiting != "":
			return waiting, nil
		default:
			return t.removeRoute(ctx, c.Key, p)
		}
	}
	return done(), nil
}

// removeRoute takes a route rule out of its path matcher.
func (t *Target) removeRoute(ctx context.Context, key delivery.ChangeKey, p place) (delivery.Receipt, error) {
	return t.writeRules(ctx, key, p, func(rules []*computepb.HttpRouteRule) []*computepb.HttpRouteRule {
		return slices.DeleteFunc(rules, func(r *computepb.HttpRouteRule) bool { return r.GetPriority() == p.route.GetPriority() })
	})
}

// writeRules changes the route rules of a place's path matcher. Arrays of a patch
// replace those that are stored; the fingerprint guards all of it.
func (t *Target) writeRules(ctx context.Context, key delivery.ChangeKey, p place, change func([]*computepb.HttpRouteRule) []*computepb.HttpRouteRule) (delivery.Receipt, error) {
	name := p.urlMap.GetName()
	h, err := t.historyOf(ctx, "", name)
	if err != nil {
		return delivery.Receipt{}, err
	}
	resource := &computepb.UrlMap{Fingerprint: p.urlMap.Fingerprint}
	for i, m := range p.urlMap.GetPathMatchers() {
		m = proto.CloneOf(m)
		if i == p.matcher {
			m.RouteRules = change(m.RouteRules)
		}
		resource.PathMatchers = append(resource.PathMatchers, m)
	}
	in := &computepb.PatchRegionUrlMapRequest{Project: t.project, Region: t.region, UrlMap: name, UrlMapResource: resource}
	return h.submit(write{key, "RegionUrlMaps.Patch", in, ""}, func(id *string) (*compute.Operation, error) {
		in.RequestId = id
		return t.urlMaps.Patch(ctx, in)
	}, "patch the rules of %s", p)
}
