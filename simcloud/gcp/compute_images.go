package gcp

import (
	"fmt"
	"hash/fnv"
	"regexp"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/simcloud"
)

// image is an image of the world as a project sees it.
type image struct {
	simcloud.Image
	message *computepb.Image
}

// computeImages are the project's images, newest first.
func (p *project) computeImages() []image {
	published := p.cloud.world.Images.List(p.account, "")
	slices.SortStableFunc(published, func(a, b simcloud.Image) int {
		return p.cloud.world.Images.Serial(b.ID) - p.cloud.world.Images.Serial(a.ID)
	})
	var out []image
	for _, i := range published {
		name := imageName(i.Name)
		path := pathOf(p.id, "global", "images", name)
		message := &computepb.Image{Description: proto.String(i.Name), Family: proto.String(familyOf(name)), Status: proto.String("READY"),
			DiskSizeGb: proto.Int64(10), SourceType: proto.String("RAW")}
		// The images of a world have an order but no dates.
		created := p.cloud.started.Add(time.Duration(p.cloud.world.Images.Serial(i.ID)) * time.Millisecond)
		stampNew(message, "compute#image", path, hashID(path), created)
		out = append(out, image{i, message})
	}
	return out
}

// hashID is an id for what is not stored.
func hashID(path string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(path))
	return h.Sum64()>>2 | 1<<61
}

// imageName is the name that Compute Engine has for an image of the world: no dots, no capitals.
func imageName(name string) string {
	return strings.ToLower(strings.NewReplacer(".", "-", "_", "-").Replace(name))
}

var version = regexp.MustCompile(`-v?[0-9].*$`)

// familyOf is a name up to its version: "storefront" for "storefront-1-1".
func familyOf(name string) string { return version.ReplaceAllString(name, "") }

func (c *call) getImage(in *computepb.GetImageRequest) (*computepb.Image, error) {
	path := pathOf(c.project.id, "global", "images", in.GetImage())
	c.about = path
	for _, i := range c.project.computeImages() {
		if i.message.GetName() == in.GetImage() {
			return i.message, nil
		}
	}
	return nil, notFound(path)
}

// getImageFromFamily returns "the latest image that is part of an image family and is not deprecated" (discovery document).
func (c *call) getImageFromFamily(in *computepb.GetFromFamilyImageRequest) (*computepb.Image, error) {
	for _, i := range c.project.computeImages() {
		if i.message.GetFamily() == in.GetFamily() {
			return i.message, nil
		}
	}
	return nil, notFound(pathOf(c.project.id, "global", "images", "family", in.GetFamily()))
}

func (c *call) listImages(in *computepb.ListImagesRequest) (*computepb.ImageList, error) {
	var all []*computepb.Image
	for _, i := range c.project.computeImages() {
		all = append(all, i.message)
	}
	slices.SortFunc(all, func(a, b *computepb.Image) int { return strings.Compare(a.GetName(), b.GetName()) })
	items, next, err := pageOf(c, in, all)
	return &computepb.ImageList{Kind: proto.String("compute#imageList"), Items: items, NextPageToken: next}, err
}

// imageAt finds the image that a template's sourceImage names, directly or by its family.
func (c *call) imageAt(url string) (image, bool) {
	path, ok := c.pathIn(url)
	if !ok {
		return image{}, false
	}
	for _, i := range c.project.computeImages() {
		if path == pathOf(c.project.id, "global", "images", i.message.GetName()) ||
			path == pathOf(c.project.id, "global", "images", "family", i.message.GetFamily()) {
			return i, true
		}
	}
	return image{}, false
}

var machineType = regexp.MustCompile(`^[a-z][a-z0-9]*-[a-z0-9]+(-[a-z0-9]+)*$`)

// getMachineType knows every well-formed type; sizes are made up.
func (c *call) getMachineType(in *computepb.GetMachineTypeRequest) (*computepb.MachineType, error) {
	path := pathOf(c.project.id, "zones", in.GetZone(), "machineTypes", in.GetMachineType())
	c.about = path
	if !c.project.hasZone(in.GetZone()) || !machineType.MatchString(in.GetMachineType()) {
		return nil, notFound(path)
	}
	out := &computepb.MachineType{GuestCpus: proto.Int32(2), MemoryMb: proto.Int32(4096), IsSharedCpu: proto.Bool(false),
		Description: proto.String("2 vCPUs, 4 GB RAM")}
	stampNew(out, "compute#machineType", path, hashID(path), c.cloud.started)
	out.Zone = proto.String(in.GetZone())
	return out, nil
}

func (p *project) hasZone(zone string) bool {
	return slices.Contains(p.zonesOf(regionOfPath("zones/"+zone)), zone)
}

// zoneLink is the URL of a zone.
func (p *project) zoneLink(zone string) string {
	return selfLink(pathOf(p.id, "zones", zone))
}

// zoneOfURL is the name of the zone that a URL or a name means; an error names the field.
func (p *project) zoneOfURL(field, url, region string) (string, *apiError) {
	zone := nameOf(url)
	if !slices.Contains(p.zonesOf(region), zone) {
		return "", invalidValue(field, url, fmt.Sprintf("The zone is not in region %s.", region))
	}
	return zone, nil
}
