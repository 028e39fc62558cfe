package rollout_test

import (
	"context"
	"errors"
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

// changesOf are the changes of a plan, one line each.
func changesOf(p rollout.Plan) []string {
	var out []string
	for _, a := range p.Actions {
		if a.Change != nil {
			out = append(out, a.Change.String())
		}
	}
	return out
}

// madeBy are the changes that a real run made, one line each.
func madeBy(ws []fakecloud.Write) []string {
	var out []string
	for _, w := range ws {
		if line := w.Change.String(); len(out) == 0 || out[len(out)-1] != line {
			out = append(out, line)
		}
	}
	return out
}

// TestPlanIsWhatHappens: the changes of the plan are those of the run, for every
// strategy, size and kind of group, and so is the state that they lead to.
func TestPlanIsWhatHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		old, wanted := rapid.IntRange(0, 9).Draw(rt, "old"), rapid.IntRange(1, 9).Draw(rt, "wanted")
		config := calm()
		config.Unsized = rapid.Bool().Draw(rt, "unsized")
		st := suited(drawStrategy(rt), config.Unsized)
		if st.Kind == rollout.Dark {
			old = max(old, 1)
		}
		config.Router = config.Unsized || st.Kind == rollout.Canary || st.Kind == rollout.Dark || rapid.Bool().Draw(rt, "router")
		spec := delivery.GroupSpec{Image: "new", Capacity: delivery.Capacity{Min: wanted, Max: wanted + 2, Desired: wanted}}
		if config.Router {
			spec.LoadBalancer = "lb"
		}
		var existing []fakecloud.Existing
		if old > 0 {
			existing = append(existing, v000(old))
		}
		if old > 0 && rapid.Bool().Draw(rt, "an older one") {
			older := v000(1)
			older.Name, older.Capacity, older.Weight = "shop-prod-v999", delivery.Pinned(0), 0
			existing = append([]fakecloud.Existing{older}, existing...)
		}
		d := newDrive(rollout.Input{Spec: spec, Strategy: st}, config, existing...)
		seen := ahead(d.cloud.Truth(), time.Duration(rapid.SampledFrom([]int{-1, 0, 24, 48}).Draw(rt, "clock"))*time.Hour)
		plan, after := rollout.PlanOf(d.state.Input, seen, rollout.Estimates{})
		again, _ := rollout.PlanOf(d.state.Input, seen, rollout.Estimates{Boot: 5 * time.Minute})
		if plan.Hash != again.Hash || plan.Hash == "" {
			rt.Errorf("hashes %q and %q of the same intention", plan.Hash, again.Hash)
		}
		if got := d.run(rt); got.Status != delivery.DeploymentSucceeded || plan.Failure != nil {
			rt.Fatalf("the run ended %s (%v), the plan with %v", got.Status, got.Failure, plan.Failure)
		}
		if diff := cmp.Diff(madeBy(d.cloud.Writes()), changesOf(plan)); diff != "" {
			rt.Errorf("changes (-made +planned):\n%s", diff)
		}
		if diff := cmp.Diff(settled(d.cloud.Truth()), settled(after)); diff != "" {
			rt.Errorf("cluster (-is +planned):\n%s", diff)
		}
	})
}

// ahead is what a cloud shows whose clock is ahead of ours, or behind it.
func ahead(seen delivery.Snapshot, by time.Duration) delivery.Snapshot {
	seen.Groups = slices.Clone(seen.Groups)
	for i := range seen.Groups {
		seen.Groups[i].CreatedAt = seen.Groups[i].CreatedAt.Add(by)
	}
	return seen
}

// TestPlanHash: what changes the intention, or what it starts from, changes the hash.
func TestPlanHash(t *testing.T) {
	plan := func(text, image string, old fakecloud.Existing) string {
		d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: image, LoadBalancer: "lb", Capacity: delivery.Pinned(4)}, Strategy: strategy(t, text)}, calm(), old)
		p, _ := rollout.PlanOf(d.state.Input, d.cloud.Truth(), rollout.Estimates{})
		return p.Hash
	}
	const rolling = `{"strategy":"rolling","maxSurge":1}`
	shifted := v000(4)
	shifted.Weight = 50
	hashes := map[string]string{}
	for name, hash := range map[string]string{
		"as it is":         plan(rolling, "new", v000(4)),
		"another image":    plan(rolling, "newer", v000(4)),
		"another strategy": plan(`{"strategy":"bluegreen"}`, "new", v000(4)),
		"a longer bake":    plan(`{"strategy":"canary","steps":[{"weight":5,"bake":60}]}`, "new", v000(4)),
		"a shorter bake":   plan(`{"strategy":"canary","steps":[{"weight":5,"bake":30}]}`, "new", v000(4)),
		"checked":          plan(`{"strategy":"canary","steps":[{"weight":5,"bake":60}],"checks":[{"name":"e","query":"errorRate","max":1}]}`, "new", v000(4)),
		"another bound":    plan(`{"strategy":"canary","steps":[{"weight":5,"bake":60}],"checks":[{"name":"e","query":"errorRate","max":2}]}`, "new", v000(4)),
		"another size":     plan(rolling, "new", v000(5)),
		"less patient":     plan(`{"strategy":"rolling","maxSurge":1,"healthTimeoutSec":60}`, "new", v000(4)),
		"until tomorrow":   plan(`{"strategy":"rolling","maxSurge":1,"deadlineSec":7200}`, "new", v000(4)),
		"or not at all":    plan(`{"strategy":"rolling","maxSurge":1,"concurrency":"reject"}`, "new", v000(4)),
		"left as it fails": plan(`{"strategy":"rolling","maxSurge":1,"rollback":{"onFailure":false}}`, "new", v000(4)),
		"another weight":   plan(rolling, "new", shifted),
	} {
		if other, taken := hashes[hash]; taken {
			t.Errorf("%s and %s have the same hash", name, other)
		}
		hashes[hash] = name
	}
}

// TestPlanHashOfRollback: how many healthy instances are waited for is part of what is
// intended, also where they are there already.
func TestPlanHashOfRollback(t *testing.T) {
	for _, how := range []string{`{"strategy":"rolling"}`, `{"strategy":"bluegreen"}`} {
		l := newLineage(calm())
		l.deploy(t, "good", "v001", `{"strategy":"bluegreen"}`, 3)
		l.deploy(t, "bad", "v002", how, 3)
		hashes := map[string]int{}
		for _, percent := range []int{100, 50, 34} {
			if err := l.choose(t, "v003", rollout.RollbackRequest{HealthyPercent: percent}); err != nil {
				t.Fatal(err)
			}
			plan, _ := rollout.PlanOf(l.state.Input, l.cloud.Truth(), rollout.Estimates{})
			again, _ := rollout.PlanOf(l.state.Input, l.cloud.Truth(), rollout.Estimates{Boot: 5 * time.Minute})
			if plan.Hash != again.Hash {
				t.Errorf("%s, %d %%: hashes %s and %s of the same intention", how, percent, plan.Hash, again.Hash)
			}
			if other, taken := hashes[plan.Hash]; taken {
				t.Errorf("%s: %d %% and %d %% have the same hash", how, other, percent)
			}
			hashes[plan.Hash] = percent
		}
	}
}

// TestPlanIsRefused: what the run would refuse, the plan says.
func TestPlanIsRefused(t *testing.T) {
	d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", Capacity: delivery.Pinned(4)}, Strategy: strategy(t, `{"strategy":"rolling"}`)}, calm(), v000(4))
	plan, _ := rollout.PlanOf(d.state.Input, d.cloud.Truth(), rollout.Estimates{})
	if plan.Failure == nil || plan.Failure.Kind != "invalid" || len(changesOf(plan)) != 0 {
		t.Errorf("plan %+v", plan)
	}
}

// TestPlanAsksTheGuard: what the traffic guard refuses in the run it refuses in the
// plan, which then shows the way back.
func TestPlanAsksTheGuard(t *testing.T) {
	for _, text := range []string{
		`{"strategy":"bluegreen"}`, `{"strategy":"highlander"}`, `{"strategy":"rollingredblack"}`, `{"strategy":"rolling"}`,
		`{"strategy":"canary","steps":[{"weight":10}]}`, `{"strategy":"none"}`,
		`{"strategy":"dark","match":{"cookie":"canary","value":"always"}}`,
	} {
		for _, old := range []int{0, 3} {
			var existing []fakecloud.Existing
			if old > 0 {
				existing = append(existing, v000(old))
			}
			spec := delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Capacity{Max: 3}}
			d := newDrive(rollout.Input{Spec: spec, Strategy: strategy(t, text)}, calm(), existing...)
			plan, after := rollout.PlanOf(d.state.Input, d.cloud.Truth(), rollout.Estimates{})
			got := d.run(t)
			if diff := cmp.Diff(got.Failure, plan.Failure); diff != "" {
				t.Errorf("%s over %d: failure (-run +plan):\n%s", text, old, diff)
			}
			if diff := cmp.Diff(madeBy(d.cloud.Writes()), changesOf(plan)); diff != "" {
				t.Errorf("%s over %d: changes (-made +planned):\n%s", text, old, diff)
			}
			if diff := cmp.Diff(settled(d.cloud.Truth()), settled(after)); diff != "" {
				t.Errorf("%s over %d: cluster (-is +planned):\n%s", text, old, diff)
			}
			succeeds := strings.Contains(text, "none") || !strings.Contains(text, "dark") && old == 0 // it has no traffic to take then
			if succeeds != (plan.Failure == nil) {
				t.Errorf("%s over %d: failure %v", text, old, plan.Failure)
			}
		}
	}
}

// TestPlanIsBounded: a plan ends with who waits for it, and counts no group that is
// larger than any is.
func TestPlanIsBounded(t *testing.T) {
	in := rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(1_500_000)}, Strategy: strategy(t, `{"strategy":"bluegreen"}`)}
	d := newDrive(in, calm(), v000(4))
	plan, after := rollout.PlanOf(d.state.Input, d.cloud.Truth(), rollout.Estimates{})
	if plan.Failure == nil || plan.Failure.Kind != "quota" || plan.Peak > 4 || plan.Hash == "" {
		t.Errorf("plan %+v, failure %v", plan, plan.Failure)
	}
	if g := after.Group("shop-prod-v001"); g == nil || len(g.Instances) > 0 {
		t.Errorf("group %+v", g)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := rollout.PlanWithin(ctx, d.state.Input, d.cloud.Truth(), rollout.Estimates{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a plan that nobody waits for: %v", err)
	}
}

// TestPlansToRead compares one plan of each strategy with what a person can read.
func TestPlansToRead(t *testing.T) {
	var out strings.Builder
	for _, text := range []string{
		`{"strategy":"rolling","maxSurge":2,"pauseBetweenBatches":30}`,
		`{"strategy":"rollingredblack","targetPercentages":[25],"scaleDown":true,"delayBeforeScaleDownSec":60}`,
		`{"strategy":"canary","steps":[{"weight":5,"bake":600},{"weight":50,"bake":300}],"keepOldFor":3600}`,
		`{"strategy":"canary","steps":[{"weight":5,"bake":600},{"weight":50,"bake":60}],"checks":[{"name":"errors","query":"errorRate","max":1},{"name":"speed","query":"latencyP99","max":250,"interval":120}]}`,
		`{"strategy":"canary","baseline":true,"steps":[{"weight":5,"bake":600},{"weight":50,"bake":300}],"keepOldFor":3600}`,
		`{"strategy":"canary","baseline":true,"steps":[{"weight":10,"bake":600}]}`,
		`{"strategy":"canary","steps":[{"weight":5,"bake":600,"minRequests":1000,"gate":{"manualJudgment":{"instructions":"look"}}},{"weight":50,"gate":{"pipeline":{"application":"shop","pipelineId":"smoke"}}}]}`,
		`{"strategy":"redblack","delayBeforeDisableSec":60}`,
		`{"strategy":"highlander"}`,
		`{"strategy":"none"}`,
		`{"strategy":"dark","match":{"cookie":"canary","value":"always"},"size":2}`,
	} {
		for _, unsized := range []bool{false, true} {
			config := calm()
			config.Unsized = unsized
			st := suited(strategy(t, text), unsized && strings.Contains(text, "dark"))
			if st.ScaleDown && unsized {
				continue
			}
			d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(4)}, Strategy: st}, config, v000(4))
			plan, _ := rollout.PlanOf(d.state.Input, d.cloud.Truth(), rollout.Estimates{})
			kind := "groups with a size"
			if unsized {
				kind = "groups without a size"
			}
			fmt.Fprintf(&out, "%s\n%s; floor %d, peak %d, about %s\n", text, kind, plan.Floor, plan.Peak, plan.Duration.Round(time.Second))
			for _, c := range plan.Checks {
				fmt.Fprintf(&out, "     check  %s\n", c.Describe())
			}
			for _, a := range plan.Actions {
				fmt.Fprintf(&out, "  %8s  %s\n", a.At.Round(time.Second), lineOf(a))
			}
			out.WriteString("\n")
		}
	}
	golden.Compare(t, "testdata/plans.txt", []byte(out.String()))
}

func lineOf(a rollout.PlannedAction) string {
	switch {
	case a.Change != nil:
		return a.Change.String()
	case a.Gate != nil && a.Gate.Judgment != nil:
		return fmt.Sprintf("gate %s: a judgment within %s, else %s", a.Gate.ID, a.Gate.Judgment.Timeout, a.Gate.Judgment.OnTimeout)
	case a.Gate != nil:
		return fmt.Sprintf("gate %s: pipeline %s", a.Gate.ID, a.Gate.Pipeline.PipelineID)
	case a.Wait.Limit > 0:
		return fmt.Sprintf("wait %s for %s, %s at the most, else %s", a.Wait.Takes.Round(time.Second), a.Wait.For, a.Wait.Limit, a.Wait.OnTimeout)
	default:
		return fmt.Sprintf("wait %s for %s", a.Wait.Takes.Round(time.Second), a.Wait.For)
	}
}
