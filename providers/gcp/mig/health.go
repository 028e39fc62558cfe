package mig

import (
	"context"
	"slices"

	"cloud.google.com/go/compute/apiv1/computepb"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/gcp"
)

// instances returns the group's instances with every source's word on each. An
// instance behind several backend services is as healthy as in the worst of them.
func (t *Target) instances(ctx context.Context, p *pieces) ([]delivery.Instance, error) {
	managed, err := collect(ctx, t.managers.ListManagedInstances(ctx, &computepb.ListManagedInstancesRegionInstanceGroupManagersRequest{
		Project: t.project, Region: t.region, InstanceGroupManager: p.name,
	}, gcp.Reads()...), "list managed instances of %s", p.name)
	if delivery.KindOf(err) == delivery.NotFound {
		return nil, nil // it went between two reads
	}
	if err != nil {
		return nil, err
	}
	if len(managed) == 0 {
		return nil, nil
	}
	registered := make([]map[string]delivery.Health, 0, len(p.services))
	for _, service := range p.services {
		of, err := t.healthIn(ctx, service, p)
		if err != nil {
			return nil, err
		}
		registered = append(registered, of)
	}
	repaired := len(p.manager.GetAutoHealingPolicies()) > 0
	out := make([]delivery.Instance, 0, len(managed))
	for _, m := range managed {
		path := pathOf(m.GetInstance())
		instance := delivery.Instance{ID: nameOf(path), Zone: partOf(path, "zones"), Version: pathOf(m.GetVersion().GetInstanceTemplate()), Health: []delivery.Health{googleHealthOf(m, repaired)}}
		if len(registered) > 0 {
			instance.Health = append(instance.Health, worst(registered, path))
		}
		out = append(out, instance)
	}
	return out, nil
}

// healthIn returns what a backend service says of the group's instances, by path.
func (t *Target) healthIn(ctx context.Context, service *computepb.BackendService, p *pieces) (map[string]delivery.Health, error) {
	group := p.manager.GetInstanceGroup()
	if !slices.ContainsFunc(service.GetBackends(), func(b *computepb.Backend) bool { return pathOf(b.GetGroup()) == pathOf(group) }) {
		return nil, nil // somebody took the group out
	}
	answer, err := t.services.GetHealth(ctx, &computepb.GetHealthRegionBackendServiceRequest{
		Project: t.project, Region: t.region, BackendService: service.GetName(),
		ResourceGroupReferenceResource: &computepb.ResourceGroupReference{Group: &group},
	}, gcp.Reads()...)
	if answer, err = found(answer, err, "get health of backend service %s", service.GetName()); err != nil {
		return nil, err
	}
	out := map[string]delivery.Health{}
	for _, h := range answer.GetHealthStatus() {
		out[pathOf(h.GetInstance())] = balancerHealthOf(h.GetHealthState())
	}
	return out, nil
}

// worst returns the first word on the instance that is not Up, else Up. A backend
// service that does not know the instance makes it unknown.
func worst(registered []map[string]delivery.Health, instance string) delivery.Health {
	var h delivery.Health
	for _, of := range registered {
		h = of[instance]
		h.Source = sourceLoadBalancer
		if h.State != delivery.HealthUp {
			return h
		}
	}
	return h
}

// googleHealthOf is the group's word on an instance. In a group that repairs its
// instances the health check that repairs are decided by must say yes as well.
func googleHealthOf(m *computepb.ManagedInstance, repaired bool) delivery.Health {
	h := delivery.Health{Source: sourceGoogle, Reason: m.GetCurrentAction()}
	switch m.GetCurrentAction() {
	case "NONE":
		if m.GetInstanceStatus() != "RUNNING" {
			h.State, h.Reason = stateOf(m.GetInstanceStatus()), m.GetInstanceStatus()
			return h
		}
	case "CREATING", "CREATING_WITHOUT_RETRIES", "RECREATING", "RESTARTING", "STARTING", "RESUMING", "VERIFYING", "REFRESHING":
		h.State = delivery.HealthStarting
		return h
	default: // DELETING, ABANDONING, STOPPING, SUSPENDING, and an action that is not known yet
		h.State = delivery.HealthOutOfService
		return h
	}
	h.State, h.Reason = delivery.HealthUp, ""
	if repaired {
		h = judged(m, h)
	}
	return h
}

// judged is the health that the group's own health check found.
func judged(m *computepb.ManagedInstance, up delivery.Health) delivery.Health {
	if len(m.GetInstanceHealth()) == 0 {
		return delivery.Health{Source: up.Source}
	}
	for _, i := range m.GetInstanceHealth() {
		state := delivery.Health{Source: up.Source, Reason: i.GetDetailedHealthState()}
		switch i.GetDetailedHealthState() {
		case "HEALTHY":
			continue
		case "DRAINING":
			state.State = delivery.HealthDraining
		case "UNHEALTHY", "TIMEOUT":
			state.State = delivery.HealthDown
		}
		return state
	}
	return up
}

// stateOf is what the status of an instance means that the group leaves alone.
func stateOf(status string) delivery.HealthState {
	switch status {
	case "PROVISIONING", "STAGING":
		return delivery.HealthStarting
	case "REPAIRING":
		return delivery.HealthDown
	case "STOPPING", "STOPPED", "SUSPENDING", "SUSPENDED", "TERMINATED":
		return delivery.HealthOutOfService
	default:
		return delivery.HealthUnknown
	}
}

func balancerHealthOf(state string) delivery.Health {
	h := delivery.Health{Source: sourceLoadBalancer, Reason: state}
	switch state {
	case "HEALTHY":
		h.State, h.Reason = delivery.HealthUp, ""
	case "UNHEALTHY":
		h.State = delivery.HealthDown
	case "DRAINING":
		h.State = delivery.HealthDraining
	}
	return h
}
