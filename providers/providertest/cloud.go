package providertest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Cloud is one simulated account and region with a load balancer that no
// cluster uses yet. Its lists have small pages.
type Cloud interface {
	// Target is the target under test, without decorators.
	Target() delivery.Target
	// Cluster returns a cluster of the account and region.
	Cluster(m delivery.Moniker) delivery.Cluster
	// Spec describes a group of the image, behind the load balancer or behind none.
	Spec(image string, size int, behindLoadBalancer bool) delivery.GroupSpec
	// Images returns the name of an image that becomes healthy and of one that never does.
	Images() (good, sick string)
	// Writes counts the calls that changed something so far. Where the SDK repeats a
	// write whose answer got lost by itself, the lost one does not count.
	Writes() int
	// LoseAnswer makes the nth write from now take effect and its answer get lost.
	LoseAnswer(nth int)
	// Pieces names everything that exists, sorted: groups, templates, target
	// groups, and the destinations of routing rules.
	Pieces() []string
	// Plant makes a server group behind the back of the target, without
	// ownership tags.
	Plant(t *testing.T, name string)
}

const (
	// patience bounds every wait of the suite, in real time.
	patience = 20 * time.Second
	// maxApplies bounds how often one change is applied.
	maxApplies = 2000
)

// bench is one test's cloud with the moves that tests make.
type bench struct {
	*testing.T
	Cloud
	cluster delivery.Cluster
	target  delivery.Target
	good    string
	sick    string
}

func newBench(t *testing.T, open func(*testing.T) Cloud) *bench {
	t.Parallel()
	cloud := open(t)
	b := &bench{T: t, Cloud: cloud, target: cloud.Target(), cluster: cloud.Cluster(delivery.Moniker{App: "shop", Stack: "test"})}
	b.good, b.sick = cloud.Images()
	return b
}

func (b *bench) change(kind delivery.ChangeKind, sequence int) delivery.Change {
	group := b.cluster.Moniker.ServerGroup(sequence)
	deployment := delivery.NewDeploymentID(delivery.ExecutionID(fmt.Sprintf("01TEST%020d", sequence)), "1", b.cluster)
	return delivery.Change{
		Key: delivery.ChangeKey(fmt.Sprintf("%s#%s", deployment, kind)), Kind: kind,
		Cluster: b.cluster, Deployment: deployment, Group: group,
	}
}

func (b *bench) create(sequence int, image string, size int, behindLoadBalancer bool) delivery.Change {
	c := b.change(delivery.CreateGroup, sequence)
	spec := b.Spec(image, size, behindLoadBalancer)
	c.Spec, c.Capacity = &spec, &spec.Capacity
	return c
}

func (b *bench) resize(sequence, size int) delivery.Change {
	c := b.change(delivery.ResizeGroup, sequence)
	c.Key += delivery.ChangeKey(fmt.Sprintf("%d", size))
	capacity := delivery.Pinned(size)
	c.Capacity = &capacity
	return c
}

// weigh makes a routing change on what is observed now: weights[i] is the share
// of sequence i.
func (b *bench) weigh(weights map[int]int) delivery.Change {
	b.Helper()
	c := b.change(delivery.SetRouting, 0)
	c.Group = ""
	c.Key += delivery.ChangeKey(fmt.Sprint(weights))
	for _, sequence := range slices.Sorted(keysOf(weights)) {
		c.Weights = append(c.Weights, delivery.Weight{ServerGroup: b.cluster.Moniker.ServerGroup(sequence), Percent: weights[sequence]})
	}
	if routing := b.observe().Routing; routing != nil {
		c.Fingerprint = routing.Fingerprint
	}
	return c
}

// apply carries a change through and returns how many writes it took. It fails
// the test when one Apply writes twice or an error is not worth a retry.
func (b *bench) apply(c delivery.Change) int {
	b.Helper()
	writes := 0
	for range maxApplies {
		receipt, err := b.applyOnce(c)
		if err != nil && !delivery.KindOf(err).Retryable() {
			b.Fatalf("%v: %v", c, err)
		}
		if err == nil && receipt.Done {
			return writes
		}
		if receipt.Wrote != "" {
			writes++
			continue
		}
		pause(b.T)
	}
	b.Fatalf("%v: not done after %d applications", c, maxApplies)
	return 0
}

func (b *bench) applyOnce(c delivery.Change) (delivery.Receipt, error) {
	b.Helper()
	before := b.Writes()
	receipt, err := b.target.Apply(b.Context(), c)
	if n := b.Writes() - before; n > 1 {
		b.Fatalf("%v: one Apply wrote %d times", c, n)
	} else if receipt.Done && n > 0 {
		b.Fatalf("%v: done in the same Apply that wrote, without reading back", c)
	}
	return receipt, err
}

// refuses wants the change to fail with the kind and to write nothing.
func (b *bench) refuses(target delivery.Target, c delivery.Change, kind delivery.Kind) {
	b.Helper()
	before := b.Writes()
	receipt, err := target.Apply(b.Context(), c)
	if err == nil || delivery.KindOf(err) != kind {
		b.Errorf("%v: receipt %+v, error %v; want kind %v", c, receipt, err, kind)
	}
	if n := b.Writes() - before; n != 0 {
		b.Errorf("%v: refused, and wrote %d times", c, n)
	}
}

func (b *bench) observe() delivery.Snapshot {
	b.Helper()
	seen, err := b.target.Observe(b.Context(), b.cluster, "")
	if err != nil {
		b.Fatalf("observe: %v", err)
	}
	return seen
}

// until observes until the snapshot satisfies the condition.
func (b *bench) until(what string, ok func(delivery.Snapshot) bool) delivery.Snapshot {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	for {
		seen := b.observe()
		if ok(seen) {
			return seen
		}
		if ctx.Err() != nil {
			b.Fatalf("%s: not within %v; seen %+v", what, patience, seen)
		}
		pause(b.T)
	}
}

// untilHealthy waits until all of a group's instances are healthy. A group
// without a size of its own shows one, which stands for the whole of it.
func (b *bench) untilHealthy(sequence, want int) delivery.Snapshot {
	b.Helper()
	if !b.target.Describe().Capabilities.Resize {
		want = min(want, 1)
	}
	name := b.cluster.Moniker.ServerGroup(sequence)
	return b.until(fmt.Sprintf("%d healthy in %s", want, name), func(s delivery.Snapshot) bool {
		g := s.Group(name)
		return g != nil && g.Healthy() == want && len(g.Instances) == want
	})
}

// serve makes a group that takes all traffic.
func (b *bench) serve(sequence, size int) {
	b.Helper()
	b.apply(b.create(sequence, b.good, size, true))
	b.untilHealthy(sequence, size)
	b.apply(b.weigh(map[int]int{sequence: 100}))
}

// pause lets the simulated cloud move on between two looks.
func pause(t *testing.T) {
	t.Helper()
	timer := time.NewTimer(5 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}
