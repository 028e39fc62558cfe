package providertest

import (
	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
)

// clone makes a creation that says nothing but which group the new one is made like.
func (b *bench) clone(sequence, from, size int) delivery.Change {
	c := b.create(sequence, "", size, true)
	c.Spec.From, c.Spec.Settings = b.cluster.Moniker.ServerGroup(from), nil
	return c
}

// cloneIsLike copies a group whole, and with another image.
func cloneIsLike(b *bench) {
	b.serve(1, 1)
	same := b.clone(2, 1, 1)
	if findings, err := b.target.Validate(b.Context(), b.cluster, *same.Spec); err != nil || len(findings) != 0 {
		b.Fatalf("validate a copy: findings %v, error %v", findings, err)
	}
	b.apply(same)
	seen := b.untilHealthy(2, 1)
	source, got := *seen.Group(b.cluster.Moniker.ServerGroup(1)), *seen.Group(same.Group)
	if seen.Routing.Percent(same.Group) != 0 || seen.Routing.Percent(source.Name) != 100 {
		b.Errorf("routing %+v; want the copy known at weight 0", seen.Routing)
	}
	if got.Image != source.Image || got.ImageID != source.ImageID || got.Deployment != same.Deployment || !got.Managed || !got.Complete {
		b.Errorf("copy %+v of %+v", got, source)
	}
	if diff := cmp.Diff(source.HealthSources, got.HealthSources); diff != "" {
		b.Error(diff)
	}
	pieces := b.Pieces()
	if n := b.apply(same); n != 0 {
		b.Errorf("the same copy again took %d writes", n)
	}
	if diff := cmp.Diff(pieces, b.Pieces()); diff != "" {
		b.Error(diff)
	}
	b.apply(b.weigh(map[int]int{2: 100}))
	b.apply(b.change(delivery.DestroyGroup, 1))
	if got := b.observe(); got.Group(same.Group).Healthy() == 0 || got.Routing.Percent(same.Group) != 100 {
		b.Errorf("the copy after its source went: %+v", got)
	}
	if n := b.apply(same); n != 0 {
		b.Errorf("the same copy once more, without its source, took %d writes", n)
	}
	other := b.clone(3, 2, 1)
	other.Spec.Image = b.sick
	b.apply(other)
	if got := b.observe().Group(other.Group); got.Image != b.sick || got.ImageID == source.ImageID {
		b.Errorf("copy with image %s: %+v", b.sick, got)
	}
}

func cloneOfNothing(b *bench) {
	b.serve(1, 1)
	none := b.clone(2, 7, 1)
	findings, err := b.target.Validate(b.Context(), b.cluster, *none.Spec)
	if err != nil || len(findings) != 1 || findings[0].Pointer != delivery.AtSource || findings[0].Warning {
		b.Errorf("validate a copy of nothing: findings %+v, error %v", findings, err)
	}
	b.refuses(b.target, none, delivery.Invalid)
}
