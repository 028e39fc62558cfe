package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// finishUp gives the new group its own bounds and scales the old ones down.
func (s State) finishUp(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	g := seen.Group(s.Input.Group)
	if g == nil || g.Deleting {
		return s.vanished(s.Input.Group, now)
	}
	if want := s.bounds(); s.Input.Capabilities.Resize && (g.Capacity.Min != want.Min || g.Capacity.Max != want.Max) {
		want.Desired = min(max(g.Capacity.Desired, want.Min), want.Max)
		return s.apply(s.resize(g.Name, want, "finish/unpin"), "give "+g.Name+" its own bounds", now)
	}
	if s.Input.Strategy.ScaleDown && s.Input.Strategy.Kind.keepsOld() {
		if next, d := s.scaleDown(g, seen, now); d != nil || next.Phase != s.Phase {
			return next, d
		}
	}
	if next, d := s.withdraw(seen, now); d != nil || next.Phase != s.Phase {
		return next, d
	}
	s = s.enter(Cleaning)
	s.StepDone = now
	return s, nil
}

// scaleDown takes the old groups' capacity once the new one has proved itself
// for DelayBeforeScaleDown and is healthy at its end. Until then they can take
// the traffic back.
func (s State) scaleDown(g *delivery.ServerGroup, seen delivery.Snapshot, now time.Time) (State, *Decision) {
	if bad := s.tooManyProblems(g, now); bad != nil {
		return s.fail(bad), nil
	}
	if s.StepDone.IsZero() {
		s.StepDone = now
	}
	until := s.restUntil(s.Input.Strategy.DelayBeforeScaleDown)
	if now.Before(until) {
		s.Waiting = "the delay before the scale down"
		return s, &Decision{Await: &Await{For: s.Waiting, Until: until, Deadline: until}}
	}
	for _, src := range s.sources() {
		old := seen.Group(src.Name)
		if old == nil || old.Deleting || old.Capacity == delivery.Pinned(0) || seen.Routing.Percent(src.Name) > 0 {
			continue
		}
		need := min(g.Capacity.Desired, s.Input.Spec.Capacity.Desired)
		next, d := s.awaitStreak(g.Healthy() >= need, waitFor{
			what: fmt.Sprintf("%d healthy instances in %s before %s shrinks", need, g.Name, src.Name),
			have: fmt.Sprintf("%d are healthy", g.Healthy()), limit: s.Input.Strategy.HealthTimeout}, now)
		if d != nil || next.Phase != s.Phase {
			return next, d
		}
		return next.apply(s.resize(src.Name, delivery.Pinned(0), "finish/scaleDown/"+src.Name), "scale "+src.Name+" down", now)
	}
	return s, nil
}

// clean destroys the oldest groups beyond MaxRemaining, one after the other.
// Traffic is on the new group by now: what cannot be cleaned up in time stays.
func (s State) clean(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	if s.Input.Strategy.InPlace {
		return s.prune(seen, now)
	}
	excess := s.excess(seen)
	if len(excess) == 0 {
		return s.finish(delivery.DeploymentSucceeded, nil), nil
	}
	if until := s.StepDone.Add(s.Input.Capabilities.Drain); now.Before(until) {
		s.Waiting = "connections to drain"
		return s, &Decision{Await: &Await{For: s.Waiting, Until: until, Deadline: until}}
	}
	s, rule, quiet := s.unled(seen, excess[0], "clean/preview/"+excess[0], now)
	if !quiet.IsZero() {
		return s.drained(quiet)
	}
	s, late := s.wait(destroying+excess[0], s.cleanTimeout(), now)
	if late != nil {
		return s.finish(delivery.DeploymentSucceeded, nil), nil
	}
	if rule != nil {
		return s, &Decision{Apply: rule}
	}
	c := s.change(delivery.DestroyGroup, "clean/"+excess[0])
	c.Group = excess[0]
	return s, &Decision{Apply: &c}
}

// destroying begins what is waited for while a group is destroyed.
const destroying = "destroy "

// excess returns the managed groups without traffic that are beyond MaxRemaining,
// oldest first. In a cluster behind no router, traffic means instances. A group that
// a rule leads to is somebody's dark release: only Highlander takes it.
func (s State) excess(seen delivery.Snapshot) []string {
	if s.Input.Strategy.MaxRemaining < 1 {
		return nil
	}
	groups := slices.DeleteFunc(slices.Clone(seen.Groups), func(g delivery.ServerGroup) bool {
		return g.Name == s.Input.Baseline ||
			s.Input.Strategy.Kind != Highlander && g.Name != s.Input.Group && seen.Routing.Preview(g.Name) != nil
	})
	slices.SortStableFunc(groups, func(a, b delivery.ServerGroup) int { return a.CreatedAt.Compare(b.CreatedAt) })
	var out []string
	for i := 0; i < len(groups)-s.Input.Strategy.MaxRemaining; i++ {
		g := groups[i]
		if g.Managed && g.Name != s.Input.Group && !seen.Serving(g.Name) && (s.LastDestroy == "" || s.LastDestroy == g.Name) {
			out = append(out, g.Name)
		}
	}
	return out
}
