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

// TestVariablesWithoutValue: what has no value stays in its text, around which the rest is
// evaluated; what fails leaves its whole text, and no variable. A variable that is null has
// no value either.
func TestVariablesWithoutValue(t *testing.T) {
	w := newWorld(t, `{"name":"p","application":"shop","stages":[{"refId":"1","requisiteStageRefIds":[],"type":"evaluateVariables","variables":[
		{"key":"x","value":"v:${trigger.tag}-${1+1}"},{"key":"nul","value":null},{"key":"y","value":"v:${nul}"},{"key":"z","value":{"of":"${x}","more":"${trigger.tag} and ${1+1}"}},{"key":"part","value":["${1+1}","${trigger.tag}"]},
		{"key":"whole","value":"${trigger.tag}"},{"key":"late","value":"${whole}!"},{"key":"bad","value":"v:${1+1}${trigger.tag.name}"}]}]}`, calm())
	e := w.run(t)
	var got map[string]any
	if err := json.Unmarshal(e.Stage("1").Outputs, &got); err != nil || e.Status != delivery.StatusSucceeded {
		t.Fatalf("execution %s, %v: %+v", e.Status, err, e.Stages)
	}
	want := map[string]any{"x": "v:${trigger.tag}-2", "nul": nil, "y": "v:${nul}", "z": map[string]any{"of": "v:${trigger.tag}-2", "more": "${trigger.tag} and 2"}, "late": "${whole}!"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var context struct {
		Variables []struct{ Key, Value any }
		Summary   map[string][]struct{ Level string } `json:"expressionEvaluationSummary"`
	}
	if err := json.Unmarshal(e.Stage("1").Context, &context); err != nil {
		t.Fatal(err)
	}
	levels := map[string]string{}
	for text, problems := range context.Summary {
		levels[text] = problems[0].Level
	}
	if diff := cmp.Diff(map[string]string{"trigger.tag": "INFO", "nul": "INFO", "whole": "INFO", "trigger.tag.name": "ERROR"}, levels); diff != "" {
		t.Error(diff)
	}
	if bad := context.Variables[7].Value; bad != "v:${1+1}${trigger.tag.name}" {
		t.Errorf("what failed is %v", bad)
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
