package rollout

import (
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// PromoteServerGroup is the stage type that lets a server group which takes no
// traffic take that of the others, by a strategy.
const PromoteServerGroup = "promoteServerGroup"

// Promotion makes a deployment out of a server group that is there already, most
// often a dark one: it is the new group of the strategy. A rollback gives it back
// the place that it had, and removes nothing.
type Promotion struct {
	// Select says which group is meant when Input.Group is empty. Once two looks at
	// the cluster agreed, State.Input.Group is the group that was selected.
	Select delivery.Selection `json:"select,omitempty"`
	// Capacity is what the group has at the end. Nil gives it the capacity of the
	// newest group that takes traffic, or its own if that is larger.
	// State.Input.Spec.Capacity has it once the group was selected.
	Capacity *delivery.Capacity `json:"capacity,omitempty"`
}

// promoting selects the group and its capacity, or tells why it cannot be promoted.
func (s State) promoting(seen delivery.Snapshot) (State, error) {
	if s.Input.Promotion == nil {
		return s, nil
	}
	g, err := s.candidate(seen)
	if err != nil {
		return s, err
	}
	switch {
	case seen.Routing == nil:
		err = delivery.Errorf(delivery.Invalid, "cluster %s is behind no load balancer whose traffic %s could be given", s.Input.Cluster.Name(), g.Name)
	case seen.Serving(g.Name):
		err = delivery.Errorf(delivery.Conflict, "%s takes %d %% of the traffic already", g.Name, seen.Routing.Percent(g.Name))
	case g.Deleting || !g.Complete:
		err = delivery.Errorf(delivery.Conflict, "%s is being created or deleted", g.Name)
	case !known(seen.Routing, g.Name):
		err = delivery.Errorf(delivery.Conflict, "load balancer %s does not know %s", seen.Routing.LoadBalancer, g.Name)
	}
	s.Input.Group, s.Problems = g.Name, problemIDs(&g)
	s.Input.Spec.Capacity = s.Input.Promotion.capacity(g, seen.NewestServing())
	return s, err
}

// candidate returns the group that is meant.
func (s State) candidate(seen delivery.Snapshot) (delivery.ServerGroup, error) {
	if s.Input.Group == "" {
		return seen.Select(s.Input.Promotion.Select, delivery.SelectOptions{})
	}
	if g := seen.Group(s.Input.Group); g != nil {
		return *g, nil
	}
	return delivery.ServerGroup{}, delivery.Errorf(delivery.NotFound, "cluster %s has no server group %s", s.Input.Cluster.Key(), s.Input.Group)
}

func (p Promotion) capacity(g delivery.ServerGroup, serving *delivery.ServerGroup) delivery.Capacity {
	switch {
	case p.Capacity != nil:
		return *p.Capacity
	case serving != nil && serving.Capacity.Desired > g.Capacity.Desired:
		return serving.Capacity
	default:
		return g.Capacity
	}
}

// demote gives a promoted group back what it had: its capacity, and the way to it.
// Its traffic is gone by then.
func (s State) demote(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	g := seen.Group(s.Input.Group)
	if g == nil || g.Deleting {
		return s, nil // nobody needs it, or somebody destroyed it
	}
	if len(s.sources()) == 0 && seen.Serving(g.Name) {
		return s.leave(g), nil
	}
	if until := s.StepDone.Add(s.Input.Capabilities.Drain); s.Weighted && now.Before(until) {
		return s.drained(until)
	}
	for _, p := range s.Before.Previews {
		if p.ServerGroup != g.Name || seen.Routing.PreviewBy(g.Name, p.Match) != nil {
			continue
		}
		c := s.change(delivery.CreatePreview, "rollback/preview")
		c.Group, c.Match = g.Name, &p.Match
		return s.restore(c, "lead "+p.Match.String()+" to "+g.Name, now)
	}
	if was := s.recorded(g.Name).Capacity; s.Input.Capabilities.Resize && g.Capacity != was {
		return s.restore(s.resize(g.Name, was, "rollback/resize/"+g.Name), "give "+g.Name+" its capacity back", now)
	}
	return s, nil
}
