package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// examplesDir is where the examples are, as people read them.
const examplesDir = "../../docs/examples"

// example is how a run of an example has to end.
type example struct {
	status string
	// parameters are given to the start, beside the defaults.
	parameters map[string]any
	// stages are the statuses in the document's order.
	stages []string
	// groups are the server groups of a cluster by account/region/cluster, in the words of stateOf.
	groups map[string]string
	// outputs are texts that the outputs of the last stage hold.
	outputs []string
	// patch is what a person sends to the stage of the type asked, which waits for it.
	asked string
	patch map[string]any
}

const succeeded = "SUCCEEDED"

// examples has the URL of the test system that one of them calls.
func examples(tests string) map[string]example {
	return map[string]example{
		"rolling-redblack-aws": {status: succeeded, stages: []string{succeeded}, groups: map[string]string{
			"aws-sim/us-east-1/storefront-prod": "v000 off 0, v001 on 3 storefront-1.1"}},
		"rolling-redblack-gce": {status: succeeded, stages: []string{succeeded}, groups: map[string]string{
			"gcp-sim/us-central1/storefront-prod": "v000 off 0, v001 on 3 storefront-1-1"}},
		"canary": {status: succeeded, stages: []string{succeeded}, groups: map[string]string{
			"aws-sim/us-west-2/storefront-prod": "v000 off 0, v001 on 3 storefront-1.1"}},
		"fan-in": {status: succeeded, stages: []string{succeeded, succeeded, succeeded, succeeded}, outputs: []string{`"1.1 runs as storefront-catalog-v000 and storefront-catalog-v000"`},
			groups: map[string]string{"gcp-sim/us-central1/storefront-catalog": "v000 on", "gcp-sim/europe-west1/storefront-catalog": "v000 on"}},
		"child-pipelines": {status: succeeded, stages: []string{succeeded, succeeded, succeeded},
			groups: map[string]string{"gcp-sim/us-central1/storefront-cart": "v000 on", "gcp-sim/us-central1/storefront-search": "v000 on"}},
		"throwaway-pipeline": {status: succeeded, stages: []string{succeeded, succeeded, succeeded}, outputs: []string{`"notification.type":"deletepipeline"`, `"pipeline.id"`}},
		"promote-image": {status: succeeded, stages: []string{succeeded, succeeded}, groups: map[string]string{
			"gcp-sim/europe-west1/storefront-preview": "v000 on 1 storefront-1-0"}},
		"rollback-on-failure": {status: "TERMINAL", stages: []string{"TERMINAL", "NOT_STARTED"}, groups: map[string]string{
			"gcp-sim/europe-west1/storefront-run": "v000 on"}},
		"preconditions": {status: succeeded, stages: []string{succeeded, succeeded, succeeded}, groups: map[string]string{
			"aws-sim/us-east-1/storefront-worker": "v000 on 2 storefront-1.1"}},
		"nightly": {status: succeeded, stages: []string{succeeded, succeeded, succeeded}, groups: map[string]string{
			"aws-sim/us-east-1/storefront-batch": "v000 on 1 storefront-1.0"}},
		"blue-green": {status: succeeded, stages: []string{succeeded, succeeded, succeeded}, groups: map[string]string{
			"gcp-sim/us-central1/storefront-run": "v001 on"}},
		"rollback-drill": {status: succeeded, stages: []string{succeeded, succeeded, succeeded}, groups: map[string]string{
			"gcp-sim/us-central1/storefront-drill": "v000 on, v001 off"}},
		"webhook-tests": {status: succeeded, stages: []string{succeeded, succeeded, succeeded}, parameters: map[string]any{"tests": tests + "/runs"}, groups: map[string]string{
			"gcp-sim/us-central1/storefront-hookstaging": "v000 on", "gcp-sim/us-central1/storefront-hookprod": "v000 on"}},
		"gate-to-production": {status: succeeded, stages: []string{succeeded, succeeded, succeeded}, asked: "manualJudgment",
			patch: map[string]any{"judgmentStatus": "continue", "judgmentInput": "go"}, groups: map[string]string{
				"gcp-sim/us-central1/storefront-gatestaging": "v000 on", "gcp-sim/us-central1/storefront-gateprod": "v000 on"}},
		"office-hours": {status: succeeded, stages: []string{succeeded, succeeded}, asked: "restrictExecutionDuringTimeWindow",
			patch: map[string]any{"skipRemainingWait": true}, groups: map[string]string{"gcp-sim/us-central1/storefront-hours": "v000 on"}},
		"optional-stage": {status: succeeded, stages: []string{"FAILED_CONTINUE", succeeded, "STOPPED", "NOT_STARTED"}, groups: map[string]string{
			"gcp-sim/us-central1/storefront-stable": "v000 on"}},
	}
}

// TestExamples saves each example as it is, runs all of them side by side in one
// demo, and looks at what became of them.
func TestExamples(t *testing.T) {
	t.Parallel()
	tests := testSystem(t)
	d := simulated(t, "SLIPWAY_CONFIG="+configFile(t, fmt.Sprintf("egress: {allow: [%q]}\n", strings.TrimPrefix(tests, "http://"))))
	wanted := examples(tests)
	saved := d.saveExamples()
	for _, name := range saved {
		if _, known := wanted[name]; !known && name != "deploy-service" {
			t.Errorf("nobody runs the example %s", name)
		}
	}
	started := map[string]string{}
	for name := range wanted {
		started[name] = d.startExample(name, wanted[name].parameters)
	}
	for name, want := range wanted {
		if want.asked != "" {
			d.answer(started[name], want.asked, want.patch)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(started)) {
		want, e := wanted[name], d.await(started[name], 8*time.Minute)
		var stages []string
		for _, s := range e.Stages {
			stages = append(stages, s.Status)
		}
		if e.Status != want.status || !slices.Equal(stages, want.stages) {
			t.Errorf("%s ended %s, with stages %q: %s", name, e.Status, stages, d.why(started[name]))
			continue
		}
		for _, text := range want.outputs {
			if outputs := d.lastOutputs(started[name]); !strings.Contains(outputs, text) {
				t.Errorf("%s puts out %s, not %s", name, outputs, text)
			}
		}
		for cluster, state := range want.groups {
			d.untilState(name, cluster, state)
		}
	}
}

// answer waits until a stage of the type runs, and sends it what a person would. A
// window that is open just now does not wait.
func (d *daemon) answer(id, stageType string, patch map[string]any) {
	d.t.Helper()
	d.until(5*time.Minute, "a stage "+stageType+" to take an answer", func() bool {
		var e struct {
			Stages []struct{ ID, Type, Status string }
		}
		d.call(http.MethodGet, d.url+"/pipelines/"+id, nil, &e)
		for _, s := range e.Stages {
			if s.Type != stageType || s.Status == "NOT_STARTED" {
				continue
			}
			if s.Status != "RUNNING" {
				return true
			}
			status, raw := d.call(http.MethodPatch, d.url+"/pipelines/"+id+"/stages/"+s.ID, patch, nil)
			if status != http.StatusOK && status != http.StatusConflict {
				d.t.Fatalf("answer stage %s: %d %s", s.ID, status, raw)
			}
			return status == http.StatusOK
		}
		return false
	})
}

// saveExamples saves what is in the folder and returns the names.
func (d *daemon) saveExamples() (names []string) {
	d.t.Helper()
	files, err := filepath.Glob(filepath.Join(examplesDir, "*.json"))
	if err != nil || len(files) < 12 {
		d.t.Fatalf("%d examples, %v", len(files), err)
	}
	readme, err := os.ReadFile(filepath.Join(examplesDir, "README.md"))
	if err != nil {
		d.t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		status, raw := d.call(http.MethodPost, d.url+"/pipelines", withoutClock(d.t, file), nil)
		if !strings.Contains(string(readme), "("+name+".json)") {
			d.t.Errorf("the readme does not tell of %s", name)
		}
		if status != http.StatusOK {
			d.t.Errorf("save %s: %d %s", name, status, raw)
			continue
		}
		names = append(names, name)
	}
	return names
}

// withoutClock is an example that the clock does not start: whether it does while the
// test runs depends on the time of day.
func withoutClock(t *testing.T, file string) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Triggers []map[string]any `json:"triggers"`
	}
	var out map[string]any
	if err := errors.Join(json.Unmarshal(raw, &document), json.Unmarshal(raw, &out)); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for _, trigger := range document.Triggers {
		if trigger["type"] == "cron" {
			trigger["enabled"] = false
		}
	}
	if document.Triggers != nil {
		out["triggers"] = document.Triggers
	}
	return out
}

// testSystem is a system that does not begin the first test run, and whose others pass at
// the third look. It returns the URL.
func testSystem(t *testing.T) string {
	runs, looks := 0, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			if runs++; runs == 1 { // the example tries again
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			fmt.Fprintf(w, `{"status":"http://%s/runs/1"}`, r.Host)
			return
		}
		looks++ // the webhook stage looks once at a time
		result := "RUNNING"
		if looks > 2 {
			result = "PASSED"
		}
		fmt.Fprintf(w, `{"result":%q}`, result)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// startExample starts an example with its defaults, again when the cloud's limit on
// requests is in the way.
func (d *daemon) startExample(name string, parameters map[string]any) string {
	d.t.Helper()
	var ref struct{ Ref string }
	d.untilEvery(time.Second, time.Minute, "the start of "+name, func() bool {
		status, raw := d.call(http.MethodPost, d.url+"/pipelines/storefront/"+name, map[string]any{"type": "manual", "parameters": parameters}, &ref)
		if status != http.StatusAccepted && status != http.StatusTooManyRequests {
			d.t.Fatalf("start %s: %d %s", name, status, raw)
		}
		return status == http.StatusAccepted
	})
	return ref.Ref[strings.LastIndex(ref.Ref, "/")+1:]
}

// why tells the failures of an execution's stages.
func (d *daemon) why(id string) string {
	d.t.Helper()
	var out []string
	for _, s := range d.execution(id).Stages {
		var context struct{ Exception, Failure json.RawMessage }
		if json.Unmarshal(s.Context, &context) == nil && len(context.Exception)+len(context.Failure) > 0 {
			out = append(out, fmt.Sprintf("%s: %s%s", s.Type, context.Exception, context.Failure))
		}
	}
	return strings.Join(out, "; ")
}

// lastOutputs are the outputs of the last stage.
func (d *daemon) lastOutputs(id string) string {
	d.t.Helper()
	var e struct {
		Stages []struct{ Outputs json.RawMessage }
	}
	d.call(http.MethodGet, d.url+"/pipelines/"+id, nil, &e)
	return string(e.Stages[len(e.Stages)-1].Outputs)
}

// untilState waits for what a cluster is to look like in the end: old server groups
// may still be on their way out.
func (d *daemon) untilState(name, cluster, want string) {
	d.t.Helper()
	parts := strings.Split(cluster, "/")
	s := site{account: parts[0], region: parts[1], cluster: parts[2]}
	got := ""
	deadline := time.Now().Add(time.Minute)
	for got = stateOf(d.groups(s), want); got != want && time.Now().Before(deadline); got = stateOf(d.groups(s), want) {
		pause := time.NewTimer(time.Second)
		<-pause.C
	}
	if got != want {
		d.t.Errorf("%s: cluster %s is %q, not %q", name, cluster, got, want)
	}
}

// stateOf tells the server groups of a cluster by their number: on or off, and as far
// as want does their size and image.
func stateOf(groups map[string]groupView, want string) string {
	var out []string
	wanted := strings.Split(want, ", ")
	for i, name := range slices.Sorted(maps.Keys(groups)) {
		g := groups[name]
		fields := []string{name[strings.LastIndex(name, "-")+1:], "on", fmt.Sprint(g.Capacity["desired"]), strings.Join(g.Build.Images, " ")}
		if g.Disabled || len(wanted) > i && strings.Contains(wanted[i], " off 0") && g.Capacity["desired"] == 0 {
			fields[1] = "off"
		}
		if i < len(wanted) {
			fields = fields[:min(len(fields), len(strings.Fields(wanted[i])))]
		}
		out = append(out, strings.Join(fields, " "))
	}
	return strings.Join(out, ", ")
}
