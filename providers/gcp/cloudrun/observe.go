package cloudrun

import (
	"cmp"
	"context"
	"slices"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"

	"github.com/slipway-cd/slipway/delivery"
)

// Observe reads the cluster, in two calls while its revisions fit on a page.
func (t *Target) Observe(ctx context.Context, cluster delivery.Cluster, loadBalancer string) (delivery.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if loadBalancer != "" && loadBalancer != cluster.Name() {
		return delivery.Snapshot{}, delivery.Errorf(delivery.NotFound, "load balancer %s: the load balancer of cluster %s is the service of that name", loadBalancer, cluster.Name())
	}
	s, err := t.survey(ctx, cluster)
	if err != nil {
		return delivery.Snapshot{}, err
	}
	out := delivery.Snapshot{Cluster: cluster, ObservedAt: time.Now().UTC(), Groups: []delivery.ServerGroup{}}
	for _, name := range sortedKeys(s.groups) {
		out.Groups = append(out.Groups, s.observeGroup(s.groups[name]))
	}
	slices.SortFunc(out.Groups, func(a, b delivery.ServerGroup) int { return cmp.Compare(a.Sequence, b.Sequence) })
	switch {
	case s.service == nil && loadBalancer != "":
		// The first creation makes the service: until then it sends nothing anywhere.
		out.Routing = &delivery.Routing{Router: t.servicePath(cluster), LoadBalancer: loadBalancer, Weights: []delivery.Weight{}}
	case s.service != nil && (loadBalancer != "" || len(out.Groups) > 0):
		out.Routing = s.routing()
	}
	return out, nil
}

func (s *survey) observeGroup(p *pieces) delivery.ServerGroup {
	_, sequence, _ := delivery.ParseServerGroup(p.name)
	notes := p.notes()
	out := delivery.ServerGroup{
		Name: p.name, Sequence: sequence, HealthSources: []string{sourceRevision, sourceService},
		Deleting: s.service.GetDeleteTime() != nil || p.revision.GetDeleteTime() != nil,
		Managed:  owned(notes, s.cluster, p.name), Deployment: delivery.DeploymentID(notes[noteDeployment]),
		Image: notes[noteImage], Problems: s.problems(p),
	}
	if p.revision == nil {
		out.Capacity = capacityOf(notes, p.template.GetScaling())
		out.ImageID = imageOf(p.template.GetContainers())
		out.Image = cmp.Or(out.Image, out.ImageID)
		return out
	}
	out.CreatedAt = p.revision.GetCreateTime().AsTime()
	out.Capacity = capacityOf(notes, p.revision.GetScaling())
	out.ImageID = imageOf(p.revision.GetContainers())
	out.Image = cmp.Or(out.Image, out.ImageID)
	out.Complete = !out.Deleting && slices.ContainsFunc(pinned(s.service), func(e entry) bool { return e.revision == p.name })
	// Cloud Run shows no instances: the revision stands for all of them.
	out.Instances = []delivery.Instance{{
		ID: p.name, LaunchedAt: out.CreatedAt, Health: []delivery.Health{revisionHealth(p.revision), s.serviceHealth(p.name)},
	}}
	return out
}

// imageOf returns the image of the container that takes requests.
func imageOf(containers []*runpb.Container) string {
	if i := ingress(containers); i >= 0 {
		return containers[i].GetImage()
	}
	return ""
}

// ingress returns the index of the container that takes requests: the one with a
// port, else the first. It is -1 when there is none.
func ingress(containers []*runpb.Container) int {
	i := slices.IndexFunc(containers, func(c *runpb.Container) bool { return len(c.GetPorts()) > 0 })
	if i < 0 && len(containers) > 0 {
		return 0
	}
	return i
}
