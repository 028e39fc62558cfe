package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// hook sends a signed event as a CI system would, and returns its id.
func (d *daemon) hook(source, secret, delivery, body string) string {
	d.t.Helper()
	request, err := http.NewRequest(http.MethodPost, d.url+"/webhooks/webhook/"+source, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	request.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	request.Header.Set("X-GitHub-Delivery", delivery)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		EventProcessed bool   `json:"eventProcessed"`
		EventID        string `json:"eventId"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusOK || !answer.EventProcessed {
		d.t.Fatalf("webhook: %s, %+v, %v", response.Status, answer, err)
	}
	return answer.EventID
}

// triggered is what the test reads of an execution.
type triggered struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Status  string `json:"status"`
	Trigger struct {
		EventID         string         `json:"eventId"`
		Parameters      map[string]any `json:"parameters"`
		ParentExecution struct {
			ID string `json:"id"`
		} `json:"parentExecution"`
	} `json:"trigger"`
}

// named returns the executions of a pipeline of storefront.
func (d *daemon) named(name string) []triggered {
	d.t.Helper()
	var all, out []triggered
	if status, raw := d.call(http.MethodGet, d.url+"/applications/storefront/pipelines?limit=100", nil, &all); status != http.StatusOK {
		d.t.Fatalf("list executions: %d %s", status, raw)
	}
	for _, e := range all {
		if e.Name == name {
			out = append(out, e)
		}
	}
	return out
}

// TestTriggers starts a pipeline by a webhook and another by its end, and lets the
// process die around both: one delivery starts one execution, one end starts one, and
// none is lost.
func TestTriggers(t *testing.T) {
	t.Parallel()
	d := simulated(t)
	save := func(name string, trigger map[string]any, stages ...any) string {
		t.Helper()
		document := map[string]any{"application": "storefront", "name": name, "triggers": []any{trigger}, "stages": stages}
		if status, raw := d.call(http.MethodPost, d.url+"/pipelines", document, nil); status != http.StatusOK {
			t.Fatalf("save pipeline: %d %s", status, raw)
		}
		var saved struct{ ID string }
		if status, raw := d.call(http.MethodGet, d.url+"/applications/storefront/pipelineConfigs/"+name, nil, &saved); status != http.StatusOK {
			t.Fatalf("read pipeline: %d %s", status, raw)
		}
		return saved.ID
	}
	parent := save("hooked", map[string]any{"type": "webhook", "source": "ci", "secret": "s3cret"}, map[string]any{"type": "wait", "refId": "1", "waitTime": 1})
	save("after", map[string]any{"type": "pipeline", "application": "storefront", "pipeline": parent, "status": []any{"successful"}},
		map[string]any{"type": "wait", "refId": "1", "waitTime": "${trigger.parentExecution.stages[0].context.waitTime}"})

	if d.hook("ci", "wrong", "forged", `{}`); len(d.named("hooked")) != 0 {
		t.Fatal("a wrong signature starts a pipeline")
	}
	const rounds = 4
	for i := range rounds {
		delivery := strings.Repeat("d", i+1)
		body := `{"parameters":{"round":"` + delivery + `"}}`
		first := d.hook("ci", "s3cret", delivery, body)
		time.Sleep(time.Duration(i) * 500 * time.Millisecond) // before, around and after the end
		d.kill()
		d.start()
		if again := d.hook("ci", "s3cret", delivery, body); again != first {
			t.Errorf("the same delivery has the eventIds %s and %s", first, again)
		}
	}
	d.until(2*time.Minute, "every end to have started one", func() bool {
		done := 0
		for _, e := range d.named("after") {
			if e.Status == "SUCCEEDED" {
				done++
			}
		}
		return done >= rounds
	})
	started := map[string]int{}
	for _, e := range d.named("after") {
		started[e.Trigger.ParentExecution.ID]++
	}
	events := map[string]int{}
	for _, e := range d.named("hooked") {
		events[e.Trigger.EventID]++
		if started[e.ID] != 1 {
			t.Errorf("the end of %s started %d executions", e.ID, started[e.ID])
		}
	}
	if len(events) != rounds || len(d.named("hooked")) != rounds || len(d.named("after")) != rounds {
		t.Errorf("%d deliveries started %d executions of %d events, their ends %d", rounds, len(d.named("hooked")), len(events), len(d.named("after")))
	}
}
