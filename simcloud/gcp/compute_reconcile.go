package gcp

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"

	"github.com/slipway-cd/slipway/simcloud"
)

// Who does things that nobody asked for.
const (
	systemUser    = "system"
	cloudServices = "cloudservices.gserviceaccount.com" // the project's Google APIs service agent
)

// followMembers brings the members up to their machines. A machine that ended by itself is made again.
func (p *computePlane) followMembers(g *group, now time.Time) {
	g.members = slices.DeleteFunc(g.members, func(m *member) bool {
		if m.status == "" {
			return m.action == actionDeleting // it never had a machine, or has none any more
		}
		state := simcloud.StateTerminated
		if live, ok := p.project.cloud.world.Fleet.Instance(m.name); ok {
			state = live.State()
		}
		switch state {
		case simcloud.StatePending:
			if m.status == statusProvisioning && now.Sub(m.launched) >= time.Second {
				m.status = statusStaging
			}
		case simcloud.StateRunning:
			p.followRunning(g, m, now)
		case simcloud.StateShuttingDown:
			m.status = statusStopping
		default:
			p.machineEnded(g, m, now)
			return m.action == actionDeleting
		}
		p.showInstance(g, m)
		return false
	})
}

func (p *computePlane) followRunning(g *group, m *member, now time.Time) {
	if m.status != statusRunning {
		m.status, m.running = statusRunning, now
		p.lifecycle(g, m, "InService", "")
	}
	if m.ending || m.action == actionNone {
		return
	}
	switch {
	case g.healing() == nil || m.proven:
		m.action = actionNone
	default:
		m.action = actionVerifying
	}
}

// machineEnded drops a machine. One that was to end is gone; one that was not is repaired: the group recreates a VM that is
// not RUNNING ("About repairing VMs in a MIG"), under the same name.
func (p *computePlane) machineEnded(g *group, m *member, now time.Time) {
	wanted := m.ending
	p.deregister(g, m)
	p.project.cloud.world.Fleet.Forget(m.name)
	delete(p.project.data.resources, g.instancePath(p.project, m))
	m.status, m.health, m.proven, m.ending, m.drain, m.stopping, m.id = "", "", false, false, false, false, 0
	p.lifecycle(g, m, "Terminated", "")
	if wanted || m.action == actionDeleting {
		return
	}
	m.action, m.template = actionRecreating, g.template()
	p.repairOperation(g, m, "instance should be RUNNING, but is TERMINATED", now)
}

// heal judges the members by the group's autohealing health check, and recreates those that have failed it. "During a VM's
// initial delay period, the MIG ignores unsuccessful health checks ... If the health check receives a healthy response during
// the initial delay, it indicates that the startup process is complete" (discovery document, initialDelaySec).
func (p *computePlane) heal(g *group, now time.Time) {
	policy := g.healing()
	check := p.checkOf(g)
	if policy == nil || check == nil {
		return
	}
	health := map[string]simcloud.TargetHealth{}
	for _, h := range check.Health() {
		health[h.Instance] = h
	}
	for _, m := range g.members {
		if m.status != statusRunning || m.ending {
			continue
		}
		if live, ok := p.project.cloud.world.Fleet.Instance(m.name); ok {
			check.Register(live)
		}
		m.health = detailedHealth(health[m.name])
		m.proven = m.proven || m.health == "HEALTHY" || now.Sub(m.running) >= time.Duration(policy.GetInitialDelaySec())*time.Second
		if m.proven && (m.health == "UNHEALTHY" || m.health == "TIMEOUT") {
			p.recreate(g, m, false)
			p.repairOperation(g, m, "instance unhealthy", now)
		}
	}
}

// detailedHealth is a target's health in the words of ManagedInstanceInstanceHealth.detailedHealthState.
func detailedHealth(h simcloud.TargetHealth) string {
	switch {
	case h.State == simcloud.TargetHealthy:
		return "HEALTHY"
	case h.State == simcloud.TargetDraining:
		return "DRAINING"
	case h.State == simcloud.TargetUnhealthy && h.Reason == simcloud.ReasonTimeout:
		return "TIMEOUT"
	case h.State == simcloud.TargetUnhealthy:
		return "UNHEALTHY"
	default:
		return "UNKNOWN"
	}
}

// repairOperation is how a repair shows: a zone operation of the user "system". Its name, type and message are as in audit logs
// and operation lists that people have published ("... initiated recreateInstance on instance '...'. Reason: Instance eligible
// for repair: instance unhealthy.").
func (p *computePlane) repairOperation(g *group, m *member, reason string, now time.Time) {
	path := g.instancePath(p.project, m)
	p.project.begin(operationSpec{
		kind: "compute.instances.repair.recreateInstance", target: path, scope: scopeOf(path), user: systemUser, prefix: "repair",
		message: fmt.Sprintf("Instance Group Manager '%s' initiated recreateInstance on instance '%s'. Reason: Instance eligible for repair: %s.",
			g.path, path, reason),
	}, now)
}

// recreate begins to replace a member's machine by a new one of the group's present template.
func (p *computePlane) recreate(g *group, m *member, drain bool) {
	m.action, m.template = actionRecreating, g.template()
	if m.status != "" {
		m.ending, m.drain = true, drain
		p.lifecycle(g, m, "Terminating", "recreated")
	}
}

// matchTarget adds what is missing and marks what is too much.
func (p *computePlane) matchTarget(g *group, now time.Time) {
	wanted := int(g.message.GetTargetSize()) + g.surplus()
	if g.deletion != "" {
		wanted = 0
	}
	for n := len(g.staying()); n < wanted; n++ {
		m := &member{name: p.newInstanceName(g), zone: g.emptiestZone(), action: actionCreating, template: g.template(), retryAt: now}
		g.members = append(g.members, m)
	}
	for n := len(g.staying()); n > wanted; n-- {
		p.discard(g, g.victim(), true, "the target size of the group fell")
	}
	p.updateMembers(g)
}

// discard begins the end of a member.
func (p *computePlane) discard(g *group, m *member, drain bool, reason string) {
	m.action = actionDeleting
	if m.status != "" && !m.ending {
		m.ending, m.drain = true, drain
		p.lifecycle(g, m, "Terminating", reason)
	}
}

// newInstanceName is the base name with four random characters (discovery document, baseInstanceName).
func (p *computePlane) newInstanceName(g *group) string {
	for {
		name := g.message.GetBaseInstanceName() + "-" + p.project.cloud.newSuffix(4)
		if _, taken := p.project.cloud.world.Fleet.Instance(name); !taken && g.member(name) == nil {
			return name
		}
	}
}

func (g *group) emptiestZone() string {
	in := map[string]int{}
	for _, m := range g.staying() {
		in[m.zone]++
	}
	best := ""
	for _, zone := range g.zones() {
		if best == "" || in[zone] < in[best] {
			best = zone
		}
	}
	return best
}

// victim chooses who goes: an instance without a running machine first, then an unhealthy one, then the newest of the
// fullest zone. That a regional group keeps its zones even is documented ("Regional MIGs"); the rest: assumption.
func (g *group) victim() *member {
	in := map[string]int{}
	for _, m := range g.staying() {
		in[m.zone]++
	}
	rank := func(m *member) int {
		switch {
		case m.status != statusRunning:
			return 0
		case m.health == "UNHEALTHY" || m.health == "TIMEOUT":
			return 1
		default:
			return 2
		}
	}
	return slices.MinFunc(g.staying(), func(a, b *member) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		if d := in[b.zone] - in[a.zone]; d != 0 {
			return d
		}
		if d := b.launched.Compare(a.launched); d != 0 {
			return d
		}
		return strings.Compare(a.name, b.name)
	})
}

// endMembers stops machines whose requests are done: "if the group is part of a backend service that has enabled connection
// draining, it can take up to 60 seconds after the connection draining duration has elapsed before the VM instance is removed
// or deleted" (discovery document, resize).
func (p *computePlane) endMembers(g *group) {
	for _, m := range g.members {
		if !m.ending || m.stopping || m.drain && !p.drained(m) {
			continue
		}
		m.stopping = true
		if live, ok := p.project.cloud.world.Fleet.Instance(m.name); ok {
			live.Stop("stopped by its instance group manager")
		}
	}
}

// finishGroupDeletion removes a group whose last instance is gone.
func (p *computePlane) finishGroupDeletion(g *group, now time.Time) {
	if g.deletion == "" || len(g.members) > 0 {
		return
	}
	data := p.project.data
	delete(data.resources, g.instanceGroup())
	delete(data.resources, g.path)
	if check := p.checks[g.path]; check != nil {
		check.Close()
		delete(p.checks, g.path)
	}
	p.project.endOperation(g.deletion, now)
}

// problemOf adds an error to what the group lists.
func (g *group) problemOf(p *project, m *member, failed *computepb.Errors, now time.Time) {
	m.problem = failed
	g.errors = append(g.errors, g.managedError(p, m, failed, now))
	if surplus := len(g.errors) - errorsKept; surplus > 0 {
		g.errors = slices.Clone(g.errors[surplus:])
	}
}
