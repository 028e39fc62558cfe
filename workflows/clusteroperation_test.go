package workflows

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/internal/fakecloud"
)

// threeGroups stand by, serve a little and serve most.
func threeGroups() []fakecloud.Existing {
	standby := v000(2)
	standby.Weight = 0
	return []fakecloud.Existing{standby,
		{Name: "shop-prod-v001", Image: "old", Capacity: delivery.Capacity{Min: 1, Max: 4, Desired: 2}, Weight: 30},
		{Name: "shop-prod-v002", Image: "old", Capacity: delivery.Capacity{Min: 1, Max: 6, Desired: 3}, Weight: 70}}
}

// TestClusterOperationStages take one thing after the other from all groups but the
// newest.
func TestClusterOperationStages(t *testing.T) {
	w := newWorld(t, operateDocument(`"type":"disableCluster"`, `"type":"scaleDownCluster"`, `"type":"shrinkCluster"`), calm(), threeGroups()...)
	w.store.onDeployment = nil
	w.cloud.Bound(fakecloud.Bounds{Floor: 3, Ceiling: 7})
	e := w.run(t)
	if e.Status != delivery.StatusSucceeded {
		t.Fatalf("execution %s, stages %+v", e.Status, e.Stages)
	}
	if diff := cmp.Diff(map[string]string{"shop-prod-v002": "{Min:1 Max:6 Desired:3} complete=true weight=100"}, settled(w.cloud.Truth())); diff != "" {
		t.Error(diff)
	}
	if v := w.cloud.Violations(); len(v) > 0 {
		t.Errorf("violations: %q", v)
	}
	var changes []string
	for _, event := range w.store.events {
		if event.Type == delivery.EventChange {
			changes = append(changes, decode[ChangeEvent](t, event).Change)
		}
	}
	want := []string{"set routing to shop-prod-v002 100 %, shop-prod-v001 0 %",
		"resize server group shop-prod-v000 to min 0, desired 0, max 0", "resize server group shop-prod-v001 to min 0, desired 0, max 0",
		"destroy server group shop-prod-v000", "destroy server group shop-prod-v001"}
	if diff := cmp.Diff(want, compact(changes)); diff != "" {
		t.Errorf("changes: %s", diff)
	}
}

// TestClusterOperationSchedules draws operations on clusters, faults of cloud and
// store, and commands at any time: what TestFaultSchedules holds of deployments,
// and that a canceled shrinking destroys no group but the one under way.
func TestClusterOperationSchedules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		kind := rapid.SampledFrom([]string{"shrinkCluster", "scaleDownCluster", "disableCluster"}).Draw(rt, "kind")
		active := rapid.Bool().Draw(rt, "active")
		w := newWorld(rt, operateDocument(fmt.Sprintf(`"type":%q,"allowDeleteActive":%t,"allowScaleDownActive":%t,"preferLargerOverNewer":%t`,
			kind, active, active, rapid.Bool().Draw(rt, "larger"))), drawConfig(rt), threeGroups()...)
		w.store.failing = rapid.Float64Range(0, 0.1).Draw(rt, "store")
		w.cloud.Bound(fakecloud.Bounds{Floor: 1, Ceiling: 20})
		was := w.cloud.Truth()
		cancel := w.disturb(rt, 90, 40, 100)
		e := w.run(rt)
		if d := w.deployment(); kind == "shrinkCluster" && d.Failure != nil && strings.Contains(d.Failure.Message, "is destroyed") {
			if truth := w.cloud.Truth(); d.Status != delivery.DeploymentCanceled || len(truth.Groups) >= len(was.Groups) || len(w.cloud.Orphans("")) > 0 {
				rt.Errorf("deployment %s: %v, left %v", d.Status, d.Failure, settled(truth))
			}
			return
		}
		checkSchedule(rt, w, e, cancel, was)
	})
}
