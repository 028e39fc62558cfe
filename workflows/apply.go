package workflows

import (
	"context"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// ApplyRequest is one change to carry out. Settings of a spec that are left out are
// in the stored stage.
type ApplyRequest struct {
	Change    delivery.Change      `json:"change"`
	Execution delivery.ExecutionID `json:"execution"`
	Stage     string               `json:"stage"`
	// Again is the deployment whose stage has the spec's settings; empty for the
	// stage's own.
	Again delivery.DeploymentID `json:"again,omitempty"`
}

// Applied is what became of a change.
type Applied struct {
	// Wrote are the foreign actions that were called, in order.
	Wrote   []string `json:"wrote,omitempty"`
	Done    bool     `json:"done,omitempty"`
	Waiting string   `json:"waiting,omitempty"`
	// Pause is how long to wait before the next look.
	Pause time.Duration `json:"pause,omitempty"`
}

// Apply carries out one change: it repeats the target's Apply while there is
// something to write. A deployment whose lock went to another is refused with
// Fenced before each write.
func (a *Activities) Apply(ctx context.Context, in ApplyRequest) (Applied, error) {
	change := in.Change
	if change.Spec != nil && change.Spec.Settings == nil {
		c, err := a.deployed(ctx, in)
		if err != nil {
			return Applied{}, applicationError(err)
		}
		spec := *change.Spec
		spec.Settings = c.Spec.Settings
		change.Spec = &spec
	}
	stop := beat(ctx, applyOptions.HeartbeatTimeout/3, func() any { return nil })
	defer stop()
	var applied Applied
	for until := time.Now().Add(applyTime); ; {
		receipt, err := a.applyOnce(ctx, change)
		if err != nil && len(applied.Wrote) > 0 && (delivery.KindOf(err).Retryable() || overtaken(applicationError(err))) {
			// What was written is recorded, which a retry would not know of; the next
			// look decides on what came of it.
			applied.Waiting, applied.Pause = err.Error(), a.deps.Poll.Min
			return applied, nil
		}
		if err != nil {
			return applied, applicationError(err)
		}
		applied.Done, applied.Waiting = receipt.Done, receipt.Waiting
		if receipt.Wrote != "" {
			applied.Wrote = append(applied.Wrote, receipt.Wrote)
		}
		switch {
		case receipt.Wrote == "":
			// Nothing was left to write, and still the last look asked for it:
			// the next one must not come at once.
			applied.Pause = a.deps.Poll.Min
			return applied, nil
		case receipt.Done, ctx.Err() != nil, time.Now().After(until):
			return applied, nil
		}
	}
}

// applyOnce makes at most one write. The call is not broken off by a cancel:
// whether a broken call had its effect would be unknown.
func (a *Activities) applyOnce(ctx context.Context, change delivery.Change) (receipt delivery.Receipt, err error) {
	ctx = context.WithoutCancel(ctx)
	newest, err := a.deps.Store.Fence(ctx, change.Cluster.Key())
	if err != nil {
		return receipt, err
	}
	if newest > change.Fence {
		return receipt, delivery.Errorf(delivery.Fenced, "cluster %s is held by a newer deployment (token %d, this one has %d)",
			change.Cluster.Key(), newest, change.Fence)
	}
	err = a.call(ctx, string(change.Kind), change.Cluster, func(ctx context.Context, t delivery.Target) error {
		receipt, err = t.Apply(ctx, change)
		return err
	})
	return receipt, err
}

// deployCluster finds what a stored stage wants of one cluster.
func (a *Activities) deployCluster(ctx context.Context, id delivery.ExecutionID, refID string, cluster delivery.Cluster) (pipeline.DeployCluster, error) {
	e, err := a.deps.Store.Execution(ctx, id)
	if err != nil {
		return pipeline.DeployCluster{}, err
	}
	return pipeline.RecordedDeploy(e, refID, cluster)
}

// PrepareRequest asks for the input of a rollout.
type PrepareRequest struct {
	ID        delivery.DeploymentID `json:"id"`
	Execution delivery.ExecutionID  `json:"execution"`
	Stage     string                `json:"stage"`
	Cluster   delivery.Cluster      `json:"cluster"`
	Fence     int64                 `json:"fence"`
}

// PrepareDeployment checks what is asked for against the cloud and gives the new
// server group its name; an operation has none. It changes nothing in the cloud. The error is of type
// execution_over when the execution ended before its deployment came to begin.
func (a *Activities) PrepareDeployment(ctx context.Context, in PrepareRequest) (rollout.Input, error) {
	input, err := a.prepare(ctx, in)
	return input, applicationError(err)
}

func (a *Activities) prepare(ctx context.Context, in PrepareRequest) (rollout.Input, error) {
	e, err := a.deps.Store.Execution(ctx, in.Execution)
	if err != nil {
		return rollout.Input{}, err
	}
	if e.Status.Complete() {
		return rollout.Input{}, executionOver(in.Execution)
	}
	if stage := e.Stage(in.Stage); stage != nil && pipeline.Operates(stage.Type) {
		return a.prepareOperation(*stage, in)
	}
	if stage := e.Stage(in.Stage); stage != nil && pipeline.RollsBack(stage.Type) {
		return a.prepareRollback(ctx, *stage, in)
	}
	want, err := a.deployCluster(ctx, in.Execution, in.Stage, in.Cluster)
	if err != nil {
		return rollout.Input{}, err
	}
	target, err := a.deps.Targets.Target(in.Cluster)
	if err != nil {
		return rollout.Input{}, err
	}
	want, seen, err := a.inspect(ctx, want)
	if err != nil {
		return rollout.Input{}, err
	}
	input := want.Input(seen, target.Describe().Capabilities)
	input.Deployment, input.Fence = in.ID, in.Fence
	if want.Strategy.InPlace {
		return input, nil // the group is there already; which one is decided on the first looks
	}
	floor, taken := seen.Numbers()
	sequence, err := a.deps.Store.AllocateSequence(ctx, in.Cluster.Key(), in.ID, floor, taken)
	if err != nil {
		return rollout.Input{}, err
	}
	input.Group = in.Cluster.Moniker.ServerGroup(sequence)
	return a.withBaseline(ctx, input, seen, want.Pointer)
}

// prepareOperation reads what a stage wants of a server group that is there
// already. Which one, and whether it may, is decided on the first looks.
func (a *Activities) prepareOperation(stage delivery.Stage, in PrepareRequest) (rollout.Input, error) {
	operate, err := pipeline.ParseOperate(stage.Type, stage.Context)
	if err != nil {
		return rollout.Input{}, err
	}
	target, err := a.deps.Targets.Target(in.Cluster)
	if err != nil {
		return rollout.Input{}, err
	}
	for _, c := range operate.Clusters {
		if c.Cluster == in.Cluster {
			input := c.Input(target.Describe().Capabilities)
			input.Deployment, input.Fence = in.ID, in.Fence
			return input, nil
		}
	}
	return rollout.Input{}, delivery.Errorf(delivery.NotFound, "cluster %s in stage %s of execution %s", in.Cluster.Key(), in.Stage, in.Execution)
}

// inspect validates what is wanted and looks at what is there, which tells what a
// clone is to be like.
func (a *Activities) inspect(ctx context.Context, want pipeline.DeployCluster) (_ pipeline.DeployCluster, seen delivery.Snapshot, err error) {
	if want.Clones() {
		if want, err = a.choose(ctx, want); err != nil {
			return want, seen, err
		}
	}
	err = a.call(ctx, "validate", want.Cluster, func(ctx context.Context, t delivery.Target) error {
		findings, err := t.Validate(ctx, want.Cluster, want.Spec)
		if err != nil {
			return err
		}
		for i := range findings {
			findings[i].Pointer = want.Pointer + findings[i].Pointer
		}
		return delivery.InvalidError("deploy stage is not valid", findings)
	})
	if err != nil {
		return want, seen, err
	}
	seen, err = a.see(ctx, want)
	return want, seen, err
}

func (a *Activities) see(ctx context.Context, want pipeline.DeployCluster) (seen delivery.Snapshot, err error) {
	err = a.call(ctx, "observe", want.Cluster, func(ctx context.Context, t delivery.Target) error {
		seen, err = t.Observe(ctx, want.Cluster, want.Spec.LoadBalancer)
		return err
	})
	return seen, err
}

// choose finds out which server group a clone is to be like. Two looks have to agree
// on it: one may be a stale read.
func (a *Activities) choose(ctx context.Context, want pipeline.DeployCluster) (pipeline.DeployCluster, error) {
	var chosen [2]pipeline.DeployCluster
	for i := range chosen {
		seen, err := a.see(ctx, want)
		if err != nil {
			return want, err
		}
		if chosen[i], err = want.Chosen(seen); err != nil {
			return want, err
		}
	}
	if a, b := chosen[0].Spec, chosen[1].Spec; a.From != b.From || a.Capacity != b.Capacity || a.LoadBalancer != b.LoadBalancer {
		return want, delivery.Errorf(delivery.NotReady, "two looks at %s do not agree on the server group to clone: %s and %s", want.Cluster.Key(), a.From, b.From)
	}
	return chosen[1], nil
}
