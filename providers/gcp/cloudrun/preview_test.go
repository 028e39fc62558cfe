package cloudrun_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

// TestPreviewOfAGroupWithoutTag: a revision that has lost its tag, or never had one,
// gets the one that its creation would have given it. Its traffic stays.
func TestPreviewOfAGroupWithoutTag(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	old, group := shop.ServerGroup(0), shop.ServerGroup(1)
	c.seed(shop.Cluster(), old)
	c.apply(t, c.create(group, "1.1"))
	c.healthy(t, group)
	seen := c.observe(t).Routing
	if seen.PreviewBy(old, delivery.Match{}) != nil || seen.PreviewBy(group, delivery.Match{}) == nil {
		t.Errorf("previews %+v", seen.Previews)
	}
	c.apply(t, delivery.Change{Key: "preview", Kind: delivery.CreatePreview, Cluster: c.Cluster(shop), Group: old, Match: &delivery.Match{}})
	seen = c.observe(t).Routing
	p := seen.PreviewBy(old, delivery.Match{})
	if p == nil || seen.Percent(old) != 100 {
		t.Fatalf("routing %+v", seen)
	}
	c.until(t, "the address leads to the old revision", func() bool {
		return strings.Contains(ask(t, c.service(shop.Cluster()).GetUri(), must(url.Parse(p.URL)).Host), `"1.0"`)
	})
	gone := delivery.Change{Key: "gone", Kind: delivery.DeletePreview, Cluster: c.Cluster(shop), Group: old}
	if _, err := c.target.Apply(t.Context(), gone); delivery.KindOf(err) != delivery.Invalid {
		t.Errorf("removal of an address: %v", err)
	}
}
