package rollout

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Phase is where a deployment stands.
type Phase string

// The phases in the order of a life.
const (
	Preparing Phase = "preparing"
	Creating  Phase = "creating"
	Moving    Phase = "moving"
	Finishing Phase = "finishing"
	Cleaning  Phase = "cleaning"
	// Updating is the one phase of an update in place between Preparing and Cleaning.
	Updating Phase = "updating"
	// Operating is the one phase of an operation between Preparing and its end.
	Operating   Phase = "operating"
	RollingBack Phase = "rollingBack"
	Finished    Phase = "finished"
)

// Input is what a deployment is asked to do. It does not change.
type Input struct {
	Deployment   delivery.DeploymentID `json:"deployment"`
	Cluster      delivery.Cluster      `json:"cluster"`
	Spec         delivery.GroupSpec    `json:"spec"`
	Strategy     Strategy              `json:"strategy"`
	Capabilities delivery.Capabilities `json:"capabilities"`
	// Group is the name allocated for the new server group, or the group that an
	// operation is about; empty while it has to be selected.
	Group string `json:"group"`
	// Baseline is the name allocated for a canary's baseline; empty without one.
	Baseline string `json:"baseline,omitempty"`
	// Operation is nil for a deployment of a new group. With one, all that counts of
	// Spec is the load balancer and, for a resize, the capacity, and of Strategy
	// the timeouts and Kind, which is the operation's.
	Operation *Operation `json:"operation,omitempty"`
	// Promotion makes Group, which is there already, the new one; nil for a deployment
	// that creates it. Of Spec the load balancer counts, and the capacity once the
	// group is known.
	Promotion *Promotion `json:"promotion,omitempty"`
	// Fence is the token that the cluster's lock granted.
	Fence int64 `json:"fence"`
}

// Recorded is the state of the cluster before the deployment changed anything.
// A rollback restores from it and from nothing else.
type Recorded struct {
	Groups []RecordedGroup `json:"groups"`
	// Weights is nil when the cluster is behind no router.
	Weights []delivery.Weight `json:"weights,omitempty"`
	Routed  bool              `json:"routed"`
	// Previews are what led to groups beside the weights.
	Previews []delivery.Preview `json:"previews,omitempty"`
}

// RecordedGroup is one server group before the deployment.
type RecordedGroup struct {
	Name     string            `json:"name"`
	Capacity delivery.Capacity `json:"capacity"`
	// Healthy is how many instances were healthy. A rollback does not wait for
	// more than there were.
	Healthy int `json:"healthy"`
	// Serving groups take traffic; the deployment replaces these.
	Serving bool `json:"serving"`
	// Image is what the group ran, and Version what its instances were made of: what
	// an update in place goes back to.
	Image   string `json:"image,omitempty"`
	Version string `json:"version,omitempty"`
}

// State is everything a deployment remembers between two looks. It is plain
// data: marshalled and unmarshalled, it decides the same.
type State struct {
	Input Input `json:"input"`
	Phase Phase `json:"phase"`
	// Started is when the first snapshot was taken.
	Started time.Time `json:"started,omitzero"`
	Before  *Recorded `json:"before,omitempty"`
	Steps   []Step    `json:"steps,omitempty"`
	// Step is the index of the step being carried out.
	Step int `json:"step"`
	// Since is when the present wait began, and Waiting what it is for.
	Since   time.Time `json:"since,omitzero"`
	Waiting string    `json:"waiting,omitempty"`
	// Streak counts consecutive looks at which the present wait's condition held.
	Streak int `json:"streak,omitempty"`
	// Routed is when the wanted weights were first read back in this step, or
	// zero. WroteRouting is true once this step decided to write weights.
	Routed       time.Time `json:"routed,omitzero"`
	WroteRouting bool      `json:"wroteRouting,omitempty"`
	// Weighted is true once the new group was to have weight: from then on it may
	// hold connections.
	Weighted bool `json:"weighted,omitempty"`
	// StepDone is when the present step had its effect; zero before.
	StepDone time.Time `json:"stepDone,omitzero"`
	// Answered is the id of the last gate that was answered.
	Answered string `json:"answered,omitempty"`
	// Judgments are the questions that people were asked, in order, with their answers.
	Judgments []delivery.Judgment `json:"judgments,omitempty"`
	// Counted is what is known of the present step's requests; nil before the first
	// count.
	Counted *RequestCount `json:"counted,omitempty"`
	// Rested names the last pause of which somebody ended the time, but not what else
	// the step asks for.
	Rested string `json:"rested,omitempty"`
	// Promoted is true once the steps are others than the strategy's: their changes
	// have keys of their own.
	Promoted bool `json:"promoted,omitempty"`
	// Advanced names the last pause that somebody ended before its time.
	Advanced string `json:"advanced,omitempty"`
	// Paused is when a pause began; zero when not paused.
	Paused time.Time `json:"paused,omitzero"`
	// CancelRequested is true once somebody asked for a rollback; Cause says who
	// and why.
	CancelRequested bool `json:"cancelRequested,omitempty"`
	// LastDestroy is the group whose destruction is carried to its end although
	// the cleaning up was canceled; empty without one.
	LastDestroy string            `json:"lastDestroy,omitempty"`
	Cause       *delivery.Failure `json:"cause,omitempty"`
	Outcome     *Outcome          `json:"outcome,omitempty"`
	// HealthBack is true once a rollback saw the old groups as healthy as they
	// were at consecutive looks.
	HealthBack bool `json:"healthBack,omitempty"`
	// Failures counts the changes that were refused while there was no other way, Retried
	// how many of them were waited out; RetryAt ends the present pause.
	Failures    int               `json:"failures,omitempty"`
	Retried     int               `json:"retried,omitempty"`
	RetryAt     time.Time         `json:"retryAt,omitzero"`
	LastFailure *delivery.Failure `json:"lastFailure,omitempty"`
	// Problems are the ids of problems that the new group had when it was first
	// seen complete. They are not counted.
	Problems []string `json:"problems,omitempty"`
	// On is when the new group was first seen with weight; zero before.
	On time.Time `json:"on,omitzero"`
	// Checks are in the order of the strategy's; empty before the first was measured.
	Checks []CheckState `json:"checks,omitempty"`
	// Weights are the shares that an operation gives; nil when it leaves them.
	Weights []delivery.Weight `json:"weights,omitempty"`
	// Changing is true once an operation, or an update in place, decided to write: before, it has nothing
	// to roll back.
	Changing bool `json:"changing,omitempty"`
	// BaselineFrom is the old group that a baseline is made like; empty without one.
	BaselineFrom string `json:"baselineFrom,omitempty"`
	// BaselineMade is true once the deployment decided to create the baseline.
	BaselineMade bool `json:"baselineMade,omitempty"`
	// Sized is true once the size that a resize gives, or gives back, was read back
	// in this phase: from then on an autoscaler may move it within the bounds.
	Sized bool `json:"sized,omitempty"`
	// Rolled is the most instances of the wanted version that were seen healthy at
	// once in this phase of an update in place.
	Rolled int `json:"rolled,omitempty"`
	// Reverting is true once a rollback decided to give the group its version back.
	Reverting bool `json:"reverting,omitempty"`
	// Operands are the groups that an operation on a cluster is about, in the order
	// of its work, and Operated the index of the one it is at. Taken is true once
	// their traffic was taken, Destroying once there is no way back.
	Operands   []string `json:"operands,omitempty"`
	Operated   int      `json:"operated,omitempty"`
	Taken      bool     `json:"taken,omitempty"`
	Destroying bool     `json:"destroying,omitempty"`
	// Resized are the operands whose old size was read back in the rollback.
	Resized []string `json:"resized,omitempty"`
	// Preview is how the new group of a dark release is reached, once it was read back.
	Preview *delivery.Preview `json:"preview,omitempty"`
	// Unled is the last group that a rule led to which was taken away so that the
	// group can be destroyed, and UnledAt when the rule was first seen gone.
	Unled   string    `json:"unled,omitempty"`
	UnledAt time.Time `json:"unledAt,omitzero"`
}

// Decision says what to do now. Exactly one field is set.
type Decision struct {
	Apply *delivery.Change `json:"apply,omitempty"`
	Await *Await           `json:"await,omitempty"`
	Gate  *Gate            `json:"gate,omitempty"`
	Done  *Outcome         `json:"done,omitempty"`
}

// Await means: look again later. When the deadline passes, Next itself decides
// what follows; the caller only has to look again by then.
type Await struct {
	// For says what is waited for, for people.
	For string `json:"for"`
	// Until is the earliest time at which looking again can change anything;
	// zero means at the next poll.
	Until time.Time `json:"until,omitzero"`
	// Deadline is when the wait fails; zero only while paused.
	Deadline time.Time `json:"deadline,omitzero"`
	// Limit is how long the wait may take at the most and OnTimeout what follows
	// then, where the strategy says so; else both are zero.
	Limit     time.Duration `json:"limit,omitempty"`
	OnTimeout Action        `json:"onTimeout,omitempty"`
}

// Gate is a question that something outside has to answer: a pipeline with
// State.Answer, people with State.Judged. One of Pipeline and Judgment is set.
type Gate struct {
	ID       string          `json:"id"`
	Pipeline *PipelineRef    `json:"pipeline,omitempty"`
	Judgment *ManualJudgment `json:"judgment,omitempty"`
	// Until is when Next takes OnTimeout of the judgment for its answer.
	Until time.Time `json:"until,omitzero"`
}

// Outcome is how a deployment ended.
type Outcome struct {
	Status  delivery.DeploymentStatus `json:"status"`
	Failure *delivery.Failure         `json:"failure,omitempty"`
}

// Start returns the state of a deployment that has not looked yet.
func Start(in Input) State { return State{Input: in, Phase: Preparing} }

// Cancel asks for a rollback to the recorded state. It has no effect once the
// deployment rolls back or is finished. One that only cleans up has replaced the
// old groups already: it begins no further destruction and has succeeded. An
// operation that destroys is carried to its end once it began; one that destroys
// several groups begins with no further one.
func (s State) Cancel(by delivery.Principal, reason string) State {
	switch {
	case s.Phase == Operating && s.irreversible() && len(s.Operands) > 0:
		return s.cancelShrinking(canceledBy(by, reason))
	case s.Phase == RollingBack || s.Phase == Finished || s.CancelRequested || s.irreversible():
		return s
	case s.Phase == Cleaning:
		group, underWay := strings.CutPrefix(s.Waiting, destroying)
		if !underWay {
			return s.finish(delivery.DeploymentSucceeded, nil)
		}
		s.LastDestroy, s.Paused = group, time.Time{} // nobody resumes what was canceled
		return s
	}
	s.CancelRequested = true
	s.Cause = canceledBy(by, reason)
	return s
}

func canceledBy(by delivery.Principal, reason string) *delivery.Failure {
	message := "canceled by " + by.Name
	if reason != "" {
		message += ": " + reason
	}
	return &delivery.Failure{Kind: delivery.FailureCanceled, Message: message}
}

// Pause stops forward movement at the next decision. A rollback is never paused,
// nor is the destruction of a group by an operation once it began.
func (s State) Pause(now time.Time) State {
	if s.Paused.IsZero() {
		s.Paused = now
	}
	return s
}

// Resume goes on. The time paused does not count towards any deadline.
func (s State) Resume(now time.Time) State {
	if s.Paused.IsZero() {
		return s
	}
	d := now.Sub(s.Paused)
	s.Paused = time.Time{}
	for _, t := range []*time.Time{&s.Started, &s.Since, &s.Routed, &s.StepDone, &s.UnledAt} {
		if !t.IsZero() {
			*t = t.Add(d)
		}
	}
	return s.judgeLater(d)
}

// Fail ends the forward movement for a reason that no snapshot shows, for
// example that the cloud refused a change. A rollback, and an operation that
// destroys, are not ended by it: Next tries again after a growing pause until
// their own deadline. Being
// fenced ends everything at once, since somebody else owns the cluster now.
func (s State) Fail(f delivery.Failure) State {
	switch {
	case s.Phase == Finished:
		return s
	case f.Kind == delivery.Fenced.String():
		return s.finish(delivery.DeploymentFailed, &f)
	case s.Phase == RollingBack || s.irreversible():
		s.Failures++
		s.LastFailure = &f
		return s
	case s.Phase == Cleaning:
		return s.finish(delivery.DeploymentSucceeded, nil)
	default:
		return s.fail(&f)
	}
}

// GiveUp ends the deployment because the cloud could not be observed for too
// long: FAILED when nothing was changed, SUCCEEDED when only cleaning up was
// left, else ROLLBACK_FAILED.
func (s State) GiveUp(f delivery.Failure) State {
	switch {
	case s.Phase == Finished:
		return s
	case !s.touched():
		return s.finish(delivery.DeploymentFailed, &f)
	case s.Phase == Cleaning:
		return s.finish(delivery.DeploymentSucceeded, nil)
	case s.irreversible() && !s.goingBack():
		return s.fail(&f)
	default:
		return s.lost(&f)
	}
}

// Answer gives a gate's result; failure is nil when it passed.
func (s State) Answer(gate string, failure *delivery.Failure) State {
	s.Answered = gate
	if failure != nil {
		return s.fail(failure)
	}
	return s
}

// Status returns the deployment's status as shown to people.
func (s State) Status() delivery.DeploymentStatus {
	switch {
	case s.Outcome != nil:
		return s.Outcome.Status
	case s.Phase == RollingBack || s.CancelRequested:
		return delivery.DeploymentRollingBack
	case !s.Paused.IsZero() && !s.destroys():
		return delivery.DeploymentPaused
	default:
		return delivery.DeploymentRunning
	}
}

// Detail returns what the record of the deployment keeps beside its status.
func (s State) Detail() (json.RawMessage, error) {
	return json.Marshal(struct {
		Strategy Kind         `json:"strategy"`
		Phase    Phase        `json:"phase"`
		Batch    int          `json:"batch"`
		Of       int          `json:"of"`
		Waiting  string       `json:"waiting,omitempty"`
		Before   *Recorded    `json:"before,omitempty"`
		Checks   []CheckState `json:"checks,omitempty"`
		// Baseline is the name of a canary's baseline.
		Baseline string `json:"baseline,omitempty"`
		// Judgments are those that were asked, and Counted the requests of the step.
		Judgments []delivery.Judgment `json:"judgments,omitempty"`
		Counted   *RequestCount       `json:"counted,omitempty"`
		// Operation and Weights are those of an operation.
		Operation *Operation        `json:"operation,omitempty"`
		Weights   []delivery.Weight `json:"weights,omitempty"`
		InPlace   *Replacement      `json:"inPlace,omitempty"`
		Promotion *Promotion        `json:"promotion,omitempty"`
		Preview   *delivery.Preview `json:"preview,omitempty"`
	}{s.Input.Strategy.Kind, s.Phase, min(s.Step+1, len(s.Steps)), len(s.Steps), s.Waiting, s.Before, s.Checks, s.Input.Baseline,
		s.Judgments, s.Counted, s.Input.Operation, s.Weights, s.replacement(), s.Input.Promotion, s.Preview})
}

// touched reports whether the deployment may have changed the cloud.
func (s State) touched() bool {
	if s.Input.Operation != nil || s.Input.Strategy.InPlace {
		return s.Changing
	}
	return s.Phase != Preparing
}

func (s State) fail(f *delivery.Failure) State {
	if s.goingBack() {
		return s.lost(f)
	}
	if s.Cause == nil {
		s.Cause = f
	}
	if !s.touched() {
		return s.finish(delivery.DeploymentFailed, s.Cause)
	}
	if s.irreversible() || s.Input.Strategy.KeepOnFailure && !s.CancelRequested {
		return s.finish(delivery.DeploymentFailed, s.Cause)
	}
	return s.enter(RollingBack)
}

func (s State) finish(status delivery.DeploymentStatus, f *delivery.Failure) State {
	s = s.enter(Finished)
	s.Outcome = &Outcome{Status: status, Failure: f}
	return s
}

// enter begins a phase: nothing is waited for, and nothing was read back yet.
func (s State) enter(p Phase) State {
	s.Phase = p
	return s.fresh()
}

func (s State) fresh() State {
	s.Since, s.Waiting, s.Streak = time.Time{}, "", 0
	s.Routed, s.WroteRouting, s.StepDone = time.Time{}, false, time.Time{}
	s.Sized, s.Rolled, s.Counted = false, 0, nil
	return s
}

// sources returns the recorded groups that took traffic, in their order.
func (s State) sources() []RecordedGroup {
	return slices.DeleteFunc(slices.Clone(s.Before.Groups), func(g RecordedGroup) bool { return !g.Serving })
}

// foreign reports whether somebody else made the group. One of which pieces are
// missing may not show its tags yet and is given the benefit of the doubt.
func (s State) foreign(g *delivery.ServerGroup) bool {
	if g.Managed {
		return g.Deployment != s.Input.Deployment
	}
	return g.Complete
}

func (s State) key(step string) delivery.ChangeKey {
	return delivery.ChangeKey(string(s.Input.Deployment) + "#" + step)
}

func (s State) change(kind delivery.ChangeKind, step string) delivery.Change {
	return delivery.Change{Key: s.key(step), Kind: kind, Cluster: s.Input.Cluster,
		Deployment: s.Input.Deployment, Fence: s.Input.Fence}
}
