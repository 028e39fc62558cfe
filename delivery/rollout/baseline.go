package rollout

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// A baseline is a fresh group of the old version beside a canary: of its size, with
// its weight, and as young as it is. What differs between the two is the version. It
// is there from the beginning until the canary has all traffic.

// BaselineSpec describes the baseline of a source group: the source, and nothing else.
func (in Input) BaselineSpec(source string, capacity delivery.Capacity) delivery.GroupSpec {
	return delivery.GroupSpec{From: source, LoadBalancer: in.Spec.LoadBalancer, Capacity: capacity, Settings: json.RawMessage(`{}`)}
}

// baselineFindings tells what is wrong with a baseline.
func (s Strategy) baselineFindings(in strategyJSON) []delivery.Finding {
	if !s.Baseline {
		return nil
	}
	if s.Kind != Canary {
		return []delivery.Finding{{Pointer: "/baseline", Message: fmt.Sprintf("is of strategy canary, not of %s", s.Kind)}}
	}
	var out []delivery.Finding
	for i, step := range in.Steps {
		if step.Weight > 50 && step.Weight < 100 {
			out = append(out, delivery.Finding{Pointer: fmt.Sprintf("/steps/%d/weight", i),
				Message: fmt.Sprintf("is %d; with a baseline of the same weight it must be at most 50, or 100", step.Weight)})
		}
	}
	if !slices.ContainsFunc(in.Steps, func(c canaryJSON) bool { return c.Weight < 100 }) {
		out = append(out, delivery.Finding{Pointer: "/baseline", Message: "has no step below 100 % to be compared in"})
	}
	return out
}

// destinations is how many groups the router has to get to know.
func (in Input) destinations() int {
	if in.Baseline != "" {
		return 2
	}
	return 1
}

// withBaseline gives the steps below 100 % a baseline of the canary's size and
// weight. The old groups keep the rest.
func (s State) withBaseline(steps []Step) []Step {
	total := 0
	for _, g := range s.sources() {
		total += g.Capacity.Desired
	}
	if s.Input.Baseline == "" || s.BaselineFrom == "" || total == 0 {
		return steps
	}
	out := slices.Clone(steps)
	for i, step := range out {
		share := (&delivery.Routing{Weights: step.Weights}).Percent(s.Input.Group)
		if share == 0 || share > 50 {
			continue
		}
		shares := weights(s.Input.Group, step, s.sources(), 2*share)
		shares[len(shares)-1].Percent = share
		out[i].Baseline, out[i].Weights = step.New, append(shares, delivery.Weight{ServerGroup: s.Input.Baseline, Percent: share})
	}
	return out
}

// createBaseline makes the baseline, empty and without weight, unless no step that
// is left wants one.
func (s State) createBaseline(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	if !slices.ContainsFunc(s.Steps[s.Step:], func(step Step) bool { return step.Baseline > 0 }) {
		return s.enter(Moving), nil
	}
	name := s.Input.Baseline
	if g := seen.Group(name); g != nil {
		switch {
		case s.foreign(g):
			return s.fail(&delivery.Failure{Kind: delivery.Conflict.String(), Step: "create " + name, Message: name + " exists and belongs to somebody else"}), nil
		case g.Complete && !g.Deleting:
			s.Problems = append(s.Problems, problemIDs(g)...)
			return s.enter(Moving), nil
		}
	}
	s, late := s.wait("create "+name, s.Input.Strategy.HealthTimeout, now)
	if late != nil {
		return s.fail(late), nil
	}
	s.BaselineMade = true
	c := s.change(delivery.CreateGroup, "baseline/create")
	spec := s.Input.BaselineSpec(s.BaselineFrom, s.recorded(s.BaselineFrom).Capacity)
	c.Group, c.Spec, c.Capacity = name, &spec, &delivery.Capacity{Max: spec.Capacity.Max}
	return s, &Decision{Apply: &c}
}

// baseline returns the group beside the canary; nil when the step has none, and
// while it is not to be seen.
func (s State) baseline(step Step, seen delivery.Snapshot, now time.Time) (*delivery.ServerGroup, State, *Decision) {
	if step.Baseline == 0 {
		return nil, s, nil
	}
	g := seen.Group(s.Input.Baseline)
	if g == nil || g.Deleting {
		next, d := s.vanished(s.Input.Baseline, now)
		return nil, next, d
	}
	if bad := s.tooManyProblems(g, now); bad != nil {
		return nil, s.fail(bad), nil
	}
	return g, s, nil
}

// healthyAsWanted is the wait for the instances of a step.
func (s State) healthyAsWanted(step Step, g, baseline *delivery.ServerGroup) (bool, waitFor) {
	w := waitFor{what: fmt.Sprintf("%d healthy instances in %s", step.New, g.Name), limit: s.Input.Strategy.HealthTimeout,
		have: fmt.Sprintf("%d are healthy", g.Healthy())}
	if baseline == nil {
		return g.Healthy() >= step.New, w
	}
	w.what += fmt.Sprintf(" and %d in %s", step.Baseline, baseline.Name)
	w.have = fmt.Sprintf("%d and %d are healthy", g.Healthy(), baseline.Healthy())
	return g.Healthy() >= step.New && baseline.Healthy() >= step.Baseline, w
}

// endBaseline destroys the baseline once the step without it has the traffic, and
// what the baseline served is over.
func (s State) endBaseline(step Step, seen delivery.Snapshot, now time.Time) (State, *Decision) {
	if step.Baseline > 0 || !s.BaselineMade {
		return s, nil
	}
	name := s.Input.Baseline
	if seen.Group(name) == nil {
		return s.awaitStreak(true, waitFor{what: name + " to be gone", limit: s.cleanTimeout()}, now)
	}
	s.Streak = 0
	if until := s.Routed.Add(s.Input.Capabilities.Settle + s.Input.Capabilities.Drain); now.Before(until) {
		s.Waiting = "connections to drain"
		return s, &Decision{Await: &Await{For: s.Waiting, Until: until, Deadline: until}}
	}
	s, late := s.wait(destroying+name, s.cleanTimeout(), now)
	if late != nil {
		return s.fail(late), nil
	}
	c := s.change(delivery.DestroyGroup, "baseline/destroy")
	c.Group = name
	return s, &Decision{Apply: &c}
}

// Made returns the names of the groups that the deployment creates.
func (s State) Made() []string {
	if s.BaselineMade {
		return []string{s.Input.Group, s.Input.Baseline}
	}
	return []string{s.Input.Group}
}
