package main

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMetricCheck deploys a version that is healthy and fails a tenth of its
// requests as a canary at 5 %, under load: its metric check rolls it back long
// before the bake is over, although the process is killed meanwhile. The requests
// that failed are reported: they are the price of a canary, at most its share of
// the errors and a bit.
func TestMetricCheck(t *testing.T) {
	onEach(t, func(t *testing.T, s site) {
		everySite(t, s)
		d := simulated(t)
		var before map[string]groupView
		d.untilGroups(s, time.Minute, "the seeded server group", func(g map[string]groupView) bool { before = g; return len(g) == 1 })
		d.savePipeline(s, "canary", 3, map[string]any{"strategy": "canary", "steps": []map[string]any{{"weight": 5, "bake": 1800}},
			"checks": []map[string]any{{"name": "errors", "query": "errorRate", "max": 1, "minSamples": 50}}})
		load := d.load(s, 200)
		began := time.Now()
		id := d.trigger("canary", map[string]any{"image": s.broken})
		d.untilGroups(s, 2*time.Minute, "the canary to serve", func(g map[string]groupView) bool { return g[s.next()].Counts["up"] > 0 })
		d.kill()
		d.start()
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

// TestMetricCheckPasses: a good version goes through its canary, which waits for
// a pass although its bake is shorter than a minute of the metrics.
func TestMetricCheckPasses(t *testing.T) {
	onEach(t, func(t *testing.T, s site) {
		everySite(t, site{})
		d := simulated(t)
		d.savePipeline(s, "canary", 3, map[string]any{"strategy": "canary", "steps": []map[string]any{{"weight": 5, "bake": 10}},
			"checks": []map[string]any{{"name": "errors", "query": "errorRate", "max": 1, "minSamples": 50, "onNoData": "rollback"},
				{"name": "speed", "query": "latencyP99", "max": 2000}, {"name": "traffic", "query": "requests", "min": 50}}})
		load := d.load(s, 100)
		began := time.Now()
		e := d.await(d.trigger("canary", map[string]any{"image": s.good}), 8*time.Minute)
		took := time.Since(began)
		result := load.Stop()
		t.Logf("%s after %s; %s", e.Status, took.Round(time.Second), result)
		if e.Status != "SUCCEEDED" || took < time.Minute {
			t.Errorf("the good version ended %s after %s: %s", e.Status, took, stageContext(e))
		}
		if result.Failed > 0 {
			t.Errorf("%d requests failed, the first: %+v", result.Failed, result.Failures[0])
		}
	})
}

// everySite skips the test on all but Auto Scaling groups, unless SLIPWAY_CHECKS
// is set: each needs whole minutes of real metrics.
func everySite(t *testing.T, s site) {
	t.Helper()
	if s.kind != "asg" && os.Getenv("SLIPWAY_CHECKS") == "" {
		t.Skip("SLIPWAY_CHECKS is not set")
	}
}
