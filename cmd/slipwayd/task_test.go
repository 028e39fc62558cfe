package main

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// onCluster completes jobs with the site's cluster.
func (s site) onCluster(jobs ...map[string]any) []map[string]any {
	for _, job := range jobs {
		job["cloudProvider"], job["credentials"], job["regions"], job["cluster"] = s.provider, s.account, []string{s.region}, s.cluster
	}
	return jobs
}

// createJob deploys to the site what a job before it finds.
func (s site) createJob(size int, strategy map[string]any) map[string]any {
	job := map[string]any{"type": "createServerGroup", "application": "storefront", "account": s.account, "cloudProvider": s.provider,
		"capacity": map[string]int{"min": size, "max": size, "desired": size}}
	maps.Copy(job, s.fields)
	maps.Copy(job, strategy)
	delete(job, "amiName")
	delete(job, "image")
	return job
}

// planTask asks what a task would do.
func (d *daemon) planTask(jobs []map[string]any) plan {
	d.t.Helper()
	var p plan
	if status, raw := d.call(http.MethodPost, d.url+"/tasks/plan", map[string]any{"application": "storefront", "job": jobs}, &p); status != http.StatusOK {
		d.t.Fatalf("plan task: %d %s", status, raw)
	}
	return p
}

// startTask starts a task that has this plan and returns its id.
func (d *daemon) startTask(jobs []map[string]any, planHash string) string {
	d.t.Helper()
	var ref struct{ Ref string }
	body := map[string]any{"application": "storefront", "description": "a test", "job": jobs, "planHash": planHash}
	if status, raw := d.call(http.MethodPost, d.url+"/tasks", body, &ref); status != http.StatusOK {
		d.t.Fatalf("start task: %d %s", status, raw)
	}
	return strings.TrimPrefix(ref.Ref, "/tasks/")
}

// awaitTask waits until a task is over and returns its execution.
func (d *daemon) awaitTask(id string, limit time.Duration) execution {
	d.t.Helper()
	var task struct {
		Status    string
		Execution execution
	}
	d.until(limit, "task "+id+" to end", func() bool {
		d.call(http.MethodGet, d.url+"/tasks/"+id, nil, &task)
		return task.Status != "NOT_STARTED" && task.Status != "RUNNING"
	})
	d.tellEnds(id)
	return task.Execution
}

// TestTasks finds the image that runs, deploys it again beside the old server group,
// and cleans the cluster up, all by hand and under load: no request fails, and the
// changes are the planned ones. What the traffic guard forbids is refused, and a
// canceled task gives back what it took.
func TestTasks(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s site) {
		d := simulated(t)
		load := d.load(s, 50)
		run := func(what string, jobs []map[string]any) {
			t.Helper()
			plan := d.planTask(jobs)
			id := d.startTask(jobs, plan.Hash)
			if e := d.awaitTask(id, 5*time.Minute); e.Status != "SUCCEEDED" {
				t.Fatalf("%s ended %s: %s", what, e.Status, stageContext(e))
			}
			if diff := cmp.Diff(plan.changes(), d.changes(id)); diff != "" {
				t.Errorf("%s (-planned +made):\n%s", what, diff)
			}
		}
		run("deploy what runs", append(s.onCluster(map[string]any{"type": "findImage", "selectionStrategy": "NEWEST"}),
			s.createJob(3, map[string]any{"strategy": "bluegreen", "maxRemainingAsgs": 5})))
		run("share the traffic again", s.onCluster(map[string]any{"type": "enableServerGroup", "target": "oldest_asg_dynamic"}))
		if s.sized {
			run("grow", s.onCluster(map[string]any{"type": "resizeServerGroup", "target": "current_asg_dynamic", "capacity": map[string]int{"min": 4, "max": 4, "desired": 4}}))
		}
		run("disable", s.onCluster(map[string]any{"type": "disableCluster", "remainingEnabledServerGroups": 1}))
		if s.sized {
			run("scale down", s.onCluster(map[string]any{"type": "scaleDownCluster"}))
			if g := d.groups(s)[s.first()]; g.Capacity["desired"] != 0 {
				t.Errorf("%s is left at %v", s.first(), g.Capacity)
			}
		}
		run("shrink", s.onCluster(map[string]any{"type": "shrinkCluster", "shrinkToSize": 1}))
		d.untilGroups(s, time.Minute, "one server group to be left", func(g map[string]groupView) bool { return len(g) == 1 && !g[s.next()].Disabled })
		if e := d.awaitTask(d.startTask(s.onCluster(map[string]any{"type": "disableServerGroup", "target": "current_asg_dynamic"}), ""), time.Minute); e.Status != "TERMINAL" {
			t.Errorf("disabling the last one ended %s", e.Status)
		}
		if s.sized {
			d.cancelGrowth(s)
		}
		if result := load.Stop(); result.Failed > 0 {
			t.Errorf("%s; %+v", result, result.Failures)
		} else {
			t.Log(result)
		}
	})
}

// cancelGrowth cancels a task in its middle.
func (d *daemon) cancelGrowth(s site) {
	d.t.Helper()
	id := d.startTask(s.onCluster(map[string]any{"type": "resizeServerGroup", "target": "current_asg_dynamic", "capacity": map[string]int{"min": 6, "max": 6, "desired": 6}}), "")
	d.until(time.Minute, "the resize to be written", func() bool { return len(d.changes(id)) > 0 })
	if status, raw := d.call(http.MethodPut, d.url+"/tasks/"+id+"/cancel?reason=enough", nil, nil); status != http.StatusOK {
		d.t.Fatalf("cancel task: %d %s", status, raw)
	}
	if e := d.awaitTask(id, time.Minute); e.Status != "CANCELED" {
		d.t.Errorf("the canceled task ended %s", e.Status)
	}
	d.untilGroups(s, time.Minute, "the old capacity", func(g map[string]groupView) bool { return g[s.next()].Capacity["desired"] == 4 })
}

// TestImageOfAPackage finds the newest image with a name, as the start of a
// pipeline would.
func TestImageOfAPackage(t *testing.T) {
	t.Parallel()
	d := simulated(t)
	for _, s := range []site{asgSite(), migSite()} {
		var p struct {
			Stages []struct {
				Images []struct{ ImageID, ImageName, Region string }
			}
		}
		name := strings.TrimSuffix(strings.TrimSuffix(s.good, "-1"), ".1")
		job := map[string]any{"type": "findImageFromTags", "cloudProvider": s.provider, "regions": []string{s.region}, "packageName": name}
		status, raw := d.call(http.MethodPost, d.url+"/tasks/plan", map[string]any{"application": "storefront", "job": []any{job}}, &p)
		if status != http.StatusOK || len(p.Stages) != 1 || len(p.Stages[0].Images) != 1 || !strings.HasPrefix(p.Stages[0].Images[0].ImageName, name) {
			t.Errorf("%s: %d %s", name, status, raw)
		}
	}
}
