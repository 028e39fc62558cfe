package api_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// TestChildPipelineIsChecked before the parent starts: a child that is not there, is
// disabled or misses a parameter is named with its place.
func TestChildPipelineIsChecked(t *testing.T) {
	h := newHarness(t)
	const wait = `"stages":[{"refId":"1","type":"wait","waitTime":1}]`
	h.do("POST", "/pipelines", `{"name":"open","application":"other","parameterConfig":[{"name":"version","required":true}],`+wait+`}`).want(200)
	h.do("POST", "/pipelines", `{"name":"closed","application":"other","disabled":true,`+wait+`}`).want(200)
	child := func(fields string) string {
		return `[{"refId":"1","type":"wait","waitTime":1},{"refId":"2","requisiteStageRefIds":["1"],"type":"pipeline",` + fields + `}]`
	}
	for i, test := range []struct {
		fields, pointer, message string
	}{
		{`"application":"other","pipeline":"open","pipelineParameters":{"version":"${parameters.version}"}`, "", ""},
		{`"application":"other","pipeline":"${#stage('1')['outputs']['x']}"`, "", ""},
		{`"application":"other","pipeline":"lost"`, "/stages/1/pipeline", `no pipeline of application other has the id or the name "lost"`},
		{`"pipeline":"open"`, "/stages/1/pipeline", "of application storefront"},
		{`"application":"other","pipeline":"closed"`, "/stages/1/pipeline", "is disabled"},
		{`"application":"other","pipeline":"open"`, "/stages/1/pipelineParameters/version", "is missing"},
		{`"application":"other","pipeline":"open","stageEnabled":{"type":"expression","expression":"parameters.version == '2'"}`, "", ""},
	} {
		name := fmt.Sprintf("parent-%d", i)
		h.save(name, child(test.fields))
		answer := h.do("POST", "/pipelines/storefront/"+name, `{"parameters":{"version":"1"}}`)
		if test.pointer == "" {
			answer.want(202)
			plan := h.do("POST", "/pipelines/storefront/"+name+"/plan", `{"parameters":{"version":"1"}}`).want(200)
			if body := string(plan.body); !strings.Contains(body, "plan of its own") && !strings.Contains(body, "earlier stage puts out") && !strings.Contains(body, "stageEnabled is false") {
				t.Errorf("%s: plan %s", test.fields, body)
			}
			continue
		}
		if body := string(answer.want(400).body); !strings.Contains(body, `"`+test.pointer+`"`) || !strings.Contains(body, strings.ReplaceAll(test.message, `"`, `\"`)) {
			t.Errorf("%s: %s", test.fields, body)
		}
	}
}

// TestStrictVariablesCanBeStarted: a variable that reads the one before it is not
// hopeless before the stage begins.
func TestStrictVariablesCanBeStarted(t *testing.T) {
	h := newHarness(t)
	h.save("names", `[{"refId":"1","type":"evaluateVariables","failOnFailedExpressions":true,"variables":[{"key":"a","value":"${1 + 1}"},{"key":"b","value":"${a * 2}"}]},
		{"refId":"2","requisiteStageRefIds":["1"],"type":"checkPreconditions","preconditions":[{"type":"expression","context":{"expression":"b == 4"}}]}]`)
	h.do("POST", "/pipelines/storefront/names", `{}`).want(202)
}

// TestChildOfARunningStage: the execution that a stage has started stands in the
// stage's context once it is there, not before.
func TestChildOfARunningStage(t *testing.T) {
	h := newHarness(t)
	h.save("deploy", `[{"refId":"1","type":"wait","waitTime":1}]`)
	h.save("release", `[{"refId":"1","type":"pipeline","pipeline":"deploy"},{"refId":"2","requisiteStageRefIds":["1"],"type":"pipeline","pipeline":"deploy"}]`)
	id := delivery.ExecutionID(strings.TrimPrefix(h.do("POST", "/pipelines/storefront/release", `{}`).want(202).get("ref").(string), "/pipelines/"))
	var stage delivery.Stage
	h.store.change(id, func(e *delivery.Execution) {
		e.Status = delivery.StatusRunning
		e.Stages[0].Status, e.Stages[0].StartTime, e.Stages[0].Context = delivery.StatusRunning, start, json.RawMessage(`{"pipeline":"deploy"}`)
		stage = e.Stages[0]
	})
	seen := func() []string {
		t.Helper()
		var out []string
		for _, path := range []string{"/pipelines/" + string(id), "/applications/storefront/pipelines?expand=true", "/applications/storefront/pipelines?expand=false"} {
			var found []struct {
				ID     string
				Stages []struct {
					Context struct{ ExecutionID, ExecutionName string }
				}
			}
			body := h.do("GET", path, "").want(200).body
			if body[0] == '{' {
				body = []byte("[" + string(body) + "]")
			}
			if err := json.Unmarshal(body, &found); err != nil {
				t.Fatal(err)
			}
			for _, e := range found {
				if e.ID == string(id) {
					out = append(out, fmt.Sprint(e.Stages[0].Context, e.Stages[1].Context))
				}
			}
		}
		return out
	}
	if got := seen(); !slices.Equal(got, []string{"{ } { }", "{ } { }", "{ } { }"}) {
		t.Errorf("before it is there: %q", got)
	}
	child := pipeline.ChildID(id, stage)
	if _, _, err := h.store.CreateExecution(t.Context(), delivery.NewExecution{Execution: delivery.Execution{ID: child, Type: delivery.PipelineExecution, Application: "storefront", Name: "deploy",
		Status: delivery.StatusNotStarted, BuildTime: start}}); err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprintf("{%s deploy} { }", child)
	if got := seen(); !slices.Equal(got, []string{shown, shown, "{ } { }"}) {
		t.Errorf("while it runs: %q, want %q", got, shown)
	}
	h.store.change(id, func(e *delivery.Execution) { // canceled: it has put out nothing
		e.Status, e.Stages[0].Status = delivery.StatusCanceled, delivery.StatusCanceled
	})
	if got := seen(); got[0] != shown {
		t.Errorf("after a cancel: %q", got)
	}
}
