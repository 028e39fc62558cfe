package workflows

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// childDocument starts the pipeline "deploy"; FIELDS are further fields of the stage.
const childDocument = `{"name":"p","application":"shop","stages":[
	{"refId":"1","requisiteStageRefIds":[],"type":"pipeline","name":"Deploy it","pipeline":"deploy","pipelineParameters":{"version":"${parameters.image}"}FIELDS},
	{"refId":"2","requisiteStageRefIds":["1"],"type":"noop"}]}`

// newParent is a world with an execution that starts the pipeline "deploy", which
// ends after a time as end says; it goes on when end is nil.
func newParent(t *testing.T, fields string, after time.Duration, end func(*delivery.Execution)) *world {
	t.Helper()
	w := newWorld(t, strings.Replace(childDocument, "FIELDS", fields, 1), calm())
	w.save(t, "D", `{"name":"deploy","application":"shop","parameterConfig":[{"name":"version","required":true}],"stages":[{"refId":"a","type":"noop","name":"Bake"}]}`)
	w.store.onCreate = func(e delivery.Execution) {
		if end == nil {
			return
		}
		w.env.RegisterDelayedCallback(func() {
			w.store.mu.Lock()
			defer w.store.mu.Unlock()
			e := w.store.executions[e.ID]
			end(&e)
			w.store.executions[e.ID] = e
		}, after)
	}
	return w
}

func (w *world) save(t *testing.T, id, document string) {
	t.Helper()
	var named struct{ Name, Application string }
	if err := json.Unmarshal([]byte(document), &named); err != nil {
		t.Fatal(err)
	}
	w.store.pipelines[id] = delivery.Pipeline{ID: id, Application: named.Application, Name: named.Name, Document: json.RawMessage(document)}
}

// children are the executions that stages started.
func (w *world) children() []delivery.Execution {
	var out []delivery.Execution
	for id, e := range w.store.executions {
		if id != testExecution {
			out = append(out, e)
		}
	}
	return out
}

func succeed(e *delivery.Execution) {
	e.Status = delivery.StatusSucceeded
	e.Stages[0].Status, e.Stages[0].Outputs = delivery.StatusSucceeded, json.RawMessage(`{"baked":"ami-1"}`)
}

func bake(e *delivery.Execution) {
	e.Status = delivery.StatusSucceeded
	e.Stages[0].Status, e.Stages[0].Outputs = delivery.StatusSucceeded, json.RawMessage(`{"artifacts":[{"type":"docker/image","name":"app"}]}`)
}

func breakDown(e *delivery.Execution) {
	e.Status = delivery.StatusTerminal
	e.Stages[0].Status, e.Stages[0].Failure = delivery.StatusTerminal, &delivery.Failure{Kind: "transient", Message: "no disk"}
}

// TestChildPipeline ends as the pipeline that it started.
func TestChildPipeline(t *testing.T) {
	for _, test := range []struct {
		name, fields string
		end          func(*delivery.Execution)
		status       delivery.Status
		message      string
		outputs      map[string]string
		took         time.Duration
	}{
		{"success", "", succeed, delivery.StatusSucceeded, "", map[string]string{"executionName": "deploy", "status": "SUCCEEDED", "baked": "ami-1"}, time.Hour},
		{"no outputs", `,"skipDownstreamOutput":true`, succeed, delivery.StatusSucceeded, "", map[string]string{"executionName": "deploy", "status": "SUCCEEDED"}, time.Hour},
		{"by its id", `,"application":"shop","pipelineId":"deploy"`, succeed, delivery.StatusSucceeded, "", map[string]string{"executionName": "deploy", "status": "SUCCEEDED", "baked": "ami-1"}, time.Hour},
		{"failure", "", breakDown, delivery.StatusTerminal, "ended TERMINAL: stage Bake: no disk", map[string]string{"executionName": "deploy", "status": "TERMINAL"}, time.Hour},
		{"failure that counts for nothing", `,"continuePipeline":true`, breakDown, delivery.StatusSucceeded, "ended TERMINAL", map[string]string{"executionName": "deploy", "status": "TERMINAL"}, time.Hour},
		{"artifacts", `,"expectedArtifacts":[{"id":"i","matchArtifact":{"type":"docker/image"}}],"skipDownstreamOutput":true`, bake, delivery.StatusSucceeded, "",
			map[string]string{"executionName": "deploy", "status": "SUCCEEDED", "artifacts": `[{"name":"app","type":"docker/image"}]`,
				"resolvedExpectedArtifacts": `[{"boundArtifact":{"name":"app","type":"docker/image"},"id":"i","matchArtifact":{"type":"docker/image"}}]`}, time.Hour},
		{"no artifacts", `,"expectedArtifacts":[{"id":"i","displayName":"the chart","matchArtifact":{"type":"helm/chart"}}]`, bake, delivery.StatusTerminal, "artifacts are not valid",
			map[string]string{"executionName": "deploy", "status": "SUCCEEDED", "artifacts": `[{"type":"docker/image","name":"app"}]`}, time.Hour},
		{"artifacts of a failure", `,"expectedArtifacts":[{"id":"i"}]`, breakDown, delivery.StatusTerminal, "ended TERMINAL: stage Bake: no disk", map[string]string{"executionName": "deploy", "status": "TERMINAL"}, time.Hour},
		{"nobody waits", `,"waitForCompletion":false`, nil, delivery.StatusSucceeded, "", map[string]string{"executionName": "deploy", "status": "NOT_STARTED"}, 0},
	} {
		w := newParent(t, test.fields, time.Hour, test.end)
		e := w.run(t)
		stage, children := e.Stage("1"), w.children()
		if e.Status != test.status || len(children) != 1 {
			t.Errorf("%s: execution %s, %d children: %+v", test.name, e.Status, len(children), stage.Failure)
			continue
		}
		var raw map[string]json.RawMessage
		if err := json.Unmarshal(stage.Outputs, &raw); err != nil {
			t.Fatal(err)
		}
		outputs := map[string]string{}
		for name, value := range raw {
			if outputs[name] = string(value); value[0] == '"' {
				outputs[name] = strings.Trim(string(value), `"`)
			}
		}
		child := children[0]
		test.outputs["executionId"] = string(child.ID)
		if diff := cmp.Diff(test.outputs, outputs); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
		if (stage.Failure == nil) != (test.message == "") || stage.Failure != nil && !strings.Contains(stage.Failure.Message, test.message) {
			t.Errorf("%s: %+v", test.name, stage.Failure)
		}
		if took := stage.EndTime.Sub(stage.StartTime); took < test.took || took > test.took+time.Minute {
			t.Errorf("%s: it took %s", test.name, took)
		}
		tr := child.Trigger
		if string(tr.Parameters) != `{"version":"good"}` || tr.User != "joe" || tr.ParentExecution != testExecution || tr.Depth != 1 || !strings.Contains(string(tr.Document), `"parentPipelineStageId":"stage-1"`) {
			t.Errorf("%s: trigger %+v", test.name, tr)
		}
	}
}

// TestChildIsCanceled with its parent, and a parent with nothing to cancel ends too.
func TestChildIsCanceled(t *testing.T) {
	w := newParent(t, "", 0, nil)
	w.locks.onCancel = func(id delivery.ExecutionID) error {
		if len(w.locks.cancel) < 3 {
			return delivery.Errorf(delivery.Unavailable, "not now")
		}
		return nil
	}
	cancel := w.send(updateCancel, 20*time.Minute)
	e := w.run(t)
	if e.Status != delivery.StatusCanceled || e.EndTime.Sub(cancel.sent) > 5*time.Second {
		t.Errorf("execution %s %s after the cancel", e.Status, e.EndTime.Sub(cancel.sent))
	}
	id := w.children()[0].ID
	if !slices.Equal(w.locks.cancel, []delivery.ExecutionID{id, id, id}) {
		t.Errorf("canceled %s, want %s", w.locks.cancel, id)
	}
	w = newParent(t, "", time.Minute, succeed)
	w.send(updateCancel, time.Millisecond)
	if e := w.run(t); e.Status != delivery.StatusCanceled {
		t.Errorf("execution %s", e.Status)
	}
}

// TestWaitingForExecutionsHasAnEnd: a child that never ends is canceled, and one that
// others started is left alone.
func TestWaitingForExecutionsHasAnEnd(t *testing.T) {
	w := newParent(t, "", 0, nil)
	w.add(t, "N", `{"stages":[]}`)
	now := w.env.Now()
	w.activities.deps.Now = func() time.Time { return now }
	todo := StageToDo{Execution: w.store.executions[testExecution],
		Stage: delivery.Stage{ID: "S", RefID: "1", StartTime: now, Context: json.RawMessage(`{"pipeline":"deploy","pipelineParameters":{"version":"1"},"executionId":"N"}`)}}
	for _, do := range []func(*Activities, context.Context, StageToDo) (any, error){(*Activities).runChild, (*Activities).monitor} {
		now = todo.Stage.StartTime.Add(childTime)
		if outputs, err := do(w.activities, t.Context(), todo); delivery.KindOf(err) != delivery.NotReady || outputs != nil {
			t.Errorf("in time: %v, %v", outputs, err)
		}
		now = now.Add(time.Second)
		if outputs, err := do(w.activities, t.Context(), todo); delivery.KindOf(err) != delivery.Conflict || outputs == nil || !strings.Contains(err.Error(), "did not end within 336h0m0s") {
			t.Errorf("out of time: %v, %v", outputs, err)
		}
	}
	if id := pipeline.ChildID(todo.Execution.ID, todo.Stage); !slices.Equal(w.locks.cancel, []delivery.ExecutionID{id}) {
		t.Errorf("canceled %s, want %s", w.locks.cancel, id)
	}
}

// TestChildIsStartedOnce however often the activity is repeated, by a store that
// fails and answers too late.
func TestChildIsStartedOnce(t *testing.T) {
	for seed := range 10 {
		w := newParent(t, "", time.Minute, succeed)
		w.store.rng.Seed(int64(seed))
		w.store.failing = 0.5
		if e := w.run(t); e.Status != delivery.StatusSucceeded || len(w.children()) != 1 {
			t.Errorf("seed %d: execution %s, %d children", seed, e.Status, len(w.children()))
		}
	}
}

// TestChildTakesDefaults: they read the parent and the child's own id, and one that
// cannot be evaluated fails the stage.
func TestChildTakesDefaults(t *testing.T) {
	w := newParent(t, "", time.Minute, succeed)
	w.save(t, "D", `{"name":"deploy","application":"shop","parameterConfig":[{"name":"note","default":"${trigger.parentExecution.trigger.parameters.image} as ${parameters.version} in ${execution.id}"}],
		"stages":[{"refId":"a","type":"noop","name":"Bake"}]}`)
	e, children := w.run(t), w.children()
	if e.Status != delivery.StatusSucceeded || len(children) != 1 {
		t.Fatalf("execution %s, %d children: %+v", e.Status, len(children), e.Stage("1").Failure)
	}
	if got, want := string(children[0].Trigger.Parameters), `{"note":"good as good in `+string(children[0].ID)+`","version":"good"}`; got != want {
		t.Errorf("parameters %s, want %s", got, want)
	}
	w = newParent(t, "", time.Minute, succeed)
	w.save(t, "D", `{"name":"deploy","application":"shop","parameterConfig":[{"name":"note","default":"${trigger.tag}"}],"stages":[{"refId":"a","type":"noop"}]}`)
	if e := w.run(t); e.Status != delivery.StatusTerminal || len(w.children()) != 0 || !strings.Contains(e.Stage("1").Failure.Message, "/pipelineParameters/note: Parameter note has no value, and its default cannot be evaluated") {
		t.Errorf("execution %s, %d children: %+v", e.Status, len(w.children()), e.Stage("1").Failure)
	}
}

// TestChildIDs are ULIDs that sort by the stage's beginning, tell attempts apart, and
// are those that running executions have.
func TestChildIDs(t *testing.T) {
	stage := delivery.Stage{RefID: "1", StartTime: time.UnixMilli(1_700_000_000_000)}
	id := pipeline.ChildID(testExecution, stage)
	parsed, err := ulid.ParseStrict(string(id))
	if err != nil || parsed.Timestamp().UnixMilli() != stage.StartTime.UnixMilli() {
		t.Errorf("%s: %v, %s", id, err, parsed.Timestamp())
	}
	sum := sha256.Sum256([]byte(testExecution + "/1"))
	if !slices.Equal(parsed.Entropy(), sum[:10]) {
		t.Errorf("%s: %x, want %x", id, parsed.Entropy(), sum[:10])
	}
	later, again := stage, stage
	later.StartTime, again.Attempt = stage.StartTime.Add(time.Millisecond), 2
	if next := pipeline.ChildID(testExecution, later); next <= id {
		t.Errorf("%s is not after %s", next, id)
	}
	if second := pipeline.ChildID(testExecution, again); second == id || second[:10] != id[:10] {
		t.Errorf("the second attempt has %s, the first %s", second, id)
	}
	if _, err := ulid.ParseStrict(string(pipeline.ChildID(testExecution, delivery.Stage{RefID: "1"}))); err != nil {
		t.Errorf("before any time: %v", err)
	}
}

// TestChildIsRefused with the reason, and starts nothing.
func TestChildIsRefused(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(w *world)
		want   string
	}{
		{"no such pipeline", func(w *world) { delete(w.store.pipelines, "D") }, `no pipeline of application shop has the id or the name "deploy"`},
		{"disabled", func(w *world) { p := w.store.pipelines["D"]; p.Disabled = true; w.store.pipelines["D"] = p }, "is disabled"},
		{"a missing parameter", func(w *world) {
			w.save(t, "D", `{"name":"deploy","application":"shop","parameterConfig":[{"name":"region","required":true}],"stages":[]}`)
		}, "/pipelineParameters/region: Required parameter region is missing"},
		{"an artifact that is not there", func(w *world) {
			w.save(t, "D", `{"name":"deploy","application":"shop","expectedArtifacts":[{"id":"a","usePriorArtifact":true,"matchArtifact":{"type":"docker/image"}}],"stages":[]}`)
		}, "/pipeline: /expectedArtifacts/0 Unmatched"},
		{"the pipeline that waits for it", func(w *world) {
			w.save(t, "D", `{"name":"deploy","application":"shop","limitConcurrent":true,"stages":[]}`)
			e := w.store.executions[testExecution]
			e.PipelineConfigID = "D"
			w.store.executions[testExecution] = e
		}, "execution " + string(testExecution) + " of it waits for this one"},
		{"a pipeline that waits for it by way of this one", func(w *world) {
			w.save(t, "D", `{"name":"deploy","application":"shop","limitConcurrent":true,"stages":[]}`)
			w.store.executions["above"] = delivery.Execution{ID: "above", PipelineConfigID: "D", Status: delivery.StatusRunning,
				Stages: []delivery.Stage{{ID: "S", RefID: "1", Status: delivery.StatusRunning, Context: json.RawMessage(`{"pipeline":"p"}`)}}}
			e := w.store.executions[testExecution]
			e.Trigger.ParentExecution, e.Trigger.Depth, e.Trigger.Document = "above", 1, json.RawMessage(`{"parentPipelineStageId":"S"}`)
			w.store.executions[testExecution] = e
		}, "execution above of it waits for this one"},
		{"too deep", func(w *world) {
			e := w.store.executions[testExecution]
			e.Trigger.Depth = pipeline.MaxChain
			w.store.executions[testExecution] = e
		}, "have started one another in a row"},
	} {
		w := newParent(t, "", 0, nil)
		test.change(w)
		e := w.run(t)
		failure := e.Stage("1").Failure
		children := slices.DeleteFunc(w.children(), func(e delivery.Execution) bool { return e.ID == "above" })
		if e.Status != delivery.StatusTerminal || failure == nil || len(children) > 0 {
			t.Errorf("%s: execution %s, %d children", test.name, e.Status, len(w.children()))
			continue
		}
		if !strings.Contains(failure.Message, test.want) {
			t.Errorf("%s: %q", test.name, failure.Message)
		}
	}
}

// TestGateIsRefused where its pipeline would wait for the execution that waits for it.
func TestGateIsRefused(t *testing.T) {
	w := newParent(t, "", 0, nil)
	e := w.store.executions[testExecution]
	e.PipelineConfigID = "D"
	w.store.executions[testExecution] = e
	gate := GateRequest{Execution: testExecution, Deployment: "d", Gate: rollout.Gate{ID: "g", Pipeline: &rollout.PipelineRef{PipelineID: "D", Parameters: json.RawMessage(`{"version":"1"}`)}}}
	if _, err := w.activities.gateExecution(t.Context(), gate); err != nil {
		t.Errorf("without a limit: %v", err)
	}
	w.save(t, "D", `{"name":"deploy","application":"shop","limitConcurrent":true,"stages":[]}`)
	if _, err := w.activities.gateExecution(t.Context(), gate); delivery.KindOf(err) != delivery.Invalid {
		t.Errorf("one at a time: %v", err)
	}
}

// TestMonitorPipeline waits for executions that others started, and leaves them alone.
func TestMonitorPipeline(t *testing.T) {
	document := func(fields string) string {
		return `{"name":"p","application":"shop","stages":[{"refId":"1","type":"monitorPipeline",` + fields + `}]}`
	}
	for _, test := range []struct {
		name, fields string
		status       delivery.Status
		message      string
		at           time.Duration
	}{
		{"one", `"executionId":"A"`, delivery.StatusSucceeded, "", time.Minute},
		{"a failure at once", `"executionIds":["A","B","C"]`, delivery.StatusTerminal, "no disk", 2 * time.Minute},
		{"a failure after all", `"executionIds":["A","B","C"],"monitorBehavior":"WaitForAllToComplete"`, delivery.StatusTerminal, "no disk", time.Hour},
		{"both good", `"executionIds":["A","C"]`, delivery.StatusSucceeded, "", time.Hour},
		{"an unknown one", `"executionId":"X"`, delivery.StatusTerminal, `no execution has the id "X"`, 0},
	} {
		w := newWorld(t, document(test.fields), calm())
		for id, end := range map[delivery.ExecutionID]struct {
			after time.Duration
			how   func(*delivery.Execution)
		}{"A": {time.Minute, succeed}, "B": {2 * time.Minute, breakDown}, "C": {time.Hour, succeed}} {
			w.add(t, id, `{"stages":[{"refId":"a","type":"noop","name":"Bake"}]}`)
			w.env.RegisterDelayedCallback(func() {
				w.store.mu.Lock()
				defer w.store.mu.Unlock()
				e := w.store.executions[id]
				end.how(&e)
				w.store.executions[id] = e
			}, end.after)
		}
		e := w.run(t)
		stage := e.Stage("1")
		if e.Status != test.status || (stage.Failure == nil) != (test.message == "") || stage.Failure != nil && !strings.Contains(stage.Failure.Message, test.message) {
			t.Errorf("%s: execution %s: %+v", test.name, e.Status, stage.Failure)
		}
		if took := stage.EndTime.Sub(stage.StartTime); took < test.at || took > test.at+30*time.Second {
			t.Errorf("%s: it took %s", test.name, took)
		}
		if len(w.locks.cancel) > 0 {
			t.Errorf("%s: canceled %s", test.name, w.locks.cancel)
		}
	}
}
