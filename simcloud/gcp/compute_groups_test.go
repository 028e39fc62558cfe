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

// TestGroupRepairs kills a machine: the group makes it again under its name.
func TestGroupRepairs(t *testing.T) {
	r := newComputeRig(t, 0, gcp.Options{})
	r.addTemplate(newGroup, "shop-1-1")
	r.done(r.addGroup(newGroup, 1))
	r.advance(6 * time.Second)
	before := r.members(newGroup)[0]
	machine, _ := r.world.Fleet.Instance(before.GetName())
	machine.Kill("killed")
	r.advance(time.Second)
	if got := actions(r.members(newGroup)); !slices.Equal(got, []string{"RECREATING PROVISIONING"}) {
		t.Errorf("after the loss: %v", got)
	}
	r.advance(6 * time.Second)
	after := r.members(newGroup)
	if !slices.Equal(actions(after), []string{"NONE RUNNING"}) || after[0].GetName() != before.GetName() || after[0].GetId() == before.GetId() {
		t.Errorf("repaired: %v, was %v", after, before)
	}
	r.checkRepair(before, "instance should be RUNNING, but is TERMINATED")
	if errs := r.errors(newGroup); len(errs) != 0 {
		t.Errorf("a repair is no error: %v", errs)
	}
}

func (r *computeRig) checkRepair(m *computepb.ManagedInstance, reason string) {
	r.t.Helper()
	ops := allOf(r.t, r.zoneOperations.List(r.t.Context(), &computepb.ListZoneOperationsRequest{
		Project: shopProject, Zone: strings.Split(m.GetInstance(), "/")[8],
		Filter: proto.String(`operationType = "compute.instances.repair.recreateInstance"`),
	}).Next)
	if len(ops) == 0 || ops[0].GetUser() != "system" || ops[0].GetTargetLink() != m.GetInstance() || !strings.Contains(ops[0].GetStatusMessage(), reason) {
		r.t.Errorf("repairs: %v", ops)
	}
}

func (r *computeRig) errors(group string) []*computepb.InstanceManagedByIgmError {
	r.t.Helper()
	return allOf(r.t, r.managers.ListErrors(r.t.Context(), &computepb.ListErrorsRegionInstanceGroupManagersRequest{
		Project: shopProject, Region: shopRegion, InstanceGroupManager: group,
	}).Next)
}

// TestAutohealing recreates what its health check rejects, but not before the initial delay is over.
func TestAutohealing(t *testing.T) {
	r := newComputeRig(t, 60, gcp.Options{})
	r.seedShop(1) // brings the health check
	heal := func(delay int32) func(*computepb.InstanceGroupManager) {
		return func(m *computepb.InstanceGroupManager) {
			m.AutoHealingPolicies = []*computepb.InstanceGroupManagerAutoHealingPolicy{{HealthCheck: proto.String(link("healthChecks", "storefront")), InitialDelaySec: &delay}}
		}
	}
	r.addTemplate(newGroup, "sick-1-0")
	r.done(r.addGroup(newGroup, 1, heal(60)))
	r.soon("the sick one to be verified", func() bool { return slices.Equal(actions(r.members(newGroup)), []string{"VERIFYING RUNNING"}) })
	sick := r.members(newGroup)[0]
	r.soon("the sick one to be recreated", func() bool { return r.members(newGroup)[0].GetId() != sick.GetId() })
	r.checkRepair(sick, "instance unhealthy")
	for _, e := range r.world.Log.Events() {
		if e.Kind == simcloud.InstanceLifecycle && e.Resource == sick.GetName() && e.State == "Terminating" {
			running := r.when(sick.GetName(), "running")
			if waited := e.At.Sub(running); waited < 58*time.Second {
				t.Errorf("recreated %s after it ran, the initial delay is 60 s", waited)
			}
			break
		}
	}

	r.addTemplate("shop-prod-v002", "shop-1-1")
	r.done(r.addGroup("shop-prod-v002", 1, heal(300)))
	r.soon("the good one to be proven", func() bool { return slices.Equal(actions(r.members("shop-prod-v002")), []string{"NONE RUNNING"}) })
	good := r.members("shop-prod-v002")[0]
	if h := good.GetInstanceHealth(); len(h) != 1 || h[0].GetDetailedHealthState() != "HEALTHY" || h[0].GetHealthCheck() != full("healthChecks", "storefront") {
		t.Errorf("health %v", h)
	}
	machine, _ := r.world.Fleet.Instance(good.GetName())
	machine.SetHealthy(proto.Bool(false)) // once it was healthy, the initial delay is over
	r.soon("the good one to be recreated", func() bool { return r.members("shop-prod-v002")[0].GetId() != good.GetId() })
}

// when tells when a machine first reached a state.
func (r *computeRig) when(instance, state string) time.Time {
	for _, e := range r.world.Log.Events() {
		if e.Kind == simcloud.InstanceStateChanged && e.Resource == instance && e.State == state {
			return e.At
		}
	}
	r.t.Fatalf("%s was never %s", instance, state)
	return time.Time{}
}

// TestStockout fails launches: the group itself is made, its instances are errors, tried again ever more rarely.
func TestComputeStockout(t *testing.T) {
	r := newComputeRig(t, 0, gcp.Options{})
	r.addTemplate(newGroup, "shop-1-1")
	fault := need(r.world.Faults.Add(simcloud.Fault{
		Match: simcloud.Match{Service: "compute", Action: "instances.insert"}, Effect: simcloud.Effect{Kind: simcloud.EffectNoCapacity},
	}))(t)
	if op := r.done(r.addGroup(newGroup, 1)); op.GetError() != nil {
		t.Errorf("the group failed: %v", op.GetError())
	}
	r.advance(100 * time.Second)
	errs := r.errors(newGroup)
	if len(errs) != 3 { // at 0, 15 and 45 seconds; the next comes at 105
		t.Errorf("%d attempts in 100 seconds", len(errs))
	}
	for _, e := range errs {
		if e.GetError().GetCode() != "ZONE_RESOURCE_POOL_EXHAUSTED" || e.GetInstanceActionDetails().GetAction() != "CREATING" {
			t.Errorf("error %v", e)
		}
	}
	m := r.members(newGroup)[0]
	if m.GetCurrentAction() != "CREATING" || m.InstanceStatus != nil || m.GetLastAttempt().GetErrors().GetErrors()[0].GetCode() != "ZONE_RESOURCE_POOL_EXHAUSTED" {
		t.Errorf("member %v", m)
	}
	ops := allOf(t, r.zoneOperations.List(t.Context(), &computepb.ListZoneOperationsRequest{Project: shopProject, Zone: strings.Split(m.GetInstance(), "/")[8]}).Next)
	if len(ops) != 3 || ops[0].GetError().GetErrors()[0].GetCode() != "ZONE_RESOURCE_POOL_EXHAUSTED" || ops[0].GetOperationType() != "insert" {
		t.Errorf("operations of the attempts: %v", ops)
	}
	r.world.Faults.Remove(fault.ID)
	r.advance(15 * time.Second)
	if got := actions(r.members(newGroup)); !slices.Equal(got, []string{"NONE RUNNING"}) {
		t.Errorf("after the stockout: %v", got)
	}
}

// TestQuotas: that of instances is the group's problem, another one ends the operation with an error and its resource.
func TestQuotas(t *testing.T) {
	r := newComputeRig(t, 0, gcp.Options{Quotas: map[string]int{"INSTANCES": 2, "INSTANCE_TEMPLATES": 1}})
	r.addTemplate(newGroup, "shop-1-1")
	r.done(r.addGroup(newGroup, 3))
	r.advance(10 * time.Second)
	if got := actions(r.members(newGroup)); !slices.Equal(got, []string{"CREATING ", "NONE RUNNING", "NONE RUNNING"}) {
		t.Errorf("members %v", got)
	}
	if errs := r.errors(newGroup); len(errs) == 0 || errs[0].GetError().GetCode() != "QUOTA_EXCEEDED" || errs[0].GetError().GetMessage() != "Quota 'INSTANCES' exceeded.  Limit: 2.0 in region us-central1." {
		t.Errorf("errors %v", errs)
	}
	op := need(r.templates.Insert(t.Context(), &computepb.InsertRegionInstanceTemplateRequest{Project: shopProject, Region: shopRegion, InstanceTemplateResource: templateOf("second", "shop-1-1")}))(t)
	get := &computepb.GetRegionInstanceTemplateRequest{Project: shopProject, Region: shopRegion, InstanceTemplate: "second"}
	if _, err := r.templates.Get(t.Context(), get); err != nil {
		t.Errorf("while the operation runs: %v", err)
	}
	if failed := r.done(op, nil).GetError().GetErrors(); len(failed) != 1 || failed[0].GetCode() != "QUOTA_EXCEEDED" {
		t.Errorf("operation errors %v", failed)
	}
	if _, err := r.templates.Get(t.Context(), get); why(err) != "404 notFound" {
		t.Errorf("after the operation: %v", err)
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
