package rollout_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
	"github.com/slipway-cd/slipway/internal/fakecloud"
)

const baselined = `{"strategy":"canary","baseline":true,"steps":[{"weight":5,"size":2,"bake":60},{"weight":25,"bake":30},{"weight":100,"bake":30}]}`

// TestBaselineIsLikeItsCanary: a copy of the newest group that serves has the
// canary's size and weight in each step, and is gone before the last one bakes.
func TestBaselineIsLikeItsCanary(t *testing.T) {
	older, newer := v000(4), v000(4)
	older.Name, older.Weight, newer.Weight = "shop-prod-v999", 40, 60
	d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(8)},
		Strategy: strategy(t, baselined)}, calm(), older, newer)
	d.cloud.Bound(fakecloud.Bounds{Floor: 8, Ceiling: 8 + 8 + 2})
	bakes := false
	d.at = func(d *drive) {
		truth := d.cloud.Truth()
		if last := d.state.Step == 2 && !d.state.StepDone.IsZero(); last {
			bakes = true
			if truth.Group("shop-prod-v002") != nil {
				t.Fatalf("the baseline is there while the last step bakes")
			}
		}
	}
	if got := d.run(t); got.Status != delivery.DeploymentSucceeded || !bakes {
		t.Fatalf("outcome %+v %v", got, got.Failure)
	}
	var moves []string
	for _, w := range d.cloud.Writes() {
		if line := w.Change.String(); len(moves) == 0 || moves[len(moves)-1] != line {
			moves = append(moves, line)
		}
	}
	want := []string{
		"create server group shop-prod-v001",
		"create server group shop-prod-v002 from shop-prod-v000",
		"resize server group shop-prod-v001 to min 2, desired 2, max 2",
		"resize server group shop-prod-v002 to min 2, desired 2, max 2",
		"set routing to shop-prod-v000 45 %, shop-prod-v999 45 %, shop-prod-v001 5 %, shop-prod-v002 5 %",
		"set routing to shop-prod-v000 25 %, shop-prod-v999 25 %, shop-prod-v001 25 %, shop-prod-v002 25 %",
		"resize server group shop-prod-v001 to min 8, desired 8, max 8",
		"set routing to shop-prod-v000 0 %, shop-prod-v999 0 %, shop-prod-v001 100 %",
		"destroy server group shop-prod-v002",
	}
	if diff := cmp.Diff(want, moves); diff != "" {
		t.Error(diff)
	}
}

// TestBaselineThatDoesNotComeUp: what cannot be compared is not promoted.
func TestBaselineThatDoesNotComeUp(t *testing.T) {
	config := calm()
	config.BadImages = []string{"old"} // the running instances were healthy before it went bad
	d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(4)},
		Strategy: strategy(t, baselined)}, config, v000(4))
	was := d.cloud.Truth()
	got := d.run(t)
	if got.Status != delivery.DeploymentRolledBack || !strings.Contains(got.Failure.Error(), "shop-prod-v002") {
		t.Fatalf("outcome %+v %v", got, got.Failure)
	}
	if diff := cmp.Diff(settled(was), settled(d.cloud.Truth())); diff != "" {
		t.Error(diff)
	}
}

// TestPromotedPastTheBaseline leaves out the steps that want it, at each look in turn.
func TestPromotedPastTheBaseline(t *testing.T) {
	for look := 1; ; look++ {
		d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(4)},
			Strategy: strategy(t, baselined)}, calm(), v000(4))
		reached := false
		d.at = func(d *drive) {
			if d.looks == look {
				reached = true
				if next, err := d.state.Moved(rollout.Promote, true); err == nil {
					d.state = next
				}
			}
		}
		if got := d.run(t); got.Status != delivery.DeploymentSucceeded || d.cloud.Truth().Group("shop-prod-v002") != nil {
			t.Fatalf("promoted at look %d: %+v %v, %v%s", look, got, got.Failure, settled(d.cloud.Truth()), describe(d.cloud.Writes()))
		}
		if !reached {
			return
		}
	}
}

// TestRouterWithoutRoomForABaseline is refused before anything is written.
func TestRouterWithoutRoomForABaseline(t *testing.T) {
	for groups, want := range map[int]delivery.DeploymentStatus{3: delivery.DeploymentSucceeded, 4: delivery.DeploymentFailed} {
		d := newDrive(rollout.Input{Group: "shop-prod-v008", Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(1)},
			Strategy: strategy(t, baselined)}, calm(), standing(groups)...)
		d.state.Input.Baseline = "shop-prod-v009"
		plan, _ := rollout.PlanOf(d.state.Input, d.cloud.Truth(), rollout.Estimates{})
		got := d.run(t)
		if got.Status != want || (plan.Failure == nil) != (want == delivery.DeploymentSucceeded) {
			t.Errorf("%d groups: outcome %+v %v, plan %v", groups, got, got.Failure, plan.Failure)
		}
		if want == delivery.DeploymentFailed && (got.Failure.Kind != delivery.Quota.String() || len(d.cloud.Writes()) > 0) {
			t.Errorf("%d groups: %v%s", groups, got.Failure, describe(d.cloud.Writes()))
		}
	}
}

// standing are groups of which the last one has the traffic.
func standing(n int) []fakecloud.Existing {
	out := make([]fakecloud.Existing, n)
	for i := range out {
		out[i] = v000(1)
		out[i].Name, out[i].Weight = fmt.Sprintf("shop-prod-v%03d", i), 0
	}
	out[n-1].Weight = 100
	return out
}

// TestNoBaselineForAFirstDeployment: there is nothing to compare with.
func TestNoBaselineForAFirstDeployment(t *testing.T) {
	d := newDrive(rollout.Input{Baseline: "shop-prod-v002", Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(2)},
		Strategy: strategy(t, baselined)}, calm())
	if got := d.run(t); got.Status != delivery.DeploymentSucceeded || len(d.cloud.Truth().Groups) != 1 {
		t.Errorf("outcome %+v %v: %v", got, got.Failure, settled(d.cloud.Truth()))
	}
}

func TestBaselineFindings(t *testing.T) {
	for text, pointer := range map[string]string{
		`{"strategy":"rolling","baseline":true}`:                                     "/baseline",
		`{"strategy":"canary","baseline":true,"steps":[{"weight":60}]}`:              "/steps/0/weight",
		`{"strategy":"canary","baseline":true,"steps":[{"weight":100}]}`:             "/baseline",
		`{"strategy":"canary","baseline":"yes","steps":[{"weight":5}]}`:              "/baseline",
		`{"strategy":"canary","baseline":true,"steps":[{"weight":5},{"weight":51}]}`: "/steps/1/weight",
	} {
		_, findings := rollout.ParseStrategy([]byte(text))
		if len(findings) != 1 || findings[0].Pointer != pointer {
			t.Errorf("%s: %+v; want one at %s", text, findings, pointer)
		}
	}
}
