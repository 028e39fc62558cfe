package mig

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/api/iterator"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/gcp"
)

// This file holds the reads of single resources and of lists, all paged. Lists
// name what they want in the server's own filter (a regular expression that
// matches the whole field), so that a large project costs no more than a small one.

// collect reads a list to its end. The SDK keeps the context from the requests of
// lists, so the deadline is looked at here as well.
func collect[V any](ctx context.Context, list interface{ Next() (V, error) }, doing string, args ...any) ([]V, error) {
	var out []V
	for {
		if err := ctx.Err(); err != nil {
			return nil, gcp.Classify(err, doing, args...)
		}
		v, err := list.Next()
		if errors.Is(err, iterator.Done) {
			return out, nil
		}
		if err != nil {
			return nil, gcp.Classify(err, doing, args...)
		}
		out = append(out, v)
	}
}

// found returns nil for what does not exist.
func found[V any](v *V, err error, doing string, args ...any) (*V, error) {
	err = gcp.Classify(err, doing, args...)
	if delivery.KindOf(err) == delivery.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// where is the filter for resources of which a field matches the whole regular
// expression.
func where(field, expression string) *string {
	return proto.String(fmt.Sprintf(`%s eq "%s"`, field, expression))
}

func (t *Target) managersNamed(ctx context.Context, expression string) ([]*computepb.InstanceGroupManager, error) {
	return collect(ctx, t.managers.List(ctx, &computepb.ListRegionInstanceGroupManagersRequest{
		Project: t.project, Region: t.region, Filter: where("name", expression),
	}, gcp.Reads()...), "list managed instance groups")
}

func (t *Target) templatesNamed(ctx context.Context, expression string) ([]*computepb.InstanceTemplate, error) {
	return collect(ctx, t.templates.List(ctx, &computepb.ListRegionInstanceTemplatesRequest{
		Project: t.project, Region: t.region, Filter: where("name", expression),
	}, gcp.Reads()...), "list instance templates")
}

func (t *Target) autoscalersNamed(ctx context.Context, expression string) ([]*computepb.Autoscaler, error) {
	return collect(ctx, t.autoscalers.List(ctx, &computepb.ListRegionAutoscalersRequest{
		Project: t.project, Region: t.region, Filter: where("name", expression),
	}, gcp.Reads()...), "list autoscalers")
}

func (t *Target) servicesNamed(ctx context.Context, expression string) ([]*computepb.BackendService, error) {
	return collect(ctx, t.services.List(ctx, &computepb.ListRegionBackendServicesRequest{
		Project: t.project, Region: t.region, Filter: where("name", expression),
	}, gcp.Reads()...), "list backend services")
}

// allMaps returns the region's URL maps. There is no question for those that name
// a backend service; a region has few.
func (t *Target) allMaps(ctx context.Context) ([]*computepb.UrlMap, error) {
	return collect(ctx, t.urlMaps.List(ctx, &computepb.ListRegionUrlMapsRequest{
		Project: t.project, Region: t.region,
	}, gcp.Reads()...), "list URL maps")
}

func (t *Target) manager(ctx context.Context, name string) (*computepb.InstanceGroupManager, error) {
	v, err := t.managers.Get(ctx, &computepb.GetRegionInstanceGroupManagerRequest{
		Project: t.project, Region: t.region, InstanceGroupManager: name,
	}, gcp.Reads()...)
	return found(v, err, "get managed instance group %s", name)
}

func (t *Target) template(ctx context.Context, name string) (*computepb.InstanceTemplate, error) {
	v, err := t.templates.Get(ctx, &computepb.GetRegionInstanceTemplateRequest{
		Project: t.project, Region: t.region, InstanceTemplate: name,
	}, gcp.Reads()...)
	return found(v, err, "get instance template %s", name)
}

func (t *Target) autoscaler(ctx context.Context, name string) (*computepb.Autoscaler, error) {
	v, err := t.autoscalers.Get(ctx, &computepb.GetRegionAutoscalerRequest{
		Project: t.project, Region: t.region, Autoscaler: name,
	}, gcp.Reads()...)
	return found(v, err, "get autoscaler %s", name)
}

func (t *Target) service(ctx context.Context, name string) (*computepb.BackendService, error) {
	v, err := t.services.Get(ctx, &computepb.GetRegionBackendServiceRequest{
		Project: t.project, Region: t.region, BackendService: name,
	}, gcp.Reads()...)
	return found(v, err, "get backend service %s", name)
}

func (t *Target) urlMap(ctx context.Context, name string) (*computepb.UrlMap, error) {
	v, err := t.urlMaps.Get(ctx, &computepb.GetRegionUrlMapRequest{
		Project: t.project, Region: t.region, UrlMap: name,
	}, gcp.Reads()...)
	return found(v, err, "get URL map %s", name)
}

// path is a resource of the region as part of a URL: what the API takes, and what
// URLs are compared by, since their hosts differ.
func (t *Target) path(collection, name string) string {
	return fmt.Sprintf("projects/%s/regions/%s/%s/%s", t.project, t.region, collection, name)
}

// pathOf returns the part of a URL from "projects/" on.
func pathOf(url string) string {
	if at := strings.Index(url, "projects/"); at >= 0 {
		return url[at:]
	}
	return url
}

// nameOf is the last part of a URL.
func nameOf(url string) string { return url[strings.LastIndex(url, "/")+1:] }
