package workflows

import (
	"encoding/json"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// BegunWebhook is what the workflow needs to know of a webhook stage.
type BegunWebhook struct {
	// Before is how long to wait before the first look at the other system, and Within
	// how long that may take until it is done.
	Before time.Duration `json:"before,omitempty"`
	Within time.Duration `json:"within"`
	// Cancels is true when the other system wants to be told of a cancel.
	Cancels bool `json:"cancels,omitempty"`
}

// webhookKind is a stage that calls another system and, where that is wanted, looks
// until the system is done.
func webhookKind() stageKind {
	return stageKind{
		read: func(_ string, evaluated json.RawMessage) (BegunStage, error) {
			w, err := pipeline.ParseWebhook(evaluated)
			begun := BegunWebhook{Within: w.Within, Cancels: w.Cancel != nil}
			if w.Monitor != nil {
				begun.Before = w.Monitor.Before
			}
			return BegunStage{Webhook: &begun}, err
		},
		run: (*execution).webhook,
	}
}

// webhook makes the call, and waits until the other system is done. Whatever cancels
// the stage, or when its time is over, the other system is told.
func (x *execution) webhook(ctx workflow.Context, refID string, begun BegunStage) stageResult {
	const step = "call the other system"
	var called CalledWebhook
	var a *Activities
	actx, stop := workflow.WithCancel(workflow.WithActivityOptions(ctx, webhookOptions))
	defer stop()
	call := workflow.ExecuteActivity(actx, a.CallWebhook, StageRequest{Execution: x.ID, Stage: refID})
	failure, canceled := x.outcome(ctx, step, call, &called)
	result, outputs, late := stageResult{failure: failure, canceled: canceled}, called.Outputs, false
	switch {
	case canceled:
		stop()
	case failure != nil:
	case called.Verdict.Next == pipeline.WebhookMonitored:
		result, outputs = x.monitorWebhook(ctx, refID, called, *begun.Webhook)
		late = result.failure != nil && result.failure.Kind == kindTimeout
	default:
		result = webhookResult(step, called.Verdict)
	}
	stopped := result.canceled && result.failure == nil
	if begun.Webhook.Cancels && (stopped || late && tellsLate(ctx)) {
		outputs = x.cancelWebhook(ctx, refID, call, outputs)
	}
	if outputs != nil {
		result.outputs = *outputs
	}
	return result
}

// tellsLate reports whether the other system is told that the stage is out of time; not
// in stages that ran out of time before it was.
func tellsLate(ctx workflow.Context) bool {
	return workflow.GetVersion(ctx, "tell-late-webhook", workflow.DefaultVersion, 1) == 1
}

// monitorWebhook waits until the other system is done.
func (x *execution) monitorWebhook(ctx workflow.Context, refID string, called CalledWebhook, begun BegunWebhook) (stageResult, *pipeline.WebhookOutputs) {
	deadline := workflow.Now(ctx).Add(begun.Within)
	x.show(ctx, refID, *called.Outputs)
	if x.sleep(ctx, min(begun.Before, begun.Within)).canceled {
		return stageResult{canceled: true}, called.Outputs
	}
	return x.lookAtWebhook(ctx, refID, called, deadline)
}

// lookAtWebhook looks until the other system is done, and shows how far it has come.
func (x *execution) lookAtWebhook(ctx workflow.Context, refID string, called CalledWebhook, deadline time.Time) (stageResult, *pipeline.WebhookOutputs) {
	const step = "wait until the other system is done"
	outputs := called.Outputs
	request := WebhookLookRequest{StageRequest: StageRequest{Execution: x.ID, Stage: refID}, StatusURL: called.Verdict.StatusURL}
	var a *Activities
	for shown := 1; ; shown++ {
		options := webhookLookOptions
		options.ScheduleToCloseTimeout = max(deadline.Sub(workflow.Now(ctx)), time.Second)
		request.Patient = shown >= maxProgress
		var looked LookedAtWebhook
		failure, canceled := x.await(ctx, step, options, &looked, a.LookAtWebhook, request)
		if failure != nil && delivery.ParseKind(failure.Kind).Retryable() { // until its time was over
			failure.Kind, failure.Message = kindTimeout, "it was not done in time: "+failure.Message
		}
		if failure != nil || canceled {
			return stageResult{failure: failure, canceled: canceled}, outputs
		}
		if looked.Look != nil {
			with := outputs.WithLook(*looked.Look)
			outputs = &with
		}
		if looked.Verdict.Next != pipeline.WebhookAgain {
			return webhookResult(step, looked.Verdict), outputs
		}
		x.show(ctx, refID, *outputs)
		request.Known = looked.Verdict.Standing()
		if x.sleep(ctx, max(webhookPause, looked.Verdict.After)).canceled {
			return stageResult{canceled: true}, outputs
		}
	}
}

// webhookResult is how the stage ends by a verdict.
func webhookResult(step string, v pipeline.WebhookVerdict) stageResult {
	switch v.Next {
	case pipeline.WebhookSucceeded:
		return stageResult{}
	case pipeline.WebhookCanceled:
		return stageResult{canceled: true, failure: &delivery.Failure{Kind: delivery.FailureCanceled, Step: step, Message: v.Reason}}
	default:
		return stageResult{failure: &delivery.Failure{Kind: v.Kind, Step: step, Message: v.Reason}, final: v.Final}
	}
}

// cancelWebhook tells the other system, once the call is over. The stage waits for the
// answer for as long as a canceled execution waits for anything; the workflow until it
// is there, and names the attempt: the stage may be in another one by then.
func (x *execution) cancelWebhook(ctx workflow.Context, refID string, call workflow.Future, outputs *pipeline.WebhookOutputs) *pipeline.WebhookOutputs {
	answer := pipeline.WebhookAnswer{Error: "no answer came before the stage was over"}
	told := false
	request := x.stopRequest(refID)
	x.cleanups++
	workflow.Go(ctx, func(ctx workflow.Context) {
		var a *Activities
		var got pipeline.WebhookAnswer
		_ = call.Get(ctx, nil)
		err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, stopOptions), a.CancelWebhook, request).Get(ctx, &got)
		if err != nil {
			workflow.GetLogger(ctx).Error("The other system was not told of the cancel", "execution", x.ID, "stage", refID, "error", err)
			got.Error = failureOf("cancel", err).Message
		}
		answer, told = got, true
		x.cleanups--
	})
	_, _ = workflow.AwaitWithTimeout(ctx, cancelGrace, func() bool { return told })
	var with pipeline.WebhookOutputs
	if outputs != nil {
		with = *outputs
	}
	with = with.WithCancellation(answer)
	return &with
}

// show records outputs of a stage that goes on.
func (x *execution) show(ctx workflow.Context, refID string, outputs any) {
	x.takeBack(refID)
	x.Outputs = append(x.Outputs, StageOutputs{RefID: refID, Value: outputs})
	if err := x.project(ctx, stageEvent(x.stage(refID))); err != nil {
		workflow.GetLogger(ctx).Error("Outputs were not recorded", "execution", x.ID, "stage", refID, "error", err)
	}
}
