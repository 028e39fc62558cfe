package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// StageRequest names a stored stage.
type StageRequest struct {
	Execution delivery.ExecutionID `json:"execution"`
	Stage     string               `json:"stage"`
}

// StopRequest names the attempt of a stored stage that is to be stopped: the stage may be
// in another one by now.
type StopRequest struct {
	StageRequest
	Attempt   int       `json:"attempt,omitempty"`
	StartTime time.Time `json:"startTime,omitzero"`
}

// DoneStage is what became of a stage that an activity did.
type DoneStage struct {
	// Outputs is a JSON object; empty for none.
	Outputs json.RawMessage `json:"outputs,omitempty"`
	// Failure is set when it failed for good.
	Failure *delivery.Failure `json:"failure,omitempty"`
	// OnFailure is what the failure does to the execution, where the stage's own mode
	// does not decide it; empty else.
	OnFailure pipeline.FailureMode `json:"onFailure,omitempty"`
}

// maxOutputs bounds what one stage puts out, in bytes. It stands in the history and
// in each projection of the execution.
const maxOutputs = 64 << 10

// maxAllOutputs bounds what the stages of an execution put out together, in bytes. The
// record has them three times, evaluated contexts included, and is read and written whole
// at each beginning and end of a stage. Stages side by side may exceed it by one's own.
// Webhooks leave the bodies of answers out rather than exceed it.
const maxAllOutputs = 4 << 20

// doAs carries a stage out that is one activity.
func (x *execution) doAs(ctx workflow.Context, refID string, kind stageKind) stageResult {
	var done DoneStage
	var a *Activities
	options := doOptions
	if kind.within > 0 {
		options.ScheduleToCloseTimeout = kind.within
	}
	options.WaitForCancellation = kind.stop != nil // what a running attempt still begins is to be stopped, too
	request := StageRequest{Execution: x.ID, Stage: refID}
	actx, cancel := workflow.WithCancel(workflow.WithActivityOptions(ctx, options))
	defer cancel()
	future := workflow.ExecuteActivity(actx, a.DoStage, request)
	failure, canceled := x.outcome(ctx, "do the stage", future, &done)
	if kind.stop != nil && (canceled || failure != nil) {
		cancel()
		x.stopStage(ctx, future, refID)
	}
	if failure == nil {
		failure = done.Failure
	}
	result := stageResult{canceled: canceled, failure: failure, onFailure: done.OnFailure}
	if len(done.Outputs) > 0 {
		result.outputs = done.Outputs
	}
	return result
}

// stopStage ends what a stage has begun elsewhere, once its activity is over. The stage
// does not wait for it, but the workflow does before it ends.
func (x *execution) stopStage(ctx workflow.Context, activity workflow.Future, refID string) {
	request := x.stopRequest(refID)
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	x.cleanups++
	workflow.Go(ctx, func(ctx workflow.Context) {
		var a *Activities
		_ = activity.Get(ctx, nil)
		if err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, stopOptions), a.StopStage, request).Get(ctx, nil); err != nil {
			workflow.GetLogger(ctx).Error("Stage was not stopped", "execution", x.ID, "stage", request.Stage, "error", err)
		}
		x.cleanups--
	})
}

// stopRequest names the attempt that a stage is in.
func (x *execution) stopRequest(refID string) StopRequest {
	stage := x.stage(refID)
	return StopRequest{StageRequest{Execution: x.ID, Stage: refID}, stage.Attempt, stage.StartTime}
}

// await runs an activity until it is over or the execution stops, which cancels it.
func (x *execution) await(ctx workflow.Context, step string, options workflow.ActivityOptions, out any, activity any, in any) (failure *delivery.Failure, canceled bool) {
	actx, stop := workflow.WithCancel(workflow.WithActivityOptions(ctx, options))
	defer stop()
	return x.outcome(ctx, step, workflow.ExecuteActivity(actx, activity, in), out)
}

// outcome waits until an activity is over or the execution stops.
func (x *execution) outcome(ctx workflow.Context, step string, future workflow.Future, out any) (failure *delivery.Failure, canceled bool) {
	if err := workflow.Await(ctx, func() bool { return future.IsReady() || x.stopping(ctx) }); err != nil || !future.IsReady() {
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
	todo, err := a.stageToDo(ctx, in)
	if err != nil {
		return DoneStage{}, applicationError(err)
	}
	kind := stageKindOf(todo.Stage.Type)
	if kind.do == nil {
		return DoneStage{}, applicationError(delivery.Errorf(delivery.Invalid, "stage type %q is not done by an activity", todo.Stage.Type))
	}
	outputs, err := kind.do(a, ctx, todo)
	if err != nil && delivery.KindOf(err).Retryable() {
		return DoneStage{}, applicationError(err)
	}
	return doneStage(todo.Stage.Type, outputs, err, outputsBeside(todo)), nil
}

// outputsBeside is how many bytes the other stages of the execution have put out.
func outputsBeside(todo StageToDo) int {
	size := 0
	for _, s := range todo.Execution.Stages {
		if s.RefID != todo.Stage.RefID {
			size += len(s.Outputs)
		}
	}
	return size
}

func doneStage(stageType string, outputs any, err error, beside int) DoneStage {
	done := DoneStage{Failure: delivery.FailureOf(stageType, err)}
	var branch branchError
	if errors.As(err, &branch) {
		done.OnFailure = pipeline.HaltBranch
	}
	var canceled canceledError
	if errors.As(err, &canceled) {
		done.Failure.Kind = delivery.FailureCanceled
	}
	if outputs == nil {
		return done
	}
	done.Outputs, err = json.Marshal(outputs)
	switch size := len(done.Outputs); {
	case err != nil:
	case size > maxOutputs:
		err = delivery.Errorf(delivery.Invalid, "the stage puts out %d bytes; at most %d are kept", size, maxOutputs)
	case beside+size > maxAllOutputs:
		err = delivery.Errorf(delivery.Invalid, "the stage puts out %d bytes and the other stages of the execution %d; at most %d are kept together", size, beside, maxAllOutputs)
	}
	switch {
	case err == nil:
		return done
	case done.Failure != nil: // which says more than that its outputs are left out
		done.Outputs = nil
		return done
	default:
		return DoneStage{Failure: delivery.FailureOf(stageType, err)}
	}
}

// StopStage ends what the stage's kind has begun elsewhere.
func (a *Activities) StopStage(ctx context.Context, in StopRequest) error {
	todo, err := a.stageToDo(ctx, in.StageRequest)
	if err == nil {
		err = stageKindOf(todo.Stage.Type).halt(a, ctx, in.of(todo))
	}
	return applicationError(err)
}

// of is the stage in the attempt that the request names. Requests of older histories
// name none.
func (in StopRequest) of(s StageToDo) StageToDo {
	if !in.StartTime.IsZero() {
		s.Stage.Attempt, s.Stage.StartTime = in.Attempt, in.StartTime
	}
	return s
}

// halt calls stop, where the kind has one.
func (k stageKind) halt(a *Activities, ctx context.Context, s StageToDo) error {
	if k.stop == nil {
		return nil
	}
	return k.stop(a, ctx, s)
}

func (a *Activities) stageToDo(ctx context.Context, in StageRequest) (StageToDo, error) {
	e, definition, err := a.definition(ctx, in.Execution)
	if err != nil {
		return StageToDo{}, err
	}
	stage := e.Stage(in.Stage)
	if stage == nil {
		return StageToDo{}, delivery.Errorf(delivery.NotFound, "stage %s of execution %s", in.Stage, in.Execution)
	}
	return StageToDo{Execution: e, Definition: definition, Stage: *stage}, nil
}
