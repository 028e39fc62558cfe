package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/slipway-cd/slipway/api"
	"github.com/slipway-cd/slipway/delivery"
)

var start = time.UnixMilli(1_795_000_000_000).UTC()

// harness is a server on a real listener with a store in memory, an engine that
// moves executions, and one simulated account.
type harness struct {
	t      *testing.T
	url    string
	server *api.Server
	store  *memory
	engine *memoryEngine
	cloud  *cloud
	log    *bytes.Buffer
	doc    *openapi3.T
}

func newHarness(t *testing.T) *harness { return newHarnessWith(t, time.Hour, 30*time.Second) }

// newHarnessWith sets the pause between heartbeats and how long reading a
// request may take.
func newHarnessWith(t *testing.T, heartbeat, readTimeout time.Duration) *harness {
	t.Helper()
	h := &harness{t: t, store: newMemory(), cloud: newCloud(), log: &bytes.Buffer{}}
	h.engine = &memoryEngine{store: h.store}
	clock := &ticking{now: start}
	h.server = api.New(api.Dependencies{
		Store: h.store, Engine: h.engine, Targets: h.cloud, Version: "1.2.3", Now: clock.read, Heartbeat: heartbeat, ViewsFor: -1,
		Logger: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelInfo})),
	})
	listener := httptest.NewUnstartedServer(h.server.Handler())
	listener.Config = h.server.HTTPServer(h.server.Handler())
	listener.Config.ReadTimeout = readTimeout
	listener.Start()
	t.Cleanup(func() {
		h.server.Stop()
		listener.Close()
	})
	h.url = listener.URL
	h.doc = loadOpenAPI(t, h.url)
	return h
}

// ticking is a clock that moves by a millisecond each time it is read, so that
// no two saves have the same time.
type ticking struct {
	mu  sync.Mutex
	now time.Time
}

func (c *ticking) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Millisecond)
	return c.now
}

// answer is a response that was compared with openapi.yaml.
type answer struct {
	t      *testing.T
	what   string
	status int
	header http.Header
	body   []byte
}

// do sends a request. headers are pairs of name and value.
func (h *harness) do(method, path, body string, headers ...string) answer {
	h.t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	request, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, content)
	if err != nil {
		h.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			request.Host = headers[i+1]
		}
	}
	response, err := (&http.Client{CheckRedirect: noRedirect}).Do(request)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	a := answer{t: h.t, what: method + " " + path, status: response.StatusCode, header: response.Header, body: read}
	h.validate(request, a)
	return a
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// want checks the status and returns the answer.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: %d, want %d: %s", a.what, a.status, status, a.body)
	}
	return a
}

// void checks that the body is empty.
func (a answer) void() {
	a.t.Helper()
	if len(a.body) != 0 {
		a.t.Errorf("%s: body %q, want none", a.what, a.body)
	}
}

// into decodes the body.
func (a answer) into(value any) {
	a.t.Helper()
	if err := json.Unmarshal(a.body, value); err != nil {
		a.t.Fatalf("%s: %v: %s", a.what, err, a.body)
	}
}

// get returns the value at a path of keys like "a.b"; nil when there is none.
func (a answer) get(path string) any {
	a.t.Helper()
	var value any
	a.into(&value)
	for key := range strings.SplitSeq(path, ".") {
		fields, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = fields[key]
	}
	return value
}

// fields returns the message of every field error by its pointer.
func (a answer) fields() map[string]string {
	a.t.Helper()
	var problem struct {
		Errors []struct{ Pointer, Message string }
	}
	a.into(&problem)
	out := map[string]string{}
	for _, e := range problem.Errors {
		out[e.Pointer] = e.Message
	}
	return out
}

func loadOpenAPI(t *testing.T, server string) *openapi3.T {
	t.Helper()
	response, err := http.Get(server + "/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Fatal(err)
	}
	return doc
}

// validate compares an answer with openapi.yaml.
func (h *harness) validate(request *http.Request, a answer) {
	h.t.Helper()
	if request.Method == http.MethodHead { // as GET, without the body
		return
	}
	if !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") && len(a.body) > 0 && a.status != http.StatusOK {
		h.t.Errorf("%s: content type %q", a.what, a.header.Get("Content-Type"))
	}
	path, item := h.findPath(request)
	if item == nil || item.GetOperation(request.Method) == nil {
		var problem any
		a.into(&problem)
		if err := h.doc.Components.Schemas["Problem"].Value.VisitJSON(problem); err != nil {
			h.t.Errorf("%s: not a problem: %v", a.what, err)
		}
		return
	}
	operation := item.GetOperation(request.Method)
	text := !strings.HasPrefix(a.header.Get("Content-Type"), "application/json")
	err := openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: request,
			Route:   &routers.Route{Spec: h.doc, Path: path, PathItem: item, Method: request.Method, Operation: operation},
		},
		Status: a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true, ExcludeResponseBody: text},
	})
	if err != nil {
		h.t.Errorf("%s: answer differs from openapi.yaml: %v", a.what, err)
	}
}

var templateName = regexp.MustCompile(`\\\{[a-zA-Z]+\\\}`)

func (h *harness) findPath(request *http.Request) (string, *openapi3.PathItem) {
	path := regexp.MustCompile(`/+`).ReplaceAllString(request.URL.EscapedPath(), "/")
	var found string
	for template := range h.doc.Paths.Map() {
		pattern := "^" + templateName.ReplaceAllString(regexp.QuoteMeta(template), "[^/]+") + "$"
		if regexp.MustCompile(pattern).MatchString(path) && (found == "" || strings.Count(template, "{") < strings.Count(found, "{")) {
			found = template
		}
	}
	if found == "" {
		return "", nil
	}
	return found, h.doc.Paths.Value(found)
}

// save stores a pipeline of application storefront and returns its id.
func (h *harness) save(name, stages string) string {
	h.t.Helper()
	h.do("POST", "/pipelines", `{"application":"storefront","name":"`+name+`","stages":`+stages+`}`).want(200).void()
	id, _ := h.do("GET", "/applications/storefront/pipelineConfigs/"+url.PathEscape(name), "").want(200).get("id").(string)
	return id
}

// startOf starts a pipeline and returns the execution's id.
func (h *harness) startOf(pipeline, body string) delivery.ExecutionID {
	h.t.Helper()
	ref, _ := h.do("POST", "/pipelines/storefront/"+pipeline, body).want(202).get("ref").(string)
	id, ok := strings.CutPrefix(ref, "/pipelines/")
	if !ok || len(id) != 26 {
		h.t.Fatalf("ref %q", ref)
	}
	return delivery.ExecutionID(id)
}
