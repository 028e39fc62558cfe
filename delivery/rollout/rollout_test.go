package rollout_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
	"github.com/slipway-cd/slipway/internal/fakecloud"
)

var cluster = delivery.Cluster{Provider: "aws", Account: "acct", Region: "r1", Moniker: delivery.Moniker{App: "shop", Stack: "prod"}}

// drive carries a deployment out on a fake cloud in virtual time.
type drive struct {
	now   time.Time
	cloud *fakecloud.Cloud
	state rollout.State
	looks int
	// at is called before each look.
	at func(d *drive)
	// answer gives the reading of a measurement; nil lets all of them pass.
	answer func(q rollout.Question) rollout.Reading
	// judge is a person's answer to an open judgment, nil for none yet; without it
	// everybody goes on. requests are those of a minute; 100 without it.
	judge    func(g rollout.Gate) *delivery.JudgmentAnswer
	requests func(q rollout.Question) rollout.Reading
	// took are the measurements so far.
	took []rollout.Measurement
	// calls counts looks and calls of Apply; the process dies once, right after the
	// one with the number crashAt: what it had decided or heard is lost, and what the
	// call did is not.
	calls, crashAt int
	// rollback is called before each change of a rollback.
	rollback func(d *drive)
}

func newDrive(in rollout.Input, config fakecloud.Config, existing ...fakecloud.Existing) *drive {
	d := &drive{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	config.Now = func() time.Time { return d.now }
	d.cloud = fakecloud.New(cluster, config, existing...)
	in.Cluster, in.Capabilities = cluster, d.cloud.Describe().Capabilities
	if in.Deployment == "" {
		in.Deployment = "X/1/acct/r1/shop-prod"
	}
	if in.Group == "" {
		in.Group = "shop-prod-v001"
	}
	if in.Strategy.Baseline && len(existing) > 0 {
		in.Baseline = "shop-prod-v002"
	}
	d.state = rollout.Start(in)
	return d
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func (d *drive) run(t fataler) rollout.Outcome {
	t.Helper()
	ctx := context.Background()
	for d.looks = 1; d.looks < 20_000; d.looks++ {
		if d.at != nil {
			d.at(d)
		}
		seen, err := d.cloud.Observe(ctx, cluster, "lb")
		if err != nil {
			d.now = d.now.Add(time.Second)
			continue
		}
		d.measure()
		next, decision := rollout.Next(reread(t, d.state), seen, d.now)
		if d.dies() {
			d.now = d.now.Add(5 * time.Second)
			continue
		}
		d.state = next
		switch {
		case decision.Done != nil:
			d.cloud.Close()
			d.now = d.now.Add(time.Hour)
			if v := d.cloud.Violations(); len(v) > 0 {
				t.Fatalf("violations: %q\nwrites: %s", v, describe(d.cloud.Writes()))
			}
			return *decision.Done
		case decision.Apply != nil:
			if d.state.Phase == rollout.RollingBack && d.rollback != nil {
				d.rollback(d)
			}
			d.apply(ctx, *decision.Apply)
		case decision.Gate != nil:
			d.ask(t, *decision.Gate)
		case decision.Await != nil:
			d.now = d.now.Add(2 * time.Second)
		default:
			t.Fatalf("look %d: no decision", d.looks)
		}
	}
	t.Fatalf("no end after %d looks: %s, waiting for %s\nwrites: %s", d.looks, d.state.Phase, d.state.Waiting, describe(d.cloud.Writes()))
	return rollout.Outcome{}
}

func (d *drive) measure() {
	var readings []rollout.Reading
	for _, q := range d.state.Due(d.now) {
		if q.Counting {
			readings = append(readings, d.counted(q))
			continue
		}
		if d.answer == nil {
			readings = append(readings, reading(q, rollout.VerdictPass))
			continue
		}
		readings = append(readings, d.answer(q))
	}
	var took []rollout.Measurement
	d.state, took = d.state.Measured(readings, d.now)
	d.took = append(d.took, took...)
}

func (d *drive) apply(ctx context.Context, c delivery.Change) {
	for range 20 {
		d.now = d.now.Add(100 * time.Millisecond)
		receipt, err := d.cloud.Apply(ctx, c)
		if d.dies() {
			d.now = d.now.Add(5 * time.Second)
			return
		}
		switch kind := delivery.KindOf(err); {
		case err == nil && receipt.Wrote != "" && !receipt.Done:
			continue
		case err == nil && !receipt.Done:
			d.now = d.now.Add(2 * time.Second)
		case err != nil && !kind.Retryable() && kind != delivery.Conflict:
			d.state = d.state.Fail(*delivery.FailureOf(c.String(), err))
		}
		return
	}
}

// dies tells whether the process dies after the call that was just made.
func (d *drive) dies() bool {
	d.calls++
	return d.calls == d.crashAt
}

// reread passes the state through JSON, as a history does.
func reread(t fataler, s rollout.State) rollout.State {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatalf("marshal state: %v", err)
	}
	var out rollout.State
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatalf("unmarshal state: %v", err)
	}
	return out
}

func describe(ws []fakecloud.Write) string {
	out := ""
	for _, w := range ws {
		out += fmt.Sprintf("\n  %s %-14s %s", w.At.Format("15:04:05.0"), w.Action, w.Change)
	}
	return out
}

func strategy(t fataler, text string) rollout.Strategy {
	t.Helper()
	s, findings := rollout.ParseStrategy(json.RawMessage(text))
	if len(findings) > 0 {
		t.Fatalf("strategy %s: %v", text, findings)
	}
	return s
}

func calm() fakecloud.Config {
	return fakecloud.Config{Router: true, Boot: 10 * time.Second, Drain: 10 * time.Second, Settle: 10 * time.Second, Grace: 20 * time.Second}
}

func v000(n int) fakecloud.Existing {
	return fakecloud.Existing{Name: "shop-prod-v000", Image: "old", Capacity: delivery.Capacity{Min: 1, Max: 2 * n, Desired: n}, Weight: 100}
}

func TestRollingSucceeds(t *testing.T) {
	want := delivery.Capacity{Min: 6, Max: 24, Desired: 12}
	d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: want},
		Strategy: strategy(t, `{"strategy":"rolling","maxSurge":3}`)}, calm(), v000(12))
	d.cloud.Bound(fakecloud.Bounds{Floor: 12, Ceiling: 15})
	if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
		t.Fatalf("outcome %+v %v", got, got.Failure)
	}
	truth := d.cloud.Truth()
	if g := truth.Group("shop-prod-v001"); g == nil || g.Capacity != want || g.Healthy() != 12 {
		t.Errorf("new group: %+v", g)
	}
	if g := truth.Group("shop-prod-v000"); g == nil || g.Capacity != delivery.Pinned(0) {
		t.Errorf("old group: %+v", g)
	}
	wantWeights := []delivery.Weight{{ServerGroup: "shop-prod-v001", Percent: 100}}
	if !delivery.SameWeights(truth.Routing.Weights, wantWeights) {
		t.Errorf("weights: %v", truth.Routing.Weights)
	}
}

func TestBadImageRollsBackToTheRecordedState(t *testing.T) {
	config := calm()
	config.BadImages = []string{"crash"}
	before := delivery.Capacity{Min: 2, Max: 9, Desired: 4}
	d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "crash", LoadBalancer: "lb", Capacity: delivery.Pinned(4)},
		Strategy: strategy(t, `{"strategy":"rolling","maxSurge":1}`)}, config,
		fakecloud.Existing{Name: "shop-prod-v000", Image: "old", Capacity: before, Weight: 100})
	d.cloud.Bound(fakecloud.Bounds{Floor: 4, Ceiling: 5})
	was := d.cloud.Truth()
	got := d.run(t)
	if got.Status != delivery.DeploymentRolledBack || got.Failure == nil || got.Failure.Kind != "unhealthy" {
		t.Fatalf("outcome %+v %v", got, got.Failure)
	}
	is := d.cloud.Truth()
	if diff := cmp.Diff(settled(was), settled(is)); diff != "" {
		t.Errorf("cluster after the rollback (-before +after):\n%s", diff)
	}
}

// settled is what a rollback promises to restore.
func settled(s delivery.Snapshot) map[string]string {
	out := map[string]string{}
	for _, g := range s.Groups {
		out[g.Name] = fmt.Sprintf("%+v complete=%v weight=%d", g.Capacity, g.Complete, s.Routing.Percent(g.Name))
		if led := s.Routing.Preview(g.Name); led != nil {
			out[g.Name] += " by " + led.Match.String()
		}
	}
	return out
}

func TestStrategies(t *testing.T) {
	for _, test := range []struct {
		name, strategy string
		router         bool
		old            delivery.Capacity // of v000 afterwards
		weightNew      int
		images         int
	}{
		{"rolling without a router", `{"strategy":"rolling","maxSurge":2}`, false, delivery.Pinned(0), 0, 2},
		{"rolling by unavailability", `{"strategy":"rolling","maxSurge":0,"maxUnavailable":"25%"}`, true, delivery.Pinned(0), 100, 2},
		{"red/black keeps the old group", `{"strategy":"rollingredblack","targetPercentages":[25,50]}`, true, delivery.Capacity{Min: 1, Max: 8, Desired: 4}, 100, 2},
		{"red/black scales down", `{"strategy":"rollingredblack","targetPercentages":[50,100],"scaleDown":true,"delayBeforeScaleDownSec":60}`, true, delivery.Pinned(0), 100, 2},
		{"blue/green keeps the old group", `{"strategy":"bluegreen"}`, true, delivery.Capacity{Min: 1, Max: 8, Desired: 4}, 100, 2},
		{"blue/green by Spinnaker's name scales down", `{"strategy":"redblack","scaleDown":true,"delayBeforeDisableSec":30}`, true, delivery.Pinned(0), 100, 2},
		{"there can be only one", `{"strategy":"highlander"}`, true, delivery.Capacity{}, 100, 1},
		{"a canary keeps the old group", `{"strategy":"canary","steps":[{"weight":5,"bake":60},{"weight":50}]}`, true, delivery.Capacity{Min: 1, Max: 8, Desired: 4}, 100, 2},
		{"a canary keeps the old group for a while", `{"strategy":"canary","steps":[{"weight":5}],"keepOldFor":60}`, true, delivery.Pinned(0), 100, 2},
		{"a baseline does not outlive its canary", `{"strategy":"canary","baseline":true,"steps":[{"weight":5,"bake":60},{"weight":50}]}`, true, delivery.Capacity{Min: 1, Max: 8, Desired: 4}, 100, 2},
		{"none shares the traffic", `{"strategy":""}`, true, delivery.Capacity{Min: 1, Max: 8, Desired: 4}, 50, 2},
		{"one group remains", `{"strategy":"rolling","maxRemainingAsgs":1}`, true, delivery.Capacity{}, 100, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := calm()
			config.Router = test.router
			spec := delivery.GroupSpec{Image: "new", Capacity: delivery.Pinned(4)}
			if test.router {
				spec.LoadBalancer = "lb"
			}
			d := newDrive(rollout.Input{Spec: spec, Strategy: strategy(t, test.strategy)}, config, v000(4))
			if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
				t.Fatalf("outcome %+v %v%s", got, got.Failure, describe(d.cloud.Writes()))
			}
			truth := d.cloud.Truth()
			if len(truth.Groups) != test.images {
				t.Errorf("%d groups are left, want %d", len(truth.Groups), test.images)
			}
			if g := truth.Group("shop-prod-v000"); g != nil && g.Capacity != test.old {
				t.Errorf("old capacity %+v, want %+v", g.Capacity, test.old)
			}
			if got := truth.Routing.Percent("shop-prod-v001"); got != test.weightNew {
				t.Errorf("weight of the new group %d, want %d", got, test.weightNew)
			}
		})
	}
}

func TestFirstDeployment(t *testing.T) {
	d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(3)},
		Strategy: strategy(t, `{"strategy":"rolling"}`)}, calm())
	if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
		t.Fatalf("outcome %+v %v", got, got.Failure)
	}
	if got := d.cloud.Truth().Routing.Percent("shop-prod-v001"); got != 100 {
		t.Errorf("weight %d, want 100", got)
	}
}

// TestGroupsWithoutSize moves the weights of groups that cannot be resized, in
// the shares that the strategy gives to sizes.
func TestGroupsWithoutSize(t *testing.T) {
	for _, test := range []struct {
		strategy string
		weights  []int // of the new group, in order
	}{
		{`{"strategy":"rolling","maxSurge":1}`, []int{33, 67, 100}},
		{`{"strategy":"rolling","maxSurge":"100%"}`, []int{100}},
		{`{"strategy":"rollingredblack","targetPercentages":[10,50]}`, []int{10, 50, 100}},
		{`{"strategy":"none"}`, []int{50}},
	} {
		t.Run(test.strategy, func(t *testing.T) {
			config := calm()
			config.Unsized = true
			want := delivery.Capacity{Min: 0, Max: 10, Desired: 3}
			d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: want}, Strategy: strategy(t, test.strategy)}, config, v000(3))
			if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
				t.Fatalf("outcome %+v %v%s", got, got.Failure, describe(d.cloud.Writes()))
			}
			var weights []int
			for _, w := range d.cloud.Writes() {
				if w.Change.Kind == delivery.SetRouting {
					weights = append(weights, percentOf(w.Change.Weights, "shop-prod-v001"))
				}
			}
			if diff := cmp.Diff(test.weights, weights); diff != "" {
				t.Error(diff)
			}
			truth := d.cloud.Truth()
			if g := truth.Group("shop-prod-v001"); g == nil || g.Capacity != want {
				t.Errorf("new group: %+v", g)
			}
			if g := truth.Group("shop-prod-v000"); g == nil || g.Capacity != v000(3).Capacity {
				t.Errorf("old group: %+v", g)
			}
		})
	}
}

func percentOf(weights []delivery.Weight, group string) int {
	return (&delivery.Routing{Weights: weights}).Percent(group)
}

// TestCanarySteps: weights, sizes and bakes are those of the steps, and the old
// group keeps its capacity.
func TestCanarySteps(t *testing.T) {
	text := `{"strategy":"canary","steps":[{"weight":1,"size":2,"bake":600},{"weight":25,"bake":1200},{"weight":100,"bake":300}]}`
	d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(8)},
		Strategy: strategy(t, text)}, calm(), v000(8))
	began := d.now
	if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
		t.Fatalf("outcome %+v %v", got, got.Failure)
	}
	var moves []string
	for _, w := range d.cloud.Writes() {
		switch {
		case w.Change.Kind == delivery.SetRouting:
			moves = append(moves, fmt.Sprintf("%d%%", percentOf(w.Change.Weights, "shop-prod-v001")))
		case w.Change.Kind == delivery.ResizeGroup:
			moves = append(moves, fmt.Sprintf("%s %d", w.Change.Group, w.Change.Capacity.Desired))
		}
	}
	want := []string{"shop-prod-v001 2", "1%", "25%", "shop-prod-v001 8", "100%"}
	if diff := cmp.Diff(want, moves); diff != "" {
		t.Error(diff)
	}
	if took := d.now.Sub(began) - time.Hour; took < 35*time.Minute { // run adds an hour at the end
		t.Errorf("the bakes took %s", took)
	}
}

// TestOneProblemFailsAGroupWithoutSize: its one instance stands for all of it.
func TestOneProblemFailsAGroupWithoutSize(t *testing.T) {
	config := calm()
	config.Unsized, config.BadImages = true, []string{"crash"}
	d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "crash", LoadBalancer: "lb", Capacity: delivery.Pinned(3)},
		Strategy: strategy(t, `{"strategy":"rolling","healthTimeoutSec":900}`)}, config, v000(3))
	began := d.now
	got := d.run(t)
	if got.Status != delivery.DeploymentRolledBack || got.Failure.Kind != "unhealthy" {
		t.Errorf("outcome %+v %v", got, got.Failure)
	}
	if took := d.now.Sub(began) - time.Hour; took > 5*time.Minute { // run adds an hour at the end
		t.Errorf("found out after %s", took)
	}
}

// TestScaleDownNeedsSize: what a target cannot do is refused before anything is written.
func TestScaleDownNeedsSize(t *testing.T) {
	config := calm()
	config.Unsized = true
	d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(3)},
		Strategy: strategy(t, `{"strategy":"rollingredblack","targetPercentages":[50],"scaleDown":true}`)}, config, v000(3))
	if got := d.run(t); got.Status != delivery.DeploymentFailed || got.Failure.Kind != "invalid" || len(d.cloud.Writes()) != 0 {
		t.Errorf("outcome %+v %v%s", got, got.Failure, describe(d.cloud.Writes()))
	}
}

// TestCancelAtEveryLook cancels at each look in turn: the cluster always ends
// as it began, or, once the old state is being given up, as wanted.
func TestCancelAtEveryLook(t *testing.T) {
	for _, text := range []string{`{"strategy":"rolling","maxSurge":1}`, `{"strategy":"rollingredblack","targetPercentages":[50],"scaleDown":true}`, `{"strategy":"none"}`,
		`{"strategy":"canary","steps":[{"weight":5,"bake":60},{"weight":50,"bake":30}],"keepOldFor":60}`,
		`{"strategy":"canary","baseline":true,"steps":[{"weight":5,"bake":60},{"weight":50,"bake":30},{"weight":100,"bake":30}],"keepOldFor":60}`,
		`{"strategy":"bluegreen","delayBeforeDisableSec":30}`, `{"strategy":"highlander"}`, dark,
		checked(""), gatedCanary} {
		for look := 1; ; look++ {
			d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(3)},
				Strategy: strategy(t, text)}, calm(), v000(3))
			was := d.cloud.Truth()
			reached := false
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

// TestCrashAtEveryCall lets the process die after each look and each call of the
// cloud in turn, of a deployment that succeeds and of one that rolls back: it
// ends as without the crash, and no invariant is broken on the way.
func TestCrashAtEveryCall(t *testing.T) {
	for _, text := range []string{`{"strategy":"rolling","maxSurge":1}`, `{"strategy":"rollingredblack","targetPercentages":[50]}`,
		`{"strategy":"canary","steps":[{"weight":5,"bake":60},{"weight":50,"bake":30}]}`,
		`{"strategy":"canary","baseline":true,"steps":[{"weight":5,"bake":60},{"weight":50,"bake":30}]}`,
		`{"strategy":"bluegreen","delayBeforeDisableSec":30}`, `{"strategy":"highlander"}`, `{"strategy":"none"}`, dark, gatedCanary} {
		for _, image := range []string{"new", "crash"} {
			for _, unsized := range []bool{false, true} {
				end := func(at int) (*drive, rollout.Outcome) {
					config := calm()
					config.Unsized, config.BadImages = unsized, []string{"crash"}
					st := strategy(t, text)
					st.HealthTimeout = time.Minute
					st = suited(st, unsized)
					d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: image, LoadBalancer: "lb", Capacity: delivery.Pinned(3)}, Strategy: st}, config, v000(3))
					d.crashAt = at
					return d, d.run(t)
				}
				without, want := end(0)
				for at := 1; at <= without.calls; at++ {
					d, got := end(at)
					if got.Status != want.Status {
						t.Fatalf("%s of %s, crash after call %d: %s, want %s: %v", text, image, at, got.Status, want.Status, got.Failure)
					}
					if diff := cmp.Diff(settled(without.cloud.Truth()), settled(d.cloud.Truth())); diff != "" {
						t.Fatalf("%s of %s, crash after call %d (-without +with):\n%s%s", text, image, at, diff, describe(d.cloud.Writes()))
					}
				}
			}
		}
	}
}

// TestInvariantsUnderFaults draws sizes, strategies, faults, deaths, cancels and
// pauses: I1 to I5 and I7 hold at every instant, every deployment ends, nothing
// is orphaned, and what did not succeed is as it was before.
func TestInvariantsUnderFaults(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		old := rapid.IntRange(0, 14).Draw(rt, "old")
		wanted := rapid.IntRange(1, 14).Draw(rt, "wanted")
		unsized := rapid.Float64Range(0, 1).Draw(rt, "unsized") < 0.25
		st := suited(drawStrategy(rt), unsized)
		config := fakecloud.Config{Router: unsized || st.Kind == rollout.Canary || st.Kind == rollout.Dark || rapid.Bool().Draw(rt, "router"), Unsized: unsized, Seed: rapid.Int64().Draw(rt, "seed"),
			Boot: 5 * time.Second, Jitter: 20 * time.Second, Drain: 8 * time.Second, Settle: 12 * time.Second, Grace: 30 * time.Second,
			Faults: fakecloud.Faults{Before: rapid.Float64Range(0, 0.2).Draw(rt, "before"), After: rapid.Float64Range(0, 0.3).Draw(rt, "after"),
				Throttle: rapid.Float64Range(0, 0.2).Draw(rt, "throttle"), Stale: rapid.Float64Range(0, 0.2).Draw(rt, "stale"), StaleFor: 6 * time.Second,
				Kill: rapid.Float64Range(0, 0.02).Draw(rt, "kill"), Flap: rapid.Float64Range(0, 0.02).Draw(rt, "flap"), FlapFor: 7 * time.Second}}
		image := rapid.SampledFrom([]string{"good", "good", "good", "crash"}).Draw(rt, "image")
		config.BadImages = []string{"crash"}
		spec := delivery.GroupSpec{Image: image, Capacity: delivery.Capacity{Min: wanted, Max: wanted + 2, Desired: wanted}}
		if config.Router {
			spec.LoadBalancer = "lb"
		}
		var existing []fakecloud.Existing
		if old > 0 {
			existing = append(existing, v000(old))
		}
		d := newDrive(rollout.Input{Spec: spec, Strategy: st}, config, existing...)
		floor, ceiling := wantedBounds(st, old, wanted)
		if unsized {
			floor, ceiling = min(old, 1), 2+baselineSize(st, 1) // each group shows one instance
		}
		d.cloud.Bound(fakecloud.Bounds{Floor: floor, Ceiling: ceiling})
		was := d.cloud.Truth()
		cancelAt := rapid.IntRange(-200, 200).Draw(rt, "cancelAt")
		pauseAt := rapid.IntRange(-100, 100).Draw(rt, "pauseAt")
		moveAt := rapid.IntRange(-100, 150).Draw(rt, "moveAt")
		move := rapid.SampledFrom([]rollout.Move{rollout.Advance, rollout.Promote}).Draw(rt, "move")
		d.judge, d.requests = drawAnswers(rt)
		d.at = func(d *drive) {
			if moveAt > 0 && d.looks%moveAt == 0 {
				if next, err := d.state.Moved(move, d.looks%2 == 0); err == nil {
					d.state = next
				}
			}
			if d.looks == cancelAt {
				d.state = d.state.Cancel(delivery.Principal{Name: "joe"}, "")
			}
			if d.looks == pauseAt {
				d.state = d.state.Pause(d.now)
			}
			if d.looks == pauseAt+30 {
				d.state = d.state.Resume(d.now)
			}
		}
		// A rollback restores the old capacity before it removes the new one.
		d.rollback = func(d *drive) { d.cloud.Bound(fakecloud.Bounds{Floor: floor, Ceiling: old + ceiling}) }
		got := d.run(rt)
		truth := d.cloud.Truth()
		switch got.Status {
		case delivery.DeploymentSucceeded:
			if st.Kind == rollout.Dark && weighed(d.cloud.Writes()) {
				rt.Fatalf("a dark release wrote weights:%s", describe(d.cloud.Writes()))
			}
			if image == "crash" {
				rt.Fatalf("a version that is never healthy succeeded")
			}
			if orphans := d.cloud.Orphans(""); len(orphans) > 0 || truth.Group(d.state.Input.Baseline) != nil {
				rt.Fatalf("orphans %v; groups %v", orphans, settled(truth))
			}
		case delivery.DeploymentRolledBack:
			if diff := cmp.Diff(settled(was), settled(truth)); diff != "" {
				rt.Fatalf("after the rollback (-before +after):\n%s%s", diff, describe(d.cloud.Writes()))
			}
		case delivery.DeploymentFailed, delivery.DeploymentCanceled:
			if old > 0 {
				if diff := cmp.Diff(settled(was), settled(truth)); diff != "" {
					rt.Fatalf("%v: (-before +after):\n%s%s", got, diff, describe(d.cloud.Writes()))
				}
			}
		default:
			rt.Fatalf("outcome %+v %v%s", got, got.Failure, describe(d.cloud.Writes()))
		}
	})
}

// wantedBounds states the floor and the ceiling in the issue's own terms.
func wantedBounds(st rollout.Strategy, old, wanted int) (floor, ceiling int) {
	if old == 0 {
		return 0, wanted
	}
	if st.Kind != rollout.Rolling {
		return min(old, wanted), old + wanted + baselineSize(st, wanted)
	}
	surge, unavailable := st.MaxSurge.Up(wanted), st.MaxUnavailable.Down(wanted)
	if surge+unavailable == 0 {
		surge = 1
	}
	floor = max(1, min(old, wanted)-unavailable) // the last healthy instance stays
	return floor, max(floor+1, max(old, wanted)+surge)
}

// baselineSize is the most instances that a baseline has.
func baselineSize(st rollout.Strategy, wanted int) int {
	size, most := 0, 0
	for _, step := range st.Canary {
		if step.Weight == 100 || !st.Baseline {
			continue
		}
		if size = max(size, (step.Weight*wanted+99)/100); step.Size > 0 {
			size = min(step.Size, wanted)
		}
		most = max(most, size)
	}
	return most
}

// suited leaves out of a strategy what groups without a size cannot do.
func suited(st rollout.Strategy, unsized bool) rollout.Strategy {
	if !unsized {
		return st
	}
	st.ScaleDown, st.Size = false, 0
	if st.Kind == rollout.Dark {
		st.Match = &delivery.Match{}
	}
	st.Canary = slices.Clone(st.Canary)
	for i := range st.Canary {
		st.Canary[i].Size = 0
	}
	return st
}

func drawStrategy(rt *rapid.T) rollout.Strategy {
	switch rapid.SampledFrom([]string{"rolling", "rolling", "redblack", "canary", "bluegreen", "highlander", "none", "dark"}).Draw(rt, "strategy") {
	case "canary":
		baseline := rapid.Bool().Draw(rt, "baseline")
		most := 99
		if baseline {
			most = 50
		}
		first := rapid.IntRange(1, most-1).Draw(rt, "weight")
		return strategy(rt, fmt.Sprintf(`{"strategy":"canary","baseline":%t,"steps":[{"weight":%d%s,"bake":%d,"size":%d},{"weight":%d,"bake":30}%s]%s%s}`, baseline, first, drawGate(rt),
			rapid.SampledFrom([]int{0, 60}).Draw(rt, "bake"), rapid.IntRange(0, 3).Draw(rt, "size"), rapid.IntRange(first+1, most).Draw(rt, "second"),
			rapid.SampledFrom([]string{"", `,{"weight":100,"bake":45}`}).Draw(rt, "promote"), rapid.SampledFrom([]string{"", `,"keepOldFor":30`}).Draw(rt, "keep"),
			rapid.SampledFrom([]string{"", `,"checks":[{"name":"errors","query":"errorRate","max":1}]`}).Draw(rt, "checks")))
	case "dark":
		return strategy(rt, fmt.Sprintf(`{"strategy":"dark","match":{%q:"canary","value":"always"},"size":%d}`,
			rapid.SampledFrom([]string{"header", "cookie"}).Draw(rt, "match"), rapid.IntRange(0, 3).Draw(rt, "size")))
	case "bluegreen":
		return strategy(rt, fmt.Sprintf(`{"strategy":"redblack","delayBeforeDisableSec":%d,"maxRemainingAsgs":%d}`,
			rapid.SampledFrom([]int{0, 40}).Draw(rt, "delay"), rapid.IntRange(1, 3).Draw(rt, "remaining")))
	case "highlander":
		return strategy(rt, `{"strategy":"highlander"}`)
	case "redblack":
		return strategy(rt, fmt.Sprintf(`{"strategy":"rollingredblack","targetPercentages":[%d,100]}`, rapid.IntRange(1, 99).Draw(rt, "percent")))
	case "none":
		return strategy(rt, `{"strategy":"none"}`)
	default:
		amount := func(name string) rollout.Amount {
			if rapid.Bool().Draw(rt, name+"Percent") {
				return rollout.Percentage(rapid.IntRange(0, 100).Draw(rt, name))
			}
			return rollout.Instances(rapid.IntRange(0, 6).Draw(rt, name))
		}
		surge, unavailable := amount("surge"), amount("unavailable")
		if surge.Value == 0 && unavailable.Value == 0 {
			surge = rollout.Instances(1)
		}
		pause := rapid.SampledFrom([]int{0, 0, 45}).Draw(rt, "pause")
		return strategy(rt, fmt.Sprintf(`{"strategy":"rolling","maxSurge":%q,"maxUnavailable":%q,"pauseBetweenBatches":%d}`, surge, unavailable, pause))
	}
}
