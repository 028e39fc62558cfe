package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// OperationKind names what an operation does, as the stage types of pipelines do.
type OperationKind string

// The operations.
const (
	ResizeOperation  OperationKind = "resizeServerGroup"
	EnableOperation  OperationKind = "enableServerGroup"
	DisableOperation OperationKind = "disableServerGroup"
	DestroyOperation OperationKind = "destroyServerGroup"
	// AbandonOperation destroys a group that requests are led to beside the weights,
	// and that takes no public traffic.
	AbandonOperation OperationKind = "abandonServerGroup"
)

// Operations returns the operations that can be carried out.
func Operations() []OperationKind {
	return []OperationKind{ResizeOperation, EnableOperation, DisableOperation, DestroyOperation, AbandonOperation,
		ShrinkOperation, ScaleDownOperation, DisableClusterOperation}
}

func (k OperationKind) destroys() bool { return k == DestroyOperation || k == AbandonOperation }

// Operation is what is done to one server group that is there already. It is a
// deployment without a new group: it has the cluster's lock, a recorded state to
// go back to, and is paused and canceled like any other.
type Operation struct {
	Kind OperationKind `json:"kind"`
	// Select says which group is meant when Input.Group is empty. Once two looks at
	// the cluster agreed, State.Input.Group is the group that was selected.
	Select delivery.Selection `json:"select,omitempty"`
	// Capacity is what a resize gives the group; nil for the others, and while it
	// follows from Scale. State.Input.Operation has it once the group was selected.
	Capacity *delivery.Capacity `json:"capacity,omitempty"`
	// Scale is what a resize adds to the capacity that the group has; nil when
	// Capacity says it.
	Scale *Scale `json:"scale,omitempty"`
	// Keep says which groups an operation on a cluster leaves alone; nil for the others.
	Keep *Keep `json:"keep,omitempty"`
	// Rollback is what a rollback on demand restores; nil for the others.
	Rollback *Rollback `json:"rollback,omitempty"`
}

// Scale is a change of capacity: of min, max and desired alike, never below 0.
type Scale struct {
	// By is how much is added; as a percentage it is of each number, rounded up.
	By   Amount `json:"by"`
	Down bool   `json:"down,omitempty"`
}

// from returns a capacity scaled.
func (s Scale) from(c delivery.Capacity) delivery.Capacity {
	scaled := func(n int) int {
		if s.Down {
			return max(0, n-s.By.Up(n))
		}
		return n + s.By.Up(n)
	}
	return delivery.Capacity{Min: scaled(c.Min), Max: scaled(c.Max), Desired: scaled(c.Desired)}
}

// tooMuch refuses what a group scaled up would have when that is more than any may have.
func (s Scale) tooMuch(group string, to delivery.Capacity) error {
	if s.Down || to.Max <= delivery.MaxInstances {
		return nil
	}
	return delivery.Errorf(delivery.Invalid, "%s would have min %d, max %d and desired %d; a server group has at most %d instances: scale it up by less",
		group, to.Min, to.Max, to.Desired, delivery.MaxInstances)
}

// Refused tells why a target of these capabilities cannot do the operation at
// all; empty when nothing speaks against it.
func (o Operation) Refused(can delivery.Capabilities) string {
	switch o.Kind {
	case ResizeOperation, ScaleDownOperation:
		if !can.Resize {
			return "the size of a server group of this kind cannot be changed"
		}
	case EnableOperation, DisableOperation, DisableClusterOperation:
		if !can.Weighted {
			return "traffic cannot be split between server groups of this kind"
		}
	}
	return ""
}

// prepareOperation records what is, selects the group, and refuses what must not
// be done, before anything is written. Two consecutive looks have to agree.
func (s State) prepareOperation(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	if s.Started.IsZero() {
		s.Started = now
	}
	first, again := s.Before, record(seen, "")
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
	if s.Input.Operation.Kind.OfCluster() {
		return s.prepareCluster(seen)
	}
	if s.rollback() != nil {
		return s.beginRollback(seen)
	}
	g, err := s.operand(seen)
	if err == nil {
		s.Input.Group, s.Problems = g.Name, problemIDs(&g)
		if op := *s.Input.Operation; op.Scale != nil {
			to := op.Scale.from(g.Capacity)
			err = op.Scale.tooMuch(g.Name, to)
			op.Capacity, s.Input.Spec.Capacity, s.Input.Operation = &to, to, &op
		}
	}
	if err == nil {
		err = s.impossible(seen, g)
	}
	if err == nil {
		s.Weights = s.operationWeights(seen, g)
		err = s.forbidden(seen)
	}
	if err != nil {
		return s.fail(delivery.FailureOf("plan the operation", err)), nil
	}
	return s.enter(Operating), nil
}

// operand returns the group that the operation is about.
func (s State) operand(seen delivery.Snapshot) (delivery.ServerGroup, error) {
	if s.Input.Group == "" {
		return seen.Select(s.Input.Operation.Select, delivery.SelectOptions{})
	}
	g := seen.Group(s.Input.Group)
	if g == nil {
		return delivery.ServerGroup{}, delivery.Errorf(delivery.NotFound, "cluster %s has no server group %s", s.Input.Cluster.Key(), s.Input.Group)
	}
	return *g, nil
}

// impossible tells what of the target or of the cluster stands against it.
func (s State) impossible(seen delivery.Snapshot, g delivery.ServerGroup) error {
	op := s.Input.Operation
	if refused := op.Refused(s.Input.Capabilities); refused != "" {
		return delivery.Errorf(delivery.Invalid, "%s: %s", g.Name, refused)
	}
	if op.Kind == AbandonOperation && seen.Routing.PreviewBy(g.Name, delivery.Match{}) == nil && seen.Routing.Preview(g.Name) == nil {
		return delivery.Errorf(delivery.Conflict, "%s is no dark release: nothing leads to it", g.Name)
	}
	if op.Kind.destroys() {
		return nil
	}
	if g.Deleting || !g.Complete {
		return delivery.Errorf(delivery.Conflict, "%s is being created or deleted", g.Name)
	}
	if op.Kind == ResizeOperation {
		return nil
	}
	switch {
	case seen.Routing == nil:
		return delivery.Errorf(delivery.Invalid, "cluster %s is behind no load balancer whose traffic %s could be given or denied", s.Input.Cluster.Name(), g.Name)
	case op.Kind == DisableOperation && seen.Serving(g.Name) && len(otherShares(seen, g.Name)) == 0:
		return delivery.Errorf(delivery.Guarded, "disable of %s refused: it takes all traffic of %s, and no other server group takes any", g.Name, seen.Routing.LoadBalancer)
	case op.Kind == EnableOperation && !known(seen.Routing, g.Name):
		return delivery.Errorf(delivery.Conflict, "load balancer %s does not know %s", seen.Routing.LoadBalancer, g.Name)
	case op.Kind == EnableOperation && !seen.Serving(g.Name) && g.Healthy() == 0:
		return delivery.Errorf(delivery.Guarded, "enable of %s refused: it has no healthy instance", g.Name)
	}
	return nil
}

// forbidden asks the traffic guard. A change that would change nothing is not
// asked about.
func (s State) forbidden(seen delivery.Snapshot) error {
	if s.Input.Operation.Kind.OfCluster() {
		return delivery.Guard(seen, s.operationChange(seen))
	}
	if s.Weights == nil && s.Input.Operation.Kind != ResizeOperation && !s.Input.Operation.Kind.destroys() {
		return nil
	}
	if err := delivery.Guard(seen, s.operationChange(seen)); err != nil {
		return err
	}
	newest := seen.NewestServing()
	if s.Input.Operation.Kind.destroys() && newest != nil && newest.Name == s.Input.Group {
		return delivery.Errorf(delivery.Guarded, "destroy of %s refused: it is the newest server group that takes traffic", s.Input.Group)
	}
	return nil
}

// operationChange is the one change that an operation makes, or that of a cluster
// makes now.
func (s State) operationChange(seen delivery.Snapshot) delivery.Change {
	switch kind := s.Input.Operation.Kind; {
	case kind == ResizeOperation:
		return s.resize(s.Input.Group, *s.Input.Operation.Capacity, "operate")
	case kind.OfCluster() && !s.takes():
		return s.partChange()
	case kind.destroys():
		c := s.change(delivery.DestroyGroup, "operate")
		c.Group = s.Input.Group
		return c
	default:
		c := s.change(delivery.SetRouting, "operate")
		c.Weights = s.Weights
		if seen.Routing != nil {
			c.Fingerprint = seen.Routing.Fingerprint
		}
		return c
	}
}

// operationWeights are the shares that enabling or disabling wants; nil when they
// are to stay as they are.
func (s State) operationWeights(seen delivery.Snapshot, g delivery.ServerGroup) []delivery.Weight {
	serves := seen.Serving(g.Name)
	switch {
	case s.Input.Operation.Kind == DisableOperation && serves:
		return sharesWith(g.Name, 0, otherShares(seen, g.Name))
	case s.Input.Operation.Kind == EnableOperation && !serves:
		others, healthy := otherShares(seen, g.Name), 0
		for _, w := range others {
			if other := seen.Group(w.ServerGroup); other != nil {
				healthy += other.Healthy()
			}
		}
		return sharesWith(g.Name, split(100, []int{g.Healthy(), healthy})[0], others)
	default:
		return nil
	}
}

// sharesWith gives a group its share, and divides the rest as it was divided.
func sharesWith(group string, share int, others []delivery.Weight) []delivery.Weight {
	percents := make([]int, len(others))
	for i, w := range others {
		percents[i] = w.Percent
	}
	out := make([]delivery.Weight, len(others), len(others)+1)
	for i, percent := range split(100-share, percents) {
		out[i] = delivery.Weight{ServerGroup: others[i].ServerGroup, Percent: percent}
	}
	return append(out, delivery.Weight{ServerGroup: group, Percent: share})
}

// otherShares are the weights above 0 of the other groups.
func otherShares(seen delivery.Snapshot, except string) []delivery.Weight {
	var out []delivery.Weight
	for _, w := range seen.Routing.Weights {
		if w.ServerGroup != except && w.Percent > 0 {
			out = append(out, w)
		}
	}
	return out
}

func known(r *delivery.Routing, group string) bool {
	return slices.ContainsFunc(r.Weights, func(w delivery.Weight) bool { return w.ServerGroup == group })
}

// operate carries the operation out.
func (s State) operate(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	switch s.Input.Operation.Kind {
	case ResizeOperation:
		return s.operateSize(seen, now)
	case DestroyOperation, AbandonOperation:
		return s.operateDestroy(seen, now)
	case ShrinkOperation, ScaleDownOperation, DisableClusterOperation:
		return s.operateCluster(seen, now)
	case RollbackGroupOperation, RollbackClusterOperation:
		return s.operateRollback(seen, now)
	default:
		return s.operateWeights(seen, now)
	}
}

// operateSize gives the group its capacity, and waits until its instances are
// there and healthy, or gone.
func (s State) operateSize(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	g := seen.Group(s.Input.Group)
	if g == nil || g.Deleting {
		return s.vanished(s.Input.Group, now)
	}
	was, want := s.recorded(g.Name), *s.Input.Operation.Capacity
	if s = s.sized(g.Capacity, want, "resize "+g.Name, now); !s.Sized || g.Capacity.Min != want.Min || g.Capacity.Max != want.Max {
		return s.writeSize(g, seen, now)
	}
	size := min(want.Desired, g.Capacity.Desired)
	if want.Desired <= was.Capacity.Desired {
		return s.succeed(len(g.Instances) <= g.Capacity.Desired, waitFor{what: fmt.Sprintf("%s to shrink to %d instances", g.Name, size),
			have: fmt.Sprintf("%d are there", len(g.Instances)), limit: s.Input.Strategy.HealthTimeout}, now)
	}
	if bad := s.tooManyProblems(g, now); bad != nil {
		return s.fail(bad), nil
	}
	need := max(0, size-sick(was))
	if seen.Routing != nil && !known(seen.Routing, g.Name) { // nobody judges the health of what no router knows
		return s.succeed(len(g.Instances) >= size, waitFor{what: fmt.Sprintf("%d instances in %s", size, g.Name),
			have: fmt.Sprintf("%d are there", len(g.Instances)), limit: s.Input.Strategy.HealthTimeout}, now)
	}
	return s.succeed(g.Healthy() >= need, waitFor{what: fmt.Sprintf("%d healthy instances in %s", need, g.Name),
		have: fmt.Sprintf("%d are healthy", g.Healthy()), limit: s.Input.Strategy.HealthTimeout}, now)
}

// autoscalerTime is how long a size is asked for that an autoscaler holds above it.
const autoscalerTime = time.Minute

// sized notes that a group has the wanted size, or that its autoscaler has kept
// it above that, within the wanted bounds, since the resize was begun.
func (s State) sized(is, want delivery.Capacity, resize string, now time.Time) State {
	held := is.Min == want.Min && is.Max == want.Max && is.Desired > want.Desired &&
		s.Waiting == resize && !s.Since.IsZero() && now.Sub(s.Since) > autoscalerTime
	s.Sized = s.Sized || is == want || held
	return s
}

// writeSize decides on the resize once it is safe.
func (s State) writeSize(g *delivery.ServerGroup, seen delivery.Snapshot, now time.Time) (State, *Decision) {
	to := s.Input.Operation.Capacity.Desired
	begun := s.begun("resize " + g.Name)
	if to == 0 && !begun {
		if wait := s.quiet(seen, now); wait != nil {
			s.Waiting = wait.Await.For
			return s, wait
		}
	}
	if err := s.forbidden(seen); err != nil && !begun {
		return s.refusedPart("resize "+g.Name, err, now)
	}
	if !s.keepsHealthy(seen, g, to) {
		return s.awaitStreak1(fmt.Sprintf("%s to be certain to keep a healthy instance", g.Name), now)
	}
	s.Changing = true
	return s.apply(s.operationChange(seen), "resize "+g.Name, now)
}

// keepsHealthy reports whether a group that takes traffic is certain to keep a
// healthy instance, if it had one, when it shrinks.
func (s State) keepsHealthy(seen delivery.Snapshot, g *delivery.ServerGroup, to int) bool {
	return to == 0 || to >= g.Capacity.Desired || !seen.Serving(g.Name) || s.recorded(g.Name).Healthy == 0 || certain(g, to) > 0
}

// operateWeights writes the weights until they are read back and have settled;
// of a group that lost its traffic the connections have drained then, too.
func (s State) operateWeights(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	switch {
	case s.Weights == nil:
		return s.operated(), nil
	case seen.Routing == nil:
		return s.awaitStreak1("see the routing", now)
	case !delivery.SameWeights(seen.Routing.Weights, s.Weights):
		s.Routed, s.Streak = time.Time{}, 0
		c := s.operationChange(seen)
		if err := delivery.Guard(seen, c); err != nil {
			return s.awaitStreak1("the traffic guard: "+err.Error(), now)
		}
		s.Changing = true
		return s.apply(c, "set the weights of "+seen.Routing.LoadBalancer, now)
	}
	if s.Routed.IsZero() {
		s.Routed = now
	}
	until, what := s.Routed.Add(s.Input.Capabilities.Settle), "the weights to reach every proxy"
	if s.Input.Operation.Kind != EnableOperation {
		until, what = until.Add(s.Input.Capabilities.Drain), "connections to drain"
	}
	if s.Streak = min(s.Streak+1, lookTwice); s.Streak < lookTwice || now.Before(until) {
		s.Waiting = what
		return s, &Decision{Await: &Await{For: what, Until: until, Deadline: until}}
	}
	return s.operated(), nil
}

// operateDestroy destroys the group with all its pieces. Once that began there is
// no way back.
func (s State) operateDestroy(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	if seen.Group(s.Input.Group) == nil {
		return s.succeed(true, waitFor{what: goneFor(s.Input.Group), limit: s.cleanTimeout()}, now)
	}
	s.Streak = 0
	if !s.begun(destroying+s.Input.Group) && !s.begun(goneFor(s.Input.Group)) {
		if wait := s.quiet(seen, now); wait != nil {
			s.Waiting = wait.Await.For
			return s, wait
		}
		if err := s.forbidden(seen); err != nil {
			return s.refusedPart("destroy "+s.Input.Group, err, now)
		}
	}
	s, pause := s.retry(now)
	if pause != nil {
		return s, pause
	}
	s, late := s.wait(destroying+s.Input.Group, s.cleanTimeout(), now)
	if late != nil {
		if s.LastFailure != nil {
			late.Message += "; the last error: " + s.LastFailure.Error()
		}
		return s.fail(late), nil
	}
	s.Changing, s.Destroying = true, true
	c := s.operationChange(seen)
	s, rule, quiet := s.unled(seen, s.Input.Group, "operate/preview", now)
	switch {
	case !quiet.IsZero():
		return s.drained(quiet)
	case rule != nil:
		c = *rule
	}
	return s, &Decision{Apply: &c}
}

// quiet waits until traffic that was taken from the group just before the
// operation began has ended.
func (s State) quiet(seen delivery.Snapshot, now time.Time) *Decision {
	until := s.Started.Add(s.Input.Capabilities.Settle + s.Input.Capabilities.Drain)
	if seen.Routing == nil || !now.Before(until) || seen.Routing.Preview(s.Input.Group) != nil { // that is waited for as long
		return nil
	}
	return &Decision{Await: &Await{For: "connections to drain", Until: until, Deadline: until}}
}

// succeed ends the operation once a condition held at consecutive looks.
func (s State) succeed(holds bool, w waitFor, now time.Time) (State, *Decision) {
	next, d := s.awaitStreak(holds, w, now)
	if d != nil || next.Phase != s.Phase {
		return next, d
	}
	return next.operated(), nil
}

// recorded returns a group as it was before; the zero value when it was none.
func (s State) recorded(group string) RecordedGroup {
	for _, g := range s.Before.Groups {
		if g.Name == group {
			return g
		}
	}
	return RecordedGroup{Name: group}
}

// resized returns the group that a resize is about; empty for everything else.
func (s State) resized() string {
	if s.Input.Operation == nil || s.Input.Operation.Kind != ResizeOperation {
		return ""
	}
	return s.Input.Group
}

// destroys reports whether an operation is destroying a group now.
func (s State) destroys() bool {
	return s.irreversible() && (len(s.Operands) == 0 || s.begun(destroying+s.Input.Group) || s.begun(goneFor(s.Input.Group)))
}

// irreversible reports whether an operation does what cannot be undone.
func (s State) irreversible() bool {
	return s.goingBack() || s.Input.Operation != nil && (s.Input.Operation.Kind.destroys() && s.Changing || s.Destroying)
}
