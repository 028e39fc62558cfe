package workflows

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

// TestLoadedExecutionIsSmall: what a workflow loads stands in its history, where 2 MB are
// too much. Outputs stay in the store, and go with the attempt that put them out.
func TestLoadedExecutionIsSmall(t *testing.T) {
	const stages, size = 500, 60 << 10
	var document []string
	for i := range stages {
		document = append(document, fmt.Sprintf(`{"refId":"%d","type":"noop"}`, i))
	}
	w := newWorld(t, `{"stages":[`+strings.Join(document, ",")+`]}`, calm())
	e := w.store.executions[testExecution]
	for i := range e.Stages {
		e.Stages[i].Status, e.Stages[i].Outputs = delivery.StatusSucceeded, json.RawMessage(`{"v":"`+strings.Repeat("x", size)+`"}`)
	}
	loaded, err := w.activities.LoadExecution(t.Context(), testExecution)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(loaded)
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) > stages<<10 {
		t.Errorf("%d bytes for %d stages", len(raw), stages)
	}
	p := loaded.Progress
	p.Version++
	p.Stages[1].Attempt = 2
	if err := w.activities.ProjectExecution(t.Context(), p, w.env.Now(), nil); err != nil {
		t.Fatal(err)
	}
	e = w.store.executions[testExecution]
	if e.Version != p.Version || len(e.Stages[0].Outputs) < size || len(e.Stages[1].Outputs) > 0 {
		t.Errorf("version %d, %d and %d bytes of outputs", e.Version, len(e.Stages[0].Outputs), len(e.Stages[1].Outputs))
	}
}

// TestOutputsAreBounded: a stage may put out what fits beside what the others did.
func TestOutputsAreBounded(t *testing.T) {
	for _, test := range []struct {
		beside int
		want   delivery.Status
	}{{maxAllOutputs - maxOutputs, delivery.StatusSucceeded}, {maxAllOutputs - 10<<10, delivery.StatusTerminal}} {
		w := newWorld(t, fmt.Sprintf(`{"stages":[{"refId":"1","type":"noop"},{"refId":"2","requisiteStageRefIds":[],"type":"evaluateVariables","variables":[{"key":"v","value":"%s"}]}]}`,
			strings.Repeat("x", 20<<10)), calm())
		e := w.store.executions[testExecution]
		e.Stages[0].Status, e.Stages[0].Outputs = delivery.StatusSucceeded, json.RawMessage(`{"v":"`+strings.Repeat("x", test.beside)+`"}`)
		e = w.run(t)
		stage := e.Stage("2")
		if e.Status != test.want || (stage.Failure != nil) != (test.want == delivery.StatusTerminal) {
			t.Errorf("%d bytes beside it: execution %s: %v", test.beside, e.Status, stage.Failure)
		}
		if stage.Failure != nil && !strings.HasSuffix(stage.Failure.Message, "at most 4194304 are kept together") {
			t.Errorf("failure %q", stage.Failure.Message)
		}
	}
}
