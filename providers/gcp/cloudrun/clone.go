package cloudrun

import (
	"context"
	"maps"
	"strings"

	"cloud.google.com/go/run/apiv2/runpb"

	"github.com/slipway-cd/slipway/delivery"
)

// source makes the template again that the named revision was made of, without what
// says whose it is; nil without a name. Findings tell why it cannot be copied.
func (t *Target) source(ctx context.Context, name string, cluster delivery.Cluster) (*runpb.RevisionTemplate, []delivery.Finding, error) {
	if name == "" {
		return nil, nil, nil
	}
	m, _, ok := delivery.ParseServerGroup(name)
	if !ok {
		m = cluster.Moniker // a revision that others named
	}
	cluster.Moniker = m
	revision, err := t.revision(ctx, cluster, name)
	if err != nil {
		return nil, nil, err
	}
	service, err := t.service(ctx, cluster)
	if err != nil {
		return nil, nil, err
	}
	if revision == nil || revision.GetDeleteTime() != nil || hidden(service, name) {
		return nil, []delivery.Finding{{Pointer: delivery.AtSource, Message: "no revision " + name + " of service " + cluster.Name()}}, nil
	}
	out := templateOf(revision)
	for _, notes := range []map[string]string{out.Labels, out.Annotations} {
		maps.DeleteFunc(notes, func(key, _ string) bool { return strings.HasPrefix(key, notePrefix) })
	}
	return out, nil, nil
}
