package api_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

func TestClusters(t *testing.T) {
	h := newHarness(t)
	h.runTask(createStorefront)
	h.save("deploy", deployStages("storefront-1.1"))
	var names map[string][]string
	if h.do("GET", "/applications/storefront/clusters", "").want(200).into(&names); len(names) != 0 {
		t.Errorf("clusters without server groups: %v", names)
	}
	h.do("GET", "/applications/storefront/clusters/aws-sim", "").want(404)
	if got := h.do("GET", "/applications/storefront/clusters/aws-sim/storefront-prod", "").want(200).body; string(got) != "{}" {
		t.Errorf("missing cluster: %s", got)
	}

	h.cloud.add("us-east-1")
	h.cloud.add("us-west-2")
	h.do("GET", "/applications/storefront/clusters", "").want(200).into(&names)
	if diff := cmp.Diff(map[string][]string{"aws-sim": {"storefront-prod"}}, names); diff != "" {
		t.Error(diff)
	}
	var clusters []v1.Cluster
	h.do("GET", "/applications/storefront/clusters/aws-sim", "").want(200).into(&clusters)
	if len(clusters) != 1 || len(clusters[0].ServerGroups) != 4 {
		t.Fatalf("clusters %+v", clusters)
	}
	h.do("GET", "/applications/storefront/clusters/other", "").want(404)
	detail := h.do("GET", "/applications/storefront", "").want(200)
	accounts, _ := detail.get("clusters.aws-sim").([]any)
	if len(accounts) != 1 {
		t.Errorf("application %s", detail.body)
	}
	cluster, _ := accounts[0].(map[string]any)
	if diff := cmp.Diff([]any{"storefront-prod-v000", "storefront-prod-v001"}, cluster["serverGroups"]); diff != "" {
		t.Errorf("names of the groups of both regions: %s", diff)
	}
}

func TestServerGroupsAsObserved(t *testing.T) {
	h := newHarness(t)
	h.save("deploy", deployStages("storefront-1.1"))
	h.cloud.add("us-east-1")
	var groups []v1.ServerGroup
	h.do("GET", "/applications/Storefront/serverGroups?cloudProvider=aws&clusters=aws-sim:storefront-prod", "").want(200).into(&groups)
	if len(groups) != 2 {
		t.Fatalf("%d groups", len(groups))
	}
	old, young := groups[0], groups[1]
	if old.Name != "storefront-prod-v000" || old.IsDisabled || *old.TrafficPercent != 100 || old.Managed || *old.Moniker.Sequence != 0 {
		t.Errorf("old group %+v", old)
	}
	if !young.IsDisabled || *young.TrafficPercent != 0 || !young.Managed || young.Moniker.Cluster != "storefront-prod" {
		t.Errorf("young group %+v", young)
	}
	if diff := cmp.Diff(v1.InstanceCounts{Total: 2, Up: 1, Down: 1}, young.InstanceCounts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"us-east-1a", "us-east-1b"}, young.Zones); diff != "" {
		t.Error(diff)
	}
	for _, query := range []string{"?cloudProvider=gce", "?clusters=aws-sim:other"} {
		if h.do("GET", "/applications/storefront/serverGroups"+query, "").want(200).into(&groups); len(groups) != 0 {
			t.Errorf("%s: %d groups", query, len(groups))
		}
	}
}

// TestClustersOfNoPipeline: what runs is shown whether or not a pipeline names it.
func TestClustersOfNoPipeline(t *testing.T) {
	h := newHarness(t)
	h.runTask(createStorefront)
	h.cloud.add("us-east-1")
	var groups []v1.ServerGroup
	if h.do("GET", "/applications/storefront/serverGroups", "").want(200).into(&groups); len(groups) != 2 {
		t.Errorf("%d groups, want the 2 of the region where something runs", len(groups))
	}
}

// TestCloudsThatDoNotAnswer: an unknown part is an error, never an empty list.
func TestCloudsThatDoNotAnswer(t *testing.T) {
	h := newHarness(t)
	h.runTask(createStorefront)
	h.save("deploy", deployStages("storefront-1.1"))
	for kind, status := range map[delivery.Kind]int{
		delivery.Throttled: 429, delivery.Transient: 503, delivery.Denied: 503, delivery.NotFound: 503, delivery.Internal: 500,
	} {
		h.cloud.fail(delivery.Errorf(kind, "the cloud says no"))
		h.do("GET", "/applications/storefront/serverGroups", "").want(status)
		h.do("GET", "/applications/storefront", "").want(status)
	}
	h.do("GET", "/applications/storefront?expand=false", "").want(200)
}
