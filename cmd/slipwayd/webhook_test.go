package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// buildServer is another system: a POST begins a build, once for each key, and GET tells
// how far it has come. The build is over once finish was called.
type buildServer struct {
	mu                     sync.Mutex
	keys                   map[string]int
	looks                  int
	authorization, stopped string
	done                   bool
}

func (b *buildServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/builds":
		b.keys[r.Header.Get("Idempotency-Key")]++
		b.authorization = r.Header.Get("Authorization")
		w.Header().Set("Location", "/builds/7")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"number":7}`)
	case r.Method == http.MethodGet:
		b.looks++
		status := "RUNNING"
		if b.done {
			status = "SUCCESS"
		}
		fmt.Fprintf(w, `{"status":%q}`, status)
	default:
		b.stopped = r.URL.Path
	}
}

func (b *buildServer) seen() (begun, looks int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.keys), b.looks
}

func (b *buildServer) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done = true
}

// TestWebhookStage begins a build and dies while it waits for it; the build is begun
// once, and nothing else on this machine may be called.
func TestWebhookStage(t *testing.T) {
	t.Parallel()
	builds := &buildServer{keys: map[string]int{}}
	server := httptest.NewServer(builds)
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	d := simulated(t, "SLIPWAY_CONFIG="+configFile(t, fmt.Sprintf("egress: {allow: [%q]}\n", host)))
	d.saveStages("build", map[string]any{"type": "webhook", "refId": "1", "url": server.URL + "/builds", "customHeaders": map[string]string{"Authorization": "Bearer hunter2"},
		"waitForCompletion": true, "statusUrlResolution": "locationHeader", "statusJsonPath": "$.status", "successStatuses": "SUCCESS", "terminalStatuses": "FAILED",
		"signalCancellation": true, "cancelEndpoint": server.URL + "/stop"})

	id := d.trigger("build", nil)
	d.until(30*time.Second, "the first looks", func() bool { _, looks := builds.seen(); return looks >= 2 })
	d.kill()
	d.start()
	_, before := builds.seen()
	d.until(time.Minute, "looks after the start", func() bool { _, looks := builds.seen(); return looks > before })
	builds.finish()
	e := d.await(id, time.Minute)
	if begun, _ := builds.seen(); e.Status != "SUCCEEDED" || begun != 1 || builds.authorization != "Bearer hunter2" {
		t.Errorf("execution %s began %d builds, with authorization %q: %s", e.Status, begun, builds.authorization, e.Stages[0].Context)
	}
	var shown struct {
		CustomHeaders map[string]string
		BuildInfo     map[string]string
		Webhook       struct{ StatusCodeValue int }
	}
	if err := json.Unmarshal(e.Stages[0].Context, &shown); err != nil || shown.CustomHeaders["Authorization"] != "***" || shown.Webhook.StatusCodeValue != 201 || shown.BuildInfo["status"] != "SUCCESS" {
		t.Errorf("shown: %s, %v", e.Stages[0].Context, err)
	}

	d.saveStages("inside", map[string]any{"type": "webhook", "refId": "1", "url": d.url + "/applications", "method": "GET"})
	e = d.await(d.trigger("inside", nil), time.Minute)
	if e.Status != "TERMINAL" || !strings.Contains(string(e.Stages[0].Context), "127.0.0.1 may not be called: it is an address of this machine") {
		t.Errorf("execution %s: %s", e.Status, e.Stages[0].Context)
	}
}

// saveStages saves a pipeline of the application storefront.
func (d *daemon) saveStages(name string, stages ...map[string]any) {
	d.t.Helper()
	document := map[string]any{"application": "storefront", "name": name, "stages": stages}
	if status, raw := d.call(http.MethodPost, d.url+"/pipelines", document, nil); status != http.StatusOK {
		d.t.Fatalf("save pipeline %s: %d %s", name, status, raw)
	}
}
