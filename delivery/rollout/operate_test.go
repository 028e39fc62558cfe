package rollout_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
	"github.com/slipway-cd/slipway/internal/fakecloud"
)

// operation is the input of an operation on a group, named or selected.
func operation(t fataler, kind rollout.OperationKind, group string, to ...delivery.Capacity) rollout.Input {
	st := strategy(t, `{"healthTimeoutSec":300,"deadlineSec":3600}`)
	st.Kind = rollout.Kind(kind)
	in := rollout.Input{Strategy: st, Group: group, Operation: &rollout.Operation{Kind: kind}}
	if which, err := delivery.ParseSelection(group); err == nil {
		in.Group, in.Operation.Select = "", which
	}
	if len(to) > 0 {
		in.Operation.Capacity, in.Spec.Capacity = &to[0], to[0]
	}
	return in
}

func newOperation(in rollout.Input, config fakecloud.Config, existing ...fakecloud.Existing) *drive {
	group := in.Group
	in.Group = "taken from below"
	d := newDrive(in, config, existing...)
	d.state.Input.Group = group
	return d
}

func existing(name string, size, weight int) fakecloud.Existing {
	return fakecloud.Existing{Name: "shop-prod-" + name, Image: "old", Capacity: delivery.Capacity{Min: 1, Max: 2*size + 1, Desired: size}, Weight: weight}
}

func percents(s delivery.Snapshot) map[string]int {
	out := map[string]int{}
	for _, g := range s.Groups {
		out[strings.TrimPrefix(g.Name, "shop-prod-")] = s.Routing.Percent(g.Name)
	}
	return out
}

func TestOperations(t *testing.T) {
	three := []fakecloud.Existing{existing("v001", 2, 0), existing("v002", 2, 30), existing("v003", 2, 70)}
	five := delivery.Capacity{Min: 2, Max: 9, Desired: 5}
	for _, test := range []struct {
		name   string
		in     rollout.Input
		groups []fakecloud.Existing
		group  string
		want   map[string]int
	}{
		{"grow", operation(t, rollout.ResizeOperation, "current_asg_dynamic", five), three, "v003", map[string]int{"v001": 0, "v002": 30, "v003": 70}},
		{"shrink to nothing", operation(t, rollout.ResizeOperation, "oldest_asg_dynamic", delivery.Pinned(0)), three, "v001", map[string]int{"v001": 0, "v002": 30, "v003": 70}},
		{"disable", operation(t, rollout.DisableOperation, "ancestor_asg_dynamic"), three, "v002", map[string]int{"v001": 0, "v002": 0, "v003": 100}},
		{"disable what takes none", operation(t, rollout.DisableOperation, "shop-prod-v001"), three, "v001", map[string]int{"v001": 0, "v002": 30, "v003": 70}},
		{"enable", operation(t, rollout.EnableOperation, "shop-prod-v001"), three, "v001", map[string]int{"v001": 33, "v002": 20, "v003": 47}},
		{"enable what takes some", operation(t, rollout.EnableOperation, "shop-prod-v002"), three, "v002", map[string]int{"v001": 0, "v002": 30, "v003": 70}},
		{"destroy", operation(t, rollout.DestroyOperation, "oldest_asg_dynamic"), three, "v001", map[string]int{"v002": 30, "v003": 70}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newOperation(test.in, calm(), test.groups...)
			if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
				t.Fatalf("outcome %+v %v%s", got, got.Failure, describe(d.cloud.Writes()))
			}
			truth := d.cloud.Truth()
			if diff := cmp.Diff(test.want, percents(truth)); diff != "" {
				t.Errorf("weights: %s", diff)
			}
			if got := d.state.Input.Group; got != "shop-prod-"+test.group {
				t.Errorf("the operation was about %s", got)
			}
			if to := test.in.Operation.Capacity; to != nil && truth.Group("shop-prod-"+test.group).Capacity != *to {
				t.Errorf("capacity %+v", truth.Group("shop-prod-"+test.group).Capacity)
			}
		})
	}
}

// TestRelativeResize scales what the group has, once, however often the change is
// repeated.
func TestRelativeResize(t *testing.T) {
	for _, test := range []struct {
		by   rollout.Scale
		want delivery.Capacity
	}{
		{rollout.Scale{By: rollout.Instances(2)}, delivery.Capacity{Min: 3, Max: 11, Desired: 6}},
		{rollout.Scale{By: rollout.Percentage(30)}, delivery.Capacity{Min: 2, Max: 12, Desired: 6}},
		{rollout.Scale{By: rollout.Instances(2), Down: true}, delivery.Capacity{Min: 0, Max: 7, Desired: 2}},
		{rollout.Scale{By: rollout.Percentage(30), Down: true}, delivery.Capacity{Min: 0, Max: 6, Desired: 2}},
	} {
		in := scaled(t, test.by)
		config := calm()
		config.Seed, config.Faults = 7, fakecloud.Faults{Before: 0.3, After: 0.5}
		d := newOperation(in, config, existing("v001", 4, 100))
		if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
			t.Fatalf("%+v: outcome %+v %v", test.by, got, got.Failure)
		}
		if got := d.cloud.Truth().Group("shop-prod-v001").Capacity; got != test.want {
			t.Errorf("%+v: %+v, want %+v", test.by, got, test.want)
		}
	}
}

// scaled is a resize of the current group by an amount.
func scaled(t *testing.T, by rollout.Scale) rollout.Input {
	in := operation(t, rollout.ResizeOperation, "current")
	in.Operation.Scale = &by
	return in
}

// TestRefusedOperations are refused with the reason and without a write.
func TestRefusedOperations(t *testing.T) {
	alone := []fakecloud.Existing{existing("v001", 2, 100)}
	standby := []fakecloud.Existing{existing("v001", 0, 0), existing("v002", 2, 100)}
	foreign := existing("v001", 2, 0)
	foreign.Unmanaged = true
	for _, test := range []struct {
		name   string
		in     rollout.Input
		config func(*fakecloud.Config)
		groups []fakecloud.Existing
		kind   delivery.Kind
		reason string
	}{
		{"disable the last one", operation(t, rollout.DisableOperation, "current"), nil, alone, delivery.Guarded, "no other server group takes any"},
		{"destroy the last one", operation(t, rollout.DestroyOperation, "current"), nil, alone, delivery.Guarded, "it takes 100 % of the traffic"},
		{"destroy one that serves", operation(t, rollout.DestroyOperation, "oldest"), nil, []fakecloud.Existing{existing("v001", 2, 20), existing("v002", 2, 80)}, delivery.Guarded, "it takes 20 % of the traffic"},
		{"destroy the newest behind no router", operation(t, rollout.DestroyOperation, "current"), func(c *fakecloud.Config) { c.Router = false }, standby, delivery.Guarded, "last healthy capacity"},
		{"destroy the newest beside another", operation(t, rollout.DestroyOperation, "current"), func(c *fakecloud.Config) { c.Router = false },
			[]fakecloud.Existing{existing("v001", 2, 0), existing("v002", 2, 0)}, delivery.Guarded, "it is the newest server group"},
		{"destroy what is not ours", operation(t, rollout.DestroyOperation, "oldest"), nil, []fakecloud.Existing{foreign, existing("v002", 2, 100)}, delivery.Guarded, "no ownership tag"},
		{"resize the last one to nothing", operation(t, rollout.ResizeOperation, "current", delivery.Pinned(0)), nil, alone, delivery.Guarded, "resize of shop-prod-v001 to 0 refused"},
		{"resize what has no size", operation(t, rollout.ResizeOperation, "current", delivery.Pinned(3)), func(c *fakecloud.Config) { c.Unsized = true }, alone, delivery.Invalid, "cannot be changed"},
		{"resize to more than any has", scaled(t, rollout.Scale{By: rollout.Percentage(1_000_000)}), nil, alone, delivery.Invalid, "would have min 10001, max 50005 and desired 20002; a server group has at most 10000 instances"},
		{"enable without instances", operation(t, rollout.EnableOperation, "oldest"), nil, standby, delivery.Guarded, "no healthy instance"},
		{"disable behind no router", operation(t, rollout.DisableOperation, "current"), func(c *fakecloud.Config) { c.Router = false }, alone, delivery.Invalid, "behind no load balancer"},
		{"a group that is not there", operation(t, rollout.EnableOperation, "shop-prod-v009"), nil, alone, delivery.NotFound, "no server group shop-prod-v009"},
		{"a selection that finds none", operation(t, rollout.EnableOperation, "ancestor_asg"), nil, alone, delivery.NotFound, "unable to find target previous"},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := calm()
			if test.config != nil {
				test.config(&config)
			}
			d := newOperation(test.in, config, test.groups...)
			plan, _ := rollout.PlanOf(d.state.Input, d.cloud.Truth(), rollout.Estimates{})
			got := d.run(t)
			if got.Status != delivery.DeploymentFailed || got.Failure.Kind != test.kind.String() || !strings.Contains(got.Failure.Message, test.reason) {
				t.Errorf("outcome %+v %v", got, got.Failure)
			}
			if len(d.cloud.Writes()) > 0 {
				t.Errorf("writes: %s", describe(d.cloud.Writes()))
			}
			if diff := cmp.Diff(got.Failure, plan.Failure); diff != "" {
				t.Errorf("failure (-run +plan):\n%s", diff)
			}
		})
	}
}

// TestResizeThatDoesNotComeUp gives the group its capacity back.
func TestResizeThatDoesNotComeUp(t *testing.T) {
	config := calm()
	config.BadImages = []string{"crash"}
	standby := fakecloud.Existing{Name: "shop-prod-v001", Image: "crash", Capacity: delivery.Capacity{Max: 4}}
	d := newOperation(operation(t, rollout.ResizeOperation, "shop-prod-v001", delivery.Pinned(3)), config, standby, existing("v002", 2, 100))
	was := d.cloud.Truth()
	if got := d.run(t); got.Status != delivery.DeploymentRolledBack || got.Failure.Kind != "unhealthy" || got.Failure.Step != "resizeServerGroup" {
		t.Fatalf("outcome %+v %v", got, got.Failure)
	}
	if diff := cmp.Diff(settled(was), settled(d.cloud.Truth())); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

// TestCanceledGrowthKeepsTheHealthy cancels a group's growth at each look: the cloud
// may take any instances when the group goes back to its size, and still as many as
// before take traffic all the time.
func TestCanceledGrowthKeepsTheHealthy(t *testing.T) {
	for look := 1; ; look++ {
		d := newOperation(operation(t, rollout.ResizeOperation, "current", delivery.Capacity{Min: 5, Max: 8, Desired: 5}), calm(), existing("v001", 3, 100))
		d.cloud.Bound(fakecloud.Bounds{Floor: 3, Ceiling: 5})
		was, reached := d.cloud.Truth(), false
		d.at = func(d *drive) {
			if d.looks == look {
				reached = true
				d.state = d.state.Cancel(delivery.Principal{Name: "joe"}, "changed my mind")
			}
		}
		got := d.run(t)
		if !reached {
			return
		}
		if diff := cmp.Diff(settled(was), settled(d.cloud.Truth())); diff != "" && got.Status != delivery.DeploymentSucceeded {
			t.Errorf("canceled at look %d, ended %s (-before +after):\n%s", look, got.Status, diff)
		}
	}
}

// TestAutoscalerHoldsTheSize: an autoscaler that keeps more instances than asked
// for, within the bounds, does not make the resize fail.
func TestAutoscalerHoldsTheSize(t *testing.T) {
	d := newOperation(operation(t, rollout.ResizeOperation, "current", delivery.Capacity{Min: 1, Max: 7, Desired: 2}), calm(), existing("v001", 3, 100))
	now, group := d.now, "shop-prod-v001"
	for range 200 {
		seen := d.cloud.Truth()
		seen.ObservedAt = now
		var decision rollout.Decision
		d.state, decision = rollout.Next(d.state, seen, now)
		if decision.Done != nil {
			if decision.Done.Status != delivery.DeploymentSucceeded || now.Sub(d.now) > 2*time.Minute {
				t.Errorf("%+v after %s", decision.Done, now.Sub(d.now))
			}
			return
		}
		if c := decision.Apply; c != nil && (c.Group != group || c.Capacity.Desired != 2) {
			t.Fatalf("change %s", c)
		}
		now = now.Add(2 * time.Second) // the change has no effect: the autoscaler is at once where it was
	}
	t.Error("no end")
}

// TestNoWayBackFromADestruction cancels one that began: it is carried to its end.
func TestNoWayBackFromADestruction(t *testing.T) {
	d := newOperation(operation(t, rollout.DestroyOperation, "oldest"), calm(), existing("v001", 2, 0), existing("v002", 2, 100))
	d.at = func(d *drive) {
		if len(d.cloud.Writes()) > 0 {
			d.state = d.state.Cancel(delivery.Principal{Name: "joe"}, "")
		}
	}
	if got := d.run(t); got.Status != delivery.DeploymentSucceeded || len(d.cloud.Truth().Groups) != 1 || len(d.cloud.Orphans("")) > 0 {
		t.Errorf("outcome %+v %v, groups %v", got, got.Failure, percents(d.cloud.Truth()))
	}
}

// TestOperationProperties runs operations on random clusters under faults, with
// cancels and pauses: the cloud's invariants hold, and the end is either what was
// asked for or what was before.
func TestOperationProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		router := rapid.SampledFrom([]string{"yes", "yes", "yes", "unsized", "no"}).Draw(rt, "router")
		config := fakecloud.Config{Router: router != "no", Unsized: router == "unsized", Seed: rapid.Int64().Draw(rt, "seed"),
			Boot: 5 * time.Second, Jitter: 20 * time.Second, Drain: 8 * time.Second, Settle: 12 * time.Second, Grace: 30 * time.Second,
			Faults: fakecloud.Faults{Before: rapid.Float64Range(0, 0.2).Draw(rt, "before"), After: rapid.Float64Range(0, 0.3).Draw(rt, "after"),
				Throttle: rapid.Float64Range(0, 0.2).Draw(rt, "throttle"), Stale: rapid.Float64Range(0, 0.2).Draw(rt, "stale"), StaleFor: 6 * time.Second,
				Kill: rapid.Float64Range(0, 0.02).Draw(rt, "kill"), Flap: rapid.Float64Range(0, 0.02).Draw(rt, "flap"), FlapFor: 7 * time.Second}}
		var groups []fakecloud.Existing
		left := 100
		names := []string{"v001", "v002", "v003"}[:rapid.IntRange(1, 3).Draw(rt, "groups")]
		for i, name := range names {
			weight := rapid.IntRange(0, left).Draw(rt, "weight")
			if i == len(names)-1 {
				weight = left
			}
			left -= weight
			size := rapid.IntRange(0, 5).Draw(rt, "size")
			if weight > 0 {
				size++
			}
			group := existing(name, size, weight)
			if size > 0 && rapid.IntRange(0, 3).Draw(rt, "led") == 0 && router == "yes" {
				group.Match = &delivery.Match{Header: "X-Version", Value: name}
			}
			groups = append(groups, group)
		}
		kind := rapid.SampledFrom(groupOperations()).Draw(rt, "kind")
		in := operation(rt, kind, rapid.SampledFrom([]string{"current", "previous", "oldest", "shop-prod-v001"}).Draw(rt, "target"))
		if kind == rollout.ResizeOperation {
			n := rapid.IntRange(0, 6).Draw(rt, "to")
			if n > 0 && rapid.Bool().Draw(rt, "relative") {
				in.Operation.Scale = &rollout.Scale{By: rapid.SampledFrom([]rollout.Amount{rollout.Instances(n), rollout.Percentage(20 * n)}).Draw(rt, "by"), Down: rapid.Bool().Draw(rt, "down")}
			}
			in.Spec.Capacity = delivery.Capacity{Min: min(n, 1), Max: n + 2, Desired: n}
			in.Operation.Capacity = &in.Spec.Capacity
		}
		d := newOperation(in, config, groups...)
		if config.Router {
			d.cloud.Bound(fakecloud.Bounds{Floor: 1, Ceiling: 50})
		}
		was := d.cloud.Truth()
		cancelAt, pauseAt := rapid.IntRange(-60, 60).Draw(rt, "cancelAt"), rapid.IntRange(-30, 30).Draw(rt, "pauseAt")
		d.at = func(d *drive) {
			if d.looks == pauseAt {
				d.state = d.state.Pause(d.now)
			}
			if d.looks == pauseAt+20 {
				d.state = d.state.Resume(d.now)
			}
			if d.looks == cancelAt {
				d.state = d.state.Cancel(delivery.Principal{Name: "joe"}, "")
			}
		}
		got := d.run(rt)
		truth := d.cloud.Truth()
		if got.Status == delivery.DeploymentSucceeded {
			reached(rt, d, truth)
			return
		}
		if got.Status == delivery.DeploymentRollbackFailed || (kind == rollout.DestroyOperation || kind == rollout.AbandonOperation) && got.Status == delivery.DeploymentRolledBack {
			rt.Fatalf("outcome %+v %v%s", got, got.Failure, describe(d.cloud.Writes()))
		}
		if got.Status != delivery.DeploymentRolledBack && len(d.cloud.Writes()) > 0 {
			rt.Fatalf("%v: %+v, after %s", got, got.Failure, describe(d.cloud.Writes()))
		}
		if diff := cmp.Diff(settled(was), settled(truth)); diff != "" {
			rt.Fatalf("%v (-before +after):\n%s%s", got, diff, describe(d.cloud.Writes()))
		}
	})
}

// reached holds that the cluster is what the operation was asked for, with one
// change that had an effect for a resize or weights.
func reached(t fataler, d *drive, truth delivery.Snapshot) {
	t.Helper()
	in := d.state.Input
	g, share := truth.Group(in.Group), truth.Routing.Percent(in.Group)
	ok := false
	switch in.Operation.Kind {
	case rollout.ResizeOperation:
		ok = g != nil && g.Capacity == *in.Operation.Capacity && len(d.cloud.Writes()) <= 1
	case rollout.EnableOperation:
		ok = g != nil && share > 0 && len(d.cloud.Writes()) <= 1
	case rollout.DisableOperation:
		ok = g != nil && share == 0 && len(d.cloud.Writes()) <= 1
	case rollout.DestroyOperation, rollout.AbandonOperation:
		ok = g == nil && len(d.cloud.Orphans("")) == 0
	}
	if !ok {
		t.Fatalf("%s succeeded: %+v with %d %%%s", in.Operation.Kind, g, share, describe(d.cloud.Writes()))
	}
}
