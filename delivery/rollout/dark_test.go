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
	"github.com/slipway-cd/slipway/internal/golden"
)

// dark is the strategy of a dark release by a header.
const dark = `{"strategy":"dark","match":{"header":"X-Canary","value":"always"}}`

var always = delivery.Match{Header: "X-Canary", Value: "always"}

// hidden is a dark server group of n instances, v001, as one of its releases left it.
func hidden(n int) fakecloud.Existing {
	return fakecloud.Existing{Name: "shop-prod-v001", Image: "new", Capacity: delivery.Capacity{Min: 1, Max: 2 * n, Desired: n}, Match: &always}
}

// promotion makes v001 the new group of the strategy.
func promotion(t fataler, text string) rollout.Input {
	return rollout.Input{Strategy: strategy(t, text), Group: "shop-prod-v001", Promotion: &rollout.Promotion{}}
}

// TestDark: the new group gets its size, no public traffic, and a way to it; the old
// ones are not touched.
func TestDark(t *testing.T) {
	for _, test := range []struct {
		name, strategy string
		unsized        bool
		size           delivery.Capacity
		by             delivery.Preview
	}{
		{"by a header", dark, false, delivery.Capacity{Min: 3, Max: 8, Desired: 4}, delivery.Preview{ServerGroup: "shop-prod-v001", Match: always}},
		{"by a cookie, smaller", `{"strategy":"dark","match":{"cookie":"canary","value":"always"},"size":1}`, false, delivery.Capacity{Min: 1, Max: 8, Desired: 1},
			delivery.Preview{ServerGroup: "shop-prod-v001", Match: delivery.Match{Cookie: "canary", Value: "always"}}},
		{"by its address", `{"strategy":"dark"}`, true, delivery.Capacity{Min: 3, Max: 8, Desired: 4}, delivery.Preview{ServerGroup: "shop-prod-v001", URL: "http://shop-prod-v001"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := calm()
			config.Unsized = test.unsized
			d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Capacity{Min: 3, Max: 8, Desired: 4}},
				Strategy: strategy(t, test.strategy)}, config, v000(4))
			if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
				t.Fatalf("outcome %+v %v%s", got, got.Failure, describe(d.cloud.Writes()))
			}
			truth := d.cloud.Truth()
			if g := truth.Group("shop-prod-v001"); g == nil || g.Capacity != test.size {
				t.Errorf("dark group %+v", g)
			}
			if g := truth.Group("shop-prod-v000"); g.Capacity != v000(4).Capacity || truth.Routing.Percent("shop-prod-v000") != 100 {
				t.Errorf("old group %+v with %d %%", g, truth.Routing.Percent("shop-prod-v000"))
			}
			if diff := cmp.Diff(&test.by, d.state.Preview); diff != "" || truth.Routing.PreviewBy("shop-prod-v001", test.by.Match) == nil {
				t.Errorf("preview: %s", diff)
			}
			if weighed(d.cloud.Writes()) {
				t.Errorf("a dark release wrote weights:%s", describe(d.cloud.Writes()))
			}
		})
	}
}

func weighed(ws []fakecloud.Write) bool {
	return slices.ContainsFunc(ws, func(w fakecloud.Write) bool { return w.Change.Kind == delivery.SetRouting })
}

// TestDarkIsRefused before anything is written.
func TestDarkIsRefused(t *testing.T) {
	for _, test := range []struct {
		name, strategy string
		router         bool
		groups         []fakecloud.Existing
		kind           delivery.Kind
	}{
		{"nothing to be dark beside", dark, true, nil, delivery.Conflict},
		{"the match is taken", dark, true, []fakecloud.Existing{v000(2), {Name: "shop-prod-v007", Image: "other", Capacity: delivery.Pinned(1), Match: &always}}, delivery.Conflict},
		{"no router", dark, false, []fakecloud.Existing{v000(2)}, delivery.Invalid},
		{"no address", `{"strategy":"dark"}`, true, []fakecloud.Existing{v000(2)}, delivery.Invalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := calm()
			spec := delivery.GroupSpec{Image: "new", Capacity: delivery.Pinned(2)}
			if config.Router = test.router; test.router {
				spec.LoadBalancer = "lb"
			}
			d := newDrive(rollout.Input{Spec: spec, Strategy: strategy(t, test.strategy)}, config, test.groups...)
			got := d.run(t)
			if got.Status != delivery.DeploymentFailed || got.Failure.Kind != test.kind.String() || len(d.cloud.Writes()) > 0 {
				t.Errorf("outcome %+v %v%s", got, got.Failure, describe(d.cloud.Writes()))
			}
		})
	}
}

// TestPromoteADarkGroup: the dark group takes the traffic by each strategy, and the rule that
// led to it is gone.
func TestPromoteADarkGroup(t *testing.T) {
	for _, test := range []struct {
		name, strategy string
		dark           int
		capacity       *delivery.Capacity
		want, old      delivery.Capacity
		share          int
	}{
		{"rolling", `{"strategy":"rolling","maxSurge":1}`, 4, nil, hidden(4).Capacity, delivery.Pinned(0), 100},
		{"a smaller one grows", `{"strategy":"canary","steps":[{"weight":10,"bake":60},{"weight":50}]}`, 1, nil, v000(4).Capacity, v000(4).Capacity, 100},
		{"blue/green", `{"strategy":"bluegreen"}`, 4, nil, hidden(4).Capacity, v000(4).Capacity, 100},
		{"to a capacity", `{"strategy":"highlander"}`, 2, &delivery.Capacity{Min: 3, Max: 5, Desired: 3}, delivery.Capacity{Min: 3, Max: 5, Desired: 3}, delivery.Capacity{}, 100},
		{"beside the old one", `{"strategy":"none"}`, 4, nil, hidden(4).Capacity, v000(4).Capacity, 50},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := promotion(t, test.strategy)
			in.Promotion.Capacity = test.capacity
			d := newDrive(in, calm(), v000(4), hidden(test.dark))
			if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
				t.Fatalf("outcome %+v %v%s", got, got.Failure, describe(d.cloud.Writes()))
			}
			truth := d.cloud.Truth()
			if g := truth.Group("shop-prod-v001"); g == nil || g.Capacity != test.want || truth.Routing.Percent(g.Name) != test.share {
				t.Errorf("promoted group %+v with %d %%", g, truth.Routing.Percent("shop-prod-v001"))
			}
			if g := truth.Group("shop-prod-v000"); g != nil && g.Capacity != test.old {
				t.Errorf("old group %+v", g)
			}
			if len(truth.Routing.Previews) > 0 {
				t.Errorf("previews %v are left", truth.Routing.Previews)
			}
		})
	}
}

// TestPromotionIsRefused before anything is written.
func TestPromotionIsRefused(t *testing.T) {
	serving := hidden(2)
	serving.Weight = 50
	old := v000(2)
	old.Weight = 50
	for _, test := range []struct {
		name   string
		in     func(*rollout.Input)
		groups []fakecloud.Existing
		kind   delivery.Kind
	}{
		{"it takes traffic", func(*rollout.Input) {}, []fakecloud.Existing{old, serving}, delivery.Conflict},
		{"there is none", func(in *rollout.Input) { in.Group = "shop-prod-v009" }, []fakecloud.Existing{v000(2)}, delivery.NotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := promotion(t, `{"strategy":"bluegreen"}`)
			test.in(&in)
			d := newDrive(in, calm(), test.groups...)
			got := d.run(t)
			if got.Status != delivery.DeploymentFailed || got.Failure.Kind != test.kind.String() || len(d.cloud.Writes()) > 0 {
				t.Errorf("outcome %+v %v%s", got, got.Failure, describe(d.cloud.Writes()))
			}
		})
	}
}

// promotions are strategies that a dark group is promoted by.
var promotions = []string{`{"strategy":"rolling","maxSurge":1}`, `{"strategy":"rollingredblack","targetPercentages":[50],"scaleDown":true}`, `{"strategy":"none"}`,
	`{"strategy":"canary","steps":[{"weight":5,"bake":60},{"weight":50,"bake":30}],"keepOldFor":60}`,
	`{"strategy":"bluegreen","delayBeforeDisableSec":30}`, `{"strategy":"highlander"}`}

// TestCancelAPromotionAtEveryLook: a promotion that is canceled leaves the dark group
// as it was, with the rule that leads to it.
func TestCancelAPromotionAtEveryLook(t *testing.T) {
	for _, text := range promotions {
		for look := 1; ; look++ {
			d := newDrive(promotion(t, text), calm(), v000(3), hidden(1))
			was, reached := d.cloud.Truth(), false
			d.at = func(d *drive) {
				if d.looks == look {
					reached = true
					d.state = d.state.Cancel(delivery.Principal{Name: "joe"}, "changed my mind")
				}
			}
			got := d.run(t)
			switch got.Status {
			case delivery.DeploymentRolledBack, delivery.DeploymentCanceled:
				if diff := cmp.Diff(settled(was), settled(d.cloud.Truth())); diff != "" {
					t.Fatalf("%s canceled at look %d (-before +after):\n%s%s", text, look, diff, describe(d.cloud.Writes()))
				}
			case delivery.DeploymentSucceeded:
			default:
				t.Fatalf("%s canceled at look %d: %+v %v", text, look, got, got.Failure)
			}
			if !reached {
				break
			}
		}
	}
}

// TestCrashOfAPromotionAtEveryCall: it ends as without the crash.
func TestCrashOfAPromotionAtEveryCall(t *testing.T) {
	for _, text := range promotions {
		end := func(at int) (*drive, rollout.Outcome) {
			d := newDrive(promotion(t, text), calm(), v000(3), hidden(1))
			d.crashAt = at
			return d, d.run(t)
		}
		without, want := end(0)
		for at := 1; at <= without.calls; at++ {
			d, got := end(at)
			if got.Status != want.Status {
				t.Fatalf("%s, crash after call %d: %s, want %s: %v", text, at, got.Status, want.Status, got.Failure)
			}
			if diff := cmp.Diff(settled(without.cloud.Truth()), settled(d.cloud.Truth())); diff != "" {
				t.Fatalf("%s, crash after call %d (-without +with):\n%s%s", text, at, diff, describe(d.cloud.Writes()))
			}
		}
	}
}

// TestAbandon removes the rule, then, once testers have had their answers, the
// group; a group that takes traffic, or that nothing leads to, is not abandoned.
func TestAbandon(t *testing.T) {
	abandon := func(group string, groups ...fakecloud.Existing) (*drive, rollout.Outcome) {
		st := strategy(t, `{}`)
		st.Kind = rollout.Kind(rollout.AbandonOperation)
		d := newDrive(rollout.Input{Group: group, Strategy: st, Operation: &rollout.Operation{Kind: rollout.AbandonOperation}}, calm(), groups...)
		return d, d.run(t)
	}
	d, got := abandon("shop-prod-v001", v000(2), hidden(2))
	truth := d.cloud.Truth()
	if got.Status != delivery.DeploymentSucceeded || len(truth.Groups) != 1 || len(truth.Routing.Previews) > 0 {
		t.Errorf("outcome %+v %v%s", got, got.Failure, describe(d.cloud.Writes()))
	}
	plain := hidden(2)
	plain.Match = nil
	serving := hidden(2)
	serving.Weight = 50
	old := v000(2)
	old.Weight = 50
	for _, test := range []struct {
		name   string
		groups []fakecloud.Existing
		kind   delivery.Kind
	}{
		{"nothing leads to it", []fakecloud.Existing{v000(2), plain}, delivery.Conflict},
		{"it takes traffic", []fakecloud.Existing{old, serving}, delivery.Guarded},
	} {
		if d, got := abandon("shop-prod-v001", test.groups...); got.Status != delivery.DeploymentFailed || got.Failure.Kind != test.kind.String() || len(d.cloud.Writes()) > 0 {
			t.Errorf("%s: outcome %+v %v%s", test.name, got, got.Failure, describe(d.cloud.Writes()))
		}
	}
}

// TestDarkGroupsOutlastOthers: a deployment that cleans up leaves a dark release
// alone, and does not count it; highlander is the exception that its name promises.
func TestDarkGroupsOutlastOthers(t *testing.T) {
	for text, left := range map[string]int{`{"strategy":"rolling","maxSurge":1,"maxRemainingAsgs":1}`: 2, `{"strategy":"highlander"}`: 1} {
		d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "newer", LoadBalancer: "lb", Capacity: delivery.Pinned(2)}, Strategy: strategy(t, text),
			Group: "shop-prod-v002"}, calm(), v000(2), hidden(2))
		if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
			t.Fatalf("outcome %+v %v%s", got, got.Failure, describe(d.cloud.Writes()))
		}
		truth := d.cloud.Truth()
		if len(truth.Groups) != left || len(truth.Routing.Previews) != left-1 {
			t.Errorf("%s: groups %v and previews %v are left", text, settled(truth), truth.Routing.Previews)
		}
	}
}

// TestDarkGroupsOutlastClusterOperations: they neither count nor go.
func TestDarkGroupsOutlastClusterOperations(t *testing.T) {
	for _, kind := range clusterOperations {
		d := newDrive(onCluster(t, kind, rollout.Keep{Groups: 1, Active: true}), calm(), v000(2), existing("v002", 2, 0), hidden(2))
		if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
			t.Fatalf("%s: outcome %+v %v%s", kind, got, got.Failure, describe(d.cloud.Writes()))
		}
		truth := d.cloud.Truth()
		if g := truth.Group("shop-prod-v001"); g == nil || g.Capacity.Desired != 2 || truth.Routing.Preview("shop-prod-v001") == nil {
			t.Errorf("%s: %v and previews %v are left", kind, settled(truth), truth.Routing.Previews)
		}
		if truth.Routing.Percent("shop-prod-v000") != 100 {
			t.Errorf("%s: weights %v", kind, truth.Routing.Weights)
		}
	}
}

// TestPromotionsUnderFaults draws sizes, strategies, faults, deaths and cancels: the
// invariants hold at every instant, every promotion ends, and what did not succeed is
// dark again.
func TestPromotionsUnderFaults(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		old, size := rapid.IntRange(1, 9).Draw(rt, "old"), rapid.IntRange(1, 9).Draw(rt, "size")
		unsized := rapid.Float64Range(0, 1).Draw(rt, "unsized") < 0.25
		st := suited(drawStrategy(rt), unsized)
		if st.Kind == rollout.Dark {
			return
		}
		config := fakecloud.Config{Router: true, Unsized: unsized, Seed: rapid.Int64().Draw(rt, "seed"),
			Boot: 5 * time.Second, Jitter: 20 * time.Second, Drain: 8 * time.Second, Settle: 12 * time.Second, Grace: 30 * time.Second,
			Faults: fakecloud.Faults{Before: rapid.Float64Range(0, 0.2).Draw(rt, "before"), After: rapid.Float64Range(0, 0.3).Draw(rt, "after"),
				Throttle: rapid.Float64Range(0, 0.2).Draw(rt, "throttle"), Stale: rapid.Float64Range(0, 0.2).Draw(rt, "stale"), StaleFor: 6 * time.Second,
				Kill: rapid.Float64Range(0, 0.02).Draw(rt, "kill"), Flap: rapid.Float64Range(0, 0.02).Draw(rt, "flap"), FlapFor: 7 * time.Second}}
		group := hidden(size)
		if unsized {
			group.Match = nil
		}
		d := newDrive(rollout.Input{Strategy: st, Group: group.Name, Promotion: &rollout.Promotion{}}, config, v000(old), group)
		wanted := max(old, size)
		floor, _ := wantedBounds(st, old, wanted)
		if unsized {
			floor = 1
		}
		d.cloud.Bound(fakecloud.Bounds{Floor: floor, Ceiling: old + wanted})
		was := d.cloud.Truth()
		cancelAt := rapid.IntRange(-200, 200).Draw(rt, "cancelAt")
		d.at = func(d *drive) {
			if d.looks == cancelAt {
				d.state = d.state.Cancel(delivery.Principal{Name: "joe"}, "")
			}
		}
		// A rollback restores the old capacity while what just shrank still leaves.
		d.rollback = func(d *drive) { d.cloud.Bound(fakecloud.Bounds{Floor: floor, Ceiling: 2*old + wanted}) }
		got := d.run(rt)
		switch got.Status {
		case delivery.DeploymentSucceeded:
			if truth := d.cloud.Truth(); truth.Routing.Percent(group.Name) == 0 || truth.Routing.Preview(group.Name) != nil || len(d.cloud.Orphans("")) > 0 {
				rt.Fatalf("after the promotion: %v", settled(truth))
			}
		case delivery.DeploymentRolledBack, delivery.DeploymentFailed, delivery.DeploymentCanceled:
			if diff := cmp.Diff(settled(was), settled(d.cloud.Truth())); diff != "" {
				rt.Fatalf("%v (-before +after):\n%s%s", got, diff, describe(d.cloud.Writes()))
			}
		default:
			rt.Fatalf("outcome %+v %v%s", got, got.Failure, describe(d.cloud.Writes()))
		}
	})
}

// TestPromotionsToRead compares the plans of a promotion and of an abandonment with
// what a person can read.
func TestPromotionsToRead(t *testing.T) {
	abandonment := strategy(t, `{}`)
	abandonment.Kind = rollout.Kind(rollout.AbandonOperation)
	inputs := []rollout.Input{{Group: "shop-prod-v001", Strategy: abandonment, Operation: &rollout.Operation{Kind: rollout.AbandonOperation}}}
	for _, text := range promotions {
		inputs = append(inputs, promotion(t, text))
	}
	var out strings.Builder
	for _, in := range inputs {
		d := newDrive(in, calm(), v000(4), hidden(2))
		plan, _ := rollout.PlanOf(d.state.Input, d.cloud.Truth(), rollout.Estimates{})
		fmt.Fprintf(&out, "%s; floor %d, peak %d, about %s\n", plan.Strategy, plan.Floor, plan.Peak, plan.Duration.Round(time.Second))
		for _, a := range plan.Actions {
			fmt.Fprintf(&out, "  %8s  %s\n", a.At.Round(time.Second), lineOf(a))
		}
		out.WriteString("\n")
	}
	golden.Compare(t, "testdata/promotions.txt", []byte(out.String()))
}

// TestPlanOfAPromotion: what is planned is what is made.
func TestPlanOfAPromotion(t *testing.T) {
	for _, text := range promotions {
		for _, unsized := range []bool{false, true} {
			config := calm()
			config.Unsized = unsized
			in, group := promotion(t, text), hidden(2)
			in.Strategy = suited(in.Strategy, unsized)
			if unsized {
				group.Match = nil
			}
			d := newDrive(in, config, v000(4), group)
			plan, after := rollout.PlanOf(d.state.Input, d.cloud.Truth(), rollout.Estimates{})
			if got := d.run(t); got.Status != delivery.DeploymentSucceeded || plan.Failure != nil {
				t.Fatalf("%s: the run ended %s (%v), the plan with %v", text, got.Status, got.Failure, plan.Failure)
			}
			if diff := cmp.Diff(madeBy(d.cloud.Writes()), changesOf(plan)); diff != "" {
				t.Errorf("%s: changes (-made +planned):\n%s", text, diff)
			}
			if diff := cmp.Diff(settled(d.cloud.Truth()), settled(after)); diff != "" {
				t.Errorf("%s: cluster (-is +planned):\n%s", text, diff)
			}
		}
	}
}
