package asg

import (
	"context"

	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/slipway-cd/slipway/delivery"
)

// instances returns the group's instances with every source's word on each. An
// instance in several target groups is as healthy as in the worst of them.
func (t *Target) instances(ctx context.Context, p *pieces) ([]delivery.Instance, error) {
	registered := make([]map[string]delivery.Health, 0, len(p.targetGroups))
	for _, arn := range p.targetGroups {
		targets, err := t.targetHealth(ctx, arn)
		if err != nil {
			return nil, err
		}
		of := make(map[string]delivery.Health, len(targets))
		for _, target := range targets {
			if target.Target != nil {
				of[deref(target.Target.Id)] = targetHealthOf(target.TargetHealth)
			}
		}
		registered = append(registered, of)
	}
	out := make([]delivery.Instance, 0, len(p.group.Instances))
	for _, i := range p.group.Instances {
		instance := delivery.Instance{
			ID: deref(i.InstanceId), Zone: deref(i.AvailabilityZone), Version: versionOf(i.LaunchTemplate),
			Health: []delivery.Health{amazonHealthOf(i)},
		}
		if len(registered) > 0 {
			instance.Health = append(instance.Health, worst(registered, instance.ID))
		}
		out = append(out, instance)
	}
	return out, nil
}

// worst returns the first word on the instance that is not Up, else Up. A target
// group that does not know the instance makes it unknown.
func worst(registered []map[string]delivery.Health, id string) delivery.Health {
	var h delivery.Health
	for _, of := range registered {
		h = of[id]
		h.Source = sourceTargetGroup
		if h.State != delivery.HealthUp {
			return h
		}
	}
	return h
}

func amazonHealthOf(i astypes.Instance) delivery.Health {
	h := delivery.Health{Source: sourceAmazon, Reason: string(i.LifecycleState)}
	switch i.LifecycleState {
	case astypes.LifecycleStateInService:
		switch deref(i.HealthStatus) {
		case "Healthy":
			h.State, h.Reason = delivery.HealthUp, ""
		case "Unhealthy":
			h.State, h.Reason = delivery.HealthDown, "Unhealthy"
		}
	case astypes.LifecycleStatePending, astypes.LifecycleStatePendingWait, astypes.LifecycleStatePendingProceed:
		h.State = delivery.HealthStarting
	default:
		h.State = delivery.HealthOutOfService
	}
	return h
}

func targetHealthOf(t *elbtypes.TargetHealth) delivery.Health {
	h := delivery.Health{Source: sourceTargetGroup}
	if t == nil {
		return h
	}
	h.Reason = string(t.Reason)
	switch t.State {
	case elbtypes.TargetHealthStateEnumInitial:
		h.State = delivery.HealthStarting
	case elbtypes.TargetHealthStateEnumHealthy:
		h.State = delivery.HealthUp
	case elbtypes.TargetHealthStateEnumDraining, elbtypes.TargetHealthStateEnumUnhealthyDraining:
		h.State = delivery.HealthDraining
	case elbtypes.TargetHealthStateEnumUnused:
		h.State = delivery.HealthOutOfService
	case elbtypes.TargetHealthStateEnumUnhealthy:
		h.State = delivery.HealthDown
	}
	return h
}
