package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// await blocks until one of the futures is ready or a signal came in. There is
// one reader of signals, so that none is lost when the loop continues as new.
func (d *deployment) await(ctx workflow.Context, futures ...workflow.Future) {
	s := workflow.NewSelector(ctx)
	for _, future := range futures {
		s.AddFuture(future, func(workflow.Future) {})
	}
	s.AddReceive(d.control, func(c workflow.ReceiveChannel, _ bool) {
		var control Control
		c.Receive(ctx, &control)
		d.Controls = append(d.Controls, control)
	})
	s.AddReceive(d.granted, func(c workflow.ReceiveChannel, _ bool) {
		var grant Grant
		c.Receive(ctx, &grant)
		d.answered(grant)
	})
	s.AddReceive(d.asks, func(c workflow.ReceiveChannel, _ bool) {
		var m *askedMove
		c.Receive(ctx, &m)
		d.asked = append(d.asked, m)
	})
	s.AddReceive(d.wake, func(c workflow.ReceiveChannel, _ bool) {
		c.Receive(ctx, nil)
		d.woken = true
	})
	s.Select(ctx)
}

// receive takes the signals that are there already.
func (d *deployment) receive() {
	var control Control
	for d.control.ReceiveAsync(&control) {
		d.Controls = append(d.Controls, control)
		control = Control{}
	}
	var grant Grant
	for d.granted.ReceiveAsync(&grant) {
		d.answered(grant)
		grant = Grant{}
	}
	var m *askedMove
	for d.asks.ReceiveAsync(&m) {
		d.asked = append(d.asked, m)
	}
	for d.wake.ReceiveAsync(nil) {
		d.woken = true
	}
}

// orders counts what people want and did not get yet.
func (d *deployment) orders() int { return len(d.Controls) + len(d.asked) }

// answered takes the lock's answer.
func (d *deployment) answered(g Grant) {
	d.Fence, d.heldBy = max(d.Fence, g.Fence), g.HeldBy
}

// interruptible runs an activity that only reads, until it ends or a control or
// a wake comes in. An interrupted one is left to itself and its result unused.
func (d *deployment) interruptible(ctx workflow.Context, activity, in, out any) (interrupted bool, err error) {
	actx, stop := workflow.WithCancel(ctx)
	defer stop()
	waiting := d.orders()
	d.woken = false
	future := workflow.ExecuteActivity(actx, activity, in)
	for !future.IsReady() {
		d.await(ctx, future)
		if !future.IsReady() && (d.orders() > waiting || d.woken) {
			return true, nil
		}
	}
	return false, future.Get(ctx, out)
}

// interruptibleUntil is interruptible, and also interrupted when the time has
// come; zero is never.
func (d *deployment) interruptibleUntil(ctx workflow.Context, until time.Time, activity, in, out any) (interrupted bool, err error) {
	if until.IsZero() {
		return d.interruptible(ctx, activity, in, out)
	}
	actx, stop := workflow.WithCancel(ctx)
	defer stop()
	waiting := d.orders()
	d.woken = false
	future := workflow.ExecuteActivity(actx, activity, in)
	timer := workflow.NewTimer(actx, max(until.Sub(workflow.Now(ctx)), time.Millisecond))
	for !future.IsReady() {
		d.await(ctx, future, timer)
		if !future.IsReady() && (timer.IsReady() || d.orders() > waiting || d.woken) {
			return true, nil
		}
	}
	return false, future.Get(ctx, out)
}

// sleep waits durably, until a control comes in at the latest.
func (d *deployment) sleep(ctx workflow.Context, t time.Duration) {
	if t <= 0 {
		return
	}
	tctx, stop := workflow.WithCancel(ctx)
	defer stop()
	timer := workflow.NewTimer(tctx, t)
	for !timer.IsReady() && d.orders() == 0 {
		d.await(ctx, timer)
	}
}

// tooLong reports whether the history has grown so that the loop has to go on in
// a new one.
func (d *deployment) tooLong(ctx workflow.Context) bool {
	info := workflow.GetInfo(ctx)
	return info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() > maxHistory
}

func (d *deployment) continueAsNew(ctx workflow.Context) error {
	if err := d.answerMoves(ctx, func() error { return d.obeyMoves(ctx) }); err != nil {
		return err
	}
	in := d.DeploymentInput
	in.Carried = &d.DeploymentState
	return workflow.NewContinueAsNewError(ctx, deploymentType, in)
}

// gate runs a pipeline and gives its result to the rollout. It is left for a
// measurement that is due; the same gate is asked again after it.
func (d *deployment) gate(ctx workflow.Context, gate rollout.Gate, happened []happening) error {
	if err := d.record(ctx, nil, happened...); err != nil {
		return err
	}
	var a *Activities
	gctx := workflow.WithActivityOptions(ctx, gateOptions)
	request := GateRequest{Deployment: d.ID, Execution: d.Execution, Gate: gate}
	interrupted, err := d.interruptible(gctx, a.StartGate, request, &d.Gate)
	if err == nil && !interrupted {
		wait := gateWaitOptions
		wait.ScheduleToCloseTimeout = max(time.Second, d.Rollout.GateDeadline(workflow.Now(ctx)).Sub(workflow.Now(ctx)))
		interrupted, err = d.interruptibleUntil(workflow.WithActivityOptions(ctx, wait), d.Rollout.NextCheck(), a.AwaitGate, d.Gate, nil)
	}
	if interrupted {
		return nil // what interrupted it is obeyed first; the same gate is then asked again
	}
	var failure *delivery.Failure
	if err != nil {
		f := failureOf("pipeline "+gate.Pipeline.PipelineID, err)
		failure = &f
		d.stopGate(ctx)
	}
	state := d.Rollout.Answer(gate.ID, failure)
	d.Rollout, d.Gate = &state, ""
	return d.record(ctx, nil, d.transition(state.Status(), state.Cause))
}

// stopGate cancels the pipeline of a gate that nobody waits for any more. It is
// not waited for either.
func (d *deployment) stopGate(ctx workflow.Context) {
	if d.Gate == "" {
		return
	}
	var a *Activities
	workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, gateOptions), a.StopGate, d.Gate)
	d.Gate = ""
}

func (d *deployment) transition(status delivery.DeploymentStatus, failure *delivery.Failure) happening {
	return happening{kind: delivery.EventDeployment, data: DeploymentEvent{Deployment: d.ID, Stage: d.Stage, Cluster: d.Cluster.Key(),
		Status: status, ServerGroup: d.serverGroup(), Failure: failure}}
}

func (d *deployment) batchEvents(batches []BatchSeen) []happening {
	out := make([]happening, len(batches))
	for i, b := range batches {
		out[i] = happening{kind: delivery.EventBatch, data: BatchEvent{Deployment: d.ID, Stage: d.Stage, Done: b.Done, Batch: b.Batch}}
	}
	return slices.Clip(out)
}

func (d *deployment) checkEvents(measured []rollout.Measurement) []happening {
	out := make([]happening, len(measured))
	for i, m := range measured {
		out[i] = happening{kind: delivery.EventCheck, data: CheckEvent{Deployment: d.ID, Stage: d.Stage, Measurement: m}}
	}
	return out
}

// record writes the deployment as it stands to the store. outcome is nil while
// it goes on.
func (d *deployment) record(ctx workflow.Context, outcome *rollout.Outcome, happened ...happening) error {
	d.Version++
	record := delivery.Deployment{ID: d.ID, Execution: d.Execution, Stage: d.Stage, Cluster: d.Cluster,
		Status: delivery.DeploymentQueued, ServerGroup: d.serverGroup(), StartTime: d.StartTime, Version: d.Version}
	if d.Rollout != nil {
		record.Status, record.Failure, record.Judgment = d.Rollout.Status(), d.Rollout.Cause, d.Rollout.Judgment()
	}
	if outcome != nil {
		record.Status, record.Failure, record.EndTime = outcome.Status, outcome.Failure, workflow.Now(ctx)
		record.Judgment = nil
	}
	var a *Activities
	ctx = workflow.WithLocalActivityOptions(ctx, recordOptions)
	return workflow.ExecuteLocalActivity(ctx, a.RecordDeployment, record, d.Rollout, workflow.Now(ctx), happened).Get(ctx, nil)
}
