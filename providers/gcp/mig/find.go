package mig

import (
	"cmp"
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/gcp"
)

// GroupOf looks for the group whose base name the instance's name begins with. A
// group without a number in its name is no server group.
func (t *Target) GroupOf(ctx context.Context, instance string) (delivery.Cluster, string, error) {
	none := delivery.Errorf(delivery.NotFound, "instance %s in %s", instance, t.region)
	base, _, ok := cutLast(instance, "-")
	if !ok || !validName.MatchString(base) {
		return delivery.Cluster{}, "", none
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	managers, err := collect(ctx, t.managers.List(ctx, &computepb.ListRegionInstanceGroupManagersRequest{
		Project: t.project, Region: t.region, Filter: where("baseInstanceName", regexp.QuoteMeta(base)),
	}, gcp.Reads()...), "list managed instance groups with base name %s", base)
	if err != nil {
		return delivery.Cluster{}, "", err
	}
	for _, manager := range managers {
		if m, _, ok := delivery.ParseServerGroup(manager.GetName()); ok {
			return delivery.Cluster{Provider: Provider, Account: t.account, Region: t.region, Moniker: m}, manager.GetName(), nil
		}
	}
	return delivery.Cluster{}, "", none
}

// imagePattern is what a pattern of images' names may hold.
var imagePattern = regexp.MustCompile(`^[-a-z0-9*?]+$`)

// Images asks Compute Engine for the project's images that are ready and not
// withdrawn. They are the same in every region.
func (t *Target) Images(ctx context.Context, pattern string) ([]delivery.Image, error) {
	out := []delivery.Image{}
	if !imagePattern.MatchString(pattern) {
		return out, nil // no name has such characters
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	expression := strings.NewReplacer("*", ".*", "?", ".").Replace(pattern)
	images, err := collect(ctx, t.images.List(ctx, &computepb.ListImagesRequest{
		Project: t.project, Filter: where("name", expression),
	}, gcp.Reads()...), "list images %s", pattern)
	if err != nil {
		return nil, err
	}
	for _, i := range images {
		switch i.GetDeprecated().GetState() {
		case "OBSOLETE", "DELETED":
			continue
		}
		if i.GetStatus() == "READY" {
			out = append(out, delivery.Image{ID: pathOf(i.GetSelfLink()), Name: i.GetName(), CreatedAt: stamp(i.GetCreationTimestamp()), Tags: maps.Clone(i.GetLabels())})
		}
	}
	if len(out) > delivery.MaxImages {
		return nil, delivery.TooManyImages()
	}
	slices.SortFunc(out, func(a, b delivery.Image) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), strings.Compare(a.Name, b.Name))
	})
	return out, nil
}
