package workflows

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/internal/fakecloud"
)

// parts is how many times the flag -rapid.checks (100) a run of the test draws:
// 10,000 schedules.
const parts = 100

// TestFaultSchedules draws strategies, sizes, faults of cloud and store, and
// commands at any time. Whatever comes: no invariant is broken, the execution
// and its deployment end, the lock is free, nothing is left behind.
func TestFaultSchedules(t *testing.T) {
	n := parts
	if testing.Short() {
		n = 1 // 100 schedules, for runs with the race detector
	}
	for part := range n {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, faultSchedule)
		})
	}
}

func faultSchedule(rt *rapid.T) {
	old := rapid.IntRange(1, 10).Draw(rt, "old")
	wanted := rapid.IntRange(1, 10).Draw(rt, "wanted")
	strategy, floor, ceiling := drawStrategy(rt, old, wanted)
	image := rapid.SampledFrom([]string{"good", "good", "good", "crash"}).Draw(rt, "image")
	config := drawConfig(rt)
	document, existing := deployDocument(image, "lb", strategy, wanted), []fakecloud.Existing{v000(old)}
	promotes := rapid.IntRange(0, 4).Draw(rt, "promotes") == 0 && !strings.Contains(strategy, "dark") && !strings.Contains(strategy, "baseline\":true")
	if promotes { // a dark group is there and takes the traffic in place of a new one
		existing = append(existing, dark(wanted))
		document = operateDocument(`"type":"promoteServerGroup","target":"current_asg_dynamic",` + strategy)
		floor, ceiling = min(floor, old), old+max(old, wanted)
	}
	w := newWorld(rt, document, config, existing...)
	w.store.failing = rapid.Float64Range(0, 0.1).Draw(rt, "store")
	w.cloud.Bound(fakecloud.Bounds{Floor: floor, Ceiling: ceiling})
	w.store.onDeployment = func(d delivery.Deployment) {
		switch {
		case d.Status.Complete():
			w.cloud.Close()
		case d.Status == delivery.DeploymentRollingBack:
			// A rollback restores the old capacity before it removes the new one.
			w.cloud.Bound(fakecloud.Bounds{Floor: floor, Ceiling: old + ceiling})
		}
	}
	was := w.cloud.Truth()
	cancel := w.disturb(rt, 300, 200, 300)
	e := w.run(rt)
	checkSchedule(rt, w, e, cancel, was)
	if !promotes { // a promotion makes none
		checkMade(rt, w)
	}
	if e.Status == delivery.StatusSucceeded && image == "crash" && !promotes {
		rt.Errorf("a version that is never healthy succeeded")
	}
}

func checkSchedule(rt *rapid.T, w *world, e delivery.Execution, cancel *answer, was delivery.Snapshot) {
	if v := w.cloud.Violations(); len(v) > 0 {
		rt.Errorf("violations: %q", v)
	}
	if cancel != nil && cancel.accepted {
		if e.Status != delivery.StatusCanceled {
			rt.Errorf("a cancel was accepted, and the execution ended %s", e.Status)
		}
		if took, held := e.EndTime.Sub(cancel.sent), w.store.held(cancel.sent, e.EndTime); took > 5*time.Second+held {
			rt.Errorf("the execution was CANCELED only %s after the cancel; the store held it up for at most %s", took, held)
		}
	}
	d := w.deployment()
	switch d.Status {
	case delivery.DeploymentSucceeded:
		if orphans := w.cloud.Orphans(""); len(orphans) > 0 {
			rt.Errorf("orphans %v", orphans)
		}
	case "", delivery.DeploymentRolledBack, delivery.DeploymentFailed, delivery.DeploymentCanceled:
		if diff := cmp.Diff(settled(was), settled(w.cloud.Truth())); diff != "" {
			rt.Errorf("%s, %v: (-before +after):\n%s", d.Status, d.Failure, diff)
		}
	default:
		rt.Errorf("deployment %s: %v", d.Status, d.Failure)
	}
}

// checkMade holds that of what a deployment made its new server group alone is left.
func checkMade(rt *rapid.T, w *world) {
	d := w.deployment()
	if left := w.cloud.Orphans(string(d.ID)); d.Status == delivery.DeploymentSucceeded && !slices.Equal(left, []string{d.ServerGroup}) {
		rt.Errorf("of what the deployment made are left %v", left)
	}
}

func drawConfig(rt *rapid.T) fakecloud.Config {
	rate := func(name string, most float64) float64 { return rapid.Float64Range(0, most).Draw(rt, name) }
	return fakecloud.Config{Router: true, Seed: rapid.Int64().Draw(rt, "seed"), BadImages: []string{"crash"},
		Boot: 5 * time.Second, Jitter: 20 * time.Second, Drain: 8 * time.Second, Settle: 12 * time.Second, Grace: 30 * time.Second,
		Faults: fakecloud.Faults{Before: rate("before", 0.2), After: rate("after", 0.3), Throttle: rate("throttle", 0.2),
			Stale: rate("stale", 0.2), StaleFor: 6 * time.Second,
			Kill: rate("kill", 0.02), Flap: rate("flap", 0.02), FlapFor: 7 * time.Second}}
}

// drawStrategy returns the strategy's fields with the bounds that it promises.
func drawStrategy(rt *rapid.T, old, wanted int) (fields string, floor, ceiling int) {
	switch rapid.SampledFrom([]string{"rolling", "rolling", "redblack", "none", "canary", "bluegreen", "highlander", "dark"}).Draw(rt, "strategy") {
	case "canary":
		first, more, beside := rapid.IntRange(1, 60).Draw(rt, "weight"), rapid.IntRange(1, 39).Draw(rt, "more"), 0
		baseline := rapid.Bool().Draw(rt, "baseline")
		if baseline {
			first, more, beside = (first+1)/2, more/2+1, wanted // weights up to 50, and no more instances than wanted
		}
		size := rapid.IntRange(0, wanted).Draw(rt, "size")
		bake := rapid.SampledFrom([]int{0, 30, 120}).Draw(rt, "bake")
		keep := rapid.SampledFrom([]int{0, 0, 60}).Draw(rt, "keep")
		return fmt.Sprintf(`"strategy":"canary","baseline":%t,"keepOldFor":%d,"steps":[{"weight":%d,"size":%d,"bake":%d},{"weight":%d,"bake":%d},{"weight":100,"bake":%d}]`,
			baseline, keep, first, size, bake, first+more, bake, bake), min(old, wanted), old + wanted + beside
	case "bluegreen":
		delay := rapid.SampledFrom([]int{0, 45}).Draw(rt, "delay")
		return fmt.Sprintf(`"strategy":"bluegreen","delayBeforeDisableSec":%d,"scaleDown":%t`, delay, rapid.Bool().Draw(rt, "scaleDown")), min(old, wanted), old + wanted
	case "dark":
		return fmt.Sprintf(`"strategy":"dark","match":{"header":"X-Canary","value":"always"},"size":%d`, rapid.IntRange(0, wanted).Draw(rt, "size")), min(old, wanted), old + wanted
	case "highlander":
		return `"strategy":"highlander"`, min(old, wanted), old + wanted
	case "redblack":
		percent := rapid.IntRange(1, 99).Draw(rt, "percent")
		return fmt.Sprintf(`"strategy":"rollingredblack","targetPercentages":[%d,100]`, percent), min(old, wanted), old + wanted
	case "none":
		return `"strategy":"none"`, min(old, wanted), old + wanted
	default:
		surge := rapid.IntRange(0, 6).Draw(rt, "surge")
		unavailable := rapid.IntRange(0, 6).Draw(rt, "unavailable")
		if surge+unavailable == 0 {
			surge = 1
		}
		pause := rapid.SampledFrom([]int{0, 0, 45}).Draw(rt, "pause")
		fields := fmt.Sprintf(`"strategy":"rolling","maxSurge":%d,"maxUnavailable":%d,"pauseBetweenBatches":%d`, surge, unavailable, pause)
		floor = max(1, min(old, wanted)-unavailable) // the last healthy instance stays
		return fields, floor, max(floor+1, max(old, wanted)+surge)
	}
}

// TestCancelWhileTheCloudFails shows that an execution is over at once although
// no call succeeds, and that its deployment restores everything later.
func TestCancelWhileTheCloudFails(t *testing.T) {
	for _, at := range []time.Duration{5 * time.Second, 25 * time.Second, 60 * time.Second} {
		t.Run(at.String(), func(t *testing.T) {
			config := calm()
			var from, until time.Time
			var now func() time.Time
			config.Faults.Hang = func(context.Context) error {
				if now != nil && now().After(from) && now().Before(until) {
					return delivery.Errorf(delivery.Transient, "the cloud does not answer")
				}
				return nil
			}
			w := newWorld(t, deployDocument("good", "lb", rolling, 6), config, v000(6))
			was := w.cloud.Truth()
			from, now = w.env.Now().Add(at-2*time.Second), w.env.Now
			until = from.Add(10 * time.Minute)
			cancel := w.send(updateCancel, at)
			e := w.run(t)
			if !cancel.accepted || e.Status != delivery.StatusCanceled || e.CanceledBy != "joe" || e.CancellationReason != "a test" {
				t.Fatalf("cancel %+v, execution %s by %q: %q", cancel, e.Status, e.CanceledBy, e.CancellationReason)
			}
			if took := e.EndTime.Sub(cancel.sent); took > 5*time.Second {
				t.Errorf("CANCELED %s after the cancel", took)
			}
			if d := w.deployment(); d.EndTime.Before(until) || d.Status != delivery.DeploymentRolledBack {
				t.Errorf("deployment ended %s at %s, the outage ended %s: %v", d.Status, d.EndTime, until, d.Failure)
			}
			if diff := cmp.Diff(settled(was), settled(w.cloud.Truth())); diff != "" {
				t.Errorf("(-before +after):\n%s", diff)
			}
		})
	}
}
