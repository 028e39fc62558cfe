package api

import (
	"context"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// rollbacks plans a stage that rolls back. One that follows a stage which changes
// the same cluster depends on the record of that.
func (p *planner) rollbacks(ctx context.Context, stage pipeline.StageSpec, evaluated []byte, out v1.PlannedStage) (v1.PlannedStage, error) {
	parsed, err := pipeline.ParseRollback(stage.Type, evaluated)
	if err != nil {
		return out, err
	}
	for _, one := range parsed.Clusters {
		if _, changed := p.seen[one.Cluster.Key()]; changed {
			out.Unplanned = "what it restores follows from the record of an earlier stage"
			p.hash.add(stage.RefID, string(evaluated))
			return out, nil
		}
	}
	for _, one := range parsed.Clusters {
		planned, err := p.rollback(ctx, stage.RefID, one)
		if err != nil {
			return out, err
		}
		out.Deployments = append(out.Deployments, planned)
	}
	return out, nil
}

// rollback plans the rollback of one cluster; why there is none is the plan's failure.
func (p *planner) rollback(ctx context.Context, refID string, one pipeline.RollbackCluster) (v1.PlannedDeployment, error) {
	target, err := p.targets.Target(one.Cluster)
	if err != nil {
		return v1.PlannedDeployment{}, err
	}
	seen, err := p.observe(ctx, target, one.Cluster, one.LoadBalancer())
	if err != nil {
		return v1.PlannedDeployment{}, err
	}
	chosen, err := p.rollbackOf(ctx, one, seen)
	if kind := delivery.KindOf(err); err != nil && (kind == delivery.Conflict || kind == delivery.NotFound || kind == delivery.Invalid) {
		p.hash.add(refID, err.Error())
		return presentPlan(rollout.Plan{Cluster: one.Cluster, ServerGroup: one.Request.Restore, Strategy: rollout.Kind(one.Kind),
			Failure: delivery.FailureOf("choose what to restore", err)}), nil
	}
	if err != nil {
		return v1.PlannedDeployment{}, err
	}
	again, err := p.deployedAnew(ctx, chosen)
	if err != nil {
		return v1.PlannedDeployment{}, err
	}
	if again != nil {
		newest, taken := seen.Numbers()
		sequence, err := p.store.NextSequence(ctx, one.Cluster.Key(), newest, taken)
		if err != nil {
			return v1.PlannedDeployment{}, err
		}
		chosen = chosen.Anew(one.Cluster.Moniker.ServerGroup(sequence))
		p.hash.add(string(again.Spec.Settings))
	}
	input := one.Input(target.Describe().Capabilities, chosen, again)
	input.Deployment = "planned"
	plan, err := p.predict(ctx, input, seen)
	if err != nil {
		return v1.PlannedDeployment{}, err
	}
	p.hash.add(refID, plan.Hash)
	out := presentPlan(plan)
	out.Rollback = &v1.PlannedRollback{Of: string(chosen.Of), From: chosen.From, Redeploys: string(chosen.Redeploys), Description: chosen.Intent()}
	return out, nil
}
