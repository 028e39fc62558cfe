package wirefaults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/internal/loadgen"
)

// TestInPlaceOverTheWire updates a server group in place under the faults of a
// schedule, on each target kind that can: it ends as wanted or as before, and no
// request fails.
func TestInPlaceOverTheWire(t *testing.T) {
	for seed := number(t, "SLIPWAY_SEED", 1); seed < number(t, "SLIPWAY_SEED", 1)+2; seed++ {
		for _, k := range []kind{asgKind(), migKind()} {
			t.Run(fmt.Sprintf("%s,seed=%d", k.name, seed), func(t *testing.T) {
				t.Parallel()
				s := newSchedule(int64(seed))
				s.kind, s.old, s.wanted, s.killAt, s.failedLaunches = k, 4, 4, nil, 0
				s.image = []string{k.slow, k.crashing}[seed%2]
				if s.image == k.crashing {
					s.cancelAt = 0
				}
				updateInPlace(t, s)
			})
		}
	}
}

func updateInPlace(t *testing.T, s schedule) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*realTime)
	defer cancel()
	first := s
	first.image, first.strategy, first.cancelAt = s.kind.good, `"strategy":"highlander"`, 0
	x := newTrial(t, first)
	if outcome, err := x.driver.run(ctx); err != nil || outcome.Status != delivery.DeploymentSucceeded {
		t.Fatalf("the first deployment: %+v, %v\n%s", outcome, err, strings.Join(x.driver.trace, "\n"))
	}
	before := x.truth(ctx)
	s.strategy, s.seed = `"strategy":"rolling","inPlace":true,"maxSurge":1`, s.seed+1_000_000
	x.schedule = s
	x.driver = &driver{schedule: s, clock: x.sim.World.Clock, target: x.driver.target, wanted: parse(t, s),
		random: rand.New(rand.NewPCG(uint64(s.seed), 0x2)), beforeLook: x.happen, onPhase: x.entered}
	load, err := loadgen.Start(ctx, loadgen.Config{URL: s.kind.cloud.entrance(x.sim, s.kind.loadBalancer, s.kind.region), Rate: loadRate})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range s.faults() {
		x.control(http.MethodPost, "/faults", faultJSON(f))
	}
	outcome, err := x.driver.run(ctx)
	x.control(http.MethodDelete, "/faults", nil)
	traffic := load.Stop()
	if err != nil {
		t.Fatalf("not carried out: %v\n%s", err, strings.Join(x.driver.trace, "\n"))
	}
	wanted, want := settled(before), before.Groups[0].Image
	switch outcome.Status {
	case delivery.DeploymentSucceeded:
		wanted, want = updated(before, s.image), s.image
	case delivery.DeploymentRolledBack, delivery.DeploymentCanceled:
	default:
		t.Errorf("ended %+v: %v", outcome, outcome.Failure)
	}
	after := x.truth(ctx)
	g := after.Groups[0]
	if ready, outdated := g.Rolled(); g.Image != want || ready != s.wanted || outdated != 0 || len(g.Spare) > 0 || (want == s.image) != (x.canceledIn == "" && s.image != s.kind.crashing) {
		t.Errorf("%s of %s: the group runs %s, %d ready, %d outdated, spare %v", outcome.Status, s.image, g.Image, ready, outdated, g.Spare)
	}
	if diff := cmp.Diff(wanted, settled(after)); diff != "" {
		t.Errorf("cluster (-want +is):\n%s", diff)
	}
	if traffic.Failed > 0 {
		t.Errorf("%s, the first: %+v", traffic, traffic.Failures[0])
	}
	if t.Failed() {
		t.Logf("%s\n%v\n%s", s, outcome, strings.Join(x.driver.trace, "\n"))
	}
}
