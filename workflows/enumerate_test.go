package workflows

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/internal/fakecloud"
)

// TestEnumerated tries every crash and every cancel of every strategy and operation, of
// groups with and without a size, of a good version and of bad ones. A dry run numbers the
// calls, the commits and the events. Then, for each number, one deployment has its
// worker die before that call or commit, one after it, and one is canceled at that
// event. They end as the dry run, or as before, and no invariant is broken. Of the
// canceled one with the longest way back every crash after the cancel is tried, too.
//
// By default it is every third number, with -short every eleventh, and every one with
// SLIPWAY_ENUMERATE=all.
func TestEnumerated(t *testing.T) {
	for _, e := range enumeratedStrategies() {
		for _, unsized := range []bool{false, true} {
			if unsized && e.needsSize || !unsized && e.unsizedOnly {
				continue
			}
			for _, image := range []string{"good", "crash", "erring"} {
				if image == "erring" && !e.checked || image == "crash" && e.operation != "" && !e.versioned {
					continue
				}
				c := enumeratedCase{enumerated: e, unsized: unsized, image: image}
				t.Run(c.String(), func(t *testing.T) {
					t.Parallel()
					c.enumerate(t)
				})
			}
		}
	}
}

// enumeratedCase is an enumerated deployment on one kind of cloud with one version.
type enumeratedCase struct {
	enumerated
	unsized bool
	image   string
}

func (c enumeratedCase) String() string {
	sized := "sized"
	if c.unsized {
		sized = "unsized"
	}
	return strings.ReplaceAll(fmt.Sprintf("%s/%s/%s", c.name, sized, c.image), " ", "_")
}

// ended is a deployment that was carried out.
type ended struct {
	*points
	// canceledAt is the event at which it was canceled, 0 for none, with the answer, and
	// canceledAfter how many points there were before.
	canceledAt, canceledAfter int
	cancel                    answer
	execution                 delivery.Execution
	deployment                delivery.Deployment
	events                    int
	before                    map[string]string
	after                     map[string]string
	writes                    []string
}

// enumerate carries the case out once without trouble, and then with each.
func (c enumeratedCase) enumerate(t *testing.T) {
	dry := c.carryOut(t, &points{}, 0)
	want := delivery.DeploymentSucceeded
	if c.image != "good" {
		want = delivery.DeploymentRolledBack
	}
	if dry.deployment.Status != want {
		t.Fatalf("without trouble it ended %s and %s: %v, %v", dry.execution.Status, dry.deployment.Status, dry.deployment.Failure, dry.execution.Stages[0].Failure)
	}
	stride := enumeratedStride()
	runs := c.crashes(t, dry, dry, stride)
	var back ended // the canceled one with most to do on its way back
	for at := 1; at <= dry.events; at += stride {
		got := c.carryOut(t, &points{}, at)
		c.checkCanceled(t, fmt.Sprintf("cancel at event %d of %d", at, dry.events), got, dry)
		runs++
		if got.deployment.Status == delivery.DeploymentRolledBack && (back.points == nil || got.all()-got.canceledAfter > back.all()-back.canceledAfter) {
			back = got
		}
	}
	if back.points != nil {
		runs += c.crashes(t, back, dry, stride)
	}
	t.Logf("%d calls, %d commits, %d others, %d events: %d runs", dry.calls, dry.commits, dry.others, dry.events, runs)
}

// enumeratedStride is how many numbers go on to the next one that is tried.
func enumeratedStride() int {
	switch {
	case os.Getenv("SLIPWAY_ENUMERATE") == "all":
		return 1
	case testing.Short():
		return 11
	default:
		return 3
	}
}

// crashes has the worker die at each point of a deployment, or at each that follows its
// cancel. It ends as without that and has written the same; after a cancel it ends as one
// that is canceled, since a death decides what the cancel still finds.
func (c enumeratedCase) crashes(t *testing.T, without, dry ended, stride int) (runs int) {
	t.Helper()
	for at := without.canceledAfter + 1; at <= without.all(); at += stride {
		for _, after := range []bool{false, true} {
			c.crash(t, &points{dieAt: at, after: after}, without, dry)
			runs++
		}
	}
	return runs
}

func (c enumeratedCase) crash(t *testing.T, p *points, without, dry ended) {
	t.Helper()
	got := c.carryOut(t, p, without.canceledAt)
	about := func() string {
		return fmt.Sprintf("canceled at event %d, death at %d of %d, %s, after it had its effect: %v", without.canceledAt, p.dieAt, without.all(), p.made, p.after)
	}
	if !p.died && p.all() >= p.dieAt {
		t.Errorf("%s: nobody died", about()) // with fewer points there was nothing to die at
	}
	if without.canceledAt > 0 {
		c.checkCanceled(t, about(), got, dry)
		return
	}
	if got.execution.Status != without.execution.Status || got.deployment.Status != without.deployment.Status {
		t.Errorf("%s: ended %s and %s: %v", about(), got.execution.Status, got.deployment.Status, got.deployment.Failure)
	}
	if diff := cmp.Diff(without.after, got.after); diff != "" {
		t.Errorf("%s: cluster (-without +with):\n%s", about(), diff)
	}
	if diff := cmp.Diff(without.writes, got.writes); diff != "" {
		t.Errorf("%s: writes (-without +with):\n%s", about(), diff)
	}
}

// checkCanceled judges a deployment that was canceled: it ends as if it had never
// been, or, once the old groups are being given up, as wanted.
func (c enumeratedCase) checkCanceled(t *testing.T, about string, got, dry ended) {
	t.Helper()
	switch a := got.cancel; {
	case !a.ok() && got.execution.Status != dry.execution.Status:
		t.Errorf("%s was refused (%v, %v), and the execution ended %s", about, a.refused, a.err, got.execution.Status)
	case a.ok() && got.execution.Status != delivery.StatusCanceled:
		t.Errorf("%s was carried out, and the execution ended %s", about, got.execution.Status)
	case a.ok() && got.dieAt == 0 && got.execution.EndTime.Sub(a.sent) > 5*time.Second:
		t.Errorf("%s: CANCELED only after %s", about, got.execution.EndTime.Sub(a.sent))
	}
	want := got.before
	switch got.deployment.Status {
	case delivery.DeploymentSucceeded:
		want = dry.after
		for name, is := range got.after {
			if _, gone := dry.after[name]; !gone && is == dry.emptied(name) {
				want = withEntry(want, name, is) // what was to be destroyed may stay, but whole
			}
		}
	case delivery.DeploymentRolledBack, delivery.DeploymentCanceled, "":
	default:
		t.Errorf("%s: deployment %s: %v", about, got.deployment.Status, got.deployment.Failure)
	}
	if diff := cmp.Diff(want, got.after); diff != "" {
		t.Errorf("%s, which ended %s (-want +is):\n%s", about, got.deployment.Status, diff)
	}
}

// emptied is a group of before that lost its traffic and nothing else.
func (e ended) emptied(group string) string {
	was, _, _ := strings.Cut(e.before[group], " weight=")
	return was + " weight=0"
}

func withEntry(m map[string]string, key, value string) map[string]string {
	out := map[string]string{key: value}
	for k, v := range m {
		out[k] = v
	}
	return out
}

// carryOut carries the deployment out, and cancels it at an event; at 0 it does not.
func (c enumeratedCase) carryOut(t *testing.T, p *points, cancelAt int) ended {
	t.Helper()
	config := erring()
	config.Unsized = c.unsized
	bounds := fakecloud.Bounds{Floor: c.floor, Ceiling: c.ceiling}
	if c.unsized {
		bounds = fakecloud.Bounds{Floor: 1, Ceiling: 2 + c.beside} // each group shows one instance
	}
	w := newWorld(t, c.document(), config, c.existing()...)
	if c.recorded {
		w.remember(t, was(2), c.image)
	}
	p.number(w)
	w.cloud.Bound(bounds)
	w.store.onDeployment = func(d delivery.Deployment) {
		switch {
		case d.Status.Complete():
			w.cloud.Close()
		case d.Status == delivery.DeploymentRollingBack:
			bounds.Ceiling = c.ceiling + 3 // the old capacity comes back before the new one goes
			w.cloud.Bound(bounds)
		}
	}
	w.passGates()
	got := ended{points: p, before: pictured(w.cloud.Truth()), canceledAt: cancelAt, cancel: answer{name: updateCancel}}
	seen := 0
	w.store.onEvent = func(delivery.Event) {
		if seen++; seen == cancelAt {
			got.canceledAfter = p.reached()
			w.env.RegisterDelayedCallback(func() {
				got.cancel.sent = w.env.Now()
				w.env.UpdateWorkflow(updateCancel, "cancel", &got.cancel, Command{By: "joe", Reason: "a test"})
			}, 0)
		}
	}
	got.execution = w.run(t)
	truth := w.cloud.Truth()
	got.deployment, got.events, got.after = w.store.deployments[delivery.NewDeploymentID(testExecution, "1", testCluster)], len(w.store.events), pictured(truth)
	for _, write := range w.cloud.Writes() {
		got.writes = append(got.writes, write.Action+" "+write.Change.String())
	}
	for _, g := range truth.Groups {
		if len(g.Spare) > 0 && cancelAt == 0 { // a cancel ends the cleaning up
			t.Errorf("death at %d, %s: nothing uses %v of %s", p.dieAt, p.made, g.Spare, g.Name)
		}
	}
	if v := w.cloud.Violations(); len(v) > 0 {
		t.Errorf("death at %d, %s: violations: %q", p.dieAt, p.made, v)
	}
	return got
}

func (c enumeratedCase) document() string {
	if c.operation != "" {
		return operateDocument(strings.ReplaceAll(c.operation, "IMAGE", c.image))
	}
	return deployDocument(c.image, "lb", c.strategy, 3)
}

func (c enumeratedCase) existing() []fakecloud.Existing {
	if c.there == nil {
		return []fakecloud.Existing{v000(3)}
	}
	return c.there(c.image)
}

// pictured is what a deployment promises of each group: what it runs, too.
func pictured(s delivery.Snapshot) map[string]string {
	out := settled(s)
	for _, g := range s.Groups {
		out[g.Name] = g.Image + " " + out[g.Name]
	}
	return out
}

// passGates lets the pipelines of gates succeed after a while.
func (w *world) passGates() {
	w.store.pipelines["check"] = delivery.Pipeline{ID: "check", Application: "shop", Name: "Check",
		Document: json.RawMessage(`{"name":"Check","stages":[{"refId":"1","type":"wait","waitTime":1}]}`)}
	var started []delivery.ExecutionID
	w.locks.onStart = func(id delivery.ExecutionID) {
		if slices.Contains(started, id) {
			return
		}
		started = append(started, id)
		w.env.RegisterDelayedCallback(func() {
			w.store.mu.Lock()
			defer w.store.mu.Unlock()
			e := w.store.executions[id]
			e.Status = delivery.StatusSucceeded
			w.store.executions[id] = e
		}, 20*time.Second)
	}
}
