package main

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestInPlace updates the one server group in place under load: a good version
// takes over without a failed request, one that never becomes healthy is rolled
// back by itself, and the group is as before. The changes are the planned ones.
func TestInPlace(t *testing.T) {
	t.Parallel()
	for _, s := range []site{asgSite(), migSite()} {
		t.Run(s.kind, func(t *testing.T) {
			t.Parallel()
			d := simulated(t)
			if s.kind == "asg" {
				s.fields["healthCheckGracePeriod"] = 20 // a refresh waits for it with each instance
			}
			d.savePipeline(s, "first", 4, map[string]any{"strategy": "highlander"})
			if e := d.await(d.trigger("first", map[string]any{"image": s.old}), 5*time.Minute); e.Status != "SUCCEEDED" {
				t.Fatalf("the first deployment ended %s: %s", e.Status, stageContext(e))
			}
			d.savePipeline(s, "in-place", 4, map[string]any{"strategy": "rolling", "inPlace": true, "maxSurge": 2, "healthTimeoutSec": 120})
			good := d.updateInPlace(s, s.good, "SUCCEEDED")
			if g := good[s.next()]; len(good) != 1 || g.Counts["up"] != 4 || g.Counts["total"] != 4 {
				t.Errorf("server groups after the update: %+v", good)
			}
			after := d.updateInPlace(s, s.bad, "TERMINAL")
			if diff := cmp.Diff(good, after); diff != "" {
				t.Errorf("server groups after the rollback (-before +after):\n%s", diff)
			}
			// The group may count an instance before the load balancer does: as many may be missing as are replaced at once.
			violations := slices.DeleteFunc(d.audit(s, 1, 8), func(v violation) bool {
				// To the auditor a deployment is at work from the first thing on that it makes. A version of a launch template carries no tags.
				return s.kind == "asg" && v.Invariant == "I7"
			})
			if len(violations) > 0 {
				t.Errorf("the auditor finds: %+v", violations)
			}
		})
	}
}

// updateInPlace starts the pipeline under load, wants no request to fail and, of
// what succeeds, the planned changes, and returns the server groups after it.
func (d *daemon) updateInPlace(s site, image, want string) map[string]groupView {
	d.t.Helper()
	parameters := map[string]any{"image": image}
	plan := d.plan("in-place", parameters)
	load := d.load(s, 50)
	id := d.startWith("in-place", map[string]any{"parameters": parameters, "planHash": plan.Hash})
	e := d.await(id, 5*time.Minute)
	result := load.Stop()
	d.t.Logf("%s: %s; %s", image, e.Status, result)
	if e.Status != want || result.Failed > 0 {
		d.t.Fatalf("%s ended %s with %d failed requests %+v: %s", image, e.Status, result.Failed, result.Failures, stageContext(e))
	}
	if versions := len(result.ByVersion); (versions == 2) != (want == "SUCCEEDED") {
		d.t.Errorf("%s ended %s, and %d versions served: %v", image, want, versions, result.ByVersion)
	}
	if diff := cmp.Diff(plan.changes(), d.changes(id)); diff != "" && want == "SUCCEEDED" {
		d.t.Errorf("%s (-planned +made):\n%s", image, diff)
	}
	var groups map[string]groupView
	d.untilGroups(s, time.Minute, "the surplus instances to be gone", func(g map[string]groupView) bool {
		groups = g
		return len(g) == 1 && g[s.next()].Counts["total"] == 4
	})
	return groups
}
