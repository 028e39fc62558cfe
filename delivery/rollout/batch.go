package rollout

import "github.com/slipway-cd/slipway/delivery"

// Batch is what a person wants to see of a deployment's progress: what the
// present batch wants and what is observed.
type Batch struct {
	Phase Phase `json:"phase"`
	// Batch counts from 1; Of is the number of batches. Both are 0 before the
	// steps are known.
	Batch    int               `json:"batch"`
	Of       int               `json:"of"`
	Waiting  string            `json:"waiting,omitempty"`
	Wanted   []GroupAim        `json:"wanted,omitempty"`
	Observed []GroupProgress   `json:"observed"`
	Cause    *delivery.Failure `json:"cause,omitempty"`
	// Judgment is the question that people are asked; nil for none.
	Judgment *delivery.Judgment `json:"judgment,omitempty"`
}

// GroupAim is what a batch wants of one server group.
type GroupAim struct {
	ServerGroup string `json:"serverGroup"`
	Desired     int    `json:"desired"`
	// Weight is the share of traffic in percent, -1 when the cluster is behind
	// no router.
	Weight int `json:"weight"`
}

// GroupProgress is what is observed of one server group.
type GroupProgress struct {
	GroupAim
	// Healthy is the number of instances that every health source calls healthy.
	Healthy int `json:"healthy"`
	// Updated is how many of them are of the group's version; nil but for an update
	// in place.
	Updated *int `json:"updated,omitempty"`
}

// Batch returns the progress as of a snapshot.
func (s State) Batch(seen delivery.Snapshot) Batch {
	b := Batch{Phase: s.Phase, Of: len(s.Steps), Waiting: s.Waiting, Cause: s.Cause, Observed: []GroupProgress{}}
	if len(s.Steps) > 0 {
		b.Batch = min(s.Step+1, len(s.Steps))
	}
	for _, g := range seen.Groups {
		if g.Capacity.Desired == 0 && len(g.Instances) == 0 && !seen.Serving(g.Name) && g.Name != s.Input.Group {
			continue
		}
		b.Observed = append(b.Observed, GroupProgress{Healthy: g.Healthy(), Updated: s.updatedIn(g),
			GroupAim: GroupAim{ServerGroup: g.Name, Desired: g.Capacity.Desired, Weight: shareOf(seen.Routing, g.Name)}})
	}
	b.Wanted, b.Judgment = s.wanted(), s.Judgment()
	return b
}

// wanted is the present step's aim, or the recorded state while rolling back.
func (s State) wanted() []GroupAim {
	if s.Before == nil || len(s.Steps) == 0 {
		return nil
	}
	if s.Input.Strategy.InPlace {
		return []GroupAim{{ServerGroup: s.Input.Group, Desired: s.Steps[0].New, Weight: s.weightBefore()}}
	}
	routing := &delivery.Routing{}
	if !s.Before.Routed {
		routing = nil
	}
	var out []GroupAim
	if s.Phase == RollingBack {
		if routing != nil {
			routing.Weights = s.Before.Weights
		}
		for _, g := range s.sources() {
			out = append(out, GroupAim{ServerGroup: g.Name, Desired: g.Capacity.Desired, Weight: shareOf(routing, g.Name)})
		}
		return out
	}
	step := s.Steps[min(s.Step, len(s.Steps)-1)]
	if routing != nil {
		routing.Weights = step.Weights
		if step.Weights == nil {
			routing.Weights = s.Before.Weights
		}
	}
	for i, g := range s.sources() {
		out = append(out, GroupAim{ServerGroup: g.Name, Desired: step.Old[i], Weight: shareOf(routing, g.Name)})
	}
	out = append(out, GroupAim{ServerGroup: s.Input.Group, Desired: step.New, Weight: shareOf(routing, s.Input.Group)})
	if step.Baseline > 0 {
		out = append(out, GroupAim{ServerGroup: s.Input.Baseline, Desired: step.Baseline, Weight: shareOf(routing, s.Input.Baseline)})
	}
	return out
}

func shareOf(r *delivery.Routing, group string) int {
	if r == nil {
		return -1
	}
	return r.Percent(group)
}
