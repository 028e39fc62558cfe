package workflows

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
	"github.com/slipway-cd/slipway/internal/fakecloud"
)

// judged is a canary that asks people after a minute at 5 %.
const judged = `"strategy":"canary","steps":[{"weight":5,"bake":60,"gate":{"manualJudgment":{"instructions":"look at the orders","timeoutSec":3600}}}]`

var testDeployment = delivery.NewDeploymentID(testExecution, "1", testCluster)

// answers sends an answer to the first step's judgment after a time.
func (w *world) answers(status delivery.JudgmentStatus, after time.Duration) *answer {
	a := &answer{name: string(status)}
	w.env.RegisterDelayedCallback(func() {
		a.sent = w.env.Now()
		command := MoveCommand{Command: Command{By: "joe", Reason: "looked"},
			Judgment: &delivery.JudgmentAnswer{Gate: "step/0", Status: status, By: delivery.Principal{Name: "joe"}, Reason: "looked"}}
		if err := w.env.UpdateWorkflowByID(testDeployment.WorkflowID(), updateMove, fmt.Sprintf("%s-%s", status, after), a, command); err != nil {
			a.refused = err
		}
	}, after)
	return a
}

// deploymentEvents are the recorded events of deployments.
func (w *world) deploymentEvents(t *testing.T) []DeploymentEvent {
	t.Helper()
	var out []DeploymentEvent
	for _, e := range w.store.events {
		if e.Type == delivery.EventDeployment {
			out = append(out, decode[DeploymentEvent](t, e))
		}
	}
	return out
}

// TestJudgment: the question stands in the record while it is open, the answer in
// the record and the events, and the deployment does what was said.
func TestJudgment(t *testing.T) {
	for _, test := range []struct {
		name   string
		status delivery.JudgmentStatus // empty for none
		want   delivery.DeploymentStatus
	}{
		{"continue", delivery.JudgmentContinue, delivery.DeploymentSucceeded},
		{"stop", delivery.JudgmentStop, delivery.DeploymentRolledBack},
		{"silence", "", delivery.DeploymentRolledBack},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, deployDocument("good", "lb", judged, 4), calm(), v000(4))
			was := w.cloud.Truth()
			var open *delivery.Judgment
			w.env.RegisterDelayedCallback(func() { open = w.deployment().Judgment }, 29*time.Minute)
			var given, again *answer
			if test.status != "" {
				given, again = w.answers(test.status, 30*time.Minute), w.answers(delivery.JudgmentContinue, 30*time.Minute+time.Millisecond)
			}
			w.run(t)
			d := w.deployment()
			if d.Status != test.want || d.Judgment != nil {
				t.Errorf("deployment %s (%v), judgment %+v", d.Status, d.Failure, d.Judgment)
			}
			if open == nil || open.Gate != "step/0" || open.Instructions != "look at the orders" || !open.Until.Equal(open.Since.Add(time.Hour)) || open.OnTimeout != "rollback" {
				t.Fatalf("open judgment %+v", open)
			}
			if test.want == delivery.DeploymentRolledBack {
				if diff := cmp.Diff(settled(was), settled(w.cloud.Truth())); diff != "" {
					t.Errorf("(-before +after):\n%s", diff)
				}
				if d.Failure.Kind != "judgment" {
					t.Errorf("failure %+v", d.Failure)
				}
			}
			if given != nil && (!given.done || given.err != nil || given.refused != nil) {
				t.Errorf("answer %+v", given)
			}
			if again != nil && again.err == nil && again.refused == nil {
				t.Errorf("a second answer was taken: %+v", again)
			}
			var detail struct{ Judgments []delivery.Judgment }
			if err := json.Unmarshal(d.Detail, &detail); err != nil || len(detail.Judgments) != 1 {
				t.Fatalf("detail %s: %v", d.Detail, err)
			}
			j, by := detail.Judgments[0], "joe"
			if test.status == "" {
				by = "system"
			}
			if j.By != by || j.Status == "" || j.At.IsZero() || j.Reason == "" {
				t.Errorf("judgment %+v", j)
			}
			var asked, answered bool
			for _, e := range w.deploymentEvents(t) {
				asked = asked || e.Judgment != nil && e.Judgment.Until.Equal(open.Until) && e.Action == ""
				answered = answered || e.Action == rollout.Move(j.Status) && e.By == by && e.Reason == j.Reason
			}
			if !asked || !answered {
				t.Errorf("asked %t, answered %t: %+v", asked, answered, w.deploymentEvents(t))
			}
		})
	}
}

// TestCheckCutsAJudgmentShort: nobody answers, and the check fails.
func TestCheckCutsAJudgmentShort(t *testing.T) {
	w := newWorld(t, deployDocument("turning", "lb", judged+","+errorCheck, 4), erring(), v000(4))
	w.env.RegisterDelayedCallback(func() {
		if w.deployment().Judgment == nil {
			t.Error("no judgment is open")
		}
		w.cloud.Err("turning")
	}, 20*time.Minute)
	began := w.env.Now()
	w.run(t)
	d := w.deployment()
	if d.Status != delivery.DeploymentRolledBack || d.Failure == nil || d.Failure.Kind != "check" {
		t.Errorf("deployment %s: %v", d.Status, d.Failure)
	}
	if took := d.EndTime.Sub(began); took > 23*time.Minute {
		t.Errorf("rolled back after %s", took)
	}
}

// TestJudgmentOfACanceledDeployment: the cancel counts, and the question is gone.
func TestJudgmentOfACanceledDeployment(t *testing.T) {
	w := newWorld(t, deployDocument("good", "lb", judged, 4), calm(), v000(4))
	w.send(updateCancel, 20*time.Minute)
	late := w.answers(delivery.JudgmentContinue, 20*time.Minute+time.Second)
	w.run(t)
	if d := w.deployment(); d.Status != delivery.DeploymentRolledBack || d.Judgment != nil || d.Failure.Kind != delivery.FailureCanceled {
		t.Errorf("deployment %s (%v)", d.Status, d.Failure)
	}
	if late.err == nil && late.refused == nil {
		t.Errorf("answer %+v", late)
	}
}

// TestJudgmentInAPause: stop rolls back at once, continue has its effect with the
// resume.
func TestJudgmentInAPause(t *testing.T) {
	for status, want := range map[delivery.JudgmentStatus]delivery.DeploymentStatus{
		delivery.JudgmentStop: delivery.DeploymentRolledBack, delivery.JudgmentContinue: delivery.DeploymentSucceeded} {
		w := newWorld(t, deployDocument("good", "lb", judged, 4), calm(), v000(4))
		began := w.env.Now()
		w.send(updatePause, 20*time.Minute)
		given := w.answers(status, 21*time.Minute)
		w.send(updateResume, 90*time.Minute)
		w.run(t)
		d := w.deployment()
		if d.Status != want || given.err != nil || given.refused != nil {
			t.Errorf("%s: deployment %s, answer %+v", status, d.Status, given)
		}
		if took := d.EndTime.Sub(began); (took > 25*time.Minute) != (status == delivery.JudgmentContinue) {
			t.Errorf("%s: it took %s", status, took)
		}
	}
}

// TestAskedWhileContinuingAsNew: what is asked while a history ends is answered, and
// its effect carried over.
func TestAskedWhileContinuingAsNew(t *testing.T) {
	in := DeploymentInput{ID: testDeployment, Execution: testExecution, Stage: "1", Cluster: testCluster}
	w := newWorld(t, deployDocument("good", "lb", judged, 4), calm(), v000(4))
	w.env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: in.ID.WorkflowID(), TaskQueue: TaskQueue})
	wrong, right, move := &answer{}, &answer{}, &answer{}
	ask := func(a *answer, id string, c MoveCommand) {
		c.Command = Command{By: "joe"}
		w.env.UpdateWorkflow(updateMove, id, a, c)
	}
	// They are asked while the run waits for a record: what comes after its end is asked
	// of the next one.
	asking := func(ask func()) {
		asked := make(chan struct{})
		w.env.RegisterDelayedCallback(func() { ask(); close(asked) }, 0)
		<-asked
	}
	records := 0 // since the judgment is open
	w.store.onDeployment = func(d delivery.Deployment) {
		if d.Judgment != nil || records > 0 {
			records++
		}
		switch records {
		case 1:
			w.env.SetContinueAsNewSuggested(true)
			asking(func() {
				ask(wrong, "wrong", MoveCommand{Judgment: &delivery.JudgmentAnswer{Gate: "step/1", Status: delivery.JudgmentContinue}})
				ask(right, "right", MoveCommand{Judgment: &delivery.JudgmentAnswer{Gate: "step/0", Status: delivery.JudgmentContinue, By: delivery.Principal{Name: "joe"}}})
			})
		case 2: // the answer, which a promotion has to wait for
			asking(func() { ask(move, "move", MoveCommand{Move: rollout.Promote}) })
		}
	}
	w.env.ExecuteWorkflow(deploymentType, in)
	var again *workflow.ContinueAsNewError
	if err := w.env.GetWorkflowError(); !errors.As(err, &again) {
		t.Fatalf("ended with %v", err)
	}
	var carried DeploymentInput
	if err := converter.GetDefaultDataConverter().FromPayloads(again.Input, &carried); err != nil {
		t.Fatal(err)
	}
	if !right.done || right.err != nil || !wrong.done || wrong.err == nil || !move.done || move.err != nil {
		t.Errorf("answers: right %v, wrong %v, move %v", right.err, wrong.err, move.err)
	}
	js := carried.Carried.Rollout.Judgments
	if len(js) != 1 || js[0].Status != delivery.JudgmentContinue || js[0].By != "joe" || !carried.Carried.Rollout.Promoted {
		t.Errorf("carried %+v, promoted %t", js, carried.Carried.Rollout.Promoted)
	}
	second := newWorld(t, deployDocument("good", "lb", judged, 4), calm(), v000(4))
	second.env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: in.ID.WorkflowID(), TaskQueue: TaskQueue})
	second.locks.lock.Holder = in.ID.WorkflowID()
	carried.Carried.Rollout.Phase = rollout.Creating // this world has no group yet
	carried.Carried.Rollout.StepDone = time.Time{}
	second.env.ExecuteWorkflow(deploymentType, carried)
	var result DeploymentResult
	if err := second.env.GetWorkflowResult(&result); err != nil || result.Status != delivery.DeploymentSucceeded {
		t.Errorf("ended %+v: %v", result, err)
	}
}

// TestMinRequestsStage: a step waits for its requests and goes back without them.
func TestMinRequestsStage(t *testing.T) {
	for silent, want := range map[float64]delivery.DeploymentStatus{0: delivery.DeploymentSucceeded, 1: delivery.DeploymentRolledBack} {
		config := erring()
		config.Faults.Silent = silent
		w := newWorld(t, deployDocument("good", "lb", `"strategy":"canary","steps":[{"weight":5,"bake":30,"minRequests":350,"minRequestsTimeoutSec":600}]`, 4), config, v000(4))
		began := w.env.Now()
		w.run(t)
		d := w.deployment()
		if d.Status != want || d.Failure != nil && !strings.Contains(d.Failure.Message, "too little traffic") {
			t.Errorf("silent %v: deployment %s: %v", silent, d.Status, d.Failure)
		}
		if took := d.EndTime.Sub(began); took < 5*time.Minute || took > 18*time.Minute {
			t.Errorf("silent %v: it took %s", silent, took)
		}
		for _, e := range w.checkEvents(t) {
			if e.Check != "minRequests" || e.Message == "" {
				t.Errorf("event %+v", e)
			}
		}
	}
}

// TestStepPipelines: each step has its own pipeline as a gate.
func TestStepPipelines(t *testing.T) {
	gate := func(id string) string {
		return `"gate":{"pipeline":{"application":"shop","pipelineId":"` + id + `"}}`
	}
	w := newWorld(t, deployDocument("good", "lb", `"strategy":"canary","steps":[{"weight":5,"bake":60,`+gate("one")+`},{"weight":50,`+gate("two")+`}]`, 4), calm(), v000(4))
	for _, id := range []string{"one", "two"} {
		w.store.pipelines[id] = delivery.Pipeline{ID: id, Application: "shop", Name: id, Document: json.RawMessage(`{"name":"` + id + `","application":"shop","stages":[]}`)}
	}
	w.locks.onStart = func(id delivery.ExecutionID) {
		w.env.RegisterDelayedCallback(func() {
			e := w.store.executions[id]
			e.Status = delivery.StatusSucceeded
			w.store.executions[id] = e
		}, 30*time.Second)
	}
	if e := w.run(t); e.Status != delivery.StatusSucceeded {
		t.Errorf("execution %s: %v", e.Status, w.deployment().Failure)
	}
	if len(w.store.correlated) != 2 {
		t.Errorf("%d gates ran", len(w.store.correlated))
	}
}

// TestFaultSchedulesOfJudgments is TestFaultSchedules for canaries that ask people
// and count requests.
func TestFaultSchedulesOfJudgments(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.IntRange(1, 6).Draw(rt, "size")
		image := rapid.SampledFrom([]string{"good", "good", "erring", "crash"}).Draw(rt, "image")
		strategy := fmt.Sprintf(`"strategy":"canary","steps":[{"weight":%d,"bake":60,"minRequests":%d,"gate":{"manualJudgment":{"timeoutSec":%d,"onTimeout":%q}}}],%s`,
			rapid.IntRange(1, 99).Draw(rt, "weight"), rapid.IntRange(0, 400).Draw(rt, "minRequests"), rapid.IntRange(60, 1200).Draw(rt, "timeout"),
			rapid.SampledFrom([]string{"rollback", "continue"}).Draw(rt, "onTimeout"), errorCheck)
		config := drawConfig(rt)
		config.ErringImages, config.MetricDelay = []string{"erring"}, time.Minute
		config.Faults.Silent = rapid.Float64Range(0, 0.3).Draw(rt, "silent")
		w := newWorld(rt, deployDocument(image, "lb", strategy, size), config, v000(size))
		w.store.failing = rapid.Float64Range(0, 0.1).Draw(rt, "store")
		w.cloud.Bound(fakecloud.Bounds{Floor: size, Ceiling: 2 * size})
		was := w.cloud.Truth()
		status := rapid.SampledFrom([]delivery.JudgmentStatus{"", delivery.JudgmentContinue, delivery.JudgmentStop}).Draw(rt, "judgment")
		var given *answer
		if status != "" {
			given = w.answers(status, time.Duration(rapid.IntRange(60, 1800).Draw(rt, "judgedAt"))*time.Second)
		}
		var cancel *answer
		if rapid.Bool().Draw(rt, "cancels") {
			cancel = w.send(updateCancel, time.Duration(rapid.IntRange(1, 1500).Draw(rt, "cancelAt"))*time.Second)
		}
		if rapid.Bool().Draw(rt, "pauses") {
			at := time.Duration(rapid.IntRange(1, 900).Draw(rt, "pauseAt")) * time.Second
			w.send(updatePause, at)
			w.send(updateResume, at+time.Duration(rapid.IntRange(1, 600).Draw(rt, "pauseFor"))*time.Second)
		}
		e := w.run(rt)
		checkSchedule(rt, w, e, cancel, was)
		d := w.deployment()
		if d.Status == delivery.DeploymentSucceeded && image != "good" {
			rt.Errorf("image %s succeeded", image)
		}
		if taken := given != nil && given.done && given.err == nil; taken && status == delivery.JudgmentStop && d.Status == delivery.DeploymentSucceeded {
			rt.Errorf("stopped, and it succeeded all the same")
		}
	})
}
