package workflows

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
	"github.com/slipway-cd/slipway/internal/fakecloud"
)

const rollbackFields = `"type":"rollbackCluster"`

// deployStages deploys the images one after the other, and has the last stages come
// after them.
func deployStages(strategy string, images []string, last ...string) string {
	var stages []string
	next := func(body string) {
		after := ""
		if n := len(stages); n > 0 {
			after = fmt.Sprintf("%q", fmt.Sprint(n))
		}
		stages = append(stages, fmt.Sprintf(`{"refId":"%d","requisiteStageRefIds":[%s],%s}`, len(stages)+1, after, body))
	}
	for _, image := range images {
		next(`"type":"deploy","clusters":[` + clusterObject(image, "lb", strategy, 3) + `]`)
	}
	for _, body := range last {
		next(`"cloudProvider":"aws","credentials":"acct","regions":["r1"],"cluster":"shop-prod",` + body)
	}
	return fmt.Sprintf(`{"name":"p","application":"shop","stages":[%s]}`, strings.Join(stages, ","))
}

// TestRollbackStage goes back to the old group while it is there, else to a new
// group with the settings that its deployment had, and not back again.
func TestRollbackStage(t *testing.T) {
	for _, test := range []struct {
		strategy, group, image string
		changes                []string
	}{
		{`"strategy":"bluegreen"`, "shop-prod-v000", "good", []string{"setRouting", "resizeServerGroup"}},
		{`"strategy":"rolling","maxSurge":1`, "shop-prod-v000", "good", []string{"resizeServerGroup", "setRouting", "resizeServerGroup"}},
		{`"strategy":"highlander"`, "shop-prod-v002", "good", []string{"createServerGroup", "resizeServerGroup", "setRouting", "resizeServerGroup"}},
	} {
		w := newWorld(t, deployStages(test.strategy, []string{"good", "worse"}, rollbackFields+`,"scaleDown":true,"reason":"it is worse"`, rollbackFields), calm())
		w.store.onDeployment = nil
		e := w.run(t)
		if e.Status != delivery.StatusTerminal || e.Stages[2].Status != delivery.StatusSucceeded || e.Stages[3].Status != delivery.StatusTerminal {
			t.Fatalf("%s: execution %s, stages %+v", test.strategy, e.Status, e.Stages)
		}
		if f := e.Stages[3].Failure; f.Kind != delivery.Conflict.String() || !strings.Contains(f.Message, "a rollback is not rolled back") {
			t.Errorf("%s: the second rollback failed with %+v", test.strategy, f)
		}
		truth := w.cloud.Truth()
		if g := truth.Group(test.group); g == nil || g.Image != test.image || truth.Routing.Percent(test.group) != 100 || g.Healthy() != 3 {
			t.Errorf("%s: %s is %+v", test.strategy, test.group, g)
		}
		if bad := truth.Group("shop-prod-v001"); bad == nil || bad.Capacity != delivery.Pinned(0) {
			t.Errorf("%s: what was rolled back is %+v", test.strategy, bad)
		}
		d := w.store.deployments[e.Stages[2].Deployments[0]]
		if d.Status != delivery.DeploymentSucceeded || d.ServerGroup != test.group || !strings.Contains(string(d.Detail), `"rollback":{"of":"`+string(e.Stages[1].Deployments[0])) {
			t.Errorf("%s: record %+v %s", test.strategy, d, d.Detail)
		}
		var changes []string
		for _, event := range w.store.events {
			if c := (ChangeEvent{}); event.Type == delivery.EventChange {
				if c = decode[ChangeEvent](t, event); c.Deployment == d.ID {
					changes = append(changes, string(c.Kind))
				}
			}
		}
		if diff := cmp.Diff(test.changes, compact(changes)); diff != "" {
			t.Errorf("%s: changes: %s", test.strategy, diff)
		}
	}
}

// TestRollbackOfAnUpdateInPlace deploys the version before anew, and leaves the group that
// was updated without traffic.
func TestRollbackOfAnUpdateInPlace(t *testing.T) {
	update := `"type":"deploy","clusters":[` + clusterObject("worse", "lb", `"strategy":"rolling","inPlace":true,"maxSurge":1`, 3) + `]`
	w := newWorld(t, deployStages(`"strategy":"bluegreen"`, []string{"good"}, update, rollbackFields+`,"scaleDown":true`), calm())
	w.store.onDeployment = nil
	e := w.run(t)
	if e.Status != delivery.StatusSucceeded {
		t.Fatalf("execution %s, stages %+v", e.Status, e.Stages)
	}
	truth := w.cloud.Truth()
	if g := truth.Group("shop-prod-v001"); g == nil || g.Image != "good" || truth.Routing.Percent(g.Name) != 100 || g.Healthy() != 3 {
		t.Errorf("what takes the traffic is %+v", g)
	}
	if g := truth.Group("shop-prod-v000"); g == nil || g.Image != "worse" || g.Capacity != delivery.Pinned(0) {
		t.Errorf("what was rolled back is %+v", g)
	}
	d := w.store.deployments[e.Stages[2].Deployments[0]]
	if want := `"rollback":{"of":"` + string(e.Stages[1].Deployments[0]); !strings.Contains(string(d.Detail), want) {
		t.Errorf("record %s, want %s", d.Detail, want)
	}
}

// remember records the deployment that replaced the standby by the serving group,
// and the one that deployed the standby, of the image.
func (w *world) remember(t tester, before rollout.Recorded, image string) {
	t.Helper()
	detail, err := json.Marshal(map[string]any{"before": before})
	if err != nil {
		t.Fatalf("%v", err)
	}
	for i, group := range []string{"shop-prod-v000", "shop-prod-v001"} {
		execution := delivery.ExecutionID(fmt.Sprintf("01JD3Z8Q6V5T0H3W4M8N7K2RX%d", i))
		id := delivery.NewDeploymentID(execution, "1", testCluster)
		w.store.executions[execution] = delivery.Execution{ID: execution, Status: delivery.StatusSucceeded, Stages: []delivery.Stage{{RefID: "1", Type: "deploy",
			Context: json.RawMessage(`{"clusters":[` + clusterObject(image, "lb", `"strategy":"rolling"`, 2) + `]}`)}}}
		w.store.deployments[id] = delivery.Deployment{ID: id, Execution: execution, Stage: "1", Cluster: testCluster, Status: delivery.DeploymentSucceeded,
			ServerGroup: group, Detail: detail, Version: 1, EndTime: w.env.Now()}
		w.store.newest[testCluster.Key()]++
		w.store.fences[testCluster.Key()+" "+id.WorkflowID()] = w.store.newest[testCluster.Key()]
	}
}

// TestRollbackSchedules draws rollbacks, faults of cloud and store, and commands at
// any time. A canceled one has either restored what was, or carries the traffic back.
func TestRollbackSchedules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		old, serving := v000(2), v000(3)
		old.Weight, serving.Name = 0, "shop-prod-v001"
		if rapid.Bool().Draw(rt, "empty") {
			old.Capacity = delivery.Pinned(0)
		}
		gone := rapid.Bool().Draw(rt, "gone")
		groups := []fakecloud.Existing{old, serving}
		if gone {
			groups = groups[1:]
		}
		fields := fmt.Sprintf(`,"scaleDown":%t,"destroy":%t`, rapid.Bool().Draw(rt, "scaleDown"), rapid.Bool().Draw(rt, "destroy"))
		w := newWorld(rt, operateDocument(rollbackFields+fields), drawConfig(rt), groups...)
		w.remember(rt, was(2), "good")
		w.store.failing = rapid.Float64Range(0, 0.1).Draw(rt, "store")
		w.cloud.Bound(fakecloud.Bounds{Floor: 1, Ceiling: 20})
		was := w.cloud.Truth()
		cancel := w.disturb(rt, 60, 40, 100)
		e := w.run(rt)
		d := w.store.deployments[delivery.NewDeploymentID(testExecution, "1", testCluster)]
		for id := range w.store.deployments {
			if id != d.ID {
				delete(w.store.deployments, id) // checkSchedule looks at the only one
			}
		}
		checkSchedule(rt, w, e, cancel, was)
		truth := w.cloud.Truth()
		if d.Status == delivery.DeploymentSucceeded && (truth.Routing.Percent(d.ServerGroup) != 100 || gone != (d.ServerGroup == "shop-prod-v002")) {
			rt.Errorf("%s has %d %%", d.ServerGroup, truth.Routing.Percent(d.ServerGroup))
		}
	})
}

// TestRollbackOfRegions: regions with a pause between them come one after the
// other, and a failure ends the row.
func TestRollbackOfRegions(t *testing.T) {
	document := strings.Replace(operateDocument(rollbackFields+`,"waitTimeBetweenRegions":600`), `["r1"]`, `["r1","r2"]`, 1)
	w := newWorld(t, document, calm(), v000(2))
	e := w.run(t)
	if e.Status != delivery.StatusTerminal || len(e.Stages[0].Deployments) != 1 || e.EndTime.Sub(e.StartTime) > time.Minute {
		t.Errorf("execution %s after %s, deployments %v", e.Status, e.EndTime.Sub(e.StartTime), e.Stages[0].Deployments)
	}
}
