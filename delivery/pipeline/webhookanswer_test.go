package pipeline

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
)

func webhook(t tester, fields string) Webhook {
	t.Helper()
	w, err := ParseWebhook(json.RawMessage(`{"url":"https://x.example/a/b"` + fields + `}`))
	if err != nil {
		t.Fatalf("%v", err)
	}
	return w
}

// tester is what *testing.T and *rapid.T have in common here.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

func answer(code int, body string) delivery.HTTPAnswer {
	return delivery.HTTPAnswer{StatusCode: code, Body: []byte(body)}
}

// said is a verdict in one line.
func said(v WebhookVerdict) string {
	out := string(v.Next)
	for _, part := range []string{v.Kind, v.StatusURL, v.Reason} {
		if part != "" {
			out += " | " + part
		}
	}
	return out
}

func TestCalled(t *testing.T) {
	located := func(to string) delivery.HTTPAnswer {
		return delivery.HTTPAnswer{StatusCode: 202, Header: map[string][]string{"Location": {to}}}
	}
	const waits = `,"waitForCompletion":true`
	const byLocation = waits + `,"statusUrlResolution":"locationHeader"`
	const byBody = waits + `,"statusUrlResolution":"webhookResponse","statusUrlJsonPath":"$.links[0].url"`
	for _, test := range []struct {
		name, fields string
		answer       delivery.HTTPAnswer
		want         string
	}{
		{"success", ``, answer(200, ""), "succeeded"},
		{"a redirect that nobody follows", ``, answer(303, ""), "succeeded"},
		{"an error of the caller", ``, answer(404, ""), "failed | webhook | the answer is 404 Not Found"},
		{"an error of the server, of a POST", ``, answer(500, ""), "failed | webhook | the answer is 500 Internal Server Error"},
		{"the same of a PUT", `,"method":"PUT"`, answer(500, ""), "again | the answer is 500 Internal Server Error"},
		{"not now", ``, answer(503, ""), "again | the answer is 503 Service Unavailable"},
		{"too many", ``, answer(429, ""), "again | the answer is 429 Too Many Requests"},
		{"told to repeat", `,"retryStatusCodes":[404]`, answer(404, ""), "again | the answer is 404 Not Found"},
		{"told to fail", `,"failFastStatusCodes":[503]`, answer(503, ""), "failed | webhook | the answer is 503 Service Unavailable, after which the stage fails"},
		{"told to fail by success", `,"failFastStatusCodes":[204]` + waits, answer(204, ""), "failed | webhook | the answer is 204 No Content, after which the stage fails"},
		{"a code without a name", ``, answer(499, ""), "failed | webhook | the answer is 499"},
		{"information", ``, answer(199, ""), "failed | webhook | the answer is 199"},

		{"the same URL", waits, answer(200, ""), "monitored | https://x.example/a/b"},
		{"an error with a wait", waits, answer(400, ""), "failed | webhook | the answer is 400 Bad Request"},
		{"a location", byLocation, located("https://y.example/1"), "monitored | https://y.example/1"},
		{"a relative location", byLocation, located("../c?d"), "monitored | https://x.example/c?d"},
		{"no location", byLocation, answer(202, ""), "failed | webhook | the URL of the status is not known: the answer has no header Location"},
		{"a wrong location", byLocation, located("file:///etc/passwd"), `failed | webhook | the URL of the status is not valid: the URL's scheme is "file"; must be http or https`},
		{"an unreadable location", byLocation, located("http://%zz"), `failed | webhook | the URL of the status is not valid: parse "http://%zz": invalid URL escape "%zz"`},
		{"a URL in the body", byBody, answer(200, `{"links":[{"url":"https://y.example/2"}]}`), "monitored | https://y.example/2"},
		{"no URL in the body", byBody, answer(200, `{"links":[]}`), "failed | webhook | the URL of the status is not known: the answer has no text at $['links'][0]['url']"},
		{"a number in the body", byBody, answer(200, `{"links":[{"url":7}]}`), "failed | webhook | the URL of the status is not known: the answer has no text at $['links'][0]['url']"},
		{"no JSON", byBody, answer(200, `<html>`), "failed | webhook | the URL of the status is not known: the answer has no text at $['links'][0]['url']"},
	} {
		if got := said(webhook(t, test.fields).Called(test.answer)); got != test.want {
			t.Errorf("%s: %s; want %s", test.name, got, test.want)
		}
	}
}

func TestUncalled(t *testing.T) {
	lost := delivery.Errorf(delivery.Transient, "x.example did not answer")
	unsent := &delivery.Error{Kind: delivery.Transient, Code: delivery.CodeNotSent, Message: "x.example could not be reached"}
	forbidden := delivery.Errorf(delivery.Denied, "10.0.0.1 may not be called")
	for _, test := range []struct {
		method string
		err    error
		want   string
	}{
		{"POST", lost, "failed | transient | x.example did not answer; whether the call had an effect is not known"},
		{"PATCH", lost, "failed | transient | x.example did not answer; whether the call had an effect is not known"},
		{"PUT", lost, "again | x.example did not answer"},
		{"GET", lost, "again | x.example did not answer"},
		{"POST", unsent, "again | x.example could not be reached"},
		{"POST", fmt.Errorf("call: %w", unsent), "again | call: x.example could not be reached"},
		{"GET", forbidden, "failed | denied | 10.0.0.1 may not be called"},
	} {
		if got := said(webhook(t, `,"method":"`+test.method+`"`).Uncalled(test.err)); got != test.want {
			t.Errorf("%s, %v: %s; want %s", test.method, test.err, got, test.want)
		}
	}
	w := webhook(t, `,"waitForCompletion":true`)
	if got, want := said(w.Unlooked(lost)), "again | x.example did not answer"; got != want {
		t.Errorf("a look: %s", got)
	}
	if got, want := said(w.Unlooked(forbidden)), "failed | denied | 10.0.0.1 may not be called"; got != want {
		t.Errorf("a look: %s", got)
	}
}

func TestLooked(t *testing.T) {
	const words = `,"statusJsonPath":"$.status","progressJsonPath":"$.message","successStatuses":"SUCCESS,done","canceledStatuses":"stopped","terminalStatuses":"Failed","retryStatusCodes":[404]`
	for _, test := range []struct {
		name, fields string
		answer       delivery.HTTPAnswer
		want         string
	}{
		{"no status wanted", ``, answer(200, "whatever"), "succeeded"},
		{"an error", ``, answer(403, ""), "failed | webhook | the look at the status failed: the answer is 403 Forbidden"},
		{"an error of the server", ``, answer(502, ""), "again | the answer is 502 Bad Gateway"},
		{"too many", ``, answer(429, ""), "again | the answer is 429 Too Many Requests"},
		{"told to repeat", words, answer(404, ""), "again | the answer is 404 Not Found"},
		{"success", words, answer(200, `{"status":"Success"}`), "succeeded"},
		{"success in another word", words, answer(200, `{"status":" DONE "}`), "succeeded"},
		{"canceled", words, answer(200, `{"status":"STOPPED"}`), "canceled | the status is STOPPED"},
		{"failed", words, answer(200, `{"status":"FAILED"}`), "failed | webhook | the status is FAILED"},
		{"at work", words, answer(200, `{"status":"RUNNING"}`), "again | the status is RUNNING"},
		{"half", words, answer(200, `{"status":50}`), "again | the status is 50"},
		{"whole", words, answer(200, `{"status":100}`), "succeeded"},
		{"whole with a point", words, answer(200, `{"status":100.0}`), "succeeded"},
		{"a huge number", words, answer(200, `{"status":1e999}`), "again | the status is 1e999"},
		{"a boolean", `,"statusJsonPath":"$.done","successStatuses":"true"`, answer(200, `{"done":true}`), "succeeded"},
		{"nothing there", words, answer(200, `{}`), "failed | webhook | the status is not known: the answer has nothing at $['status']"},
		{"null", words, answer(200, `{"status":null}`), "failed | webhook | the status is not known: the value at $['status'] is neither a text nor a number"},
		{"an object", words, answer(200, `{"status":{}}`), "failed | webhook | the status is not known: the value at $['status'] is neither a text nor a number"},
		{"no JSON", words, answer(200, `<html>`), "failed | webhook | the status is not known: the answer is not JSON"},
		{"JSON and more", words, answer(200, `{"status":"SUCCESS"} {"status":"FAILED"}`), "failed | webhook | the status is not known: the answer is not JSON"},
		{"a long word", words, answer(200, `{"status":"`+strings.Repeat("é", 300)+`"}`), "again | the status is " + strings.Repeat("é", 100) + "..."},
	} {
		if got := said(webhook(t, `,"waitForCompletion":true`+test.fields).Looked(test.answer)); got != test.want {
			t.Errorf("%s: %s; want %s", test.name, got, test.want)
		}
	}
	v := webhook(t, `,"waitForCompletion":true`+words).Looked(delivery.HTTPAnswer{StatusCode: 200, Body: []byte(`{"status":42.5,"message":"copying"}`), RetryAfter: time.Minute})
	if v.Percent == nil || *v.Percent != 42.5 || v.Progress != "copying" || v.After != time.Minute || v.Standing() != "42.5 copying" {
		t.Errorf("%+v", v)
	}
}

// TestAnswersNeverSucceedUnasked: whatever is answered, success has a status that says so.
func TestAnswersNeverSucceedUnasked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := webhook(t, `,"waitForCompletion":true,"statusJsonPath":"$.s","successStatuses":"OK","terminalStatuses":"BAD"`)
		a := answer(rapid.IntRange(0, 700).Draw(t, "code"), rapid.OneOf(rapid.SampledFrom([]string{`{"s":"OK"}`, `{"s":"ok"}`, `{"s":"BAD"}`, `{"s":100}`, `{"s":99.9}`, `{}`, ``, `{"s":["OK"]}`}), rapid.String()).Draw(t, "body"))
		says := strings.EqualFold(string(a.Body), `{"s":"OK"}`) || string(a.Body) == `{"s":100}`
		if v := w.Looked(a); v.Next == WebhookSucceeded && (!says || a.StatusCode < 200 || a.StatusCode >= 400) {
			t.Fatalf("%d %s: %+v", a.StatusCode, a.Body, v)
		}
		if v := w.Called(a); v.Next == WebhookSucceeded {
			t.Fatalf("the call is the end: %+v", v)
		}
	})
}

func TestWebhookOutputs(t *testing.T) {
	w := webhook(t, ``)
	out := w.NewWebhookOutputs(answer(201, ` {"id": 9007199254740993} `), WebhookVerdict{Next: WebhookSucceeded})
	raw, err := json.Marshal(out)
	if want := `{"webhook":{"statusCode":"CREATED","statusCodeValue":201,"body":{"id":9007199254740993}},"buildInfo":{"id":9007199254740993}}`; err != nil || string(raw) != want {
		t.Errorf("%s, %v; want %s", raw, err, want)
	}
	w = webhook(t, `,"waitForCompletion":true`)
	percent := 50.0
	look := w.NewWebhookLook(answer(404, "no\x00 \"such\" <build>\xff\n"), WebhookVerdict{Next: WebhookFailed, Reason: "why", Percent: &percent, Progress: "half"})
	raw, err = json.Marshal(w.NewWebhookOutputs(answer(200, ``), WebhookVerdict{Next: WebhookMonitored, StatusURL: "https://x.example/s"}).WithLook(look))
	want := `{"webhook":{"statusCode":"OK","statusCodeValue":200,"statusEndpoint":"https://x.example/s","monitor":{"statusCode":"NOT_FOUND","statusCodeValue":404,` +
		`"body":"no \"such\" \u003cbuild\u003e\n","error":"why","percentComplete":50,"progressMessage":"half"}},"buildInfo":"no \"such\" \u003cbuild\u003e\n"}`
	if err != nil || string(raw) != want {
		t.Errorf("%s, %v; want %s", raw, err, want)
	}
}

// TestOutputsAreBounded: whatever is answered, the outputs are JSON and not much larger
// than what is kept.
func TestOutputsAreBounded(t *testing.T) {
	for _, fields := range []string{``, `,"waitForCompletion":true`} {
		w := webhook(t, fields)
		rapid.Check(t, func(t *rapid.T) {
			unit := rapid.OneOf(rapid.SampledFrom([]string{`"`, `\`, "<", "\x00", "\xff", "é", "a", `{"a":"b"}`}), rapid.StringN(1, 8, 16)).Draw(t, "unit")
			a := answer(200, strings.Repeat(unit, rapid.IntRange(0, 200_000).Draw(t, "times")))
			out := w.NewWebhookOutputs(a, WebhookVerdict{Next: WebhookSucceeded}).WithLook(w.NewWebhookLook(a, WebhookVerdict{}))
			raw, err := json.Marshal(out)
			if err != nil || !utf8.Valid(raw) {
				t.Fatalf("%v", err)
			}
			if kept := len(out.Webhook.Body) + len(out.Webhook.Monitor.Body) + len(out.BuildInfo); kept > 300<<10 {
				t.Fatalf("%d bytes are kept of %d", kept, len(a.Body))
			}
			if out.Webhook.BodyTruncated != (len(a.Body) > maxWebhookBody || w.Monitor != nil && len(a.Body) > maxMonitoredBody) {
				t.Fatalf("%d bytes: %v", len(a.Body), out.Webhook.BodyTruncated)
			}
		})
	}
}

// TestOutputsFitTheRoom: what has just room is kept whole, and one byte less leaves the
// body out and nothing else.
func TestOutputsFitTheRoom(t *testing.T) {
	w := webhook(t, `,"waitForCompletion":true`)
	size := func(o WebhookOutputs) int {
		raw, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		return len(raw)
	}
	a, none := answer(200, `{"text":"<a>"}`), answer(200, ``)
	verdict := WebhookVerdict{Next: WebhookMonitored, StatusURL: "https://x.example/s"}
	whole, bare := w.NewWebhookOutputs(a, verdict), w.NewWebhookOutputs(none, verdict)
	bare.Webhook.BodyTruncated = true
	if got := whole.Within(size(whole)); !cmp.Equal(got, whole) {
		t.Errorf("with room %+v", got)
	}
	for _, room := range []int{size(whole) - 1, 0, -1} {
		if got := whole.Within(room); !cmp.Equal(got, bare) {
			t.Errorf("in %d bytes %+v; want %+v", room, got, bare)
		}
	}
	bare.Webhook.BodyTruncated = false
	if got := bare.Within(0); !cmp.Equal(got, bare) {
		t.Errorf("without a body %+v", got)
	}
	look := w.NewWebhookLook(a, WebhookVerdict{Progress: "copy"})
	room := size(whole.WithLook(look))
	if got := whole.LookWithin(look, room); !cmp.Equal(got, look) {
		t.Errorf("a look with room %+v", got)
	}
	if got := whole.LookWithin(look, room-1); len(got.Body) > 0 || !got.BodyTruncated || got.ProgressMessage != "copy" || got.StatusCodeValue != 200 {
		t.Errorf("a look without room %+v", got)
	}
	told := w.NewCancellation(a)
	room = size(whole.WithCancellation(told))
	if got := whole.CancellationWithin(told, room); !cmp.Equal(got, told) {
		t.Errorf("a cancellation with room %+v", got)
	}
	if got := whole.CancellationWithin(told, room-1); len(got.Body) > 0 || !got.BodyTruncated || got.StatusCodeValue != 200 {
		t.Errorf("a cancellation without room %+v", got)
	}
	if whole.Webhook.Cancellation != nil || whole.Webhook.Monitor != nil {
		t.Errorf("the outputs were changed: %+v", whole)
	}
}

func TestWebhookCalls(t *testing.T) {
	w := webhook(t, `,"waitForCompletion":true,"customHeaders":{"Authorization":"t","Content-Type":"text/x"},"payload":"p","signalCancellation":true,"cancelEndpoint":"https://y.example","cancelMethod":"GET"`)
	for _, test := range []struct {
		name string
		got  delivery.HTTPRequest
		want delivery.HTTPRequest
	}{
		{"the call", w.Call("key"), delivery.HTTPRequest{Method: "POST", URL: "https://x.example/a/b", Body: []byte("p"), Redirects: 5,
			Header: map[string][]string{"Authorization": {"t"}, "Content-Type": {"text/x"}, "Idempotency-Key": {"key"}}}},
		{"a look at the same place", w.Look("https://X.example/s"), delivery.HTTPRequest{Method: "GET", URL: "https://X.example/s", Redirects: 5, Header: map[string][]string{"Authorization": {"t"}}}},
		{"a look elsewhere", w.Look("https://z.example/s"), delivery.HTTPRequest{Method: "GET", URL: "https://z.example/s", Redirects: 5}},
		{"a look without TLS", w.Look("http://x.example/s"), delivery.HTTPRequest{Method: "GET", URL: "http://x.example/s", Redirects: 5}},
		{"the cancel", w.CancelCall("other"), delivery.HTTPRequest{Method: "GET", URL: "https://y.example", Header: map[string][]string{"Authorization": {"t"}, "Content-Type": {"text/x"}, "Idempotency-Key": {"other"}}}},
		{"a key of its own", webhook(t, `,"customHeaders":{"idempotency-key":"mine"}`).Call("key"), delivery.HTTPRequest{Method: "POST", URL: "https://x.example/a/b", Redirects: 5,
			Header: map[string][]string{"idempotency-key": {"mine"}}}},
		{"a location is not followed", webhook(t, `,"waitForCompletion":true,"statusUrlResolution":"locationHeader"`).Call("key"), delivery.HTTPRequest{Method: "POST", URL: "https://x.example/a/b",
			Header: map[string][]string{"Idempotency-Key": {"key"}}}},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

func TestWithoutCredentials(t *testing.T) {
	const stage = `{"url":"https://x.example","customHeaders":{"authorization":"Bearer s","X-Api-Key":["s","s"],"X-Hub-Signature":"s","Cookie":"s","Accept":"text/plain"},"payload":{"a":1}}`
	got := string(WithoutCredentials("webhook", json.RawMessage(stage)))
	want := `{"customHeaders":{"Accept":"text/plain","Cookie":"***","X-Api-Key":"***","X-Hub-Signature":"***","authorization":"***"},"payload":{"a":1},"url":"https://x.example"}`
	if got != want {
		t.Errorf("%s; want %s", got, want)
	}
	for _, context := range []string{`{"customHeaders":"${x}"}`, `{}`, `7`, ``} {
		if got := string(WithoutCredentials("webhook", json.RawMessage(context))); got != context {
			t.Errorf("%s became %s", context, got)
		}
	}
	if got := string(WithoutCredentials("wait", json.RawMessage(stage))); got != stage {
		t.Errorf("%s", got)
	}
}
