package workflows

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

func rollbackKind() stageKind {
	return stageKind{read: readRollback, run: (*execution).rollBack}
}

func readRollback(kind string, evaluated json.RawMessage) (BegunStage, error) {
	stage, err := pipeline.ParseRollback(kind, evaluated)
	begun := BegunStage{Between: stage.Between}
	for _, c := range stage.Clusters {
		begun.Clusters = append(begun.Clusters, ClusterToDeploy{c.Cluster, c.Strategy.Concurrency})
	}
	return begun, err
}

// rollBack is a stage that rolls back: its regions side by side, or one after the
// other with a pause between them. Only a cancel of the execution cancels what has
// begun; a failure keeps the regions after it from being begun.
func (x *execution) rollBack(ctx workflow.Context, refID string, begun BegunStage) stageResult {
	rows := [][]ClusterToDeploy{begun.Clusters}
	if begun.Between > 0 {
		rows = slices.Collect(slices.Chunk(begun.Clusters, 1))
	}
	var all []*childDeployment
	for i, row := range rows {
		if i > 0 && x.sleep(ctx, begun.Between).canceled {
			return x.deployed(refID, all, true)
		}
		for _, cluster := range row {
			all = append(all, x.startDeployment(ctx, refID, cluster))
		}
		if err := x.project(ctx, stageEvent(x.stage(refID))); err != nil {
			return failed("record the deployments", err)
		}
		open := func(c *childDeployment) bool { return c.result == nil }
		run := runOf(ctx)
		_ = workflow.Await(ctx, func() bool { return !slices.ContainsFunc(all, open) || x.graceOver || run.timedOut })
		if run.timedOut && !x.canceled {
			cancelAll(ctx, all)
			_ = workflow.Await(ctx, func() bool { return !slices.ContainsFunc(all, open) || x.graceOver })
			return x.deployed(refID, all, true)
		}
		failed := func(c *childDeployment) bool { return c.result == nil || c.result.failed() }
		if x.canceled || slices.ContainsFunc(all, failed) {
			break
		}
	}
	x.open = slices.DeleteFunc(x.open, func(c *childDeployment) bool { return slices.Contains(all, c) })
	return x.deployed(refID, all, x.canceled)
}

// again is the deployment whose version a rollback deploys anew; empty for none.
func (d *deployment) again() delivery.DeploymentID {
	if op := d.Rollout.Input.Operation; op != nil && op.Rollback != nil {
		return op.Rollback.Redeploys
	}
	return ""
}

// deployed finds the settings of a change's spec.
func (a *Activities) deployed(ctx context.Context, in ApplyRequest) (pipeline.DeployCluster, error) {
	if in.Again == "" {
		return a.deployCluster(ctx, in.Execution, in.Stage, in.Change.Cluster)
	}
	return a.recorded(ctx, in.Again)
}

// recorded returns what an earlier deployment deployed.
func (a *Activities) recorded(ctx context.Context, id delivery.DeploymentID) (pipeline.DeployCluster, error) {
	d, err := a.deps.Store.Deployment(ctx, id)
	if err != nil {
		return pipeline.DeployCluster{}, err
	}
	return a.deployCluster(ctx, d.Execution, d.Stage, d.Cluster)
}

// prepareRollback chooses what is restored from the records, now that nobody else
// can change the cluster. A version that is deployed anew is validated like any.
func (a *Activities) prepareRollback(ctx context.Context, stage delivery.Stage, in PrepareRequest) (rollout.Input, error) {
	parsed, err := pipeline.ParseRollback(stage.Type, stage.Context)
	if err != nil {
		return rollout.Input{}, err
	}
	i := slices.IndexFunc(parsed.Clusters, func(c pipeline.RollbackCluster) bool { return c.Cluster == in.Cluster })
	if i < 0 {
		return rollout.Input{}, delivery.Errorf(delivery.NotFound, "cluster %s in stage %s of execution %s", in.Cluster.Key(), in.Stage, in.Execution)
	}
	want := parsed.Clusters[i]
	target, err := a.deps.Targets.Target(in.Cluster)
	if err != nil {
		return rollout.Input{}, err
	}
	chosen, err := a.chooseRollback(ctx, want)
	if err != nil {
		return rollout.Input{}, err
	}
	var again *pipeline.DeployCluster
	if chosen.Redeploys != "" {
		if again, chosen, err = a.deployAnew(ctx, in, chosen); err != nil {
			return rollout.Input{}, err
		}
	}
	input := want.Input(target.Describe().Capabilities, chosen, again)
	input.Deployment, input.Fence = in.ID, in.Fence
	return input, nil
}

// deployAnew checks that the version of a rollback can still be deployed, and gives
// its server group a name.
func (a *Activities) deployAnew(ctx context.Context, in PrepareRequest, chosen rollout.Rollback) (*pipeline.DeployCluster, rollout.Rollback, error) {
	again, err := a.recorded(ctx, chosen.Redeploys)
	if err != nil {
		return nil, chosen, err
	}
	if err := again.Redeployable(); err != nil {
		return nil, chosen, fmt.Errorf("deploy the version of %s anew: %w", chosen.Gone, err)
	}
	again.Pointer = "" // the stage that has the settings is another's
	again, seen, err := a.inspect(ctx, again)
	if err != nil {
		return nil, chosen, fmt.Errorf("deploy the version of %s anew: %w", chosen.Gone, err)
	}
	floor, taken := seen.Numbers()
	sequence, err := a.deps.Store.AllocateSequence(ctx, in.Cluster.Key(), in.ID, floor, taken)
	if err != nil {
		return nil, chosen, err
	}
	return &again, chosen.Anew(in.Cluster.Moniker.ServerGroup(sequence)), nil
}

// chooseRollback looks at the cluster and at its records.
func (a *Activities) chooseRollback(ctx context.Context, want pipeline.RollbackCluster) (chosen rollout.Rollback, err error) {
	var seen delivery.Snapshot
	err = a.call(ctx, "observe", want.Cluster, func(ctx context.Context, t delivery.Target) error {
		seen, err = t.Observe(ctx, want.Cluster, want.LoadBalancer())
		return err
	})
	if err != nil {
		return chosen, err
	}
	records, err := a.deps.Store.ClusterDeployments(ctx, want.Cluster.Key(), rollout.MaxRecords)
	if err != nil {
		return chosen, err
	}
	return rollout.ChooseRollback(seen, records, want.Request)
}

// withRollbackAdvice says what a person has to do where a rollback on demand could
// not. Its traffic stays where it is.
func withRollbackAdvice(o *rollout.Outcome, r rollout.Rollback) *rollout.Outcome {
	if o.Failure == nil {
		return o
	}
	var todo []string
	for _, g := range r.To.Groups {
		todo = append(todo, fmt.Sprintf("give %s its capacity (min %d, desired %d, max %d)", g.Name, g.Capacity.Min, g.Capacity.Desired, g.Capacity.Max))
	}
	for _, w := range r.To.Weights {
		todo = append(todo, fmt.Sprintf("give %s %d %% of the traffic", w.ServerGroup, w.Percent))
	}
	if !r.To.Routed || r.ScaleDown || r.Destroy {
		todo = append(todo, "take the capacity of "+r.From)
	}
	f := *o.Failure
	f.Message += "; a person has to: " + strings.Join(todo, ", then ")
	return &rollout.Outcome{Status: o.Status, Failure: &f}
}
