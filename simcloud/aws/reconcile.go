package aws

import (
	"fmt"
	"slices"
	"time"

	"github.com/slipway-cd/slipway/simcloud"
)

// refreshEvery is how old the state may get that a stale read sees.
const refreshEvery = 10 * time.Second

// reconcile lets time act on a region: machines boot and end, groups launch, judge, replace and remove instances. It runs
// at every tick and after every write.
func (r *region) reconcile(now time.Time) {
	r.followMachines(now)
	r.observeTargets(r.data)
	for _, g := range sorted(r.data.Groups) {
		r.followMembers(g, now)
		r.judge(g, now)
		r.stepRefresh(g, now)
		r.replaceUnhealthy(g, now)
		r.matchDesired(g, now)
		r.endMembers(g, now)
		r.dropSources(g)
		r.finishDeletion(g, now)
	}
	if now.Sub(r.refreshed) >= refreshEvery {
		r.recent, r.refreshed = copyOf(r.data), now
	}
}

// followMachines brings the instances' states up to those of the machines, and forgets what ended an hour ago.
func (r *region) followMachines(now time.Time) {
	for _, i := range sorted(r.data.Instances) {
		live, ok := r.cloud.world.Fleet.Instance(i.ID)
		state := stateTerminated
		if ok {
			state = string(live.State())
		}
		if i.State == stateShuttingDown && state != stateTerminated {
			state = stateShuttingDown
		}
		i.State = state
		if state != stateTerminated {
			continue
		}
		if i.EndedAt.IsZero() {
			i.EndedAt = now
		}
		if now.Sub(i.EndedAt) > terminatedVisible {
			r.cloud.world.Fleet.Forget(i.ID)
			delete(r.data.Instances, i.ID)
		}
	}
}

func (r *region) lifecycle(g *group, m *member, state, reason string) {
	r.log(simcloud.Event{Kind: simcloud.InstanceLifecycle, Resource: m.ID, Group: g.Name, State: state, Reason: reason})
}

// followMembers puts booted instances into service: they are registered in the target groups at that moment (user guide,
// "Attach a load balancer").
func (r *region) followMembers(g *group, now time.Time) {
	for _, m := range g.Members {
		i := r.data.Instances[m.ID]
		switch {
		case m.State == lifecyclePending && i != nil && i.State == stateRunning:
			m.State, m.InServiceAt = lifecycleInService, now
			r.finish(m.Activity, "Successful", "", now)
			m.Activity = ""
			r.lifecycle(g, m, "InService", "")
			if !g.suspended(processBalancer) {
				for _, arn := range g.targetGroups() {
					r.register(arn, m.ID)
				}
			}
		case !m.ending() && m.Health == healthy && !g.suspended(processHealth) && (i == nil || i.State == stateShuttingDown || i.State == stateTerminated):
			m.Health, m.UnhealthyBy = unhealthy, "an EC2 health check indicating it has been terminated or stopped"
		}
	}
}

// inGrace tells whether an instance's health is not judged yet. The period begins with InService (user guide, "Set the
// health check grace period").
func (g *group) inGrace(m *member, now time.Time) bool {
	return m.State == lifecyclePending || now.Before(m.InServiceAt.Add(time.Duration(g.Grace)*time.Second))
}

// judge marks instances that a load balancer reports unhealthy. States other than unhealthy, such as initial and unused,
// are no verdict.
func (r *region) judge(g *group, now time.Time) {
	if g.HealthCheckType != "ELB" || g.suspended(processHealth) {
		return
	}
	for _, arn := range g.targetGroups() {
		tg := r.data.TargetGroups[arn]
		if tg == nil {
			continue
		}
		for _, h := range tg.Health {
			m := g.member(h.Instance)
			if m != nil && m.State == lifecycleInService && m.Health == healthy && h.State == simcloud.TargetUnhealthy && !g.inGrace(m, now) {
				m.Health, m.UnhealthyBy = unhealthy, "an ELB system health check failure"
			}
		}
	}
}

// replaceUnhealthy ends unhealthy instances; matchDesired launches the replacement at the same moment.
func (r *region) replaceUnhealthy(g *group, now time.Time) {
	if g.suspended(processReplace) || g.suspended(processTerminate) || g.Deleting {
		return
	}
	for _, m := range g.alive() {
		if m.Health == unhealthy {
			cause := fmt.Sprintf("At %s an instance was taken out of service in response to %s.", second(now), m.UnhealthyBy)
			r.terminate(g, m, ending{cause, true}, now)
		}
	}
}

// matchDesired launches what is missing and ends what is too much.
func (r *region) matchDesired(g *group, now time.Time) {
	wanted := g.Desired + g.surplus()
	if g.Deleting {
		wanted = 0
	}
	have := len(g.alive())
	if have < wanted && !g.Deleting && !g.suspended(processLaunch) && !now.Before(g.RetryAt) {
		for n := have; n < wanted; n++ {
			if !r.launch(g, n, now) {
				break
			}
		}
	}
	if have > wanted && (g.Deleting || !g.suspended(processTerminate)) {
		r.scaleIn(g, have-wanted, now)
	}
}

// scaleIn ends n instances: unhealthy ones first, then the oldest of the zone with the most instances ("Default termination
// policy" of the user guide, without its tie-break by launch template). Instances protected from scale in stay.
func (r *region) scaleIn(g *group, n int, now time.Time) {
	have := len(g.alive())
	for range n {
		m := g.victim(r.data)
		if m == nil {
			return
		}
		cause := fmt.Sprintf("%s  At %s an instance was taken out of service in response to a difference between desired and actual capacity, shrinking the capacity from %d to %d.  At %s instance %s was selected for termination.",
			g.Cause, second(now), have, have-1, second(now), m.ID)
		r.terminate(g, m, ending{cause, !g.Force || !g.Deleting}, now)
		have--
	}
}

func (g *group) victim(d *regionData) *member {
	zones := map[string]int{}
	for _, m := range g.alive() {
		zones[m.Zone]++
	}
	var best *member
	better := func(a, b *member) bool {
		if (a.Health == unhealthy) != (b.Health == unhealthy) {
			return a.Health == unhealthy
		}
		if zones[a.Zone] != zones[b.Zone] {
			return zones[a.Zone] > zones[b.Zone]
		}
		return d.launched(a).Before(d.launched(b))
	}
	for _, m := range g.alive() {
		if (!m.Protected || g.Deleting) && (best == nil || better(m, best)) {
			best = m
		}
	}
	return best
}

func (d *regionData) launched(m *member) time.Time {
	if i := d.Instances[m.ID]; i != nil {
		return i.LaunchedAt
	}
	return time.Time{}
}

// ending says why an instance is terminated and whether its connections may end before.
type ending struct {
	cause string
	drain bool
}

// terminate starts the end of an instance: it leaves the target groups, drains if asked to, and is stopped then.
func (r *region) terminate(g *group, m *member, why ending, now time.Time) *activity {
	if m.Activity != "" {
		r.finish(m.Activity, "Cancelled", "Launch cancelled: the instance is being terminated", now)
	}
	m.State, m.Drain = lifecycleTerminating, why.drain
	a := r.begin(g, "Terminating EC2 instance: "+m.ID, why.cause, now)
	a.Zone, a.Progress, m.Activity = m.Zone, 50, a.ID
	for _, s := range g.Sources {
		r.deregister(s.ARN, m.ID)
	}
	if why.drain && !r.drained(g, m) {
		a.Status, a.Message = "WaitingForELBConnectionDraining", "Waiting for ELB Connection Draining"
	}
	r.lifecycle(g, m, "Terminating", why.cause)
	return a
}

func (r *region) deregister(groupARN, instanceID string) {
	if tg := r.targets[groupARN]; tg != nil {
		tg.Deregister(instanceID)
	}
}

// drained tells whether no target group waits for the instance's connections any more.
func (r *region) drained(g *group, m *member) bool {
	for _, s := range g.Sources {
		if tg := r.targets[s.ARN]; tg != nil && !tg.Drained(m.ID) {
			return false
		}
	}
	return true
}

// endMembers stops drained instances and drops those whose machine has ended.
func (r *region) endMembers(g *group, now time.Time) {
	g.Members = slices.DeleteFunc(g.Members, func(m *member) bool {
		if !m.ending() {
			return false
		}
		i := r.data.Instances[m.ID]
		if i == nil || i.State == stateTerminated {
			r.finish(m.Activity, "Successful", "", now)
			r.lifecycle(g, m, "Terminated", "")
			return true
		}
		if !m.Stopping && (!m.Drain || r.drained(g, m)) {
			m.Stopping, i.State = true, stateShuttingDown
			r.progress(m.Activity, "InProgress")
			r.stopInstance(m.ID)
		}
		return false
	})
}

// dropSources ends the detaching of target groups once no member is in them any more.
func (r *region) dropSources(g *group) {
	g.Sources = slices.DeleteFunc(g.Sources, func(s trafficSource) bool {
		if r.data.TargetGroups[s.ARN] == nil {
			return true // the target group was deleted
		}
		if !s.Removing {
			return false
		}
		for _, m := range g.Members {
			if !r.targets[s.ARN].Drained(m.ID) {
				return false
			}
		}
		return true
	})
}

func (r *region) finishDeletion(g *group, now time.Time) {
	if !g.Deleting || len(g.Members) > 0 || now.Before(g.GoneAt) {
		return
	}
	delete(r.data.Groups, g.Name)
	for _, a := range r.data.Activities {
		if a.GroupARN == g.ARN {
			a.GroupGone = true
		}
	}
}
