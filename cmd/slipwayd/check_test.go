package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMetricCheck deploys a version that is healthy and fails a tenth of its
// requests as a canary at 5 %, under load: its metric check rolls it back long
// before the bake is over. The requests that failed meanwhile are reported: they
// are the price of a canary, at most its share of the errors and a bit.
func TestMetricCheck(t *testing.T) {
	onEach(t, func(t *testing.T, s site) {
		d := simulated(t)
		var before map[string]groupView
		d.untilGroups(s, time.Minute, "the seeded server group", func(g map[string]groupView) bool { before = g; return len(g) == 1 })
		d.savePipeline(s, "canary", 3, map[string]any{"strategy": "canary", "steps": []map[string]any{{"weight": 5, "bake": 1800}},
			"checks": []map[string]any{{"name": "errors", "query": "errorRate", "max": 1, "minSamples": 50}}})
		load := d.load(s, 200)
		began := time.Now()
		id := d.trigger("canary", map[string]any{"image": s.broken})
		e := d.await(id, 8*time.Minute)
		took := time.Since(began)
		result := load.Stop()
		share := 100 * float64(result.Failed) / float64(result.Sent)
		t.Logf("%s after %s; %d of %d requests of users failed, %.2f %%; %s", e.Status, took.Round(time.Second), result.Failed, result.Sent, share, result)
		if e.Status != "TERMINAL" {
			t.Errorf("the broken version ended %s: %s", e.Status, stageContext(e))
		}
		if result.Failed == 0 || share > 1 {
			t.Errorf("%d of %d requests failed; a tenth of 5 %% were to be expected", result.Failed, result.Sent)
		}
		var deployments []struct {
			Status  string
			Failure struct{ Code, Message string }
		}
		if status, raw := d.call(http.MethodGet, d.url+"/executions/"+id+"/deployments", nil, &deployments); status != http.StatusOK {
			t.Fatalf("read deployments: %d %s", status, raw)
		}
		if len(deployments) != 1 || deployments[0].Status != "ROLLED_BACK" || deployments[0].Failure.Code != "check" ||
			!strings.Contains(deployments[0].Failure.Message, "check errors: errorRate of "+s.next()) {
			t.Errorf("deployments %+v", deployments)
		}
		for _, one := range deployments {
			t.Logf("reason: %s", one.Failure.Message)
		}
		d.untilGroups(s, time.Minute, "the cluster to be as before", func(g map[string]groupView) bool { return cmp.Equal(before, g) })
		if violations := d.audit(s, 3, 4); len(violations) > 0 {
			t.Errorf("the auditor finds: %+v", violations)
		}
	})
}
