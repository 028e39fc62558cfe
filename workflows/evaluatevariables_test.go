package workflows

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
)

const variablesDocument = `{"name":"p","application":"shop","stages":[
	{"refId":"1","requisiteStageRefIds":[],"type":"evaluateVariables"FLAG,"variables":[
		{"key":"version","value":"${parameters.image}-1"},{"key":"versions","value":["${version}","${version}-b"]},
		{"key":"lost","value":"${nowhere.at}"},{"key":"count","value":"${versions.size() + 1}"}]},
	{"refId":"2","requisiteStageRefIds":["1"],"type":"evaluateVariables","variables":[{"key":"seen","value":"${versions[1]}/${count}"},{"key":"unseen","value":"${lost}"}]}]}`

// TestVariables are there for the stages after them, in their order.
func TestVariables(t *testing.T) {
	w := newWorld(t, strings.Replace(variablesDocument, "FLAG", "", 1), calm())
	e := w.run(t)
	if e.Status != delivery.StatusSucceeded {
		t.Fatalf("execution %s: %+v", e.Status, e.Stages)
	}
	for refID, want := range map[string]map[string]any{
		"1": {"version": "good-1", "versions": []any{"good-1", "good-1-b"}, "count": 3.0},
		"2": {"seen": "good-1-b/3"},
	} {
		var got map[string]any
		if err := json.Unmarshal(e.Stage(refID).Outputs, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("stage %s: %s", refID, diff)
		}
	}
	if context := string(e.Stage("1").Context); !strings.Contains(context, `"expressionEvaluationSummary":{"nowhere.at":[{"level":"ERROR"`) {
		t.Errorf("context %s", context)
	}
}

// TestStrictVariables fail the stage with the places of all that failed.
func TestStrictVariables(t *testing.T) {
	w := newWorld(t, strings.Replace(variablesDocument, "FLAG", `,"failOnFailedExpressions":true`, 1), calm())
	e := w.run(t)
	stage := e.Stage("1")
	if e.Status != delivery.StatusTerminal || stage.Failure == nil || len(stage.Failure.Findings) != 1 || stage.Failure.Findings[0].Pointer != "/variables/2/value" || len(stage.Outputs) > 0 {
		t.Errorf("execution %s: %+v", e.Status, stage)
	}
}
