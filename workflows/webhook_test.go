package workflows

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// jobServer is another system: POST /jobs begins a job, once for each key, and GET
// /jobs/1 tells how far it has come.
type jobServer struct {
	mu sync.Mutex
	// calls are the requests in their order, and jobs the keys of the jobs.
	calls, jobs []string
	// keys are those of the calls that are to begin a job.
	keys []string
	// refusals are answers to the first calls, before a job is begun. A code of 0 takes
	// the request and loses the answer.
	refusals []int
	// stops are answers to calls of /stop; 200 after them.
	stops []int
	// stopped are the keys of the calls of /stop that were answered with 200.
	stopped []string
	// size is how many bytes of a text the answers have beside what they say.
	size int
	// says are the answers to looks, in their order; the last one stays.
	says []string
}

func (s *jobServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.calls = append(s.calls, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Method, r.URL.Path, body)))
	s.mu.Unlock()
	switch {
	case r.URL.Path == "/stop":
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.stops) > 0 {
			w.WriteHeader(s.stops[0])
			s.stops = s.stops[1:]
			return
		}
		s.stopped = append(s.stopped, r.Header.Get("Idempotency-Key"))
		fmt.Fprintf(w, `{"text":"%s"}`, strings.Repeat("x", s.size))
	case r.Method == http.MethodGet:
		fmt.Fprint(w, s.look())
	case r.Method == http.MethodPost && r.URL.Path == "/jobs":
		s.begin(w, r)
	}
}

func (s *jobServer) begin(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	code := http.StatusAccepted
	s.keys = append(s.keys, r.Header.Get("Idempotency-Key"))
	if len(s.refusals) > 0 {
		code, s.refusals = s.refusals[0], s.refusals[1:]
	}
	if key := r.Header.Get("Idempotency-Key"); code == http.StatusAccepted && !slices.Contains(s.jobs, key) {
		s.jobs = append(s.jobs, key)
	}
	w.Header().Set("Location", "/jobs/1")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"job":1%s}`, s.text())
}

func (s *jobServer) look() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.says) == 0 {
		return ""
	}
	said := s.says[0]
	if len(s.says) > 1 {
		s.says = s.says[1:]
	}
	if s.size > 0 {
		said = strings.TrimSuffix(said, "}") + s.text() + "}"
	}
	return said
}

// text is a last field of answers that makes them large.
func (s *jobServer) text() string {
	if s.size == 0 {
		return ""
	}
	return fmt.Sprintf(`,"text":"%s"`, strings.Repeat("x", s.size))
}

// counted returns how many calls have the beginning.
func (s *jobServer) counted(beginning string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, call := range s.calls {
		if strings.HasPrefix(call, beginning) {
			n++
		}
	}
	return n
}

// plainHTTP calls without a guard. Calls to lost answer an error after their effect.
type plainHTTP struct {
	mu   sync.Mutex
	lost int
	err  error
}

func (p *plainHTTP) Call(ctx context.Context, r delivery.HTTPRequest) (delivery.HTTPAnswer, error) {
	request, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return delivery.HTTPAnswer{}, err
	}
	request.Header = r.Header
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return delivery.HTTPAnswer{}, delivery.Errorf(delivery.Transient, "no answer: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lost--; p.lost >= 0 {
		return delivery.HTTPAnswer{}, p.err
	}
	return delivery.HTTPAnswer{StatusCode: response.StatusCode, Header: response.Header, Body: body}, err
}

// webhookWorld is an execution of one webhook stage against the job server, and a
// stage after it that reads its outputs.
func webhookWorld(t *testing.T, s *jobServer, fields string) (*world, *plainHTTP) {
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	document := fmt.Sprintf(`{"name":"p","application":"shop","stages":[
		{"refId":"hook","requisiteStageRefIds":[],"type":"webhook","url":"%[1]s/jobs","payload":{"image":"${parameters.image}"}%[2]s},
		{"refId":"after","requisiteStageRefIds":["hook"],"type":"wait","waitTime":"${webhook.statusCodeValue - 200}"}]}`,
		server.URL, strings.ReplaceAll(fields, "SERVER", server.URL))
	w := newWorld(t, document, calm())
	caller := &plainHTTP{}
	w.activities.deps.HTTP = caller
	return w, caller
}

const waitsForJob = `,"waitForCompletion":true,"statusUrlResolution":"locationHeader","waitBeforeMonitor":30,"statusJsonPath":"$.status","progressJsonPath":"$.step",
	"successStatuses":"SUCCESS","canceledStatuses":"STOPPED","terminalStatuses":"FAILED","signalCancellation":true,"cancelEndpoint":"SERVER/stop","cancelPayload":{"why":"canceled"}`

func outputsOf(t *testing.T, e delivery.Execution) pipeline.WebhookOutputs {
	t.Helper()
	var out pipeline.WebhookOutputs
	if raw := e.Stage("hook").Outputs; len(raw) > 0 {
		if err := json.Unmarshal(raw, &out); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestWebhookIsCalledOnce(t *testing.T) {
	s := &jobServer{}
	w, _ := webhookWorld(t, s, ``)
	e := w.run(t)
	if e.Status != delivery.StatusSucceeded {
		t.Fatalf("execution %s, %+v", e.Status, e.Stages)
	}
	if want := []string{`POST /jobs {"image":"good"}`}; !slices.Equal(s.calls, want) || len(s.jobs) != 1 || len(s.jobs[0]) != 36 {
		t.Errorf("calls %q, jobs %q", s.calls, s.jobs)
	}
	if out := outputsOf(t, e).Webhook; out.StatusCode != "ACCEPTED" || string(out.Body) != `{"job":1}` || out.Monitor != nil {
		t.Errorf("outputs %s", e.Stage("hook").Outputs)
	}
	if took := e.Stage("after").EndTime.Sub(e.Stage("after").StartTime); took != 2*time.Second {
		t.Errorf("the next stage waited %s", took)
	}
}

// TestWebhookIsRepeated only where the repetition cannot be a second effect.
func TestWebhookIsRepeated(t *testing.T) {
	lost := delivery.Errorf(delivery.Transient, "the answer was lost")
	unsent := &delivery.Error{Kind: delivery.Transient, Code: delivery.CodeNotSent, Message: "not reached"}
	denied := delivery.Errorf(delivery.Denied, "127.0.0.1 may not be called")
	for _, test := range []struct {
		name, fields string
		refusals     []int
		lost         int
		err          error
		want         delivery.Status
		calls        int
		failure      string
	}{
		{"not now", ``, []int{503, 429, 503}, 0, nil, delivery.StatusSucceeded, 4, ""},
		{"an error", ``, []int{500}, 0, nil, delivery.StatusTerminal, 1, "webhook: the answer is 500"},
		{"an error to repeat", `,"retryStatusCodes":[500]`, []int{500, 500}, 0, nil, delivery.StatusSucceeded, 3, ""},
		{"not now, but in a hurry", `,"failFastStatusCodes":[503]`, []int{503}, 0, nil, delivery.StatusTerminal, 1, "webhook: the answer is 503"},
		{"never", ``, slices.Repeat([]int{503}, 1000), 0, nil, delivery.StatusTerminal, -1, "not_ready: the answer is 503"},
		{"a lost answer", ``, nil, 1, lost, delivery.StatusTerminal, 1, "transient: the answer was lost; whether the call had an effect is not known"},
		{"nothing was sent", ``, nil, 2, unsent, delivery.StatusSucceeded, 3, ""},
		{"forbidden", ``, nil, 1, denied, delivery.StatusTerminal, 1, "denied: 127.0.0.1 may not be called"},
		{"a failure that may be", `,"failPipeline":false,"continuePipeline":true`, []int{400}, 0, nil, delivery.StatusSucceeded, 1, "webhook: the answer is 400"},
	} {
		s := &jobServer{refusals: test.refusals}
		w, caller := webhookWorld(t, s, test.fields)
		caller.lost, caller.err = test.lost, test.err
		e := w.run(t)
		stage := e.Stage("hook")
		if e.Status != test.want || test.calls >= 0 && s.counted("POST /jobs") != test.calls || len(s.jobs) > 1 {
			t.Errorf("%s: execution %s, %d calls, %d jobs", test.name, e.Status, s.counted("POST"), len(s.jobs))
		}
		failure := ""
		if stage.Failure != nil {
			failure = stage.Failure.Kind + ": " + stage.Failure.Message
		}
		if !strings.HasPrefix(failure, test.failure) || (failure == "") != (test.failure == "") {
			t.Errorf("%s: %q; want %q", test.name, failure, test.failure)
		}
		if took := stage.EndTime.Sub(stage.StartTime); took > 11*time.Minute {
			t.Errorf("%s: took %s", test.name, took)
		}
	}
}

// TestWebhookIsMonitored until the other system says how it ended.
func TestWebhookIsMonitored(t *testing.T) {
	for _, test := range []struct {
		last   string
		want   delivery.Status
		reason string
	}{
		{`{"status":"SUCCESS"}`, delivery.StatusSucceeded, ""},
		{`{"status":"FAILED"}`, delivery.StatusTerminal, "the status is FAILED"},
		{`{"status":"STOPPED"}`, delivery.StatusCanceled, "the status is STOPPED"},
		{`<html>`, delivery.StatusTerminal, "the status is not known: the answer is not JSON"},
	} {
		s := &jobServer{says: []string{`{"status":"QUEUED"}`, `{"status":10}`, `{"status":10}`, `{"status":60,"step":"copy"}`, test.last}}
		w, _ := webhookWorld(t, s, waitsForJob)
		e := w.run(t)
		stage := e.Stage("hook")
		if e.Status != test.want || s.counted("POST /jobs") != 1 || s.counted("GET /jobs/1") != 5 || s.counted("POST /stop") != 0 {
			t.Errorf("%s: execution %s, calls %q", test.last, e.Status, s.calls)
		}
		if reason := fmt.Sprint(stage.Failure); test.reason != "" && (stage.Failure == nil || stage.Failure.Message != test.reason) {
			t.Errorf("%s: %s", test.last, reason)
		}
		if test.want == delivery.StatusCanceled && e.CancellationReason != test.reason {
			t.Errorf("%s: canceled for %q", test.last, e.CancellationReason)
		}
		if took := stage.EndTime.Sub(stage.StartTime); took < 36*time.Second || took > time.Minute {
			t.Errorf("%s: took %s", test.last, took)
		}
		out := outputsOf(t, e).Webhook
		if out.StatusCodeValue != 202 || !strings.HasSuffix(out.StatusEndpoint, "/jobs/1") || out.Monitor == nil || (out.Monitor.Error == "") != (test.reason == "") {
			t.Errorf("%s: outputs %s", test.last, stage.Outputs)
		}
	}
}

// TestWebhookProgress shows how far the other system has come while it is at work.
func TestWebhookProgress(t *testing.T) {
	s := &jobServer{}
	for i := range 3 * maxProgress {
		s.says = append(s.says, fmt.Sprintf(`{"status":%d,"step":"part %d"}`, i%100, i))
	}
	s.says = append(s.says, `{"status":"SUCCESS"}`)
	w, _ := webhookWorld(t, s, waitsForJob)
	seen := map[string]bool{}
	w.store.onEvent = func(delivery.Event) {
		var out pipeline.WebhookOutputs
		stage := w.store.executions[testExecution].Stages[0]
		if json.Unmarshal(stage.Outputs, &out) == nil && out.Webhook.Monitor != nil && stage.Status == delivery.StatusRunning {
			seen[out.Webhook.Monitor.ProgressMessage] = true
		}
	}
	if e := w.run(t); e.Status != delivery.StatusSucceeded {
		t.Fatalf("execution %s, %+v", e.Status, e.Stages)
	}
	if !seen["part 0"] || !seen["part 7"] || len(seen) > maxProgress {
		t.Errorf("%d steps were shown", len(seen))
	}
}

// TestWebhookDeadline ends a wait that leads nowhere, says what it saw at last, and tells
// the other system to stop where that is wanted.
func TestWebhookDeadline(t *testing.T) {
	for fields, limit := range map[string]time.Duration{``: 24 * time.Hour, `,"stageTimeoutMs":600000`: 10 * time.Minute, `,"stageTimeoutMs":10000`: 10 * time.Second} {
		s := &jobServer{says: []string{`{"status":"RUNNING"}`}}
		w, _ := webhookWorld(t, s, waitsForJob+fields)
		e := w.run(t)
		stage := e.Stage("hook")
		if e.Status != delivery.StatusTerminal || stage.Failure == nil || stage.Failure.Message != "it was not done in time: the status is RUNNING" {
			t.Errorf("%s: execution %s, %+v", limit, e.Status, stage.Failure)
		}
		if took := stage.EndTime.Sub(stage.StartTime); took > limit+time.Minute || took < limit-time.Minute {
			t.Errorf("%s: took %s", limit, took)
		}
		if told := outputsOf(t, e).Webhook.Cancellation; stage.Failure.Kind != kindTimeout || s.counted(`POST /stop {"why":"canceled"}`) != 1 || told == nil || told.StatusCodeValue != 200 {
			t.Errorf("%s: kind %s, calls %q, told %+v", limit, stage.Failure.Kind, s.calls, told)
		}
	}
	quiet := &jobServer{says: []string{`{"status":"RUNNING"}`}}
	w, _ := webhookWorld(t, quiet, strings.Replace(waitsForJob, `"signalCancellation":true`, `"signalCancellation":false`, 1)+`,"stageTimeoutMs":10000`)
	if e := w.run(t); e.Stage("hook").Failure == nil || slices.Contains(quiet.calls, `POST /stop {"why":"canceled"}`) {
		t.Errorf("told without being asked to: %q", quiet.calls)
	}
}

// TestCanceledWebhook tells the other system, and is over at once whatever that says.
func TestCanceledWebhook(t *testing.T) {
	for _, test := range []struct {
		name, fields string
		after        time.Duration
		// refusals and stopped are answers to the call and to the cancel.
		refusals, stopped []int
		stops             int
		answer            string
	}{
		{"while it is called", waitsForJob, time.Minute, slices.Repeat([]int{503}, 1000), nil, 1, "200 "},
		{"before the first look", waitsForJob, 10 * time.Second, nil, nil, 1, "200 "},
		{"while it looks", waitsForJob, 5 * time.Minute, nil, nil, 1, "200 "},
		{"unheard at first", waitsForJob, 5 * time.Minute, nil, []int{503, 500}, 3, "200 "},
		{"unheard for long", waitsForJob, 5 * time.Minute, nil, slices.Repeat([]int{503}, 20), 21, "0 no answer came before the stage was over"},
		{"refused", waitsForJob, 5 * time.Minute, nil, []int{404}, 1, "404 the answer is 404 Not Found"},
		{"without a word", strings.Replace(waitsForJob, `"signalCancellation":true`, `"signalCancellation":false`, 1), 5 * time.Minute, nil, nil, 0, ""},
	} {
		s := &jobServer{says: []string{`{"status":"RUNNING"}`}, refusals: test.refusals, stops: test.stopped}
		w, _ := webhookWorld(t, s, test.fields)
		cancel := w.send(updateCancel, test.after)
		e := w.run(t)
		if took := e.EndTime.Sub(cancel.sent); e.Status != delivery.StatusCanceled || took > 5*time.Second {
			t.Errorf("%s: execution %s %s after the cancel", test.name, e.Status, took)
		}
		if n := s.counted(`POST /stop {"why":"canceled"}`); n != test.stops {
			t.Errorf("%s: told %d times: %q", test.name, n, s.calls)
		}
		answer := ""
		if c := outputsOf(t, e).Webhook.Cancellation; c != nil {
			answer = fmt.Sprintf("%d %s", c.StatusCodeValue, c.Error)
		}
		if answer != test.answer {
			t.Errorf("%s: %q; outputs %s", test.name, answer, e.Stage("hook").Outputs)
		}
	}
}

// TestWebhookTwice: each activity done twice has one effect, and says the same.
func TestWebhookTwice(t *testing.T) {
	s := &jobServer{says: []string{`{"status":"SUCCESS"}`}}
	w, _ := webhookWorld(t, s, waitsForJob)
	if e := w.run(t); e.Status != delivery.StatusSucceeded {
		t.Fatalf("execution %s", e.Status)
	}
	in := StageRequest{Execution: testExecution, Stage: "hook"}
	for range 2 {
		called, err := w.activities.CallWebhook(t.Context(), in)
		if err != nil || called.Verdict.Next != pipeline.WebhookMonitored {
			t.Errorf("%+v, %v", called, err)
		}
	}
	if len(s.jobs) != 1 || s.counted("POST /jobs") != 3 {
		t.Errorf("%d calls began the jobs %q", s.counted("POST /jobs"), s.jobs)
	}
}

// TestWebhookOfAnotherAttempt: the call of a stage that was restarted is another one.
func TestWebhookOfAnotherAttempt(t *testing.T) {
	first := StageToDo{Execution: delivery.Execution{ID: testExecution}, Stage: delivery.Stage{RefID: "hook", Attempt: 1}}
	again, second := first, first
	second.Stage.Attempt = 2
	if first.webhookKey("call") != again.webhookKey("call") {
		t.Error("a repeated call has another key")
	}
	if first.webhookKey("call") == second.webhookKey("call") || first.webhookKey("call") == first.webhookKey("cancel") {
		t.Errorf("keys %s, %s and %s", first.webhookKey("call"), second.webhookKey("call"), first.webhookKey("cancel"))
	}
}

// TestCancelOfAnEarlierAttempt: a cancel that goes on while the stage is tried again is
// that of its own attempt.
func TestCancelOfAnEarlierAttempt(t *testing.T) {
	s := &jobServer{says: []string{`{"status":"RUNNING"}`}, stops: slices.Repeat([]int{503}, 12)}
	w, _ := webhookWorld(t, s, waitsForJob+`,"stageTimeoutMs":10000,"retry":{"maxAttempts":2,"backoffSec":5}`)
	e := w.run(t)
	stage := e.Stage("hook")
	if e.Status != delivery.StatusTerminal || stage.Attempt != 2 || len(s.jobs) != 2 {
		t.Fatalf("execution %s, stage %+v, jobs %q", e.Status, stage, s.jobs)
	}
	first, second := StageToDo{Execution: e, Stage: *stage}, StageToDo{Execution: e, Stage: *stage}
	first.Stage.Attempt = 0
	want := []string{first.webhookKey("cancel"), second.webhookKey("cancel")}
	if slices.Sort(s.stopped); !slices.Equal(s.stopped, slices.Sorted(slices.Values(want))) {
		t.Errorf("cancels with the keys %q; want %q", s.stopped, want)
	}
	s.stopped = nil // a request of an older history
	if _, err := w.activities.CancelWebhook(t.Context(), StopRequest{StageRequest: StageRequest{Execution: e.ID, Stage: "hook"}}); err != nil || !slices.Equal(s.stopped, want[1:]) {
		t.Errorf("without an attempt: keys %q, %v", s.stopped, err)
	}
}

// TestWebhooksAreBoundedTogether: bodies for which the execution has no room are left
// out, and the stage goes on as with them.
func TestWebhooksAreBoundedTogether(t *testing.T) {
	const size, little = 10 << 10, 4 << 10
	for _, test := range []struct {
		name   string
		room   int
		bodies string
	}{
		{"for all", 6 * size, "call look cancel"},
		{"for all but the last", 3*size + little, "call look"},
		{"for the call, and again without buildInfo", 2*size + little, "call cancel"},
		{"for none", little, ""},
	} {
		s := &jobServer{says: []string{`{"status":10}`}, size: size}
		w, _ := webhookWorld(t, s, waitsForJob)
		stored := w.store.executions[testExecution]
		stored.Stage("after").Outputs = json.RawMessage(`"` + strings.Repeat("x", maxAllOutputs-test.room-2) + `"`)
		w.send(updateCancel, 5*time.Minute)
		e := w.run(t)
		all := 0
		for _, stage := range e.Stages {
			all += len(stage.Outputs)
		}
		if e.Status != delivery.StatusCanceled || all > maxAllOutputs {
			t.Errorf("room %s: execution %s with %d bytes of outputs, %+v", test.name, e.Status, all, e.Stage("hook").Failure)
		}
		out := outputsOf(t, e).Webhook
		if out.Monitor == nil || out.Cancellation == nil {
			t.Fatalf("room %s: monitor %v, cancellation %v", test.name, out.Monitor, out.Cancellation)
		}
		var bodies []string
		for i, a := range []pipeline.WebhookAnswer{out.WebhookAnswer, out.Monitor.WebhookAnswer, *out.Cancellation} {
			if len(a.Body) > 0 {
				bodies = append(bodies, []string{"call", "look", "cancel"}[i])
			}
			if a.BodyTruncated != (len(a.Body) == 0) || a.StatusCodeValue < 200 {
				t.Errorf("room %s: %d with %d bytes, truncated %v", test.name, a.StatusCodeValue, len(a.Body), a.BodyTruncated)
			}
		}
		if got := strings.Join(bodies, " "); got != test.bodies || out.Monitor.PercentComplete == nil {
			t.Errorf("room %s: the bodies of %q; want %q", test.name, got, test.bodies)
		}
	}
}
