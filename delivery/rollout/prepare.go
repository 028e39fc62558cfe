package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// maxBatches bounds the steps of a deployment. They are part of its state, which
// is stored at each of them.
const maxBatches = 500

// prepare records what is, before anything is written. Two consecutive looks
// have to agree: a rollback restores from this record and from nothing else.
func (s State) prepare(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	if s.Started.IsZero() {
		s.Started = now
	}
	if f := s.refusal(seen); f != nil {
		return s.fail(f), nil
	}
	first, again := s.Before, record(seen, s.created())
	s.Before = again
	switch missing := unrecorded(seen, again); {
	case missing != "":
		s.Before = nil
		return s.awaitStreak1("see all of "+missing+", which takes traffic", now)
	case first == nil || !first.same(again):
		return s.awaitStreak1("a second look at the cluster", now)
	}
	for i := range again.Groups {
		again.Groups[i].Healthy = max(again.Groups[i].Healthy, first.Groups[i].Healthy)
	}
	next, err := s.promoting(seen)
	if err == nil {
		err = next.impossibleDark(seen)
	}
	if err != nil {
		return s.fail(delivery.FailureOf("plan the deployment", err)), nil
	}
	s = next
	s.Steps = Steps(s.Input.Strategy, s.Input.Group, s.Input.Spec.Capacity.Desired, s.sources(), again.Routed)
	if !s.Input.Capabilities.Resize {
		s.Steps = weightsOnly(s.Steps, s.sources())
	}
	if source := seen.NewestServing(); s.Input.Baseline != "" && source != nil {
		s.BaselineFrom = source.Name
	}
	s.Steps = s.withBaseline(s.Steps)
	if len(s.Steps) > maxBatches {
		s.Steps = nil
		return s.fail(&delivery.Failure{Kind: delivery.Invalid.String(), Step: "plan the batches",
			Message: fmt.Sprintf("more than %d batches would be needed; raise maxSurge or maxUnavailable", maxBatches)}), nil
	}
	if s.Input.Promotion != nil {
		return s.enter(Moving), nil
	}
	return s.enter(Creating), nil
}

// created is the name of the group that the deployment makes; empty when it makes none.
func (s State) created() string {
	if s.Input.Promotion != nil {
		return ""
	}
	return s.Input.Group
}

// refusal tells what of the routing or of the target makes the deployment impossible.
func (s State) refusal(seen delivery.Snapshot) *delivery.Failure {
	refuse := func(kind delivery.Kind, format string, args ...any) *delivery.Failure {
		return &delivery.Failure{Kind: kind.String(), Step: "plan the deployment", Message: fmt.Sprintf(format, args...)}
	}
	unsuited := s.Input.Strategy.Unsuited(s.Input.Capabilities, s.Input.Spec.LoadBalancer != "" || seen.Routing != nil)
	if len(unsuited) > 0 {
		f := refuse(delivery.Invalid, "the strategy cannot be carried out: %s %s", unsuited[0].Pointer, unsuited[0].Message)
		f.Findings = unsuited
		return f
	}
	if s.Input.Promotion != nil {
		return nil
	}
	wanted, m := s.Input.Spec.LoadBalancer, s.Input.Capabilities.MaxDestinations
	switch {
	case wanted != "" && seen.Routing == nil:
		return refuse(delivery.NotFound, "load balancer %s has no rule for cluster %s", wanted, s.Input.Cluster.Name())
	case wanted == "" && seen.Routing != nil:
		return refuse(delivery.Invalid, "cluster %s is behind load balancer %s, which the deploy stage does not name",
			s.Input.Cluster.Name(), seen.Routing.LoadBalancer)
	case seen.Routing != nil && m > 0 && !s.Input.Strategy.InPlace && len(seen.Routing.Weights)+s.Input.destinations() > m:
		return refuse(delivery.Quota, "%s already knows %d server groups, and can know %d; the deployment needs %d more: destroy those without traffic first",
			seen.Routing.LoadBalancer, len(seen.Routing.Weights), m, s.Input.destinations())
	}
	return nil
}

// record returns what a rollback will restore. The new group is no part of it.
func record(seen delivery.Snapshot, fresh string) *Recorded {
	out := &Recorded{Routed: seen.Routing != nil}
	for _, g := range seen.Groups {
		if g.Deleting || !g.Complete || g.Name == fresh {
			continue
		}
		out.Groups = append(out.Groups, RecordedGroup{Name: g.Name, Capacity: g.Capacity,
			Healthy: g.Healthy(), Serving: seen.Serving(g.Name), Image: g.Image, Version: g.Version})
	}
	if seen.Routing != nil {
		out.Weights = slices.Clone(seen.Routing.Weights)
		out.Previews = slices.Clone(seen.Routing.Previews)
	}
	return out
}

// same reports whether two records would restore the same. Health may differ.
func (r *Recorded) same(o *Recorded) bool {
	return r.Routed == o.Routed && delivery.SameWeights(r.Weights, o.Weights) &&
		slices.EqualFunc(r.Groups, o.Groups, func(a, b RecordedGroup) bool {
			return a.Name == b.Name && a.Capacity == b.Capacity && a.Serving == b.Serving && a.Version == b.Version
		})
}

// unrecorded returns a group that has weight and could not be recorded, since
// pieces of it are missing; "" when there is none.
func unrecorded(seen delivery.Snapshot, r *Recorded) string {
	for _, w := range r.Weights {
		if w.Percent > 0 && !slices.ContainsFunc(r.Groups, func(g RecordedGroup) bool { return g.Name == w.ServerGroup }) {
			return w.ServerGroup
		}
	}
	return ""
}
