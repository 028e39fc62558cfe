package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// lookTwice is how many consecutive looks must agree before capacity or weight
// moves on them: one look may be a stale read.
const lookTwice = 2

// Next looks at what is and says what to do now. It never waits and never calls.
// The returned state replaces the given one, also when the decision is to wait.
func Next(s State, seen delivery.Snapshot, now time.Time) (State, Decision) {
	for {
		if s.Outcome != nil {
			return s, Decision{Done: s.Outcome}
		}
		next, decision := s.advance(seen, now)
		if decision != nil {
			return next, next.untilCheck(*decision)
		}
		s = next
	}
}

// untilCheck ends a wait when a measurement is due.
func (s State) untilCheck(d Decision) Decision {
	next := s.NextCheck()
	if d.Await == nil || next.IsZero() {
		return d
	}
	paused := d.Await.Deadline.IsZero()
	if paused || d.Await.Limit > 0 || !d.Await.Until.IsZero() && next.Before(d.Await.Until) {
		wait := *d.Await
		wait.Until = next
		d.Await = &wait
	}
	return d
}

// advance either decides or moves the state on; a nil decision means: decide
// again in the new state.
func (s State) advance(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	if s.CancelRequested && s.Phase != RollingBack {
		if !s.touched() {
			return s.finish(delivery.DeploymentCanceled, s.Cause), nil
		}
		return s.enter(RollingBack), nil
	}
	if !s.Paused.IsZero() && s.Phase != RollingBack && !s.destroys() {
		return s, &Decision{Await: &Await{For: "a resume"}}
	}
	if s.overdue(now) {
		return s.fail(&delivery.Failure{Kind: "deadline", Step: s.Waiting,
			Message: fmt.Sprintf("the deployment took longer than %s", s.Input.Strategy.Deadline)}), nil
	}
	switch s.Phase {
	case Preparing:
		if s.Input.Operation != nil {
			return s.prepareOperation(seen, now)
		}
		if s.Input.Strategy.InPlace {
			return s.prepareInPlace(seen, now)
		}
		return s.prepare(seen, now)
	case Operating:
		return s.operate(seen, now)
	case Updating:
		return s.update(seen, now)
	case Creating:
		return s.create(seen, now)
	case Moving:
		return s.move(seen, now)
	case Finishing:
		return s.finishUp(seen, now)
	case Cleaning:
		return s.clean(seen, now)
	default:
		return s.rollBack(seen, now)
	}
}

// overdue reports whether the whole deployment is past its deadline. Once all
// traffic is on the new group, or on the way back, it no longer counts.
func (s State) overdue(now time.Time) bool {
	return !s.Started.IsZero() && !s.goingBack() && (s.Phase == Creating || s.Phase == Moving || s.Phase == Operating || s.Phase == Updating) &&
		now.Sub(s.Started)-s.rested(now) > s.Input.Strategy.Deadline
}

// rested is how much of the pause between two batches has passed, and of an open
// judgment: time that the strategy asks for and the deadline does not count.
func (s State) rested(now time.Time) time.Duration {
	if s.Phase != Moving || s.StepDone.IsZero() {
		return 0
	}
	return min(now.Sub(s.StepDone), s.pause()) + s.judging(now)
}

// pause is how long the present step must hold once it is done.
func (s State) pause() time.Duration {
	switch {
	case s.Step >= len(s.Steps):
		return 0
	case s.Steps[s.Step].Pause > 0:
		return s.Steps[s.Step].Pause
	case s.Step+1 < len(s.Steps) && s.Input.Strategy.Kind != Canary:
		return s.Input.Strategy.PauseBetweenBatches
	default:
		return 0
	}
}

// restFor says for people what the pause after a step is for.
func (s State) restFor() string {
	if weights := s.Steps[s.Step].Weights; s.Input.Strategy.Kind == Canary && weights != nil {
		return fmt.Sprintf("the bake at %d %% of the traffic", (&delivery.Routing{Weights: weights}).Percent(s.Input.Group))
	}
	return "the pause between batches"
}

// create makes the new group, empty and without weight.
func (s State) create(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	if g := seen.Group(s.Input.Group); g != nil {
		switch {
		case s.foreign(g):
			return s.finish(delivery.DeploymentFailed, &delivery.Failure{Kind: delivery.Conflict.String(), Step: "create " + g.Name,
				Message: fmt.Sprintf("%s exists and belongs to %s", g.Name, cmp.Or("deployment "+string(g.Deployment), "somebody else"))}), nil
		case g.Complete && !g.Deleting:
			s.Problems = problemIDs(g)
			return s.createBaseline(seen, now)
		}
	}
	s, late := s.wait("create "+s.Input.Group, s.Input.Strategy.HealthTimeout, now)
	if late != nil {
		return s.fail(late), nil
	}
	c := s.change(delivery.CreateGroup, "create")
	spec := s.Input.Spec
	c.Group, c.Spec, c.Capacity = s.Input.Group, &spec, &delivery.Capacity{Max: spec.Capacity.Max}
	return s, &Decision{Apply: &c}
}

// move carries out the present step: grow, healthy, weight, settled, shrink. A
// baseline grows with the new group, and ends before its first step without one.
func (s State) move(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	if s.Step >= len(s.Steps) {
		return s.enter(Finishing), nil
	}
	g := seen.Group(s.Input.Group)
	if g == nil || g.Deleting {
		return s.vanished(s.Input.Group, now)
	}
	if bad := s.tooManyProblems(g, now); bad != nil {
		return s.fail(bad), nil
	}
	step := s.Steps[s.Step]
	baseline, next, d := s.baseline(step, seen, now)
	if d != nil || next.Phase != s.Phase {
		return next, d
	}
	if !s.StepDone.IsZero() {
		return s.betweenSteps(now)
	}
	dark := s.Input.Strategy.Kind == Dark
	if g.Capacity.Desired < step.New && s.Input.Capabilities.Resize {
		c := s.resize(g.Name, delivery.Pinned(step.New), s.stepKey("grow"))
		return s.apply(c, "grow "+g.Name, now)
	}
	if baseline != nil && baseline.Capacity.Desired < step.Baseline && s.Input.Capabilities.Resize {
		c := s.resize(baseline.Name, delivery.Pinned(step.Baseline), s.stepKey("grow/baseline"))
		return s.apply(c, "grow "+baseline.Name, now)
	}
	holds, what := s.healthyAsWanted(step, g, baseline)
	if next, d := s.awaitStreak(holds, what, now); d != nil || next.Phase != s.Phase {
		return next, d
	} else if dark {
		return next.openPreview(seen, now)
	} else if !s.Routed.IsZero() || step.Weights == nil {
		s = next
	} else {
		return next.route(step, seen, now)
	}
	if next, d, settled := s.settle(step.Weights, seen, now); !settled {
		return next, d
	}
	if next, d = s.endBaseline(step, seen, now); d != nil || next.Phase != s.Phase {
		return next, d
	}
	return next.shrink(step, seen, now)
}

// route writes the step's weights until they are read back.
func (s State) route(step Step, seen delivery.Snapshot, now time.Time) (State, *Decision) {
	if seen.Routing == nil {
		return s.fail(&delivery.Failure{Kind: delivery.NotFound.String(), Step: s.stepName(), Message: "the routing disappeared"}), nil
	}
	if !delivery.SameWeights(seen.Routing.Weights, step.Weights) {
		s.WroteRouting, s.Weighted = true, true
		c := s.change(delivery.SetRouting, s.stepKey("route"))
		c.Weights, c.Fingerprint = step.Weights, seen.Routing.Fingerprint
		return s.apply(c, "set the weights of "+seen.Routing.LoadBalancer, now)
	}
	s.Routed = now
	if s.On.IsZero() && seen.Routing.Percent(s.Input.Group) > 0 {
		s.On = now
	}
	s.Since, s.Waiting = time.Time{}, ""
	return s, nil
}

// settle waits until weights that this step wrote have reached every proxy. The
// weights must stay as wanted meanwhile.
func (s State) settle(want []delivery.Weight, seen delivery.Snapshot, now time.Time) (State, *Decision, bool) {
	if want == nil {
		return s, nil, true
	}
	if seen.Routing == nil || !delivery.SameWeights(seen.Routing.Weights, want) {
		s.Routed = time.Time{}
		next, d := s.moveAgain(now)
		return next, d, false
	}
	until := s.Routed.Add(s.Input.Capabilities.Settle)
	if !s.WroteRouting || !now.Before(until) {
		return s, nil, true
	}
	s.Waiting = "the weights to reach every proxy"
	return s, &Decision{Await: &Await{For: s.Waiting, Until: until, Deadline: until}}, false
}

// moveAgain goes back to writing weights that somebody else changed.
func (s State) moveAgain(now time.Time) (State, *Decision) {
	s, late := s.wait("keep the weights of the step", s.Input.Strategy.HealthTimeout, now)
	if late != nil {
		return s.fail(late), nil
	}
	return s, nil
}

// shrink takes the step's share from the old groups, never below the floor.
func (s State) shrink(step Step, seen delivery.Snapshot, now time.Time) (State, *Decision) {
	for i, src := range s.sources() {
		g := seen.Group(src.Name)
		if g == nil || g.Deleting || g.Capacity.Desired <= step.Old[i] {
			continue
		}
		if healthy, floor := s.healthyAfter(step, seen), s.floor(); healthy < floor {
			return s.awaitStreak1(fmt.Sprintf("%d healthy instances before %s shrinks, %d would be left", floor, g.Name, healthy), now)
		}
		if step.Old[i] > 0 && certain(g, step.Old[i]) == 0 {
			next, d := s.awaitStreak1(fmt.Sprintf("%s to be certain to keep a healthy instance", g.Name), now)
			if step.Old[i] > sick(src) || d == nil || now.Sub(next.Since) < patience {
				return next, d
			}
		}
		c := s.resize(g.Name, delivery.Pinned(step.Old[i]), s.stepKey("shrink/"+g.Name))
		return s.apply(c, "shrink "+g.Name, now)
	}
	for i, src := range s.sources() {
		if g := seen.Group(src.Name); g != nil && s.Input.Strategy.Kind == Rolling && len(g.Instances) > step.Old[i] {
			return s.awaitStreak1(fmt.Sprintf("%s to shrink to %d instances", g.Name, step.Old[i]), now)
		}
	}
	s = s.fresh()
	s.StepDone = now
	return s, nil
}

// healthyAfter is how many healthy instances are certain to be left once the
// step's shrinking is done.
func (s State) healthyAfter(step Step, seen delivery.Snapshot) int {
	n := 0
	if g := seen.Group(s.Input.Group); g != nil {
		n = g.Healthy()
	}
	for i, src := range s.sources() {
		if g := seen.Group(src.Name); g != nil {
			n += certain(g, step.Old[i])
		}
	}
	return n
}

// certain is how many healthy instances a group is certain to keep when it
// shrinks: the cloud may choose healthy ones to go.
func certain(g *delivery.ServerGroup, to int) int {
	leaving := max(0, max(g.Capacity.Desired, len(g.Instances))-to)
	return min(max(0, g.Healthy()-leaving), to)
}

// patience is how long a group that was partly sick before gets to be certain of a
// healthy instance: one that was sick for a moment only is back by then. After
// that it shrinks all the same, for the new version is often the cure. A group that
// had grown gets it too before it goes back to its size: it keeps all that were
// healthy before, if what was added becomes healthy in time.
const patience = time.Minute

// sick is how many of a group's instances were not healthy before.
func sick(g RecordedGroup) int { return max(0, g.Capacity.Desired-g.Healthy) }

// betweenSteps runs what follows a step: the pause, the count of its requests, the
// proof of the checks, the gate.
func (s State) betweenSteps(now time.Time) (State, *Decision) {
	if ref := s.Input.Strategy.PipelineBeforeCleanup; ref != nil && !s.advanced() {
		if id := s.restName(); s.Answered != id {
			s.Waiting = "pipeline " + ref.PipelineID
			return s, &Decision{Gate: &Gate{ID: id, Pipeline: ref}}
		}
	}
	if until := s.restUntil(s.pause()); now.Before(until) {
		s.Waiting = s.restFor()
		return s, &Decision{Await: &Await{For: s.Waiting, Until: until, Deadline: until}}
	}
	if next, d := s.countOut(now); d != nil || next.Phase != s.Phase {
		return next, d
	}
	if names := s.unproved(); len(names) > 0 && s.Judgment() == nil && !s.advanced() && s.lasts() {
		s.Waiting = proving + names[0] + " to pass"
		return s, &Decision{Await: &Await{For: s.Waiting, Deadline: s.GateDeadline(now)}}
	}
	if next, d := s.askGate(now); d != nil || next.Phase != s.Phase || next.Answered != s.Answered {
		return next, d
	}
	s.Started = s.Started.Add(s.rested(now))
	s.Step++
	return s.fresh(), nil
}

func (s State) vanished(group string, now time.Time) (State, *Decision) {
	next, late := s.wait("see "+group, goneTimeout, now)
	if late == nil {
		return next, &Decision{Await: &Await{For: next.Waiting, Deadline: next.Since.Add(goneTimeout)}}
	}
	return s.fail(&delivery.Failure{Kind: delivery.NotFound.String(), Step: s.stepName(),
		Message: fmt.Sprintf("server group %s disappeared", group)}), nil
}

// goneTimeout is how long a group that was seen before may be missing from
// reads: eventual consistency of describe calls passes within minutes.
const goneTimeout = 2 * time.Minute

// tooManyProblems tells when so many instances of the new group failed lately
// that waiting for it is useless. What failed long ago no longer speaks against
// it: a deployment may pause for days between two batches.
func (s State) tooManyProblems(g *delivery.ServerGroup, now time.Time) *delivery.Failure {
	var last delivery.Problem
	count := 0
	for _, p := range g.Problems {
		if slices.Contains(s.Problems, p.ID) || now.Sub(p.At) > s.Input.Strategy.HealthTimeout {
			continue
		}
		if count++; count == 1 || p.At.After(last.At) {
			last = p
		}
	}
	limit := max(minProblems, Percentage(10).Up(s.Input.Spec.Capacity.Desired))
	if !s.Input.Capabilities.Resize {
		limit = 1 // what is wrong with a group without a size is wrong with all of it
	}
	if count < limit {
		return nil
	}
	return &delivery.Failure{Kind: "unhealthy", Step: s.stepName(),
		Message: s.failedInstances(count, g.Name) + last.Message}
}

func (s State) failedInstances(count int, group string) string {
	if !s.Input.Capabilities.Resize {
		return group + " failed: "
	}
	return fmt.Sprintf("%d instances of %s failed, the last one: ", count, group)
}

func problemIDs(g *delivery.ServerGroup) []string {
	ids := make([]string, len(g.Problems))
	for i, p := range g.Problems {
		ids[i] = p.ID
	}
	return ids
}

func (s State) stepName() string {
	if op := s.Input.Operation; op != nil {
		return string(op.Kind)
	}
	return fmt.Sprintf("batch %d of %d", s.Step+1, len(s.Steps))
}

// floor is how many healthy instances have to be left by a shrink. Of instances
// that were not healthy before, none is asked for: the new version is often the
// cure, and it must not wait for the old one to recover.
func (s State) floor() int {
	old, healthy := 0, 0
	for _, g := range s.sources() {
		old += g.Capacity.Desired
		healthy += min(g.Healthy, g.Capacity.Desired)
	}
	wanted := s.Input.Spec.Capacity.Desired
	return max(0, boundsOf(s.Input.Strategy, old, wanted).floor-max(0, min(old, wanted)-healthy))
}

func (s State) resize(group string, to delivery.Capacity, step string) delivery.Change {
	c := s.change(delivery.ResizeGroup, step)
	c.Group, c.Capacity = group, &to
	return c
}
