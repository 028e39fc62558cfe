package cloudrun_test

import (
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

// TestFirstDeployment: without a service there is an empty routing to begin with;
// the creation makes the service, whose only revision takes all traffic.
func TestFirstDeployment(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	seen := c.observe(t)
	if seen.Routing == nil || len(seen.Routing.Weights) != 0 || len(seen.Groups) != 0 {
		t.Errorf("before: %+v", seen)
	}
	if seen, err := c.target.Observe(t.Context(), c.bare(shop), ""); err != nil || seen.Routing != nil {
		t.Errorf("before, without a load balancer: %+v, %v", seen, err)
	}
	if _, err := c.target.Apply(t.Context(), c.weigh(t, all(shop.ServerGroup(1)))); delivery.KindOf(err) != delivery.NotFound {
		t.Errorf("weights of nothing: %v", err)
	}
	first := c.create(shop.ServerGroup(1), "1.1")
	c.LoseAnswer(1)
	c.apply(t, first)
	c.healthy(t, first.Group)
	seen = c.observe(t)
	if g := seen.Group(first.Group); !g.Complete || !g.Managed || seen.Routing.Percent(first.Group) != 100 {
		t.Errorf("after: %+v", seen)
	}
	if n := c.Writes(); n != 1 {
		t.Errorf("%d writes; want 1", n)
	}
	if _, err := c.target.Apply(t.Context(), c.destroy(first.Group)); delivery.KindOf(err) != delivery.Guarded {
		t.Errorf("destroy of all that serves: %v", err)
	}
}

// TestFirstDeploymentFails: what the creation made goes with its only revision, and
// if that stays a second creation is a first one again.
func TestFirstDeploymentFails(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	sick, group := c.create(shop.ServerGroup(1), "sick"), shop.ServerGroup(2)
	c.apply(t, sick)
	c.failed(t, sick.Group)
	if seen := c.observe(t); seen.Routing.Percent(sick.Group) != 0 || seen.Group(sick.Group).Healthy() != 0 {
		t.Errorf("nothing serves: %+v", seen)
	}
	c.apply(t, c.create(group, "1.1"))
	c.healthy(t, group)
	if got := c.observe(t).Routing.Percent(group); got != 100 {
		t.Errorf("the second takes %d %%", got)
	}
	c.apply(t, c.destroy(sick.Group))
	if c.service(shop.Cluster()) == nil || c.observe(t).Group(sick.Group) != nil {
		t.Error("the service went with its first revision, or that is still there")
	}

	c = newCloud(t)
	c.apply(t, sick)
	c.failed(t, sick.Group)
	c.apply(t, c.destroy(sick.Group))
	if pieces := c.Pieces(); len(pieces) != 0 {
		t.Errorf("left behind: %v", pieces)
	}
}
