package cloudrun

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cloud.google.com/go/run/apiv2/runpb"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/gcp"
)

// demolition is one DestroyGroup on its way.
type demolition struct {
	*Target
	change   delivery.Change
	service  *runpb.Service
	revision *runpb.Revision // nil when it is gone, or was never made
	// inTemplate is true while the service's template is that of the revision.
	inTemplate bool
}

// destroy takes the next step of the package comment's order.
func (t *Target) destroy(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	d := &demolition{Target: t, change: c}
	found, err := d.find(ctx)
	if err != nil {
		return delivery.Receipt{}, err
	}
	if !found {
		return done(), nil
	}
	if d.service.GetDeleteTime() != nil {
		return waiting("service " + c.Cluster.Name() + " to be deleted"), nil
	}
	for _, step := range []func(context.Context) (delivery.Receipt, error){d.deleteService, d.detach, d.turnBack, d.deleteRevision} {
		if receipt, err := step(ctx); err != nil || receipt != (delivery.Receipt{}) {
			return receipt, err
		}
	}
	return done(), nil
}

// find reads the pieces, and refuses those that Slipway did not make and those
// that take traffic. It returns false when nothing is left.
func (d *demolition) find(ctx context.Context) (bool, error) {
	var err error
	name := d.change.Group
	if d.service, err = d.Target.service(ctx, d.change.Cluster); err != nil || d.service == nil {
		return false, err
	}
	if d.revision, err = d.Target.revision(ctx, d.change.Cluster, name); err != nil {
		return false, err
	}
	d.inTemplate = base(d.service.GetTemplate().GetRevision()) == name
	notes := d.revision.GetAnnotations()
	switch {
	case d.revision == nil && !d.inTemplate, hidden(d.service, name):
		return false, nil
	case d.revision == nil:
		notes = d.service.GetTemplate().GetAnnotations()
	}
	if !owned(notes, d.change.Cluster, name) {
		return false, d.refuse("it carries no ownership annotation of Slipway")
	}
	if percent := percents(d.service)[name]; percent > 0 {
		return false, d.refuse(fmt.Sprintf("it takes %d %% of the traffic", percent))
	}
	return true, nil
}

func (d *demolition) refuse(reason string) error {
	return delivery.Errorf(delivery.Guarded, "destroy of %s refused: %s", d.change.Group, reason)
}

// deleteService deletes the whole service if the creation of this revision made it
// and nothing else came of it.
func (d *demolition) deleteService(ctx context.Context) (delivery.Receipt, error) {
	if !owned(d.service.GetAnnotations(), d.change.Cluster, d.change.Group) {
		return delivery.Receipt{}, nil
	}
	revisions, err := d.revisionsOf(ctx, d.change.Cluster)
	if err != nil || slices.ContainsFunc(revisions, func(r *runpb.Revision) bool { return base(r.GetName()) != d.change.Group }) {
		return delivery.Receipt{}, err
	}
	_, err = d.services.DeleteService(ctx, &runpb.DeleteServiceRequest{Name: d.service.GetName(), Etag: d.service.GetEtag()})
	return d.receipt("DeleteService", gcp.Classify(err, "delete service %s", d.change.Cluster.Name()))
}

// detach takes the revision's entries out of the traffic.
func (d *demolition) detach(ctx context.Context) (delivery.Receipt, error) {
	stored := pinned(d.service)
	rest := slices.DeleteFunc(slices.Clone(stored), func(e entry) bool { return e.revision == d.change.Group })
	if len(rest) == len(stored) {
		return delivery.Receipt{}, nil
	}
	total := 0
	for _, percent := range sum(rest) {
		total += percent
	}
	if total != 100 {
		return delivery.Receipt{}, d.refuse(fmt.Sprintf("service %s is to send it %d %% of the traffic", d.change.Cluster.Name(), 100-total))
	}
	return d.receipt(updateService, d.patch(ctx, d.service, &runpb.Service{Traffic: targets(rest)}, "traffic"))
}

// turnBack makes the template that of the revision which serves: Cloud Run does
// not delete the revision that it made last. Writing a revision's own name and
// configuration makes none (assumption; a roll back by an older manifest relies on
// the same).
func (d *demolition) turnBack(ctx context.Context) (delivery.Receipt, error) {
	if !d.inTemplate {
		return delivery.Receipt{}, nil
	}
	model, err := d.remaining(ctx)
	if err != nil {
		return delivery.Receipt{}, err
	}
	if model == nil {
		return d.retire(ctx)
	}
	err = d.patch(ctx, d.service, &runpb.Service{Template: templateOf(model)}, "template")
	if taken(err) || delivery.KindOf(err) == delivery.Invalid {
		return d.retire(ctx)
	}
	return d.receipt(updateService, err)
}

// remaining returns the revision with the most traffic besides this one, else the
// newest that was ready; nil when the service has no other.
func (d *demolition) remaining(ctx context.Context) (*runpb.Revision, error) {
	revisions, err := d.revisionsOf(ctx, d.change.Cluster)
	if err != nil {
		return nil, err
	}
	shares := percents(d.service)
	var best *runpb.Revision
	better := func(r *runpb.Revision) bool {
		if best == nil {
			return true
		}
		have, want := shares[base(best.GetName())], shares[base(r.GetName())]
		if have != want {
			return want > have
		}
		if ready(best) != ready(r) {
			return ready(r)
		}
		return r.GetCreateTime().AsTime().After(best.GetCreateTime().AsTime())
	}
	for _, r := range revisions {
		if base(r.GetName()) != d.change.Group && r.GetDeleteTime() == nil && better(r) {
			best = r
		}
	}
	return best, nil
}

// deleteRevision deletes the revision once nothing leads to it.
func (d *demolition) deleteRevision(ctx context.Context) (delivery.Receipt, error) {
	if d.revision == nil {
		return delivery.Receipt{}, nil
	}
	if d.revision.GetDeleteTime() != nil {
		return waiting("revision " + d.change.Group + " to be deleted"), nil
	}
	if routed(d.service, d.change.Group) {
		return waiting("service " + d.change.Cluster.Name() + " to let go of revision " + d.change.Group), nil
	}
	_, err := d.revisions.DeleteRevision(ctx, &runpb.DeleteRevisionRequest{Name: d.revision.GetName()})
	err = gcp.Classify(err, "delete revision %s", d.change.Group)
	kind := delivery.KindOf(err)
	if err != nil && (kind == delivery.Conflict || kind == delivery.Invalid) && !d.service.GetReconciling() &&
		base(d.service.GetLatestCreatedRevision()) == d.change.Group {
		return d.retire(ctx)
	}
	return d.receipt("DeleteRevision", err)
}

// retire names the revision among those that count as destroyed: it serves
// nothing and costs nothing, and Cloud Run will not let it go. Names whose
// revisions are gone are forgotten.
func (d *demolition) retire(ctx context.Context) (delivery.Receipt, error) {
	if d.revision == nil {
		return waiting("service " + d.change.Cluster.Name() + " to get another revision" + because(d.service)), nil
	}
	revisions, err := d.revisionsOf(ctx, d.change.Cluster)
	if err != nil {
		return delivery.Receipt{}, err
	}
	names := slices.DeleteFunc(retired(d.service), func(name string) bool {
		return !slices.ContainsFunc(revisions, func(r *runpb.Revision) bool { return base(r.GetName()) == name })
	})
	notes := maps.Clone(d.service.GetAnnotations())
	if notes == nil {
		notes = map[string]string{}
	}
	notes[noteRetired] = strings.Join(append(names, d.change.Group), ",")
	return d.receipt(updateService, d.patch(ctx, d.service, &runpb.Service{Annotations: notes}, "annotations"))
}

// receipt makes "gone already" a success, and "in use for a moment" and "moved
// meanwhile" a wait: the next try reads anew what is left to do.
func (d *demolition) receipt(action string, err error) (delivery.Receipt, error) {
	switch kind := delivery.KindOf(err); {
	case err == nil, kind == delivery.NotFound:
		return wrote(action), nil
	case kind == delivery.NotReady, kind == delivery.Conflict:
		return waiting(err.Error()), nil
	default:
		return delivery.Receipt{}, err
	}
}
