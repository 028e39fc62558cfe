package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// The rollbacks on demand: operations that give the traffic of a cluster back to
// what had it before.
const (
	RollbackGroupOperation   OperationKind = "rollbackServerGroup"
	RollbackClusterOperation OperationKind = "rollbackCluster"
)

// Rollbacks returns the operations that are rollbacks on demand.
func Rollbacks() []OperationKind {
	return []OperationKind{RollbackGroupOperation, RollbackClusterOperation}
}

// Rollback is what a rollback on demand restores: ChooseRollback decides it from
// the records. The order is that of every rollback: capacity and health first,
// then traffic, read back and settled, and only then the groups that lost it.
//
// Until it decides to write weights it is undone when it fails or is canceled.
// From then on it is carried to its end: the traffic never goes back to what was
// rolled back.
type Rollback struct {
	// Of is the deployment that is rolled back; empty when no record names it.
	Of delivery.DeploymentID `json:"of,omitempty"`
	// From is the server group that it gave the traffic.
	From string `json:"from"`
	// To is what is to be: the groups that serve with the capacity they are to
	// have at least, and the weights above 0. Other groups have none.
	To Recorded `json:"to"`
	// Redeploys is the deployment whose version is deployed anew, as the operation's
	// group, because Gone, which ran it, is gone, or is From and was updated in place;
	// Capacity is what Gone had. All are empty when the groups are still there.
	Redeploys delivery.DeploymentID `json:"redeploys,omitempty"`
	Gone      string                `json:"gone,omitempty"`
	Capacity  *delivery.Capacity    `json:"capacity,omitempty"`
	// HealthyPercent is how much of a group must be healthy before the traffic
	// moves: 1 to 100.
	HealthyPercent int `json:"healthyPercent"`
	// ScaleDown and Destroy say what becomes of the groups that lose their traffic.
	// Where no router takes it from them they are scaled to zero in any case.
	ScaleDown bool `json:"scaleDown,omitempty"`
	Destroy   bool `json:"destroy,omitempty"`
	// Reason is what whoever asked for it said.
	Reason string `json:"reason,omitempty"`
}

// Anew returns the rollback with the name of the group that it deploys.
func (r Rollback) Anew(group string) Rollback {
	capacity := *r.Capacity
	r.To.Groups = []RecordedGroup{{Name: group, Capacity: capacity, Healthy: capacity.Desired, Serving: true}}
	if r.To.Routed {
		r.To.Weights = []delivery.Weight{{ServerGroup: group, Percent: 100}}
	}
	return r
}

// Group returns the newest of the groups that get the traffic.
func (r Rollback) Group() string {
	if len(r.To.Groups) == 0 {
		return ""
	}
	return r.To.Groups[len(r.To.Groups)-1].Name
}

// Intent says for people what is rolled back, and how.
func (r Rollback) Intent() string {
	what := r.From
	if r.Of != "" {
		what = string(r.Of)
	}
	if r.Redeploys != "" && r.Gone == r.From {
		return fmt.Sprintf("rollback of %s: %s, and its version before is deployed anew as %s", what, r.lost(), r.Group())
	}
	if r.Redeploys != "" {
		return fmt.Sprintf("rollback of %s: %s is gone and is deployed anew as %s", what, r.Gone, r.Group())
	}
	return fmt.Sprintf("rollback of %s: %s takes its traffic back", what, r.Group())
}

// lost says for people why the recorded version runs no more.
func (r Rollback) lost() string {
	if r.Gone == r.From {
		return r.Gone + " was updated in place"
	}
	return r.Gone + " is gone"
}

// Undeployable is the Conflict that the version cannot be deployed anew.
func (r Rollback) Undeployable(why error) error {
	which := "its version"
	if r.Gone == r.From {
		which = "its version before"
	}
	return delivery.Errorf(delivery.Conflict, "%s, and %s cannot be deployed anew: %s", r.lost(), which, why)
}

// rollback returns the rollback on demand that is carried out; nil for none.
func (s State) rollback() *Rollback {
	if s.Input.Operation == nil {
		return nil
	}
	return s.Input.Operation.Rollback
}

// redeploys reports whether a rollback on demand makes a new group.
func (s State) redeploys() bool { return s.rollback() != nil && s.rollback().Redeploys != "" }

// goingBack reports whether a rollback on demand has begun to move the traffic.
func (s State) goingBack() bool { return s.rollback() != nil && s.Weighted && s.Phase != Finished }

// beginRollback refuses what cannot be done before anything is written.
func (s State) beginRollback(seen delivery.Snapshot) (State, *Decision) {
	if err := s.unrestorable(seen); err != nil {
		return s.fail(delivery.FailureOf("plan the rollback", err)), nil
	}
	if g := seen.Group(s.Input.Group); g != nil {
		s.Problems = problemIDs(g)
	}
	return s.enter(Operating).withLoad(), nil
}

// unrestorable tells what of the target or of the cluster, which may have changed
// since the rollback was chosen, stands against it.
func (s State) unrestorable(seen delivery.Snapshot) error {
	r, can := s.rollback(), s.Input.Capabilities
	if refused := r.Refused(can, r.To.Routed); refused != "" {
		return delivery.Errorf(delivery.Invalid, "%s: %s", r.From, refused)
	}
	if !seen.Serving(r.From) {
		return delivery.Errorf(delivery.Conflict, "%s no longer takes traffic", r.From)
	}
	if m := can.MaxDestinations; r.Redeploys != "" && seen.Routing != nil && m > 0 && len(seen.Routing.Weights) >= m {
		return delivery.Errorf(delivery.Quota, "%s already knows %d server groups, the most it can; destroy one without traffic first",
			seen.Routing.LoadBalancer, len(seen.Routing.Weights))
	}
	for _, g := range r.To.Groups {
		if r.Redeploys != "" {
			break
		}
		if err := restorable(seen, g.Name); err != nil {
			return err
		}
	}
	for _, g := range s.retiring() {
		if r.Destroy && !seen.Group(g.Name).Managed {
			return delivery.Errorf(delivery.Guarded, "destroy of %s refused: it carries no ownership tag of Slipway", g.Name)
		}
	}
	return nil
}

// Refused tells why a target of these capabilities cannot do the rollback; empty
// when nothing speaks against it.
func (r Rollback) Refused(can delivery.Capabilities, routed bool) string {
	switch {
	case routed && !can.Weighted:
		return "traffic cannot be split between server groups of this kind"
	case r.ScaleDown && !can.Resize:
		return "scaleDown cannot be used: the size of a server group of this kind cannot be changed, and one without traffic has no instances by itself"
	}
	return ""
}

// withLoad lets the one group that takes over be as large as those it takes over
// from, within its own bounds: the load may have grown since it served.
func (s State) withLoad() State {
	op, r := *s.Input.Operation, *s.rollback()
	if len(r.To.Groups) != 1 || !s.Input.Capabilities.Resize {
		return s
	}
	load := 0
	for _, g := range s.retiring() {
		load += g.Capacity.Desired
	}
	g := r.To.Groups[0]
	grown := min(max(load, g.Capacity.Desired), max(g.Capacity.Max, g.Capacity.Desired))
	g.Healthy += grown - g.Capacity.Desired
	g.Capacity.Desired = grown
	r.To.Groups = []RecordedGroup{g}
	op.Rollback, s.Input.Operation = &r, &op
	return s
}

// retiring are the groups that took traffic and are to have none.
func (s State) retiring() []RecordedGroup {
	to := s.rollback().To
	return slices.DeleteFunc(s.sources(), func(g RecordedGroup) bool {
		return slices.ContainsFunc(to.Groups, func(t RecordedGroup) bool { return t.Name == g.Name }) ||
			(&delivery.Routing{Weights: to.Weights}).Percent(g.Name) > 0
	})
}

// operateRollback carries the rollback out.
func (s State) operateRollback(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	for _, step := range []func(State, delivery.Snapshot, time.Time) (State, *Decision){
		State.deployAnew, State.regainCapacity, State.regainHealth, State.regainTraffic, State.retire,
	} {
		next, d := step(s, seen, now)
		if d != nil || next.Phase != Operating {
			return next, d
		}
		s = next
	}
	return s.finish(delivery.DeploymentSucceeded, nil), nil
}

// deployAnew makes the new group, empty and without weight, where the old one is gone.
func (s State) deployAnew(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	if !s.redeploys() || s.HealthBack {
		return s, nil
	}
	if g := seen.Group(s.Input.Group); g != nil {
		if s.foreign(g) {
			return s.fail(&delivery.Failure{Kind: delivery.Conflict.String(), Step: "create " + g.Name, Message: g.Name + " exists and belongs to somebody else"}), nil
		}
		if g.Complete && !g.Deleting {
			return s, nil
		}
	}
	s.Changing = true
	c := s.change(delivery.CreateGroup, "create")
	spec := s.Input.Spec
	c.Group, c.Spec, c.Capacity = s.Input.Group, &spec, &delivery.Capacity{Max: spec.Capacity.Max}
	return s.apply(c, "create "+s.Input.Group, now)
}

// regainCapacity gives the groups that take over their capacity, and takes none
// from them.
func (s State) regainCapacity(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	if s.HealthBack {
		return s, nil
	}
	for _, want := range s.rollback().To.Groups {
		g := seen.Group(want.Name)
		if g == nil || g.Deleting {
			return s.awaitStreak1("see "+want.Name+", which is to take the traffic", now)
		}
		if !s.Input.Capabilities.Resize || restored(g.Capacity, want.Capacity, false) {
			continue
		}
		to := want.Capacity
		to.Desired = min(max(to.Desired, g.Capacity.Desired), to.Max)
		if !s.keepsHealthy(seen, g, to.Desired) {
			return s.awaitStreak1(want.Name+" to be certain to keep a healthy instance", now)
		}
		s.Changing = true
		return s.apply(s.resize(want.Name, to, "restore/resize/"+want.Name), "give "+want.Name+" its capacity", now)
	}
	return s, nil
}

// regainHealth waits until the groups that take over are healthy.
func (s State) regainHealth(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	if s.HealthBack {
		return s, nil
	}
	if g := seen.Group(s.Input.Group); g != nil {
		if bad := s.tooManyProblems(g, now); bad != nil {
			return s.fail(bad), nil
		}
	}
	what, have := s.unwell(seen)
	next, d := s.awaitStreak(have == "", waitFor{what: what, have: have, limit: s.Input.Strategy.HealthTimeout}, now)
	if d != nil || next.Phase != Operating {
		return next, d
	}
	next.HealthBack, next.Streak, next.Since, next.Waiting = true, 0, time.Time{}, ""
	return next, nil
}

// unwell says what is waited for until the groups that take over are healthy, and
// what there is instead; have is empty when they are.
func (s State) unwell(seen delivery.Snapshot) (what, have string) {
	for _, want := range s.rollback().To.Groups {
		need, healthy := s.needed(want, seen), 0
		if g := seen.Group(want.Name); g != nil {
			healthy = g.Healthy()
		}
		what = fmt.Sprintf("%d healthy instances in %s", need, want.Name)
		if healthy < need {
			return what, fmt.Sprintf("%d are healthy", healthy)
		}
	}
	return what, ""
}

// needed is how many healthy instances a group needs before it takes over: no more
// than it had, and one is better than waiting while nothing that serves is healthy.
func (s State) needed(want RecordedGroup, seen delivery.Snapshot) int {
	if !s.Input.Capabilities.Resize || !s.goingBack() && inRotation(seen) == 0 {
		return 1
	}
	return max(1, Percentage(s.rollback().HealthyPercent).Up(want.Capacity.Desired)-sick(want))
}

// regainTraffic writes the weights and waits until they were read back at
// consecutive looks for as long as a write needs to settle.
func (s State) regainTraffic(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	to := s.rollback().To
	switch {
	case !s.StepDone.IsZero():
		return s, nil
	case !to.Routed:
		s.StepDone, s.Weighted, s.Changing = now, true, true
		return s, nil
	case seen.Routing == nil:
		return s.awaitStreak1("see the routing", now)
	case !delivery.SameWeights(seen.Routing.Weights, to.Weights):
		return s.giveTraffic(to.Weights, seen, now)
	}
	s.Weighted, s.Changing = true, true
	if s.Routed.IsZero() {
		s.Routed = now
	}
	s.Streak++
	until := s.Routed.Add(s.Input.Capabilities.Settle)
	if s.Streak < lookTwice || now.Before(until) {
		s.Waiting = "the weights to reach every proxy"
		return s, &Decision{Await: &Await{For: s.Waiting, Until: until, Deadline: until}}
	}
	s.StepDone, s.Streak, s.Since, s.Waiting = now, 0, time.Time{}, ""
	return s, nil
}

func (s State) giveTraffic(weights []delivery.Weight, seen delivery.Snapshot, now time.Time) (State, *Decision) {
	s.Routed, s.Streak = time.Time{}, 0
	c := s.change(delivery.SetRouting, "restore/route")
	c.Weights, c.Fingerprint = weights, seen.Routing.Fingerprint
	if err := delivery.Guard(seen, c); err != nil {
		return s.awaitStreak1("the traffic guard: "+err.Error(), now)
	}
	s.Weighted, s.Changing = true, true
	return s.goOn(c, "give the traffic back", now)
}

// goOn decides on a change behind which there is no way back.
func (s State) goOn(c delivery.Change, what string, now time.Time) (State, *Decision) {
	s, pause := s.retry(now)
	if pause != nil {
		return s, pause
	}
	return s.restore(c, what, now)
}

// retire takes the capacity of the groups that lost their traffic, when that is
// asked for. Nothing is taken before their connections have drained, nor while
// those that took over are not healthy.
func (s State) retire(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	r := s.rollback()
	if r.To.Routed && !r.ScaleDown && !r.Destroy {
		return s, nil
	}
	if until := s.StepDone.Add(s.Input.Capabilities.Drain); r.To.Routed && now.Before(until) {
		s.Waiting = "connections to drain"
		return s, &Decision{Await: &Await{For: s.Waiting, Until: until, Deadline: until}}
	}
	for _, was := range s.retiring() {
		g := seen.Group(was.Name)
		if g == nil {
			continue
		}
		if next, d := s.retireGroup(g, seen, now); d != nil || next.Phase != Operating {
			return next, d
		}
	}
	if s.Streak++; s.Streak < lookTwice {
		return s.awaitRestore("a second look at the cluster", now)
	}
	return s, nil
}

// retireGroup returns a nil decision once the group is what it is to be.
func (s State) retireGroup(g *delivery.ServerGroup, seen delivery.Snapshot, now time.Time) (State, *Decision) {
	r := s.rollback()
	scaled := r.ScaleDown || !r.To.Routed
	empty := g.Capacity == delivery.Pinned(0)
	if !r.Destroy && empty && len(g.Instances) == 0 {
		return s, nil
	}
	if what, have := s.unwell(seen); have != "" && !empty && !g.Deleting {
		return s.awaitAgain(what+" before "+g.Name+" goes", now)
	}
	switch {
	case seen.Routing.Percent(g.Name) > 0:
		return s.awaitAgain(g.Name+" to lose its traffic", now)
	case scaled && !empty && !g.Deleting:
		return s.goOn(s.resize(g.Name, delivery.Pinned(0), "restore/scaleDown/"+g.Name), "scale "+g.Name+" down", now)
	case !r.Destroy:
		return s.awaitAgain(g.Name+" to have no instance", now)
	}
	c := s.change(delivery.DestroyGroup, "restore/destroy/"+g.Name)
	c.Group = g.Name
	return s.goOn(c, destroying+g.Name, now)
}

// awaitAgain waits like awaitRestore; what was seen before counts for nothing.
func (s State) awaitAgain(what string, now time.Time) (State, *Decision) {
	s.Streak = 0
	return s.awaitRestore(what, now)
}

// undoCapacity gives the groups that were to take over the capacity back that they
// had before the rollback began. The traffic never moved.
func (s State) undoCapacity(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	if s.redeploys() || !s.Input.Capabilities.Resize {
		return s, nil
	}
	for _, to := range s.rollback().To.Groups {
		g, was := seen.Group(to.Name), s.recorded(to.Name)
		if g == nil || g.Deleting {
			continue
		}
		what := "give " + was.Name + " its capacity back"
		held := restored(g.Capacity, was.Capacity, false) && s.Waiting == what && now.Sub(s.Since) > autoscalerTime
		s.Sized = s.Sized || held
		if g.Capacity == was.Capacity || s.Sized && restored(g.Capacity, was.Capacity, false) {
			continue
		}
		if !s.keepsHealthy(seen, g, was.Capacity.Desired) {
			return s.awaitRestore(was.Name+" to be certain to keep a healthy instance", now)
		}
		return s.restore(s.resize(was.Name, was.Capacity, "rollback/resize/"+was.Name), what, now)
	}
	if s.Streak++; s.Streak < lookTwice {
		return s.awaitRestore("a second look at the cluster", now)
	}
	return s, nil
}
