package main

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// saveOperations saves a pipeline of operations on the site's cluster, one after
// the other.
func (d *daemon) saveOperations(s site, name string, stages ...map[string]any) {
	d.t.Helper()
	for i, stage := range stages {
		stage["refId"], stage["requisiteStageRefIds"] = strconv.Itoa(i+1), []string{}
		if i > 0 {
			stage["requisiteStageRefIds"] = []string{strconv.Itoa(i)}
		}
		stage["cloudProvider"], stage["credentials"], stage["regions"], stage["cluster"] = s.provider, s.account, []string{s.region}, s.cluster
	}
	document := map[string]any{"application": "storefront", "name": name, "stages": stages}
	if status, raw := d.call(http.MethodPost, d.url+"/pipelines", document, nil); status != http.StatusOK {
		d.t.Fatalf("save pipeline: %d %s", status, raw)
	}
}

// TestOperations brings a stand-by server group back beside the new one and takes
// it out of service again, under load: no request fails, the changes are the
// planned ones, and the last group that serves cannot be disabled.
func TestOperations(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s site) {
		d := simulated(t)
		d.savePipeline(s, "bluegreen", 3, map[string]any{"strategy": "bluegreen", "maxRemainingAsgs": 3})
		if e := d.await(d.trigger("bluegreen", map[string]any{"image": s.good}), 5*time.Minute); e.Status != "SUCCEEDED" {
			t.Fatalf("deployment ended %s: %s", e.Status, stageContext(e))
		}
		stages := []map[string]any{{"type": "enableServerGroup", "target": "oldest_asg_dynamic"}}
		if s.sized {
			stages = append(stages, map[string]any{"type": "resizeServerGroup", "target": "current_asg_dynamic", "action": "scale_exact",
				"capacity": map[string]int{"min": 4, "max": 4, "desired": 4}})
		}
		stages = append(stages, map[string]any{"type": "disableServerGroup", "target": "ancestor_asg_dynamic"},
			map[string]any{"type": "destroyServerGroup", "serverGroupName": s.first()})
		d.saveOperations(s, "operate", stages...)
		load := d.load(s, 50)
		plan := d.plan("operate", nil)
		id := d.startWith("operate", map[string]any{"planHash": plan.Hash})
		e := d.await(id, 5*time.Minute)
		result := load.Stop()
		t.Logf("%s; %s", e.Status, result)
		if e.Status != "SUCCEEDED" || result.Failed > 0 {
			t.Fatalf("ended %s with %d failed requests %+v: %s", e.Status, result.Failed, result.Failures, stageContext(e))
		}
		if diff := cmp.Diff(plan.changes(), d.changes(id)); diff != "" {
			t.Errorf("(-planned +made):\n%s", diff)
		}
		d.untilGroups(s, time.Minute, "one server group to be left", func(g map[string]groupView) bool { return len(g) == 1 })
		d.saveOperations(s, "too far", map[string]any{"type": "disableServerGroup", "target": "current_asg_dynamic"})
		if e := d.await(d.startWith("too%20far", map[string]any{}), time.Minute); e.Status != "TERMINAL" {
			t.Errorf("disabling the last one ended %s", e.Status)
		}
	})
}
