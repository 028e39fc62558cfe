package gcp_test

import (
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/simcloud/gcp"
)

// patchPolicy gives a group another template and update policy.
func (r *computeRig) patchPolicy(template string, policy *computepb.InstanceGroupManagerUpdatePolicy) error {
	_, err := r.managers.Patch(r.t.Context(), &computepb.PatchRegionInstanceGroupManagerRequest{
		Project: shopProject, Region: shopRegion, InstanceGroupManager: newGroup,
		InstanceGroupManagerResource: &computepb.InstanceGroupManager{
			Versions:     []*computepb.InstanceGroupManagerVersion{{InstanceTemplate: proto.String(link("instanceTemplates", template))}},
			UpdatePolicy: policy,
		},
	})
	return err
}

// bounds is a proactive policy with fixed bounds.
func bounds(surge, unavailable int32) *computepb.InstanceGroupManagerUpdatePolicy {
	return &computepb.InstanceGroupManagerUpdatePolicy{
		Type: proto.String("PROACTIVE"), MaxSurge: &computepb.FixedOrPercent{Fixed: &surge}, MaxUnavailable: &computepb.FixedOrPercent{Fixed: &unavailable},
	}
}

// census counts the members of a template, and those without an action; others is the number of all others.
func (r *computeRig) census(template string) (of, ready, others int) {
	for _, m := range r.members(newGroup) {
		switch {
		case m.GetCurrentAction() == "DELETING":
		case !strings.HasSuffix(m.GetVersion().GetInstanceTemplate(), "/"+template):
			others++
		default:
			of++
			if m.GetCurrentAction() == "NONE" {
				ready++
			}
		}
	}
	return of, ready, others
}

// TestProactiveUpdate replaces all instances: never more than surge beyond the target size, never fewer available ones than the
// target size less maxUnavailable.
func TestProactiveUpdate(t *testing.T) {
	for _, test := range []struct{ surge, unavailable int32 }{{3, 0}, {0, 3}, {3, 3}} {
		r := newComputeRig(t, 0, gcp.Options{})
		r.addTemplate(newGroup, "shop-1-1")
		r.addTemplate("shop-prod-next", "shop-1-0")
		r.done(r.addGroup(newGroup, 5))
		r.advance(6 * time.Second)
		if err := r.patchPolicy("shop-prod-next", bounds(test.surge, test.unavailable)); err != nil {
			t.Fatal(err)
		}
		if r.group(newGroup).GetStatus().GetVersionTarget().GetIsReached() {
			t.Error("the version is reached at once")
		}
		r.soon("the version to be reached", func() bool {
			of, ready, others := r.census("shop-prod-next")
			if of+others > 5+int(test.surge) || ready+others < 5-int(test.unavailable) {
				t.Fatalf("surge %d, unavailable %d: %d of the new version, %d ready, %d others", test.surge, test.unavailable, of, ready, others)
			}
			s := r.group(newGroup).GetStatus()
			return s.GetIsStable() && s.GetVersionTarget().GetIsReached() && of == 5 && others == 0
		})
	}
}

// TestProactiveUpdateToASickVersion stops where the health check never succeeds, and goes back.
func TestProactiveUpdateToASickVersion(t *testing.T) {
	r := newComputeRig(t, 0, gcp.Options{})
	r.seedShop(1)
	r.addTemplate(newGroup, "shop-1-1")
	r.addTemplate("shop-prod-next", "sick-1-0")
	r.done(r.addGroup(newGroup, 3, func(m *computepb.InstanceGroupManager) {
		m.AutoHealingPolicies = []*computepb.InstanceGroupManagerAutoHealingPolicy{{HealthCheck: proto.String(link("healthChecks", "storefront")), InitialDelaySec: proto.Int32(60)}}
	}))
	r.soon("the group to be stable", func() bool { return r.group(newGroup).GetStatus().GetIsStable() })
	if err := r.patchPolicy("shop-prod-next", bounds(3, 0)); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		r.advance(time.Second)
		if _, ready, others := r.census("shop-prod-next"); ready != 0 || others != 3 {
			t.Fatalf("%d sick ones are ready, %d old ones are left", ready, others)
		}
	}
	if err := r.patchPolicy(newGroup, bounds(3, 0)); err != nil {
		t.Fatal(err)
	}
	r.soon("the group to be as before", func() bool {
		of, ready, others := r.census(newGroup)
		return of == 3 && ready == 3 && others == 0 && r.group(newGroup).GetStatus().GetVersionTarget().GetIsReached()
	})
}

// TestUpdatePolicyRefusals refuses bounds that a regional group cannot keep.
func TestUpdatePolicyRefusals(t *testing.T) {
	r := newComputeRig(t, 0, gcp.Options{})
	r.addTemplate(newGroup, "shop-1-1")
	r.done(r.addGroup(newGroup, 5))
	percent := bounds(3, 0)
	percent.MaxSurge = &computepb.FixedOrPercent{Percent: proto.Int32(20)}
	recreate := bounds(3, 0)
	recreate.ReplacementMethod = proto.String("RECREATE")
	for name, policy := range map[string]*computepb.InstanceGroupManagerUpdatePolicy{
		"surge below the zones": bounds(1, 0), "unavailable below the zones": bounds(0, 2), "nothing may move": bounds(0, 0),
		"a percentage of few": percent, "surge with the same names": recreate,
	} {
		if err := r.patchPolicy(newGroup, policy); why(err) != "400 invalid" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := r.patchPolicy(newGroup, bounds(0, 3)); err != nil {
		t.Error(err)
	}
}
