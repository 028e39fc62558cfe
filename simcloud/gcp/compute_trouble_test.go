package gcp_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/gcp"
)

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
