package workflows

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

const nightly = `{"application":"shop","name":"nightly","stages":[{"refId":"1","type":"wait","waitTime":"${parameters.seconds}"}]}`

// TestSavePipelines: a stage saves, updates and deletes pipelines as a job does, and
// what it saves keeps its own expressions.
func TestSavePipelines(t *testing.T) {
	encoded := func(document string) string {
		return `"` + base64.StdEncoding.EncodeToString([]byte(document)) + `"`
	}
	known := func(more string) string { return strings.Replace(nightly, "{", `{"id":"N",`+more, 1) }
	for _, test := range []struct {
		name, kind, fields string
		status             delivery.Status
		message            string
		// stored are the documents by id afterwards, and outputs those of the stage.
		stored  map[string]string
		outputs pipeline.PipelineOutputs
	}{
		{"a new one", "savePipeline", `"pipeline":` + encoded(nightly), delivery.StatusSucceeded, "",
			map[string]string{"D": "{}", "P1": nightly}, pipeline.PipelineOutputs{Notification: "savepipeline", Application: "shop", Name: "nightly", ID: "P1"}},
		{"an object", "savePipeline", `"pipeline":` + nightly, delivery.StatusSucceeded, "",
			map[string]string{"D": "{}", "P1": nightly}, pipeline.PipelineOutputs{Notification: "savepipeline", Application: "shop", Name: "nightly", ID: "P1"}},
		{"an expression", "savePipeline", `"pipeline":"${parameters.document}"`, delivery.StatusSucceeded, "",
			map[string]string{"D": "{}", "P1": nightly}, pipeline.PipelineOutputs{Notification: "savepipeline", Application: "shop", Name: "nightly", ID: "P1"}},
		{"in place of another", "updatePipeline", `"pipeline":{"id":"D","application":"shop","name":"deploy","stages":[]}`, delivery.StatusSucceeded, "",
			map[string]string{"D": `{"application":"shop","id":"D","name":"deploy","stages":[]}`}, pipeline.PipelineOutputs{Notification: "updatepipeline", Application: "shop", Name: "deploy", ID: "D"}},
		{"nothing to update", "updatePipeline", `"pipeline":` + known(""), delivery.StatusTerminal, `no pipeline has the id "N"`, map[string]string{"D": "{}"}, pipeline.PipelineOutputs{}},
		{"a stale one", "savePipeline", `"staleCheck":true,"pipeline":{"id":"D","application":"shop","name":"deploy","updateTs":"5"}`, delivery.StatusTerminal, "The submitted pipeline is stale", map[string]string{"D": "{}"}, pipeline.PipelineOutputs{}},
		{"a taken name", "savePipeline", `"pipeline":{"application":"shop","name":"Deploy","stages":[]}`, delivery.StatusTerminal, "already exists", map[string]string{"D": "{}"}, pipeline.PipelineOutputs{}},
		{"no template", "savePipeline", `"pipeline":{"application":"shop","name":"x","schema":"v2","type":"templatedPipeline","template":{"reference":"spinnaker://gone:stable"}}`, delivery.StatusTerminal,
			"/pipeline/template/reference: there is no template gone:stable", map[string]string{"D": "{}"}, pipeline.PipelineOutputs{}},
		{"no document", "savePipeline", `"pipeline":"${parameters.image}"`, delivery.StatusTerminal, "/pipeline: must be the JSON of a pipeline in base64, or an object", map[string]string{"D": "{}"}, pipeline.PipelineOutputs{}},
		{"a deletion", "deletePipeline", `"pipeline":{"name":"${'dep' + 'loy'}"}`, delivery.StatusSucceeded, "",
			map[string]string{}, pipeline.PipelineOutputs{Notification: "deletepipeline", Application: "shop", Name: "Deploy", ID: "D"}},
		{"a deletion by id", "deletePipeline", `"pipeline":` + encoded(`{"application":"Shop","name":"deploy","id":"D"}`), delivery.StatusSucceeded, "",
			map[string]string{}, pipeline.PipelineOutputs{Notification: "deletepipeline", Application: "shop", Name: "Deploy", ID: "D"}},
		{"what is gone already", "deletePipeline", `"pipeline":{"name":"deploy","id":"C"}`, delivery.StatusSucceeded, "",
			map[string]string{"D": "{}"}, pipeline.PipelineOutputs{Notification: "deletepipeline", Application: "shop", Name: "deploy"}},
		{"another one by now", "deletePipeline", `"pipeline":{"name":"other","id":"D"}`, delivery.StatusTerminal, "pipeline D is Deploy of application shop, not other of shop", map[string]string{"D": "{}"}, pipeline.PipelineOutputs{}},
	} {
		w := newWorld(t, fmt.Sprintf(`{"name":"p","application":"shop","stages":[{"refId":"1","type":%q,%s}]}`, test.kind, test.fields), calm())
		w.store.pipelines["D"] = delivery.Pipeline{ID: "D", Application: "shop", Name: "Deploy", Document: json.RawMessage(`{}`), UpdatedAt: time.UnixMilli(7)}
		e := w.store.executions[testExecution]
		parameters, err := json.Marshal(map[string]string{"document": base64.StdEncoding.EncodeToString([]byte(nightly)), "image": "good"})
		if err != nil {
			t.Fatal(err)
		}
		e.Trigger.Parameters = parameters
		w.store.executions[testExecution] = e
		e = w.run(t)
		stage := e.Stage("1")
		if stage.Status != test.status || test.message != "" && !strings.Contains(stage.Failure.Error(), test.message) {
			t.Errorf("%s: %s, %v", test.name, stage.Status, stage.Failure)
		}
		stored := map[string]string{}
		for id, p := range w.store.pipelines {
			stored[id] = string(p.Document)
			if p.Document[1] != '}' && (p.LastModifiedBy != "joe" || p.UpdatedAt.Before(e.BuildTime)) {
				t.Errorf("%s: saved by %q at %s", test.name, p.LastModifiedBy, p.UpdatedAt)
			}
		}
		if diff := cmp.Diff(test.stored, stored); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
		var outputs pipeline.PipelineOutputs
		if len(stage.Outputs) > 0 {
			if err := json.Unmarshal(stage.Outputs, &outputs); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(test.outputs, outputs); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

// TestPipelineIsSavedOnce however often the activity is repeated, by a store that fails
// after it has saved; and a repeat leaves alone what others did since.
func TestPipelineIsSavedOnce(t *testing.T) {
	const document = `{"name":"p","application":"shop","stages":[{"refId":"1","type":"savePipeline","staleCheck":true,
		"pipeline":{"id":"D","application":"shop","name":"deploy","updateTs":"7","stages":[]}}]}`
	before := delivery.Pipeline{ID: "D", Application: "shop", Name: "Deploy", Document: json.RawMessage(`{}`), UpdatedAt: time.UnixMilli(7), Revision: 1}
	for seed := range 10 {
		w := newWorld(t, document, calm())
		w.store.pipelines["D"] = before
		w.store.rng.Seed(int64(seed))
		w.store.failing = 0.5
		if e := w.run(t); e.Status != delivery.StatusSucceeded || w.store.pipelines["D"].Revision != 2 {
			t.Errorf("seed %d: execution %s, revision %d: %v", seed, e.Status, w.store.pipelines["D"].Revision, e.Stages[0].Failure)
		}
	}
	w := newWorld(t, document, calm())
	w.store.pipelines["D"] = before
	e := w.run(t)
	todo := StageToDo{Execution: e, Stage: e.Stages[0]}
	for name, change := range map[string]func(){
		"as it was": func() {},
		"changed":   func() { w.store.pipelines["D"] = delivery.Pipeline{ID: "D", Name: "mine", Revision: 3} },
		"deleted":   func() { delete(w.store.pipelines, "D") },
	} {
		change()
		was := w.store.pipelines["D"]
		outputs, err := w.activities.savePipeline(t.Context(), todo)
		want := pipeline.PipelineOutputs{Notification: "savepipeline", Application: "shop", Name: "deploy", ID: "D"}
		if err != nil || outputs != want {
			t.Errorf("%s: %+v, %v", name, outputs, err)
		}
		if diff := cmp.Diff(was, w.store.pipelines["D"]); diff != "" {
			t.Errorf("%s: the repeat changed it: %s", name, diff)
		}
	}
	todo.Stage.Attempt = 2 // a restart saves again, and finds what is stale
	w.store.pipelines["D"] = before
	if _, err := w.activities.savePipeline(t.Context(), todo); err != nil || w.store.pipelines["D"].Revision != 2 {
		t.Errorf("the second attempt: %v, revision %d", err, w.store.pipelines["D"].Revision)
	}
}
