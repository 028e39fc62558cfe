package main

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestBaseline promotes a canary that has a baseline beside it, and rolls back one
// that never becomes healthy, on each site under load: no request fails, the changes
// are the planned ones, and no baseline is left.
func TestBaseline(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s site) {
		d := simulated(t)
		d.savePipeline(s, "compared", 3, map[string]any{"strategy": "canary", "baseline": true, "healthTimeoutSec": 75, "maxRemainingAsgs": 2,
			"steps": []map[string]int{{"weight": 10, "bake": 2}, {"weight": 30}, {"weight": 100, "bake": 1}}})
		load := d.load(s, 50)
		parameters := map[string]any{"image": s.good}
		plan := d.plan("compared", parameters)
		id := d.startWith("compared", map[string]any{"parameters": parameters, "planHash": plan.Hash})
		if e := d.await(id, 5*time.Minute); e.Status != "SUCCEEDED" {
			t.Fatalf("ended %s: %s", e.Status, stageContext(e))
		}
		changes := d.changes(id)
		if diff := cmp.Diff(plan.changes(), changes); diff != "" {
			t.Errorf("(-planned +made):\n%s", diff)
		}
		if !slices.Contains(changes, "create server group "+s.cluster+"-v002 from "+s.first()) || !slices.Contains(changes, "destroy server group "+s.cluster+"-v002") {
			t.Errorf("no baseline came and went: %s", strings.Join(changes, "\n"))
		}
		before := d.groups(s)
		if e := d.await(d.trigger("compared", map[string]any{"image": s.bad}), 5*time.Minute); e.Status != "TERMINAL" {
			t.Fatalf("a version that is never healthy ended %s", e.Status)
		}
		result := load.Stop()
		t.Log(result)
		if result.Failed > 0 {
			t.Errorf("%d failed requests %+v", result.Failed, result.Failures)
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(d.groups(s)))); diff != "" {
			t.Errorf("server groups after the rollback (-before +after):\n%s", diff)
		}
		if violations := d.auditBounds(d.bounds(s, 3), map[string]int{}); len(violations) > 0 {
			t.Errorf("the auditor finds: %+v", violations)
		}
	})
}
