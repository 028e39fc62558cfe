package mig

import (
	"context"
	"regexp"

	"cloud.google.com/go/compute/apiv1/computepb"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/gcp"
)

// GroupOf looks for the group whose base name the instance's name begins with. A
// group without a number in its name is no server group.
func (t *Target) GroupOf(ctx context.Context, instance string) (delivery.Cluster, string, error) {
	none := delivery.Errorf(delivery.NotFound, "instance %s in %s", instance, t.region)
	base, _, ok := cutLast(instance, "-")
	if !ok || !validName.MatchString(base) {
		return delivery.Cluster{}, "", none
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	managers, err := collect(ctx, t.managers.List(ctx, &computepb.ListRegionInstanceGroupManagersRequest{
		Project: t.project, Region: t.region, Filter: where("baseInstanceName", regexp.QuoteMeta(base)),
	}, gcp.Reads()...), "list managed instance groups with base name %s", base)
	if err != nil {
		return delivery.Cluster{}, "", err
	}
	for _, manager := range managers {
		if m, _, ok := delivery.ParseServerGroup(manager.GetName()); ok {
			return delivery.Cluster{Provider: Provider, Account: t.account, Region: t.region, Moniker: m}, manager.GetName(), nil
		}
	}
	return delivery.Cluster{}, "", none
}
