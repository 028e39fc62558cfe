package workflows

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// retriesOf are the numbers and failures of the attempts after which a stage was tried
// again.
func retriesOf(s *delivery.Stage) string {
	var out []string
	for _, a := range s.Attempts {
		out = append(out, fmt.Sprintf("%d %s: %s", a.Number, a.Failure.Kind, a.Failure.Message))
	}
	return strings.Join(out, "; ")
}

// TestRetries: a stage that fails is called again with another key after its pause, and
// cancel, pause and skips have their effect in between.
func TestRetries(t *testing.T) {
	const twice, refused = `,"retry":{"maxAttempts":3,"backoffSec":60,"backoffMultiplier":2}`, "webhook: the answer is 500 Internal Server Error"
	const first, both = "1 " + refused, "1 " + refused + "; 2 " + refused
	for _, test := range []struct {
		name, fields  string
		refusals      int
		act           func(w *world) []*answer
		status, stage delivery.Status
		attempt       int
		retried       string
		took          time.Duration // until the stage ended
	}{
		{"the third succeeds", twice, 2, nil, "SUCCEEDED", "SUCCEEDED", 3, both, 3 * time.Minute},
		{"all fail", twice, 9, nil, "TERMINAL", "TERMINAL", 3, both, 3 * time.Minute},
		{"all fail, and the pipeline goes on", twice + `,"failPipeline":false,"continuePipeline":true`, 9, nil, "SUCCEEDED", "FAILED_CONTINUE", 3, both, 3 * time.Minute},
		{"bounded pauses", strings.Replace(twice, "}", `,"maxBackoffSec":90}`, 1), 2, nil, "SUCCEEDED", "SUCCEEDED", 3, both, 150 * time.Second},
		{"no pauses", `,"retry":{"maxAttempts":2,"backoffSec":0}`, 1, nil, "SUCCEEDED", "SUCCEEDED", 2, first, 0},
		{"in a hurry", twice + `,"failFastStatusCodes":[500]`, 1, nil, "TERMINAL", "TERMINAL", 0, "", 0},
		{"canceled in between", twice, 1, func(w *world) []*answer { return []*answer{w.send(updateCancel, 30*time.Second)} }, "CANCELED", "CANCELED", 0, first, 30 * time.Second},
		{"paused in between", twice, 1, func(w *world) []*answer {
			return []*answer{w.send(updatePause, 30*time.Second), w.send(updateResume, 530*time.Second)}
		}, "SUCCEEDED", "SUCCEEDED", 2, first, 560 * time.Second},
		{"canceled in a pause", twice, 1, func(w *world) []*answer {
			return []*answer{w.send(updatePause, 30*time.Second), w.send(updateCancel, 530*time.Second)}
		}, "CANCELED", "CANCELED", 0, first, 530 * time.Second},
		{"skipped in between", twice, 9, func(w *world) []*answer {
			return []*answer{w.stageAction(90*time.Second, pipeline.StageCommand{Stage: "hook", Action: pipeline.ManualSkip})}
		}, "SUCCEEDED", "SKIPPED", 2, both, 90 * time.Second},
		{"at once", twice, 1, func(w *world) []*answer {
			return []*answer{w.stageAction(10*time.Second, pipeline.StageCommand{Stage: "hook", Action: pipeline.SkipRemainingWait})}
		}, "SUCCEEDED", "SUCCEEDED", 2, first, 10 * time.Second},
		{"at once in a pause", twice, 1, func(w *world) []*answer {
			return []*answer{w.send(updatePause, 5*time.Second), w.stageAction(10*time.Second, pipeline.StageCommand{Stage: "hook", Action: pipeline.SkipRemainingWait}), w.send(updateResume, 20*time.Second)}
		}, "SUCCEEDED", "SUCCEEDED", 2, first, 20 * time.Second},
		{"at once in a pause, twice", twice, 1, func(w *world) []*answer {
			again := pipeline.StageCommand{Stage: "hook", Action: pipeline.SkipRemainingWait, By: delivery.Principal{Name: "ann"}}
			return []*answer{w.send(updatePause, 5*time.Second), w.stageAction(10*time.Second, pipeline.StageCommand{Stage: "hook", Action: pipeline.SkipRemainingWait}),
				w.stageAction(15*time.Second, again), w.send(updateResume, 200*time.Second)}
		}, "SUCCEEDED", "SUCCEEDED", 2, first, 200 * time.Second},
		{"left out after a skip in a pause", twice, 1, func(w *world) []*answer {
			return []*answer{w.send(updatePause, 5*time.Second), w.stageAction(10*time.Second, pipeline.StageCommand{Stage: "hook", Action: pipeline.SkipRemainingWait}),
				w.stageAction(15*time.Second, pipeline.StageCommand{Stage: "hook", Action: pipeline.ManualSkip}), w.send(updateResume, 20*time.Second)}
		}, "SUCCEEDED", "SKIPPED", 0, first, 15 * time.Second},
		{"canceled after a skip in a pause", twice, 1, func(w *world) []*answer {
			return []*answer{w.send(updatePause, 5*time.Second), w.stageAction(10*time.Second, pipeline.StageCommand{Stage: "hook", Action: pipeline.SkipRemainingWait}), w.send(updateCancel, 20*time.Second)}
		}, "CANCELED", "CANCELED", 0, first, 20 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &jobServer{refusals: slices.Repeat([]int{500}, test.refusals)}
			w, _ := webhookWorld(t, s, test.fields)
			var waiting delivery.Stage
			w.env.RegisterDelayedCallback(func() { waiting = w.store.executions[testExecution].Stages[0] }, time.Second)
			var answers []*answer
			if test.act != nil {
				answers = test.act(w)
			}
			e := w.run(t)
			hook := e.Stage("hook")
			if e.Status != test.status || hook.Status != test.stage || hook.Attempt != test.attempt || retriesOf(hook) != test.retried || !hook.ScheduledTime.IsZero() {
				t.Errorf("execution %s, stage %+v, retried after %s", e.Status, hook, retriesOf(hook))
			}
			if took := hook.EndTime.Sub(e.StartTime).Round(time.Second); took != test.took {
				t.Errorf("the stage ended after %s, want %s", took, test.took)
			}
			for _, a := range answers {
				if !a.ok() || a.took() > time.Second {
					t.Errorf("%s after %s: %+v", a.name, a.took(), a)
				}
			}
			if tries := max(hook.Attempt, 1); len(s.keys) != tries || len(slices.Compact(slices.Sorted(slices.Values(s.keys)))) != tries {
				t.Errorf("%d attempts called with the keys %q", tries, s.keys)
			}
			if test.took > 0 && (!waiting.AwaitsRetry() || waiting.ScheduledTime.Sub(waiting.Attempts[0].EndTime) != time.Minute ||
				!strings.HasPrefix(waiting.StatusReason, "try 1 of 3 failed: ") || waiting.Failure != nil || len(waiting.Outputs) == 0) {
				t.Errorf("while it waits the stage is %+v", waiting)
			}
			if told := w.waits(t, "hook"); len(told) != len(hook.Attempts) {
				t.Errorf("told of %d failures of %d", len(told), len(hook.Attempts))
			}
		})
	}
}

// waits are the events that told that a stage waits for its next attempt.
func (w *world) waits(t *testing.T, refID string) (out []StageEvent) {
	t.Helper()
	for _, e := range w.store.events {
		var event StageEvent
		if e.Type != delivery.EventStage {
			continue
		}
		if err := json.Unmarshal(e.Data, &event); err != nil {
			t.Fatal(err)
		}
		if event.RefID == refID && !event.NextAttempt.IsZero() {
			if event.Status != delivery.StatusRunning || event.Failure == nil || event.Reason == "" {
				t.Errorf("event %s", e.Data)
			}
			out = append(out, event)
		}
	}
	return out
}

// TestNotRetried: what is wrong for good, or what people have decided, is not tried again.
func TestNotRetried(t *testing.T) {
	const retry = `"retry":{"maxAttempts":5,"backoffSec":10}`
	w := newWorld(t, `{"stages":[{"refId":"1","type":"wait","waitTime":"${nobody}",`+retry+`}]}`, calm())
	if e := w.run(t); e.Status != delivery.StatusTerminal || e.Stages[0].Failure.Kind != "invalid" || len(e.Stages[0].Attempts) > 0 || e.EndTime.Sub(e.StartTime) > time.Second {
		t.Errorf("a wrong input: %+v", e.Stages[0])
	}
	w = newWorld(t, fmt.Sprintf(`{"stages":[`+askStages+`]}`, `,"stageTimeoutMs":60000,`+retry), calm())
	early := w.stageAction(65*time.Second, judge("ask", "continue", "all"))
	skip := w.stageAction(66*time.Second, pipeline.StageCommand{Stage: "ask", Action: pipeline.ManualSkip})
	stop := w.stageAction(100*time.Second, judge("ask", "stop", ""))
	e := w.run(t)
	ask := e.Stage("ask")
	if e.Status != delivery.StatusTerminal || ask.Attempt != 2 || ask.Failure.Kind != delivery.FailureJudgment || e.EndTime.Sub(e.StartTime).Round(time.Second) != 100*time.Second {
		t.Errorf("a judgment: %s after %s: %+v", e.Status, e.EndTime.Sub(e.StartTime), ask)
	}
	if early.refused == nil || skip.refused == nil || !stop.ok() || ask.Attempts[0].Failure.Kind != kindTimeout {
		t.Errorf("before the second attempt %+v and %+v, then %+v", early, skip, stop)
	}
	w = newWorld(t, `{"stages":[{"refId":"1","requisiteStageRefIds":[],"type":"wait","waitTime":100,"stageTimeoutMs":1000,`+retry+`},
		{"refId":"2","requisiteStageRefIds":[],"type":"wait","waitTime":50,"stageTimeoutMs":5000}]}`, calm())
	if e := w.run(t); e.Status != delivery.StatusTerminal || each(e) != "CANCELED TERMINAL" || len(e.Stages[0].Attempts) != 1 || e.EndTime.Sub(e.StartTime).Round(time.Second) != 5*time.Second {
		t.Errorf("halted by another stage: %s %s after %s", e.Status, each(e), e.EndTime.Sub(e.StartTime))
	}
}

// TestEachAttemptHasItsTime: the limit is that of one attempt, and each begins in the
// stage's window.
func TestEachAttemptHasItsTime(t *testing.T) {
	w := newWorld(t, `{"stages":[{"refId":"1","type":"wait","waitTime":100,"stageTimeoutMs":20000,"restrictExecutionDuringTimeWindow":true,"restrictedExecutionWindow":{},
		"retry":{"maxAttempts":3,"backoffSec":10}}]}`, calm())
	w.send(updatePause, 25*time.Second)
	w.send(updateResume, 1025*time.Second)
	e := w.run(t)
	stage, before := e.Stage("1"), e.Stage("1<1")
	if took := e.EndTime.Sub(e.StartTime).Round(time.Second); e.Status != delivery.StatusTerminal || stage.Attempt != 3 || took != 1080*time.Second {
		t.Errorf("%s in attempt %d after %s", e.Status, stage.Attempt, took)
	}
	for _, a := range stage.Attempts {
		if a.Failure.Kind != kindTimeout {
			t.Errorf("attempt %+v", a)
		}
	}
	if before.Status != delivery.StatusSucceeded || before.Attempt != 3 || stage.Failure.Kind != kindTimeout || stage.EndTime.Sub(stage.StartTime).Round(time.Second) != 20*time.Second {
		t.Errorf("window %+v, stage %+v", before, stage)
	}
}

// TestDeployIsRetried: each attempt is a deployment of its own, which begins when the one
// before has given everything back. A restart after the last counts on.
func TestDeployIsRetried(t *testing.T) {
	bad := strings.Replace(deployDocument("crash", "lb", rolling, 2), `"name":"Deploy",`, `"name":"Deploy","retry":{"maxAttempts":2,"backoffSec":600},`, 1)
	good := strings.Replace(bad, `"crash"`, `"good"`, 1)
	ids := func(numbers ...int) (out []delivery.DeploymentID) {
		for _, n := range numbers {
			out = append(out, delivery.NewAttemptID(testExecution, "1", n, testCluster))
		}
		return out
	}
	for _, test := range []struct {
		name       string
		goodAfter  int // attempts
		want       delivery.Status
		rolledBack []delivery.DeploymentID
		attempt    int
	}{
		{"the second succeeds", 1, "SUCCEEDED", ids(1), 2},
		{"both fail", 2, "TERMINAL", ids(1, 2), 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, bad, calm(), v000(2))
			w.store.onDeployment = func(d delivery.Deployment) {
				w.cloud.Open()
				if d.Status.Complete() {
					w.cloud.Close()
					if len(w.store.deployments) == test.goodAfter {
						w.store.definitions[testExecution] = []byte(good)
						w.activities.definitions.kept = nil
					}
				}
			}
			e := w.run(t)
			stage := e.Stages[0]
			if e.Status != test.want || stage.Attempt != test.attempt || len(stage.Attempts) != 1 || len(stage.Deployments) != 1 || !slices.Equal(stage.Attempts[0].Deployments, ids(1)) {
				t.Fatalf("%s: %+v", e.Status, stage)
			}
			for _, id := range test.rolledBack {
				if d := w.store.deployments[id]; d.Status != delivery.DeploymentRolledBack {
					t.Errorf("deployment %s is %s", id, d.Status)
				}
			}
			second := w.store.deployments[stage.Deployments[0]]
			if stage.Deployments[0] != ids(2)[0] || second.ServerGroup == w.store.deployments[ids(1)[0]].ServerGroup || second.StartTime.Sub(stage.Attempts[0].EndTime) < 10*time.Minute {
				t.Errorf("second deployment %+v after %s", second, stage.Attempts[0].EndTime)
			}
			if test.want == delivery.StatusSucceeded {
				return
			}
			definition, err := pipeline.Parse([]byte(bad))
			if err != nil {
				t.Fatal(err)
			}
			again, err := pipeline.Reopen(definition, e, "1", "joe restarted it")
			if err != nil {
				t.Fatal(err)
			}
			next := newWorld(t, bad, calm(), v000(2))
			next.store.onDeployment = func(d delivery.Deployment) {}
			next.store.executions[testExecution] = again
			e = next.run(t)
			stage = e.Stages[0]
			if e.Status != delivery.StatusTerminal || stage.Attempt != 4 || len(stage.Attempts) != 1 || stage.Attempts[0].Number != 3 ||
				!slices.Equal(stage.Attempts[0].Deployments, ids(3)) || !slices.Equal(stage.Deployments, ids(4)) {
				t.Errorf("restarted %s: %+v", e.Status, stage)
			}
		})
	}
}

// TestClusterThatNeedsAPersonIsLeft: no attempt follows a rollback that failed.
func TestClusterThatNeedsAPersonIsLeft(t *testing.T) {
	x := &execution{Progress: Progress{Stages: []delivery.Stage{{RefID: "1", Type: pipeline.DeployType}}}, definition: pipeline.Definition{Stages: []pipeline.StageSpec{{RefID: "1"}}}}
	child := func(s delivery.DeploymentStatus) *childDeployment {
		return &childDeployment{cluster: testCluster, result: &DeploymentResult{Status: s, Failure: &delivery.Failure{Kind: "unhealthy"}}}
	}
	for _, test := range []struct {
		statuses []delivery.DeploymentStatus
		final    bool
	}{
		{[]delivery.DeploymentStatus{delivery.DeploymentRolledBack, delivery.DeploymentRolledBack}, false},
		{[]delivery.DeploymentStatus{delivery.DeploymentFailed}, false},
		{[]delivery.DeploymentStatus{delivery.DeploymentRolledBack, delivery.DeploymentRollbackFailed}, true},
	} {
		var children []*childDeployment
		for _, s := range test.statuses {
			children = append(children, child(s))
		}
		for _, outOfTime := range []bool{false, true} {
			if got := x.deployed("1", children, outOfTime); got.final != test.final {
				t.Errorf("%s: final is %v", test.statuses, got.final)
			}
		}
	}
}

// TestChildPipelineIsRetried: each attempt starts an execution of its own, and the one
// that was left behind is the one that is canceled.
func TestChildPipelineIsRetried(t *testing.T) {
	ends := []func(*delivery.Execution){breakDown, succeed}
	w := newParent(t, `,"retry":{"maxAttempts":3,"backoffSec":5}`, time.Minute, func(e *delivery.Execution) {
		ends[0](e)
		ends = ends[1:]
	})
	e := w.run(t)
	if stage := e.Stage("1"); e.Status != delivery.StatusSucceeded || len(w.children()) != 2 || stage.Attempt != 2 || !strings.Contains(string(stage.Outputs), `"status":"SUCCEEDED"`) {
		t.Errorf("%s with %d children: %+v", e.Status, len(w.children()), stage)
	}
	w = newParent(t, `,"retry":{"maxAttempts":3,"backoffSec":5}`, time.Minute, func(e *delivery.Execution) { e.Status = delivery.StatusCanceled })
	e = w.run(t)
	if stage := e.Stage("1"); e.Status != delivery.StatusTerminal || len(w.children()) != 1 || stage.Failure.Kind != delivery.FailureCanceled {
		t.Errorf("a child that was canceled: %s with %d children: %+v", e.Status, len(w.children()), stage)
	}
	w = newParent(t, `,"stageTimeoutMs":60000,"retry":{"maxAttempts":2,"backoffSec":0}`, 0, nil)
	first := true
	w.locks.onCancel = func(delivery.ExecutionID) error {
		if first { // a while, in which the second attempt begins
			first = false
			return delivery.Errorf(delivery.Unavailable, "not now")
		}
		return nil
	}
	e = w.run(t)
	var want []delivery.ExecutionID
	for _, child := range w.children() {
		want = append(want, child.ID)
	}
	if got := slices.Compact(slices.Clone(w.locks.cancel)); e.Status != delivery.StatusTerminal || len(want) != 2 || !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		t.Errorf("%s: canceled %s, want %s", e.Status, w.locks.cancel, want)
	}
}

// TestRetryThatWasRecorded: a stage that is recorded as waiting goes on waiting when its
// workflow begins anew.
func TestRetryThatWasRecorded(t *testing.T) {
	w := newWorld(t, `{"stages":[{"refId":"1","type":"wait","waitTime":10,"retry":{"maxAttempts":3,"backoffSec":60}}]}`, calm())
	e := w.store.executions[testExecution]
	now := w.env.Now()
	failed := delivery.Attempt{Number: 1, StartTime: now, EndTime: now, Failure: delivery.Failure{Kind: "transient", Message: "boom"}}
	e.Stages[0].Status, e.Stages[0].StartTime, e.Stages[0].Attempts, e.Stages[0].ScheduledTime = delivery.StatusRunning, now, []delivery.Attempt{failed}, now.Add(time.Minute)
	e = w.run(t)
	if took := e.EndTime.Sub(now).Round(time.Second); e.Status != delivery.StatusSucceeded || e.Stages[0].Attempt != 2 || took != 70*time.Second {
		t.Errorf("%s in attempt %d after %s", e.Status, e.Stages[0].Attempt, took)
	}
}

// TestDisturbedRetries: whatever happens meanwhile, a stage that always fails has its
// attempts or ends with the execution, and nothing is recorded that cannot be.
func TestDisturbedRetries(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		attempts := rapid.IntRange(2, 4).Draw(rt, "attempts")
		w := newWorld(rt, fmt.Sprintf(`{"stages":[{"refId":"1","type":"wait","waitTime":100,"stageTimeoutMs":2000,"retry":{"maxAttempts":%d,"backoffSec":%d,"backoffMultiplier":2}}]}`,
			attempts, rapid.IntRange(0, 5).Draw(rt, "backoff")), calm())
		cancel := w.disturb(rt, 40, 30, 30)
		var skips []*answer
		for i := range rapid.IntRange(0, 3).Draw(rt, "skips") {
			c := pipeline.StageCommand{Stage: "1", Action: rapid.SampledFrom([]pipeline.StageAction{pipeline.SkipRemainingWait, pipeline.ManualSkip}).Draw(rt, "skip"), By: delivery.Principal{Name: fmt.Sprint("p", i)}}
			skips = append(skips, w.stageAction(time.Duration(rapid.IntRange(1, 30_000).Draw(rt, "ms"))*time.Millisecond, c))
		}
		e := w.run(rt)
		stage := e.Stages[0]
		stopped := stage.Status == delivery.StatusCanceled || stage.Status == delivery.StatusSkipped // perhaps in between
		if failed := max(stage.Attempt, 1) - 1; len(stage.Attempts) != failed && !(stopped && len(stage.Attempts) == failed+1) {
			rt.Errorf("%d failures before attempt %d", len(stage.Attempts), stage.Attempt)
		}
		switch stage.Status {
		case delivery.StatusTerminal:
			if stage.Attempt != attempts {
				rt.Errorf("failed in attempt %d of %d", stage.Attempt, attempts)
			}
		case delivery.StatusCanceled, delivery.StatusNotStarted:
			if cancel == nil || !cancel.ok() {
				rt.Errorf("canceled by nobody: %+v", cancel)
			}
		default: // SKIPPED, or SUCCEEDED by the end of its wait
			if !slices.ContainsFunc(skips, (*answer).ok) {
				rt.Errorf("stage %s without a skip", stage.Status)
			}
		}
		if !stage.ScheduledTime.IsZero() || !stage.Deadline.IsZero() {
			rt.Errorf("ended as %+v", stage)
		}
	})
}

// TestPostponed: a stage that began during a pause gains what was left of it.
func TestPostponed(t *testing.T) {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	to, during := from.Add(time.Hour), from.Add(40*time.Minute)
	for name, test := range map[string]struct {
		run  *stageRun
		want time.Duration
	}{
		"before": {&stageRun{limited: from.Add(-time.Minute)}, time.Hour},
		"during": {&stageRun{limited: during}, 20 * time.Minute},
		"loaded": {nil, time.Hour},
	} {
		x := &execution{runs: map[string]*stageRun{}}
		x.Stages = []delivery.Stage{{RefID: "1", Deadline: to}, {RefID: "2"}}
		if test.run != nil {
			x.runs["1"] = test.run
		}
		if x.postpone(from, to); !x.Stages[0].Deadline.Equal(to.Add(test.want)) || !x.Stages[1].Deadline.IsZero() {
			t.Errorf("%s: %s, %s", name, x.Stages[0].Deadline, x.Stages[1].Deadline)
		}
	}
}
