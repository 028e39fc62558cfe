package providertest

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
)

// size is that of the groups that are updated: more than are replaced at once.
const size = 4

// update changes a group in place to the image.
func (b *bench) update(sequence int, image string) delivery.Change {
	c := b.change(delivery.UpdateGroup, sequence)
	c.Key += delivery.ChangeKey("-" + image)
	spec := b.Spec(image, size, true)
	c.Spec, c.Update = &spec, b.movement(sequence)
	return c
}

// revert gives a group a version back.
func (b *bench) revert(sequence int, version string) delivery.Change {
	c := b.change(delivery.UpdateGroup, sequence)
	c.Key += "-back"
	c.Update = b.movement(sequence)
	c.Update.Version = version
	return c
}

// movement is the least surge that the group's cloud keeps.
func (b *bench) movement(sequence int) *delivery.Update {
	b.Helper()
	unit := 1
	if g := b.observe().Group(b.cluster.Moniker.ServerGroup(sequence)); g != nil {
		unit = max(1, g.RollUnit)
	}
	return &delivery.Update{Surge: unit}
}

// untilRolled waits until a group has a version, and all its instances are of it and
// healthy.
func (b *bench) untilRolled(sequence, want int, has func(delivery.ServerGroup) bool) delivery.ServerGroup {
	b.Helper()
	name := b.cluster.Moniker.ServerGroup(sequence)
	seen := b.until(fmt.Sprintf("%s to be rolled", name), func(s delivery.Snapshot) bool {
		g := s.Group(name)
		if g == nil {
			return false
		}
		ready, outdated := g.Rolled()
		// A new instance may count before every source has called it healthy.
		if serving := g.Healthy(); serving < want-max(1, g.RollUnit) {
			b.Fatalf("%d of %d instances are healthy during an update without unavailability", serving, want)
		}
		return has(*g) && ready == want && outdated == 0 && !g.Rolling && len(g.Instances) == want
	})
	return *seen.Group(name)
}

func anyVersion(delivery.ServerGroup) bool { return true }

// madeBy is a version that a change made.
func madeBy(c delivery.Change) func(delivery.ServerGroup) bool {
	return func(g delivery.ServerGroup) bool { return g.VersionBy == c.Key }
}

func is(version string) func(delivery.ServerGroup) bool {
	return func(g delivery.ServerGroup) bool { return g.Version == version }
}

// inPlaceReadsBack updates a group, goes back, and removes what is left over. A
// target that cannot refuses.
func inPlaceReadsBack(b *bench) {
	b.serve(1, size)
	if !b.target.Describe().Capabilities.InPlace {
		b.refuses(b.target, b.update(1, b.good), delivery.Invalid)
		return
	}
	before, pieces := b.untilRolled(1, size, anyVersion), b.Pieces()
	if before.Version == "" || before.NotInPlace != "" || len(before.Spare) != 0 {
		b.Fatalf("version %q, not in place: %q, spare %v", before.Version, before.NotInPlace, before.Spare)
	}
	c := b.update(1, b.good)
	if n := b.apply(c); n < 2 {
		b.Errorf("an update took %d writes; want a version and its use at least", n)
	}
	if n := b.apply(c); n != 0 {
		b.Errorf("the same update again took %d writes", n)
	}
	after := b.untilRolled(1, size, madeBy(c))
	if after.Version == before.Version || after.VersionBy != c.Key || after.Image != b.good || after.Capacity != before.Capacity || !after.Complete {
		b.Errorf("after the update by %s: %+v", c.Key, after)
	}
	if got := b.observe().Routing.Percent(c.Group); got != 100 {
		b.Errorf("weight %d after the update", got)
	}
	b.apply(b.revert(1, before.Version))
	if back := b.untilRolled(1, size, is(before.Version)); back.Version != before.Version || back.VersionBy != before.VersionBy {
		b.Errorf("back to version %q by %q; want %q by %q", back.Version, back.VersionBy, before.Version, before.VersionBy)
	}
	b.prune(1, before.Version, pieces)
}

// prune removes the versions that nothing uses, which leaves what there was before
// the update.
func (b *bench) prune(sequence int, keep string, pieces []string) {
	b.Helper()
	prune := b.change(delivery.PruneGroup, sequence)
	name := b.cluster.Moniker.ServerGroup(sequence)
	keeps, writes := b.target.Describe().Capabilities.KeepsVersions, b.apply(prune)
	if keeps != (writes == 0) {
		b.Errorf("removing the versions that nothing uses took %d writes; versions are kept: %t", writes, keeps)
	}
	if g := b.observe().Group(name); len(g.Spare) != 0 || g.Version != keep {
		b.Errorf("spare %v, version %s", g.Spare, g.Version)
	}
	if n := b.apply(prune); n != 0 {
		b.Errorf("removing nothing took %d writes", n)
	}
	if diff := cmp.Diff(pieces, b.Pieces()); diff != "" {
		b.Errorf("left behind or taken too much:\n%s", diff)
	}
}

// inPlaceOfASickVersion goes back from a version that never becomes healthy: the
// old instances serve all the time.
func inPlaceOfASickVersion(b *bench) {
	if !b.target.Describe().Capabilities.InPlace {
		b.Skip("the target cannot update in place")
	}
	b.serve(1, size)
	before, pieces := b.untilRolled(1, size, anyVersion), b.Pieces()
	b.apply(b.update(1, b.sick))
	b.until("instances of the sick version", func(s delivery.Snapshot) bool {
		_, outdated := s.Groups[0].Rolled()
		if s.Groups[0].Healthy() < size {
			b.Fatalf("%d healthy instances are left: %+v", s.Groups[0].Healthy(), s.Groups[0])
		}
		return len(s.Groups[0].Instances) > outdated && len(s.Groups[0].Problems) > 0
	})
	b.apply(b.revert(1, before.Version))
	b.untilRolled(1, size, is(before.Version))
	b.prune(1, before.Version, pieces)
}

// inPlaceIsRefused leaves alone what is not there or not ours, and destroys every
// version with the group.
func inPlaceIsRefused(b *bench) {
	if !b.target.Describe().Capabilities.InPlace {
		b.Skip("the target cannot update in place")
	}
	b.Plant(b.T, b.cluster.Moniker.ServerGroup(7))
	before := b.Pieces()
	b.refuses(b.target, b.update(7, b.good), delivery.Guarded)
	b.refuses(b.target, b.update(9, b.good), delivery.NotFound)
	b.apply(b.create(1, b.good, 1, false))
	b.refuses(b.target, b.update(1, "no-such-image"), delivery.Invalid)
	b.refuses(b.target, b.revert(1, "no such version"), delivery.NotFound)
	b.apply(b.update(1, b.good))
	b.apply(b.change(delivery.DestroyGroup, 1))
	if diff := cmp.Diff(before, b.Pieces()); diff != "" {
		b.Errorf("destroyed after an update, left:\n%s", diff)
	}
}

// inPlaceLosesAnswers loses the answer of each write of an update in turn.
func inPlaceLosesAnswers(t *testing.T, open func(*testing.T) Cloud) {
	for nth := 1; nth <= 4; nth++ {
		t.Run(fmt.Sprintf("Write%d", nth), func(t *testing.T) {
			b := newBench(t, open)
			if !b.target.Describe().Capabilities.InPlace {
				b.Skip("the target cannot update in place")
			}
			b.serve(1, size)
			before, pieces := b.untilRolled(1, size, anyVersion), b.Pieces()
			c := b.update(1, b.good)
			b.LoseAnswer(nth)
			b.apply(c)
			b.untilRolled(1, size, madeBy(c))
			b.apply(b.revert(1, before.Version))
			b.untilRolled(1, size, is(before.Version))
			b.apply(b.change(delivery.PruneGroup, 1))
			if diff := cmp.Diff(pieces, b.Pieces()); diff != "" {
				b.Errorf("left behind:\n%s", diff)
			}
		})
	}
}
