package gcp_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/gcp"
)

// actions are the current actions and states of members, sorted.
func actions(members []*computepb.ManagedInstance) []string {
	var out []string
	for _, m := range members {
		out = append(out, m.GetCurrentAction()+" "+m.GetInstanceStatus())
	}
	slices.Sort(out)
	return out
}

// TestGroupLife follows a group from its insert to its end.
func TestGroupLife(t *testing.T) {
	r := newComputeRig(t, 0, gcp.Options{})
	r.addTemplate(newGroup, "shop-1-1")
	op := need(r.addGroup(newGroup, 4, func(m *computepb.InstanceGroupManager) {
		m.DistributionPolicy = &computepb.DistributionPolicy{Zones: []*computepb.DistributionPolicyZoneConfiguration{
			{Zone: proto.String("zones/us-central1-f")}, {Zone: proto.String("zones/us-central1-b")},
		}}
	}))(t)
	if op.Proto().GetStatus() != computepb.Operation_RUNNING || op.Proto().GetOperationType() != "insert" || op.Proto().GetTargetLink() != full("instanceGroupManagers", newGroup) {
		t.Errorf("operation %v", op.Proto())
	}
	// The group can be read while its operation runs.
	if g := r.group(newGroup); g.GetStatus().GetIsStable() || g.GetCurrentActions().GetCreating() != 4 || g.GetInstanceGroup() != full("instanceGroups", newGroup) {
		t.Errorf("a new group: %v", g)
	}
	if got := actions(r.members(newGroup)); !slices.Equal(got, slices.Repeat([]string{"CREATING PROVISIONING"}, 4)) {
		t.Errorf("new members: %v", got)
	}
	r.done(op, nil)
	r.advance(6 * time.Second)
	g, members := r.group(newGroup), r.members(newGroup)
	if !g.GetStatus().GetIsStable() || !g.GetStatus().GetVersionTarget().GetIsReached() || g.GetCurrentActions().GetNone() != 4 {
		t.Errorf("a stable group: %v", g)
	}
	zones := map[string]int{}
	for _, m := range members {
		zone := strings.Split(m.GetInstance(), "/")[8]
		zones[zone]++
		if suffix, ok := strings.CutPrefix(m.GetName(), newGroup+"-"); !ok || len(suffix) != 4 {
			t.Errorf("name %s", m.GetName())
		}
		i := need(r.instances.Get(t.Context(), &computepb.GetInstanceRequest{Project: shopProject, Zone: zone, Instance: m.GetName()}))(t)
		if i.GetStatus() != "RUNNING" || i.GetId() != m.GetId() || i.GetLabels()["app"] != "shop" || !strings.HasSuffix(i.GetMachineType(), "/e2-small") {
			t.Errorf("instance %v", i)
		}
	}
	if diff := cmp.Diff(map[string]int{"us-central1-b": 2, "us-central1-f": 2}, zones); diff != "" {
		t.Errorf("zones: %s", diff)
	}
	r.endGroup(newGroup)
}

// endGroup deletes a group, which is listed until its last instance is gone.
func (r *computeRig) endGroup(name string) {
	t := r.t
	in := &computepb.DeleteRegionInstanceGroupManagerRequest{Project: shopProject, Region: shopRegion, InstanceGroupManager: name}
	op := need(r.managers.Delete(t.Context(), in))(t)
	if _, err := r.managers.Delete(t.Context(), in); why(err) != "400 resourceNotReady" {
		t.Errorf("deleted twice: %v", err)
	}
	if _, err := r.managers.Resize(t.Context(), &computepb.ResizeRegionInstanceGroupManagerRequest{Project: shopProject, Region: shopRegion, InstanceGroupManager: name, Size: 9}); why(err) != "400 resourceNotReady" {
		t.Errorf("resized while it is deleted: %v", err)
	}
	if g := r.group(name); g.GetCurrentActions().GetDeleting() != g.GetTargetSize() || g.GetStatus().GetIsStable() {
		t.Errorf("a group that is being deleted: %v", g.GetCurrentActions())
	}
	r.done(op, nil)
	if _, err := r.managers.Get(t.Context(), &computepb.GetRegionInstanceGroupManagerRequest{Project: shopProject, Region: shopRegion, InstanceGroupManager: name}); why(err) != "404 notFound" {
		t.Errorf("read after its end: %v", err)
	}
	for _, i := range r.world.Fleet.Instances() {
		t.Errorf("machine %s is left", i.ID())
	}
}

// TestEventsNameTheDeploymentOfTheRequest: a deployment shrinks the group of another one, which the event must not say
// is at work.
func TestEventsNameTheDeploymentOfTheRequest(t *testing.T) {
	r := newComputeRig(t, 0, gcp.Options{})
	r.addTemplate(newGroup, "shop-1-1")
	r.done(r.addGroup(newGroup, 1))
	r.resize(newGroup, 2)
	r.advance(10 * time.Second)
	r.done(r.managers.Delete(t.Context(), &computepb.DeleteRegionInstanceGroupManagerRequest{Project: shopProject, Region: shopRegion, InstanceGroupManager: newGroup}))
	named := map[string]string{}
	for _, e := range r.world.Log.Events() {
		if e.Kind == simcloud.APICall && e.Write && strings.HasSuffix(e.Resource, "/instanceGroupManagers/"+newGroup) {
			named[e.Action] = e.Deployment
		}
	}
	want := map[string]string{"RegionInstanceGroupManagers.Insert": tagsOf(newGroup)["slipway:deployment"],
		"RegionInstanceGroupManagers.Resize": "", "RegionInstanceGroupManagers.Delete": ""}
	if diff := cmp.Diff(want, named); diff != "" {
		t.Errorf("deployments that events name (-want +got):\n%s", diff)
	}
}

// TestAutoscaler keeps the target size within its bounds while its mode is ON.
func TestAutoscaler(t *testing.T) {
	r := newComputeRig(t, 0, gcp.Options{})
	r.addTemplate(newGroup, "shop-1-1")
	r.done(r.addGroup(newGroup, 1))
	r.done(r.autoscalers.Insert(t.Context(), &computepb.InsertRegionAutoscalerRequest{Project: shopProject, Region: shopRegion, AutoscalerResource: &computepb.Autoscaler{
		Name: proto.String(newGroup), Target: proto.String(link("instanceGroupManagers", newGroup)),
		AutoscalingPolicy: &computepb.AutoscalingPolicy{MinNumReplicas: proto.Int32(2), MaxNumReplicas: proto.Int32(4)},
	}}))
	size := func() int32 { return r.group(newGroup).GetTargetSize() }
	a := need(r.autoscalers.Get(t.Context(), &computepb.GetRegionAutoscalerRequest{Project: shopProject, Region: shopRegion, Autoscaler: newGroup}))(t)
	if p := a.GetAutoscalingPolicy(); p.GetMode() != "ON" || p.GetCpuUtilization().GetUtilizationTarget() != 0.6 || size() != 2 {
		t.Errorf("autoscaler %v, size %d", a, size())
	}
	r.resize(newGroup, 9)
	r.advance(time.Second)
	if size() != 4 || len(r.members(newGroup)) != 4 {
		t.Errorf("above the bounds: size %d", size())
	}
	r.done(r.autoscalers.Patch(t.Context(), &computepb.PatchRegionAutoscalerRequest{
		Project: shopProject, Region: shopRegion, Autoscaler: proto.String(newGroup),
		AutoscalerResource: &computepb.Autoscaler{AutoscalingPolicy: &computepb.AutoscalingPolicy{Mode: proto.String("OFF")}},
	}))
	r.resize(newGroup, 1)
	if size() != 1 {
		t.Errorf("with mode OFF: size %d", size())
	}
	if _, err := r.managers.Delete(t.Context(), &computepb.DeleteRegionInstanceGroupManagerRequest{Project: shopProject, Region: shopRegion, InstanceGroupManager: newGroup}); why(err) != "400 resourceInUseByAnotherResource" {
		t.Errorf("delete an autoscaled group: %v", err)
	}
	r.done(r.autoscalers.Delete(t.Context(), &computepb.DeleteRegionAutoscalerRequest{Project: shopProject, Region: shopRegion, Autoscaler: newGroup}))
	r.advance(10 * time.Second)
	r.endGroup(newGroup)
	r.checkCapacities([]simcloud.Capacity{{Min: 1, Max: 1, Desired: 1}, {Min: 2, Max: 4, Desired: 2}, {Min: 2, Max: 4, Desired: 9}, {Min: 2, Max: 4, Desired: 4}, {Min: 4, Max: 4, Desired: 4}, {Min: 1, Max: 1, Desired: 1}})
}

func (r *computeRig) checkCapacities(want []simcloud.Capacity) {
	r.t.Helper()
	var told []simcloud.Capacity
	for _, e := range r.world.Log.Events() {
		if e.Type == simcloud.TypeGroup && e.Capacity != nil {
			told = append(told, *e.Capacity)
		}
	}
	if diff := cmp.Diff(want, told); diff != "" {
		r.t.Errorf("capacities that events told: %s", diff)
	}
}

// TestGroupInstances recreates, deletes and updates single instances.
func TestGroupInstances(t *testing.T) {
	r := newComputeRig(t, 0, gcp.Options{})
	r.addTemplate(newGroup, "shop-1-1")
	r.addTemplate("shop-prod-next", "shop-1-0")
	r.done(r.addGroup(newGroup, 2))
	r.advance(6 * time.Second)
	first, second := r.members(newGroup)[0], r.members(newGroup)[1]
	r.done(r.managers.RecreateInstances(t.Context(), &computepb.RecreateInstancesRegionInstanceGroupManagerRequest{
		Project: shopProject, Region: shopRegion, InstanceGroupManager: newGroup,
		RegionInstanceGroupManagersRecreateRequestResource: &computepb.RegionInstanceGroupManagersRecreateRequest{Instances: []string{first.GetInstance()}},
	}))
	r.soon("the first to be another machine", func() bool {
		m := r.members(newGroup)[0]
		return m.GetCurrentAction() == "NONE" && m.GetName() == first.GetName() && m.GetId() != first.GetId()
	})
	r.done(r.managers.Patch(t.Context(), &computepb.PatchRegionInstanceGroupManagerRequest{
		Project: shopProject, Region: shopRegion, InstanceGroupManager: newGroup,
		InstanceGroupManagerResource: &computepb.InstanceGroupManager{InstanceTemplate: proto.String(link("instanceTemplates", "shop-prod-next"))},
	}))
	r.advance(10 * time.Second)
	if g := r.group(newGroup); g.GetStatus().GetVersionTarget().GetIsReached() || !g.GetStatus().GetIsStable() || r.members(newGroup)[1].GetId() != second.GetId() {
		t.Errorf("an opportunistic update acted by itself: %v", g.GetStatus())
	}
	r.done(r.managers.ApplyUpdatesToInstances(t.Context(), &computepb.ApplyUpdatesToInstancesRegionInstanceGroupManagerRequest{
		Project: shopProject, Region: shopRegion, InstanceGroupManager: newGroup,
		RegionInstanceGroupManagersApplyUpdatesRequestResource: &computepb.RegionInstanceGroupManagersApplyUpdatesRequest{AllInstances: proto.Bool(true)},
	}))
	r.soon("the version to be reached", func() bool {
		s := r.group(newGroup).GetStatus()
		return s.GetIsStable() && s.GetVersionTarget().GetIsReached()
	})
	r.done(r.managers.DeleteInstances(t.Context(), &computepb.DeleteInstancesRegionInstanceGroupManagerRequest{
		Project: shopProject, Region: shopRegion, InstanceGroupManager: newGroup,
		RegionInstanceGroupManagersDeleteInstancesRequestResource: &computepb.RegionInstanceGroupManagersDeleteInstancesRequest{Instances: []string{second.GetInstance()}},
	}))
	r.soon("the second to be gone", func() bool { m := r.members(newGroup); return len(m) == 1 && m[0].GetName() == first.GetName() })
	if size := r.group(newGroup).GetTargetSize(); size != 1 {
		t.Errorf("target size %d after an instance was deleted", size)
	}
}
