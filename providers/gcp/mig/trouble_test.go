package mig_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/simcloud"
	simgcp "github.com/slipway-cd/slipway/simcloud/gcp"
)

// TestQuotaInsideAnOperation: an insertion is accepted and fails in its operation;
// that is the change's error, told again without another write, and what was made
// before can be removed.
func TestQuotaInsideAnOperation(t *testing.T) {
	t.Parallel()
	c := newCloudWith(t, simgcp.Options{Quotas: map[string]int{"INSTANCE_GROUP_MANAGERS": 1}})
	c.apply(t, c.create(shop.ServerGroup(1), "shop-1-1", 0))
	before := c.Pieces()
	second := c.create(shop.ServerGroup(2), "shop-1-1", 0)
	err := c.refused(t, second)
	if delivery.KindOf(err) != delivery.Quota || codeOf(err) != "QUOTA_EXCEEDED" || !strings.Contains(err.Error(), "INSTANCE_GROUP_MANAGERS") {
		t.Errorf("kind %v, code %q, %v", delivery.KindOf(err), codeOf(err), err)
	}
	writes := c.Writes()
	if _, err := c.target.Apply(t.Context(), second); delivery.KindOf(err) != delivery.Quota {
		t.Errorf("applied again: %v", err)
	}
	if n := c.Writes() - writes; n != 0 {
		t.Errorf("applied again it wrote %d times", n)
	}
	c.apply(t, c.destroy(second.Group))
	if after := c.Pieces(); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Errorf("left %v; want %v", after, before)
	}
}

// TestStockout: a zone without machines shows as problems of the group, of kind
// and text that a person understands.
func TestStockout(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.fault(simcloud.Fault{Match: simcloud.Match{Action: "instances.insert"}, Effect: simcloud.Effect{Kind: simcloud.EffectNoCapacity}})
	change := c.create(shop.ServerGroup(1), "shop-1-1", 1)
	c.apply(t, change)
	c.until(t, "a problem is reported", func() bool { return len(c.observe(t, balancer).Groups[0].Problems) > 0 })
	p := c.observe(t, balancer).Groups[0].Problems[0]
	if p.Code != "ZONE_RESOURCE_POOL_EXHAUSTED" || p.ID == "" || p.At.IsZero() || !strings.Contains(p.Message, "enough resources") {
		t.Errorf("problem %+v", p)
	}
}

// TestRunningOperation: while an operation on a piece runs, a change writes nothing
// and says what it waits for, also when the piece reads as wanted already.
func TestRunningOperation(t *testing.T) {
	t.Parallel()
	c := newCloudWith(t, simgcp.Options{OperationTime: time.Hour})
	change := c.create(shop.ServerGroup(1), "shop-1-1", 0)
	receipt, err := c.target.Apply(t.Context(), change)
	if err != nil || receipt.Wrote != "RegionInstanceTemplates.Insert" {
		t.Fatalf("first: %+v, %v", receipt, err)
	}
	for range 3 {
		receipt, err = c.target.Apply(t.Context(), change)
		if err != nil || receipt != (delivery.Receipt{Waiting: "operation insert on instanceTemplates/" + change.Group + " to end"}) {
			t.Errorf("while it runs: %+v, %v", receipt, err)
		}
	}
	if n := c.Writes(); n != 1 {
		t.Errorf("%d writes", n)
	}
	if receipt, err = c.target.Apply(t.Context(), c.destroy(change.Group)); err != nil || receipt.Waiting == "" {
		t.Errorf("destroy meanwhile: %+v, %v", receipt, err)
	}
}

// TestDeletingGroup: a group whose deletion runs is shown so, and can neither be
// changed nor made anew. Without ticks its instance does not go.
func TestDeletingGroup(t *testing.T) {
	t.Parallel()
	c := newCloudWith(t, simgcp.Options{TickInterval: time.Hour})
	change := c.create(shop.ServerGroup(1), "shop-1-1", 1)
	spec := c.Spec("shop-1-1", 1, false)
	change.Spec = &spec
	c.apply(t, change)
	destroy := c.destroy(change.Group)
	if receipt, err := c.target.Apply(t.Context(), destroy); err != nil || receipt.Wrote != "RegionInstanceGroupManagers.Delete" {
		t.Fatalf("destroy: %+v, %v", receipt, err)
	}
	if g := c.observe(t, "").Group(change.Group); g == nil || !g.Deleting || g.Complete || !g.Managed {
		t.Errorf("shown as %+v", g)
	}
	for _, other := range []delivery.Change{change, c.resize(change.Group, "grow", delivery.Pinned(2))} {
		if _, err := c.target.Apply(t.Context(), other); delivery.KindOf(err) != delivery.Conflict || !strings.Contains(err.Error(), "being deleted") {
			t.Errorf("%v: %v", other, err)
		}
	}
	if receipt, err := c.target.Apply(t.Context(), destroy); err != nil || receipt.Done || receipt.Waiting == "" {
		t.Errorf("destroy again: %+v, %v", receipt, err)
	}
}

// TestProblemsAreTheGroupsOwn: repairs of another group's instances are none of
// the group's problems.
func TestProblemsAreTheGroupsOwn(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	sick, good := c.create(shop.ServerGroup(1), "sick-1-0", 1), c.create(shop.ServerGroup(2), "shop-1-1", 1)
	c.apply(t, sick)
	c.until(t, "a problem is reported", func() bool { return len(c.observe(t, balancer).Group(sick.Group).Problems) > 0 })
	c.fault(simcloud.Fault{Match: simcloud.Match{Action: "instances.insert"}, Effect: simcloud.Effect{Kind: simcloud.EffectNoCapacity, Code: "NO_MACHINES"}})
	c.apply(t, good)
	c.until(t, "the other group has a problem", func() bool { return len(c.observe(t, balancer).Group(good.Group).Problems) > 0 })
	for _, p := range c.observe(t, balancer).Group(good.Group).Problems {
		if p.Code != "NO_MACHINES" {
			t.Errorf("problem %+v", p)
		}
	}
}

// TestDeadline: a list of many pages ends with the caller's time, although the SDK
// keeps the context from its requests.
func TestDeadline(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for i := range 8 {
		c.Plant(t, shop.ServerGroup(i))
	}
	since := c.world.Log.Last()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c.fault(simcloud.Fault{Match: simcloud.Match{Action: "RegionInstanceGroupManagers.List"}, Effect: simcloud.Effect{Kind: simcloud.EffectSlow, Duration: 40 * time.Millisecond}})
	_, err := c.target.Observe(ctx, c.Cluster(shop), "")
	if delivery.KindOf(err) != delivery.Transient {
		t.Errorf("kind %v, %v", delivery.KindOf(err), err)
	}
	if n := c.calls(since)["RegionInstanceGroupManagers.List"]; n > 2 {
		t.Errorf("%d pages were read", n)
	}
}
