package mig

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/gcp"
)

// This file turns names of a spec into resources. Each function returns findings
// for what the spec got wrong and an error for what could not be asked.

// imageRef is how a spec names an image.
type imageRef struct {
	project string
	name    string
	// family means that name is a family's, whose newest image is meant.
	family bool
}

// parseImage reads "NAME", "family/NAME", "projects/P/global/images/[family/]NAME"
// and a full URL. Without a project it is the account's: a name is never looked up
// among the images of others.
func parseImage(text, project string) (imageRef, error) {
	ref := imageRef{project: project}
	rest := pathOf(text)
	if after, ok := strings.CutPrefix(rest, "projects/"); ok {
		ref.project, rest, _ = strings.Cut(after, "/")
	}
	rest = strings.TrimPrefix(rest, "global/images/")
	ref.name, ref.family = strings.CutPrefix(rest, "family/")
	if !validName.MatchString(ref.name) || ref.project == "" && project != "" {
		return imageRef{}, fmt.Errorf("%q is no image: want a name, family/NAME or the URL of an image", text)
	}
	return ref, nil
}

// resolveImage finds exactly one image that is ready to use.
func (t *Target) resolveImage(ctx context.Context, wanted string) (*computepb.Image, []delivery.Finding, error) {
	ref, err := parseImage(wanted, t.project)
	if err != nil {
		return nil, finding("/image", "%v", err), nil
	}
	var image *computepb.Image
	if ref.family {
		image, err = t.images.GetFromFamily(ctx, &computepb.GetFromFamilyImageRequest{Project: ref.project, Family: ref.name}, gcp.Reads()...)
	} else {
		image, err = t.images.Get(ctx, &computepb.GetImageRequest{Project: ref.project, Image: ref.name}, gcp.Reads()...)
	}
	if image, err = found(image, err, "get image %s", wanted); err != nil {
		return nil, nil, err
	}
	if image == nil {
		what := "image"
		if ref.family {
			what = "image of family"
		}
		return nil, finding("/image", "no %s %q in project %s", what, ref.name, ref.project), nil
	}
	if state := image.GetStatus(); state != "" && state != "READY" {
		return nil, finding("/image", "image %s is %s, not READY", image.GetName(), state), nil
	}
	if state := image.GetDeprecated().GetState(); state == "OBSOLETE" || state == "DELETED" {
		return nil, finding("/image", "image %s is %s", image.GetName(), strings.ToLower(state)), nil
	}
	return image, nil, nil
}

// resolveZones checks that the spec's zones are there.
func (t *Target) resolveZones(ctx context.Context, s settings) ([]delivery.Finding, error) {
	wanted := s.zones(t.region)
	if len(wanted) == 0 {
		return nil, nil
	}
	region, err := t.regions.Get(ctx, &computepb.GetRegionRequest{Project: t.project, Region: t.region}, gcp.Reads()...)
	if err != nil {
		return nil, gcp.Classify(err, "get region %s", t.region)
	}
	var out []delivery.Finding
	for i, zone := range wanted {
		if !slices.ContainsFunc(region.GetZones(), func(url string) bool { return nameOf(url) == zone }) {
			out = append(out, finding(fmt.Sprintf("%s/%d", s.atZones(t.region), i), "no zone %q in %s", zone, t.region)...)
		}
	}
	return out, nil
}

// resolveSubnet checks that the spec's subnet is there. Without one the network's
// own is used, which Compute Engine finds.
func (t *Target) resolveSubnet(ctx context.Context, s settings) ([]delivery.Finding, error) {
	if s.Subnet == "" {
		return nil, nil
	}
	path := t.subnetPath(s.Subnet)
	project, region := partOf(path, "projects"), partOf(path, "regions")
	if region != t.region {
		return finding("/subnet", "%q is not in region %s", s.Subnet, t.region), nil
	}
	subnet, err := t.subnets.Get(ctx, &computepb.GetSubnetworkRequest{Project: project, Region: region, Subnetwork: nameOf(path)}, gcp.Reads()...)
	if subnet, err = found(subnet, err, "get subnet %s", s.Subnet); err != nil {
		return nil, err
	}
	if subnet == nil {
		return finding("/subnet", "no subnet %q in %s", nameOf(path), t.region), nil
	}
	if s.Network != "" && nameOf(subnet.GetNetwork()) != nameOf(s.Network) {
		return finding("/subnet", "subnet %s is of network %s, not %s", nameOf(path), nameOf(subnet.GetNetwork()), nameOf(s.Network)), nil
	}
	return nil, nil
}

// resolveHealthCheck checks that a health check is there. pointer is the field
// that names it; an empty name is fine.
func (t *Target) resolveHealthCheck(ctx context.Context, pointer, name string) ([]delivery.Finding, error) {
	if name == "" {
		return nil, nil
	}
	path := t.healthCheckPath(name)
	if strings.Contains(path, "/global/") {
		if pointer == "/healthCheck" {
			return finding(pointer, "%q is global; a regional load balancer needs a health check of its region", nameOf(path)), nil
		}
		return nil, nil // a group may be repaired by a global one
	}
	check, err := t.healthChecks.Get(ctx, &computepb.GetRegionHealthCheckRequest{
		Project: partOf(path, "projects"), Region: partOf(path, "regions"), HealthCheck: nameOf(path),
	}, gcp.Reads()...)
	if check, err = found(check, err, "get health check %s", name); err != nil {
		return nil, err
	}
	if check == nil {
		return finding(pointer, "no health check %q in %s", nameOf(path), t.region), nil
	}
	return nil, nil
}

func (t *Target) subnetPath(name string) string { return t.expand(name, "subnetworks") }

func (t *Target) healthCheckPath(name string) string { return t.expand(name, "healthChecks") }

// networkPath is the path of a network, which is global.
func (t *Target) networkPath(name string) string {
	if !strings.Contains(name, "/") {
		return fmt.Sprintf("projects/%s/global/networks/%s", t.project, name)
	}
	return t.expand(name, "")
}

// expand makes a name, or a partial or full URL, a path from "projects/" on.
func (t *Target) expand(name, collection string) string {
	switch {
	case !strings.Contains(name, "/"):
		return t.path(collection, name)
	case strings.HasPrefix(name, "regions/"), strings.HasPrefix(name, "global/"):
		return "projects/" + t.project + "/" + name
	default:
		return pathOf(name)
	}
}

// partOf returns what follows a part of a path: "r" of "projects/p/regions/r/x/y"
// for "regions"; empty for none.
func partOf(path, part string) string {
	parts := strings.Split(path, "/")
	if i := slices.Index(parts, part); i >= 0 && i+1 < len(parts) {
		return parts[i+1]
	}
	return ""
}

// imageOf looks up the image of a group that carries no image tag; empty when its
// template does not tell.
func (t *Target) imageOf(ctx context.Context, p *pieces) (string, error) {
	template, err := t.templateOf(ctx, p)
	return bootImage(template), err
}

// templateOf is what the group makes its instances from; nil when it is gone.
func (t *Target) templateOf(ctx context.Context, p *pieces) (*computepb.InstanceTemplate, error) {
	if p.template != nil && pathOf(p.template.GetSelfLink()) == pathOf(p.templateURL()) {
		return p.template, nil
	}
	path := pathOf(p.templateURL())
	if path == "" {
		return nil, nil
	}
	if partOf(path, "regions") != "" {
		return t.template(ctx, nameOf(path))
	}
	template, err := t.globalTemplates.Get(ctx, &computepb.GetInstanceTemplateRequest{
		Project: cmp.Or(partOf(path, "projects"), t.project), InstanceTemplate: nameOf(path),
	}, gcp.Reads()...)
	return found(template, err, "get instance template %s", nameOf(path))
}

// bootImage is the image of a template's boot disk; empty for none.
func bootImage(template *computepb.InstanceTemplate) string {
	for _, d := range template.GetProperties().GetDisks() {
		if d.GetBoot() {
			return pathOf(d.GetInitializeParams().GetSourceImage())
		}
	}
	return ""
}

func finding(pointer, format string, args ...any) []delivery.Finding {
	return []delivery.Finding{{Pointer: pointer, Message: fmt.Sprintf(format, args...)}}
}
