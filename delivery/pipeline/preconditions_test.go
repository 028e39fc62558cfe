package pipeline

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
)

func precondition(kind, context string) string {
	return `{"type":"checkPreconditions","preconditions":[{"type":"` + kind + `","context":` + context + `}]}`
}

func TestParsePreconditions(t *testing.T) {
	got, err := ParsePreconditions(json.RawMessage(`{"preconditions":[
		{"type":"expression","failPipeline":false,"context":{"expression":"a == b","expressionResult":true,"failureMessage":"no"}},
		{"type":"stageStatus","context":{"stageName":"Bake","stageStatus":"SUCCEEDED"}},
		{"type":"clusterSize","failPipeline":"true","context":{"credentials":"aws-sim","cluster":"storefront-prod","regions":["us-east-1","us-west-2"],"comparison":">=","expected":"1","onlyEnabledServerGroups":true}},
		{"type":"clusterSize","context":{"cloudProvider":"gce","account":"gcp-sim","moniker":{"app":"storefront","stack":"prod"},"region":"us-central1","expected":0}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	prod := delivery.Moniker{App: "storefront", Stack: "prod"}
	want := []Precondition{
		{Type: "expression", Expression: "a == b", Result: json.RawMessage("true"), FailureMessage: "no"},
		{Type: "stageStatus", FailPipeline: true, StageName: "Bake", StageStatus: delivery.StatusSucceeded},
		{Type: "clusterSize", FailPipeline: true, Comparison: ">=", Expected: 1, OnlyEnabled: true, Clusters: []delivery.Cluster{
			{Provider: "aws", Account: "aws-sim", Region: "us-east-1", Moniker: prod}, {Provider: "aws", Account: "aws-sim", Region: "us-west-2", Moniker: prod}}},
		{Type: "clusterSize", FailPipeline: true, Comparison: "==", Clusters: []delivery.Cluster{{Provider: "gce", Account: "gcp-sim", Region: "us-central1", Moniker: prod}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestWrongPreconditions are refused when the pipeline is saved.
func TestWrongPreconditions(t *testing.T) {
	const size = `"credentials":"a","cluster":"a-b","regions":["r"]`
	for _, test := range []struct{ name, stage, pointer, message string }{
		{"no list", `{"type":"checkPreconditions","preconditions":{}}`, "/preconditions", "must be a list"},
		{"no type", `{"type":"checkPreconditions","preconditions":[{"context":{}}]}`, "/preconditions/0/type", "is required"},
		{"no context", `{"type":"checkPreconditions","preconditions":[{"type":"expression"}]}`, "/preconditions/0/context", "is required"},
		{"an unknown type", precondition("weather", `{}`), "/preconditions/0/type", "must be expression, stageStatus or clusterSize"},
		{"no expression", precondition("expression", `{}`), "/preconditions/0/context/expression", "is required"},
		{"a number", precondition("expression", `{"expression":1}`), "/preconditions/0/context/expression", "must be a string"},
		{"no stage", precondition("stageStatus", `{"stageStatus":"SUCCEEDED"}`), "/preconditions/0/context/stageName", "is required"},
		{"an unknown status", precondition("stageStatus", `{"stageName":"a","stageStatus":"GREAT"}`), "/preconditions/0/context/stageStatus", "is not a status"},
		{"no cluster", precondition("clusterSize", `{"credentials":"a","regions":["r"],"expected":1}`), "/preconditions/0/context/cluster", "is required"},
		{"no region", precondition("clusterSize", `{"credentials":"a","cluster":"a-b","expected":1}`), "/preconditions/0/context/regions", "is required"},
		{"no number", precondition("clusterSize", `{`+size+`}`), "/preconditions/0/context/expected", "is required"},
		{"a negative number", precondition("clusterSize", `{`+size+`,"expected":-1}`), "/preconditions/0/context/expected", "negative"},
		{"another comparison", precondition("clusterSize", `{`+size+`,"expected":1,"comparison":"!="}`), "/preconditions/0/context/comparison", "must be =="},
	} {
		wantFinding(t, test.name, test.stage, test.pointer, test.message)
	}
	for _, right := range []string{
		`{"type":"checkPreconditions"}`, precondition("expression", `{"expression":"${a}"}`), precondition("expression", `{"expression":true}`),
		precondition("clusterSize", `{"credentials":"${a}","cluster":"${b}","regions":["${c}"],"expected":"${d}"}`),
	} {
		if _, err := Parse(json.RawMessage(`{"stages":[` + right + `]}`)); err != nil {
			t.Errorf("%s: %v", right, err)
		}
	}
}

// wantFinding parses a pipeline of one stage, which is refused with this finding.
func wantFinding(t *testing.T, name, stage, pointer, message string) {
	t.Helper()
	_, err := Parse(json.RawMessage(`{"stages":[` + stage + `]}`))
	for _, f := range delivery.FindingsOf(err) {
		if f.Pointer == "/stages/0"+pointer && strings.Contains(f.Message, message) {
			return
		}
	}
	t.Errorf("%s: %v, want %s at %s", name, err, message, pointer)
}

// calculator evaluates a few texts, and refuses all others.
func calculator(value json.RawMessage) (json.RawMessage, error) {
	if !strings.Contains(string(value), "${") {
		return value, nil
	}
	known := map[string]string{`"${yes}"`: "true", `"${no}"`: "false", `"${word}"`: `"True"`, `{"stageName":"${name}","stageStatus":"RUNNING"}`: `{"stageName":"Bake","stageStatus":"RUNNING"}`}
	if result, ok := known[string(value)]; ok {
		return json.RawMessage(result), nil
	}
	return nil, delivery.InvalidError("evaluate", []delivery.Finding{{Message: string(value) + ": has no value"}})
}

func TestEvaluatePreconditions(t *testing.T) {
	out, err := EvaluatePreconditions(json.RawMessage(`{"preconditions":[
		{"type":"expression","context":{"expression":"yes"}},{"type":"expression","context":{"expression":"${word}"}},
		{"type":"expression","context":{"expression":"no","failureMessage":"not today"}},{"type":"expression","context":{"expression":"lost"}}]}`), time.UnixMilli(7), calculator)
	if err != nil {
		t.Fatal(err)
	}
	list, err := ParsePreconditions(out)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range list {
		got = append(got, p.Unmet(delivery.Execution{}, nil))
	}
	if diff := cmp.Diff([]string{"", "", "not today: no is false", `"${lost}": has no value`}, got); diff != "" {
		t.Errorf("%s\n%s", diff, out)
	}
	again, err := EvaluatePreconditions(out, time.UnixMilli(7), calculator)
	if err != nil || string(again) != string(out) {
		t.Errorf("evaluated twice: %v\n%s\n%s", err, out, again)
	}
	if _, err := EvaluatePreconditions(json.RawMessage(`{"preconditions":[{"type":"stageStatus","context":{"stageName":"${lost}"}}]}`), time.UnixMilli(7), calculator); err == nil {
		t.Error("a stage's name that has no value was accepted")
	}
}

func TestCheckPreconditions(t *testing.T) {
	e := delivery.Execution{Stages: []delivery.Stage{{Name: "Bake", Status: delivery.StatusSucceeded}, {Name: "Test", Status: delivery.StatusFailedContinue},
		{Name: "Twice"}, {Name: "Twice"}}}
	cluster := delivery.Cluster{Account: "a", Region: "r", Moniker: delivery.Moniker{App: "shop", Stack: "prod"}}
	snapshot := delivery.Snapshot{Cluster: cluster, Groups: []delivery.ServerGroup{{Name: "shop-prod-v000"}, {Name: "shop-prod-v001", Capacity: delivery.Capacity{Desired: 2}}}}
	seen := map[string]delivery.Snapshot{cluster.Key(): snapshot}
	size := func(comparison string, expected int, enabled bool) Precondition {
		return Precondition{Type: SizePrecondition, FailPipeline: true, Clusters: []delivery.Cluster{cluster}, Comparison: comparison, Expected: expected, OnlyEnabled: enabled}
	}
	other := size("==", 0, false)
	other.Clusters = []delivery.Cluster{{Account: "b"}}
	status := func(name string, is delivery.Status) Precondition {
		return Precondition{Type: StagePrecondition, FailPipeline: true, StageName: name, StageStatus: is}
	}
	branch := status("Bake", delivery.StatusTerminal)
	branch.FailPipeline = false
	for _, test := range []struct {
		name       string
		list       []Precondition
		branchOnly bool
		message    string
	}{
		{"nothing", nil, false, ""},
		{"a status", []Precondition{status("Bake", delivery.StatusSucceeded), status("Test", delivery.StatusFailedContinue)}, false, ""},
		{"another status", []Precondition{status("Bake", delivery.StatusTerminal)}, false, "the status of stage Bake is SUCCEEDED, not TERMINAL"},
		{"no such stage", []Precondition{status("Deploy", delivery.StatusSucceeded)}, false, `no stage is called "Deploy"`},
		{"two such stages", []Precondition{status("Twice", "")}, false, `2 stages are called "Twice"`},
		{"sizes", []Precondition{size("==", 2, false), size(">=", 2, false), size("<", 3, false), size("==", 1, true), size("<=", 1, true), size(">", 0, true)}, false, ""},
		{"another size", []Precondition{size(">", 2, false)}, false, "expected > 2 server groups of shop-prod in r, but found 2 (shop-prod-v000, shop-prod-v001)"},
		{"another size of what serves", []Precondition{size("==", 2, true)}, false, "expected == 2 server groups that take traffic of shop-prod in r, but found 1 (shop-prod-v001)"},
		{"a cluster that nobody saw", []Precondition{other}, false, "was not seen"},
		{"one that ends its branch", []Precondition{branch}, true, "not TERMINAL"},
		{"one of each", []Precondition{branch, size(">", 2, false)}, false, "; expected > 2"},
	} {
		branchOnly, err := CheckPreconditions(test.list, e, seen)
		if branchOnly != test.branchOnly || (err == nil) != (test.message == "") || err != nil && (!strings.Contains(err.Error(), test.message) || delivery.KindOf(err) != delivery.Conflict) {
			t.Errorf("%s: %v, %v", test.name, branchOnly, err)
		}
	}
}
