package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// newRun begins an attempt of a stage, or the wait for one: what people ask of the stage
// from now on is for that.
func (x *execution) newRun(refID string) *stageRun {
	run := &stageRun{refID: refID}
	x.runs[refID] = run
	return run
}

// tryStage carries a stage out until an attempt does not fail or no other follows, and
// returns what became of the last one. A stage that is stopped while it waits for an
// attempt ends with the wait.
func (x *execution) tryStage(ctx workflow.Context, refID string) (*stageRun, stageResult) {
	stage, run := x.stage(refID), x.newRun(refID)
	for {
		var result stageResult
		var goesOn bool
		attempt := workflow.WithValue(ctx, runKey{}, run)
		if stage.AwaitsRetry() { // as it may be recorded when its worker died
			x.hasBegun(refID)
			result, goesOn = x.awaitRetry(attempt)
		} else {
			result = x.carryOut(attempt, refID)
			goesOn = x.retries(ctx, run, result)
		}
		if !goesOn {
			return run, result
		}
		run = x.runs[refID]
	}
}

// retries reports whether another attempt follows the one with that result, and records
// that the stage waits for it.
func (x *execution) retries(ctx workflow.Context, run *stageRun, result stageResult) bool {
	if result.failure == nil || result.canceled || result.final || x.halting() {
		return false
	}
	stage := x.stage(run.refID)
	waiting, ok := x.definition.Stage(run.refID).Retry.Again(*stage, *result.failure, workflow.Now(ctx))
	if !ok {
		return false
	}
	*stage = waiting
	x.putOut(run.refID, result)
	x.newRun(run.refID)
	x.recordRun(ctx, run)
	return true
}

// awaitRetry waits until the next attempt of the stage that ctx carries out is due, or
// somebody wants it now. due is false when the stage stops instead, with that result.
func (x *execution) awaitRetry(ctx workflow.Context) (result stageResult, due bool) {
	run := runOf(ctx)
	stage := x.stage(run.refID)
	over := func() bool { return x.goesOnNow(run) || x.stopping(ctx) }
	if err := x.until(ctx, func() time.Time { return stage.ScheduledTime }, over); err != nil || x.stopping(ctx) {
		return x.settle(run, BegunStage{}, stageResult{canceled: true}), false
	}
	*stage = pipeline.NextAttempt(*stage, workflow.Now(ctx))
	stage.StatusReason = run.goesOn
	x.takeBack(run.refID)
	x.newRun(run.refID)
	if run.goesOn == "" && !slices.Contains(x.reads, run.refID) {
		run.over, run.recorded = true, true // nobody waits for it; the beginning is recorded next, but for what is read before
		return stageResult{}, true
	}
	x.recordRun(ctx, run)
	return stageResult{}, true
}

// recordRun records the end of an attempt, of the wait for one, or of the stage.
func (x *execution) recordRun(ctx workflow.Context, run *stageRun) {
	run.over = true
	happened := []happening{stageEvent(x.stage(run.refID))}
	if run.leftWindow {
		happened = append(happened, stageEvent(x.known(pipeline.BeforeRef(run.refID))))
	}
	if err := x.project(ctx, happened...); err != nil {
		workflow.GetLogger(ctx).Error("End of stage or attempt was not recorded", "execution", x.ID, "stage", run.refID, "error", err)
	}
	run.recorded = true
}
