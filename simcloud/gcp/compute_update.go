package gcp

import (
	"fmt"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

// This file holds the updater of managed instance groups: how they replace instances of an old template.

func fillUpdatePolicy(message *computepb.InstanceGroupManager) {
	zones := int32(len(message.GetDistributionPolicy().GetZones()))
	defaults := &computepb.InstanceGroupManagerUpdatePolicy{
		Type: proto.String("OPPORTUNISTIC"), MinimalAction: proto.String("REPLACE"), ReplacementMethod: proto.String("SUBSTITUTE"),
		InstanceRedistributionType: proto.String("PROACTIVE"), MaxSurge: &computepb.FixedOrPercent{Fixed: &zones},
		MaxUnavailable: &computepb.FixedOrPercent{Fixed: &zones},
	}
	given := message.GetUpdatePolicy()
	if given.GetMaxSurge() != nil {
		defaults.MaxSurge = nil
	}
	if given.GetMaxUnavailable() != nil {
		defaults.MaxUnavailable = nil
	}
	if given != nil {
		mergeInto(defaults.ProtoReflect(), given.ProtoReflect())
	}
	message.UpdatePolicy = defaults
}

// percentSize is the least target size of which maxSurge and maxUnavailable may be percentages ("or, if the group has 10 or more
// instances, a percentage", discovery document).
const percentSize = 10

// checkUpdatePolicy refuses bounds that a regional group cannot keep: "a fixed value must be either 0 or at least equal to the
// number of zones" ("Apply VM updates in a regional MIG"). The texts: assumption.
func checkUpdatePolicy(message *computepb.InstanceGroupManager) *apiError {
	policy, zones := message.GetUpdatePolicy(), int32(len(message.GetDistributionPolicy().GetZones()))
	for _, bound := range []struct {
		field string
		value *computepb.FixedOrPercent
	}{{"maxSurge", policy.GetMaxSurge()}, {"maxUnavailable", policy.GetMaxUnavailable()}} {
		field := "resource.updatePolicy." + bound.field
		switch fixed := bound.value.GetFixed(); {
		case bound.value.Percent != nil && message.GetTargetSize() < percentSize:
			return invalidValue(field+".percent", fmt.Sprint(bound.value.GetPercent()), "A percentage is only allowed for groups of 10 or more instances.")
		case bound.value.Percent == nil && fixed != 0 && fixed < zones:
			return invalidValue(field+".fixed", fmt.Sprint(fixed), fmt.Sprintf("Fixed updatePolicy.%s for regional managed instance group has to be either 0 or at least equal to the number of zones (%d).", bound.field, zones))
		}
	}
	if boundOf(policy.GetMaxSurge(), message.GetTargetSize(), true) == 0 && boundOf(policy.GetMaxUnavailable(), message.GetTargetSize(), false) == 0 && message.GetTargetSize() > 0 {
		return invalidValue("resource.updatePolicy", "", "At least one of maxSurge or maxUnavailable must be greater than 0.")
	}
	if policy.GetReplacementMethod() == "RECREATE" && policy.GetMaxSurge().GetFixed() > 0 {
		return invalidValue("resource.updatePolicy.maxSurge", fmt.Sprint(policy.GetMaxSurge().GetFixed()), "Must be 0 when the replacement method is RECREATE.")
	}
	return nil
}

// boundOf resolves a bound: "if you set a percentage, the number of instances is rounded if necessary" (discovery document). That
// surge is rounded up and unavailability down: assumption.
func boundOf(bound *computepb.FixedOrPercent, size int32, up bool) int {
	if bound.Percent == nil {
		return int(bound.GetFixed())
	}
	n := bound.GetPercent() * size
	if up {
		n += 99
	}
	return int(n / 100)
}

// updates reports whether the group replaces outdated instances by itself.
func (g *group) updates() bool {
	return g.message.GetUpdatePolicy().GetType() == "PROACTIVE" && g.deletion == ""
}

// outdated are the members of another template than the group's.
func (g *group) outdated() []*member {
	var out []*member
	for _, m := range g.staying() {
		if m.template != g.template() {
			out = append(out, m)
		}
	}
	return out
}

// surplus is how many instances an update has beyond the target size now: "the maximum number of instances that can be created above
// the specified targetSize during the update process" (discovery document, maxSurge), and no more than are left to replace.
func (g *group) surplus() int {
	policy := g.message.GetUpdatePolicy()
	if !g.updates() || policy.GetReplacementMethod() == "RECREATE" {
		return 0
	}
	return min(boundOf(policy.GetMaxSurge(), g.message.GetTargetSize(), true), len(g.outdated()))
}

// available is what counts for maxUnavailable: "RUNNING", and with a health check "HEALTHY at least once" (discovery document). A
// member that a group with a health check is not done verifying has no action NONE.
func (m *member) available() bool { return m.action == actionNone && m.status == statusRunning }

// updateMembers replaces outdated members as far as enough available ones stay. Those that are not available go first: assumption.
// With the replacement method RECREATE a machine is made anew under its name, one at a time: simulator's limit.
func (p *computePlane) updateMembers(g *group) {
	if !g.updates() {
		return
	}
	available := 0
	for _, m := range g.staying() {
		if m.available() {
			available++
		}
	}
	policy := g.message.GetUpdatePolicy()
	least := int(g.message.GetTargetSize()) - boundOf(policy.GetMaxUnavailable(), g.message.GetTargetSize(), false)
	for _, running := range []bool{false, true} {
		for _, m := range g.outdated() {
			if m.available() != running || running && available <= least {
				continue
			}
			if policy.GetReplacementMethod() == "RECREATE" {
				p.recreate(g, m, true)
				return
			}
			if running {
				available--
			}
			p.discard(g, m, true, "replaced by an instance of the group's version")
		}
	}
}
