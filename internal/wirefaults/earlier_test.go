package wirefaults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// deployEarlier carries out what the schedule has before its deployment: without
// trouble, numbers and records.
func (x *mortalTrial) deployEarlier(ctx context.Context) error {
	for i, strategy := range x.earlier {
		s := x.schedule
		s.seed, s.image, s.strategy = x.kept.runs.Add(1), x.kind.seeded, strategy
		d := &driver{schedule: s, clock: x.time, target: x.open(x.kind.cloud.endpoint(x.sim)), want: parse(x.T, s), random: rand.New(rand.NewPCG(1, 2)),
			beforeLook: func(int) error { return nil }, onPhase: func(_, _ rollout.Phase) {},
			begin: func(context.Context) (string, int64, error) {
				return x.driver.want.Cluster.Moniker.ServerGroup(i + 1), 1, nil
			}}
		outcome, err := d.run(ctx)
		if err == nil && outcome.Status != delivery.DeploymentSucceeded {
			err = fmt.Errorf("%s: %v", outcome.Status, outcome.Failure)
		}
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", strategy, err, strings.Join(d.trace, "\n"))
		}
	}
	x.since = x.sim.World.Log.Last()
	return nil
}
