package cloudrun_test

import (
	"testing"

	"cloud.google.com/go/run/apiv2/runpb"

	"github.com/slipway-cd/slipway/delivery"
)

// TestDestroyTurnsTheTemplateBack: the latest created revision is removed, and the
// next change of the service by hand starts from what serves.
func TestDestroyTurnsTheTemplateBack(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.Cluster(shop)
	first, second := c.create(shop.ServerGroup(1), "1.1"), c.create(shop.ServerGroup(2), "1.1")
	c.apply(t, first)
	c.healthy(t, first.Group)
	c.apply(t, c.weigh(t, all(first.Group)))
	c.apply(t, second)
	before := c.Writes()
	c.apply(t, c.destroy(second.Group))
	if n := c.Writes() - before; n != 3 {
		t.Errorf("%d writes; want traffic, template and revision", n)
	}
	service := c.service(shop.Cluster())
	if got := service.GetTemplate().GetRevision(); got != first.Group || last(service.GetLatestCreatedRevision()) != first.Group {
		t.Errorf("template %s, latest created %s", got, service.GetLatestCreatedRevision())
	}
	if n := len(every(c.revisions.ListRevisions(t.Context(), &runpb.ListRevisionsRequest{Parent: service.GetName()}).Next)); n != 2 {
		t.Errorf("%d revisions; want the foreign one and %s", n, first.Group)
	}
}

// TestRefusedWayBack: the revision that serves has something that revisions do not
// show, so its template cannot be made again. The destroyed revision is retired.
func TestRefusedWayBack(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.Cluster(shop)
	service := c.service(shop.Cluster())
	service.Template.Revision, service.Template.HealthCheckDisabled = shop.Cluster()+"-00002-abc", true
	c.update(&runpb.Service{Name: service.GetName(), Template: service.Template, Traffic: []*runpb.TrafficTarget{{Type: latest, Percent: 100}}}, "template", "traffic")
	c.until(t, "the service to settle", func() bool { return !c.service(shop.Cluster()).GetReconciling() })

	group := shop.ServerGroup(1)
	c.apply(t, c.create(group, "1.1"))
	before := c.Writes()
	c.apply(t, c.destroy(group))
	if n := c.Writes() - before; n != 2 {
		t.Errorf("%d writes; want traffic and annotation", n)
	}
	if seen := c.observe(t); len(seen.Groups) != 0 || len(seen.Routing.Weights) != 0 {
		t.Errorf("a retired revision is shown: %+v", seen)
	}
	if clusters, err := c.target.Clusters(t.Context(), shop.App); err != nil || len(clusters) != 0 {
		t.Errorf("clusters %v, %v", clusters, err)
	}
	if got := c.service(shop.Cluster()).GetAnnotations()["slipway.dev/retired"]; got != group {
		t.Errorf("retired %q; want %s", got, group)
	}
	c.apply(t, c.destroy(group))
	if n := c.Writes() - before; n != 2 {
		t.Errorf("%d writes after it was destroyed again", n)
	}
	next := c.create(shop.ServerGroup(2), "1.1")
	c.apply(t, next)
	c.healthy(t, next.Group)
	if seen := c.observe(t); len(seen.Groups) != 1 {
		t.Errorf("beside a retired revision: %+v", seen.Groups)
	}
}

// TestFailedRevisionStays: a failed revision whose tag was left keeps the service
// from applying any traffic; the next writes leave it out.
func TestFailedRevisionStays(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.Cluster(shop)
	first, sick, next := c.create(shop.ServerGroup(1), "1.1"), c.create(shop.ServerGroup(2), "sick"), c.create(shop.ServerGroup(3), "1.1")
	c.apply(t, first)
	c.healthy(t, first.Group)
	c.apply(t, c.weigh(t, all(first.Group)))
	c.apply(t, sick)
	c.failed(t, sick.Group)
	seen := c.observe(t)
	if seen.Group(first.Group).Healthy() != 1 || seen.Group(sick.Group).Healthy() != 0 || seen.Routing.Percent(first.Group) != 100 {
		t.Errorf("beside a failed revision: %+v", seen)
	}
	c.apply(t, next)
	c.healthy(t, next.Group)
	c.apply(t, c.weigh(t, delivery.Weight{ServerGroup: first.Group, Percent: 50}, delivery.Weight{ServerGroup: next.Group, Percent: 50}))
	c.apply(t, c.destroy(sick.Group))
	if seen = c.observe(t); len(seen.Groups) != 2 || seen.Routing.Percent(next.Group) != 50 {
		t.Errorf("after the destroy: %+v", seen)
	}
}
