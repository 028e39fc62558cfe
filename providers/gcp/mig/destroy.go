package mig

import (
	"context"
	"fmt"
	"slices"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"

	"github.com/slipway-cd/slipway/delivery"
)

// demolition is one DestroyGroup on its way.
type demolition struct {
	*Target
	change  delivery.Change
	pieces  *pieces
	history history
}

// destroy removes the outermost piece that is left. Every piece is looked up by
// its own name, so that a crash between two pieces leaves nothing behind.
func (t *Target) destroy(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	d := &demolition{Target: t, change: c}
	var err error
	if d.history, err = t.historyOf(ctx, c.Group, ""); err != nil {
		return delivery.Receipt{}, err
	}
	if d.pieces, err = t.piecesOf(ctx, c.Group); err != nil {
		return delivery.Receipt{}, err
	}
	for _, piece := range d.pieces.descriptions() {
		if !tagsIn(piece.text).owned(c.Cluster, c.Group) {
			return delivery.Receipt{}, d.refuse(fmt.Sprintf("its %s carries no ownership tag of Slipway", piece.what))
		}
	}
	if waiting := d.history.waiting(); waiting.Waiting != "" {
		return waiting, nil
	}
	for _, step := range []func(context.Context) (delivery.Receipt, error){
		d.detach, d.deleteService, d.deleteAutoscaler, d.deleteManager, d.deleteTemplate,
	} {
		if receipt, err := step(ctx); err != nil || receipt != (delivery.Receipt{}) {
			return receipt, err
		}
	}
	return done(), nil
}

func (d *demolition) refuse(reason string) error {
	return delivery.Errorf(delivery.Guarded, "destroy of %s refused: %s", d.change.Group, reason)
}

// detach takes the backend service out of the URL maps that name it, and removes
// the rules that lead testers to it. One that
// still has weight is refused before anything is written.
func (d *demolition) detach(ctx context.Context) (delivery.Receipt, error) {
	if len(d.pieces.services) == 0 {
		return delivery.Receipt{}, nil
	}
	service := pathOf(d.pieces.services[0].GetSelfLink())
	running, err := d.running(ctx)
	if err != nil {
		return delivery.Receipt{}, err
	}
	using, err := d.using(ctx, service)
	if err != nil || len(using) == 0 {
		return delivery.Receipt{}, err
	}
	s := &survey{cluster: d.change.Cluster, groups: map[string]*pieces{d.change.Group: d.pieces}}
	for _, p := range using {
		if s.previewOf(p) == nil && p.weighs(func(s string) bool { return s == service }) {
			return delivery.Receipt{}, d.refuse("it takes traffic of " + p.String())
		}
	}
	p := using[0]
	if waiting := running.on(d.path("urlMaps", p.urlMap.GetName())).waiting(); waiting.Waiting != "" {
		return waiting, nil
	}
	if s.previewOf(p) != nil {
		return d.removeRoute(ctx, d.change.Key, p)
	}
	if p.rule != "" {
		return delivery.Receipt{}, delivery.Errorf(delivery.Conflict, "%s names %s at weight 0; Slipway changes defaults only: remove it there", p, d.change.Group)
	}
	rest := slices.DeleteFunc(slices.Clone(p.destinations), func(o destination) bool { return o.service == service })
	if len(rest) == 0 {
		return delivery.Receipt{}, d.refuse("it is the only destination of " + p.String())
	}
	return d.writePlace(ctx, d.change.Key, p, rest)
}

// using returns the places of all URL maps of the region that name the service.
func (t *Target) using(ctx context.Context, service string) ([]place, error) {
	all, err := t.allMaps(ctx)
	if err != nil {
		return nil, err
	}
	var out []place
	for _, m := range all {
		for _, p := range placesOf(m) {
			if p.has(service) {
				out = append(out, p)
			}
		}
	}
	return out, nil
}

func (d *demolition) deleteService(ctx context.Context) (delivery.Receipt, error) {
	if len(d.pieces.services) == 0 {
		return delivery.Receipt{}, nil
	}
	in := &computepb.DeleteRegionBackendServiceRequest{Project: d.project, Region: d.region, BackendService: d.change.Group}
	return gone(d.history.submit(write{d.change.Key, "RegionBackendServices.Delete", in, fmt.Sprint(d.pieces.services[0].GetId())}, func(id *string) (*compute.Operation, error) {
		in.RequestId = id
		return d.services.Delete(ctx, in)
	}, "delete backend service %s", d.change.Group))
}

func (d *demolition) deleteAutoscaler(ctx context.Context) (delivery.Receipt, error) {
	if d.pieces.autoscaler == nil {
		return delivery.Receipt{}, nil
	}
	if d.pieces.manager == nil && !tagsIn(d.pieces.autoscaler.GetDescription()).owned(d.change.Cluster, d.change.Group) {
		return delivery.Receipt{}, d.refuse("its autoscaler carries no ownership tag of Slipway")
	}
	in := &computepb.DeleteRegionAutoscalerRequest{Project: d.project, Region: d.region, Autoscaler: d.pieces.autoscaler.GetName()}
	return gone(d.history.submit(write{d.change.Key, "RegionAutoscalers.Delete", in, fmt.Sprint(d.pieces.autoscaler.GetId())}, func(id *string) (*compute.Operation, error) {
		in.RequestId = id
		return d.autoscalers.Delete(ctx, in)
	}, "delete autoscaler %s", in.Autoscaler))
}

func (d *demolition) deleteManager(ctx context.Context) (delivery.Receipt, error) {
	if d.pieces.manager == nil {
		return delivery.Receipt{}, nil
	}
	in := &computepb.DeleteRegionInstanceGroupManagerRequest{Project: d.project, Region: d.region, InstanceGroupManager: d.change.Group}
	return gone(d.history.submit(write{d.change.Key, "RegionInstanceGroupManagers.Delete", in, fmt.Sprint(d.pieces.manager.GetId())}, func(id *string) (*compute.Operation, error) {
		in.RequestId = id
		return d.managers.Delete(ctx, in)
	}, "delete managed instance group %s", d.change.Group))
}

func (d *demolition) deleteTemplate(ctx context.Context) (delivery.Receipt, error) {
	if len(d.pieces.templates) == 0 {
		return delivery.Receipt{}, nil
	}
	return d.Target.deleteTemplate(ctx, d.change.Key, d.pieces.templates[0], d.history)
}

func (t *Target) deleteTemplate(ctx context.Context, key delivery.ChangeKey, v *computepb.InstanceTemplate, h history) (delivery.Receipt, error) {
	in := &computepb.DeleteRegionInstanceTemplateRequest{Project: t.project, Region: t.region, InstanceTemplate: v.GetName()}
	return gone(h.submit(write{key, "RegionInstanceTemplates.Delete", in, fmt.Sprint(v.GetId())}, func(id *string) (*compute.Operation, error) {
		in.RequestId = id
		return t.templates.Delete(ctx, in)
	}, "delete instance template %s", v.GetName()))
}
