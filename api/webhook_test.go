package api_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

// hooked saves a pipeline with one trigger and more fields.
func (h *harness) hooked(name, trigger, more string) {
	h.t.Helper()
	h.do("POST", "/pipelines", fmt.Sprintf(`{"application":"storefront","name":%q,"stages":[{"type":"wait","waitTime":1}],"triggers":[%s]%s}`, name, trigger, more)).want(200)
}

// hook sends an event and returns its id.
func (h *harness) hook(path, body string, headers ...string) string {
	h.t.Helper()
	a := h.do("POST", "/webhooks/"+path, body, headers...).want(200)
	id, _ := a.get("eventId").(string)
	if a.get("eventProcessed") != true || len(id) != 36 {
		h.t.Fatalf("answer %s", a.body)
	}
	return id
}

// startedBy returns the executions of a pipeline, the newest first.
func (h *harness) startedBy(name string) []delivery.Execution {
	h.t.Helper()
	p, err := h.store.Pipeline(h.t.Context(), "storefront", name)
	if err != nil {
		h.t.Fatal(err)
	}
	found, err := h.store.Executions(h.t.Context(), delivery.ExecutionFilter{PipelineConfigIDs: []string{p.ID}})
	if err != nil {
		h.t.Fatal(err)
	}
	return found
}

func TestWebhook(t *testing.T) {
	h := newHarness(t)
	h.hooked("a", `{"type":"webhook","source":"ci","parameters":{"env":"dev","size":"1"},"payloadConstraints":{"$.env":"pr.*"}}`, "")
	h.hooked("b", `{"type":"webhook","source":"ci","enabled":false},{"type":"webhook","source":"ci"},{"type":"webhook","source":"ci"}`, "")
	h.hooked("off", `{"type":"webhook","source":"ci"}`, `,"disabled":true`)
	h.hooked("other", `{"type":"webhook","source":"nightly"}`, "")
	id := h.hook("webhook/ci", `{"env":"prod","parameters":{"env":"prod"},"artifacts":[{"type":"docker/image","name":"shop"}],"deep":{"er":[1]}}`)
	for name, want := range map[string]int{"a": 1, "b": 1, "off": 0, "other": 0} {
		if got := len(h.startedBy(name)); got != want {
			t.Errorf("%s was started %d times, want %d", name, got, want)
		}
	}
	a := h.do("GET", "/pipelines/"+string(h.startedBy("a")[0].ID), "").want(200)
	if fields := h.do("POST", "/pipelines/storefront/b", `{"type":"pipeline","parentExecution":"`+string(h.startedBy("a")[0].ID)+`"}`).want(400).fields(); fields["/parentExecution"] == "" {
		t.Errorf("a start that names another's execution as its parent: %v", fields)
	}
	for path, want := range map[string]any{"trigger.type": "webhook", "trigger.source": "ci", "trigger.user": "system", "trigger.eventId": id, "trigger.parameters.env": "prod", "trigger.parameters.size": "1", "trigger.payload.env": "prod"} {
		if got := a.get(path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	if artifacts, _ := a.get("trigger.artifacts").([]any); len(artifacts) != 1 {
		t.Errorf("artifacts %v", artifacts)
	}
	h.hook("webhook/ci", `{"env":"dev"}`)
	if len(h.startedBy("a")) != 1 || len(h.startedBy("b")) != 2 {
		t.Error("a constraint is not heeded, or heeded for others")
	}
	h.hook("webhook/nobody", ``)
	h.hook("artifacts/hub", `[]`)
}

func TestWebhooksThatAreRefused(t *testing.T) {
	h := newHarness(t)
	h.hooked("a", `{"type":"webhook","source":"ci"}`, "")
	for _, row := range []struct {
		path, body, pointer string
		status              int
	}{
		{"webhook/ci", `{`, "", 400},
		{"webhook/ci", `{"a":1,"a":2}`, "/a", 400},
		{"webhook/ci", strings.Repeat("[", 200) + strings.Repeat("]", 200), "", 400},
		{"webhook/ci", `{"parameters":3}`, "/parameters", 400},
		{"webhook/ci", `{"artifacts":{}}`, "/artifacts", 400},
		{"webhook/ci", `{"x":"` + strings.Repeat("x", 1<<20) + `"}`, "", 413},
		{"webhok/ci", `{}`, "", 404},
	} {
		a := h.do("POST", "/webhooks/"+row.path, row.body).want(row.status)
		if row.pointer != "" && a.fields()[row.pointer] == "" {
			t.Errorf("%s: %v", row.body, a.fields())
		}
	}
	h.do("POST", "/webhooks/webhook/ci", `{}`, "X-GitHub-Delivery", strings.Repeat("x", 300)).want(400)
	if n := len(h.startedBy("a")); n != 0 {
		t.Errorf("%d executions were started", n)
	}
}

// TestDeliveriesStartOnce: however often and however many at once, one delivery
// starts one execution and has one eventId.
func TestDeliveriesStartOnce(t *testing.T) {
	for _, header := range []string{"X-GitHub-Delivery", "X-Gitlab-Event-UUID", "X-Request-UUID", "Idempotency-Key"} {
		t.Run(header, func(t *testing.T) {
			h := newHarness(t)
			h.hooked("a", `{"type":"webhook","source":"ci"}`, "")
			h.hooked("b", `{"type":"webhook","source":"ci"}`, "")
			ids := make([]string, 20)
			var all sync.WaitGroup
			for i := range ids {
				all.Go(func() { ids[i] = h.hook("webhook/ci", `{}`, header, "one") })
			}
			all.Wait()
			for _, id := range ids {
				if id != ids[0] {
					t.Errorf("eventId %s and %s", id, ids[0])
				}
			}
			if other := h.hook("webhook/ci", `{}`, header, "two"); other == ids[0] {
				t.Error("two deliveries have one eventId")
			}
			if a, b := len(h.startedBy("a")), len(h.startedBy("b")); a != 2 || b != 2 {
				t.Errorf("two deliveries started %d and %d executions", a, b)
			}
		})
	}
	h := newHarness(t)
	h.hooked("a", `{"type":"webhook","source":"ci"}`, "")
	first, second := h.hook("webhook/ci", `{}`), h.hook("webhook/ci", `{}`)
	if first == second || len(h.startedBy("a")) != 2 {
		t.Error("events that nobody tells apart are taken for one")
	}
}

// TestADeliveryIsFinished: what a failure in the middle left out is started when the
// delivery is repeated.
func TestADeliveryIsFinished(t *testing.T) {
	h := newHarness(t)
	h.hooked("a", `{"type":"webhook","source":"ci"}`, "")
	h.store.fail(delivery.Errorf(delivery.Unavailable, "the disk is full"))
	h.do("POST", "/webhooks/webhook/ci", `{}`, "X-GitHub-Delivery", "one").want(503)
	h.store.fail(nil)
	h.hook("webhook/ci", `{}`, "X-GitHub-Delivery", "one")
	h.hooked("b", `{"type":"webhook","source":"ci"}`, "")
	h.hook("webhook/ci", `{}`, "X-GitHub-Delivery", "one")
	if a, b := len(h.startedBy("a")), len(h.startedBy("b")); a != 1 || b != 1 {
		t.Errorf("%d and %d executions, want one of each", a, b)
	}
}

func TestSignedPush(t *testing.T) {
	h := newHarness(t)
	h.hooked("a", `{"type":"git","source":"github","project":"acme","slug":"shop","branch":"main","secret":"s3cret"}`, "")
	const body = `{"ref":"refs/heads/main","after":"62c6","repository":{"name":"shop","owner":{"login":"acme"}}}`
	h.hook("git/github", body)
	h.hook("git/github", body, "X-Hub-Signature-256", "sha256=00")
	if n := len(h.startedBy("a")); n != 0 {
		t.Fatalf("%d executions without a signature", n)
	}
	mac := hmac.New(sha256.New, []byte("s3cret"))
	mac.Write([]byte(body))
	h.hook("git/github", body, "X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)), "X-GitHub-Event", "push")
	a := h.do("GET", "/pipelines/"+string(h.startedBy("a")[0].ID), "").want(200)
	if a.get("trigger.hash") != "62c6" || a.get("trigger.branch") != "main" || a.get("trigger.secret") != nil || strings.Contains(string(a.body), "s3cret") {
		t.Errorf("execution %s", a.body)
	}
}

// TestEventsThatCannotStart: what an event would start and cannot is recorded, with
// the reason, and holds up nothing else.
func TestEventsThatCannotStart(t *testing.T) {
	h := newHarness(t)
	h.hooked("a", `{"type":"webhook","source":"ci"}`, `,"parameterConfig":[{"name":"image","required":true}]`)
	h.hooked("b", `{"type":"webhook","source":"ci"}`, "")
	h.hook("webhook/ci", `{}`)
	a := h.do("GET", "/pipelines/"+string(h.startedBy("a")[0].ID), "").want(200)
	if a.get("status") != "TERMINAL" || a.get("canceledBy") != "system" || !strings.Contains(a.get("cancellationReason").(string), "Failed on startup: ") || !strings.Contains(a.get("cancellationReason").(string), "Required parameter image is missing") {
		t.Errorf("execution %s", a.body)
	}
	if len(h.startedBy("b")) != 1 {
		t.Error("one that cannot start holds up another")
	}
}

func TestArtifactsOfStarts(t *testing.T) {
	h := newHarness(t)
	h.hooked("a", `{"type":"webhook","source":"ci","expectedArtifactIds":["x"]}`,
		`,"expectedArtifacts":[{"id":"x","displayName":"image","matchArtifact":{"type":"docker/image","name":"shop"},"usePriorArtifact":true}]`)
	bound := func(id delivery.ExecutionID) string {
		t.Helper()
		var e struct {
			Trigger struct {
				Resolved []struct{ BoundArtifact struct{ Reference string } } `json:"resolvedExpectedArtifacts"`
			}
		}
		h.do("GET", "/pipelines/"+string(id), "").want(200).into(&e)
		if len(e.Trigger.Resolved) != 1 {
			t.Fatalf("resolved %v", e)
		}
		return e.Trigger.Resolved[0].BoundArtifact.Reference
	}
	if fields := h.do("POST", "/pipelines/storefront/a", `{}`).want(400).fields(); fields["/expectedArtifacts/0"] == "" {
		t.Errorf("%v", fields)
	}
	if fields := h.do("POST", "/pipelines/storefront/a", `{"artifacts":[{"type":4}]}`).want(400).fields(); fields["/artifacts/0/type"] == "" {
		t.Errorf("%v", fields)
	}
	first := h.startOf("a", `{"artifacts":[{"type":"docker/image","name":"shop","reference":"r1"}]}`)
	if got := bound(first) + bound(h.startOf("a", `{}`)); got != "r1r1" {
		t.Errorf("bound to %s", got)
	}
	h.hook("webhook/ci", `{"artifacts":[{"type":"docker/image","name":"shop","reference":"r2"}]}`)
	h.hook("webhook/ci", `{}`)
	found := h.startedBy("a")
	if got := bound(found[0].ID) + bound(found[1].ID); got != "r2r2" {
		t.Errorf("bound to %s", got)
	}
}

// TestParentsAreShown: the execution that started one stands in its trigger with its
// stages, what started that one without, and a list shows only what the trigger tells.
func TestParentsAreShown(t *testing.T) {
	h := newHarness(t)
	h.hooked("a", `{"type":"webhook","source":"ci"}`, "")
	var ids []delivery.ExecutionID
	for i := range 3 {
		ids = append(ids, h.startOf("a", `{"parameters":{"n":`+fmt.Sprint(i)+`}}`))
		if i > 0 {
			h.store.change(ids[i], func(e *delivery.Execution) {
				e.Trigger.Type, e.Trigger.ParentExecution, e.Trigger.Depth = "pipeline", ids[i-1], i
				e.Trigger.Document = json.RawMessage(`{"parentPipelineName":"a","parentPipelineId":"p","parentPipelineApplication":"storefront","parentStatus":"SUCCEEDED"}`)
			})
		}
	}
	var child struct {
		Trigger struct {
			ParentExecution struct {
				ID      string
				Stages  []any
				Trigger struct {
					Parameters      struct{ N int }
					ParentExecution struct {
						ID      string
						Stages  []any
						Trigger struct{ ParentExecution any }
					}
				}
			}
		}
	}
	h.do("GET", "/pipelines/"+string(ids[2]), "").want(200).into(&child)
	parent := child.Trigger.ParentExecution
	if parent.ID != string(ids[1]) || len(parent.Stages) != 1 || parent.Trigger.Parameters.N != 1 {
		t.Errorf("parent %+v", parent)
	}
	if above := parent.Trigger.ParentExecution; above.ID != string(ids[0]) || len(above.Stages) != 0 || above.Trigger.ParentExecution != nil {
		t.Errorf("parent of the parent %+v", above)
	}
	var listed []struct {
		Trigger struct{ ParentExecution map[string]any }
	}
	h.do("GET", "/executions?executionIds="+string(ids[2]), "").want(200).into(&listed)
	if p := listed[0].Trigger.ParentExecution; p["id"] != string(ids[1]) || p["name"] != "a" || p["status"] != "SUCCEEDED" || len(p["stages"].([]any)) != 0 {
		t.Errorf("listed parent %v", p)
	}
}
