package rollout_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
	"github.com/slipway-cd/slipway/internal/fakecloud"
)

// groupOperations are the operations on one server group.
func groupOperations() []rollout.OperationKind {
	return []rollout.OperationKind{rollout.ResizeOperation, rollout.EnableOperation, rollout.DisableOperation, rollout.DestroyOperation}
}

var clusterOperations = []rollout.OperationKind{rollout.ShrinkOperation, rollout.ScaleDownOperation, rollout.DisableClusterOperation}

// onCluster is the input of an operation on a cluster.
func onCluster(t fataler, kind rollout.OperationKind, keep rollout.Keep) rollout.Input {
	in := operation(t, kind, "")
	in.Operation.Keep = &keep
	if kind == rollout.ScaleDownOperation {
		in.Operation.Capacity = &delivery.Capacity{}
	}
	return in
}

// left tells of each group its size and its share.
func left(s delivery.Snapshot) map[string]string {
	out := map[string]string{}
	for _, g := range s.Groups {
		out[strings.TrimPrefix(g.Name, "shop-prod-")] = fmt.Sprintf("%d at %d %%", g.Capacity.Desired, s.Routing.Percent(g.Name))
	}
	return out
}

// TestClusterOperations keeps what Spinnaker keeps: of groups that may be given up
// those with traffic first, then the larger or the newer ones.
func TestClusterOperations(t *testing.T) {
	four := []fakecloud.Existing{existing("v001", 5, 0), existing("v002", 4, 20), existing("v003", 2, 80), existing("v004", 1, 0)}
	for _, test := range []struct {
		name   string
		in     rollout.Input
		groups []fakecloud.Existing
		want   map[string]string
	}{
		{"shrink to those that serve", onCluster(t, rollout.ShrinkOperation, rollout.Keep{Groups: 1}), four,
			map[string]string{"v002": "4 at 20 %", "v003": "2 at 80 %"}},
		{"shrink to three, the newer", onCluster(t, rollout.ShrinkOperation, rollout.Keep{Groups: 3}), four,
			map[string]string{"v002": "4 at 20 %", "v003": "2 at 80 %", "v004": "1 at 0 %"}},
		{"shrink to three, the larger", onCluster(t, rollout.ShrinkOperation, rollout.Keep{Groups: 3, Larger: true}), four,
			map[string]string{"v001": "5 at 0 %", "v002": "4 at 20 %", "v003": "2 at 80 %"}},
		{"shrink to one", onCluster(t, rollout.ShrinkOperation, rollout.Keep{Groups: 1, Active: true}), four,
			map[string]string{"v003": "2 at 100 %"}},
		{"shrink to the largest that serves", onCluster(t, rollout.ShrinkOperation, rollout.Keep{Groups: 1, Active: true, Larger: true}), four,
			map[string]string{"v002": "4 at 100 %"}},
		{"nothing to shrink", onCluster(t, rollout.ShrinkOperation, rollout.Keep{Groups: 4}), four, left(newOperation(operation(t, rollout.DisableOperation, "current"), calm(), four...).cloud.Truth())},
		{"scale down what stands by", onCluster(t, rollout.ScaleDownOperation, rollout.Keep{Groups: 1}), four,
			map[string]string{"v001": "0 at 0 %", "v002": "4 at 20 %", "v003": "2 at 80 %", "v004": "0 at 0 %"}},
		{"scale down to one", onCluster(t, rollout.ScaleDownOperation, rollout.Keep{Groups: 1, Active: true}), four,
			map[string]string{"v001": "0 at 0 %", "v002": "0 at 0 %", "v003": "2 at 100 %", "v004": "0 at 0 %"}},
		{"disable all but the newest", onCluster(t, rollout.DisableClusterOperation, rollout.Keep{Groups: 1}), four,
			map[string]string{"v001": "5 at 0 %", "v002": "4 at 0 %", "v003": "2 at 100 %", "v004": "1 at 0 %"}},
		{"disable all but the largest", onCluster(t, rollout.DisableClusterOperation, rollout.Keep{Groups: 1, Larger: true}), four,
			map[string]string{"v001": "5 at 0 %", "v002": "4 at 100 %", "v003": "2 at 0 %", "v004": "1 at 0 %"}},
		{"disable none of two", onCluster(t, rollout.DisableClusterOperation, rollout.Keep{Groups: 2}), four,
			map[string]string{"v001": "5 at 0 %", "v002": "4 at 20 %", "v003": "2 at 80 %", "v004": "1 at 0 %"}},
		{"two of three lose their traffic", onCluster(t, rollout.ScaleDownOperation, rollout.Keep{Groups: 1, Active: true}),
			[]fakecloud.Existing{existing("v001", 2, 25), existing("v002", 2, 25), existing("v003", 2, 50)},
			map[string]string{"v001": "0 at 0 %", "v002": "0 at 0 %", "v003": "2 at 100 %"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newOperation(test.in, calm(), test.groups...)
			d.cloud.Bound(fakecloud.Bounds{Floor: 2, Ceiling: 12})
			plan, after := rollout.PlanOf(d.state.Input, d.cloud.Truth(), rollout.Estimates{})
			if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
				t.Fatalf("outcome %+v %v%s", got, got.Failure, describe(d.cloud.Writes()))
			}
			if diff := cmp.Diff(test.want, left(d.cloud.Truth())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(changesOf(plan), madeBy(d.cloud.Writes())); diff != "" || plan.Failure != nil {
				t.Errorf("plan: %v (-planned +made):\n%s", plan.Failure, diff)
			}
			if diff := cmp.Diff(test.want, left(after)); diff != "" {
				t.Errorf("(-want +planned):\n%s", diff)
			}
		})
	}
}

// TestClusterOperationsBehindNoRouter take instances for traffic.
func TestClusterOperationsBehindNoRouter(t *testing.T) {
	config := calm()
	config.Router = false
	groups := []fakecloud.Existing{existing("v001", 3, 0), {Name: "shop-prod-v002", Image: "old"}, existing("v003", 2, 0)}
	for _, test := range []struct {
		in   rollout.Input
		want map[string]string
	}{
		{onCluster(t, rollout.ShrinkOperation, rollout.Keep{Groups: 1}), map[string]string{"v001": "3 at 0 %", "v003": "2 at 0 %"}},
		{onCluster(t, rollout.ShrinkOperation, rollout.Keep{Groups: 1, Active: true}), map[string]string{"v003": "2 at 0 %"}},
		{onCluster(t, rollout.ScaleDownOperation, rollout.Keep{Groups: 1, Active: true}), map[string]string{"v001": "0 at 0 %", "v002": "0 at 0 %", "v003": "2 at 0 %"}},
	} {
		d := newOperation(test.in, config, groups...)
		d.cloud.Bound(fakecloud.Bounds{Floor: 2, Ceiling: 5})
		if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
			t.Fatalf("%s: outcome %+v %v", test.in.Operation.Kind, got, got.Failure)
		}
		if diff := cmp.Diff(test.want, left(d.cloud.Truth())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.in.Operation.Kind, diff)
		}
	}
}

// TestRefusedClusterOperations are refused with the reason and without a write.
func TestRefusedClusterOperations(t *testing.T) {
	foreign := existing("v001", 2, 0)
	foreign.Unmanaged = true
	sick := existing("v003", 2, 50)
	sick.Sick = 2
	everything := rollout.Keep{Active: true}
	for _, test := range []struct {
		name   string
		in     rollout.Input
		config func(*fakecloud.Config)
		groups []fakecloud.Existing
		kind   delivery.Kind
		reason string
	}{
		{"destroy everything", onCluster(t, rollout.ShrinkOperation, everything), nil, []fakecloud.Existing{existing("v001", 2, 40), existing("v002", 2, 60), existing("v003", 2, 0)}, delivery.Guarded, "would be left"},
		{"scale everything down", onCluster(t, rollout.ScaleDownOperation, everything), nil, []fakecloud.Existing{existing("v001", 2, 100)}, delivery.Guarded, "would be left"},
		{"scale everything down behind no router", onCluster(t, rollout.ScaleDownOperation, everything), func(c *fakecloud.Config) { c.Router = false },
			[]fakecloud.Existing{existing("v001", 2, 0), existing("v002", 2, 0)}, delivery.Guarded, "would be left"},
		{"leave a sick one", onCluster(t, rollout.DisableClusterOperation, rollout.Keep{Groups: 1}), nil, []fakecloud.Existing{existing("v002", 2, 50), sick}, delivery.Guarded, "no healthy instance"},
		{"destroy what is not ours", onCluster(t, rollout.ShrinkOperation, rollout.Keep{Groups: 1}), nil, []fakecloud.Existing{foreign, existing("v002", 2, 100)}, delivery.Guarded, "no ownership tag"},
		{"disable behind no router", onCluster(t, rollout.DisableClusterOperation, rollout.Keep{Groups: 1}), func(c *fakecloud.Config) { c.Router = false },
			[]fakecloud.Existing{existing("v001", 2, 0), existing("v002", 2, 0)}, delivery.Invalid, "behind no load balancer"},
		{"scale down what has no size", onCluster(t, rollout.ScaleDownOperation, rollout.Keep{Groups: 1}), func(c *fakecloud.Config) { c.Unsized = true },
			[]fakecloud.Existing{existing("v001", 2, 0), existing("v002", 2, 100)}, delivery.Invalid, "cannot be changed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := calm()
			if test.config != nil {
				test.config(&config)
			}
			d := newOperation(test.in, config, test.groups...)
			got := d.run(t)
			if got.Status != delivery.DeploymentFailed || got.Failure.Kind != test.kind.String() || !strings.Contains(got.Failure.Message, test.reason) {
				t.Errorf("outcome %+v %v", got, got.Failure)
			}
			if len(d.cloud.Writes()) > 0 {
				t.Errorf("writes: %s", describe(d.cloud.Writes()))
			}
		})
	}
}

// clusterRuns are operations with weights and several groups to see to.
func clusterRuns(t *testing.T, unsized bool) map[string]func() *drive {
	out := map[string]func() *drive{}
	for _, kind := range clusterOperations {
		if unsized && kind == rollout.ScaleDownOperation {
			continue
		}
		out[string(kind)] = func() *drive {
			config := calm()
			config.Unsized = unsized
			return newOperation(onCluster(t, kind, rollout.Keep{Groups: 1, Active: true}), config, existing("v001", 3, 0), existing("v002", 2, 30), existing("v003", 2, 70))
		}
	}
	return out
}

// TestCancelOfClusterOperations cancels at every look: the cluster is as before,
// or, once a group was destroyed, the one under way is destroyed and no other.
func TestCancelOfClusterOperations(t *testing.T) {
	for _, unsized := range []bool{false, true} {
		for name, start := range clusterRuns(t, unsized) {
			without := start()
			without.run(t)
			for at := 1; at <= without.looks; at++ {
				d := start()
				was, destroyed := d.cloud.Truth(), 0
				d.at = func(d *drive) {
					if d.looks == at {
						d.state = d.state.Cancel(delivery.Principal{Name: "joe"}, "")
						destroyed = destructions(d)
					}
				}
				got := d.run(t)
				truth := d.cloud.Truth()
				switch {
				case got.Status == delivery.DeploymentSucceeded:
					if diff := cmp.Diff(settled(without.cloud.Truth()), settled(truth)); diff != "" {
						t.Fatalf("%s canceled at look %d: %s", name, at, diff)
					}
				case destroyed > 0:
					if got.Status != delivery.DeploymentCanceled || len(truth.Groups) != len(was.Groups)-1 || len(d.cloud.Orphans("")) > 0 ||
						!strings.Contains(got.Failure.Message, "is destroyed") {
						t.Fatalf("%s canceled at look %d: %+v %v, %v", name, at, got, got.Failure, left(truth))
					}
				default:
					if diff := cmp.Diff(settled(was), settled(truth)); diff != "" {
						t.Fatalf("%s canceled at look %d: %s %s", name, at, got.Status, diff)
					}
				}
			}
		}
	}
}

// TestPauseBetweenDestructions lets the group under way go and begins with no other
// until somebody says so.
func TestPauseBetweenDestructions(t *testing.T) {
	d := clusterRuns(t, false)["shrinkCluster"]()
	paused, resumeAt := false, 0
	d.at = func(d *drive) {
		switch {
		case !paused && destructions(d) == 1:
			d.state, paused = d.state.Pause(d.now), true
		case d.state.Status() == delivery.DeploymentPaused && resumeAt == 0:
			resumeAt = d.looks + 200
			if n := len(d.cloud.Truth().Groups); n != 2 {
				t.Errorf("paused with %d groups", n)
			}
		case d.looks == resumeAt:
			if n := destructions(d); n != 1 {
				t.Errorf("%d groups destroyed in the pause", n)
			}
			d.state = d.state.Resume(d.now)
		}
	}
	if got := d.run(t); got.Status != delivery.DeploymentSucceeded || resumeAt == 0 || len(d.cloud.Truth().Groups) != 1 {
		t.Errorf("outcome %+v %v, left %v", got, got.Failure, left(d.cloud.Truth()))
	}
}

// destructions counts the groups of which a destruction has written something.
func destructions(d *drive) int {
	var groups []string
	for _, w := range d.cloud.Writes() {
		if w.Change.Kind == delivery.DestroyGroup && !slices.Contains(groups, w.Change.Group) {
			groups = append(groups, w.Change.Group)
		}
	}
	return len(groups)
}

// TestCrashesOfClusterOperations let the process die after each look and each call:
// the end is that without the crash.
func TestCrashesOfClusterOperations(t *testing.T) {
	for name, start := range clusterRuns(t, false) {
		without := start()
		want := without.run(t)
		for at := 1; at <= without.calls; at++ {
			d := start()
			d.crashAt = at
			if got := d.run(t); got.Status != want.Status {
				t.Fatalf("%s, crash after call %d: %s, want %s: %v", name, at, got.Status, want.Status, got.Failure)
			}
			if diff := cmp.Diff(settled(without.cloud.Truth()), settled(d.cloud.Truth())); diff != "" {
				t.Fatalf("%s, crash after call %d (-without +with):\n%s%s", name, at, diff, describe(d.cloud.Writes()))
			}
		}
	}
}

// TestScaleDownThatFails in its middle gives all groups back what they had.
func TestScaleDownThatFails(t *testing.T) {
	d := newOperation(onCluster(t, rollout.ScaleDownOperation, rollout.Keep{Groups: 1, Active: true}), calm(),
		existing("v001", 3, 0), existing("v002", 2, 30), existing("v003", 2, 70))
	was := d.cloud.Truth()
	d.at = func(d *drive) {
		if d.state.Operated == 1 && d.state.Phase == rollout.Operating {
			d.state = d.state.Fail(delivery.Failure{Kind: delivery.Denied.String(), Message: "not allowed"})
		}
	}
	if got := d.run(t); got.Status != delivery.DeploymentRolledBack || got.Failure.Message != "not allowed" {
		t.Fatalf("outcome %+v %v", got, got.Failure)
	}
	if diff := cmp.Diff(settled(was), settled(d.cloud.Truth())); diff != "" {
		t.Errorf("(-before +after):\n%s%s", diff, describe(d.cloud.Writes()))
	}
}

// TestClusterOperationProperties runs them on random clusters under faults, with
// cancels and pauses: the cloud's invariants hold, and the end is what was asked
// for, what was before, or a shrinking that says what it destroyed.
func TestClusterOperationProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		router := rapid.SampledFrom([]string{"yes", "yes", "yes", "unsized", "no"}).Draw(rt, "router")
		config := fakecloud.Config{Router: router != "no", Unsized: router == "unsized", Seed: rapid.Int64().Draw(rt, "seed"),
			Boot: 5 * time.Second, Jitter: 20 * time.Second, Drain: 8 * time.Second, Settle: 12 * time.Second, Grace: 30 * time.Second,
			Faults: fakecloud.Faults{Before: rapid.Float64Range(0, 0.2).Draw(rt, "before"), After: rapid.Float64Range(0, 0.3).Draw(rt, "after"),
				Throttle: rapid.Float64Range(0, 0.2).Draw(rt, "throttle"), Stale: rapid.Float64Range(0, 0.2).Draw(rt, "stale"), StaleFor: 6 * time.Second,
				Kill: rapid.Float64Range(0, 0.02).Draw(rt, "kill"), Flap: rapid.Float64Range(0, 0.02).Draw(rt, "flap"), FlapFor: 7 * time.Second}}
		var groups []fakecloud.Existing
		lasting := 100
		n := rapid.SampledFrom([]int{4, 3, 2, 1}).Draw(rt, "groups")
		for i := range n {
			weight := rapid.IntRange(0, lasting).Draw(rt, "weight")
			if i == n-1 {
				weight = lasting
			}
			lasting -= weight
			size := rapid.IntRange(0, 5).Draw(rt, "size")
			if weight > 0 {
				size++
			}
			groups = append(groups, existing(fmt.Sprintf("v%03d", i+1), size, weight))
		}
		kind := rapid.SampledFrom(clusterOperations).Draw(rt, "kind")
		in := onCluster(rt, kind, rollout.Keep{Groups: rapid.SampledFrom([]int{1, 1, 2, 1, 0}).Draw(rt, "keep"),
			Larger: rapid.Bool().Draw(rt, "larger"), Active: rapid.SampledFrom([]bool{true, true, false}).Draw(rt, "active")})
		d := newOperation(in, config, groups...)
		if config.Router {
			d.cloud.Bound(fakecloud.Bounds{Floor: 1, Ceiling: 80})
		}
		was := d.cloud.Truth()
		cancelAt, pauseAt := rapid.IntRange(-60, 60).Draw(rt, "cancelAt"), rapid.IntRange(-30, 30).Draw(rt, "pauseAt")
		d.at = func(d *drive) {
			switch d.looks {
			case pauseAt:
				d.state = d.state.Pause(d.now)
			case pauseAt + 20:
				d.state = d.state.Resume(d.now)
			}
			if d.looks == cancelAt {
				d.state = d.state.Cancel(delivery.Principal{Name: "joe"}, "")
			}
		}
		got := d.run(rt)
		truth := d.cloud.Truth()
		switch destroyed := destructions(d); {
		case got.Status == delivery.DeploymentSucceeded:
			clusterReached(rt, d, truth)
		case got.Status == delivery.DeploymentRollbackFailed, destroyed > 0 && got.Status == delivery.DeploymentRolledBack:
			rt.Fatalf("outcome %+v %v%s", got, got.Failure, describe(d.cloud.Writes()))
		case destroyed > 0:
			if kind != rollout.ShrinkOperation || got.Status == delivery.DeploymentCanceled && len(d.cloud.Orphans("")) > 0 {
				rt.Fatalf("outcome %+v %v%s", got, got.Failure, describe(d.cloud.Writes()))
			}
		case got.Status != delivery.DeploymentRolledBack && len(d.cloud.Writes()) > 0:
			rt.Fatalf("%v: %+v, after %s", got, got.Failure, describe(d.cloud.Writes()))
		default:
			if diff := cmp.Diff(settled(was), settled(truth)); diff != "" {
				rt.Fatalf("%v %v (-before +after):\n%s%s", got, got.Failure, diff, describe(d.cloud.Writes()))
			}
		}
	})
}

// clusterReached holds that the cluster is what the operation was asked for: each
// operand is what it should be, and whatever had traffic still has some.
func clusterReached(t fataler, d *drive, truth delivery.Snapshot) {
	t.Helper()
	kind, serving := d.state.Input.Operation.Kind, 0
	for _, name := range d.state.Operands {
		g := truth.Group(name)
		ok := g != nil && truth.Routing.Percent(name) == 0
		switch kind {
		case rollout.ShrinkOperation:
			ok = g == nil
		case rollout.ScaleDownOperation:
			ok = ok && g.Capacity == delivery.Pinned(0)
		}
		if !ok {
			t.Fatalf("%s succeeded: %s is %+v%s", kind, name, g, describe(d.cloud.Writes()))
		}
	}
	for _, g := range truth.Groups {
		if truth.Serving(g.Name) {
			serving++
		}
	}
	if serving == 0 && slices.ContainsFunc(d.state.Before.Groups, func(g rollout.RecordedGroup) bool { return g.Serving }) || len(d.cloud.Orphans("")) > 0 {
		t.Fatalf("%s succeeded and left %v%s", kind, left(truth), describe(d.cloud.Writes()))
	}
}
