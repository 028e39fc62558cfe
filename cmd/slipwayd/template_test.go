package main

import (
	"net/http"
	"testing"
	"time"
)

// TestTemplates lets people, the clock and a webhook start a pipeline that is made
// from a template with triggers, over a death of the process: each start runs what
// the template makes of the pipeline at that moment.
func TestTemplates(t *testing.T) {
	t.Parallel()
	d := simulated(t)
	template := func(path string, seconds int) {
		t.Helper()
		document := map[string]any{"schema": "v2", "id": "ticking", "metadata": map[string]any{"name": "Ticking"},
			"variables": []any{map[string]any{"name": "seconds", "type": "int", "defaultValue": seconds}, map[string]any{"name": "label", "type": "string"}},
			"pipeline": map[string]any{
				"parameterConfig": []any{map[string]any{"name": "color", "default": "red"}},
				"triggers":        []any{map[string]any{"type": "cron", "cronExpression": "0/2 * * * * ?", "timezone": "UTC"}, map[string]any{"type": "webhook", "source": "ci"}},
				"stages":          []any{map[string]any{"type": "wait", "refId": "1", "name": "${templateVariables.label}", "waitTime": "${templateVariables.seconds}"}}}}
		var task struct{ Status string }
		if status, raw := d.call(http.MethodPost, d.url+"/v2/pipelineTemplates/"+path, document, &task); status != http.StatusOK || task.Status != "SUCCEEDED" {
			t.Fatalf("save template: %d %s", status, raw)
		}
	}
	template("create?tag=stable", 0)
	if status, raw := d.call(http.MethodPost, d.url+"/pipelines", map[string]any{"schema": "v2", "type": "templatedPipeline", "application": "storefront", "name": "ticking",
		"template": map[string]any{"reference": "spinnaker://ticking:stable"}, "variables": map[string]any{"label": "wait for ${parameters.color}"}}, nil); status != http.StatusOK {
		t.Fatalf("save pipeline: %d %s", status, raw)
	}
	byType := func(kind string) (started, succeeded int) {
		for _, e := range d.cronStarts() {
			if e.Trigger.Type == kind {
				started++
				if e.Status == "SUCCEEDED" {
					succeeded++
				}
			}
		}
		return started, succeeded
	}
	d.until(time.Minute, "a start by the clock that succeeds", func() bool { _, n := byType("cron"); return n > 0 })
	d.kill()
	d.start()
	before, _ := byType("cron")
	d.until(time.Minute, "a start by the clock after the death", func() bool { n, _ := byType("cron"); return n > before })
	if status, raw := d.call(http.MethodPost, d.url+"/webhooks/webhook/ci", map[string]any{}, nil); status != http.StatusOK {
		t.Fatalf("webhook: %d %s", status, raw)
	}
	d.until(time.Minute, "a start by the webhook that succeeds", func() bool { _, n := byType("webhook"); return n == 1 })

	template("update/ticking?tag=stable", 1)
	id := d.trigger("ticking", map[string]any{"color": "blue"})
	if e := d.await(id, time.Minute); e.Status != "SUCCEEDED" {
		t.Fatalf("execution %s: %s", id, e.Status)
	}
	var seen struct {
		TemplateVariables struct{ Seconds int }
		Stages            []struct {
			Name    string
			Context struct{ WaitTime int }
		}
	}
	_, raw := d.call(http.MethodGet, d.url+"/pipelines/"+id, nil, &seen)
	if seen.TemplateVariables.Seconds != 1 || len(seen.Stages) != 1 || seen.Stages[0].Context.WaitTime != 1 {
		t.Errorf("execution %s", raw)
	}
}
