package mig

import (
	"context"
	"maps"
	"slices"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"

	"github.com/slipway-cd/slipway/delivery"
)

// Apply makes the next write of a change. A receipt that is Done was read back:
// no write says so of itself.
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
		return t.resize(ctx, c)
	case delivery.SetRouting:
		return t.setRouting(ctx, c)
	case delivery.CreatePreview:
		return t.createPreview(ctx, c)
	case delivery.DeletePreview:
		return t.deletePreview(ctx, c)
	case delivery.DestroyGroup:
		return t.destroy(ctx, c)
	case delivery.UpdateGroup:
		return t.update(ctx, c)
	case delivery.PruneGroup:
		return t.prune(ctx, c)
	default:
		return delivery.Receipt{}, delivery.Errorf(delivery.Invalid, "unknown change %q", c.Kind)
	}
}

func done() delivery.Receipt { return delivery.Receipt{Done: true} }

func (t *Target) resize(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	if c.Capacity == nil {
		return delivery.Receipt{}, delivery.Errorf(delivery.Invalid, "resize of %s without a capacity", c.Group)
	}
	if err := delivery.InvalidError("capacity of "+c.Group, c.Capacity.Validate()); err != nil {
		return delivery.Receipt{}, err
	}
	r := &scaling{Target: t, change: c}
	var err error
	if r.history, err = t.historyOf(ctx, c.Group, ""); err != nil {
		return delivery.Receipt{}, err
	}
	if r.manager, err = t.manager(ctx, c.Group); err != nil {
		return delivery.Receipt{}, err
	}
	if r.manager == nil {
		return delivery.Receipt{}, delivery.Errorf(delivery.NotFound, "managed instance group %s in %s", c.Group, t.region)
	}
	if r.autoscaler, err = t.autoscalerOf(ctx, r.manager, c.Group); err != nil {
		return delivery.Receipt{}, err
	}
	if r.history.deleting(t.path("instanceGroupManagers", c.Group)) {
		return delivery.Receipt{}, delivery.Errorf(delivery.Conflict, "managed instance group %s is being deleted", c.Group)
	}
	if waiting := r.history.waiting(); waiting.Waiting != "" {
		return waiting, nil
	}
	if c.Capacity.Desired == 0 && r.manager.GetTargetSize() > 0 {
		if err := t.refuseEmptying(ctx, c); err != nil {
			return delivery.Receipt{}, err
		}
	}
	return r.next(ctx)
}

// refuseEmptying returns Guarded while any part of any URL map of the region sends
// requests to the group: the traffic guard sees the cluster's own place only.
func (t *Target) refuseEmptying(ctx context.Context, c delivery.Change) error {
	s, err := t.survey(ctx, c.Cluster, "", "")
	if err != nil {
		return err
	}
	for _, p := range s.places() {
		if p.weighs(func(service string) bool { return s.groups[c.Group] != nil && s.groups[c.Group].leads(service) }) {
			return delivery.Errorf(delivery.Guarded, "resize of %s to 0 refused: it takes traffic of %s", c.Group, p)
		}
	}
	return nil
}

// setRouting writes the weights of all the cluster's backend services in one call.
// Groups that the change does not name get 0; backend services of others keep
// theirs, except for placeholders, which the cluster's weights replace.
func (t *Target) setRouting(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	running, err := t.running(ctx)
	if err != nil {
		return delivery.Receipt{}, err
	}
	s, err := t.survey(ctx, c.Cluster, "", "")
	if err != nil {
		return delivery.Receipt{}, err
	}
	if s.place == nil {
		return delivery.Receipt{}, delivery.Errorf(delivery.NotFound, "URL map of cluster %s", c.Cluster.Name())
	}
	wanted, err := s.weighted(c.Weights)
	if err != nil {
		return delivery.Receipt{}, err
	}
	same := equivalent(s.place.destinations, wanted)
	if !same && c.Fingerprint != "" && c.Fingerprint != s.place.fingerprint() {
		return delivery.Receipt{}, delivery.Errorf(delivery.Conflict, "the routing of cluster %s was changed by somebody else", c.Cluster.Name())
	}
	if waiting := running.on(t.path("urlMaps", s.place.urlMap.GetName())).waiting(); waiting.Waiting != "" {
		return waiting, nil
	}
	if same {
		return done(), nil
	}
	return t.writePlace(ctx, c.Key, *s.place, wanted)
}

// weighted returns the place's destinations with the wanted weights. A wanted
// group whose backend service the place lost is put back.
func (s *survey) weighted(weights []delivery.Weight) ([]destination, error) {
	wanted := map[string]uint32{}
	for _, w := range weights {
		if s.groups[w.ServerGroup] == nil && w.Percent > 0 {
			return nil, delivery.Errorf(delivery.NotFound, "server group %s", w.ServerGroup)
		}
		wanted[w.ServerGroup] = uint32(w.Percent)
	}
	var out []destination
	known := map[string]bool{}
	for _, d := range s.place.destinations {
		if owner := s.ownerOf(d.service); owner != nil {
			d.weight = wanted[owner.name]
			known[owner.name] = true
		} else if s.strangers[d.service].placeholder {
			continue
		}
		out = append(out, d)
	}
	for _, group := range sortedKeys(wanted) {
		if known[group] || wanted[group] == 0 {
			continue
		}
		if len(s.groups[group].services) == 0 {
			return nil, delivery.Errorf(delivery.Conflict, "server group %s has no backend service", group)
		}
		out = append(out, destination{pathOf(s.groups[group].services[0].GetSelfLink()), wanted[group]})
	}
	return out, nil
}

// writePlace replaces the destinations of a place. The fingerprint of the URL map
// as it was read makes the API refuse the write when somebody was faster. The
// caller has looked for running operations already.
func (t *Target) writePlace(ctx context.Context, key delivery.ChangeKey, p place, to []destination) (delivery.Receipt, error) {
	name := p.urlMap.GetName()
	h, err := t.historyOf(ctx, "", name)
	if err != nil {
		return delivery.Receipt{}, err
	}
	if p.matcher == top && p.single() {
		in := &computepb.UpdateRegionUrlMapRequest{Project: t.project, Region: t.region, UrlMap: name, UrlMapResource: p.replacement(to)}
		return h.submit(write{key, "RegionUrlMaps.Update", in, ""}, func(id *string) (*compute.Operation, error) {
			in.RequestId = id
			return t.urlMaps.Update(ctx, in)
		}, "update %s", p)
	}
	in := &computepb.PatchRegionUrlMapRequest{Project: t.project, Region: t.region, UrlMap: name, UrlMapResource: p.patch(to)}
	return h.submit(write{key, "RegionUrlMaps.Patch", in, ""}, func(id *string) (*compute.Operation, error) {
		in.RequestId = id
		return t.urlMaps.Patch(ctx, in)
	}, "patch %s", p)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
