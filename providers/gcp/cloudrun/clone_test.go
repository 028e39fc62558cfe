package cloudrun_test

import (
	"encoding/json"
	"strings"
	"testing"

	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/slipway-cd/slipway/delivery"
)

// like makes a creation of a group like another one; settings is the cluster object.
func (c *cloud) like(cluster delivery.Cluster, group, from, settings string) delivery.Change {
	return delivery.Change{
		Key: delivery.ChangeKey("01TEST/1/" + group + "#create"), Kind: delivery.CreateGroup, Cluster: cluster, Deployment: "01TEST/1", Group: group,
		Spec: &delivery.GroupSpec{From: from, LoadBalancer: cluster.Name(), Capacity: delivery.Capacity{Min: 0, Max: 5, Desired: 1}, Settings: json.RawMessage(settings)},
	}
}

func (c *cloud) revisionOf(t *testing.T, cluster delivery.Cluster, name string) *runpb.Revision {
	return must(c.revisions.GetRevision(t.Context(), &runpb.GetRevisionRequest{Name: location + "/services/" + cluster.Name() + "/revisions/" + name}))
}

// TestCloneCopiesEverything copies a revision, and overrides what the second copy says.
func TestCloneCopiesEverything(t *testing.T) {
	c := newCloud(t)
	cluster := c.Cluster(delivery.Moniker{App: "shop", Stack: "test"})
	first := c.like(cluster, "shop-test-v001", "", `{"env":{"PASSWORD":"secret","COLOR":"red"},"memory":"256Mi","port":9090,"concurrency":7,"timeoutSeconds":33,
		"serviceAccount":"shop@`+project+`.iam.gserviceaccount.com","labels":{"team":"payments"}}`)
	first.Spec.Image = images + ":1.0"
	c.apply(t, first)
	c.apply(t, c.like(cluster, "shop-test-v002", "shop-test-v001", `{}`))
	second := c.like(cluster, "shop-test-v003", "shop-test-v001", `{"env":{"COLOR":"blue"},"concurrency":9}`)
	second.Spec.Image = images + ":1.1"
	c.apply(t, second)

	from, like, other := c.revisionOf(t, cluster, "shop-test-v001"), c.revisionOf(t, cluster, "shop-test-v002"), c.revisionOf(t, cluster, "shop-test-v003")
	for _, pair := range [][2]any{
		{from.GetContainers(), like.GetContainers()}, {from.GetTimeout(), like.GetTimeout()}, {from.GetServiceAccount(), like.GetServiceAccount()},
		{from.GetMaxInstanceRequestConcurrency(), like.GetMaxInstanceRequestConcurrency()}, {from.GetLabels(), like.GetLabels()}, {from.GetTimeout(), other.GetTimeout()},
	} {
		if diff := cmp.Diff(pair[0], pair[1], protocmp.Transform()); diff != "" {
			t.Errorf("(-source +copy):\n%s", diff)
		}
	}
	if like.GetAnnotations()["slipway.dev/server-group"] != "shop-test-v002" {
		t.Errorf("annotations of the copy: %v", like.GetAnnotations())
	}
	env := map[string]string{}
	for _, v := range other.GetContainers()[0].GetEnv() {
		env[v.GetName()] = v.GetValue()
	}
	if diff := cmp.Diff(map[string]string{"PASSWORD": "secret", "COLOR": "blue"}, env); diff != "" {
		t.Error(diff)
	}
	if other.GetMaxInstanceRequestConcurrency() != 9 || !strings.HasSuffix(other.GetContainers()[0].GetImage(), ":1.1") {
		t.Errorf("overridden copy: %v", other)
	}
}

func TestCloneTakesNoManifest(t *testing.T) {
	c := newCloud(t)
	cluster := c.Cluster(delivery.Moniker{App: "shop", Stack: "test"})
	both := c.like(cluster, "shop-test-v002", cluster.Name()+"-00001-abc", `{"manifest":{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"name":"shop-test"}}}`)
	findings, err := c.target.Validate(t.Context(), cluster, *both.Spec)
	if err != nil || len(findings) == 0 || findings[0].Pointer != "/manifest" {
		t.Errorf("findings %+v, error %v", findings, err)
	}
	both.Spec.Settings = nil // a revision that others made and named
	if findings, err := c.target.Validate(t.Context(), cluster, *both.Spec); err != nil || len(findings) != 0 {
		t.Errorf("findings %+v, error %v", findings, err)
	}
}
