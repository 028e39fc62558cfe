package rollout_test

import (
	"strings"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
	"github.com/slipway-cd/slipway/internal/fakecloud"
)

// TestCureForASickVersion deploys over groups of which some or all instances are
// unhealthy for good: the new version must not wait for the old one.
func TestCureForASickVersion(t *testing.T) {
	for _, sick := range []int{1, 3, 6} {
		old := v000(6)
		old.Sick = sick
		d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(6)},
			Strategy: strategy(t, `{"strategy":"rolling","maxSurge":2}`)}, calm(), old)
		d.cloud.Bound(fakecloud.Bounds{Floor: 6 - sick, Ceiling: 8})
		if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
			t.Errorf("%d of 6 sick: %+v %v", sick, got, got.Failure)
		}
	}
}

// TestSickForAMoment: one of two instances is sick when the state is recorded and
// recovers; one is sick again when the group has to give one away. That it was not
// whole before is no leave to take the last healthy one.
func TestSickForAMoment(t *testing.T) {
	d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(2)},
		Strategy: strategy(t, `{"strategy":"rolling","maxSurge":1}`)}, calm(), v000(2))
	d.cloud.FlapIn("shop-prod-v000", 5*time.Second)
	hurt := false
	d.at = func(d *drive) {
		if !hurt && !d.state.Routed.IsZero() {
			hurt = true
			d.cloud.FlapIn("shop-prod-v000", 30*time.Second)
		}
	}
	if got := d.run(t); got.Status != delivery.DeploymentSucceeded || !hurt {
		t.Fatalf("%+v %v", got, got.Failure)
	}
	if d.state.Before.Groups[0].Healthy != 1 {
		t.Errorf("%d instances were healthy before, not 1: nothing was tried", d.state.Before.Groups[0].Healthy)
	}
}

// TestEverythingMayBeUnavailable gives a strategy leave to take all capacity
// away: traffic is not lost all the same.
func TestEverythingMayBeUnavailable(t *testing.T) {
	for _, size := range []int{1, 2, 5} {
		for _, router := range []bool{true, false} {
			config, spec := calm(), delivery.GroupSpec{Image: "new", Capacity: delivery.Pinned(size)}
			if config.Router = router; router {
				spec.LoadBalancer = "lb"
			}
			d := newDrive(rollout.Input{Spec: spec, Strategy: strategy(t, `{"strategy":"rolling","maxSurge":0,"maxUnavailable":"100%"}`)}, config, v000(size))
			d.cloud.Bound(fakecloud.Bounds{Floor: 1, Ceiling: max(2, size)})
			if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
				t.Errorf("%d instances, router %t: %+v %v%s", size, router, got, got.Failure, describe(d.cloud.Writes()))
			}
		}
	}
}

// TestNewVersionDiesBeforeTheScaleDown lets the new version fall ill during the
// delay that is there for it: the old one has to take the traffic back.
func TestNewVersionDiesBeforeTheScaleDown(t *testing.T) {
	d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(3)},
		Strategy: strategy(t, `{"strategy":"rollingredblack","scaleDown":true,"delayBeforeScaleDownSec":600,"healthTimeoutSec":120}`)}, calm(), v000(3))
	sick := func(name string) {
		for range 3 {
			d.cloud.FlapIn(name, time.Hour)
		}
	}
	d.at = func(d *drive) {
		if d.state.Phase == rollout.Finishing {
			sick("shop-prod-v001")
		}
	}
	got := d.run(t)
	if got.Status != delivery.DeploymentRolledBack {
		t.Fatalf("outcome %+v %v%s", got, got.Failure, describe(d.cloud.Writes()))
	}
	if truth := d.cloud.Truth(); truth.Routing.Percent("shop-prod-v000") != 100 || truth.Group("shop-prod-v000").Healthy() != 3 {
		t.Errorf("after the rollback: %+v", truth)
	}
}

// TestRollbackOfAClusterWithoutTraffic fails where no group had weight before:
// there is nothing to give back, and the new group can be removed.
func TestRollbackOfAClusterWithoutTraffic(t *testing.T) {
	config := calm()
	config.BadImages = []string{"crash"}
	for _, image := range []string{"crash", "good"} {
		old := v000(2)
		old.Weight = 0
		d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: image, LoadBalancer: "lb", Capacity: delivery.Pinned(2)},
			Strategy: strategy(t, `{"strategy":"rolling"}`)}, config, old)
		d.at = func(d *drive) {
			if d.cloud.Truth().Routing.Percent("shop-prod-v001") > 0 {
				d.state = d.state.Cancel(delivery.Principal{Name: "joe"}, "")
			}
		}
		got := d.run(t)
		want := delivery.DeploymentRolledBack
		if image == "good" {
			want = delivery.DeploymentCanceled // it alone serves, and stays
		}
		if got.Status != want {
			t.Errorf("%s: %+v %v%s", image, got, got.Failure, describe(d.cloud.Writes()))
		}
	}
}

// TestTroubleWhileCleaning cancels or loses sight of the cloud when the traffic
// is on the new version for good.
func TestTroubleWhileCleaning(t *testing.T) {
	for name, trouble := range map[string]func(rollout.State) rollout.State{
		"cancel":  func(s rollout.State) rollout.State { return s.Cancel(delivery.Principal{Name: "joe"}, "") },
		"give up": func(s rollout.State) rollout.State { return s.GiveUp(delivery.Failure{Kind: "transient"}) },
	} {
		d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(2)},
			Strategy: strategy(t, `{"strategy":"rolling","maxRemainingAsgs":1}`)}, calm(), v000(2))
		reached := false
		d.at = func(d *drive) {
			if d.state.Phase == rollout.Cleaning {
				reached, d.state = true, trouble(d.state)
			}
		}
		if got := d.run(t); got.Status != delivery.DeploymentSucceeded || !reached {
			t.Errorf("%s: %+v %v, cleaning %t", name, got, got.Failure, reached)
		}
		if d.cloud.Truth().Group("shop-prod-v000") == nil {
			t.Errorf("%s: the old group was destroyed all the same", name)
		}
	}
}

// TestCancelInTheMiddleOfADestruction finishes what it began with: half a group
// would be left over.
func TestCancelInTheMiddleOfADestruction(t *testing.T) {
	older := fakecloud.Existing{Name: "shop-prod-v001", Image: "old", Capacity: delivery.Pinned(2), Weight: 100}
	unused := fakecloud.Existing{Name: "shop-prod-v000", Image: "oldest"}
	d := newDrive(rollout.Input{Group: "shop-prod-v002", Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(2)},
		Strategy: strategy(t, `{"strategy":"rolling","maxRemainingAsgs":1}`)}, calm(), unused, older)
	d.at = func(d *drive) {
		for _, g := range d.cloud.Truth().Groups {
			if d.state.Phase == rollout.Cleaning && !g.Complete {
				d.state = d.state.Cancel(delivery.Principal{Name: "joe"}, "")
			}
		}
	}
	if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
		t.Fatalf("%+v %v", got, got.Failure)
	}
	if left := d.cloud.Truth().Groups; len(left) != 2 || !left[0].Complete || !left[1].Complete {
		t.Errorf("left are %s", settled(d.cloud.Truth()))
	}
}

// TestEveryOldGroupKeepsAHealthyInstance: one of two old groups is half sick when
// its turn to shrink comes. The other one alone would hold the floor.
func TestEveryOldGroupKeepsAHealthyInstance(t *testing.T) {
	half := func(name string) fakecloud.Existing {
		return fakecloud.Existing{Name: name, Image: "old", Capacity: delivery.Pinned(2), Weight: 50}
	}
	d := newDrive(rollout.Input{Group: "shop-prod-v002", Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(8)},
		Strategy: strategy(t, `{"strategy":"rolling","maxSurge":2}`)}, calm(), half("shop-prod-v000"), half("shop-prod-v001"))
	d.cloud.Bound(fakecloud.Bounds{Floor: 4, Ceiling: 10})
	hurt := false
	d.at = func(d *drive) {
		if !hurt && !d.state.Routed.IsZero() {
			hurt = true
			d.cloud.FlapIn("shop-prod-v000", time.Minute)
		}
	}
	if got := d.run(t); got.Status != delivery.DeploymentSucceeded || !hurt {
		t.Fatalf("%+v %v", got, got.Failure)
	}
}

func TestLongPausesDoNotCount(t *testing.T) {
	d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(3)},
		Strategy: strategy(t, `{"strategy":"rolling","maxSurge":1,"pauseBetweenBatches":600,"deadlineSec":300}`)}, calm(), v000(3))
	if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
		t.Errorf("outcome %+v %v", got, got.Failure)
	}
}

// TestRefusedBeforeAnythingIsWritten holds what the first looks refuse.
func TestRefusedBeforeAnythingIsWritten(t *testing.T) {
	for _, test := range []struct {
		name, balancer, kind, says string
		size                       int
		strategy                   string
	}{
		{"the load balancer is not named", "", "invalid", "does not name", 3, `{"strategy":"rolling"}`},
		{"too many batches", "lb", "invalid", "batches", 2000, `{"strategy":"rolling","maxSurge":1}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: test.balancer, Capacity: delivery.Pinned(test.size)},
				Strategy: strategy(t, test.strategy)}, calm(), v000(3))
			got := d.run(t)
			if got.Status != delivery.DeploymentFailed || got.Failure.Kind != test.kind || !strings.Contains(got.Failure.Message, test.says) {
				t.Errorf("outcome %+v %v", got, got.Failure)
			}
			if w := d.cloud.Writes(); len(w) > 0 {
				t.Errorf("writes %s", describe(w))
			}
		})
	}
}

// TestStaleFirstLook gives the deployment a first look from before an earlier
// deployment ended: what it records must be what a second look confirms.
func TestStaleFirstLook(t *testing.T) {
	state := rollout.Start(rollout.Input{Deployment: "X/1/acct/r1/shop-prod", Cluster: cluster, Group: "shop-prod-v002",
		Spec:     delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(2)},
		Strategy: strategy(t, `{"strategy":"rollingredblack","targetPercentages":[10]}`)})
	group := func(name string, size int, complete bool) delivery.ServerGroup {
		return delivery.ServerGroup{Name: name, Capacity: delivery.Pinned(size), Complete: complete, Managed: true}
	}
	look := func(old, fresh int, complete bool) delivery.Snapshot {
		return delivery.Snapshot{Groups: []delivery.ServerGroup{group("shop-prod-v000", old, true), group("shop-prod-v001", 2, complete)},
			Routing: &delivery.Routing{Weights: []delivery.Weight{{ServerGroup: "shop-prod-v000", Percent: old * 50}, {ServerGroup: "shop-prod-v001", Percent: fresh}}}}
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, seen := range []delivery.Snapshot{look(2, 0, true), look(0, 100, true), look(0, 100, false), look(0, 100, true), look(0, 100, true)} {
		var decision rollout.Decision
		state, decision = rollout.Next(state, seen, now.Add(time.Duration(i)*time.Second))
		if last := i == 4; (decision.Apply != nil) != last {
			t.Fatalf("look %d: %+v", i, decision)
		}
	}
	for _, g := range state.Before.Groups {
		if g.Serving != (g.Name == "shop-prod-v001") {
			t.Errorf("recorded %+v", g)
		}
	}
	if got := state.Steps[0]; got.New != 1 || len(got.Old) != 1 {
		t.Errorf("first step %+v", got)
	}
}

// TestNameTakenBySomebodyElse finds a group of the allocated name that carries
// no tag of ours: it is neither resized nor removed.
func TestNameTakenBySomebodyElse(t *testing.T) {
	d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(2)},
		Strategy: strategy(t, `{"strategy":"rolling"}`)}, calm(), v000(2),
		fakecloud.Existing{Name: "shop-prod-v001", Image: "other", Capacity: delivery.Pinned(1), Unmanaged: true})
	got := d.run(t)
	if got.Status != delivery.DeploymentFailed || got.Failure.Kind != delivery.Conflict.String() {
		t.Errorf("outcome %+v %v", got, got.Failure)
	}
	if w := d.cloud.Writes(); len(w) > 0 {
		t.Errorf("writes %s", describe(w))
	}
}

// TestCancelOfPausedCleaning: nobody can resume what was canceled, so that a pause
// must not keep a destruction that began from its end.
func TestCancelOfPausedCleaning(t *testing.T) {
	d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(2)},
		Strategy: strategy(t, `{"strategy":"highlander"}`)}, calm(), v000(2))
	destroying := 0
	d.at = func(d *drive) {
		if writes := d.cloud.Writes(); len(writes) == 0 || writes[len(writes)-1].Change.Kind != delivery.DestroyGroup {
			return
		}
		switch destroying++; destroying {
		case 1:
			d.state = d.state.Pause(d.now)
		case 3:
			d.state = d.state.Cancel(delivery.Principal{Name: "joe"}, "")
		}
	}
	if got := d.run(t); got.Status != delivery.DeploymentSucceeded || len(d.cloud.Orphans("")) > 0 {
		t.Errorf("outcome %+v, orphans %v", got, d.cloud.Orphans(""))
	}
}
