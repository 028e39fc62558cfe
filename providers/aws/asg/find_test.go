package asg_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

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

// TestImages: EC2 compares the names; too many are refused, and not cut off.
func TestImages(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	names := func(pattern string) []string {
		t.Helper()
		found, err := c.target.Images(t.Context(), pattern)
		if err != nil {
			t.Fatal(err)
		}
		out := []string{}
		for _, i := range found {
			out = append(out, i.Name)
		}
		return out
	}
	for pattern, want := range map[string][]string{
		"shop-1.*": {"shop-1.0", "shop-1.1"}, "shop-1.?": {"shop-1.0", "shop-1.1"}, "*sick": {"shop-sick"}, "shop-1.1": {"shop-1.1"},
		"shop": {}, "shop.1.1": {}, "ami-00000000": {}, `shop-1\\*`: {}, "[a-z]*": {},
	} {
		if diff := cmp.Diff(want, names(pattern)); diff != "" {
			t.Errorf("%s:\n%s", pattern, diff)
		}
	}
	one, err := c.target.Images(t.Context(), "shop-sick")
	if err != nil || len(one) != 1 || one[0].CreatedAt.IsZero() {
		t.Fatalf("%+v, %v", one, err)
	}
	if diff := cmp.Diff([]string{"shop-sick"}, names(one[0].ID)); diff != "" {
		t.Errorf("by id:\n%s", diff)
	}
	for n := range delivery.MaxImages - 2 {
		if _, err := c.server.SeedImage(simcloud.Image{Name: fmt.Sprintf("shop-many-%d", n)}); err != nil {
			t.Fatal(err)
		}
	}
	since := c.world.Log.Last()
	found, err := c.target.Images(t.Context(), "shop-*")
	if findings := delivery.FindingsOf(err); delivery.KindOf(err) != delivery.Invalid || len(findings) != 1 || findings[0].Pointer != "/pattern" {
		t.Errorf("%d images, %v", len(found), err)
	}
	if _, calls := c.calls(since); calls["DescribeImages"] != 2 {
		t.Errorf("calls %v, want 2 pages", calls)
	}
	if n := len(names("shop-many-*")); n != delivery.MaxImages-2 {
		t.Errorf("%d images, want %d", n, delivery.MaxImages-2)
	}
}
