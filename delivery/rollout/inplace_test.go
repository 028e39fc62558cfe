package rollout_test

import (
	"encoding/json"
	"fmt"
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

const inPlace = `{"strategy":"rolling","inPlace":true,"maxSurge":1}`

// inPlaceDrive updates v000 of the size to the image.
func inPlaceDrive(t fataler, text, image string, config fakecloud.Config, size int) *drive {
	spec := delivery.GroupSpec{Image: image}
	if config.Router {
		spec.LoadBalancer = "lb"
	}
	d := newDrive(rollout.Input{Spec: spec, Strategy: strategy(t, text)}, config, v000(size))
	d.state.Input.Group = ""
	return d
}

// versions tells what every group runs and is made of.
func versions(s delivery.Snapshot) map[string]string {
	out := settled(s)
	for _, g := range s.Groups {
		ready, outdated := g.Rolled()
		out[g.Name] += fmt.Sprintf(" %s made of %s, %d ready, %d outdated", g.Image, g.Version, ready, outdated)
	}
	return out
}

// TestInPlace updates the one group: it keeps its name, capacity and traffic.
func TestInPlace(t *testing.T) {
	for _, router := range []bool{true, false} {
		for _, keeps := range []bool{true, false} {
			config := calm()
			config.Router, config.KeepsVersions = router, keeps
			d := inPlaceDrive(t, inPlace, "new", config, 4)
			d.cloud.Bound(fakecloud.Bounds{Floor: 4, Ceiling: 5})
			was := settled(d.cloud.Truth())
			if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
				t.Fatalf("outcome %+v %v%s", got, got.Failure, describe(d.cloud.Writes()))
			}
			truth := d.cloud.Truth()
			if diff := cmp.Diff(was, settled(truth)); diff != "" {
				t.Errorf("group (-before +after):\n%s", diff)
			}
			g := truth.Group("shop-prod-v000")
			if ready, outdated := g.Rolled(); ready != 4 || outdated != 0 || g.Image != "new" || len(g.Spare) != 0 {
				t.Errorf("%d ready, %d outdated of %s, spare %v", ready, outdated, g.Image, g.Spare)
			}
			detail, err := d.state.Detail()
			if want := `"inPlace":{"serverGroup":"shop-prod-v000","from":"old","to":"new","version":"shop-prod-v000"}`; err != nil || !strings.Contains(string(detail), want) {
				t.Errorf("detail %s, %v; want %s", detail, err, want)
			}
		}
	}
}

// TestInPlaceOfABadVersion goes back to the recorded version, and leaves nothing of
// the new one.
func TestInPlaceOfABadVersion(t *testing.T) {
	config := calm()
	config.BadImages = []string{"crash"}
	d := inPlaceDrive(t, inPlace, "crash", config, 4)
	d.cloud.Bound(fakecloud.Bounds{Floor: 4, Ceiling: 5})
	was := d.cloud.Truth()
	got := d.run(t)
	if got.Status != delivery.DeploymentRolledBack || got.Failure.Kind != "unhealthy" {
		t.Fatalf("outcome %+v %v%s", got, got.Failure, describe(d.cloud.Writes()))
	}
	truth := d.cloud.Truth()
	if diff := cmp.Diff(versions(was), versions(truth)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	if spare := truth.Groups[0].Spare; len(spare) > 0 {
		t.Errorf("left over: %v", spare)
	}
}

// TestInPlaceIsTheCure updates a group of which instances are sick for good.
func TestInPlaceIsTheCure(t *testing.T) {
	for _, sick := range []int{1, 4} {
		old := v000(4)
		old.Sick = sick
		d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb"}, Strategy: strategy(t, inPlace)}, calm(), old)
		d.cloud.Bound(fakecloud.Bounds{Floor: 4 - sick, Ceiling: 5 + sick})
		if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
			t.Errorf("%d of 4 sick: %+v %v", sick, got, got.Failure)
		}
	}
}

// TestInPlaceMovement is about how many instances may be surplus or missing.
func TestInPlaceMovement(t *testing.T) {
	for _, test := range []struct {
		strategy   string
		size, unit int
		want       string
	}{
		{`"maxSurge":"25%"`, 4, 0, "at most 1 more and 0 fewer"},
		{`"maxSurge":0,"maxUnavailable":1`, 4, 0, "at most 0 more and 1 fewer"},
		{`"maxSurge":0,"maxUnavailable":"100%"`, 1, 0, "at most 1 more and 0 fewer"},
		{`"maxSurge":0,"maxUnavailable":"100%"`, 5, 0, "at most 0 more and 4 fewer"},
		{`"maxSurge":"100%","maxUnavailable":2`, 4, 0, "at most 2 more and 2 fewer"},
		{`"maxSurge":1`, 4, 3, "at most 3 more and 0 fewer"},
		{`"maxSurge":0,"maxUnavailable":1`, 4, 3, "at most 3 more and 0 fewer"},
		{`"maxSurge":1,"maxUnavailable":4`, 8, 3, "at most 0 more and 3 fewer"},
		{`"maxSurge":0,"maxUnavailable":2`, 5, 2, "at most 0 more and 2 fewer"},
		{`"maxSurge":0,"maxUnavailable":2`, 4, 2, "at most 2 more and 0 fewer"},
		{`"maxSurge":"100%"`, 8, 3, "at most 7 more and 0 fewer"},
		{`"maxSurge":"100%","maxUnavailable":2`, 12, 2, "at most 7 more and 2 fewer"},
	} {
		config := calm()
		config.RollUnit = test.unit
		d := inPlaceDrive(t, `{"strategy":"rolling","inPlace":true,`+test.strategy+`}`, "new", config, test.size)
		plan, _ := rollout.PlanOf(d.state.Input, d.cloud.Truth(), rollout.Estimates{})
		if lines := changesOf(plan); len(lines) == 0 || !strings.Contains(lines[0], test.want) {
			t.Errorf("%s of %d in units of %d: %v; want %s", test.strategy, test.size, test.unit, lines, test.want)
		}
	}
}

// TestInPlaceIsRefused: nothing is written where there is no group to update.
func TestInPlaceIsRefused(t *testing.T) {
	half := func(name string, weight int) fakecloud.Existing {
		return fakecloud.Existing{Name: name, Image: "old", Capacity: delivery.Pinned(2), Weight: weight}
	}
	foreign := half("shop-prod-v000", 100)
	foreign.Unmanaged = true
	for _, test := range []struct {
		name, says string
		capacity   delivery.Capacity
		unsized    bool
		unit       int
		wait       time.Duration
		existing   []fakecloud.Existing
	}{
		{name: "no group", says: "no server group of cluster shop-prod takes traffic"},
		{name: "no traffic", says: "takes traffic", existing: []fakecloud.Existing{half("shop-prod-v000", 0)}},
		{name: "two groups", says: "shop-prod-v000 and shop-prod-v001", existing: []fakecloud.Existing{half("shop-prod-v000", 50), half("shop-prod-v001", 50)}},
		{name: "not ours", says: "no ownership tag", existing: []fakecloud.Existing{foreign}},
		{name: "another capacity", says: "resize first", capacity: delivery.Pinned(3), existing: []fakecloud.Existing{half("shop-prod-v000", 100)}},
		{name: "all at once", says: "replaces 2 instances at a time", unit: 2, existing: []fakecloud.Existing{half("shop-prod-v000", 100)}},
		{name: "too little time", says: "healthTimeoutSec is 900; must be more than 900", wait: 15 * time.Minute, existing: []fakecloud.Existing{half("shop-prod-v000", 100)}},
		{name: "no versions", says: "never changes its version", unsized: true, existing: []fakecloud.Existing{half("shop-prod-v000", 100)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := calm()
			config.Unsized, config.RollUnit, config.RollWait = test.unsized, test.unit, test.wait
			d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: test.capacity},
				Strategy: strategy(t, inPlace)}, config, test.existing...)
			got := d.run(t)
			if got.Status != delivery.DeploymentFailed || got.Failure.Kind != "invalid" || !strings.Contains(got.Failure.Message, test.says) {
				t.Errorf("outcome %+v %v", got, got.Failure)
			}
			if w := d.cloud.Writes(); len(w) > 0 {
				t.Errorf("writes %s", describe(w))
			}
		})
	}
}

// TestInPlaceFindings names every field that makes no sense together with inPlace.
func TestInPlaceFindings(t *testing.T) {
	for fields, pointer := range map[string]string{
		`"strategy":"canary","steps":[{"weight":5}]`: "/inPlace",
		`"strategy":"highlander"`:                    "/inPlace",
		`"strategy":""`:                              "/inPlace",
		`"strategy":"rolling","checks":[{"name":"e","query":"errorRate","max":1}]`:          "/checks",
		`"strategy":"rolling","pauseBetweenBatches":5`:                                      "/pauseBetweenBatches",
		`"strategy":"rolling","delayBeforeCleanup":5`:                                       "/delayBeforeCleanup",
		`"strategy":"rolling","pipelineBeforeCleanup":{"application":"a","pipelineId":"p"}`: "/pipelineBeforeCleanup",
		`"strategy":"rolling","scaleDown":true`:                                             "/scaleDown",
		`"strategy":"rolling","maxRemainingAsgs":2`:                                         "/maxRemainingAsgs",
		`"strategy":"rolling","rollback":{"onFailure":false}`:                               "/rollback/onFailure",
	} {
		_, findings := rollout.ParseStrategy(json.RawMessage(`{"inPlace":true,` + fields + `}`))
		if len(findings) == 0 || findings[0].Pointer != pointer {
			t.Errorf("%s: %v; want %s", fields, findings, pointer)
		}
	}
}

// TestInPlaceCancelAtEveryLook cancels at each look in turn: the group always ends
// as it began, or, once it is of the new version, as wanted.
func TestInPlaceCancelAtEveryLook(t *testing.T) {
	for look := 1; ; look++ {
		d := inPlaceDrive(t, inPlace, "new", calm(), 3)
		d.cloud.Bound(fakecloud.Bounds{Floor: 3, Ceiling: 4})
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
			if diff := cmp.Diff(versions(was), versions(d.cloud.Truth())); diff != "" {
				t.Fatalf("canceled at look %d (-before +after):\n%s%s", look, diff, describe(d.cloud.Writes()))
			}
		case delivery.DeploymentSucceeded:
		default:
			t.Fatalf("canceled at look %d: %+v %v", look, got, got.Failure)
		}
		if !reached {
			return
		}
	}
}

// TestInPlaceCrashAtEveryCall lets the process die after each look and each call of
// the cloud in turn: the deployment ends as without the crash.
func TestInPlaceCrashAtEveryCall(t *testing.T) {
	for _, image := range []string{"new", "crash"} {
		end := func(at int) (*drive, rollout.Outcome) {
			config := calm()
			config.BadImages = []string{"crash"}
			d := inPlaceDrive(t, `{"strategy":"rolling","inPlace":true,"maxSurge":1,"healthTimeoutSec":60}`, image, config, 3)
			d.cloud.Bound(fakecloud.Bounds{Floor: 3, Ceiling: 4})
			d.crashAt = at
			return d, d.run(t)
		}
		without, want := end(0)
		for at := 1; at <= without.calls; at++ {
			d, got := end(at)
			if got.Status != want.Status {
				t.Fatalf("%s, crash after call %d: %s, want %s: %v", image, at, got.Status, want.Status, got.Failure)
			}
			if diff := cmp.Diff(versions(without.cloud.Truth()), versions(d.cloud.Truth())); diff != "" {
				t.Fatalf("%s, crash after call %d (-without +with):\n%s%s", image, at, diff, describe(d.cloud.Writes()))
			}
		}
	}
}

// drawInPlace draws the bounds of an update in place.
func drawInPlace(rt *rapid.T) string {
	surge, unavailable := rapid.IntRange(0, 5).Draw(rt, "surge"), rapid.IntRange(0, 5).Draw(rt, "unavailable")
	if surge+unavailable == 0 {
		surge = 1
	}
	return fmt.Sprintf(`{"strategy":"rolling","inPlace":true,"maxSurge":%d,"maxUnavailable":%d}`, surge, unavailable)
}

// TestInPlaceUnderFaults draws sizes, bounds, faults, deaths, cancels and pauses:
// the bounds hold at every instant, every update ends, and what did not succeed is
// as it was before.
func TestInPlaceUnderFaults(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.IntRange(1, 12).Draw(rt, "size")
		image := rapid.SampledFrom([]string{"good", "good", "crash"}).Draw(rt, "image")
		config := fakecloud.Config{Router: rapid.Bool().Draw(rt, "router"), Seed: rapid.Int64().Draw(rt, "seed"), BadImages: []string{"crash"},
			KeepsVersions: rapid.Bool().Draw(rt, "keeps"), RollUnit: rapid.IntRange(0, min(3, size-1)).Draw(rt, "unit"),
			Boot: 5 * time.Second, Jitter: 20 * time.Second, Drain: 8 * time.Second, Settle: 12 * time.Second, Grace: 30 * time.Second,
			Faults: fakecloud.Faults{Before: rapid.Float64Range(0, 0.2).Draw(rt, "before"), After: rapid.Float64Range(0, 0.3).Draw(rt, "after"),
				Throttle: rapid.Float64Range(0, 0.2).Draw(rt, "throttle"), Stale: rapid.Float64Range(0, 0.2).Draw(rt, "stale"), StaleFor: 6 * time.Second,
				Kill: rapid.Float64Range(0, 0.02).Draw(rt, "kill"), Flap: rapid.Float64Range(0, 0.02).Draw(rt, "flap"), FlapFor: 7 * time.Second}}
		d := inPlaceDrive(rt, drawInPlace(rt), image, config, size)
		floor, _ := wantedBounds(d.state.Input.Strategy, size, size)
		d.cloud.Bound(fakecloud.Bounds{Floor: floor, Ceiling: 3*size + config.RollUnit}) // those that leave count
		was := d.cloud.Truth()
		cancelAt, pauseAt := rapid.IntRange(-200, 200).Draw(rt, "cancelAt"), rapid.IntRange(-100, 100).Draw(rt, "pauseAt")
		d.at = func(d *drive) {
			switch d.looks {
			case cancelAt:
				d.state = d.state.Cancel(delivery.Principal{Name: "joe"}, "")
			case pauseAt:
				d.state = d.state.Pause(d.now)
			case pauseAt + 30:
				d.state = d.state.Resume(d.now)
			}
		}
		got := d.run(rt)
		truth := d.cloud.Truth()
		switch got.Status {
		case delivery.DeploymentSucceeded:
			if g := truth.Groups[0]; image == "crash" || g.Image != image {
				rt.Fatalf("succeeded with %s of %s%s", g.Image, image, describe(d.cloud.Writes()))
			}
		case delivery.DeploymentRolledBack, delivery.DeploymentFailed, delivery.DeploymentCanceled:
			if diff := cmp.Diff(versions(was), versions(truth)); diff != "" {
				rt.Fatalf("%v: (-before +after):\n%s%s", got, diff, describe(d.cloud.Writes()))
			}
		default:
			rt.Fatalf("outcome %+v %v%s", got, got.Failure, describe(d.cloud.Writes()))
		}
	})
}

// TestInPlacePlanIsWhatHappens: the changes of the plan are those of the run.
func TestInPlacePlanIsWhatHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		config := calm()
		size := rapid.IntRange(1, 9).Draw(rt, "size")
		config.Router, config.KeepsVersions, config.RollUnit = rapid.Bool().Draw(rt, "router"), rapid.Bool().Draw(rt, "keeps"), rapid.IntRange(0, min(3, size-1)).Draw(rt, "unit")
		d := inPlaceDrive(rt, drawInPlace(rt), "new", config, size)
		plan, after := rollout.PlanOf(d.state.Input, d.cloud.Truth(), rollout.Estimates{})
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

// TestInPlacePlansToRead compares plans with what a person can read.
func TestInPlacePlansToRead(t *testing.T) {
	var out strings.Builder
	for _, text := range []string{inPlace, `{"strategy":"rolling","inPlace":true,"maxSurge":0,"maxUnavailable":2}`} {
		for _, keeps := range []bool{true, false} {
			config := calm()
			config.KeepsVersions = keeps
			d := inPlaceDrive(t, text, "new", config, 4)
			plan, _ := rollout.PlanOf(d.state.Input, d.cloud.Truth(), rollout.Estimates{})
			fmt.Fprintf(&out, "%s\nversions kept: %t; floor %d, peak %d, about %s\n", text, keeps, plan.Floor, plan.Peak, plan.Duration.Round(time.Second))
			for _, a := range plan.Actions {
				fmt.Fprintf(&out, "  %8s  %s\n", a.At.Round(time.Second), lineOf(a))
			}
			out.WriteString("\n")
		}
	}
	golden.Compare(t, "testdata/inplace.txt", []byte(out.String()))
}
