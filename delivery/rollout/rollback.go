package rollout

import (
	"fmt"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// restoreTimeout bounds each wait of a rollback. It is longer than a forward
// wait: giving up here leaves the cluster to a person.
func (s State) restoreTimeout() time.Duration {
	return 2*s.Input.Strategy.HealthTimeout + s.Input.Capabilities.Settle + s.Input.Capabilities.Drain
}

// rollBack restores the recorded state in the one safe order: old capacity and
// health, traffic, verify, then remove the new group.
func (s State) rollBack(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	s, pause := s.retry(now)
	if pause != nil {
		return s, pause
	}
	if s.Input.Strategy.InPlace {
		return s.revert(seen, now)
	}
	steps := []func(State, delivery.Snapshot, time.Time) (State, *Decision){
		State.restoreCapacity, State.restoreHealth, State.restoreRouting, State.removeNew,
	}
	if s.rollback() != nil { // its traffic has not moved
		steps = append(steps[:0], State.undoCapacity, State.removeNew)
	}
	for _, step := range steps {
		next, d := step(s, seen, now)
		if d != nil || next.Phase != RollingBack {
			return next, d
		}
		s = next
	}
	return s.finish(delivery.DeploymentRolledBack, s.Cause), nil
}

// retry waits a growing while after a change was refused.
func (s State) retry(now time.Time) (State, *Decision) {
	if s.Failures <= s.Retried {
		return s, nil
	}
	if s.RetryAt.IsZero() {
		s.RetryAt = now.Add(min(time.Minute, time.Second<<min(s.Failures, 6)))
	}
	if now.Before(s.RetryAt) {
		return s, &Decision{Await: &Await{For: "the next try", Until: s.RetryAt, Deadline: s.RetryAt}}
	}
	s.Retried, s.RetryAt = s.Failures, time.Time{}
	return s, nil
}

// restoreCapacity gives each recorded group that took traffic, and the one that
// an operation was about, its capacity back. A group that took no traffic and is
// gone by now is not missed.
func (s State) restoreCapacity(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	for _, was := range s.Before.Groups {
		g := seen.Group(was.Name)
		if g == nil || g.Deleting {
			if !was.Serving {
				continue
			}
			return s.awaitRestore(fmt.Sprintf("see %s, which took the traffic before", was.Name), now)
		}
		operated, back, what := s.resizes(was.Name), s.Sized, "give "+was.Name+" its capacity back"
		if operated {
			s, back = s.sizedBack(was, g.Capacity, what, now)
		}
		if !was.Serving && !operated || restored(g.Capacity, was.Capacity, s.HealthBack || back) && (!operated || back) {
			continue
		}
		if operated && !s.keepsHealthy(seen, g, was.Capacity.Desired) {
			return s.awaitRestore(fmt.Sprintf("%s to be certain to keep a healthy instance", was.Name), now)
		}
		if operated && s.Waiting != what && certain(g, was.Capacity.Desired) < min(was.Healthy, was.Capacity.Desired) {
			// What was to be added may be about to become healthy, and the cloud may take what is.
			next, d := s.awaitRestore(fmt.Sprintf("%s to be certain to keep its healthy instances", was.Name), now)
			if next.Phase != s.Phase || now.Sub(next.Since) < patience {
				return next, d
			}
		}
		return s.restore(s.resize(was.Name, was.Capacity, "rollback/resize/"+was.Name), what, now)
	}
	return s, nil
}

// restored reports whether a group has its recorded bounds and at least its
// recorded size: more of it is an autoscaler's doing and is left alone, and less
// of it too once the group was back at its size.
func restored(is, was delivery.Capacity, back bool) bool {
	return is.Min == was.Min && is.Max == was.Max && (back || is.Desired >= was.Desired)
}

// restoreHealth waits until the old groups are as healthy as they were. While
// the traffic is still on a new group without a healthy instance, one healthy
// old instance is better than waiting.
func (s State) restoreHealth(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	if s.HealthBack || s.Before.Routed && s.trafficIsBack(seen) {
		return s, nil
	}
	for _, was := range s.sources() {
		g := seen.Group(was.Name)
		want := min(was.Healthy, was.Capacity.Desired)
		if fresh := seen.Group(s.Input.Group); len(s.Operands) == 0 && s.Before.Routed && (fresh == nil || fresh.Healthy() == 0) {
			want = min(want, 1)
		}
		if g != nil && g.Healthy() < want {
			s.Streak = 0
			return s.awaitRestore(fmt.Sprintf("%d healthy instances in %s", want, was.Name), now)
		}
	}
	if s.Streak++; s.Streak < lookTwice {
		return s.awaitRestore("a second look at the old server groups", now)
	}
	s.HealthBack, s.Streak = true, 0
	return s, nil
}

// restoreRouting writes the recorded weights and waits until they were read back
// at consecutive looks for as long as a write needs to settle. It waits also
// when the first look already shows them: that look may be a stale read.
func (s State) restoreRouting(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	if !s.Before.Routed || !s.StepDone.IsZero() {
		return s, nil
	}
	if seen.Routing == nil {
		return s.awaitRestore("see the routing", now)
	}
	if !s.trafficIsBack(seen) {
		s.Routed, s.Streak = time.Time{}, 0
		c := s.change(delivery.SetRouting, "rollback/route")
		c.Weights, c.Fingerprint = s.Before.Weights, seen.Routing.Fingerprint
		return s.restore(c, "give the old weights back", now)
	}
	if s.Routed.IsZero() {
		s.Routed = now
	}
	s.Streak++
	until := s.Routed.Add(s.Input.Capabilities.Settle)
	if s.Streak < lookTwice || now.Before(until) {
		s.Waiting = "the old weights to reach every proxy"
		return s, &Decision{Await: &Await{For: s.Waiting, Until: until, Deadline: until}}
	}
	s.StepDone = now
	s.Since, s.Waiting = time.Time{}, ""
	return s, nil
}

// trafficIsBack reports whether the routing is as recorded. Weights of 0 do not
// count; when no group had traffic there is nothing to give back.
func (s State) trafficIsBack(seen delivery.Snapshot) bool {
	if !s.Before.Routed {
		return true
	}
	if seen.Routing == nil {
		return false
	}
	if len(s.sources()) == 0 {
		return true
	}
	return delivery.SameWeights(seen.Routing.Weights, s.Before.Weights)
}

// removeNew destroys the new group with all its pieces, and the baseline after it.
// What they served is over by then: a destroyed group cuts its connections off. An
// operation made none.
func (s State) removeNew(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	if s.Input.Operation != nil && !s.redeploys() {
		return s, nil
	}
	if s.Input.Promotion != nil {
		return s.demote(seen, now)
	}
	var g *delivery.ServerGroup
	for _, name := range s.Made() {
		if made := seen.Group(name); g == nil && made != nil && !s.foreign(made) {
			g = made
		}
	}
	if g == nil {
		return s.gone(now)
	}
	s.Streak = 0
	if until := s.StepDone.Add(s.Input.Capabilities.Drain); s.Weighted && now.Before(until) {
		s.Waiting = "connections to drain"
		return s, &Decision{Await: &Await{For: s.Waiting, Until: until, Deadline: until}}
	}
	s, rule, quiet := s.unled(seen, g.Name, "rollback/preview", now)
	switch {
	case rule != nil:
		return s.restore(*rule, "remove the rule that leads to "+g.Name, now)
	case !quiet.IsZero():
		return s.drained(quiet)
	}
	c := s.change(delivery.DestroyGroup, "rollback/destroy")
	if g.Name == s.Input.Baseline {
		c.Key = s.key("rollback/destroy/baseline")
	}
	c.Group = g.Name
	if len(s.sources()) == 0 && !g.Deleting && delivery.Guard(seen, c) != nil {
		return s.leave(g), nil
	}
	return s.restore(c, "destroy "+g.Name, now)
}

// leave ends a first deployment that already serves: nothing else could take
// its traffic.
func (s State) leave(g *delivery.ServerGroup) State {
	status := delivery.DeploymentFailed
	if s.CancelRequested {
		status = delivery.DeploymentCanceled
	}
	f := *s.Cause
	f.Message += fmt.Sprintf("; %s stays, since no other server group can take its traffic", g.Name)
	return s.finish(status, &f)
}

// gone makes sure that the new group's absence is no stale read.
func (s State) gone(now time.Time) (State, *Decision) {
	s.Problems = nil
	if s.Waiting != goneWait {
		s.Waiting, s.Since, s.Streak = goneWait, now, 0
	}
	s.Streak++
	if s.Streak < lookTwice {
		return s, &Decision{Await: &Await{For: goneWait, Deadline: now.Add(s.restoreTimeout())}}
	}
	return s, nil
}

const goneWait = "the new server group to be gone"

// restore decides on a change. What was seen before it counts for nothing: such
// a look may have been a stale one.
func (s State) restore(c delivery.Change, what string, now time.Time) (State, *Decision) {
	s.Streak = 0
	s, late := s.wait(what, s.restoreTimeout(), now)
	if late != nil {
		return s.lost(late), nil
	}
	return s, &Decision{Apply: &c}
}

func (s State) awaitRestore(what string, now time.Time) (State, *Decision) {
	s, late := s.wait(what, s.restoreTimeout(), now)
	if late != nil {
		return s.lost(late), nil
	}
	return s, &Decision{Await: &Await{For: what, Deadline: s.Since.Add(s.restoreTimeout())}}
}

// lost ends a rollback that could not be carried through. The failure says both
// why it began and where it stopped.
func (s State) lost(f *delivery.Failure) State {
	if s.LastFailure != nil {
		f.Message += "; the last error: " + s.LastFailure.Error()
	}
	if s.Cause != nil {
		f.Message += "; it was rolling back because: " + s.Cause.Error()
	}
	return s.finish(delivery.DeploymentRollbackFailed, f)
}
