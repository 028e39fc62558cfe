package main

import (
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestClone replaces the server group of each site by copies of it under load: first
// with another image, then with nothing of its own. No request fails, the changes
// are the planned ones, and the copies have the capacity and the image of their source.
func TestClone(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s site) {
		d := simulated(t)
		was := d.groups(s)[s.first()]
		d.saveClone(s, "newer", map[string]any{"strategy": "rolling", "maxSurge": "100%", "amiName": s.good, "image": s.good})
		d.saveClone(s, "again", map[string]any{"strategy": "bluegreen", "maxRemainingAsgs": 1})
		load := d.load(s, 50)
		for _, name := range []string{"newer", "again"} {
			plan := d.plan(name, nil)
			id := d.startWith(name, map[string]any{"planHash": plan.Hash})
			if e := d.await(id, 5*time.Minute); e.Status != "SUCCEEDED" {
				t.Fatalf("%s ended %s: %s", name, e.Status, stageContext(e))
			}
			if diff := cmp.Diff(plan.changes(), d.changes(id)); diff != "" {
				t.Errorf("%s (-planned +made):\n%s", name, diff)
			}
		}
		result := load.Stop()
		t.Log(result)
		if result.Failed > 0 {
			t.Errorf("%d failed requests %+v", result.Failed, result.Failures)
		}
		last := d.groups(s)[s.cluster+"-v002"]
		if !slices.Equal(last.Build.Images, []string{s.good}) || !maps.Equal(last.Capacity, was.Capacity) {
			t.Errorf("the copy of the copy is %+v; the first group was %+v", last, was)
		}
		d.saveClone(s, "nothing", map[string]any{"target": nil, "source": map[string]any{"serverGroupName": s.cluster + "-v099"},
			"capacity": map[string]int{"min": 1, "max": 1, "desired": 1}})
		if status, raw := d.call(http.MethodPost, d.url+"/pipelines/storefront/nothing", nil, nil); status != http.StatusBadRequest {
			t.Errorf("a copy of nothing was started: %d %s", status, raw)
		}
	})
}

// saveClone saves a pipeline that clones the site's newest server group.
func (d *daemon) saveClone(s site, name string, fields map[string]any) {
	d.t.Helper()
	stage := map[string]any{"refId": "1", "type": "cloneServerGroup", "name": "Clone", "cloudProvider": s.provider, "credentials": s.account,
		"region": s.region, "targetCluster": s.cluster, "target": "current_asg_dynamic"}
	for key, value := range fields {
		stage[key] = value
	}
	document := map[string]any{"application": "storefront", "name": name, "stages": []any{stage}}
	if status, raw := d.call(http.MethodPost, d.url+"/pipelines", document, nil); status != http.StatusOK {
		d.t.Fatalf("save pipeline: %d %s", status, raw)
	}
}
