package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

func TestErrorsHaveOneShape(t *testing.T) {
	h := newHarness(t)
	tests := []struct {
		name, method, path, body string
		status                   int
		code                     string
	}{
		{"unknown path", "GET", "/nothing/here", "", 404, "no_such_path"},
		{"unknown path in other case", "GET", "/Applications", "", 404, "no_such_path"},
		{"trailing slash", "GET", "/applications/", "", 404, "no_such_path"},
		{"method", "PATCH", "/version", "", 405, "method_not_allowed"},
		{"head", "DELETE", "/tasks", "", 405, "method_not_allowed"},
		{"application", "GET", "/applications/nothing", "", 404, "not_found"},
		{"execution", "GET", "/pipelines/01JD3Z8Q6V5T0H3W4M8N7K2RXA", "", 404, "not_found"},
		{"task", "GET", "/tasks/01JD3Z8Q6V5T0H3W4M8N7K2RXA", "", 404, "not_found"},
		{"events", "GET", "/executions/01JD3Z8Q6V5T0H3W4M8N7K2RXA/events", "", 404, "not_found"},
		{"account", "GET", "/credentials/nothing", "", 404, "not_found"},
		{"empty body", "POST", "/pipelines", "", 400, "invalid"},
		{"malformed body", "POST", "/pipelines", `{"name":`, 400, "invalid"},
		{"two documents", "POST", "/pipelines", `{} {}`, 400, "invalid"},
		{"list for object", "POST", "/tasks", `[]`, 400, "invalid"},
		{"null for object", "POST", "/tasks", `null`, 400, "invalid"},
		{"key twice", "POST", "/tasks", `{"application":"a","application":"b"}`, 400, "invalid"},
		{"broken UTF-8", "POST", "/tasks", "{\"description\":\"\xff\"}", 400, "invalid"},
		{"deep nesting", "POST", "/tasks", `{"job":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, 400, "invalid"},
		{"large body", "POST", "/pipelines", `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "payload_too_large"},
		{"bad query", "GET", "/applications/storefront/pipelines?limit=-1&statuses=NONSENSE", "", 400, "invalid"},
		{"control character in path", "GET", "/applications/a%00b", "", 400, "invalid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h.t = t
			a := h.do(tt.method, tt.path, tt.body).want(tt.status)
			if got := a.get("code"); got != tt.code {
				t.Errorf("code %v, want %s: %s", got, tt.code, a.body)
			}
			if got := a.get("error"); got != http.StatusText(tt.status) {
				t.Errorf("error %v", got)
			}
			if id := a.header.Get("X-SPINNAKER-REQUEST-ID"); id == "" || a.get("requestId") != id {
				t.Errorf("requestId %v, header %q", a.get("requestId"), id)
			}
		})
	}
}

// TestMessagesNameTheField: people read the message, not the list of fields.
func TestMessagesNameTheField(t *testing.T) {
	h := newHarness(t)
	for body, want := range map[string]string{
		`{"a":1,"a":2}`:          "/a: the key stands twice in one object",
		"{\"a\":\"\u00e9\xff\"}": "malformed JSON at byte 8: not UTF-8",
		`[]`:                     "the body is not a JSON object",
	} {
		if got := h.do("POST", "/tasks", body).want(400).get("message"); got != want {
			t.Errorf("%s: message %q, want %q", body, got, want)
		}
		if strings.Count(h.log.String(), want) != 1 {
			t.Errorf("%q is not once in the log:\n%s", want, h.log)
		}
	}
}

func TestMethodNotAllowedNamesTheAllowed(t *testing.T) {
	h := newHarness(t)
	a := h.do("PATCH", "/pipelines/x", "{}").want(405)
	if allow := a.header.Get("Allow"); !strings.Contains(allow, "GET") || !strings.Contains(allow, "PUT") {
		t.Errorf("Allow: %q", allow)
	}
}

func TestInternalErrorsTellClientsNothing(t *testing.T) {
	h := newHarness(t)
	h.store.fail(errors.New("disk /dev/secret is on fire"))
	a := h.do("GET", "/applications", "").want(500)
	if strings.Contains(string(a.body), "secret") {
		t.Errorf("the answer tells: %s", a.body)
	}
	if text := h.log.String(); !strings.Contains(text, "disk /dev/secret is on fire") || !strings.Contains(text, a.header.Get("X-SPINNAKER-REQUEST-ID")) {
		t.Errorf("the log does not tell: %s", text)
	}
	h.store.fail(delivery.Errorf(delivery.Unavailable, "the store is being moved"))
	if a := h.do("GET", "/applications", "").want(503); a.get("message") != "the store is being moved" {
		t.Errorf("message %v", a.get("message"))
	}
}

func TestSpinnakersClientsQuirks(t *testing.T) {
	h := newHarness(t)
	h.save("a/b c+d", `[]`)
	tests := []struct{ name, path string }{
		{"doubled slash", "//version"},
		{"escaped slash, space and plus", "/applications/storefront/pipelineConfigs/a%2Fb%20c+d"},
		{"escaped plus", "/applications/storefront/pipelineConfigs/a%2Fb%20c%2Bd"},
		{"empty query parameters", "/applications/storefront/pipelines?limit=&statuses=&expand="},
		{"statuses that we never have", "/applications/storefront/pipelines?statuses=RUNNING,SUSPENDED,PAUSED,NOT_STARTED"},
		{"name in other case", "/applications/STOREFRONT/pipelineConfigs"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h.t = t
			a := h.do("GET", tt.path, "").want(200)
			if kind := a.header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") {
				t.Errorf("content type %q", kind)
			}
		})
	}
}

func TestRequestIDIsEchoed(t *testing.T) {
	h := newHarness(t)
	if got := h.do("GET", "/version", "", "X-SPINNAKER-REQUEST-ID", "mine-1").header.Get("X-SPINNAKER-REQUEST-ID"); got != "mine-1" {
		t.Errorf("got %q", got)
	}
	if got := h.do("GET", "/version", "", "X-SPINNAKER-REQUEST-ID", strings.Repeat("x", 500)).header.Get("X-SPINNAKER-REQUEST-ID"); len(got) != 26 {
		t.Errorf("got %q, want an id of ours", got)
	}
}

// TestBrowsersOfOtherSitesAreRefused: without authentication a page of another
// site must not be able to use a browser on this machine as its hands.
func TestBrowsersOfOtherSitesAreRefused(t *testing.T) {
	h := newHarness(t)
	h.do("GET", "/version", "", "Host", "attacker.example").want(403)
	h.do("POST", "/tasks", `{}`, "Sec-Fetch-Site", "cross-site", "Content-Type", "text/plain").want(403)
	h.do("POST", "/tasks", `{}`, "Origin", "https://attacker.example").want(403)
	h.do("GET", "/version", "", "Host", "localhost:8084").want(200)
	h.do("GET", "/version", "", "Host", "[::1]:8084").want(200)
}

func TestIdempotencyKey(t *testing.T) {
	h := newHarness(t)
	const task = `{"application":"a","description":"d","job":[{"type":"createApplication","application":{"name":"a"}}]}`
	first := h.do("POST", "/tasks", task, "Idempotency-Key", "k1").want(200)
	again := h.do("POST", "/tasks", task, "Idempotency-Key", "k1").want(200)
	if string(first.body) != string(again.body) {
		t.Errorf("answers differ: %s and %s", first.body, again.body)
	}
	if again.header.Get("Idempotent-Replayed") != "true" || first.header.Get("Idempotent-Replayed") != "" {
		t.Error("the header Idempotent-Replayed is wrong")
	}
	other := h.do("POST", "/tasks", strings.Replace(task, `"d"`, `"e"`, 1), "Idempotency-Key", "k1").want(422)
	if other.get("code") != "idempotency_key_reused" {
		t.Errorf("code %v", other.get("code"))
	}
	if ref := h.do("POST", "/tasks", task, "Idempotency-Key", "k2").want(200); string(ref.body) == string(first.body) {
		t.Error("another key got the first answer")
	}
	// A save without an id would be a duplicate name without the key.
	const pipeline = `{"application":"a","name":"p","stages":[]}`
	h.do("POST", "/pipelines", pipeline, "Idempotency-Key", "k1").want(200).void()
	h.do("POST", "/pipelines", pipeline, "Idempotency-Key", "k1").want(200).void()
	// A refusal is not kept.
	h.do("POST", "/pipelines/a/q", "", "Idempotency-Key", "k3").want(404)
	h.do("POST", "/pipelines", `{"application":"a","name":"q","stages":[{"type":"wait","waitTime":1}]}`).want(200)
	h.do("POST", "/pipelines/a/q", "", "Idempotency-Key", "k3").want(202)
	h.do("POST", "/tasks", task, "Idempotency-Key", strings.Repeat("k", 256)).want(400)
	// A key is its user's own.
	mine := h.do("POST", "/pipelines/a/q", "", "Idempotency-Key", "k4", "X-SPINNAKER-USER", "ann").want(202)
	if yours := h.do("POST", "/pipelines/a/q", "", "Idempotency-Key", "k4", "X-SPINNAKER-USER", "joe").want(202); string(mine.body) == string(yours.body) {
		t.Error("two users with the same key started one execution")
	}
}

func TestIdempotentStartsAtOnceAreOne(t *testing.T) {
	h := newHarness(t)
	h.save("p", `[{"type":"wait","waitTime":1}]`)
	refs := make([]string, 20)
	var all sync.WaitGroup
	for i := range refs {
		all.Go(func() {
			request := httptest.NewRequest("POST", "/pipelines/storefront/p", strings.NewReader(`{"type":"manual"}`))
			request.Host = "localhost"
			request.Header.Set("Idempotency-Key", "same")
			recorder := httptest.NewRecorder()
			h.server.Handler().ServeHTTP(recorder, request)
			refs[i] = fmt.Sprint(recorder.Code, recorder.Body)
		})
	}
	all.Wait()
	for _, ref := range refs {
		if ref != refs[0] || !strings.HasPrefix(ref, "202") {
			t.Fatalf("got %q and %q", refs[0], ref)
		}
	}
	if _, _, executions := h.store.count(); executions != 1 {
		t.Errorf("%d executions, want 1", executions)
	}
}

func TestAdminListener(t *testing.T) {
	h := newHarness(t)
	h.do("GET", "/version", "").want(200)
	h.do("GET", "/nothing", "").want(404)
	h.server.ExecutionEnded(delivery.StatusSucceeded)
	get := func(path string) (int, string) {
		recorder := httptest.NewRecorder()
		h.server.AdminHandler().ServeHTTP(recorder, httptest.NewRequest("GET", path, nil))
		return recorder.Code, recorder.Body.String()
	}
	for _, path := range []string{"/health", "/ready"} {
		if status, body := get(path); status != 200 || !strings.Contains(body, `"UP"`) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	_, text := get("/metrics")
	for _, want := range []string{
		`slipway_http_requests_total{method="GET",route="/version",status="200"} 1`,
		`slipway_http_requests_total{method="other",route="none",status="404"} 1`,
		`slipway_http_request_duration_seconds_count{method="GET",route="/version"} 1`,
		`slipway_executions_ended_total{status="SUCCEEDED"} 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}

func TestPlatform(t *testing.T) {
	h := newHarness(t)
	if got := h.do("GET", "/version", "").want(200).get("version"); got != "1.2.3" {
		t.Errorf("version %v", got)
	}
	if got := h.do("GET", "/health", "").want(200).get("status"); got != "UP" {
		t.Errorf("status %v", got)
	}
	if got := h.do("GET", "/auth/user", "").want(200).get("username"); got != "anonymous" {
		t.Errorf("username %v", got)
	}
	if got := h.do("GET", "/auth/user", "", "X-SPINNAKER-USER", "joe").want(200).get("username"); got != "joe" {
		t.Errorf("username %v", got)
	}
	if got := h.do("GET", "/credentials/aws-sim", "").want(200).get("cloudProvider"); got != "aws" {
		t.Errorf("cloudProvider %v", got)
	}
	var accounts []map[string]json.RawMessage
	h.do("GET", "/credentials", "").want(200).into(&accounts)
	if len(accounts) != 1 || accounts[0]["regions"] != nil {
		t.Errorf("accounts %v", accounts)
	}
	h.do("GET", "/credentials?expand=true", "").want(200).into(&accounts)
	if accounts[0]["regions"] == nil {
		t.Errorf("accounts %v", accounts)
	}
}
