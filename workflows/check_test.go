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

// errorCheck is a check that an erring image fails.
const errorCheck = `"checks":[{"name":"errors","query":"errorRate","max":1}]`

// erring is a calm cloud in which the image "erring" fails its requests.
func erring() fakecloud.Config {
	config := calm()
	config.ErringImages, config.MetricDelay = []string{"erring"}, time.Minute
	return config
}

// checkEvents are the recorded measurements.
func (w *world) checkEvents(t *testing.T) []CheckEvent {
	t.Helper()
	var out []CheckEvent
	for _, e := range w.store.events {
		var data CheckEvent
		if e.Type != delivery.EventCheck {
			continue
		}
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		out = append(out, data)
	}
	return out
}

// TestCheckRollsBack: a canary that fails requests goes back long before its bake
// is over, and the events say why.
func TestCheckRollsBack(t *testing.T) {
	w := newWorld(t, deployDocument("erring", "lb", `"strategy":"canary","steps":[{"weight":5,"bake":3600}],`+errorCheck, 4), erring(), v000(4))
	was, began := w.cloud.Truth(), w.env.Now()
	if e := w.run(t); e.Status != delivery.StatusTerminal {
		t.Errorf("execution %s", e.Status)
	}
	d := w.deployment()
	if d.Status != delivery.DeploymentRolledBack || d.Failure == nil || d.Failure.Kind != "check" || !strings.Contains(d.Failure.Message, "errorRate of shop-prod-v001 was 100 %") {
		t.Errorf("deployment %s: %v", d.Status, d.Failure)
	}
	if took := d.EndTime.Sub(began); took > 10*time.Minute {
		t.Errorf("rolled back after %s", took)
	}
	if diff := cmp.Diff(settled(was), settled(w.cloud.Truth())); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	events := w.checkEvents(t)
	if len(events) != 1 || events[0].Verdict != rollout.VerdictFail || *events[0].Value != 100 || events[0].Samples != 100 || events[0].Query != "fake" {
		t.Errorf("events %+v", events)
	}
}

// TestCheckRollsAPauseBack: what somebody paused with the canary's weight on is
// still measured, and goes back without a resume.
func TestCheckRollsAPauseBack(t *testing.T) {
	w := newWorld(t, deployDocument("erring", "lb", `"strategy":"canary","steps":[{"weight":5,"bake":3600}],`+errorCheck, 4), erring(), v000(4))
	began := w.env.Now()
	w.send(updatePause, time.Minute)
	w.env.RegisterDelayedCallback(func() {
		if d := w.deployment(); d.Status != delivery.DeploymentRolledBack {
			t.Errorf("ten minutes later it is %s", d.Status)
		}
	}, 10*time.Minute)
	w.send(updateResume, 11*time.Minute) // the execution itself stays paused
	w.run(t)
	if d := w.deployment(); d.Status != delivery.DeploymentRolledBack || d.Failure.Kind != "check" || d.EndTime.Sub(began) > 10*time.Minute {
		t.Errorf("deployment %s after %s: %v", d.Status, d.EndTime.Sub(began), d.Failure)
	}
}

// TestCheckPasses: a good version goes through, measured at every interval of
// its bakes.
func TestCheckPasses(t *testing.T) {
	w := newWorld(t, deployDocument("good", "lb", `"strategy":"canary","steps":[{"weight":5,"bake":600},{"weight":50,"bake":60}],`+errorCheck, 4), erring(), v000(4))
	if e := w.run(t); e.Status != delivery.StatusSucceeded {
		t.Errorf("execution %s: %v", e.Status, w.deployment().Failure)
	}
	events := w.checkEvents(t)
	if len(events) < 10 || len(events) > 15 {
		t.Errorf("%d measurements in about 14 minutes", len(events))
	}
	for _, e := range events {
		if e.Verdict != rollout.VerdictPass {
			t.Errorf("event %+v", e)
		}
	}
}

// TestCheckCutsAGateShort: a gate that would stay open for ever is left, and its
// pipeline stopped, when a check fails.
func TestCheckCutsAGateShort(t *testing.T) {
	const gated = `"strategy":"rollingredblack","targetPercentages":[50,100],"pipelineBeforeCleanup":{"application":"shop","pipelineId":"check"},`
	w := newWorld(t, deployDocument("erring", "lb", gated+errorCheck, 4), erring(), v000(4))
	w.store.pipelines["check"] = delivery.Pipeline{ID: "check", Application: "shop", Name: "check",
		Document: json.RawMessage(`{"name":"check","application":"shop","stages":[]}`)}
	w.run(t)
	d := w.deployment()
	if d.Status != delivery.DeploymentRolledBack || d.Failure == nil || d.Failure.Kind != "check" {
		t.Errorf("deployment %s: %v", d.Status, d.Failure)
	}
	if len(w.store.correlated) != 1 || len(w.locks.cancel) != 1 {
		t.Errorf("the gate ran %d times and was stopped %d times", len(w.store.correlated), len(w.locks.cancel))
	}
}

// TestFaultSchedulesOfChecks is TestFaultSchedules for canaries with a check, of
// which the source fails and falls silent too: whatever comes, a version that
// fails its requests never stays.
func TestFaultSchedulesOfChecks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.IntRange(1, 6).Draw(rt, "size")
		image := rapid.SampledFrom([]string{"good", "erring", "erring", "crash"}).Draw(rt, "image")
		action := func(name string) string {
			return rapid.SampledFrom([]string{"wait", "rollback"}).Draw(rt, name)
		}
		strategy := fmt.Sprintf(`"strategy":"canary","steps":[{"weight":%d,"bake":%d}],"deadlineSec":7200,"checks":[{"name":"errors","query":"errorRate","max":1,
			"failureLimit":%d,"errorLimit":%d,"noDataLimit":%d,"onError":%q,"onNoData":%q}]`, rapid.IntRange(1, 99).Draw(rt, "weight"),
			rapid.SampledFrom([]int{60, 600}).Draw(rt, "bake"), rapid.IntRange(0, 2).Draw(rt, "failureLimit"), rapid.IntRange(0, 4).Draw(rt, "errorLimit"),
			rapid.IntRange(0, 4).Draw(rt, "noDataLimit"), action("onError"), action("onNoData"))
		config := drawConfig(rt)
		config.ErringImages, config.MetricDelay = []string{"erring"}, time.Minute
		config.Faults.Silent = rapid.Float64Range(0, 0.5).Draw(rt, "silent")
		w := newWorld(rt, deployDocument(image, "lb", strategy, size), config, v000(size))
		w.store.failing = rapid.Float64Range(0, 0.1).Draw(rt, "store")
		w.cloud.Bound(fakecloud.Bounds{Floor: size, Ceiling: 2 * size})
		was := w.cloud.Truth()
		var cancel *answer
		if rapid.Bool().Draw(rt, "cancels") {
			cancel = w.send(updateCancel, time.Duration(rapid.IntRange(1, 900).Draw(rt, "cancelAt"))*time.Second)
		}
		if rapid.Bool().Draw(rt, "pauses") {
			at := time.Duration(rapid.IntRange(1, 300).Draw(rt, "pauseAt")) * time.Second
			w.send(updatePause, at)
			w.send(updateResume, at+time.Duration(rapid.IntRange(1, 600).Draw(rt, "pauseFor"))*time.Second)
		}
		e := w.run(rt)
		checkSchedule(rt, w, e, cancel, was)
		if d := w.deployment(); d.Status == delivery.DeploymentSucceeded && image != "good" {
			rt.Errorf("image %s succeeded", image)
		}
	})
}
