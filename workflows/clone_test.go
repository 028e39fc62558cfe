package workflows

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/internal/fakecloud"
)

// TestCloneStage copies the newest group, and then the copy into a canary with a
// baseline: what is made like another one has its image, and nothing of the stage.
func TestCloneStage(t *testing.T) {
	w := newWorld(t, operateDocument(`"type":"cloneServerGroup","region":"r1","target":"current_asg_dynamic","strategy":"bluegreen","maxRemainingAsgs":1`,
		`"type":"cloneServerGroup","region":"r1","source":{"serverGroupName":"shop-prod-v001"},"amiName":"good","strategy":"canary","baseline":true,"steps":[{"weight":10,"bake":30}],"maxRemainingAsgs":1`),
		calm(), v000(3))
	w.store.onDeployment = nil
	w.cloud.Bound(fakecloud.Bounds{Floor: 3, Ceiling: 7})
	e := w.run(t)
	if e.Status != delivery.StatusSucceeded {
		t.Fatalf("execution %s, stages %+v", e.Status, e.Stages)
	}
	truth := w.cloud.Truth()
	if diff := cmp.Diff(map[string]string{"shop-prod-v002": "{Min:1 Max:6 Desired:3} complete=true weight=100"}, settled(truth)); diff != "" {
		t.Error(diff)
	}
	if v := w.cloud.Violations(); len(v) > 0 {
		t.Errorf("violations: %q", v)
	}
	images, settings := map[string]string{}, map[string]string{}
	for _, write := range w.cloud.Writes() {
		if c := write.Change; c.Kind == delivery.CreateGroup {
			images[c.Group], settings[c.Group] = c.Spec.From+" "+c.Spec.Image, string(c.Spec.Settings)
		}
	}
	if diff := cmp.Diff(map[string]string{"shop-prod-v001": "shop-prod-v000 ", "shop-prod-v002": "shop-prod-v001 good", "shop-prod-v003": "shop-prod-v001 "}, images); diff != "" {
		t.Error(diff)
	}
	if settings["shop-prod-v003"] != `{}` || !strings.Contains(settings["shop-prod-v002"], "amiName") {
		t.Errorf("settings %v", settings)
	}
	if d := w.store.deployments[e.Stages[1].Deployments[0]]; !strings.Contains(string(d.Detail), `"baseline":"shop-prod-v003"`) {
		t.Errorf("detail %s", d.Detail)
	}
}

// TestCloneOfNothing fails before anything is written.
func TestCloneOfNothing(t *testing.T) {
	for _, source := range []string{`"target":"ancestor_asg_dynamic"`, `"source":{"serverGroupName":"shop-prod-v009"}`,
		`"source":{"serverGroupName":"shop-prod-v009"},"capacity":{"min":1,"max":1,"desired":1}`} {
		w := newWorld(t, operateDocument(`"type":"cloneServerGroup","region":"r1",`+source), calm(), v000(3))
		e := w.run(t)
		if f := e.Stages[0].Failure; e.Status != delivery.StatusTerminal || f == nil || f.Kind != delivery.Invalid.String() || len(w.cloud.Writes()) > 0 {
			t.Errorf("%s: execution %s, %+v", source, e.Status, f)
		}
	}
}

// TestCloneSchedules draws strategies of clones, faults of cloud and store, and
// cancels: what TestFaultSchedules holds of deployments.
func TestCloneSchedules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		old := rapid.IntRange(1, 6).Draw(rt, "old")
		strategy, floor, ceiling := drawStrategy(rt, old, old)
		target := rapid.SampledFrom([]string{`"target":"current"`, `"source":{"asgName":"shop-prod-v000"}`}).Draw(rt, "target")
		w := newWorld(rt, operateDocument(`"type":"cloneServerGroup","region":"r1",`+target+`,`+strategy), drawConfig(rt), v000(old))
		w.store.failing = rapid.Float64Range(0, 0.1).Draw(rt, "store")
		w.cloud.Bound(fakecloud.Bounds{Floor: floor, Ceiling: ceiling})
		w.store.onDeployment = func(d delivery.Deployment) {
			switch {
			case d.Status.Complete():
				w.cloud.Close()
			case d.Status == delivery.DeploymentRollingBack:
				w.cloud.Bound(fakecloud.Bounds{Floor: floor, Ceiling: old + ceiling})
			}
		}
		was := w.cloud.Truth()
		var cancel *answer
		if rapid.Bool().Draw(rt, "cancels") {
			cancel = w.send(updateCancel, time.Duration(rapid.IntRange(1, 200_000).Draw(rt, "cancelAt"))*time.Millisecond)
		}
		checkSchedule(rt, w, w.run(rt), cancel, was)
		checkMade(rt, w)
	})
}
