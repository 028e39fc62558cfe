package providertest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
)

// lostAnswers loses the answer of each write in turn, after its effect: every
// change must end as if nothing had happened.
func lostAnswers(t *testing.T, open func(*testing.T) Cloud) {
	const resizing = 2 // the move that changes a capacity
	moves := []func(b *bench){
		func(b *bench) { b.apply(b.create(2, b.good, 1, true)) },
		func(b *bench) { b.apply(b.weigh(map[int]int{1: 40, 2: 60})) },
		func(b *bench) { b.apply(b.resize(2, 2)) },
		func(b *bench) { b.apply(b.weigh(map[int]int{1: 100, 2: 0})) },
		func(b *bench) { b.apply(b.change(delivery.DestroyGroup, 2)) },
	}
	t.Run("EachWrite", func(t *testing.T) {
		b := newBench(t, open)
		b.serve(1, 1)
		before := b.Pieces()
		moves := moves
		if !b.target.Describe().Capabilities.Resize {
			moves = slices.Delete(slices.Clone(moves), resizing, resizing+1)
		}
		for round := range 2 {
			for i, move := range moves {
				if round == 1 {
					b.LoseAnswer(1)
				}
				writes := b.Writes()
				move(b)
				if i == 0 {
					b.oneGroup(2)
				}
				if round == 1 && b.Writes() == writes {
					b.Errorf("move %d wrote nothing", i)
				}
			}
			if diff := cmp.Diff(before, b.Pieces()); diff != "" {
				b.Errorf("round %d left something:\n%s", round, diff)
			}
		}
	})
	for nth := 1; nth <= 6; nth++ {
		t.Run(fmt.Sprintf("Write%dOfCreateAndDestroy", nth), func(t *testing.T) {
			b := newBench(t, open)
			before := b.Pieces()
			b.LoseAnswer(nth)
			b.apply(b.create(2, b.good, 1, true))
			b.oneGroup(2)
			b.LoseAnswer(nth)
			b.apply(b.change(delivery.DestroyGroup, 2))
			if diff := cmp.Diff(before, b.Pieces()); diff != "" {
				b.Errorf("left behind:\n%s", diff)
			}
		})
	}
}

// oneGroup wants exactly one complete group of that sequence.
func (b *bench) oneGroup(sequence int) {
	b.Helper()
	n := 0
	for _, g := range b.observe().Groups {
		if g.Sequence == sequence {
			n++
			if !g.Complete {
				b.Errorf("%s is not complete", g.Name)
			}
		}
	}
	if n != 1 {
		b.Errorf("%d groups of sequence %d; want 1", n, sequence)
	}
}

// interrupted stops a creation after each of its writes: the half-made group is
// shown as incomplete, and a destroy leaves nothing. Last comes a whole group.
func interrupted(t *testing.T, open func(*testing.T) Cloud) {
	b := newBench(t, open)
	before := b.Pieces()
	c := b.create(1, b.good, 1, true)
	total := b.apply(c)
	b.destroyShown(c.Group, before)
	for after := 1; after < total; after++ {
		c.Key += "-again"
		for range after {
			if receipt, err := b.applyOnce(c); err != nil || receipt.Done {
				b.Fatalf("creation step: %+v, %v", receipt, err)
			}
		}
		b.shownIncomplete(c.Group, fmt.Sprintf("creation stopped after %d writes", after))
		b.destroyShown(c.Group, before)
		if diff := cmp.Diff(before, b.Pieces()); diff != "" {
			b.Fatalf("creation stopped after %d writes, destroy left:\n%s", after, diff)
		}
	}
}

func (b *bench) shownIncomplete(group, when string) {
	b.Helper()
	g := b.observe().Group(group)
	if g == nil || g.Complete || !g.Managed {
		b.Errorf("%s: %+v; want an incomplete managed group", when, g)
	}
}

// destroyShown destroys the group, which stays listed until its last piece is gone.
func (b *bench) destroyShown(group string, without []string) {
	b.Helper()
	destroy := b.change(delivery.DestroyGroup, 1)
	for range maxApplies {
		receipt, err := b.applyOnce(destroy)
		if err != nil && !delivery.KindOf(err).Retryable() {
			b.Fatal(err)
		}
		if receipt.Done {
			if g := b.observe().Group(group); g != nil {
				b.Errorf("destroyed and still shown: %+v", *g)
			}
			return
		}
		if !slices.Equal(without, b.Pieces()) && receipt.Wrote != "" {
			b.shownIncomplete(group, "during the destroy")
		}
		pause(b.T)
	}
	b.Fatal("destroy did not end")
}
