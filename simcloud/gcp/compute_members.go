package gcp

import (
	"maps"
	"slices"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/simcloud"
)

// Actions that a group has scheduled for an instance (discovery document, ManagedInstance.currentAction).
const (
	actionNone       = "NONE"
	actionCreating   = "CREATING"
	actionVerifying  = "VERIFYING"
	actionRecreating = "RECREATING"
	actionDeleting   = "DELETING"
)

// States of an instance (discovery document, ManagedInstance.instanceStatus).
const (
	statusProvisioning = "PROVISIONING"
	statusStaging      = "STAGING"
	statusRunning      = "RUNNING"
	statusStopping     = "STOPPING"
)

// groupState is what a managed instance group remembers beside its message.
type groupState struct {
	members []*member
	errors  []*computepb.InstanceManagedByIgmError // oldest first
	// deletion is the path of the operation that deletes the group; empty while it lives.
	deletion string
	// told is the capacity that events know.
	told simcloud.Capacity
}

func (s *groupState) copy() extra {
	out := &groupState{errors: slices.Clone(s.errors), deletion: s.deletion, told: s.told}
	for _, m := range s.members {
		one := *m
		out.members = append(out.members, &one)
	}
	return out
}

// member is one managed instance. Its name stays the same when it is recreated.
type member struct {
	name, zone string
	id         uint64 // of the present machine
	action     string
	// template is the path of the template that the machine is made from, or will be.
	template string
	// status is empty while there is no machine.
	status string
	// health is what autohealing thinks of it; empty without an autohealing policy.
	health string
	// proven tells that the machine has been healthy, or that its initial delay is over.
	proven   bool
	launched time.Time
	running  time.Time
	// ending tells that the present machine is on its way out, drain that it may finish its requests before it is stopped,
	// stopping that it was told to.
	ending, drain, stopping bool
	failures                int
	retryAt                 time.Time
	problem                 *computepb.Errors // of the last attempt to create it
}

// group is a managed instance group of a project.
type group struct {
	*groupState
	resource *resource
	path     string
	message  *computepb.InstanceGroupManager
}

// groups are the project's managed instance groups, by path, without those whose insert is going to fail.
func (p *computePlane) groups() []*group {
	var out []*group
	for _, r := range all[*computepb.InstanceGroupManager](p.project.data) {
		if g := groupOf(r); g != nil && !r.doomed {
			out = append(out, g)
		}
	}
	return out
}

func groupOf(r *resource) *group {
	if r == nil {
		return nil
	}
	message, isGroup := r.message.(*computepb.InstanceGroupManager)
	state, hasState := r.extra.(*groupState)
	if !isGroup || !hasState {
		return nil
	}
	return &group{groupState: state, resource: r, path: r.path, message: message}
}

func (g *group) region() string { return regionOfPath(g.path) }

// template is the path of the template that new instances are made from.
func (g *group) template() string { return pathOfLink(g.message.GetInstanceTemplate()) }

// pathOfLink cuts the host off a link that the API itself wrote.
func pathOfLink(link string) string {
	if len(link) < len(selfLink("")) {
		return link
	}
	return link[len(selfLink("")):]
}

// instanceGroup is the path of the instance group that belongs to the manager.
func (g *group) instanceGroup() string { return pathOfLink(g.message.GetInstanceGroup()) }

// zones are those that the group spreads over.
func (g *group) zones() []string {
	var out []string
	for _, z := range g.message.GetDistributionPolicy().GetZones() {
		out = append(out, nameOf(z.GetZone()))
	}
	return out
}

// staying are the members that count for the target size.
func (g *group) staying() []*member {
	var out []*member
	for _, m := range g.members {
		if m.action != actionDeleting {
			out = append(out, m)
		}
	}
	return out
}

func (g *group) member(name string) *member {
	for _, m := range g.members {
		if m.name == name {
			return m
		}
	}
	return nil
}

// healing returns the autohealing policy, nil for none.
func (g *group) healing() *computepb.InstanceGroupManagerAutoHealingPolicy {
	if policies := g.message.GetAutoHealingPolicies(); len(policies) > 0 && policies[0].HealthCheck != nil {
		return policies[0]
	}
	return nil
}

func (g *group) instancePath(p *project, m *member) string {
	return pathOf(p.id, "zones", m.zone, "instances", m.name)
}

// log tells a step of a member.
func (p *computePlane) lifecycle(g *group, m *member, state, reason string) {
	p.project.log(g.region(), simcloud.Event{
		Kind: simcloud.InstanceLifecycle, Resource: m.name, Group: g.message.GetName(), State: state, Reason: reason,
	})
}

// capacity is the group's size in the words of events: that of a group without a working autoscaler is fixed.
func (p *computePlane) capacity(g *group) simcloud.Capacity {
	size := int(g.message.GetTargetSize())
	c := simcloud.Capacity{Min: size, Max: size, Desired: size}
	if a := p.autoscalerOf(g.path); a != nil && a.GetAutoscalingPolicy().GetMode() != "OFF" {
		c.Min, c.Max = int(a.GetAutoscalingPolicy().GetMinNumReplicas()), int(a.GetAutoscalingPolicy().GetMaxNumReplicas())
	}
	return c
}

// tellCapacity logs the group's capacity when it has changed, by whom.
func (p *computePlane) tellCapacity(g *group, by string) {
	now := p.capacity(g)
	if now == g.told {
		return
	}
	g.told = now
	p.project.log(g.region(), simcloud.Event{
		Kind: simcloud.ResourceUpdated, Type: simcloud.TypeGroup, Resource: g.path, Name: g.message.GetName(), Capacity: &now, Principal: by,
	})
}

// summarize brings the group's message up to its members: what it does, and whether it is done.
func (p *computePlane) summarize(g *group) {
	count := map[string]int32{}
	reached := true
	for _, m := range g.members {
		count[m.action]++
		reached = reached && (m.action == actionDeleting || m.template == g.template())
	}
	busy := int32(len(g.members)) - count[actionNone]
	g.message.CurrentActions = &computepb.InstanceGroupManagerActionsSummary{
		None: proto.Int32(count[actionNone]), Creating: proto.Int32(count[actionCreating]), Verifying: proto.Int32(count[actionVerifying]),
		Recreating: proto.Int32(count[actionRecreating]), Deleting: proto.Int32(count[actionDeleting]),
		Abandoning: proto.Int32(0), Refreshing: proto.Int32(0), Restarting: proto.Int32(0), CreatingWithoutRetries: proto.Int32(0),
	}
	stable := busy == 0 && count[actionNone] == g.message.GetTargetSize() && g.deletion == ""
	status := &computepb.InstanceGroupManagerStatus{
		IsStable:      proto.Bool(stable),
		VersionTarget: &computepb.InstanceGroupManagerStatusVersionTarget{IsReached: proto.Bool(reached)},
	}
	if a := p.autoscalerOf(g.path); a != nil {
		status.Autoscaler = a.SelfLink
	}
	g.message.Status = status
	if paired := lookup[*computepb.InstanceGroup](p.project.data, g.instanceGroup()); paired != nil {
		paired.Size = proto.Int32(int32(len(g.members)))
	}
}

// services are the paths of the backend services that have the group as a backend, by path.
func (p *computePlane) services(g *group) []string {
	found := map[string]bool{}
	for _, r := range all[*computepb.BackendService](p.project.data) {
		for _, b := range r.message.(*computepb.BackendService).GetBackends() {
			if pathOfLink(b.GetGroup()) == g.instanceGroup() && !r.doomed {
				found[r.path] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}
