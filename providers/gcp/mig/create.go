package mig

import (
	"cmp"
	"context"
	"slices"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/delivery"
)

// creation is one CreateGroup on its way: what it wants, and what it found.
type creation struct {
	*Target
	change   delivery.Change
	settings settings
	pieces   *pieces
	history  history
	survey   *survey // of the cluster; nil until asked for
	source   *source // nil for a group that is made like no other
}

// create makes the first missing piece of the group, in the order of the package
// comment. The group is pinned: its bounds come with a resize.
func (t *Target) create(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	if c.Spec == nil {
		return delivery.Receipt{}, delivery.Errorf(delivery.Invalid, "creation of %s without a spec", c.Group)
	}
	s, findings := parseSettings(*c.Spec)
	if err := delivery.InvalidError("server group "+c.Group, append(findings, s.check(c.Cluster)...)); err != nil {
		return delivery.Receipt{}, err
	}
	if c.Capacity == nil {
		c.Capacity = &c.Spec.Capacity
	}
	n := &creation{Target: t, change: c, settings: s}
	var err error
	if n.history, err = t.historyOf(ctx, c.Group, s.balancer()); err != nil {
		return delivery.Receipt{}, err
	}
	if n.pieces, err = t.piecesOf(ctx, c.Group); err != nil {
		return delivery.Receipt{}, err
	}
	if err := n.own(); err != nil {
		return delivery.Receipt{}, err
	}
	if n.history.deleting(t.path("instanceGroupManagers", c.Group)) {
		return delivery.Receipt{}, delivery.Errorf(delivery.Conflict, "managed instance group %s is being deleted", c.Group)
	}
	if waiting := n.history.waiting(); waiting.Waiting != "" {
		return waiting, nil
	}
	if err := n.readSource(ctx); err != nil {
		return delivery.Receipt{}, err
	}
	for _, step := range []func(context.Context) (delivery.Receipt, error){
		n.makeTemplate, n.makeManager, n.makeService, n.makeAutoscaler, n.attach,
	} {
		if receipt, err := step(ctx); err != nil || receipt != (delivery.Receipt{}) {
			return receipt, err
		}
	}
	return done(), nil
}

// own returns Conflict unless every piece that exists was made by this very change.
func (n *creation) own() error {
	for _, d := range n.pieces.descriptions() {
		if maker := tagsIn(d.text)[tagChange]; maker != string(n.change.Key) {
			return delivery.Errorf(delivery.Conflict, "%s %s exists and was made by %s, not by %s",
				d.what, n.change.Group, cmp.Or(maker, "somebody else"), n.change.Key)
		}
	}
	return nil
}

func (n *creation) makeTemplate(ctx context.Context) (delivery.Receipt, error) {
	if n.pieces.template != nil {
		return delivery.Receipt{}, nil
	}
	image, findings, err := n.imageOfSpec(ctx, n.settings, n.source)
	if err != nil {
		return delivery.Receipt{}, err
	}
	if err := n.checkPlace(ctx); err != nil {
		return delivery.Receipt{}, err
	}
	if err := delivery.InvalidError("server group "+n.change.Group, findings); err != nil {
		return delivery.Receipt{}, err
	}
	in := &computepb.InsertRegionInstanceTemplateRequest{
		Project: n.project, Region: n.region, InstanceTemplateResource: n.templateResource(image),
	}
	return exists(n.history.submit(write{n.change.Key, "RegionInstanceTemplates.Insert", in, ""}, func(id *string) (*compute.Operation, error) {
		in.RequestId = id
		return n.templates.Insert(ctx, in)
	}, "create instance template %s", n.change.Group))
}

// checkPlace refuses a group that the load balancer could not take, before the
// first of its pieces is made.
func (n *creation) checkPlace(ctx context.Context) error {
	if n.settings.balancer() == "" {
		return nil
	}
	found, err := n.look(ctx)
	if err != nil {
		return err
	}
	chosen, problem := found.usable(n.settings)
	if problem != nil {
		return delivery.Errorf(delivery.Conflict, "%s", problem.Message)
	}
	if n.settings.HealthCheck == "" && len(n.pieces.services) == 0 && n.model(*chosen) == nil {
		return delivery.InvalidError("server group "+n.change.Group, []delivery.Finding{missingHealthCheck})
	}
	return nil
}

func (n *creation) makeManager(ctx context.Context) (delivery.Receipt, error) {
	if n.pieces.manager != nil {
		return delivery.Receipt{}, nil
	}
	resource, err := n.managerResource(ctx)
	if err != nil {
		return delivery.Receipt{}, err
	}
	in := &computepb.InsertRegionInstanceGroupManagerRequest{
		Project: n.project, Region: n.region, InstanceGroupManagerResource: resource,
	}
	return exists(n.history.submit(write{n.change.Key, "RegionInstanceGroupManagers.Insert", in, ""}, func(id *string) (*compute.Operation, error) {
		in.RequestId = id
		return n.managers.Insert(ctx, in)
	}, "create managed instance group %s", n.change.Group))
}

func (n *creation) makeService(ctx context.Context) (delivery.Receipt, error) {
	if n.settings.balancer() == "" || len(n.pieces.services) > 0 {
		return delivery.Receipt{}, nil
	}
	resource, err := n.serviceResource(ctx)
	if err != nil {
		return delivery.Receipt{}, err
	}
	in := &computepb.InsertRegionBackendServiceRequest{Project: n.project, Region: n.region, BackendServiceResource: resource}
	return exists(n.history.submit(write{n.change.Key, "RegionBackendServices.Insert", in, ""}, func(id *string) (*compute.Operation, error) {
		in.RequestId = id
		return n.services.Insert(ctx, in)
	}, "create backend service %s", n.change.Group))
}

// makeAutoscaler makes the stage's autoscaler, or one like the source's, stopped: it
// is started with the group's own bounds.
func (n *creation) makeAutoscaler(ctx context.Context) (delivery.Receipt, error) {
	policy := n.policy()
	if policy == nil || n.pieces.autoscaler != nil {
		return delivery.Receipt{}, nil
	}
	policy.Mode = proto.String(modeOff)
	policy.MinNumReplicas, policy.MaxNumReplicas = proto.Int32(0), proto.Int32(int32(max(1, n.change.Capacity.Max)))
	return n.insertAutoscaler(ctx, n.change, n.pieces.manager, policy, n.history)
}

// attach makes the URL map name the backend service at weight 0.
func (n *creation) attach(ctx context.Context) (delivery.Receipt, error) {
	if n.settings.balancer() == "" {
		return delivery.Receipt{}, nil
	}
	s, err := n.look(ctx)
	if err != nil {
		return delivery.Receipt{}, err
	}
	service := pathOf(n.pieces.services[0].GetSelfLink())
	if s.place != nil && s.place.has(service) {
		return delivery.Receipt{}, nil
	}
	if err := n.checkPlace(ctx); err != nil {
		return delivery.Receipt{}, err
	}
	return n.writePlace(ctx, n.change.Key, *s.place, append(slices.Clone(s.place.destinations), destination{service: service}))
}

// look surveys the cluster, once.
func (n *creation) look(ctx context.Context) (*survey, error) {
	var err error
	if n.survey == nil {
		n.survey, err = n.Target.survey(ctx, n.change.Cluster, n.settings.balancer(), n.settings.PathMatcher)
	}
	return n.survey, err
}
