package asg_test

import (
	"fmt"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/simcloud"
)

// TestGroupOf: one call finds the group of an instance, and nothing is found for
// an instance in a group that is no server group.
func TestGroupOf(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.apply(t, c.create(shop.ServerGroup(0), "shop-1.1", 2))
	var seen delivery.Snapshot
	c.until(t, "the group has instances", func() bool {
		seen = c.observe(t, balancer)
		return len(seen.Groups) == 1 && len(seen.Groups[0].Instances) == 2
	})
	for _, i := range seen.Groups[0].Instances {
		since := c.world.Log.Last()
		cluster, group, err := c.target.GroupOf(t.Context(), i.ID)
		if err != nil || cluster != c.Cluster(shop) || group != shop.ServerGroup(0) {
			t.Errorf("instance %s is in %s of %+v, %v", i.ID, group, cluster, err)
		}
		if _, calls := c.calls(since); fmt.Sprint(calls) != fmt.Sprint(map[string]int{"DescribeAutoScalingInstances": 1}) {
			t.Errorf("calls %v", calls)
		}
	}
	for _, id := range []string{"", "i-0000000000000000f", "storefront"} {
		if _, group, err := c.target.GroupOf(t.Context(), id); delivery.KindOf(err) != delivery.NotFound {
			t.Errorf("instance %q is in %q, %v", id, group, err)
		}
	}
	c.fault(simcloud.Fault{Match: simcloud.Match{Action: "DescribeAutoScalingInstances"}, Effect: simcloud.Effect{Kind: simcloud.EffectThrottle}, Times: 10})
	if _, _, err := c.target.GroupOf(t.Context(), seen.Groups[0].Instances[0].ID); delivery.KindOf(err) != delivery.Throttled {
		t.Errorf("throttled: %v", err)
	}
}
