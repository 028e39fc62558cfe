package workflows

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/internal/fakecloud"
)

// operateDocument is a pipeline of operations on the test's cluster, one after
// the other. Each is the fields from "type" on.
func operateDocument(stages ...string) string {
	all := make([]string, len(stages))
	for i, stage := range stages {
		after := ""
		if i > 0 {
			after = fmt.Sprintf("%q", fmt.Sprint(i))
		}
		all[i] = fmt.Sprintf(`{"refId":"%d","requisiteStageRefIds":[%s],"cloudProvider":"aws","credentials":"acct","regions":["r1"],"cluster":"shop-prod",%s}`, i+1, after, stage)
	}
	return fmt.Sprintf(`{"name":"p","application":"shop","stages":[%s]}`, strings.Join(all, ","))
}

func twoGroups() []fakecloud.Existing {
	older, newer := v000(2), v000(3)
	older.Weight, newer.Name, newer.Weight = 40, "shop-prod-v001", 60
	return []fakecloud.Existing{older, newer}
}

// TestOperationStages takes an old server group out of service in three stages.
func TestOperationStages(t *testing.T) {
	w := newWorld(t, operateDocument(`"type":"disableServerGroup","target":"oldest_asg_dynamic"`,
		`"type":"resizeServerGroup","target":"current_asg_dynamic","action":"scale_exact","capacity":{"min":5,"max":8,"desired":5}`,
		`"type":"destroyServerGroup","serverGroupName":"shop-prod-v000"`), calm(), twoGroups()...)
	w.store.onDeployment = nil
	w.cloud.Bound(fakecloud.Bounds{Floor: 3, Ceiling: 7})
	e := w.run(t)
	if e.Status != delivery.StatusSucceeded {
		t.Fatalf("execution %s, stages %+v", e.Status, e.Stages)
	}
	if diff := cmp.Diff(map[string]string{"shop-prod-v001": "{Min:5 Max:8 Desired:5} complete=true weight=100"}, settled(w.cloud.Truth())); diff != "" {
		t.Error(diff)
	}
	if v := w.cloud.Violations(); len(v) > 0 {
		t.Errorf("violations: %q", v)
	}
	for i, group := range []string{"shop-prod-v000", "shop-prod-v001", "shop-prod-v000"} {
		d := w.store.deployments[e.Stages[i].Deployments[0]]
		if d.Status != delivery.DeploymentSucceeded || d.ServerGroup != group || !strings.Contains(string(d.Detail), `"operation":{"kind":"`+e.Stages[i].Type) {
			t.Errorf("stage %d: %+v %s", i, d, d.Detail)
		}
	}
	var changes []string
	for _, event := range w.store.events {
		if event.Type == delivery.EventChange {
			changes = append(changes, string(decode[ChangeEvent](t, event).Kind))
		}
	}
	if diff := cmp.Diff([]string{"setRouting", "resizeServerGroup", "destroyServerGroup"}, compact(changes)); diff != "" {
		t.Errorf("changes: %s", diff)
	}
}

func compact(words []string) []string {
	var out []string
	for _, word := range words {
		if len(out) == 0 || out[len(out)-1] != word {
			out = append(out, word)
		}
	}
	return out
}

// TestRefusedOperationStage: the guard's reason is the stage's failure.
func TestRefusedOperationStage(t *testing.T) {
	for _, kind := range []string{"disableServerGroup", "destroyServerGroup"} {
		w := newWorld(t, operateDocument(`"type":"`+kind+`","target":"current_asg"`), calm(), v000(2))
		e := w.run(t)
		f := e.Stages[0].Failure
		if e.Status != delivery.StatusTerminal || f == nil || f.Kind != delivery.Guarded.String() || !strings.Contains(f.Message, "shop-prod-v000 refused") {
			t.Errorf("%s: execution %s, %+v", kind, e.Status, f)
		}
		if d := w.deployment(); d.Status != delivery.DeploymentFailed || len(w.cloud.Writes()) > 0 {
			t.Errorf("%s: deployment %s, %d writes", kind, d.Status, len(w.cloud.Writes()))
		}
	}
}

// TestCanceledOperation gives back what it took.
func TestCanceledOperation(t *testing.T) {
	for _, stage := range []string{
		`"type":"resizeServerGroup","target":"current","capacity":{"min":5,"max":5,"desired":5}`,
		`"type":"disableServerGroup","target":"oldest"`,
	} {
		w := newWorld(t, operateDocument(stage), calm(), twoGroups()...)
		was := settled(w.cloud.Truth())
		w.send(updateCancel, 8*time.Second)
		if e := w.run(t); e.Status != delivery.StatusCanceled {
			t.Fatalf("execution %s", e.Status)
		}
		if d := w.deployment(); d.Status != delivery.DeploymentRolledBack || len(w.cloud.Writes()) != 2 {
			t.Errorf("deployment %s after %d writes", d.Status, len(w.cloud.Writes()))
		}
		if diff := cmp.Diff(was, settled(w.cloud.Truth())); diff != "" {
			t.Error(diff)
		}
	}
}

// TestOperationSchedules draws operations, faults of cloud and store, and
// commands at any time: what TestFaultSchedules holds of deployments.
func TestOperationSchedules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		kind := rapid.SampledFrom([]string{"resizeServerGroup", "enableServerGroup", "disableServerGroup", "destroyServerGroup"}).Draw(rt, "kind")
		target := rapid.SampledFrom([]string{"current", "ancestor", "oldest"}).Draw(rt, "target")
		fields := fmt.Sprintf(`"type":%q,"target":%q`, kind, target)
		if kind == "resizeServerGroup" {
			n := rapid.IntRange(0, 5).Draw(rt, "to")
			fields += fmt.Sprintf(`,"capacity":{"min":%d,"max":%d,"desired":%d}`, min(n, 1), n+1, n)
		}
		standby := v000(2)
		standby.Weight = rapid.SampledFrom([]int{0, 0, 30}).Draw(rt, "weight")
		serving := v000(3)
		serving.Name, serving.Weight = "shop-prod-v001", 100-standby.Weight
		w := newWorld(rt, operateDocument(fields), drawConfig(rt), standby, serving)
		w.store.failing = rapid.Float64Range(0, 0.1).Draw(rt, "store")
		w.cloud.Bound(fakecloud.Bounds{Floor: 1, Ceiling: 20})
		was := w.cloud.Truth()
		cancel := w.disturb(rt, 60, 40, 100)
		checkSchedule(rt, w, w.run(rt), cancel, was)
	})
}
