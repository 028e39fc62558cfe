package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// The operations on all server groups of a cluster but some.
const (
	// ShrinkOperation destroys groups.
	ShrinkOperation OperationKind = "shrinkCluster"
	// ScaleDownOperation takes all instances from groups.
	ScaleDownOperation OperationKind = "scaleDownCluster"
	// DisableClusterOperation takes the traffic from groups.
	DisableClusterOperation OperationKind = "disableCluster"
)

// OfCluster reports whether the operation is about several server groups of its
// cluster: it is carried out on one after the other.
func (k OperationKind) OfCluster() bool {
	return slices.Contains([]OperationKind{ShrinkOperation, ScaleDownOperation, DisableClusterOperation}, k)
}

// Keep says which server groups an operation on a cluster leaves alone.
type Keep struct {
	// Groups is how many at the least. Where Active is false, those that take traffic
	// are among them, and all of them stay.
	Groups int `json:"groups"`
	// Larger prefers those with more instances to newer ones.
	Larger bool `json:"larger,omitempty"`
	// Active lets groups that take traffic be among those that are not kept; their
	// traffic is taken first. Those without are given up before.
	Active bool `json:"active,omitempty"`
}

// operands returns the groups that are not kept, the oldest first. Groups that
// are what the operation would make of them are left out. One that a rule leads to
// is somebody's dark release: it neither counts nor goes.
func (o Operation) operands(seen delivery.Snapshot) []string {
	pool, keep := seen.NewestFirst(), o.Keep.Groups
	pool = slices.DeleteFunc(pool, func(g delivery.ServerGroup) bool { return seen.Routing.Preview(g.Name) != nil })
	all := len(pool)
	switch {
	case o.Kind == DisableClusterOperation:
		pool = slices.DeleteFunc(pool, func(g delivery.ServerGroup) bool { return !seen.Serving(g.Name) })
	case !o.Keep.Active:
		pool = slices.DeleteFunc(pool, func(g delivery.ServerGroup) bool { return seen.Serving(g.Name) })
		keep -= all - len(pool)
	}
	active := func(g delivery.ServerGroup) int {
		if seen.Serving(g.Name) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(pool, func(a, b delivery.ServerGroup) int {
		if order := cmp.Compare(active(b), active(a)); order != 0 || !o.Keep.Larger {
			return order
		}
		return cmp.Compare(len(b.Instances), len(a.Instances))
	})
	pool = pool[min(max(0, keep), len(pool)):]
	slices.SortStableFunc(pool, func(a, b delivery.ServerGroup) int { return a.CreatedAt.Compare(b.CreatedAt) })
	var out []string
	for _, g := range pool {
		if o.Kind != ScaleDownOperation || g.Capacity != delivery.Pinned(0) || len(g.Instances) > 0 {
			out = append(out, g.Name)
		}
	}
	return out
}

// prepareCluster selects the groups and refuses what must not be done to them,
// before anything is written.
func (s State) prepareCluster(seen delivery.Snapshot) (State, *Decision) {
	s.Operands = s.Input.Operation.operands(seen)
	if err := s.impossibleCluster(seen); err != nil {
		return s.fail(delivery.FailureOf("plan the operation", err)), nil
	}
	if len(s.Operands) == 0 {
		return s.finish(delivery.DeploymentSucceeded, nil), nil
	}
	s.Input.Group, s.Weights = s.Operands[0], s.withoutOperands(seen)
	if err := s.forbiddenCluster(seen); err != nil {
		return s.fail(delivery.FailureOf("plan the operation", err)), nil
	}
	return s.enter(Operating), nil
}

// impossibleCluster tells what of the target or of the cluster stands against it.
func (s State) impossibleCluster(seen delivery.Snapshot) error {
	op := s.Input.Operation
	name := s.Input.Cluster.Name()
	if refused := op.Refused(s.Input.Capabilities); refused != "" {
		return delivery.Errorf(delivery.Invalid, "%s: %s", name, refused)
	}
	if op.Kind == DisableClusterOperation && seen.Routing == nil {
		return delivery.Errorf(delivery.Invalid, "cluster %s is behind no load balancer whose traffic its server groups could be denied", name)
	}
	for _, group := range s.Operands {
		if g := seen.Group(group); !g.Complete {
			return delivery.Errorf(delivery.Conflict, "%s is being created or deleted", group)
		}
	}
	return nil
}

// withoutOperands are the weights once the operands have none; nil when they have
// none already, or when there is no router.
func (s State) withoutOperands(seen delivery.Snapshot) []delivery.Weight {
	if seen.Routing == nil {
		return nil
	}
	var kept, taken []delivery.Weight
	for _, w := range seen.Routing.Weights {
		switch {
		case w.Percent == 0:
		case slices.Contains(s.Operands, w.ServerGroup):
			taken = append(taken, delivery.Weight{ServerGroup: w.ServerGroup})
		default:
			kept = append(kept, w)
		}
	}
	if len(taken) == 0 {
		return nil
	}
	return append(sharesWith(taken[0].ServerGroup, 0, kept), taken[1:]...)
}

// forbiddenCluster asks the traffic guard about every change, each on the cluster
// as those before it leave it.
func (s State) forbiddenCluster(seen delivery.Snapshot) error {
	will := newForecast(s.Input, seen, Estimates{})
	ask := func(c delivery.Change) error {
		err := delivery.Guard(will.look(), c)
		will.apply(c)
		return err
	}
	if s.leavesNone(seen) {
		return delivery.Errorf(delivery.Guarded, "%s of %s refused: no server group that takes traffic would be left", s.Input.Operation.Kind, s.Input.Cluster.Name())
	}
	if s.Weights != nil {
		if err := ask(s.operationChange(seen)); err != nil {
			return err
		}
	}
	if s.Input.Operation.Kind == DisableClusterOperation {
		return nil
	}
	for _, s.Input.Group = range s.Operands {
		if err := ask(s.partChange()); err != nil {
			return err
		}
	}
	return nil
}

// leavesNone reports whether the groups that take traffic are all operands.
func (s State) leavesNone(seen delivery.Snapshot) bool {
	serving := slices.DeleteFunc(slices.Clone(seen.Groups), func(g delivery.ServerGroup) bool { return !seen.Serving(g.Name) })
	return len(serving) > 0 && !slices.ContainsFunc(serving, func(g delivery.ServerGroup) bool { return !slices.Contains(s.Operands, g.Name) })
}

// partChange is what an operation on a cluster does to the present group.
func (s State) partChange() delivery.Change {
	step := "operate/" + s.Input.Group
	if s.Input.Operation.Kind == ScaleDownOperation {
		return s.resize(s.Input.Group, delivery.Pinned(0), step)
	}
	c := s.change(delivery.DestroyGroup, step)
	c.Group = s.Input.Group
	return c
}

// operateCluster takes the groups' traffic, and then sees to one after the other.
func (s State) operateCluster(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	switch {
	case s.takes():
		return s.operateWeights(seen, now)
	case s.Input.Operation.Kind == ShrinkOperation:
		return s.operateDestroy(seen, now)
	default:
		return s.operateSize(seen, now)
	}
}

// takes reports whether the present change of an operation on a cluster is of the
// weights.
func (s State) takes() bool {
	return s.Input.Operation.Kind == DisableClusterOperation || s.Weights != nil && !s.Taken
}

// operated ends the operation, or goes on to what it does next.
func (s State) operated() State {
	switch kind := s.Input.Operation.Kind; {
	case !kind.OfCluster() || kind == DisableClusterOperation:
		return s.finish(delivery.DeploymentSucceeded, nil)
	case s.takes():
		s.Taken = true
		return s.fresh()
	case s.Operated+1 >= len(s.Operands):
		return s.finish(delivery.DeploymentSucceeded, nil)
	case s.LastDestroy != "":
		s.Operated++
		return s.leaveOperands()
	default:
		s.Operated++
		s.Input.Group = s.Operands[s.Operated]
		return s.fresh()
	}
}

// begun reports whether the operation decided on the change that what names. That
// of a cluster decides once for each group.
func (s State) begun(what string) bool {
	return s.Changing && (len(s.Operands) == 0 || s.Waiting == what)
}

// refusedPart waits for the traffic guard before the next group of a cluster: what
// it saw may have been a stale read, or an instance that is back in a moment.
func (s State) refusedPart(step string, refused error, now time.Time) (State, *Decision) {
	if len(s.Operands) == 0 {
		return s.fail(delivery.FailureOf(step, refused)), nil
	}
	return s.awaitStreak1("the traffic guard: "+refused.Error(), now)
}

// resizes reports whether the operation may have changed the size of a group.
func (s State) resizes(group string) bool {
	if s.Input.Operation != nil && s.Input.Operation.Kind == ScaleDownOperation {
		return slices.Contains(s.Operands[:min(s.Operated+1, len(s.Operands))], group)
	}
	return group == s.resized()
}

// sizedBack notes that a group whose size the operation changed has its old size
// again, and reports it.
func (s State) sizedBack(was RecordedGroup, is delivery.Capacity, what string, now time.Time) (State, bool) {
	if len(s.Operands) == 0 {
		s = s.sized(is, was.Capacity, what, now)
		return s, s.Sized
	}
	if slices.Contains(s.Resized, was.Name) {
		return s, true
	}
	one := s
	one.Sized = false
	if !one.sized(is, was.Capacity, what, now).Sized {
		return s, false
	}
	s.Resized = append(slices.Clone(s.Resized), was.Name)
	return s, true
}

// cancelShrinking ends an operation that has begun to destroy: the group whose
// destruction is under way is carried to its end, and no other is begun.
func (s State) cancelShrinking(cause *delivery.Failure) State {
	if s.LastDestroy != "" {
		return s
	}
	s.Cause = cause
	if !s.destroys() {
		return s.leaveOperands()
	}
	s.LastDestroy = s.Input.Group
	return s
}

// leaveOperands ends a canceled operation before the present group.
func (s State) leaveOperands() State {
	f := *s.Cause
	f.Message += fmt.Sprintf("; %s is destroyed, %s stays", strings.Join(s.Operands[:s.Operated], ", "), strings.Join(s.Operands[s.Operated:], ", "))
	return s.finish(delivery.DeploymentCanceled, &f)
}

func goneFor(group string) string { return group + " to be gone" }
