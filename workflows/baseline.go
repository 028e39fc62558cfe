package workflows

import (
	"context"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// withBaseline gives a canary's baseline its name, from the same sequence as the new
// group's, once the target says that the group that serves can be copied. A first
// deployment will not use the name. pointer is that of the cluster object.
func (a *Activities) withBaseline(ctx context.Context, in rollout.Input, seen delivery.Snapshot, pointer string) (rollout.Input, error) {
	if !in.Strategy.Baseline {
		return in, nil
	}
	if source := seen.NewestServing(); source != nil {
		if err := a.checkBaseline(ctx, in, *source, pointer); err != nil {
			return in, err
		}
	}
	newest, taken := seen.Numbers()
	sequence, err := a.deps.Store.AllocateSequence(ctx, in.Cluster.Key(), in.Deployment+"/baseline", newest, taken)
	in.Baseline = in.Cluster.Moniker.ServerGroup(sequence)
	return in, err
}

func (a *Activities) checkBaseline(ctx context.Context, in rollout.Input, source delivery.ServerGroup, pointer string) error {
	return a.call(ctx, "validate", in.Cluster, func(ctx context.Context, t delivery.Target) error {
		findings, err := t.Validate(ctx, in.Cluster, in.BaselineSpec(source.Name, source.Capacity))
		if err != nil {
			return err
		}
		for i := range findings {
			findings[i].Pointer = pointer + "/baseline"
		}
		return delivery.InvalidError("server group "+source.Name+" cannot have a baseline", findings)
	})
}
