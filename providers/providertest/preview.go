package providertest

import (
	"slices"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
)

// matches are one match of each kind that the target says it can preview by, if
// nothing of the load balancer stands against it.
func (b *bench) matches() []delivery.Match {
	b.Helper()
	var out []delivery.Match
	for _, kind := range b.target.Describe().Capabilities.Previews {
		m, known := map[delivery.MatchKind]delivery.Match{
			delivery.MatchHeader: {Header: "X-Canary", Value: "always"},
			delivery.MatchCookie: {Cookie: "canary", Value: "always"},
			delivery.MatchTagURL: {},
		}[kind]
		if !known {
			b.Errorf("a preview by %q, which nobody knows", kind)
		}
		spec := b.Spec(b.good, 1, true)
		spec.Match = &m
		findings, err := b.target.Validate(b.Context(), b.cluster, spec)
		if err != nil {
			b.Errorf("validate a preview by %s: %v", m, err)
		}
		if len(findings) == 0 {
			out = append(out, m)
		}
	}
	return out
}

func (b *bench) preview(sequence int, m delivery.Match) delivery.Change {
	c := b.change(delivery.CreatePreview, sequence)
	c.Key += delivery.ChangeKey(m.String())
	c.Match = &m
	return c
}

// previewsReadBack opens and closes a preview of each kind. Weights and fingerprint
// stay, and so does a preview when weights are written beside it. What the
// capabilities do not offer, or Validate finds impossible, is refused.
func previewsReadBack(b *bench) {
	b.serve(1, 1)
	b.apply(b.create(2, b.good, 1, true))
	b.untilHealthy(2, 1)
	name, before := b.cluster.Moniker.ServerGroup(2), b.observe().Routing
	matches := b.matches()
	for _, m := range matches {
		open := b.preview(2, m)
		if n := b.apply(open); n != 1 && m.Kind() != delivery.MatchTagURL {
			b.Errorf("%v took %d writes", open, n)
		}
		if n := b.apply(open); n != 0 {
			b.Errorf("%v again took %d writes", open, n)
		}
		b.holds(name, m, before)
		if m.Kind() == delivery.MatchTagURL {
			continue
		}
		b.refuses(b.target, b.preview(1, m), delivery.Conflict)
		b.apply(b.weigh(map[int]int{1: 90, 2: 10}))
		b.apply(b.weigh(map[int]int{1: 100}))
		b.holds(name, m, before)
		closing := b.change(delivery.DeletePreview, 2)
		if n := b.apply(closing); n != 1 {
			b.Errorf("%v took %d writes", closing, n)
		}
		if n := b.apply(closing); n != 0 {
			b.Errorf("%v again took %d writes", closing, n)
		}
		if left := b.observe().Routing.Previews; len(left) > 0 {
			b.Errorf("previews %+v are left", left)
		}
	}
	for _, m := range []delivery.Match{{}, {Header: "X-Canary", Value: "always"}, {Cookie: "canary", Value: "always"}} {
		if !slices.Contains(matches, m) {
			b.refuses(b.target, b.preview(2, m), delivery.Invalid)
		}
	}
}

// lostPreviews loses the answer to each write of a preview by a rule, after its effect.
func lostPreviews(b *bench) {
	b.serve(1, 1)
	b.apply(b.create(2, b.good, 1, true))
	b.untilHealthy(2, 1)
	name, before := b.cluster.Moniker.ServerGroup(2), b.observe().Routing
	for _, m := range b.matches() {
		if m.Kind() == delivery.MatchTagURL {
			continue
		}
		b.LoseAnswer(1)
		b.apply(b.preview(2, m))
		b.holds(name, m, before)
		b.LoseAnswer(1)
		b.apply(b.change(delivery.DeletePreview, 2))
		if left := b.observe().Routing.Previews; len(left) > 0 {
			b.Errorf("previews %+v are left", left)
		}
	}
}

// holds wants the preview to be seen, beside the weights as they were.
func (b *bench) holds(group string, m delivery.Match, before *delivery.Routing) {
	b.Helper()
	now := b.observe().Routing
	p := now.PreviewBy(group, m)
	if p == nil || (p.URL != "") != (m.Kind() == delivery.MatchTagURL) {
		b.Errorf("preview of %s by %s: %+v", group, m, now.Previews)
	}
	if !delivery.SameWeights(before.Weights, now.Weights) || now.Fingerprint != before.Fingerprint {
		b.Errorf("routing %+v; want that of before, %+v", now, before)
	}
}

// previewGoesWithItsGroup destroys a group that a preview leads to: nothing is left.
func previewGoesWithItsGroup(b *bench) {
	b.serve(1, 1)
	before := b.Pieces()
	for _, m := range b.matches() {
		b.apply(b.create(2, b.good, 1, true))
		b.untilHealthy(2, 1)
		b.apply(b.preview(2, m))
		b.apply(b.change(delivery.DestroyGroup, 2))
		if diff := cmp.Diff(before, b.Pieces()); diff != "" {
			b.Errorf("left behind or taken too much:\n%s", diff)
		}
		b.until("no preview leads anywhere", func(s delivery.Snapshot) bool {
			return s.Routing.PreviewBy(b.cluster.Moniker.ServerGroup(2), m) == nil
		})
	}
}
