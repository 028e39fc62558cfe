package cloudrun

import (
	"context"

	"cloud.google.com/go/run/apiv2/runpb"

	"github.com/slipway-cd/slipway/delivery"
)

// survey is what a cluster consists of. The service is nil when there is none.
type survey struct {
	cluster delivery.Cluster
	service *runpb.Service
	groups  map[string]*pieces
}

// pieces are what is left of one server group: its revision, or a template whose
// revision is not there (yet).
type pieces struct {
	name     string
	revision *runpb.Revision
	template *runpb.RevisionTemplate
}

// notes returns the annotations of whichever piece is there.
func (p *pieces) notes() map[string]string {
	if p.revision != nil {
		return p.revision.GetAnnotations()
	}
	return p.template.GetAnnotations()
}

// survey reads the service and its revisions.
func (t *Target) survey(ctx context.Context, cluster delivery.Cluster) (*survey, error) {
	s := &survey{cluster: cluster, groups: map[string]*pieces{}}
	var err error
	if s.service, err = t.service(ctx, cluster); err != nil || s.service == nil {
		return s, err
	}
	revisions, err := t.revisionsOf(ctx, cluster)
	if err != nil {
		return nil, err
	}
	for _, r := range revisions {
		if name := base(r.GetName()); cluster.Owns(name) && !hidden(s.service, name) {
			s.groups[name] = &pieces{name: name, revision: r}
		}
	}
	name := base(s.service.GetTemplate().GetRevision())
	if cluster.Owns(name) && s.groups[name] == nil && !hidden(s.service, name) {
		s.groups[name] = &pieces{name: name, template: s.service.GetTemplate()}
	}
	return s, nil
}

// routing renders the traffic of the cluster's groups. Revisions of others are not
// part of it.
func (s *survey) routing() *delivery.Routing {
	out := &delivery.Routing{
		Router: s.service.GetName(), LoadBalancer: s.cluster.Name(),
		Fingerprint: fingerprint(s.service), Weights: []delivery.Weight{}, Previews: s.previews(),
	}
	shares := percents(s.service)
	for _, name := range sortedKeys(s.groups) {
		if _, known := shares[name]; known || routed(s.service, name) {
			out.Weights = append(out.Weights, delivery.Weight{ServerGroup: name, Percent: shares[name]})
		}
	}
	return out
}
