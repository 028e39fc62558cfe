package workflows

import (
	"context"
	"encoding/json"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// missed is how late a stage may begin after its window said so. Beyond, when no
// worker ran or somebody had paused, the window is asked again.
const missed = time.Minute

// awaitWindow waits until the stage's window is open, as the stage before it that is
// shown. ok is false when the stage does not run: then its result is the other one.
func (x *execution) awaitWindow(ctx workflow.Context, refID string, begun BegunStage) (result stageResult, ok bool) {
	before := x.known(pipeline.BeforeRef(refID))
	if begun.Begin.IsZero() || before == nil {
		return stageResult{}, true
	}
	if before.Status.Complete() && before.StartTime.Before(x.stage(refID).StartTime) { // an attempt before this one waited for it
		*before = pipeline.NextAttempt(*before, workflow.Now(ctx))
	}
	run := x.newRun(before.RefID)
	before.Status, before.StartTime, before.ScheduledTime = delivery.StatusRunning, workflow.Now(ctx), begun.Begin
	result, ok = x.untilOpen(ctx, run, before, refID)
	before.EndTime, before.StatusReason, run.over = workflow.Now(ctx), run.goesOn, true
	switch {
	case ok:
		before.Status = delivery.StatusSucceeded
	case result.failure != nil:
		before.Status = delivery.StatusTerminal
		before.Failure = result.failure
	case runOf(ctx).skipped != "" && !x.halting():
		before.Status, before.StatusReason = delivery.StatusSkipped, runOf(ctx).skipped
	default:
		before.Status, before.StatusReason = delivery.StatusCanceled, ""
	}
	if err := x.project(ctx, stageEvent(before)); err != nil && ok {
		return failed("record the window", err), false
	}
	run.recorded = true
	return result, ok
}

// leaveWindow ends the wait for the window of a stage that does not run, before it began.
func (x *execution) leaveWindow(ctx workflow.Context, refID, why string) {
	before := x.known(pipeline.BeforeRef(refID))
	if before == nil || before.Status != delivery.StatusNotStarted {
		return
	}
	now := workflow.Now(ctx)
	before.Status, before.StartTime, before.EndTime, before.StatusReason = delivery.StatusSkipped, now, now, why
	runOf(ctx).leftWindow = true
}

func (x *execution) untilOpen(ctx workflow.Context, run *stageRun, before *delivery.Stage, refID string) (stageResult, bool) {
	if err := x.project(ctx, stageEvent(before)); err != nil {
		return failed("record the window", err), false
	}
	over := func() bool { return x.goesOnNow(run) || x.stopping(ctx) }
	for {
		left := before.ScheduledTime.Sub(workflow.Now(ctx))
		if left > 0 {
			if _, err := workflow.AwaitWithTimeout(ctx, left, over); err != nil {
				return stageResult{canceled: true}, false
			}
		}
		if err := workflow.Await(ctx, func() bool { return over() || x.Status != delivery.StatusPaused }); err != nil || x.stopping(ctx) {
			return stageResult{canceled: true}, false
		}
		if run.goesOn != "" || workflow.Now(ctx).Sub(before.ScheduledTime) < missed {
			return stageResult{}, true
		}
		next, err := x.reopens(ctx, refID)
		if err != nil {
			return failed("read the window", err), false
		}
		before.ScheduledTime = next
	}
}

// reopens asks the window again.
func (x *execution) reopens(ctx workflow.Context, refID string) (begin time.Time, err error) {
	var a *Activities
	ctx = workflow.WithLocalActivityOptions(ctx, recordOptions)
	err = workflow.ExecuteLocalActivity(ctx, a.NextOpening, StageRequest{Execution: x.ID, Stage: refID}, workflow.Now(ctx)).Get(ctx, &begin)
	return begin, err
}

// NextOpening is when the window of a stage that has begun is open next.
func (a *Activities) NextOpening(ctx context.Context, in StageRequest, at time.Time) (time.Time, error) {
	todo, err := a.stageToDo(ctx, in)
	if err != nil {
		return time.Time{}, applicationError(err)
	}
	begin, err := beginOf(todo.Stage.Context, todo.Definition, todo.Execution, in.Stage, at, true)
	return begin, applicationError(err)
}

// beginOf is when a stage may begin by its window; zero for a stage without one.
func beginOf(evaluated json.RawMessage, d pipeline.Definition, e delivery.Execution, refID string, at time.Time, again bool) (time.Time, error) {
	w, err := pipeline.ParseWindow(evaluated, d.Timezone)
	if err != nil || w == nil {
		return time.Time{}, err
	}
	return w.Begin(at, e, refID, again)
}
