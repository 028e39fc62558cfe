package mig

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// The health sources.
const (
	// sourceGoogle is the managed instance group itself.
	sourceGoogle       = "Google"
	sourceLoadBalancer = "LoadBalancer"
)

// Observe reads the cluster. With n server groups, each with its backend service,
// it makes 6 + 2n calls while all is well, and one more for each group that has
// fewer healthy instances than it wants, with one for each of its zones.
func (t *Target) Observe(ctx context.Context, cluster delivery.Cluster, loadBalancer string) (delivery.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	running, err := t.running(ctx)
	if err != nil {
		return delivery.Snapshot{}, err
	}
	s, err := t.survey(ctx, cluster, loadBalancer, "")
	if err != nil {
		return delivery.Snapshot{}, err
	}
	out := delivery.Snapshot{Cluster: cluster, ObservedAt: time.Now().UTC(), Groups: []delivery.ServerGroup{}, Routing: s.routing()}
	for _, name := range s.names() {
		g, err := t.observeGroup(ctx, s, s.groups[name], running)
		if err != nil {
			return delivery.Snapshot{}, err
		}
		out.Groups = append(out.Groups, g)
	}
	slices.SortFunc(out.Groups, func(a, b delivery.ServerGroup) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return out, nil
}

// routing renders the cluster's place. Backend services of others are not part of it.
func (s *survey) routing() *delivery.Routing {
	if s.place == nil {
		return nil
	}
	var names []string
	var stored []uint32
	for _, d := range s.place.destinations {
		owner := s.ownerOf(d.service)
		if owner == nil {
			continue
		}
		if i := slices.Index(names, owner.name); i >= 0 {
			stored[i] += d.weight
			continue
		}
		names = append(names, owner.name)
		stored = append(stored, d.weight)
	}
	out := &delivery.Routing{
		// A write carries the fingerprint of the whole URL map, so all its places
		// are one router.
		Router: pathOf(s.place.urlMap.GetSelfLink()), LoadBalancer: s.place.urlMap.GetName(),
		Fingerprint: s.place.fingerprint(), Weights: make([]delivery.Weight, len(names)), Previews: s.previews(),
	}
	for i, percent := range delivery.Percents(stored) {
		out.Weights[i] = delivery.Weight{ServerGroup: names[i], Percent: percent}
	}
	slices.SortFunc(out.Weights, func(a, b delivery.Weight) int { return strings.Compare(a.ServerGroup, b.ServerGroup) })
	return out
}

func (t *Target) observeGroup(ctx context.Context, s *survey, p *pieces, running history) (delivery.ServerGroup, error) {
	_, sequence, _ := delivery.ParseServerGroup(p.name)
	tags, made := p.tags(), p.tags()
	if p.made(pathOf(p.templateURL())) != nil {
		made = tagsIn(p.template.GetDescription()) // an update changes the template alone
	}
	out := delivery.ServerGroup{
		Name: p.name, Sequence: sequence, HealthSources: []string{sourceGoogle}, Managed: tags.owned(s.cluster, p.name),
		Deployment: delivery.DeploymentID(tags[tagDeployment]), Image: cmp.Or(made[tagImage], made[tagImageID]), ImageID: made[tagImageID],
		CreatedAt: stamp(cmp.Or(p.manager.GetCreationTimestamp(), p.template.GetCreationTimestamp())),
	}
	if len(p.services) > 0 {
		out.HealthSources = append(out.HealthSources, sourceLoadBalancer)
	}
	if p.manager == nil {
		return out, nil
	}
	out.Capacity = capacityOf(p.manager, p.autoscaler)
	out.Deleting = running.deleting(t.path("instanceGroupManagers", p.name))
	out.Complete = !out.Deleting && s.complete(p, tags, out.Managed)
	var err error
	if out.ImageID == "" {
		if out.ImageID, err = t.imageOf(ctx, p); err != nil {
			return out, err
		}
		out.Image = cmp.Or(out.Image, nameOf(out.ImageID))
	}
	if out.Instances, err = t.instances(ctx, p); err != nil {
		return out, err
	}
	p.presentVersion(s.cluster, &out)
	if out.Healthy() < out.Capacity.Desired || out.Deleting || out.Rolling {
		out.Problems, err = t.problems(ctx, p)
	}
	return out, err
}

// complete reports whether every piece is there that the group was to have, and
// the load balancer knows its backend services.
func (s *survey) complete(p *pieces, tags tags, managed bool) bool {
	if managed && (p.template == nil || tags[tagLoadBalancer] != "" && len(p.services) == 0 || tags[tagAutoscaling] != "" && p.autoscaler == nil) {
		return false
	}
	for _, service := range p.services {
		path := pathOf(service.GetSelfLink())
		if !slices.ContainsFunc(s.places(), func(p place) bool { return p.has(path) }) {
			return false
		}
	}
	return true
}

// stamp reads a time of the API; the zero time when it does not tell.
func stamp(text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return at
}
