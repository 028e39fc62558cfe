package mig_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/slipway-cd/slipway/delivery"
)

// TestGroupOf: one call finds the group that an instance's name begins with.
func TestGroupOf(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.apply(t, c.create(shop.ServerGroup(0), "shop-1-1", 1))
	var seen delivery.Snapshot
	c.until(t, "the group has an instance", func() bool {
		seen = c.observe(t, balancer)
		return len(seen.Groups) == 1 && len(seen.Groups[0].Instances) == 1
	})
	since := c.world.Log.Last()
	cluster, group, err := c.target.GroupOf(t.Context(), seen.Groups[0].Instances[0].ID)
	if err != nil || cluster != c.Cluster(shop) || group != shop.ServerGroup(0) {
		t.Errorf("the instance is in %s of %+v, %v", group, cluster, err)
	}
	if calls := c.calls(since); fmt.Sprint(calls) != fmt.Sprint(map[string]int{"RegionInstanceGroupManagers.List": 1}) {
		t.Errorf("calls %v", calls)
	}
	for _, name := range []string{"", "-", "shop", "shop-v001-abcd", "i-0000000000000000f", ".*-abcd", `a" or name eq ".*-x`} {
		if _, group, err := c.target.GroupOf(t.Context(), name); delivery.KindOf(err) != delivery.NotFound {
			t.Errorf("instance %q is in %q, %v", name, group, err)
		}
	}
}

// TestImages: Compute Engine compares the names, and a pattern is no regular
// expression.
func TestImages(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for pattern, want := range map[string][]string{
		"shop-1-*": {"shop-1-1", "shop-1-0"}, "shop-1-?": {"shop-1-1", "shop-1-0"}, "*-1-0": {"shop-1-0", "sick-1-0"}, "shop-1-1": {"shop-1-1"},
		"shop": {}, "shop.1.1": {}, "shop-1-[01]": {}, `shop-1-1" or name eq ".*`: {}, "SHOP-1-1": {},
	} {
		found, err := c.target.Images(t.Context(), pattern)
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, i := range found {
			got = append(got, i.Name)
			if i.ID != "projects/"+project+"/global/images/"+i.Name || i.CreatedAt.IsZero() {
				t.Errorf("image %+v", i)
			}
		}
		if diff := cmp.Diff(want, got, cmpopts.SortSlices(strings.Compare)); diff != "" {
			t.Errorf("%s:\n%s", pattern, diff)
		}
		if !slices.IsSortedFunc(found, func(a, b delivery.Image) int { return b.CreatedAt.Compare(a.CreatedAt) }) {
			t.Errorf("%s: not the newest first: %+v", pattern, found)
		}
	}
}
