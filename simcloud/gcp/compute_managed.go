package gcp

import (
	"fmt"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/simcloud"
)

// managed is a member as listManagedInstances shows it.
func (g *group) managed(p *project, m *member) *computepb.ManagedInstance {
	out := &computepb.ManagedInstance{
		Instance: proto.String(selfLink(g.instancePath(p, m))), Name: proto.String(m.name), CurrentAction: proto.String(m.action),
		Version: g.version(m),
	}
	if m.status != "" {
		out.InstanceStatus, out.Id = proto.String(m.status), proto.Uint64(m.id)
	}
	if policy := g.healing(); policy != nil && m.health != "" {
		out.InstanceHealth = []*computepb.ManagedInstanceInstanceHealth{{
			HealthCheck: policy.HealthCheck, DetailedHealthState: proto.String(m.health),
		}}
	}
	if m.problem != nil {
		out.LastAttempt = &computepb.ManagedInstanceLastAttempt{
			Errors: &computepb.ManagedInstanceLastAttemptErrors{Errors: []*computepb.Errors{m.problem}},
		}
	}
	return out
}

func (g *group) version(m *member) *computepb.ManagedInstanceVersion {
	out := &computepb.ManagedInstanceVersion{InstanceTemplate: proto.String(selfLink(m.template))}
	if versions := g.message.GetVersions(); len(versions) > 0 {
		out.Name = versions[0].Name
	}
	return out
}

func (g *group) managedError(p *project, m *member, failed *computepb.Errors, now time.Time) *computepb.InstanceManagedByIgmError {
	return &computepb.InstanceManagedByIgmError{
		Timestamp: proto.String(stamp(now)),
		Error:     &computepb.InstanceManagedByIgmErrorManagedInstanceError{Code: failed.Code, Message: failed.Message},
		InstanceActionDetails: &computepb.InstanceManagedByIgmErrorInstanceActionDetails{
			Action: proto.String(m.action), Instance: proto.String(selfLink(g.instancePath(p, m))), Version: g.version(m),
		},
	}
}

// seenGroup finds a group in the data that the call sees.
func (c *call) seenGroup(region, name string) (*group, error) {
	path := pathOf(c.project.id, "regions", region, "instanceGroupManagers", name)
	c.about = path
	if g := groupOf(c.data.resources[path]); g != nil {
		return g, nil
	}
	return nil, notFound(path)
}

// listManagedInstances pages only when the group says so ("the pageToken query parameter is supported only if the group's
// listManagedInstancesResults field is set to PAGINATED", discovery document).
func (c *call) listManagedInstances(in *computepb.ListManagedInstancesRegionInstanceGroupManagersRequest) (*computepb.RegionInstanceGroupManagersListInstancesResponse, error) {
	g, err := c.seenGroup(in.GetRegion(), in.GetInstanceGroupManager())
	if err != nil {
		return nil, err
	}
	all := make([]*computepb.ManagedInstance, 0, len(g.members))
	for _, m := range g.members {
		all = append(all, g.managed(c.project, m))
	}
	if in.GetOrderBy() != "" {
		return nil, invalidValue("orderBy", in.GetOrderBy(), "The orderBy query parameter is not supported.")
	}
	limit := c.cloud.options.PageSize
	if g.message.GetListManagedInstancesResults() != "PAGINATED" {
		if in.GetPageToken() != "" {
			return nil, invalidValue("pageToken", in.GetPageToken(), "The group is not PAGINATED.")
		}
		limit, in.MaxResults = len(all)+1, nil
	}
	items, next, err := pageUpTo(in, all, limit)
	return &computepb.RegionInstanceGroupManagersListInstancesResponse{ManagedInstances: items, NextPageToken: next}, err
}

// listGroupErrors lists errors, newest first; "the filter and orderBy query parameters are not supported" (discovery document).
func (c *call) listGroupErrors(in *computepb.ListErrorsRegionInstanceGroupManagersRequest) (*computepb.RegionInstanceGroupManagersListErrorsResponse, error) {
	g, err := c.seenGroup(in.GetRegion(), in.GetInstanceGroupManager())
	if err != nil {
		return nil, err
	}
	if in.GetFilter() != "" || in.GetOrderBy() != "" {
		return nil, invalidValue("filter", in.GetFilter(), "The filter and orderBy query parameters are not supported.")
	}
	var all []*computepb.InstanceManagedByIgmError
	for i := len(g.errors) - 1; i >= 0; i-- {
		all = append(all, g.errors[i])
	}
	items, next, err := pageOf(c, in, all)
	return &computepb.RegionInstanceGroupManagersListErrorsResponse{Items: items, NextPageToken: next}, err
}

// chosen finds the members that a call names by their URLs.
func (g *group) chosen(urls []string) ([]*member, *apiError) {
	var out []*member
	for i, url := range urls {
		m := g.member(nameOf(url))
		if m == nil || m.action == actionDeleting {
			return nil, invalidValue(fmt.Sprintf("instances[%d]", i), url, "The instance is not a member of the managed instance group.")
		}
		out = append(out, m)
	}
	return out, nil
}

// recreateInstances flags instances: "each instance is recreated using the group's current configuration" (discovery document).
func (c *call) recreateInstances(in *computepb.RecreateInstancesRegionInstanceGroupManagerRequest) (*computepb.Operation, error) {
	return c.renew(in.GetRegion(), in.GetInstanceGroupManager(), in.GetRegionInstanceGroupManagersRecreateRequestResource().GetInstances(), false)
}

// applyUpdates recreates the instances that are of another template than the group's.
func (c *call) applyUpdates(in *computepb.ApplyUpdatesToInstancesRegionInstanceGroupManagerRequest) (*computepb.Operation, error) {
	body := in.GetRegionInstanceGroupManagersApplyUpdatesRequestResource()
	urls := body.GetInstances()
	if body.GetAllInstances() {
		if g, err := c.seenGroup(in.GetRegion(), in.GetInstanceGroupManager()); err == nil {
			for _, m := range g.staying() {
				urls = append(urls, m.name)
			}
		}
	}
	return c.renew(in.GetRegion(), in.GetInstanceGroupManager(), urls, true)
}

func (c *call) renew(region, name string, urls []string, outdatedOnly bool) (*computepb.Operation, error) {
	g, err := c.group(region, name)
	if err != nil {
		return nil, err
	}
	members, refusal := g.chosen(urls)
	if refusal != nil {
		return nil, refusal
	}
	for _, m := range members {
		if !outdatedOnly || m.template != g.template() {
			c.project.compute.recreate(g, m, true)
		}
	}
	kind := "compute.instanceGroupManagers.recreateInstances"
	if outdatedOnly {
		kind = "compute.instanceGroupManagers.applyUpdatesToInstances"
	}
	return c.begin(operationSpec{kind: kind, target: g.path, scope: scopeOf(g.path)}), nil
}

// deleteInstances "reduces the targetSize of the managed instance group by the number of instances that you delete" (discovery
// document).
func (c *call) deleteInstances(in *computepb.DeleteInstancesRegionInstanceGroupManagerRequest) (*computepb.Operation, error) {
	g, err := c.group(in.GetRegion(), in.GetInstanceGroupManager())
	if err != nil {
		return nil, err
	}
	members, refusal := g.chosen(in.GetRegionInstanceGroupManagersDeleteInstancesRequestResource().GetInstances())
	if refusal != nil {
		return nil, refusal
	}
	for _, m := range members {
		c.project.compute.discard(g, m, true, "deleted by "+c.principal.email)
	}
	c.setSize(g, g.message.GetTargetSize()-int32(len(members)))
	return c.begin(operationSpec{kind: "compute.instanceGroupManagers.deleteInstances", target: g.path, scope: scopeOf(g.path)}), nil
}

func (c *call) getInstanceGroup(in *computepb.GetRegionInstanceGroupRequest) (*computepb.InstanceGroup, error) {
	return get[*computepb.InstanceGroup](c, "regions", in.GetRegion(), "instanceGroups", in.GetInstanceGroup())
}

func (c *call) listGroupInstances(in *computepb.ListInstancesRegionInstanceGroupsRequest) (*computepb.RegionInstanceGroupsListInstances, error) {
	g, err := c.seenGroup(in.GetRegion(), in.GetInstanceGroup())
	if err != nil {
		return nil, err
	}
	state := in.GetRegionInstanceGroupsListInstancesRequestResource().GetInstanceState()
	var all []*computepb.InstanceWithNamedPorts
	for _, m := range g.members {
		if m.status == "" || state == "RUNNING" && m.status != statusRunning {
			continue
		}
		all = append(all, &computepb.InstanceWithNamedPorts{
			Instance: proto.String(selfLink(g.instancePath(c.project, m))), Status: proto.String(m.status), NamedPorts: g.message.GetNamedPorts(),
		})
	}
	items, next, err := pageOf(c, in, all)
	return &computepb.RegionInstanceGroupsListInstances{Kind: proto.String("compute#regionInstanceGroupsListInstances"), Items: items, NextPageToken: next}, err
}

// checkOf is the target group that judges a group's instances for autohealing; nil without a policy. It is apart from those
// of load balancers: autohealing has probes of its own ("About repairing VMs in a MIG").
func (p *computePlane) checkOf(g *group) *simcloud.TargetGroup {
	policy, check := g.healing(), p.checks[g.path]
	if policy == nil {
		if check != nil {
			check.Close()
			delete(p.checks, g.path)
		}
		return nil
	}
	config := simcloud.TargetGroupConfig{
		ID: g.path + "#autohealing", Name: g.message.GetName(), Account: p.project.account, Region: g.region(),
		HealthCheck: p.healthCheck(pathOfLink(policy.GetHealthCheck())), AlwaysCheck: true,
	}
	if check == nil {
		check = simcloud.NewTargetGroup(p.project.cloud.world, config)
		p.checks[g.path] = check
	}
	return check
}
