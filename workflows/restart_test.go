package workflows

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

func (w *world) restarts(stage string, after time.Duration) *answer {
	return w.stageAction(after, pipeline.StageCommand{Stage: stage, Action: pipeline.RestartStage})
}

// TestRestartWhileItRuns: a stage that is over begins again in a second attempt, and
// what comes after it; one that runs, or whose followers run, does not.
func TestRestartWhileItRuns(t *testing.T) {
	w := newWorld(t, `{"stages":[{"refId":"a","requisiteStageRefIds":[],"type":"wait","waitTime":10},
		{"refId":"b","requisiteStageRefIds":["a"],"type":"wait","waitTime":"${nobody}","failPipeline":false},
		{"refId":"c","requisiteStageRefIds":["b"],"type":"wait","waitTime":5},
		{"refId":"d","requisiteStageRefIds":[],"type":"wait","waitTime":100}]}`, calm())
	running, unknown, early := w.restarts("a", 5*time.Second), w.restarts("x", 6*time.Second), w.restarts("c", 20*time.Second)
	good := w.restarts("a", 30*time.Second)
	follower := w.restarts("a", 35*time.Second)
	twice := w.restarts("b", 50*time.Second)
	var reset delivery.Execution
	w.env.RegisterDelayedCallback(func() { reset = w.store.executions[testExecution] }, 31*time.Second)
	e := w.run(t)
	for name, a := range map[string]*answer{"running": running, "unknown": unknown, "early": early, "again": follower} {
		if a.refused == nil {
			t.Errorf("%s was taken: %+v", name, a)
		}
	}
	if !good.ok() || !twice.ok() {
		t.Errorf("answers %+v %+v", good, twice)
	}
	if a, b := reset.Stages[0], reset.Stages[1]; a.Attempt != 2 || a.Status != delivery.StatusRunning || b.Status != delivery.StatusNotStarted || b.Failure != nil {
		t.Errorf("after the restart %+v", reset.Stages)
	}
	if each(e) != "SUCCEEDED STOPPED NOT_STARTED SUCCEEDED" || e.Stages[0].Attempt != 2 || e.Stages[1].Attempt != 3 || e.Stages[3].Attempt != 0 {
		t.Errorf("ended %s: %+v", each(e), e.Stages)
	}
}

// TestRestartIsToldOfEachStage that it resets, not of the first alone.
func TestRestartIsToldOfEachStage(t *testing.T) {
	w := newWorld(t, `{"stages":[{"refId":"a","requisiteStageRefIds":[],"type":"noop"},{"refId":"b","requisiteStageRefIds":["a"],"type":"noop"},
		{"refId":"c","requisiteStageRefIds":["b"],"type":"noop","stageEnabled":{"type":"expression","expression":"false"}},
		{"refId":"d","requisiteStageRefIds":[],"type":"wait","waitTime":100}]}`, calm())
	w.restarts("a", 10*time.Second)
	w.run(t)
	var reset []string
	for _, e := range w.store.events {
		var told StageEvent
		if e.Type == delivery.EventStage && json.Unmarshal(e.Data, &told) == nil && told.Status == delivery.StatusNotStarted {
			reset = append(reset, told.RefID)
		}
	}
	if got := strings.Join(reset, " "); got != "a b c" {
		t.Errorf("told of the reset of %q, want a b c", got)
	}
}

// TestRestartAfterTheEnd: an execution that failed is done again from the stage on, and
// its deployment is another one than the first, which stays in the record.
func TestRestartAfterTheEnd(t *testing.T) {
	document := strings.Replace(deployDocument("crash", "lb", rolling, 2), `"name":"Deploy",`, `"name":"Deploy","stageTimeoutMs":600000,`, 1)
	first := newWorld(t, document, calm(), v000(2))
	e := first.run(t)
	if e.Status != delivery.StatusTerminal {
		t.Fatalf("first %s", e.Status)
	}
	failed := first.deployment()
	definition, err := pipeline.Parse(first.store.definitions[testExecution])
	if err != nil {
		t.Fatal(err)
	}
	again, err := pipeline.Reopen(definition, e, "1", "joe restarted it")
	if err != nil {
		t.Fatal(err)
	}
	second := newWorld(t, document, calm(), v000(2))
	second.store.executions[testExecution] = again
	second.store.deployments[failed.ID] = failed
	second.store.definitions[testExecution] = []byte(strings.Replace(document, `"crash"`, `"good"`, 1))
	ended := second.run(t)
	if ended.Status != delivery.StatusSucceeded || ended.Stages[0].Attempt != 2 || !ended.StartTime.Equal(e.StartTime) || ended.Version <= again.Version {
		t.Fatalf("second %+v", ended)
	}
	want := delivery.NewAttemptID(testExecution, "1", 2, testCluster)
	if got := ended.Stages[0].Deployments; len(got) != 1 || got[0] != want || second.store.deployments[want].Status != delivery.DeploymentSucceeded {
		t.Errorf("deployments %q, want %s", got, want)
	}
	if kept := second.store.deployments[failed.ID]; kept.Status != failed.Status || failed.ID == want {
		t.Errorf("the first attempt's is %+v", kept)
	}
}
