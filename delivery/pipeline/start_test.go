package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

var startTime = time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)

// counter makes ids.
func counter() func() string {
	n := 0
	return func() string { n++; return fmt.Sprint(n) }
}

// startOf starts a pipeline with more fields by a trigger document.
func startOf(t *testing.T, more, trigger string, earlier ...delivery.Execution) (delivery.NewExecution, error) {
	t.Helper()
	p := delivery.Pipeline{ID: "p", Application: "shop", Name: "n", Document: withTrigger(`{"type":"webhook","source":"ci"}`, more)}
	d, err := Parse(p.Document)
	if err != nil {
		t.Fatal(err, delivery.FindingsOf(err))
	}
	return Start(p, d.WithPrior(earlier), delivery.Trigger{Type: "manual", CorrelationID: "c", Document: json.RawMessage(trigger)}, counter(), startTime, nil)
}

func TestStartBindsArtifacts(t *testing.T) {
	const given = `{"type":"manual","artifacts":[{"type":"docker/image","name":"shop","reference":"r1"}]}`
	first, err := startOf(t, expecting(`,"usePriorArtifact":true`), given)
	if err != nil {
		t.Fatal(err)
	}
	second, err := startOf(t, expecting(`,"usePriorArtifact":true`), `{}`, delivery.Execution{}, first.Execution)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []delivery.Execution{first.Execution, second.Execution} {
		var trigger struct {
			Artifacts []Artifact
			Resolved  []struct {
				ID            string
				DisplayName   string
				BoundArtifact struct{ Reference string }
			} `json:"resolvedExpectedArtifacts"`
		}
		if err := json.Unmarshal(e.Trigger.Document, &trigger); err != nil {
			t.Fatal(err)
		}
		if r := trigger.Resolved; len(r) != 1 || r[0].ID != "x" || r[0].DisplayName != "image" || r[0].BoundArtifact.Reference != "r1" {
			t.Errorf("trigger %s", e.Trigger.Document)
		}
		if a := trigger.Artifacts; len(a) != 1 || a[0].Reference != "r1" { // as Spinnaker's has what was bound, too
			t.Errorf("artifacts of the trigger %s", e.Trigger.Document)
		}
	}
	for trigger, pointer := range map[string]string{`{"artifacts":{}}`: "/artifacts", `{"artifacts":[{"name":1}]}`: "/artifacts/0/name", `{"expectedArtifactIds":[1]}`: "/expectedArtifactIds",
		`{"expectedArtifactIds":["x"]}`: "/expectedArtifacts/0"} {
		_, err := startOf(t, expecting(""), trigger)
		if f := delivery.FindingsOf(err); delivery.KindOf(err) != delivery.Invalid || len(f) != 1 || f[0].Pointer != pointer {
			t.Errorf("%s: %v %v, want a finding at %s", trigger, err, f, pointer)
		}
	}
}

// TestStartEvaluatesDefaults: in their order, with what is known before each. What
// somebody gives is data.
func TestStartEvaluatesDefaults(t *testing.T) {
	const config = `"parameterConfig":[{"name":"a","default":"1"},{"name":"b","default":"${parameters}"},{"name":"c","default":"${parameters}"},
		{"name":"d","default":"${any}","hasOptions":true,"options":[{"value":"x"}]}]`
	p := delivery.Pipeline{ID: "p", Application: "shop", Name: "n", Document: withTrigger(`{"type":"webhook","source":"ci"}`, ","+config)}
	d, err := Parse(p.Document)
	if err != nil {
		t.Fatal(err, delivery.FindingsOf(err))
	}
	failing := errors.New("the store does not answer")
	for _, tt := range []struct {
		given, value string
		err          error
		want         string
		findings     []delivery.Finding
	}{
		{`{"b":"${x}","c":"2","d":"${y}"}`, "", nil, "", []delivery.Finding{{Pointer: "/parameters/d", Message: `is "${y}"; must be one of x`}}},
		{`{"b":"${x}","c":"2","d":"x"}`, "", nil, `{"a":"1","b":"${x}","c":"2","d":"x"}`, nil},
		{`{"b":"${x}","d":"x"}`, `"%d known"`, nil, `{"a":"1","b":"${x}","c":"3 known","d":"x"}`, nil},
		{`{"e":0,"d":"x"}`, `"%d known"`, nil, `{"a":"1","b":"3 known","c":"4 known","d":"x","e":0}`, nil},
		{`{"b":"","c":""}`, `"x"`, nil, `{"a":"1","b":"","c":"","d":"x"}`, nil},
		{`{"b":"","c":""}`, `"z"`, nil, "", []delivery.Finding{{Pointer: "/parameters/d", Message: `is "z"; must be one of x`}}},
		{`{"b":"","d":"x"}`, "", delivery.InvalidError("", []delivery.Finding{{Message: "no"}}), "", []delivery.Finding{{Pointer: "/parameters/c", Message: "Parameter c has no value, and its default cannot be evaluated: no"}}},
		{`{"b":"","d":"x"}`, "", failing, "", nil},
	} {
		n, err := Start(p, d, delivery.Trigger{Parameters: json.RawMessage(tt.given)}, counter(), startTime, func(document json.RawMessage, e delivery.Execution) (json.RawMessage, error) {
			var known map[string]json.RawMessage
			if err := json.Unmarshal(e.Trigger.Parameters, &known); err != nil || e.ID != "1" || e.BuildTime != startTime || len(e.Stages) == 0 {
				t.Errorf("evaluated in %+v, %v", e, err)
			}
			if tt.err == nil && strings.Contains(tt.value, "%d") {
				return json.RawMessage(fmt.Sprintf(tt.value, len(known))), nil
			}
			return json.RawMessage(tt.value), tt.err
		})
		switch {
		case tt.err == failing:
			if !errors.Is(err, failing) {
				t.Errorf("%s: %v, want that the store does not answer", tt.given, err)
			}
		case !slices.Equal(delivery.FindingsOf(err), tt.findings):
			t.Errorf("%s: %v %v, want %v", tt.given, err, delivery.FindingsOf(err), tt.findings)
		case err == nil && string(n.Execution.Trigger.Parameters) != tt.want:
			t.Errorf("%s: parameters %s, want %s", tt.given, n.Execution.Trigger.Parameters, tt.want)
		}
	}
}

// TestChainsEnd: a pipeline that starts itself over others stops, and says why.
func TestChainsEnd(t *testing.T) {
	p := delivery.Pipeline{ID: "b", Application: "shop", Name: "n", Document: json.RawMessage(`{"stages":[{"type":"wait","waitTime":1}],"triggers":[{"type":"pipeline","pipeline":"a","status":["successful"]}]}`)}
	d, err := Parse(p.Document)
	if err != nil {
		t.Fatal(err)
	}
	e := delivery.Execution{ID: "0", PipelineConfigID: "a", Name: "first", Application: "shop", Status: delivery.StatusSucceeded}
	for depth := 1; ; depth++ {
		trigger, ok := d.Fire(EndEvent(e), "id")
		if !ok || trigger.ParentExecution != e.ID || trigger.Depth != depth || trigger.Type != PipelineType || strings.Contains(string(trigger.Document), `"payload"`) {
			t.Fatalf("trigger %+v, fires %v", trigger, ok)
		}
		n, err := Start(p, d, trigger, counter(), startTime, nil)
		if err != nil {
			failed := FailedStart(p, d, trigger, counter(), startTime, err).Execution
			if depth != MaxChain+1 || failed.Status != delivery.StatusTerminal || failed.CanceledBy != "system" || failed.EndTime != startTime ||
				failed.CancellationReason != "Failed on startup: 21 pipelines have started one another in a row; no more than 20 may" {
				t.Fatalf("depth %d: %v, %+v", depth, err, failed)
			}
			return
		}
		e = n.Execution
		e.PipelineConfigID, e.Status = "a", delivery.StatusSucceeded
	}
}

func TestEndsFireTheirOutcomes(t *testing.T) {
	for status, want := range map[delivery.Status]string{delivery.StatusSucceeded: "successful", delivery.StatusCanceled: "canceled", delivery.StatusTerminal: "failed", delivery.StatusStopped: "failed"} {
		for _, word := range outcomes {
			d, err := Parse(withTrigger(fmt.Sprintf(`{"type":"pipeline","pipeline":"a","status":[%q],"expectedArtifactIds":["x"]}`, word), expecting("")))
			if err != nil {
				t.Fatal(err)
			}
			ended := delivery.Execution{PipelineConfigID: "a", Status: status, Stages: []delivery.Stage{{}, {Outputs: json.RawMessage(`{"artifacts":[{"type":"docker/image","name":"shop"}]}`)}}}
			if _, fires := d.Fire(EndEvent(ended), ""); fires != (word == want) {
				t.Errorf("%s fires %s: %v", status, word, fires)
			}
			ended.Stages = nil
			if _, fires := d.Fire(EndEvent(ended), ""); fires {
				t.Errorf("%s fires without the artifact", status)
			}
		}
	}
}
