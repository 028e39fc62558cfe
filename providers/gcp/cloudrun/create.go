package cloudrun

import (
	"context"

	"cloud.google.com/go/run/apiv2/runpb"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/gcp"
)

// create makes the revision, in one write. The revision's presence means that the
// write took effect; its annotations tell whose it was.
func (t *Target) create(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	if c.Spec == nil {
		return delivery.Receipt{}, delivery.Errorf(delivery.Invalid, "creation of %s without a spec", c.Group)
	}
	s, findings := parseSettings(*c.Spec)
	if err := delivery.InvalidError("server group "+c.Group, append(findings, s.check(c.Cluster, t.project)...)); err != nil {
		return delivery.Receipt{}, err
	}
	if err := delivery.InvalidError("capacity of "+c.Group, c.Spec.Capacity.Validate()); err != nil {
		return delivery.Receipt{}, err
	}
	service, err := t.service(ctx, c.Cluster)
	if err != nil {
		return delivery.Receipt{}, err
	}
	if service == nil {
		if s.source, err = t.copied(ctx, c, s); err != nil {
			return delivery.Receipt{}, err
		}
		return t.createService(ctx, c, s)
	}
	if service.GetDeleteTime() != nil {
		return delivery.Receipt{}, delivery.Errorf(delivery.Conflict, "service %s is being deleted", c.Cluster.Name())
	}
	if receipt, err := t.existing(ctx, service, c); err != nil || receipt != (delivery.Receipt{}) {
		return receipt, err
	}
	if s.source, err = t.copied(ctx, c, s); err != nil {
		return delivery.Receipt{}, err
	}
	return t.addRevision(ctx, service, c, s)
}

// copied is the template of the creation's source; nil for none.
func (t *Target) copied(ctx context.Context, c delivery.Change, s settings) (*runpb.RevisionTemplate, error) {
	template, findings, err := t.source(ctx, s.from, c.Cluster)
	if err != nil {
		return nil, err
	}
	return template, delivery.InvalidError("server group "+c.Group, findings)
}

// existing tells about a revision of that name, and about a template of that name
// whose revision is not there yet. The receipt is empty when there is neither.
func (t *Target) existing(ctx context.Context, service *runpb.Service, c delivery.Change) (delivery.Receipt, error) {
	revision, err := t.revision(ctx, c.Cluster, c.Group)
	if err != nil {
		return delivery.Receipt{}, err
	}
	switch {
	case revision != nil && revision.GetDeleteTime() != nil:
		return delivery.Receipt{}, delivery.Errorf(delivery.Conflict, "revision %s is being deleted", c.Group)
	case revision != nil:
		if err := own(c, revision.GetAnnotations()); err != nil {
			return delivery.Receipt{}, err
		}
		if !routed(service, c.Group) {
			// One write makes both, so a read before the other was not up to date, or
			// a removal is under way.
			return delivery.Receipt{}, delivery.Errorf(delivery.NotReady, "revision %s exists and service %s shows no traffic entry for it", c.Group, c.Cluster.Name())
		}
		return done(), nil
	case base(service.GetTemplate().GetRevision()) == c.Group:
		if err := own(c, service.GetTemplate().GetAnnotations()); err != nil {
			return delivery.Receipt{}, err
		}
		return waiting("revision " + c.Group + " to appear" + because(service)), nil
	default:
		return delivery.Receipt{}, nil
	}
}

// addRevision changes the service's template and pins its traffic, so that the new
// revision takes none.
func (t *Target) addRevision(ctx context.Context, service *runpb.Service, c delivery.Change, s settings) (delivery.Receipt, error) {
	entries, err := t.withoutFailed(ctx, service, c.Cluster, pinned(service))
	if err != nil {
		return delivery.Receipt{}, err
	}
	for _, e := range entries {
		if e.tag == tagOf(c.Group) {
			return delivery.Receipt{}, delivery.Errorf(delivery.Conflict, "tag %s of service %s belongs to revision %s", e.tag, c.Cluster.Name(), e.revision)
		}
	}
	entries = append(entries, entry{revision: c.Group, tag: tagOf(c.Group)})
	if len(observed(service)) == 0 && service.GetTerminalCondition().GetState() == runpb.Condition_CONDITION_FAILED {
		// Nothing ever served, so this is a first revision like that of a new service.
		entries = []entry{{revision: c.Group, percent: 100, tag: tagOf(c.Group)}}
	}
	err = t.patch(ctx, service, &runpb.Service{Template: s.template(c), Traffic: targets(entries)}, "template", "traffic")
	switch {
	case taken(err):
		// Made by an earlier try that this read did not see yet; the next read tells
		// whose it is.
		return delivery.Receipt{}, delivery.Errorf(delivery.NotReady, "revision %s exists and is not visible yet", c.Group)
	case overtaken(err):
		// Nothing was decided on what moved: the next try starts from it.
		return waiting("service " + c.Cluster.Name() + ", which changes"), nil
	case err != nil:
		return delivery.Receipt{}, err
	}
	return wrote(updateService), nil
}

// createService makes the service with its first revision, which takes all
// traffic. Who may call it is decided by whoever grants run.routes.invoke.
func (t *Target) createService(ctx context.Context, c delivery.Change, s settings) (delivery.Receipt, error) {
	_, err := t.services.CreateService(ctx, &runpb.CreateServiceRequest{
		Parent: t.location(), ServiceId: c.Cluster.Name(),
		Service: &runpb.Service{
			Annotations: ownership(c), Template: s.template(c),
			Traffic: targets([]entry{{revision: c.Group, percent: 100, tag: tagOf(c.Group)}}),
		},
	})
	if taken(err) {
		return delivery.Receipt{}, delivery.Errorf(delivery.NotReady, "service %s exists and is not visible yet", c.Cluster.Name())
	}
	if err = gcp.Classify(err, "create service %s", c.Cluster.Name()); err != nil {
		return delivery.Receipt{}, err
	}
	return wrote("CreateService"), nil
}
