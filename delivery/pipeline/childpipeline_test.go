package pipeline

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
)

func TestParseChild(t *testing.T) {
	for _, test := range []struct {
		stage string
		want  ChildPipeline
	}{
		{`{"pipeline":"id"}`, ChildPipeline{Pipeline: "id", Wait: true}},
		{`{"application":"shop","pipeline":"deploy","pipelineParameters":{"a":1},"waitForCompletion":"false","skipDownstreamOutput":true}`,
			ChildPipeline{Application: "shop", Pipeline: "deploy", Parameters: json.RawMessage(`{"a":1}`), SkipOutputs: true}},
		{`{"pipelineApplication":"shop","pipelineId":"id","pipelineParameters":{},"expectedArtifacts":[],"waitForCompletion":null}`, ChildPipeline{Application: "shop", Pipeline: "id", Wait: true}},
	} {
		got, err := ParseChild(json.RawMessage(test.stage))
		if err != nil {
			t.Errorf("%s: %v", test.stage, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.stage, diff)
		}
	}
}

// TestWrongChildren are refused when the pipeline is saved.
func TestWrongChildren(t *testing.T) {
	for _, test := range []struct{ name, stage, pointer, message string }{
		{"no pipeline", `{"type":"pipeline","application":"a"}`, "/pipeline", "is required"},
		{"a number", `{"type":"pipeline","pipeline":3}`, "/pipeline", "must be a string"},
		{"two pipelines", `{"type":"pipeline","pipeline":"a","pipelineId":"b"}`, "/pipelineId", `is "b", but pipeline is "a"`},
		{"parameters in a list", `{"type":"pipeline","pipeline":"a","pipelineParameters":["b"]}`, "/pipelineParameters", "must be an object"},
		{"a flag in words", `{"type":"pipeline","pipeline":"a","waitForCompletion":"maybe"}`, "/waitForCompletion", "boolean"},
		{"a strategy", `{"type":"pipeline","pipeline":"a","isStrategy":true}`, "/isStrategy", "is not supported"},
		{"an artifact without an id", `{"type":"pipeline","pipeline":"a","expectedArtifacts":[{}]}`, "/expectedArtifacts/0/id", "is required"},
		{"a wrong pattern", `{"type":"pipeline","pipeline":"a","expectedArtifacts":[{"id":"i","matchArtifact":{"name":"("}}]}`, "/expectedArtifacts/0/matchArtifact/name", "("},
		{"artifacts of what nobody waits for", `{"type":"pipeline","pipeline":"a","expectedArtifacts":[{"id":"i"}],"waitForCompletion":false}`, "/expectedArtifacts", "waitForCompletion"},
		{"nothing to monitor", `{"type":"monitorPipeline"}`, "/executionIds", "is required"},
		{"an empty list", `{"type":"monitorPipeline","executionIds":[]}`, "/executionIds", "is required"},
		{"an empty id", `{"type":"monitorPipeline","executionIds":[""]}`, "/executionIds/0", "must not be empty"},
		{"two ways to say it", `{"type":"monitorPipeline","executionIds":["a"],"executionId":"b"}`, "/executionId", "only one"},
		{"another behavior", `{"type":"monitorPipeline","executionId":"b","monitorBehavior":"Sleep"}`, "/monitorBehavior", "must be FailFast"},
	} {
		wantFinding(t, test.name, test.stage, test.pointer, test.message)
	}
	for _, right := range []string{`{"type":"pipeline","pipeline":"${p}","pipelineParameters":"${q}","waitForCompletion":"${w}"}`,
		`{"type":"pipeline","pipeline":"a","expectedArtifacts":[{"id":"${i}"}]}`, `{"type":"pipeline","pipeline":"a","expectedArtifacts":[]}`, `{"type":"monitorPipeline","executionIds":["${p}"]}`, `{"type":"monitorPipeline","executionIds":"${p}"}`} {
		if _, err := Parse(json.RawMessage(`{"stages":[` + right + `]}`)); err != nil {
			t.Errorf("%s: %v", right, err)
		}
	}
}

// TestChildTriggerTellsOfTheParent names the stage, and hands artifacts on.
func TestChildTriggerTellsOfTheParent(t *testing.T) {
	parent := delivery.Execution{ID: "E", Application: "shop", Name: "release", PipelineConfigID: "P", Status: delivery.StatusRunning,
		Trigger: delivery.Trigger{User: "joe", Depth: 3, Document: json.RawMessage(`{"artifacts":[{"type":"docker/image","name":"a"}]}`)},
		Stages:  []delivery.Stage{{RefID: "1", Outputs: json.RawMessage(`{"artifacts":[{"type":"docker/image","name":"b","other":1}]}`)}}}
	began := time.UnixMilli(1_700_000_000_123)
	got, err := ChildPipeline{Pipeline: "x", Parameters: json.RawMessage(`{"v":1}`)}.Trigger(parent, delivery.Stage{ID: "S", RefID: "2", StartTime: began})
	if err != nil {
		t.Fatal(err)
	}
	document := got.Document
	got.Document = nil
	want := delivery.Trigger{Type: "pipeline", User: "joe", Parameters: json.RawMessage(`{"v":1}`), CorrelationID: "E/2/1700000000123", ParentExecution: "E", Depth: 4}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	const wantDocument = `{"artifacts":[{"name":"a","type":"docker/image"},{"name":"b","other":1,"type":"docker/image"}],"isPipeline":true,` +
		`"parentPipelineApplication":"shop","parentPipelineId":"P","parentPipelineName":"release","parentPipelineStageId":"S","parentStatus":"RUNNING"}`
	if diff := cmp.Diff(wantDocument, string(document)); diff != "" {
		t.Error(diff)
	}
}

func ended(id delivery.ExecutionID, status delivery.Status, failure string) delivery.Execution {
	e := delivery.Execution{ID: id, Name: "deploy", Application: "shop", Status: status, Stages: []delivery.Stage{
		{RefID: "1", Name: "Bake", Status: delivery.StatusSucceeded, Outputs: json.RawMessage(`{"image":"a","x":1}`)},
		{RefID: "2", Name: "Deploy", Status: delivery.StatusSucceeded, Outputs: json.RawMessage(`{"image":"b"}`)}}}
	if failure != "" {
		e.Stages[1].Status, e.Stages[1].Failure = delivery.StatusTerminal, &delivery.Failure{Step: "wait", Message: failure}
	}
	return e
}

func TestChildOutputs(t *testing.T) {
	big := ended("E", delivery.StatusSucceeded, "")
	big.Stages[0].Outputs = json.RawMessage(`{"a":"` + strings.Repeat("a", maxTaken) + `"}`)
	for _, test := range []struct {
		name  string
		child delivery.Execution
		skip  bool
		want  string
	}{
		{"ended", ended("E", delivery.StatusSucceeded, ""), false, `{"executionId":"E","executionName":"deploy","image":"b","status":"SUCCEEDED","x":1}`},
		{"skipped", ended("E", delivery.StatusSucceeded, ""), true, `{"executionId":"E","executionName":"deploy","status":"SUCCEEDED"}`},
		{"running", ended("E", delivery.StatusRunning, ""), false, `{"executionId":"E","executionName":"deploy","status":"RUNNING"}`},
		{"too much", big, false, `{"executionId":"E","executionName":"deploy","outputsLeftOut":"the stages put out 32789 bytes; 32768 are taken over at most","status":"SUCCEEDED"}`},
	} {
		outputs, err := ChildPipeline{SkipOutputs: test.skip}.Outputs(test.child)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if raw, err := json.Marshal(outputs); err != nil || string(raw) != test.want {
			t.Errorf("%s: %s, %v", test.name, raw, err)
		}
	}
}

// TestChildArtifacts are those that the other pipeline's stages put out, not those that
// it was started with.
func TestChildArtifacts(t *testing.T) {
	child := ended("E", delivery.StatusSucceeded, "")
	child.Trigger.Document = json.RawMessage(`{"artifacts":[{"type":"docker/image","name":"old"},{"type":"helm/chart","name":"chart"}]}`)
	child.Stages[0].Outputs = json.RawMessage(`{"artifacts":[{"type":"docker/image","name":"new"},{"type":"s3/object","name":"a"},{"type":"s3/object","name":"b"}]}`)
	for _, test := range []struct{ name, expected, artifacts, pointer, message string }{
		{"one that fits", `{"id":"i","matchArtifact":{"type":"docker/image"}}`, `[{"name":"new","type":"docker/image"}]`, "", ""},
		{"a default", `{"id":"i","matchArtifact":{"type":"git/repo"},"useDefaultArtifact":true,"defaultArtifact":{"type":"git/repo","name":"d"}}`, `[{"name":"d","type":"git/repo"}]`, "", ""},
		{"none", `{"id":"i","displayName":"the chart","matchArtifact":{"type":"helm/chart"}}`, "", "/expectedArtifacts/0", "Unmatched expected artifact the chart"},
		{"two", `{"id":"i","matchArtifact":{"type":"s3/object"}}`, "", "/expectedArtifacts/0", "matches 2"},
	} {
		want, err := ParseChild(json.RawMessage(`{"pipeline":"deploy","skipDownstreamOutput":true,"expectedArtifacts":[` + test.expected + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		outputs, err := want.Outputs(child)
		if string(outputs["artifacts"]) != test.artifacts || string(outputs["executionId"]) != `"E"` {
			t.Errorf("%s: %s", test.name, outputs)
		}
		if found := delivery.FindingsOf(err); (err == nil) != (test.pointer == "") || err != nil && (len(found) != 1 || found[0].Pointer != test.pointer || !strings.Contains(found[0].Message, test.message)) {
			t.Errorf("%s: %v %v", test.name, err, found)
		}
	}
}

func TestEnded(t *testing.T) {
	canceled := ended("E", delivery.StatusCanceled, "")
	canceled.CancellationReason = "not today"
	for _, test := range []struct {
		e    delivery.Execution
		want string
	}{
		{ended("E", delivery.StatusSucceeded, ""), ""},
		{ended("E", delivery.StatusPaused, ""), ""},
		{ended("E", delivery.StatusTerminal, "no healthy instance"), "pipeline deploy (execution E) ended TERMINAL: stage Deploy: wait: no healthy instance"},
		{canceled, "pipeline deploy (execution E) ended CANCELED: not today"},
		{ended("E", delivery.StatusTerminal, ""), "pipeline deploy (execution E) ended TERMINAL"},
	} {
		got := ""
		if err := Ended(test.e); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: %q", test.e.Status, got)
		}
	}
}

func TestMonitorOutcome(t *testing.T) {
	good, bad, runs := ended("A", delivery.StatusSucceeded, ""), ended("B", delivery.StatusTerminal, "it broke"), ended("C", delivery.StatusRunning, "")
	for _, test := range []struct {
		name       string
		fast       bool
		executions []delivery.Execution
		over       bool
		message    string
	}{
		{"one that runs", true, []delivery.Execution{runs}, false, ""},
		{"one that succeeded", true, []delivery.Execution{good}, true, ""},
		{"some", false, []delivery.Execution{good, runs}, false, ""},
		{"a failure at once", true, []delivery.Execution{runs, bad}, true, "it broke"},
		{"a failure that waits", false, []delivery.Execution{runs, bad}, false, ""},
		{"a failure at the end", false, []delivery.Execution{good, bad}, true, "it broke"},
	} {
		over, err := MonitorStage{FailFast: test.fast}.Outcome(test.executions)
		if over != test.over || (err == nil) != (test.message == "") || err != nil && !strings.Contains(err.Error(), test.message) {
			t.Errorf("%s: %v, %v", test.name, over, err)
		}
	}
	outputs, err := MonitorStage{}.Outputs([]delivery.Execution{good, bad})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"A":{"status":"SUCCEEDED","application":"shop"},"B":{"status":"TERMINAL","application":"shop","exception":{"details":{"errors":["pipeline deploy (execution B) ended TERMINAL: stage Deploy: wait: it broke"]}}}}`
	if len(outputs) != 1 || string(outputs["executionStatuses"]) != want {
		t.Errorf("%s", outputs["executionStatuses"])
	}
	if one, err := (MonitorStage{}).Outputs([]delivery.Execution{good}); err != nil || string(one["image"]) != `"b"` {
		t.Errorf("%v, %v", one, err)
	}
}
