package main

import (
	"net/http"
	"testing"
	"time"
)

// cronStart is what the test reads of an execution that the clock started.
type cronStart struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Trigger struct {
		Type        string `json:"type"`
		NominalTime string `json:"nominalTime"`
	} `json:"trigger"`
}

func (d *daemon) cronStarts() []cronStart {
	d.t.Helper()
	var out []cronStart
	if status, raw := d.call(http.MethodGet, d.url+"/applications/storefront/pipelines?limit=1000", nil, &out); status != http.StatusOK {
		d.t.Fatalf("list executions: %d %s", status, raw)
	}
	return out
}

// TestCron lets the clock start a pipeline every two seconds, and the process die in
// between: each nominal time starts one execution, none is left out, and after the
// trigger was disabled none comes any more.
func TestCron(t *testing.T) {
	t.Parallel()
	d := simulated(t)
	trigger := map[string]any{"type": "cron", "cronExpression": "0/2 * * * * ?", "timezone": "UTC", "catchUp": map[string]any{"policy": "all", "max": 100}}
	save := func() {
		t.Helper()
		document := map[string]any{"application": "storefront", "name": "ticking", "triggers": []any{trigger},
			"stages": []any{map[string]any{"type": "wait", "refId": "1", "waitTime": 1}}}
		var saved struct{ ID string }
		if status, _ := d.call(http.MethodGet, d.url+"/applications/storefront/pipelineConfigs/ticking", nil, &saved); status == http.StatusOK {
			document["id"] = saved.ID
		}
		if status, raw := d.call(http.MethodPost, d.url+"/pipelines", document, nil); status != http.StatusOK {
			t.Fatalf("save pipeline: %d %s", status, raw)
		}
	}
	trigger["id"] = "every-two-seconds"
	save()
	d.until(time.Minute, "two starts by the clock", func() bool { return len(d.cronStarts()) >= 2 })
	for range 3 {
		d.kill()
		d.start()
		before := len(d.cronStarts())
		d.until(time.Minute, "a start after a kill", func() bool { return len(d.cronStarts()) > before })
	}
	trigger["enabled"] = false
	save()
	d.until(time.Minute, "all executions to end", func() bool {
		for _, e := range d.cronStarts() {
			if e.Status != "SUCCEEDED" {
				return false
			}
		}
		return true
	})
	starts := d.cronStarts()
	nominal := map[string]string{}
	first, last := starts[0].Trigger.NominalTime, starts[0].Trigger.NominalTime
	for _, e := range starts {
		at := e.Trigger.NominalTime
		if nominal[at] != "" || e.Trigger.Type != "cron" {
			t.Errorf("%s of type %q started %s and %s", at, e.Trigger.Type, nominal[at], e.ID)
		}
		nominal[at] = e.ID
		first, last = min(first, at), max(last, at)
	}
	from, err := time.Parse("2006-01-02T15:04:05", first)
	if err != nil {
		t.Fatal(err)
	}
	for at := from; at.Format("2006-01-02T15:04:05") < last; at = at.Add(2 * time.Second) {
		if nominal[at.Format("2006-01-02T15:04:05")] == "" {
			t.Errorf("%s started nothing", at)
		}
	}
	time.Sleep(3 * time.Second) // longer than the clock's step
	if more := len(d.cronStarts()); more != len(starts) {
		t.Errorf("%d starts after the trigger was disabled", more-len(starts))
	}
	t.Logf("%d starts from %s to %s, three kills", len(starts), first, last)
}
