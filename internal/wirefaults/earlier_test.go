package wirefaults

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// earlier is a deployment of the seeded version, or of the good one, by the strategy
// of the fields.
type earlier struct {
	strategy string
	good     bool
}

// deployEarlier carries out what is deployed before, and records it.
func (x *mortalTrial) deployEarlier(ctx context.Context) error {
	x.driver.earlierOnes = map[delivery.DeploymentID]pipeline.DeployCluster{}
	for i, e := range x.earlier {
		s := x.schedule
		s.seed, s.image, s.strategy, s.operation = x.kept.runs.Add(1), x.kind.seeded, e.strategy, ""
		if e.good {
			s.image = x.kind.good
		}
		d := &driver{schedule: s, clock: x.time, target: x.open(x.kind.cloud.endpoint(x.sim)), wanted: parse(x.T, s), random: rand.New(rand.NewPCG(1, 2)),
			beforeLook: func(int) error { return nil }, onPhase: func(_, _ rollout.Phase) {},
			number: func(context.Context) (string, error) { return x.driver.want.Cluster.Moniker.ServerGroup(i + 1), nil }}
		outcome, err := d.run(ctx)
		if err == nil && outcome.Status != delivery.DeploymentSucceeded {
			err = fmt.Errorf("%s: %v", outcome.Status, outcome.Failure)
		}
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", e.strategy, err, strings.Join(d.trace, "\n"))
		}
		if err := x.keep(ctx, d); err != nil {
			return err
		}
	}
	x.since = x.sim.World.Log.Last()
	return nil
}

// keep records a deployment that has ended.
func (x *mortalTrial) keep(ctx context.Context, d *driver) error {
	detail, err := json.Marshal(d.state)
	if err != nil {
		return fmt.Errorf("marshal state: %w", err)
	}
	id := d.deployment()
	x.driver.earlierOnes[id] = d.want
	execution, err := x.kept.newExecution(ctx, d.seed)
	if err != nil {
		return err
	}
	if _, err := x.kept.NextFence(ctx, x.key(), id.WorkflowID()); err != nil {
		return err
	}
	_, err = x.kept.RecordDeployment(ctx, delivery.Deployment{ID: id, Execution: execution, Stage: "1", Cluster: d.want.Cluster,
		Status: d.state.Status(), ServerGroup: d.state.Input.Group, Version: 1, Detail: detail, EndTime: x.time.Now()}, nil)
	return err
}
