package workflows

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery"
)

// StageRequest names a stored stage.
type StageRequest struct {
	Execution delivery.ExecutionID `json:"execution"`
	Stage     string               `json:"stage"`
}

// DoneStage is what became of a stage that an activity did.
type DoneStage struct {
	// Outputs is a JSON object; empty for none.
	Outputs json.RawMessage `json:"outputs,omitempty"`
	// Failure is set when it failed for good.
	Failure *delivery.Failure `json:"failure,omitempty"`
}

// maxOutputs bounds what one stage puts out, in bytes. It stands in the history and
// in each projection of the execution.
const maxOutputs = 64 << 10

// do carries a stage out that is one activity.
func (x *execution) do(ctx workflow.Context, refID string) stageResult {
	var done DoneStage
	var a *Activities
	options := doOptions
	if within := stageKindOf(x.stage(refID).Type).within; within > 0 {
		options.ScheduleToCloseTimeout = within
	}
	failure, canceled := x.await(ctx, "do the stage", options, &done, a.DoStage, StageRequest{Execution: x.ID, Stage: refID})
	if failure == nil {
		failure = done.Failure
	}
	result := stageResult{canceled: canceled, failure: failure}
	if len(done.Outputs) > 0 {
		result.outputs = done.Outputs
	}
	return result
}

// await runs an activity until it is over or the execution stops, which cancels it.
func (x *execution) await(ctx workflow.Context, step string, options workflow.ActivityOptions, out any, activity any, in any) (failure *delivery.Failure, canceled bool) {
	actx, stop := workflow.WithCancel(workflow.WithActivityOptions(ctx, options))
	defer stop()
	future := workflow.ExecuteActivity(actx, activity, in)
	if err := workflow.Await(ctx, func() bool { return future.IsReady() || x.stopping() }); err != nil || !future.IsReady() {
		return nil, true
	}
	if err := future.Get(ctx, out); err != nil {
		f := failureOf(step, err)
		return &f, false
	}
	return nil, false
}

// notYet is the error of a poll that has to look again after the pause. Temporal
// repeats the activity then; waiting neither holds a slot nor adds events.
func notYet(pause time.Duration, format string, args ...any) error {
	return &delivery.Error{Kind: delivery.NotReady, Message: fmt.Sprintf(format, args...), RetryAfter: pause}
}

// DoStage does what the stage's kind does. What cannot be done ever is a failure,
// with outputs where the kind has some; what may be done later is repeated.
func (a *Activities) DoStage(ctx context.Context, in StageRequest) (DoneStage, error) {
	e, definition, err := a.definition(ctx, in.Execution)
	if err != nil {
		return DoneStage{}, applicationError(err)
	}
	stage := e.Stage(in.Stage)
	if stage == nil {
		return DoneStage{}, applicationError(delivery.Errorf(delivery.NotFound, "stage %s of execution %s", in.Stage, in.Execution))
	}
	kind := stageKindOf(stage.Type)
	if kind.do == nil {
		return DoneStage{}, applicationError(delivery.Errorf(delivery.Invalid, "stage type %q is not done by an activity", stage.Type))
	}
	outputs, err := kind.do(a, ctx, StageToDo{Execution: e, Definition: definition, Stage: *stage})
	if err != nil && delivery.KindOf(err).Retryable() {
		return DoneStage{}, applicationError(err)
	}
	done := DoneStage{Failure: delivery.FailureOf(stage.Type, err)}
	if outputs == nil {
		return done, nil
	}
	if done.Outputs, err = json.Marshal(outputs); err == nil && len(done.Outputs) > maxOutputs {
		err = delivery.Errorf(delivery.Invalid, "the stage puts out %d bytes; at most %d are kept", len(done.Outputs), maxOutputs)
	}
	if err != nil {
		return DoneStage{Failure: delivery.FailureOf(stage.Type, err)}, nil
	}
	return done, nil
}
