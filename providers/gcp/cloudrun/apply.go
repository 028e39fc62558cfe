package cloudrun

import (
	"context"
	"slices"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/gcp"
)

// Apply makes the next write of a change. A receipt that is Done was read back:
// no write says so of itself, and no operation is waited for.
func (t *Target) Apply(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if c.Kind != delivery.SetRouting && !c.Cluster.Owns(c.Group) {
		return delivery.Receipt{}, delivery.Errorf(delivery.Invalid, "server group %q is not of cluster %s", c.Group, c.Cluster.Name())
	}
	switch c.Kind {
	case delivery.CreateGroup:
		return t.create(ctx, c)
	case delivery.ResizeGroup:
		return delivery.Receipt{}, delivery.Errorf(delivery.Invalid, "resize of %s: Cloud Run sizes a revision by its traffic; its bounds are set when it is created", c.Group)
	case delivery.SetRouting:
		return t.setRouting(ctx, c)
	case delivery.CreatePreview:
		return t.createPreview(ctx, c)
	case delivery.DeletePreview:
		return delivery.Receipt{}, delivery.Errorf(delivery.Invalid, "the address of %s goes with its revision", c.Group)
	case delivery.DestroyGroup:
		return t.destroy(ctx, c)
	default:
		return delivery.Receipt{}, delivery.Errorf(delivery.Invalid, "unknown change %q", c.Kind)
	}
}

func done() delivery.Receipt { return delivery.Receipt{Done: true} }

func wrote(action string) delivery.Receipt { return delivery.Receipt{Wrote: action} }

func waiting(what string) delivery.Receipt { return delivery.Receipt{Waiting: what} }

const updateService = "UpdateService"

// patch writes the named fields of a service if it still is as it was read.
func (t *Target) patch(ctx context.Context, read, change *runpb.Service, fields ...string) error {
	change.Name, change.Etag = read.GetName(), read.GetEtag()
	_, err := t.services.UpdateService(ctx, &runpb.UpdateServiceRequest{
		Service: change, UpdateMask: &fieldmaskpb.FieldMask{Paths: fields},
	})
	return gcp.Classify(err, "update service %s", base(read.GetName()))
}

// overtaken reports whether a patch was refused because the service moved since it
// was read: by a person, or by Cloud Run itself, which writes its status there.
func overtaken(err error) bool {
	return delivery.KindOf(err) == delivery.Conflict && !taken(err)
}

// taken reports whether the name of a revision belongs to another configuration.
func taken(err error) bool { return gcp.Reason(err) == "ALREADY_EXISTS" }

// setRouting writes the weights of all the cluster's revisions in one call. Groups
// that the change does not name get 0, and so does every revision of others: the
// weights add up to all of the service's traffic.
func (t *Target) setRouting(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	service, err := t.service(ctx, c.Cluster)
	if err != nil {
		return delivery.Receipt{}, err
	}
	if service == nil {
		return delivery.Receipt{}, delivery.Errorf(delivery.NotFound, "service %s in %s", c.Cluster.Name(), t.region)
	}
	wanted, err := t.weighted(ctx, service, c)
	if err != nil {
		return delivery.Receipt{}, err
	}
	if isStored(service, wanted) && applied(service, wanted) {
		return done(), nil
	}
	if wanted, err = t.withoutFailed(ctx, service, c.Cluster, wanted); err != nil {
		return delivery.Receipt{}, err
	}
	if isStored(service, wanted) {
		return waiting("service " + c.Cluster.Name() + " to apply its traffic" + because(service)), nil
	}
	if c.Fingerprint != "" && c.Fingerprint != fingerprint(service) {
		return delivery.Receipt{}, movedBySomebody(c)
	}
	err = t.patch(ctx, service, &runpb.Service{Traffic: targets(wanted)}, "traffic")
	if overtaken(err) {
		return t.afterOvertaken(ctx, service, c)
	}
	if err != nil {
		return delivery.Receipt{}, err
	}
	return wrote(updateService), nil
}

func movedBySomebody(c delivery.Change) error {
	return delivery.Errorf(delivery.Conflict, "the routing of cluster %s was changed by somebody else", c.Cluster.Name())
}

// afterOvertaken tells a change of the routing, which the weights were not decided
// on, from one of something else.
func (t *Target) afterOvertaken(ctx context.Context, before *runpb.Service, c delivery.Change) (delivery.Receipt, error) {
	now, err := t.service(ctx, c.Cluster)
	if err != nil {
		return delivery.Receipt{}, err
	}
	if now == nil || fingerprint(now) != fingerprint(before) {
		return delivery.Receipt{}, movedBySomebody(c)
	}
	return waiting("service " + c.Cluster.Name() + ", which changes"), nil
}

// weighted returns the service's entries with the wanted weights. A group that
// gets 0 stays in the traffic, by a tag: it may have to take the traffic back. An
// entry of somebody else's revision stays at 0 if it has a tag, for its address.
func (t *Target) weighted(ctx context.Context, service *runpb.Service, c delivery.Change) ([]entry, error) {
	wanted, total := map[string]int32{}, 0
	for _, w := range c.Weights {
		if !c.Cluster.Owns(w.ServerGroup) {
			return nil, delivery.Errorf(delivery.Invalid, "server group %q is not of cluster %s", w.ServerGroup, c.Cluster.Name())
		}
		wanted[w.ServerGroup] = int32(w.Percent)
		total += w.Percent
	}
	if total != 100 {
		return nil, delivery.Errorf(delivery.Invalid, "weights add up to %d, not 100", total)
	}
	var out []entry
	given := map[string]bool{}
	for _, e := range pinned(service) {
		e.percent = 0
		if !given[e.revision] {
			e.percent, given[e.revision] = wanted[e.revision], true
			e.tag = keepTag(service, c.Cluster, e)
		}
		if e.percent > 0 || e.tag != "" {
			out = append(out, e)
		}
	}
	for _, w := range c.Weights {
		if w.Percent == 0 || given[w.ServerGroup] {
			continue
		}
		revision, err := t.revision(ctx, c.Cluster, w.ServerGroup)
		if err != nil {
			return nil, err
		}
		if revision == nil {
			return nil, delivery.Errorf(delivery.NotFound, "revision %s", w.ServerGroup)
		}
		out = append(out, entry{revision: w.ServerGroup, percent: int32(w.Percent), tag: tagOf(w.ServerGroup)})
		given[w.ServerGroup] = true
	}
	return dropLostTags(out), nil
}

// keepTag returns the tag that keeps a group's entry in the traffic at 0: its own,
// else the one that its creation would have given it, unless another entry has it.
func keepTag(service *runpb.Service, cluster delivery.Cluster, e entry) string {
	tag := tagOf(e.revision)
	used := slices.ContainsFunc(pinned(service), func(o entry) bool { return o.tag == tag || o.revision == e.revision && o.tag != "" })
	if e.tag != "" || e.percent > 0 || used || !cluster.Owns(e.revision) {
		return e.tag
	}
	return tag
}

// withoutFailed leaves out entries of 0 % whose revisions have failed, if the
// service says that it cannot apply its traffic: one such entry, which only gives a
// revision an address, keeps all others from being applied (Lore-Hex/quill-router
// pull request 782).
func (t *Target) withoutFailed(ctx context.Context, service *runpb.Service, cluster delivery.Cluster, entries []entry) ([]entry, error) {
	if condition(service.GetConditions(), conditionRoutes).GetState() != runpb.Condition_CONDITION_FAILED {
		return entries, nil
	}
	revisions, err := t.revisionsOf(ctx, cluster)
	if err != nil {
		return nil, err
	}
	failed := map[string]bool{}
	for _, r := range revisions {
		failed[base(r.GetName())] = condition(r.GetConditions(), conditionReady).GetState() == runpb.Condition_CONDITION_FAILED
	}
	return slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return e.percent == 0 && failed[e.revision] }), nil
}

// dropLostTags takes a tag from all entries but the last that has it: a tag names
// one revision.
func dropLostTags(entries []entry) []entry {
	for i := range entries {
		if slices.ContainsFunc(entries[i+1:], func(e entry) bool { return e.tag != "" && e.tag == entries[i].tag }) {
			entries[i].tag = ""
		}
	}
	return slices.DeleteFunc(entries, func(e entry) bool { return e.percent == 0 && e.tag == "" })
}
