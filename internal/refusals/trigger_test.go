package refusals

import (
	"fmt"
	"testing"
)

// TestBadTriggersAreNotSaved: over the real store, a pipeline that could never be
// started as its triggers say, or that would start itself, is not saved, and an event
// that is none starts nothing.
func TestBadTriggersAreNotSaved(t *testing.T) {
	w := newWorld(t)
	w.application(t)
	pipeline := func(id, trigger string) string {
		return fmt.Sprintf(`{"id":%q,"application":"storefront","name":%q,"stages":[{"type":"wait","waitTime":1}],"triggers":[%s]}`, id, id, trigger)
	}
	on := func(id string) string {
		return fmt.Sprintf(`{"type":"pipeline","pipeline":%q,"status":["successful"]}`, id)
	}
	for _, p := range []string{pipeline("a", `{"type":"webhook","source":"ci"}`), pipeline("b", on("a")), pipeline("c", on("b"))} {
		if status, problem := w.post(t, "/pipelines", p); status != 200 {
			t.Fatalf("%s: %d %+v", p, status, problem)
		}
	}
	before := w.traces(t)
	for _, row := range []struct{ path, body, pointer string }{
		{"/pipelines", pipeline("a", on("c")), "/triggers"},
		{"/pipelines", pipeline("d", on("d")), "/triggers/0/pipeline"},
		{"/pipelines", pipeline("d", `{"type":"webhok"}`), "/triggers/0/type"},
		{"/pipelines", pipeline("d", `{"type":"git","source":"github","project":"p","slug":"s","branch":"(?=x)"}`), "/triggers/0/branch"},
		{"/pipelines", pipeline("d", `{"type":"webhook","source":"s","payloadConstraints":{"$.":"x"}}`), "/triggers/0/payloadConstraints/$."},
		{"/pipelines", pipeline("d", `{"type":"webhook","source":"s","expectedArtifactIds":["x"]}`), "/triggers/0/expectedArtifactIds/0"},
		{"/webhooks/webhook/ci", `{"parameters":[]}`, "/parameters"},
		{"/webhooks/webhook/ci", `{"artifacts":[7]}`, "/artifacts/0"},
	} {
		if status, problem := w.post(t, row.path, row.body); status != 400 || !problem.names(row.pointer) {
			t.Errorf("%s %s: %d %+v, want a finding at %s", row.path, row.body, status, problem, row.pointer)
		}
	}
	if status, _ := w.post(t, "/webhooks/webhook/ci", `{`); status != 400 {
		t.Errorf("a body that is not JSON: %d", status)
	}
	if after := w.traces(t); after != before {
		t.Errorf("traces %+v, want %+v", after, before)
	}
	if status, problem := w.post(t, "/webhooks/webhook/ci", `{}`); status != 200 {
		t.Fatalf("webhook: %d %+v", status, problem)
	}
	if after := w.traces(t); after.Executions != before.Executions+1 || after.Starts != before.Starts+1 {
		t.Errorf("a good event leaves %+v after %+v", after, before)
	}
}
