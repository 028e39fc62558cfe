package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/internal/loadgen"
)

// TestLiveTraffic deploys to twelve instances, or as many shares of the traffic,
// under open-loop load: a good version moves all traffic, one that never becomes
// healthy is rolled back by itself, and no request fails in either.
func TestLiveTraffic(t *testing.T) {
	onEach(t, func(t *testing.T, s site) {
		d := simulated(t, "SLIPWAY_SIMULATOR_INSTANCES=12")
		d.savePipeline(s, "rolling-12", 12, map[string]any{"strategy": "rolling", "maxSurge": 3, "healthTimeoutSec": 30})

		load := d.load(s, 200)
		good := d.await(d.trigger("rolling-12", map[string]any{"image": s.good}), 5*time.Minute)
		moved := load.Stop()
		t.Logf("good version: %s; %s", good.Status, moved)
		if good.Status != "SUCCEEDED" {
			t.Errorf("the good version ended %s: %s", good.Status, stageContext(good))
		}
		if moved.Failed > 0 {
			t.Errorf("%d requests failed, the first: %+v", moved.Failed, moved.Failures[0])
		}
		if moved.ByVersion["1.0"] == 0 || moved.ByVersion["1.1"] == 0 {
			t.Errorf("traffic did not move: %v", moved.ByVersion)
		}
		var before map[string]groupView
		d.untilGroups(s, time.Minute, "the old instances to be gone", func(g map[string]groupView) bool {
			before = g
			return len(g) == 2 && (!s.sized || g[s.first()].Counts["total"] == 0)
		})

		load = d.load(s, 200)
		bad := d.await(d.trigger("rolling-12", map[string]any{"image": s.bad}), 5*time.Minute)
		kept := load.Stop()
		t.Logf("version that is never healthy: %s; %s", bad.Status, kept)
		if bad.Status != "TERMINAL" {
			t.Errorf("the bad version ended %s: %s", bad.Status, stageContext(bad))
		}
		if kept.Failed > 0 {
			t.Errorf("%d requests failed, the first: %+v", kept.Failed, kept.Failures[0])
		}
		if len(kept.ByVersion) != 1 {
			t.Errorf("the bad version served: %v", kept.ByVersion)
		}
		var after map[string]groupView
		d.untilGroups(s, time.Minute, "the server groups", func(g map[string]groupView) bool { after = g; return len(g) > 0 })
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("server groups after the rollback (-before +after):\n%s", diff)
		}
		if violations := d.audit(s, 12, 15); len(violations) > 0 {
			t.Errorf("the auditor finds: %+v", violations)
		}
	})
}

func stageContext(e execution) string {
	if len(e.Stages) == 0 {
		return "no stages"
	}
	return string(e.Stages[0].Context)
}

// killsPerDeploy bounds the kills in one deploy, so that many kills mean many deploys.
const killsPerDeploy = 4

// kills is how often a test kills the process: SLIPWAY_KILLS, or 3.
func kills(t *testing.T) int {
	text := os.Getenv("SLIPWAY_KILLS")
	if text == "" {
		return 3
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("SLIPWAY_KILLS: %v", err)
	}
	return n
}

// TestCrash kills the process with SIGKILL at random points of rolling deploys
// under load and starts it again.
func TestCrash(t *testing.T) {
	onEach(t, func(t *testing.T, s site) {
		d := simulated(t)
		d.savePipeline(s, "rolling-3", 3, map[string]any{"strategy": "rolling", "maxSurge": 1, "healthTimeoutSec": 120})
		d.crash(crashes{
			sites: []site{s}, pipeline: "rolling-3", deployments: 1,
			parameters: []map[string]any{{"image": s.good}, {"image": s.old}},
		})
	})
}

// TestCrashBothClouds kills the process while deploys to all three target kinds
// are in flight in two clouds, in both waves of the seeded pipeline.
func TestCrashBothClouds(t *testing.T) {
	t.Parallel()
	asg, mig, run := asgSite(), migSite(), runSite()
	simulated(t).crash(crashes{
		sites: sites(), pipeline: "both-clouds", deployments: 6,
		parameters: []map[string]any{
			{"image": asg.good, "gceImage": mig.good, "containerImage": run.good},
			{"image": asg.old, "gceImage": mig.old, "containerImage": run.old},
		},
	})
}

// crashes says what is killed.
type crashes struct {
	// sites get load, and are judged.
	sites    []site
	pipeline string
	// parameters alternate from deploy to deploy.
	parameters []map[string]any
	// deployments is how many server groups one execution makes.
	deployments int
}

// crash deploys again and again until the process was killed often enough. All
// executions succeed, no request fails, no server group is made twice, and the
// auditor has nothing to say.
func (d *daemon) crash(c crashes) {
	t := d.t
	t.Helper()
	wanted := kills(t)
	loads := make([]*loadgen.Load, len(c.sites))
	for i, s := range c.sites {
		loads[i] = d.load(s, 100/len(c.sites))
	}
	var executions []string
	var recoveries []time.Duration
	for killed := 0; killed < wanted; {
		id := d.trigger(c.pipeline, c.parameters[len(executions)%len(c.parameters)])
		executions = append(executions, id)
		for here := 0; killed < wanted && here < killsPerDeploy; here++ {
			pause := time.NewTimer(time.Duration(500+rand.IntN(6000)) * time.Millisecond)
			<-pause.C
			if e := d.execution(id); e.Status != "RUNNING" && e.Status != "NOT_STARTED" {
				break
			}
			d.kill()
			killed++
			if took, called := d.restart(id); called {
				recoveries = append(recoveries, took)
			}
		}
		if e := d.await(id, 5*time.Minute); e.Status != "SUCCEEDED" {
			t.Fatalf("execution %s ended %s after %d kills: %s", id, e.Status, killed, stageContext(e))
		}
	}
	for i, load := range loads {
		result := load.Stop()
		t.Logf("%s: %s", c.sites[i].kind, result)
		if result.Failed > 0 {
			t.Errorf("%s: %d requests failed, the first: %+v", c.sites[i].kind, result.Failed, result.Failures[0])
		}
	}
	slices.Sort(recoveries)
	t.Logf("%d kills in %d executions, %d while there was more to do", wanted, len(executions), len(recoveries))
	if n := len(recoveries); n > 0 {
		t.Logf("process start to next cloud call: median %s, longest %s", recoveries[n/2], recoveries[n-1])
	}
	for _, id := range executions {
		if names := d.created(id); len(names) != c.deployments {
			t.Errorf("execution %s made server groups %v, want %d", id, names, c.deployments)
		}
	}
	floors, ceilings := map[string]int{}, map[string]int{}
	for _, s := range c.sites {
		maps.Copy(floors, d.bounds(s, 3))
		maps.Copy(ceilings, d.bounds(s, 4))
	}
	if violations := d.auditBounds(floors, ceilings); len(violations) > 0 {
		t.Errorf("the auditor finds: %+v", violations)
	}
}

// restart starts the process again and returns the time from its start to its next
// call to the cloud. called is false when the execution ended without one: it may have
// been killed after its last.
func (d *daemon) restart(id string) (took time.Duration, called bool) {
	d.t.Helper()
	var last int64
	if all := d.events(0); len(all) > 0 {
		last = all[len(all)-1].Seq
	}
	began := time.Now()
	found := make(chan time.Duration, 1)
	go func() {
		for {
			// The log is read by long poll; anything but an API call is not ours.
			var page struct{ Events []simulatorEvent }
			if !getJSON(fmt.Sprintf("%s/log?after=%d&wait=1s", d.sim.Control, last), &page) {
				found <- -1
				return
			}
			for _, e := range page.Events {
				if last = e.Seq; e.Kind == "APICall" {
					found <- time.Since(began)
					return
				}
			}
			if time.Since(began) > time.Minute {
				found <- -1
				return
			}
		}
	}()
	d.start()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case took = <-found:
			if took < 0 {
				d.t.Fatalf("no call to the cloud within a minute of the restart\n%s", d.log())
			}
			return took, true
		case <-tick.C:
			if e := d.execution(id); e.Status != "RUNNING" && e.Status != "NOT_STARTED" {
				return 0, false
			}
		}
	}
}

// created returns the names of the server groups that an execution's
// deployments made, each as often as it was made.
func (d *daemon) created(execution string) []string {
	d.t.Helper()
	var names []string
	for _, e := range d.events(0) {
		if e.Kind == "ResourceCreated" && e.Type == "group" && strings.HasPrefix(e.Tags["slipway:deployment"], execution+"/") {
			names = append(names, e.Name)
		}
	}
	return names
}

// TestCancelWhileTheCloudHangs cancels a deploy while no call to the cloud is
// answered: the execution is over within 5 s, and once the cloud answers again,
// traffic and capacity are as before.
func TestCancelWhileTheCloudHangs(t *testing.T) {
	onEach(t, func(t *testing.T, s site) {
		d := simulated(t)
		var before map[string]groupView
		d.untilGroups(s, time.Minute, "the seeded server group", func(g map[string]groupView) bool { before = g; return len(g) == 1 })
		d.savePipeline(s, "paused", 3, map[string]any{"strategy": "rolling", "maxSurge": 1, "pauseBetweenBatches": 10})
		id := d.trigger("paused", map[string]any{"image": s.good})
		d.untilGroups(s, 2*time.Minute, "the new server group", func(g map[string]groupView) bool { return g[s.next()].Counts["up"] > 0 })

		for _, service := range s.services {
			if status, raw := d.call(http.MethodPost, d.sim.Control+"/faults", map[string]any{"match": map[string]any{"service": service}, "effect": map[string]any{"kind": "hang"}}, nil); status/100 != 2 {
				t.Fatalf("inject fault: %d %s", status, raw)
			}
		}
		asked := time.Now()
		if status, raw := d.call(http.MethodPut, d.url+"/pipelines/"+id+"/cancel?reason=test", nil, nil); status != http.StatusOK {
			t.Fatalf("cancel: %d %s", status, raw)
		}
		var e execution
		d.until(30*time.Second, "the execution to end", func() bool { e = d.execution(id); return e.Status != "RUNNING" })
		took := time.Since(asked)
		t.Logf("canceled after %s", took)
		if e.Status != "CANCELED" || took > 5*time.Second {
			t.Errorf("execution is %s after %s", e.Status, took)
		}
		d.call(http.MethodDelete, d.sim.Control+"/faults", nil, nil)
		d.untilGroups(s, 3*time.Minute, "the cluster to be as before", func(g map[string]groupView) bool { return cmp.Equal(before, g) })
		d.tellEnds(id)
		if violations := d.audit(s, 3, 7); len(violations) > 0 {
			t.Errorf("the auditor finds: %+v", violations)
		}
	})
}

// TestPauseAndResume: a paused deploy makes no write until it is resumed.
func TestPauseAndResume(t *testing.T) {
	onEach(t, func(t *testing.T, s site) {
		d := simulated(t)
		id := d.trigger(s.pipeline, map[string]any{"image": s.good})
		d.untilGroups(s, 2*time.Minute, "the new server group", func(g map[string]groupView) bool { _, ok := g[s.next()]; return ok })
		if status, raw := d.call(http.MethodPut, d.url+"/pipelines/"+id+"/pause", nil, nil); status != http.StatusOK {
			t.Fatalf("pause: %d %s", status, raw)
		}
		d.until(10*time.Second, "the execution to be paused", func() bool { return d.execution(id).Status == "PAUSED" })
		if status, raw := d.call(http.MethodPut, d.url+"/pipelines/"+id+"/resume", nil, nil); status != http.StatusOK {
			t.Fatalf("resume: %d %s", status, raw)
		}
		if e := d.await(id, 5*time.Minute); e.Status != "SUCCEEDED" {
			t.Errorf("execution ended %s: %s", e.Status, stageContext(e))
		}
	})
}

// TestBadStarts: a process that cannot work says why and ends with the status
// that scripts expect.
func TestBadStarts(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	damaged := t.TempDir()
	if err := os.WriteFile(filepath.Join(damaged, storeFile), []byte(strings.Repeat("this is no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "slipway.yaml")
	if err := os.WriteFile(config, []byte("acounts: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"damaged database", []string{"--simulate", "--data", damaged}, 1, damaged},
		{"data folder is a file", []string{"--simulate", "--data", file}, 1, file},
		{"data folder cannot be made", []string{"--simulate", "--data", "/proc/slipway"}, 1, "/proc/slipway"},
		{"nothing to deploy to", nil, 2, "--config"},
		{"unknown role", []string{"--simulate", "--role", "emperor"}, 2, "--role"},
		{"open to the world", []string{"--simulate", "--listen", "0.0.0.0:8084"}, 2, "--listen"},
		{"unknown key", []string{"--config", config}, 2, "acounts"},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := test.args
			if !slices.Contains(args, "--listen") {
				args = append(slices.Clone(args), "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0")
			}
			cmd := exec.CommandContext(t.Context(), path, args...)
			out, _ := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != test.code || !strings.Contains(string(out), test.says) {
				t.Errorf("exit status %d, want %d, and to read %q:\n%s", code, test.code, test.says, out)
			}
		})
	}
}
