package cloudrun

import (
	"context"
	"errors"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/api/iterator"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/gcp"
)

// This file holds the reads of single resources and of lists, all paged.

// pageSize is asked for because a service may keep 1000 revisions (Cloud Run's
// limit), which every observation reads. Cloud Run may answer with fewer a page.
const pageSize = 500

func (t *Target) location() string {
	return "projects/" + t.project + "/locations/" + t.region
}

// servicePath is the name of the cluster's service.
func (t *Target) servicePath(cluster delivery.Cluster) string {
	return t.location() + "/services/" + cluster.Name()
}

// service returns the cluster's service, or nil.
func (t *Target) service(ctx context.Context, cluster delivery.Cluster) (*runpb.Service, error) {
	found, err := t.services.GetService(ctx, &runpb.GetServiceRequest{Name: t.servicePath(cluster)}, gcp.Reads()...)
	if err = gcp.Classify(err, "get service %s", cluster.Name()); delivery.KindOf(err) == delivery.NotFound {
		return nil, nil
	}
	return found, err
}

// revision returns the server group's revision, or nil.
func (t *Target) revision(ctx context.Context, cluster delivery.Cluster, name string) (*runpb.Revision, error) {
	path := t.servicePath(cluster) + "/revisions/" + name
	found, err := t.revisions.GetRevision(ctx, &runpb.GetRevisionRequest{Name: path}, gcp.Reads()...)
	if err = gcp.Classify(err, "get revision %s", name); delivery.KindOf(err) == delivery.NotFound {
		return nil, nil
	}
	return found, err
}

// revisionsOf returns the revisions of the cluster's service.
func (t *Target) revisionsOf(ctx context.Context, cluster delivery.Cluster) ([]*runpb.Revision, error) {
	pages := t.revisions.ListRevisions(ctx, &runpb.ListRevisionsRequest{Parent: t.servicePath(cluster), PageSize: pageSize}, gcp.Reads()...)
	out, err := all(pages.Next)
	if err = gcp.Classify(err, "list revisions of %s", cluster.Name()); delivery.KindOf(err) == delivery.NotFound {
		return nil, nil // the service went between two reads
	}
	return out, err
}

// allServices returns the services of the region.
func (t *Target) allServices(ctx context.Context) ([]*runpb.Service, error) {
	pages := t.services.ListServices(ctx, &runpb.ListServicesRequest{Parent: t.location(), PageSize: pageSize}, gcp.Reads()...)
	out, err := all(pages.Next)
	return out, gcp.Classify(err, "list services in %s", t.region)
}

// all reads a list to its end; the iterator asks for the pages.
func all[T any](next func() (T, error)) ([]T, error) {
	var out []T
	for {
		item, err := next()
		switch {
		case errors.Is(err, iterator.Done):
			return out, nil
		case err != nil:
			return nil, err
		}
		out = append(out, item)
	}
}
