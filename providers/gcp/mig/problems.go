package mig

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/gcp"
)

// repair is the type of the operations by which a group replaces an unhealthy
// instance. They are operations of the instance's zone.
const repair = "compute.instances.repair.recreateInstance"

// problems returns what went wrong with the group's instances: failures to make
// them, and repairs.
func (t *Target) problems(ctx context.Context, p *pieces) ([]delivery.Problem, error) {
	errors, err := collect(ctx, t.managers.ListErrors(ctx, &computepb.ListErrorsRegionInstanceGroupManagersRequest{
		Project: t.project, Region: t.region, InstanceGroupManager: p.name,
	}, gcp.Reads()...), "list errors of %s", p.name)
	if delivery.KindOf(err) == delivery.NotFound {
		return nil, nil // it went between two reads
	}
	if err != nil {
		return nil, err
	}
	var out []delivery.Problem
	for _, e := range errors {
		out = append(out, problemOf(e))
	}
	if len(p.manager.GetAutoHealingPolicies()) == 0 {
		return out, nil
	}
	for _, zone := range p.manager.GetDistributionPolicy().GetZones() {
		repairs, err := t.repairs(ctx, p, nameOf(zone.GetZone()))
		if err != nil {
			return nil, err
		}
		out = append(out, repairs...)
	}
	return out, nil
}

// problemOf gives an error an id: the API has none for it.
func problemOf(e *computepb.InstanceManagedByIgmError) delivery.Problem {
	instance, action := nameOf(e.GetInstanceActionDetails().GetInstance()), e.GetInstanceActionDetails().GetAction()
	return delivery.Problem{
		ID: fmt.Sprintf("%s/%s/%s/%s", e.GetTimestamp(), instance, action, e.GetError().GetCode()), At: stamp(e.GetTimestamp()),
		Code: e.GetError().GetCode(), Message: fmt.Sprintf("%s of %s: %s", action, instance, e.GetError().GetMessage()),
	}
}

// repairs returns the repairs of the group's instances in one zone. The server
// picks by type, of which there are few; a filter takes one field.
func (t *Target) repairs(ctx context.Context, p *pieces, zone string) ([]delivery.Problem, error) {
	operations, err := collect(ctx, t.zoneOperations.List(ctx, &computepb.ListZoneOperationsRequest{
		Project: t.project, Zone: zone, Filter: where("operationType", repair),
	}, gcp.Reads()...), "list operations of zone %s", zone)
	if err != nil {
		return nil, err
	}
	var out []delivery.Problem
	for _, o := range operations {
		instance := nameOf(o.GetTargetLink())
		if base, _, ok := cutLast(instance, "-"); !ok || base != p.manager.GetBaseInstanceName() {
			continue
		}
		out = append(out, delivery.Problem{
			ID: o.GetName(), At: stamp(o.GetInsertTime()), Code: "InstanceUnhealthy",
			Message: cmp.Or(o.GetStatusMessage(), "the group replaces instance "+instance),
		})
	}
	return out, nil
}

// cutLast cuts around the last separator: an instance's name is its group's base
// name, a dash and four letters and digits.
func cutLast(text, separator string) (before, after string, ok bool) {
	at := strings.LastIndex(text, separator)
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+len(separator):], true
}
