package gcp

import (
	"fmt"
	"maps"
	"slices"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

// seedRegion makes what every region has: a subnetwork of the network "default". The ranges are those of auto mode networks
// ("VPC networks", auto mode IPv4 ranges), by order instead of by region.
func (p *computePlane) seedRegion(region string) {
	data := p.project.data
	network := pathOf(p.project.id, "global", "networks", "default")
	if data.resources[network] == nil {
		message := &computepb.Network{AutoCreateSubnetworks: proto.Bool(true), Description: proto.String("Default network for the project")}
		p.put(network, "compute#network", message)
	}
	path := pathOf(p.project.id, "regions", region, "subnetworks", "default")
	if data.resources[path] != nil {
		return
	}
	p.put(path, "compute#subnetwork", &computepb.Subnetwork{
		Network: proto.String(selfLink(network)), IpCidrRange: proto.String(fmt.Sprintf("10.%d.0.0/20", 128+4*len(p.project.regions)%128)),
		Purpose: proto.String("PRIVATE"), State: proto.String("READY"),
	})
	have := lookup[*computepb.Network](data, network)
	have.Subnetworks = append(have.Subnetworks, selfLink(path))
}

// put stores a message that nobody asked for.
func (p *computePlane) put(path, kind string, message proto.Message) {
	now := p.project.cloud.world.Clock.Now()
	stampNew(message, kind, path, p.project.cloud.newID(), now)
	p.project.data.resources[path] = &resource{path: path, message: message, created: now}
}

func (c *call) getNetwork(in *computepb.GetNetworkRequest) (*computepb.Network, error) {
	return get[*computepb.Network](c, "global", "networks", in.GetNetwork())
}

func (c *call) listNetworks(in *computepb.ListNetworksRequest) (*computepb.NetworkList, error) {
	items, next, err := list[*computepb.Network](c, in, "global", "networks")
	return &computepb.NetworkList{Kind: proto.String("compute#networkList"), Items: items, NextPageToken: next}, err
}

func (c *call) getSubnetwork(in *computepb.GetSubnetworkRequest) (*computepb.Subnetwork, error) {
	return get[*computepb.Subnetwork](c, "regions", in.GetRegion(), "subnetworks", in.GetSubnetwork())
}

func (c *call) listSubnetworks(in *computepb.ListSubnetworksRequest) (*computepb.SubnetworkList, error) {
	items, next, err := list[*computepb.Subnetwork](c, in, "regions", in.GetRegion(), "subnetworks")
	return &computepb.SubnetworkList{Kind: proto.String("compute#subnetworkList"), Items: items, NextPageToken: next}, err
}

func (p *project) region(name string) *computepb.Region {
	path := pathOf(p.id, "regions", name)
	out := &computepb.Region{Status: proto.String("UP")}
	for _, zone := range p.zonesOf(name) {
		out.Zones = append(out.Zones, p.zoneLink(zone))
	}
	stampNew(out, "compute#region", path, hashID(path), p.cloud.started)
	return out
}

func (c *call) getRegion(in *computepb.GetRegionRequest) (*computepb.Region, error) {
	c.about = pathOf(c.project.id, "regions", in.GetRegion())
	if c.project.regions[in.GetRegion()] == nil {
		return nil, notFound(c.about)
	}
	return c.project.region(in.GetRegion()), nil
}

func (c *call) listRegions(in *computepb.ListRegionsRequest) (*computepb.RegionList, error) {
	var all []*computepb.Region
	for _, name := range slices.Sorted(maps.Keys(c.project.regions)) {
		all = append(all, c.project.region(name))
	}
	items, next, err := pageOf(c, in, all)
	return &computepb.RegionList{Kind: proto.String("compute#regionList"), Items: items, NextPageToken: next}, err
}

func (p *project) zone(region, name string) *computepb.Zone {
	path := pathOf(p.id, "zones", name)
	out := &computepb.Zone{Status: proto.String("UP")}
	stampNew(out, "compute#zone", path, hashID(path), p.cloud.started)
	out.Region = proto.String(selfLink(pathOf(p.id, "regions", region)))
	return out
}

func (c *call) getZone(in *computepb.GetZoneRequest) (*computepb.Zone, error) {
	c.about = pathOf(c.project.id, "zones", in.GetZone())
	if !c.project.hasZone(in.GetZone()) {
		return nil, notFound(c.about)
	}
	return c.project.zone(regionOfPath(c.about), in.GetZone()), nil
}

func (c *call) listZones(in *computepb.ListZonesRequest) (*computepb.ZoneList, error) {
	var all []*computepb.Zone
	for _, region := range slices.Sorted(maps.Keys(c.project.regions)) {
		for _, name := range c.project.zonesOf(region) {
			all = append(all, c.project.zone(region, name))
		}
	}
	items, next, err := pageOf(c, in, all)
	return &computepb.ZoneList{Kind: proto.String("compute#zoneList"), Items: items, NextPageToken: next}, err
}
