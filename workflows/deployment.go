package workflows

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// The workflow types by name, as they stand in histories.
const (
	executionType  = "Execution"
	deploymentType = "Deployment"
	lockType       = "ClusterLock"
)

// The signals that a deployment receives.
const (
	// signalControl carries a Control from the execution.
	signalControl = "control"
	// signalGranted carries a Grant from the cluster's lock.
	signalGranted = "granted"
	// signalWake says that a worker started: an Advance that ran before is lost.
	signalWake = "wake"
)

// ControlKind says what a Control asks for.
type ControlKind string

// The controls.
const (
	ControlCancel ControlKind = "cancel"
	ControlPause  ControlKind = "pause"
	ControlResume ControlKind = "resume"
)

// Control is what an execution tells its deployments.
type Control struct {
	Kind ControlKind `json:"kind"`
	Command
}

// Grant gives a deployment its cluster, or refuses it.
type Grant struct {
	Fence int64 `json:"fence"`
	// HeldBy is the workflow that has the cluster, when it is refused to one that
	// does not want to wait.
	HeldBy string `json:"heldBy,omitempty"`
}

// DeploymentInput starts a Deployment. What to deploy is in the stored stage.
type DeploymentInput struct {
	ID        delivery.DeploymentID `json:"id"`
	Execution delivery.ExecutionID  `json:"execution"`
	Stage     string                `json:"stage"`
	Cluster   delivery.Cluster      `json:"cluster"`
	// Concurrency is rollout.Queue when empty.
	Concurrency rollout.Concurrency `json:"concurrency,omitempty"`
	// Carried is the state of the run that continued as new; nil at the start.
	Carried *DeploymentState `json:"carried,omitempty"`
}

// DeploymentState is all that a deployment remembers.
type DeploymentState struct {
	// Fence is the lock's token; zero while queued.
	Fence int64 `json:"fence,omitempty"`
	// Rollout is nil before the server group has its name.
	Rollout *rollout.State `json:"rollout,omitempty"`
	// Controls are signals not yet acted on.
	Controls  []Control `json:"controls,omitempty"`
	Conflicts int       `json:"conflicts,omitempty"`
	// Gate is the execution of the present gate; empty while none runs.
	Gate      delivery.ExecutionID `json:"gate,omitempty"`
	StartTime time.Time            `json:"startTime,omitzero"`
	Version   int64                `json:"version"`
}

// DeploymentResult is how a deployment ended.
type DeploymentResult struct {
	Status      delivery.DeploymentStatus `json:"status"`
	ServerGroup string                    `json:"serverGroup,omitempty"`
	Failure     *delivery.Failure         `json:"failure,omitempty"`
	// Preview is how the server group of a dark release is reached.
	Preview *delivery.Preview `json:"preview,omitempty"`
}

func (r DeploymentResult) failed() bool { return r.Status != delivery.DeploymentSucceeded }

// deployment carries one strategy out on one cluster.
type deployment struct {
	DeploymentInput
	DeploymentState
	control, granted, wake workflow.ReceiveChannel
	// asked are moves that wait for their answer. They come as updates.
	asked []*askedMove
	asks  workflow.Channel
	over  bool
	// heldBy is set when the cluster is refused: the workflow that has it.
	heldBy string
	// woken is set by a wake signal until the next Advance.
	woken bool
	log   log.Logger
}

// Deployment carries out one deployment to its end, whatever becomes of the
// execution that started it. It fails only for faults of Slipway's own.
func Deployment(ctx workflow.Context, in DeploymentInput) (DeploymentResult, error) {
	d := &deployment{DeploymentInput: in, log: log.With(workflow.GetLogger(ctx), "deployment", in.ID),
		control: workflow.GetSignalChannel(ctx, signalControl),
		granted: workflow.GetSignalChannel(ctx, signalGranted),
		wake:    workflow.GetSignalChannel(ctx, signalWake),
		asks:    workflow.NewBufferedChannel(ctx, maxAsks)}
	if in.Carried != nil {
		d.DeploymentState, d.Carried = *in.Carried, nil
	}
	work, _ := workflow.NewDisconnectedContext(ctx)
	if err := d.handleMoves(work); err != nil {
		return DeploymentResult{}, err
	}
	return d.run(work, ctx.Done())
}

// run goes through the life of a deployment: queued, prepared, carried out.
// canceled is closed when the workflow itself is canceled from outside.
func (d *deployment) run(ctx workflow.Context, canceled workflow.Channel) (DeploymentResult, error) {
	d.watchCancel(ctx, canceled)
	if d.Rollout == nil {
		if outcome, err := d.begin(ctx); outcome != nil || err != nil {
			return d.end(ctx, outcome, err)
		}
	}
	for {
		if err := d.obey(ctx); err != nil {
			return d.end(ctx, nil, err)
		}
		if d.tooLong(ctx) {
			return DeploymentResult{}, d.continueAsNew(ctx)
		}
		outcome, err := d.step(ctx)
		if outcome != nil || err != nil {
			return d.end(ctx, outcome, err)
		}
	}
}

// watchCancel turns a cancellation of the workflow into a cancel of the deployment.
func (d *deployment) watchCancel(ctx workflow.Context, canceled workflow.Channel) {
	workflow.Go(ctx, func(ctx workflow.Context) {
		canceled.Receive(ctx, nil)
		c := Control{Kind: ControlCancel, Command: Command{By: delivery.System.Name, Reason: "the workflow was canceled"}}
		_ = workflow.SignalExternalWorkflow(ctx, d.ID.WorkflowID(), "", signalControl, c).Get(ctx, nil)
	})
}

// begin takes the cluster's lock and gives the server group its name. It returns
// an outcome when the deployment is over before it touched anything.
func (d *deployment) begin(ctx workflow.Context) (*rollout.Outcome, error) {
	d.StartTime = workflow.Now(ctx)
	if err := d.record(ctx, nil, d.transition(delivery.DeploymentQueued, nil)); err != nil {
		return nil, err
	}
	if outcome, err := d.lock(ctx); outcome != nil || err != nil {
		return outcome, err
	}
	var input rollout.Input
	var a *Activities
	ctx = workflow.WithActivityOptions(ctx, prepareOptions)
	for {
		if outcome := d.canceledEarly(); outcome != nil {
			return outcome, nil
		}
		request := PrepareRequest{ID: d.ID, Execution: d.Execution, Stage: d.Stage, Cluster: d.Cluster, Fence: d.Fence}
		interrupted, err := d.interruptible(ctx, a.PrepareDeployment, request, &input)
		switch {
		case interrupted:
			continue
		case kindIs(err, overKind):
			return &rollout.Outcome{Status: delivery.DeploymentCanceled, Failure: &delivery.Failure{Kind: delivery.FailureCanceled, Message: "the execution is over"}}, nil
		case err != nil:
			f := failureOf("prepare the server group", err)
			return &rollout.Outcome{Status: delivery.DeploymentFailed, Failure: &f}, nil
		}
		state := rollout.Start(input)
		d.Rollout = &state
		return nil, d.record(ctx, nil, d.transition(state.Status(), nil))
	}
}

// lock waits for the cluster. The queue is the lock's; asking again is harmless.
func (d *deployment) lock(ctx workflow.Context) (*rollout.Outcome, error) {
	var a *Activities
	actx := workflow.WithActivityOptions(ctx, lockOptions)
	for d.Fence == 0 {
		if outcome := d.canceledEarly(); outcome != nil {
			return outcome, nil
		}
		if err := workflow.ExecuteActivity(actx, a.RequestLock, d.Cluster.Key(), LockRequest{d.ID.WorkflowID(), d.Concurrency}).Get(ctx, nil); err != nil {
			return nil, err
		}
		tctx, stop := workflow.WithCancel(ctx)
		timer := workflow.NewTimer(tctx, lockRenewal)
		for d.Fence == 0 && d.heldBy == "" && d.canceledEarly() == nil && !timer.IsReady() {
			d.await(ctx, timer)
		}
		stop()
		if d.Fence == 0 && d.heldBy != "" {
			return &rollout.Outcome{Status: delivery.DeploymentFailed, Failure: &delivery.Failure{Kind: delivery.Conflict.String(), Step: "take the cluster",
				Message: fmt.Sprintf("%s is being deployed to by %s, and the strategy's concurrency is reject", d.Cluster.Key(), d.heldBy)}}, nil
		}
	}
	return nil, nil
}

// canceledEarly returns the outcome of a cancel before anything was touched.
func (d *deployment) canceledEarly() *rollout.Outcome {
	for _, c := range d.Controls {
		if c.Kind == ControlCancel {
			s := rollout.State{Phase: rollout.Preparing}.Cancel(delivery.Principal{Name: c.By}, c.Reason)
			return &rollout.Outcome{Status: delivery.DeploymentCanceled, Failure: s.Cause}
		}
	}
	return nil
}

// obey makes what was asked for: the controls first, which the execution answered
// already, and then the moves.
func (d *deployment) obey(ctx workflow.Context) error {
	d.receive()
	if len(d.Controls) > 0 && len(d.asked) > 0 && ordersGoFirst(ctx) {
		if err := d.obeyControls(ctx); err != nil {
			return err
		}
	}
	if err := d.obeyMoves(ctx); err != nil {
		return err
	}
	return d.obeyControls(ctx)
}

// obeyControls gives the waiting controls to the rollout's state and records what they
// changed.
func (d *deployment) obeyControls(ctx workflow.Context) error {
	if len(d.Controls) == 0 {
		return nil
	}
	before, state := d.Rollout.Status(), *d.Rollout
	for _, c := range d.Controls {
		switch c.Kind {
		case ControlCancel:
			state = state.Cancel(delivery.Principal{Name: c.By}, c.Reason)
		case ControlPause:
			state = state.Pause(workflow.Now(ctx))
		case ControlResume:
			state = state.Resume(workflow.Now(ctx))
		}
	}
	d.Controls, d.Rollout = nil, &state
	if state.Status() == before {
		return nil
	}
	if state.CancelRequested {
		d.stopGate(ctx)
	}
	return d.record(ctx, nil, d.transition(state.Status(), state.Cause))
}

// step looks once, decides, and acts on the decision.
func (d *deployment) step(ctx workflow.Context) (*rollout.Outcome, error) {
	var a *Activities
	var seen Advanced
	interrupted, err := d.interruptible(workflow.WithActivityOptions(ctx, advanceOptions), a.Advance, *d.Rollout, &seen)
	switch {
	case interrupted:
		return nil, nil
	case err != nil:
		state := d.Rollout.GiveUp(failureOf("look at the cluster", err))
		d.Rollout = &state
		return state.Outcome, nil
	}
	before, judged := d.Rollout.Status(), d.Rollout.Judgments
	d.Rollout = &seen.State
	happened := append(d.batchEvents(seen.Batches), d.checkEvents(seen.Measured)...)
	happened = append(happened, d.judgmentEvents(judged, seen.State.Judgments)...)
	if seen.State.Checked() {
		d.stopGate(ctx) // the check has answered for it
	}
	if status := seen.State.Status(); status != before && !status.Complete() {
		happened = append(happened, d.transition(status, seen.State.Cause))
	}
	switch decision := seen.Decision; {
	case decision.Done != nil:
		if len(happened) > 0 {
			err = d.record(ctx, nil, happened...)
		}
		return decision.Done, err
	case decision.Apply != nil:
		return nil, d.apply(ctx, *decision.Apply, happened)
	case decision.Gate != nil && decision.Gate.Judgment != nil:
		return nil, d.awaitJudgment(ctx, *decision.Gate, happened)
	case decision.Gate != nil:
		return nil, d.gate(ctx, *decision.Gate, happened)
	default:
		if err := d.record(ctx, nil, happened...); err != nil {
			return nil, err
		}
		d.sleep(ctx, max(seen.Pause, decision.Await.Until.Sub(workflow.Now(ctx))))
		return nil, nil
	}
}

// apply carries out one change. It is not interrupted but at a safe point: what
// is decided next has to be decided on what it left behind.
func (d *deployment) apply(ctx workflow.Context, change delivery.Change, happened []happening) error {
	if err := d.record(ctx, nil, happened...); err != nil {
		return err
	}
	var a *Activities
	var applied Applied
	actx, stop := workflow.WithCancel(workflow.WithActivityOptions(ctx, applyOptions))
	future := workflow.ExecuteActivity(actx, a.Apply, ApplyRequest{Change: change, Execution: d.Execution, Stage: d.Stage, Again: d.again()})
	for !future.IsReady() {
		if d.await(ctx, future); d.orders() > 0 {
			stop()
			break
		}
	}
	err := future.Get(ctx, &applied)
	stop()
	event := ChangeEvent{Deployment: d.ID, Stage: d.Stage, Kind: change.Kind, Change: change.String(),
		Wrote: applied.Wrote, Done: applied.Done, Waiting: applied.Waiting}
	switch {
	case temporal.IsCanceledError(err):
		return nil
	case overtaken(err) && d.Conflicts < maxConflicts:
		d.Conflicts++
		d.sleep(ctx, time.Second)
		return nil
	case err != nil:
		f := failureOf(change.String(), err)
		state := d.Rollout.Fail(f)
		d.Rollout, event.Failure = &state, &f
		return d.record(ctx, nil, happening{kind: delivery.EventChange, data: event}, d.transition(state.Status(), state.Cause))
	}
	d.Conflicts = 0
	if len(applied.Wrote) > 0 {
		if err := d.record(ctx, nil, happening{kind: delivery.EventChange, data: event}); err != nil {
			return err
		}
	}
	d.sleep(ctx, applied.Pause)
	return nil
}

// overtaken reports whether a change was refused because of what was seen just
// before it was to be written, which is not what it was decided on: somebody
// else wrote, an instance died, or one of the two reads was stale. What to do
// then is decided on a new look.
func overtaken(err error) bool {
	return slices.ContainsFunc([]delivery.Kind{delivery.Conflict, delivery.Guarded, delivery.NotFound}, func(k delivery.Kind) bool {
		return kindIs(err, k.String())
	})
}

// end records the outcome, and gives the cluster free whatever happened.
func (d *deployment) end(ctx workflow.Context, outcome *rollout.Outcome, err error) (DeploymentResult, error) {
	if outcome == nil {
		outcome = &rollout.Outcome{Status: delivery.DeploymentFailed, Failure: delivery.FailureOf("carry out the deployment", err)}
	}
	if outcome.Status == delivery.DeploymentRollbackFailed {
		outcome = withAdvice(outcome, d.Rollout)
	}
	recorded := d.record(ctx, outcome, d.transition(outcome.Status, outcome.Failure))
	d.release(ctx)
	d.refuseMoves(ctx)
	if err == nil {
		err = recorded
	}
	return DeploymentResult{Status: outcome.Status, ServerGroup: d.serverGroup(), Failure: outcome.Failure, Preview: d.preview(outcome.Status)}, err
}

// release gives the lock back, or the place in its queue. A lock that is gone
// holds nothing.
func (d *deployment) release(ctx workflow.Context) {
	err := workflow.SignalExternalWorkflow(ctx, lockID(d.Cluster.Key()), "", signalRelease, LockHolder{d.ID.WorkflowID()}).Get(ctx, nil)
	if err != nil {
		d.log.Info("Lock took no release", "cluster", d.Cluster.Key(), "error", err)
	}
}

func (d *deployment) serverGroup() string {
	if d.Rollout == nil {
		return ""
	}
	return d.Rollout.Input.Group
}

// preview is how the server group of a dark release is reached; nil for others, and
// for one that did not succeed.
func (d *deployment) preview(status delivery.DeploymentStatus) *delivery.Preview {
	if d.Rollout == nil || status != delivery.DeploymentSucceeded {
		return nil
	}
	return d.Rollout.Preview
}

// withAdvice says what a person has to do where a rollback could not.
func withAdvice(o *rollout.Outcome, s *rollout.State) *rollout.Outcome {
	if s == nil || s.Before == nil || o.Failure == nil {
		return o
	}
	if op := s.Input.Operation; op != nil && op.Rollback != nil {
		return withRollbackAdvice(o, *op.Rollback)
	}
	var todo []string
	operated := s.Input.Operation != nil || s.Input.Promotion != nil
	if s.Input.Strategy.InPlace {
		f := *o.Failure
		f.Message += "; a person has to: " + s.InPlaceAdvice()
		return &rollout.Outcome{Status: o.Status, Failure: &f}
	}
	for _, g := range s.Before.Groups {
		if g.Serving || operated && (g.Name == s.Input.Group || slices.Contains(s.Operands, g.Name)) {
			todo = append(todo, fmt.Sprintf("give %s its capacity back (min %d, desired %d, max %d)", g.Name, g.Capacity.Min, g.Capacity.Desired, g.Capacity.Max))
		}
	}
	for _, w := range s.Before.Weights {
		if w.Percent > 0 {
			todo = append(todo, fmt.Sprintf("give %s %d %% of the traffic", w.ServerGroup, w.Percent))
		}
	}
	if !operated {
		todo = append(todo, "remove "+strings.Join(s.Made(), " and "))
	}
	f := *o.Failure
	f.Message += "; a person has to: " + strings.Join(todo, ", then ")
	return &rollout.Outcome{Status: o.Status, Failure: &f}
}
