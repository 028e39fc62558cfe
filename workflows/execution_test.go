package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/internal/fakecloud"
)

const rolling = `"strategy":"rolling","maxSurge":2`

func TestDeploySucceeds(t *testing.T) {
	w := newWorld(t, deployDocument("${parameters.image}", "lb", rolling, 4), calm(), v000(4))
	w.cloud.Bound(fakecloud.Bounds{Floor: 4, Ceiling: 6})
	e := w.run(t)
	if e.Status != delivery.StatusSucceeded || e.Stages[0].Status != delivery.StatusSucceeded {
		t.Fatalf("execution %s, stage %+v", e.Status, e.Stages[0])
	}
	d := w.deployment()
	if d.Status != delivery.DeploymentSucceeded || d.ServerGroup != "shop-prod-v001" || len(d.Detail) == 0 {
		t.Errorf("deployment %+v", d)
	}
	if diff := cmp.Diff([]delivery.DeploymentID{d.ID}, e.Stages[0].Deployments); diff != "" {
		t.Errorf("deployments of the stage: %s", diff)
	}
	if !strings.Contains(string(e.Stages[0].Context), `"amiName":"good"`) {
		t.Errorf("context was not evaluated: %s", e.Stages[0].Context)
	}
	if !strings.Contains(string(e.Stages[0].Outputs), `"serverGroup":"shop-prod-v001"`) {
		t.Errorf("outputs: %s", e.Stages[0].Outputs)
	}
	if v := w.cloud.Violations(); len(v) > 0 {
		t.Errorf("violations: %q", v)
	}
	if got := w.cloud.Truth().Routing.Percent("shop-prod-v001"); got != 100 {
		t.Errorf("weight of the new group %d", got)
	}
	if took := e.EndTime.Sub(e.StartTime); took < 20*time.Second || took > 10*time.Minute {
		t.Errorf("took %s of virtual time", took)
	}
}

// TestRecordedBeyondHistory: a worker died in the middle of the first workflow task,
// after it recorded that stages begin and before Temporal heard of it.
func TestRecordedBeyondHistory(t *testing.T) {
	w := newWorld(t, deployDocument("good", "lb", rolling, 2), calm(), v000(2))
	e := w.store.executions[testExecution]
	began := w.env.Now().Add(-time.Minute)
	e.Status, e.StartTime, e.Version = delivery.StatusRunning, began, 4
	e.Stages[0].Status, e.Stages[0].StartTime = delivery.StatusRunning, began
	w.store.executions[testExecution] = e
	if e = w.run(t); e.Status != delivery.StatusSucceeded || e.Version <= 4 {
		t.Fatalf("execution %s, version %d", e.Status, e.Version)
	}
	if got := e.Stages[0].StartTime; !got.Equal(began) {
		t.Errorf("the stage began at %s, and then at %s", began, got)
	}
}

// TestEventsTellEveryBatch reads the stream as a client would.
func TestEventsTellEveryBatch(t *testing.T) {
	w := newWorld(t, deployDocument("good", "lb", rolling, 4), calm(), v000(4))
	w.run(t)
	var statuses, batches, changes []string
	for _, e := range w.store.events {
		switch e.Type {
		case delivery.EventDeployment:
			statuses = append(statuses, string(decode[DeploymentEvent](t, e).Status))
		case delivery.EventBatch:
			b := decode[BatchEvent](t, e)
			if b.Done {
				batches = append(batches, fmt.Sprintf("%d/%d %s", b.Batch.Batch, b.Of, healthAndWeight(b)))
			}
		case delivery.EventChange:
			changes = append(changes, string(decode[ChangeEvent](t, e).Kind))
		}
	}
	if diff := cmp.Diff([]string{"QUEUED", "RUNNING", "SUCCEEDED"}, statuses); diff != "" {
		t.Errorf("statuses: %s", diff)
	}
	want := []string{
		"1/2 shop-prod-v000 2 healthy 50 %, shop-prod-v001 2 healthy 50 %",
		"2/2 shop-prod-v001 4 healthy 100 %",
	}
	for i := range want {
		if i >= len(batches) || !strings.Contains(batches[i], want[i][len("1/2 shop-prod-v00"):]) && batches[i] != want[i] {
			t.Errorf("batches %q, want %q", batches, want)
			break
		}
	}
	if len(changes) < 6 || changes[0] != string(delivery.CreateGroup) {
		t.Errorf("changes: %q", changes)
	}
}

func healthAndWeight(b BatchEvent) string {
	parts := make([]string, len(b.Observed))
	for i, g := range b.Observed {
		parts[i] = fmt.Sprintf("%s %d healthy %d %%", g.ServerGroup, g.Healthy, g.Weight)
	}
	return strings.Join(parts, ", ")
}

func decode[T any](t *testing.T, e delivery.Event) (data T) {
	t.Helper()
	if err := json.Unmarshal(e.Data, &data); err != nil {
		t.Fatalf("event %s: %v", e.Key, err)
	}
	return data
}

// TestStages runs graphs of wait stages and stages with wrong input.
func TestStages(t *testing.T) {
	wait := func(ref, after, seconds, more string) string {
		return fmt.Sprintf(`{"refId":%q,"type":"wait","requisiteStageRefIds":[%s],"waitTime":%s%s}`, ref, after, seconds, more)
	}
	const wrong = `"${nobody}"`
	for _, test := range []struct {
		name   string
		stages []string
		want   delivery.Status
		each   string
		took   time.Duration
	}{
		{"one after the other", []string{wait("a", ``, "10", ""), wait("b", `"a"`, "20", "")}, delivery.StatusSucceeded, "SUCCEEDED SUCCEEDED", 30 * time.Second},
		{"side by side", []string{wait("a", ``, "10", ""), wait("b", ``, "20", ""), wait("c", `"a","b"`, "5", "")}, delivery.StatusSucceeded, "SUCCEEDED SUCCEEDED SUCCEEDED", 25 * time.Second},
		{"an expression", []string{wait("a", ``, `"${10 + 5}"`, "")}, delivery.StatusSucceeded, "SUCCEEDED", 15 * time.Second},
		{"a failure cancels the other branch", []string{wait("a", ``, "10", ""), wait("b", `"a"`, wrong, ""), wait("c", ``, "1000", ""), wait("d", `"c"`, "1", "")},
			delivery.StatusTerminal, "SUCCEEDED TERMINAL CANCELED NOT_STARTED", 10 * time.Second},
		{"a failure halts its branch", []string{wait("a", ``, wrong, `,"failPipeline":false`), wait("b", `"a"`, "1", ""), wait("c", ``, "60", "")},
			delivery.StatusSucceeded, "STOPPED NOT_STARTED SUCCEEDED", 60 * time.Second},
		{"a failure halts its branch, then fails", []string{wait("a", ``, wrong, `,"failPipeline":false,"completeOtherBranchesThenFail":true`), wait("c", ``, "60", "")},
			delivery.StatusTerminal, "STOPPED SUCCEEDED", 60 * time.Second},
		{"a failure is ignored", []string{wait("a", ``, wrong, `,"continuePipeline":true,"failPipeline":false`), wait("b", `"a"`, "5", "")},
			delivery.StatusSucceeded, "FAILED_CONTINUE SUCCEEDED", 5 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, fmt.Sprintf(`{"name":"p","application":"shop","stages":[%s]}`, strings.Join(test.stages, ",")), calm())
			e := w.run(t)
			var each []string
			for _, s := range e.Stages {
				each = append(each, string(s.Status))
				if failed := strings.Contains(test.name, "failure") && (s.Status == delivery.StatusTerminal || s.Status == delivery.StatusStopped); failed && (s.Failure == nil || len(s.Failure.Findings) == 0) {
					t.Errorf("stage %s has no findings: %+v", s.RefID, s.Failure)
				}
			}
			if got := strings.Join(each, " "); e.Status != test.want || got != test.each {
				t.Errorf("execution %s, stages %s; want %s, %s", e.Status, got, test.want, test.each)
			}
			if took := e.EndTime.Sub(e.StartTime).Round(time.Second); took != test.took {
				t.Errorf("took %s, want %s", took, test.took)
			}
		})
	}
}

// TestPauseKeepsStagesFromStarting also shows that an execution does not end
// while it is paused.
func TestPauseKeepsStagesFromStarting(t *testing.T) {
	w := newWorld(t, `{"stages":[{"refId":"a","type":"wait","waitTime":10},{"refId":"b","type":"wait","requisiteStageRefIds":["a"],"waitTime":10}]}`, calm())
	start := w.env.Now()
	pause, resume := w.send(updatePause, 5*time.Second), w.send(updateResume, 65*time.Second)
	again := w.send(updatePause, 70*time.Second)
	last := w.send(updateResume, 100*time.Second)
	var during delivery.Execution
	w.env.RegisterDelayedCallback(func() { during = w.store.executions[testExecution] }, 40*time.Second)
	e := w.run(t)
	for _, a := range []*answer{pause, resume, again, last} {
		if !a.done || a.err != nil {
			t.Errorf("%s was answered %+v", a.name, a)
		}
	}
	if during.Status != delivery.StatusPaused || during.Stages[0].Status != delivery.StatusSucceeded || during.Stages[1].Status != delivery.StatusNotStarted {
		t.Errorf("while paused: %s %s %s", during.Status, during.Stages[0].Status, during.Stages[1].Status)
	}
	if began := e.Stages[1].StartTime.Sub(start); began < 65*time.Second {
		t.Errorf("the second stage began after %s", began)
	}
	if ended := e.EndTime.Sub(start).Round(time.Second); e.Status != delivery.StatusSucceeded || ended != 100*time.Second {
		t.Errorf("ended %s after %s, want SUCCEEDED after 1m40s", e.Status, ended)
	}
	if e.Paused == nil || e.Paused.PausedBy != "joe" || e.Paused.ResumedAt.IsZero() || e.Paused.Reason != "a test" || e.Paused.ResumeReason != "a test" {
		t.Errorf("pause %+v", e.Paused)
	}
}

// TestDeploymentFailures shows how what goes wrong in a deployment reaches the stage.
func TestDeploymentFailures(t *testing.T) {
	for _, test := range []struct {
		name, image, strategy string
		deployment            delivery.DeploymentStatus
		kind                  string
		pointer               string
	}{
		{"a version that is never healthy", "crash", rolling, delivery.DeploymentRolledBack, "unhealthy", ""},
		{"an unknown image", "unknown", rolling, delivery.DeploymentFailed, "invalid", "/clusters/0/amiName"},
		{"a gate without its pipeline", "good", `"strategy":"rollingredblack","targetPercentages":[50,100],"pipelineBeforeCleanup":{"application":"shop","pipelineId":"nope"}`,
			delivery.DeploymentRolledBack, "not_found", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, deployDocument(test.image, "lb", test.strategy, 4), calm(), v000(4))
			was := w.cloud.Truth()
			e := w.run(t)
			d, f := w.deployment(), e.Stages[0].Failure
			if e.Status != delivery.StatusTerminal || d.Status != test.deployment || f == nil || f.Kind != test.kind {
				t.Fatalf("execution %s, deployment %s, failure %+v", e.Status, d.Status, f)
			}
			if test.pointer != "" && (len(f.Findings) != 1 || f.Findings[0].Pointer != test.pointer) {
				t.Errorf("findings %+v, want one at %s", f.Findings, test.pointer)
			}
			if diff := cmp.Diff(settled(was), settled(w.cloud.Truth())); diff != "" {
				t.Errorf("(-before +after):\n%s", diff)
			}
		})
	}
}

// refusing refuses the first changes of the routing, as the traffic guard does
// when it reads that no instance is healthy, and a target when its read does not
// show the server group yet.
type refusing struct {
	*fakecloud.Cloud
	kind  delivery.Kind
	times int
}

// halfway refuses what comes after a write that it made for the same change.
type halfway struct {
	*fakecloud.Cloud
	kind  delivery.Kind
	wrote map[delivery.ChangeKey]bool
}

func (h *halfway) Target(delivery.Cluster) (delivery.Target, error) { return h, nil }

func (h *halfway) Apply(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	if h.wrote[c.Key] {
		h.wrote[c.Key] = false
		return delivery.Receipt{}, delivery.Errorf(h.kind, "a test")
	}
	receipt, err := h.Cloud.Apply(ctx, c)
	if _, refused := h.wrote[c.Key]; err == nil && !refused {
		h.wrote[c.Key] = true
		receipt.Done = false
	}
	return receipt, err
}

// TestWritesAreRecorded: a change that meets an error after its write has been written
// all the same, and its record says so.
func TestWritesAreRecorded(t *testing.T) {
	for _, kind := range []delivery.Kind{delivery.Conflict, delivery.Throttled, delivery.Transient} {
		w := newWorld(t, deployDocument("good", "lb", rolling, 2), calm(), v000(2))
		w.activities.deps.Targets = &halfway{w.cloud, kind, map[delivery.ChangeKey]bool{}}
		w.run(t)
		if d := w.deployment(); d.Status != delivery.DeploymentSucceeded {
			t.Fatalf("%s: %s, %v", kind, d.Status, d.Failure)
		}
		recorded := 0
		for _, e := range w.store.events {
			if e.Type == delivery.EventChange {
				recorded += len(decode[ChangeEvent](t, e).Wrote)
			}
		}
		if made := len(w.cloud.Writes()); recorded != made {
			t.Errorf("%s: %d writes are recorded of %d", kind, recorded, made)
		}
	}
}

func (r *refusing) Target(delivery.Cluster) (delivery.Target, error) { return r, nil }

func (r *refusing) Apply(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	if c.Kind == delivery.SetRouting && r.times > 0 {
		r.times--
		return delivery.Receipt{}, delivery.Errorf(r.kind, "a test")
	}
	return r.Cloud.Apply(ctx, c)
}

// TestOvertakenChangesAreDecidedAgain: what is read just before a write is not
// what the change was decided on. Once both agree again, the deployment goes on.
func TestOvertakenChangesAreDecidedAgain(t *testing.T) {
	for _, kind := range []delivery.Kind{delivery.Conflict, delivery.Guarded, delivery.NotFound} {
		for times, want := range map[int]delivery.DeploymentStatus{3: delivery.DeploymentSucceeded, maxConflicts + 1: delivery.DeploymentRolledBack} {
			w := newWorld(t, deployDocument("good", "lb", rolling, 4), calm(), v000(4))
			w.activities.deps.Targets = &refusing{w.cloud, kind, times}
			w.run(t)
			if d := w.deployment(); d.Status != want {
				t.Errorf("%s %d times: %s, %v", kind, times, d.Status, d.Failure)
			}
		}
	}
}

// TestGate runs a pipeline between the steps of a deployment.
func TestGate(t *testing.T) {
	const gated = `"strategy":"rollingredblack","targetPercentages":[50,100],"pipelineBeforeCleanup":{"application":"shop","pipelineId":"check"}`
	for _, test := range []struct {
		end  delivery.Status
		want delivery.DeploymentStatus
		runs int
	}{
		{delivery.StatusSucceeded, delivery.DeploymentSucceeded, 2},
		{delivery.StatusTerminal, delivery.DeploymentRolledBack, 1},
	} {
		t.Run(string(test.end), func(t *testing.T) {
			w := newWorld(t, deployDocument("good", "lb", gated, 4), calm(), v000(4))
			w.store.pipelines["check"] = delivery.Pipeline{ID: "check", Application: "shop", Name: "Check",
				Document: json.RawMessage(`{"name":"Check","stages":[{"refId":"1","type":"wait","waitTime":1}]}`)}
			w.locks.onStart = func(id delivery.ExecutionID) {
				w.env.RegisterDelayedCallback(func() {
					e := w.store.executions[id]
					e.Status = test.end
					w.store.executions[id] = e
				}, 90*time.Second)
			}
			w.run(t)
			if d := w.deployment(); d.Status != test.want || len(w.store.correlated) != test.runs {
				t.Errorf("deployment %s %v, %d runs of the gate's pipeline", d.Status, d.Failure, len(w.store.correlated))
			}
		})
	}
}

// TestCancelInTheQueue gives the place in the queue up.
func TestCancelInTheQueue(t *testing.T) {
	w := newWorld(t, deployDocument("good", "lb", rolling, 4), calm(), v000(4))
	w.locks.lock.Holder = "somebody"
	var during delivery.Deployment
	w.env.RegisterDelayedCallback(func() { during = w.deployment() }, 50*time.Second)
	w.send(updateCancel, time.Minute)
	w.store.onDeployment = func(d delivery.Deployment) {
		if d.Status.Complete() {
			w.locks.drop("somebody")
		}
	}
	e := w.run(t)
	if d := w.deployment(); during.Status != delivery.DeploymentQueued || d.Status != delivery.DeploymentCanceled || e.Status != delivery.StatusCanceled {
		t.Errorf("deployment was %s, ended %s; execution %s", during.Status, d.Status, e.Status)
	}
	if writes := w.cloud.Writes(); len(writes) > 0 {
		t.Errorf("writes: %v", writes)
	}
}

// TestFencedDeploymentStops takes the cluster away in the middle.
func TestFencedDeploymentStops(t *testing.T) {
	w := newWorld(t, deployDocument("good", "lb", rolling, 6), calm(), v000(6))
	var writes int
	w.env.RegisterDelayedCallback(func() {
		if _, err := w.store.NextFence(context.Background(), testCluster.Key(), "a newer one"); err != nil {
			t.Error(err)
		}
		writes = len(w.cloud.Writes())
	}, 20*time.Second)
	e := w.run(t)
	if d := w.deployment(); e.Status != delivery.StatusTerminal || d.Failure == nil || d.Failure.Kind != delivery.Fenced.String() {
		t.Errorf("execution %s, deployment %s %v", e.Status, d.Status, d.Failure)
	}
	if after := len(w.cloud.Writes()); after != writes || writes == 0 {
		t.Errorf("%d writes before the fence, %d after", writes, after)
	}
}

// TestDeploymentContinuesAsNew carries state and signals over to a new history.
func TestDeploymentContinuesAsNew(t *testing.T) {
	in := DeploymentInput{ID: delivery.NewDeploymentID(testExecution, "1", testCluster), Execution: testExecution, Stage: "1", Cluster: testCluster}
	first := newWorld(t, deployDocument("good", "lb", rolling, 4), calm(), v000(4))
	first.env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: in.ID.WorkflowID(), TaskQueue: TaskQueue})
	first.env.SetContinueAsNewSuggested(true)
	first.env.RegisterDelayedCallback(func() {
		first.env.SignalWorkflow(signalControl, Control{Kind: ControlPause, Command: Command{By: "joe"}})
	}, 0)
	first.env.ExecuteWorkflow(deploymentType, in)
	var again *workflow.ContinueAsNewError
	if err := first.env.GetWorkflowError(); !errors.As(err, &again) {
		t.Fatalf("ended with %v", err)
	}
	var carried DeploymentInput
	if err := converter.GetDefaultDataConverter().FromPayloads(again.Input, &carried); err != nil {
		t.Fatal(err)
	}
	if s := carried.Carried; s == nil || s.Rollout == nil || s.Fence != 1 || s.Rollout.Paused.IsZero() {
		t.Fatalf("carried %+v", s)
	}
	if holder, _ := first.locks.state(); holder != in.ID.WorkflowID() {
		t.Errorf("lock is held by %q", holder)
	}

	second := newWorld(t, deployDocument("good", "lb", rolling, 4), calm(), v000(4))
	second.env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: in.ID.WorkflowID(), TaskQueue: TaskQueue})
	start := second.env.Now()
	second.locks.lock.Holder = in.ID.WorkflowID()
	second.env.RegisterDelayedCallback(func() {
		second.env.SignalWorkflow(signalControl, Control{Kind: ControlResume, Command: Command{By: "joe"}})
	}, time.Hour)
	second.env.ExecuteWorkflow(deploymentType, carried)
	var result DeploymentResult
	if err := second.env.GetWorkflowResult(&result); err != nil || result.Status != delivery.DeploymentSucceeded {
		t.Errorf("ended %+v: %v", result, err)
	}
	if writes := second.cloud.Writes(); len(writes) == 0 || writes[0].At.Before(start.Add(time.Hour)) {
		t.Errorf("wrote while paused: %v", writes)
	}
	if holder, _ := second.locks.state(); holder != "" {
		t.Errorf("lock is still held by %q", holder)
	}
}
