package rollout

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Plan is what a deployment intends, computed from a snapshot by the decisions
// that will be made when it runs.
type Plan struct {
	Cluster delivery.Cluster `json:"cluster"`
	// ServerGroup is the name that the new group will get if no other deployment
	// takes it before, or the group that an operation is about.
	ServerGroup string `json:"serverGroup"`
	Strategy    Kind   `json:"strategy"`
	// Actions are in order: every change, wait and gate.
	Actions []PlannedAction `json:"actions"`
	// Checks are what is measured meanwhile.
	Checks []Check `json:"checks,omitempty"`
	// Floor is the least number of healthy instances that will be in rotation, Peak
	// the most that will exist at once. Both are 0 where groups have no size.
	Floor int `json:"floor"`
	Peak  int `json:"peak"`
	// Duration is the estimate from the beginning to the end.
	Duration time.Duration `json:"duration"`
	// Failure is why the deployment would end without success; nil when nothing
	// stands in its way.
	Failure *delivery.Failure `json:"failure,omitempty"`
	// Hash is the same for the same intention from the same state: it covers the
	// groups and weights that were observed and all actions, but no estimate.
	Hash string `json:"hash"`
}

// PlannedAction is one thing that a deployment will do. Exactly one of Change,
// Wait and Gate is set.
type PlannedAction struct {
	// At is the estimated time from the beginning.
	At     time.Duration    `json:"at"`
	Change *delivery.Change `json:"change,omitempty"`
	Wait   *PlannedWait     `json:"wait,omitempty"`
	Gate   *Gate            `json:"gate,omitempty"`
}

// PlannedWait is a pause.
type PlannedWait struct {
	// For says what is waited for, for people.
	For string `json:"for"`
	// Takes is how long: exactly for what the strategy asks for, else an estimate.
	Takes time.Duration `json:"takes"`
	// Exact is true for pauses that the strategy or the target asks for.
	Exact bool `json:"exact,omitempty"`
	// Limit is how long it may take, and OnTimeout what follows then, where the
	// strategy says so; else both are zero.
	Limit     time.Duration `json:"limit,omitempty"`
	OnTimeout Action        `json:"onTimeout,omitempty"`
}

// Estimates are what a plan cannot know.
type Estimates struct {
	// Boot is the time from the launch of an instance to its health; one minute
	// when zero.
	Boot time.Duration
	// Look is the time between two looks at the cloud; one second when zero.
	Look time.Duration
}

func (e Estimates) withDefaults() Estimates {
	if e.Boot == 0 {
		e.Boot = time.Minute
	}
	if e.Look == 0 {
		e.Look = time.Second
	}
	return e
}

// maxPlannedLooks bounds the prediction; a deployment of maxBatches needs far fewer.
const maxPlannedLooks = 50_000

// PlanOf predicts what a deployment with this input will do to the cluster that
// was seen, as if everything went well: instances become healthy, writes have
// their effect at once, gates and checks pass. A write that the traffic guard refuses
// fails, and the way back is predicted. after is the cluster as it will be.
func PlanOf(in Input, seen delivery.Snapshot, e Estimates) (plan Plan, after delivery.Snapshot) {
	plan, after, _ = PlanWithin(context.Background(), in, seen, e) // which never ends
	return plan, after
}

// PlanWithin is PlanOf for as long as somebody waits for the plan. The error is that
// of the context.
func PlanWithin(ctx context.Context, in Input, seen delivery.Snapshot, e Estimates) (plan Plan, after delivery.Snapshot, err error) {
	e = e.withDefaults()
	plan = Plan{Cluster: in.Cluster, ServerGroup: in.Group, Strategy: in.Strategy.Kind, Checks: in.Strategy.Checks, Actions: []PlannedAction{}}
	f := newForecast(in, seen, e)
	began, state := f.now, Start(in)
	plan.Floor = inRotation(seen)
	for range maxPlannedLooks {
		if err := ctx.Err(); err != nil {
			return plan, seen, fmt.Errorf("plan %s: %w", in.Cluster.Key(), err)
		}
		var d Decision
		is := f.look()
		state = state.passing(f.now)
		state, d = Next(state, is, f.now)
		at := f.now.Sub(began)
		if in.Capabilities.Resize {
			plan.Peak = max(plan.Peak, instances(is))
			plan.Floor = min(plan.Floor, inRotation(is))
		} else {
			plan.Floor = 0
		}
		switch {
		case d.Done != nil:
			plan.Duration, plan.Failure, plan.ServerGroup = at, d.Done.Failure, state.Input.Group
			plan.Hash = hashOf(plan, in, seen)
			return plan, is, nil
		case d.Apply != nil && tooMany(*d.Apply):
			plan.Failure = &delivery.Failure{Kind: delivery.Quota.String(), Step: "plan", Message: fmt.Sprintf(
				"%s: a plan counts at most %d instances of a server group", d.Apply, delivery.MaxInstances)}
			plan.Hash = hashOf(plan, in, seen)
			return plan, is, nil
		case d.Apply != nil:
			if err := delivery.Guard(is, *d.Apply); err != nil { // who carries a change out asks as well
				state = state.Fail(*delivery.FailureOf(d.Apply.String(), err))
				f.now = f.now.Add(e.Look)
				continue
			}
			plan.Actions = append(plan.Actions, PlannedAction{At: at, Change: planned(*d.Apply)})
			f.apply(*d.Apply)
			f.now = f.now.Add(e.Look)
		case d.Gate != nil:
			plan.Actions = append(plan.Actions, PlannedAction{At: at, Gate: &Gate{ID: d.Gate.ID, Pipeline: d.Gate.Pipeline, Judgment: d.Gate.Judgment}})
			state = state.Answer(d.Gate.ID, nil)
		default:
			if took := f.pass(*d.Await, state.NextCheck()); took > e.Look || !d.Await.Until.IsZero() || d.Await.Limit > 0 {
				plan.wait(at, *d.Await, took)
			}
		}
	}
	plan.Failure = &delivery.Failure{Kind: delivery.Internal.String(), Step: "plan", Message: fmt.Sprintf("no end is in sight after %d looks", maxPlannedLooks)}
	plan.Hash = hashOf(plan, in, seen)
	return plan, f.look(), nil
}

// tooMany reports whether a change gives a group more instances than a plan counts.
func tooMany(c delivery.Change) bool {
	return c.Capacity != nil && c.Capacity.Desired > delivery.MaxInstances
}

// planned is a change as a plan shows it: without what is known only when it is
// carried out.
func planned(c delivery.Change) *delivery.Change {
	c.Fence, c.Fingerprint = 0, ""
	return &c
}

// wait adds a pause, or makes the present one longer.
func (p *Plan) wait(at time.Duration, a Await, took time.Duration) {
	if n := len(p.Actions); n > 0 && p.Actions[n-1].Wait != nil && p.Actions[n-1].Wait.For == a.For {
		p.Actions[n-1].Wait.Takes += took
		return
	}
	p.Actions = append(p.Actions, PlannedAction{At: at, Wait: &PlannedWait{For: a.For, Takes: took, Exact: !a.Until.IsZero() && a.Limit == 0, Limit: a.Limit, OnTimeout: a.OnTimeout}})
}

// inRotation counts the healthy instances of the groups that take traffic.
func inRotation(seen delivery.Snapshot) int {
	n := 0
	for _, g := range seen.Groups {
		if seen.Serving(g.Name) {
			n += g.Healthy()
		}
	}
	return n
}

// hashOf covers what was seen and what is intended, also what only counts when
// something goes wrong. Estimates and what differs between two runs of the same
// intention are left out.
func hashOf(p Plan, in Input, seen delivery.Snapshot) string {
	type group struct {
		Name, Image string
		Capacity    delivery.Capacity
		Percent     int
	}
	type action struct {
		Change string              `json:",omitempty"`
		Spec   *delivery.GroupSpec `json:",omitempty"`
		Wait   string              `json:",omitempty"`
		Takes  time.Duration       `json:",omitempty"`
		// OnTimeout is for waits that have a limit, which is in Takes.
		OnTimeout Action `json:",omitempty"`
		Gate      *Gate  `json:",omitempty"`
	}
	st := in.Strategy
	base := struct {
		Cluster  delivery.Cluster
		Strategy Kind
		Groups   []group
		Actions  []action
		Checks   []Check `json:",omitempty"`
		Failure  *delivery.Failure
		// The rest of the strategy shows in the actions.
		HealthTimeout, Deadline time.Duration
		Concurrency             Concurrency
		KeepOnFailure           bool
		// HealthyPercent is a rollback's.
		HealthyPercent int `json:",omitempty"`
		// Previews are those of rules: addresses come and go with their groups.
		Previews []delivery.Preview `json:",omitempty"`
	}{Cluster: p.Cluster, Strategy: p.Strategy, Checks: p.Checks, Failure: p.Failure,
		HealthTimeout: st.HealthTimeout, Deadline: st.Deadline, Concurrency: st.Concurrency, KeepOnFailure: st.KeepOnFailure}
	if in.Operation != nil && in.Operation.Rollback != nil {
		base.HealthyPercent = in.Operation.Rollback.HealthyPercent
	}
	for _, g := range seen.Groups {
		base.Groups = append(base.Groups, group{g.Name, g.Image, g.Capacity, seen.Routing.Percent(g.Name)})
		if led := seen.Routing.Preview(g.Name); led != nil {
			base.Previews = append(base.Previews, *led)
		}
	}
	for _, a := range p.Actions {
		switch {
		case a.Change != nil:
			base.Actions = append(base.Actions, action{Change: a.Change.String(), Spec: a.Change.Spec})
		case a.Gate != nil:
			base.Actions = append(base.Actions, action{Gate: a.Gate})
		case a.Wait.Limit > 0:
			base.Actions = append(base.Actions, action{Wait: a.Wait.For, Takes: a.Wait.Limit, OnTimeout: a.Wait.OnTimeout})
		case a.Wait.Exact:
			base.Actions = append(base.Actions, action{Wait: a.Wait.For, Takes: a.Wait.Takes.Round(time.Second)})
		default:
			base.Actions = append(base.Actions, action{Wait: a.Wait.For})
		}
	}
	text, err := json.Marshal(base)
	if err != nil {
		return "" // plain data always marshals, but for settings that are no JSON, which no pipeline can hold
	}
	sum := sha256.Sum256(text)
	return fmt.Sprintf("%x", sum[:16])
}
