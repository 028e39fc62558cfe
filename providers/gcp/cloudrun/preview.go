package cloudrun

import (
	"context"
	"slices"

	"cloud.google.com/go/run/apiv2/runpb"

	"github.com/slipway-cd/slipway/delivery"
)

// A preview is the address of a revision's tag, which its creation gave it.

// previews returns the addresses of the cluster's groups, by group. One counts when
// the service says that it applies it.
func (s *survey) previews() []delivery.Preview {
	var out []delivery.Preview
	for _, name := range sortedKeys(s.groups) {
		if url := addressOf(s.service, name); url != "" {
			out = append(out, delivery.Preview{ServerGroup: name, URL: url})
		}
	}
	return out
}

// addressOf returns the address of a revision, its own tag's before that of others.
func addressOf(service *runpb.Service, revision string) string {
	found := ""
	for _, status := range service.GetTrafficStatuses() {
		if meant(service, status.GetType(), status.GetRevision()) != revision || status.GetTag() == "" {
			continue
		}
		if found == "" || status.GetTag() == tagOf(revision) {
			found = status.GetUri()
		}
	}
	return found
}

// createPreview gives the revision its tag back, should somebody have taken it.
func (t *Target) createPreview(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	if c.Match == nil || c.Match.Kind() != delivery.MatchTagURL {
		return delivery.Receipt{}, delivery.Errorf(delivery.Invalid, "%s cannot lead to %s: a revision is reached by its own address", c.Match, c.Group)
	}
	s, err := t.survey(ctx, c.Cluster)
	if err != nil {
		return delivery.Receipt{}, err
	}
	if p := s.groups[c.Group]; p == nil || p.revision == nil {
		return delivery.Receipt{}, delivery.Errorf(delivery.NotFound, "revision %s", c.Group)
	}
	entries := pinned(s.service)
	tagged := slices.ContainsFunc(entries, func(e entry) bool { return e.revision == c.Group && e.tag != "" })
	switch {
	case tagged && addressOf(s.service, c.Group) != "":
		return done(), nil
	case tagged:
		return waiting("service " + c.Cluster.Name() + " to apply its traffic" + because(s.service)), nil
	}
	wanted := dropLostTags(append(entries, entry{revision: c.Group, tag: tagOf(c.Group)}))
	err = t.patch(ctx, s.service, &runpb.Service{Traffic: targets(wanted)}, "traffic")
	if overtaken(err) {
		return waiting("service " + c.Cluster.Name() + ", which changes"), nil
	}
	if err != nil {
		return delivery.Receipt{}, err
	}
	return wrote(updateService), nil
}
