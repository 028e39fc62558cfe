package main

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// rollBack asks for a rollback of the site's cluster, again when the cloud's limit
// on requests is in the way: a refused one did nothing.
func (d *daemon) rollBack(s site, action string, body map[string]any, into any) (status int, raw []byte) {
	d.t.Helper()
	body["reason"], body["regions"], body["cloudProvider"] = "it is worse", []string{s.region}, s.provider
	d.untilEvery(time.Second, time.Minute, "an answer to the rollback", func() bool {
		status, raw = d.call(http.MethodPost, d.url+"/applications/storefront/clusters/"+s.account+"/"+s.cluster+"/rollback"+action, body, into)
		return status != http.StatusTooManyRequests
	})
	return status, raw
}

// ended waits until an execution is over. The auditor is not told: it knows a
// deployment by the server groups that it made, and a rollback writes to those of
// deployments that are over.
func (d *daemon) ended(id string) (e execution) {
	d.t.Helper()
	d.until(5*time.Minute, "execution "+id+" to end", func() bool {
		e = d.execution(id)
		return !slices.Contains([]string{"NOT_STARTED", "RUNNING", "PAUSED"}, e.Status)
	})
	return e
}

// settledGroups are the site's server groups as a rollback promises to restore them.
func (d *daemon) settledGroups(s site) map[string]groupView {
	d.t.Helper()
	groups := d.groups(s)
	for name, g := range groups {
		if g.Disabled {
			g.Counts = nil // of a stand-by that is on its way
		}
		groups[name] = g
	}
	return groups
}

// replace deploys an image to the site with a strategy, by a pipeline of its own.
func (d *daemon) replace(s site, pipeline, strategy, image string, fields map[string]any) (execution string) {
	d.t.Helper()
	all := map[string]any{"strategy": strategy, "healthTimeoutSec": 120}
	maps.Copy(all, fields)
	d.savePipeline(s, pipeline, 3, all)
	return d.trigger(url.PathEscape(pipeline), map[string]any{"image": image})
}

// succeeds waits for the end of an execution, which must be a success.
func (d *daemon) succeeds(id string) {
	d.t.Helper()
	if e := d.ended(id); e.Status != "SUCCEEDED" {
		d.t.Fatalf("execution %s ended %s: %s", id, e.Status, stageContext(e))
	}
}

// TestRollbackSurvivesADeath kills the process in the middle of a rollback, with
// another deployment waiting: the rollback goes on where it was, the deployment
// begins after it, and no request fails.
func TestRollbackSurvivesADeath(t *testing.T) {
	t.Parallel()
	d, s := simulated(t), asgSite()
	load := d.load(s, 50)
	d.succeeds(d.replace(s, "first", "bluegreen", s.good, map[string]any{"scaleDown": true, "maxRemainingAsgs": 4}))
	var ref struct{ Ref string }
	if status, raw := d.rollBack(s, "", map[string]any{"scaleDown": true}, &ref); status != http.StatusAccepted {
		t.Fatalf("roll back: %d %s", status, raw)
	}
	back := ref.Ref[strings.LastIndex(ref.Ref, "/")+1:]
	d.until(time.Minute, "the first change of the rollback", func() bool { return len(d.changes(back)) > 0 })
	next := d.replace(s, "second", "bluegreen", s.good, map[string]any{"scaleDown": true, "maxRemainingAsgs": 4})
	d.kill()
	d.start()
	d.succeeds(back)
	d.succeeds(next)
	result := load.Stop()
	t.Logf("%s", result)
	want := []string{
		"resize server group storefront-prod-v000 to min 3, desired 3, max 3", "set routing to storefront-prod-v000 100 %",
		"resize server group storefront-prod-v001 to min 0, desired 0, max 0",
	}
	if diff := cmp.Diff(want, d.changes(back)); diff != "" || result.Failed > 0 {
		t.Errorf("%d failed requests %+v, changes (-want +got):\n%s", result.Failed, result.Failures, diff)
	}
	if groups := d.groups(s); groups["storefront-prod-v002"].Disabled || !groups["storefront-prod-v000"].Disabled {
		t.Errorf("server groups %+v", groups)
	}
}

// TestRollbackOnDemand replaces a good version by another, twice, and rolls the
// cluster back under load: by the old server group while it is there, else by a new
// one. No request fails, the changes are the planned ones, the cluster is what it
// was, and a rollback is not rolled back.
func TestRollbackOnDemand(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s site) {
		d := simulated(t)
		load := d.load(s, 50)
		d.succeeds(d.replace(s, "first", "highlander", s.good, nil))
		d.untilGroups(s, time.Minute, "one server group to be left", func(g map[string]groupView) bool { return len(g) == 1 })
		before := d.settledGroups(s)
		keep := map[string]any{}
		if s.sized {
			keep = map[string]any{"scaleDown": true, "maxRemainingAsgs": 3}
		}
		for _, step := range []struct {
			strategy string
			fields   map[string]any
			says     string
		}{{"bluegreen", keep, s.cluster + "-v001 takes its traffic back"}, {"highlander", nil, s.cluster + "-v001 is gone and is deployed anew as " + s.cluster + "-v004"}} {
			d.succeeds(d.replace(s, "then "+step.strategy, step.strategy, s.old, step.fields))
			var planned plan
			status, raw := d.rollBack(s, "/plan", map[string]any{"destroy": true}, &planned)
			if status != http.StatusOK || !strings.Contains(string(raw), step.says) {
				t.Fatalf("plan: %d %s", status, raw)
			}
			var ref struct{ Ref string }
			if status, raw := d.rollBack(s, "", map[string]any{"destroy": true, "planHash": planned.Hash}, &ref); status != http.StatusAccepted {
				t.Fatalf("roll back: %d %s", status, raw)
			}
			id := ref.Ref[strings.LastIndex(ref.Ref, "/")+1:]
			d.succeeds(id)
			if diff := cmp.Diff(planned.changes(), d.changes(id)); diff != "" {
				t.Errorf("(-planned +made):\n%s", diff)
			}
			if status, raw := d.rollBack(s, "", map[string]any{}, nil); status != http.StatusConflict || !strings.Contains(string(raw), "a rollback is not rolled back") {
				t.Errorf("a second rollback: %d %s", status, raw)
			}
			if step.strategy == "bluegreen" {
				if diff := cmp.Diff(before, d.settledGroups(s)); diff != "" {
					t.Errorf("(-before +after):\n%s", diff)
				}
			}
		}
		result := load.Stop()
		t.Logf("%s", result)
		if result.Failed > 0 {
			t.Errorf("%d failed requests %+v", result.Failed, result.Failures)
		}
		if groups := d.settledGroups(s); len(groups) != 1 || groups[s.cluster+"-v004"].Disabled {
			t.Errorf("server groups %+v", groups)
		}
		if violations := d.auditBounds(d.bounds(s, 3), map[string]int{}); len(violations) > 0 {
			t.Errorf("the auditor finds: %+v", violations)
		}
	})
}
