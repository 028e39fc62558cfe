package gcp

import (
	"fmt"
	"net/http"
	"regexp"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/slipway-cd/slipway/simcloud"
)

// Fields of a group that a client cannot set.
var groupOutput = []protoreflect.Name{"status", "current_actions", "instance_group"}

var baseName = regexp.MustCompile(`^[a-z][-a-z0-9]{0,57}$`)

func (c *call) insertGroup(in *computepb.InsertRegionInstanceGroupManagerRequest) (*computepb.Operation, error) {
	message := proto.Clone(in.GetInstanceGroupManagerResource()).(*computepb.InstanceGroupManager)
	collection := pathOf(c.project.id, "regions", in.GetRegion(), "instanceGroupManagers")
	path, refusal := c.vacant(collection, message)
	if refusal != nil {
		return nil, refusal
	}
	if message.TargetSize == nil {
		return nil, c.request.missing("targetSize")
	}
	for _, name := range groupOutput {
		unset(message.ProtoReflect(), name)
	}
	if refusal := c.checkGroup(message, in.GetRegion()); refusal != nil {
		return nil, refusal
	}
	paired := pathOf(c.project.id, "regions", in.GetRegion(), "instanceGroups", message.GetName())
	message.InstanceGroup, message.Fingerprint = proto.String(selfLink(paired)), nil
	state := &groupState{}
	op := c.insert(path, creation{collection: collection, message: message, kind: "compute#instanceGroupManager", quota: "INSTANCE_GROUP_MANAGERS", extra: state})
	message.Fingerprint = proto.String(c.cloud.newHash())
	r := c.data.resources[path]
	if r.doomed {
		return op, nil
	}
	c.project.compute.put(paired, "compute#instanceGroup", &computepb.InstanceGroup{
		NamedPorts: message.GetNamedPorts(), Size: proto.Int32(0), Description: proto.String("This instance group is controlled by Instance Group Manager '" + message.GetName() + "'."),
	})
	g := groupOf(r)
	capacity := c.project.compute.capacity(g)
	state.told = capacity
	c.project.log(g.region(), simcloud.Event{
		Kind: simcloud.ResourceCreated, Type: simcloud.TypeGroup, Resource: path, Name: message.GetName(), Tags: r.tags, Capacity: &capacity,
		TargetGroups: c.project.compute.services(g), Principal: c.principal.email,
	})
	return op, nil
}

// checkGroup refuses a group that cannot be, and fills in the API's defaults (discovery document, InstanceGroupManager).
func (c *call) checkGroup(message *computepb.InstanceGroupManager, region string) *apiError {
	if message.BaseInstanceName == nil {
		message.BaseInstanceName = proto.String(message.GetName()[:min(len(message.GetName()), 58)])
	}
	if !baseName.MatchString(message.GetBaseInstanceName()) {
		return invalidValue("resource.baseInstanceName", message.GetBaseInstanceName(), "Must be a match of regex '[a-z][-a-z0-9]{0,57}'")
	}
	if size := message.GetTargetSize(); size < 0 || size > 2000 { // "can contain up to 2000 instances"
		return invalidValue("resource.targetSize", fmt.Sprint(size), "Must be between 0 and 2000.")
	}
	if refusal := c.checkVersions(message); refusal != nil {
		return refusal
	}
	if refusal := c.checkHealing(message); refusal != nil {
		return refusal
	}
	if refusal := c.checkZones(message, region); refusal != nil {
		return refusal
	}
	fillUpdatePolicy(message)
	if refusal := checkUpdatePolicy(message); refusal != nil {
		return refusal
	}
	if message.ListManagedInstancesResults == nil {
		message.ListManagedInstancesResults = proto.String("PAGELESS")
	}
	return nil
}

// checkVersions keeps instanceTemplate and versions in step: "this field overrides the top-level instanceTemplate field". The
// simulator knows groups of one version only.
func (c *call) checkVersions(message *computepb.InstanceGroupManager) *apiError {
	if len(message.GetVersions()) > 1 {
		return &apiError{status: http.StatusNotImplemented, reason: "notImplemented", message: "The simulator has no groups of several versions."}
	}
	field, url := "resource.instanceTemplate", message.GetInstanceTemplate()
	if len(message.GetVersions()) == 1 {
		field, url = "resource.versions[0].instanceTemplate", message.GetVersions()[0].GetInstanceTemplate()
	}
	if url == "" {
		return c.request.missing("instanceTemplate")
	}
	path, refusal := c.reference(field, url, "instanceTemplates")
	if refusal != nil {
		return refusal
	}
	if len(message.GetVersions()) == 0 {
		message.Versions = []*computepb.InstanceGroupManagerVersion{{}}
	}
	message.InstanceTemplate = proto.String(selfLink(path))
	message.Versions[0].InstanceTemplate = proto.String(selfLink(path))
	message.Versions[0].TargetSize = &computepb.FixedOrPercent{Calculated: message.TargetSize}
	return nil
}

func (c *call) checkHealing(message *computepb.InstanceGroupManager) *apiError {
	policies := message.GetAutoHealingPolicies()
	if len(policies) > 1 {
		return invalidValue("resource.autoHealingPolicies", "", "You can specify only one value.")
	}
	for _, policy := range policies {
		if policy.HealthCheck == nil {
			continue
		}
		path, refusal := c.reference("resource.autoHealingPolicies[0].healthCheck", policy.GetHealthCheck(), "healthChecks")
		if refusal != nil {
			return refusal
		}
		policy.HealthCheck = proto.String(selfLink(path))
		if delay := policy.GetInitialDelaySec(); delay < 0 || delay > 3600 {
			return invalidValue("resource.autoHealingPolicies[0].initialDelaySec", fmt.Sprint(delay), "Must be between 0 and 3600.")
		}
	}
	return nil
}

// checkZones makes the group's zones those it was given, or else the first three of the region: assumption, Compute Engine
// chooses three zones by itself.
func (c *call) checkZones(message *computepb.InstanceGroupManager, region string) *apiError {
	given := message.GetDistributionPolicy().GetZones()
	policy := &computepb.DistributionPolicy{TargetShape: proto.String("EVEN")}
	for i, z := range given {
		zone, refusal := c.project.zoneOfURL(fmt.Sprintf("resource.distributionPolicy.zones[%d].zone", i), z.GetZone(), region)
		if refusal != nil {
			return refusal
		}
		policy.Zones = append(policy.Zones, &computepb.DistributionPolicyZoneConfiguration{Zone: proto.String(c.project.zoneLink(zone))})
	}
	if len(given) == 0 {
		zones := c.project.zonesOf(region)
		for _, zone := range zones[:min(3, len(zones))] {
			policy.Zones = append(policy.Zones, &computepb.DistributionPolicyZoneConfiguration{Zone: proto.String(c.project.zoneLink(zone))})
		}
	}
	message.DistributionPolicy = policy
	return nil
}

func (c *call) getGroup(in *computepb.GetRegionInstanceGroupManagerRequest) (*computepb.InstanceGroupManager, error) {
	return get[*computepb.InstanceGroupManager](c, "regions", in.GetRegion(), "instanceGroupManagers", in.GetInstanceGroupManager())
}

func (c *call) listGroups(in *computepb.ListRegionInstanceGroupManagersRequest) (*computepb.RegionInstanceGroupManagerList, error) {
	items, next, err := list[*computepb.InstanceGroupManager](c, in, "regions", in.GetRegion(), "instanceGroupManagers")
	return &computepb.RegionInstanceGroupManagerList{Kind: proto.String("compute#regionInstanceGroupManagerList"), Items: items, NextPageToken: next}, err
}

// group finds a group for a write, and refuses one that is being made or deleted.
func (c *call) group(region, name string) (*group, error) {
	path := pathOf(c.project.id, "regions", region, "instanceGroupManagers", name)
	c.about = path
	g := groupOf(c.data.resources[path])
	if g == nil {
		return nil, notFound(path)
	}
	if refusal := c.ready(path); refusal != nil {
		return nil, refusal
	}
	return g, nil
}

// patchGroup changes a group. Its fingerprint "may be used in optimistic locking": a patch without one is carried out
// (assumption), one with a stale one is refused.
func (c *call) patchGroup(in *computepb.PatchRegionInstanceGroupManagerRequest) (*computepb.Operation, error) {
	g, err := c.group(in.GetRegion(), in.GetInstanceGroupManager())
	if err != nil {
		return nil, err
	}
	patch := in.GetInstanceGroupManagerResource()
	if patch.Fingerprint != nil {
		if refusal := checkFingerprint(patch.Fingerprint, g.message.GetFingerprint()); refusal != nil {
			return nil, refusal
		}
	}
	next := merged(g.message, patch, groupOutput...)
	if patch.InstanceTemplate != nil && len(patch.GetVersions()) == 0 {
		next.Versions = nil
	}
	if refusal := c.checkGroup(next, in.GetRegion()); refusal != nil {
		return nil, refusal
	}
	next.Fingerprint = proto.String(c.cloud.newHash())
	g.resource.message, g.message = next, next
	c.retag(g, patch)
	c.project.compute.tellCapacity(g, c.principal.email)
	return c.begin(operationSpec{kind: "patch", target: g.path, scope: scopeOf(g.path)}), nil
}

func (c *call) retag(g *group, patch *computepb.InstanceGroupManager) {
	if patch.Description == nil {
		return
	}
	g.resource.tags = tagsIn(patch.GetDescription())
	c.resource(simcloud.ResourceUpdated, simcloud.TypeGroup, g.resource)
}

// resizeGroup sets the target size. "The resize operation is marked DONE if the resize request is successful. The underlying
// actions take additional time" (discovery document).
func (c *call) resizeGroup(in *computepb.ResizeRegionInstanceGroupManagerRequest) (*computepb.Operation, error) {
	g, err := c.group(in.GetRegion(), in.GetInstanceGroupManager())
	if err != nil {
		return nil, err
	}
	if size := in.GetSize(); size < 0 || size > 2000 {
		return nil, invalidValue("size", fmt.Sprint(size), "Must be between 0 and 2000.")
	}
	c.setSize(g, in.GetSize())
	return c.begin(operationSpec{kind: "compute.instanceGroupManagers.resize", target: g.path, scope: scopeOf(g.path)}), nil
}

func (c *call) setSize(g *group, size int32) {
	g.message.TargetSize, g.message.Fingerprint = proto.Int32(size), proto.String(c.cloud.newHash())
	g.message.Versions[0].TargetSize = &computepb.FixedOrPercent{Calculated: proto.Int32(size)}
	c.project.compute.tellCapacity(g, c.principal.email)
}

// deleteGroup begins to delete a group and its instances. One that a backend service or an autoscaler uses is refused
// (terraform-google-modules/terraform-google-vm issue 45; about autoscalers: assumption). The group stays listed until its last instance is gone.
func (c *call) deleteGroup(in *computepb.DeleteRegionInstanceGroupManagerRequest) (*computepb.Operation, error) {
	g, err := c.group(in.GetRegion(), in.GetInstanceGroupManager())
	if err != nil {
		return nil, err
	}
	if users := c.project.compute.services(g); len(users) > 0 {
		return nil, inUse("instance_group_manager", g.path, users[0])
	}
	if a := c.project.compute.autoscalerOf(g.path); a != nil {
		return nil, inUse("instance_group_manager", g.path, pathOfLink(a.GetSelfLink()))
	}
	op := c.begin(operationSpec{kind: "delete", target: g.path, scope: scopeOf(g.path), takes: untilEnded})
	g.deletion = pathOfLink(op.GetSelfLink())
	c.resource(simcloud.ResourceDeleted, simcloud.TypeGroup, g.resource)
	return op, nil
}
