package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// kindTimeout is the kind of the failure of a stage that ran out of time.
const kindTimeout = "timeout"

// stageRun is an attempt of a stage in progress, or the wait for the next one: what people
// and the clock have done to it.
type stageRun struct {
	refID string
	// judgment is what people are asked; nil while they are not. judged is the answer.
	judgment *pipeline.ManualJudgment
	judged   *pipeline.Judged
	// skipped is why the stage is left out, goesOn why its wait ended early.
	skipped, goesOn string
	// held is true when goesOn was said in a pause: the wait ends with that.
	held bool
	// reading is true while the URLs of the stage's expressions are read, before it begins.
	reading bool
	// timedOut is set by the stage's own limit, over when it has ended, recorded when
	// that is in the store.
	timedOut, over, recorded bool
	// leftWindow is true when the wait for the stage's window ends with the stage.
	leftWindow bool
	// limited is when the limit was set.
	limited time.Time
}

// runKey finds the stageRun in the context of what carries a stage out.
type runKey struct{}

func runOf(ctx workflow.Context) *stageRun {
	run, ok := ctx.Value(runKey{}).(*stageRun)
	if !ok {
		return &stageRun{}
	}
	return run
}

// stopping reports whether the stage that ctx carries out is to stop, by itself or
// with the execution.
func (x *execution) stopping(ctx workflow.Context) bool {
	run := runOf(ctx)
	return run.timedOut || run.skipped != "" || x.halting()
}

// goesOnNow reports whether the wait of a run ended early. What somebody said in a pause
// counts from its end on, for a pause begins nothing.
func (x *execution) goesOnNow(run *stageRun) bool {
	return run.goesOn != "" && !(run.held && x.Status == delivery.StatusPaused)
}

// goOn notes that the wait of a run ends early. In a pause it goes on for what only waits
// to begin, its window or its next attempt; the note is recorded at once, and done is nil.
// Executions that took such a skip before began at once.
func (x *execution) goOn(ctx workflow.Context, run *stageRun, why string) (done func() bool, err error) {
	stage := x.stage(run.refID)
	begins := stage.Type == pipeline.WindowType || stage.AwaitsRetry()
	run.held = begins && x.Status == delivery.StatusPaused && workflow.GetVersion(ctx, "skip-in-pause", workflow.DefaultVersion, 1) == 1
	run.goesOn = why
	if !run.held {
		return func() bool { return run.recorded }, nil
	}
	stage.StatusReason = why
	return nil, x.project(ctx) // the event comes when the wait ends
}

// limit ends the stage when its deadline comes. While the execution is paused no
// time passes: a resume moves the deadline.
func (x *execution) limit(ctx workflow.Context, begun BegunStage) {
	run := runOf(ctx)
	if begun.Timeout <= 0 {
		return
	}
	run.limited = workflow.Now(ctx)
	x.stage(run.refID).Deadline = run.limited.Add(begun.Timeout)
	due := func() time.Time { return x.stage(run.refID).Deadline }
	over := func() bool { return run.over }
	workflow.Go(ctx, func(ctx workflow.Context) {
		if x.until(ctx, due, over) == nil && !run.over {
			run.timedOut = true
		}
	})
}

// until waits for a time, which a pause of the execution moves, or until it is over.
func (x *execution) until(ctx workflow.Context, due func() time.Time, over func() bool) error {
	going := func() bool { return over() || x.Status != delivery.StatusPaused }
	stopped := func() bool { return over() || x.Status == delivery.StatusPaused }
	for {
		if err := workflow.Await(ctx, going); err != nil || over() {
			return err
		}
		left := due().Sub(workflow.Now(ctx))
		if left <= 0 {
			return nil
		}
		if _, err := workflow.AwaitWithTimeout(ctx, left, stopped); err != nil {
			return err
		}
	}
}

// settle says what became of a stage that was stopped: a cancel of the execution
// goes before a skip, and a skip before the end of the stage's time.
func (x *execution) settle(run *stageRun, begun BegunStage, result stageResult) stageResult {
	switch {
	case !result.canceled || x.halting():
	case run.skipped != "":
		result.canceled, result.reason, result.skipped = false, run.skipped, true
	case run.timedOut:
		result.canceled = false
		if result.failure == nil {
			result.failure = &delivery.Failure{Kind: kindTimeout, Step: "stageTimeoutMs", Message: "the stage did not end within " + begun.Timeout.String()}
		}
	}
	return result
}

// acceptStage refuses what the stage does not take now. Before the execution is
// loaded nothing is known.
func (x *execution) acceptStage(c pipeline.StageCommand) error {
	if err := x.accept(); err != nil || !x.loaded {
		return err
	}
	stage := x.known(c.Stage)
	if stage == nil {
		return refusal(delivery.Errorf(delivery.NotFound, "execution %s has no stage %s", x.ID, c.Stage))
	}
	if c.Action == pipeline.RestartStage {
		_, err := pipeline.Restart(x.definition, x.Stages, c.Stage, "")
		return refusal(err)
	}
	if run := x.runs[c.Stage]; run != nil && run.judged != nil && c.Action == pipeline.Judge {
		return refusal(delivery.Errorf(delivery.Conflict, "%s has answered: %s", run.judged.JudgedBy, run.judged.JudgmentStatus))
	}
	if err := c.Action.Accepts(*stage); err != nil {
		return refusal(err)
	}
	return refusal(x.begins(c))
}

// begins refuses what only a stage that has begun can take: before that it neither asks
// nor waits, and nobody is to wait for it to do so, for that may take days.
func (x *execution) begins(c pipeline.StageCommand) error {
	if c.Action == pipeline.ManualSkip {
		return nil
	}
	if run := x.runs[c.Stage]; run != nil && run.reading {
		return delivery.Errorf(delivery.Conflict, "stage %s has not begun: it reads what its expressions need", c.Stage)
	}
	if before := x.known(pipeline.BeforeRef(c.Stage)); before != nil && before.Status == delivery.StatusRunning {
		if run := x.runs[before.RefID]; run != nil && run.held {
			return delivery.Errorf(delivery.Conflict, "stage %s begins when the execution is resumed: its execution window was skipped", c.Stage)
		}
		return delivery.Errorf(delivery.Conflict, "stage %s waits for its execution window; skipRemainingWait to stage %s, with the id %s, opens it", c.Stage, before.RefID, before.ID)
	}
	return nil
}

// act does to a stage what somebody asked for. It is done when the stage's end is
// recorded.
func (x *execution) act(ctx workflow.Context, c pipeline.StageCommand) (done func() bool, err error) {
	if c.Action == pipeline.RestartStage && !x.halting() {
		return nil, x.restart(ctx, c)
	}
	run, err := x.runTo(ctx, c.Stage)
	if err != nil {
		return nil, err
	}
	switch c.Action {
	case pipeline.ManualSkip:
		run.skipped = c.SkipReason()
	case pipeline.SkipRemainingWait:
		return x.goOn(ctx, run, c.By.Name+" skipped the remaining wait")
	case pipeline.Judge:
		// Its window may close only now: no command behind this one may wait for that.
		var notYet error
		err := workflow.Await(ctx, func() bool { notYet = x.begins(c); return run.judgment != nil || run.over || notYet != nil })
		switch {
		case err != nil:
			return nil, err
		case run.judgment == nil && notYet != nil:
			return nil, refusal(notYet)
		}
		if run.over || run.timedOut {
			return nil, refusal(delivery.Errorf(delivery.Conflict, "stage %s no longer asks", c.Stage))
		}
		judged, err := run.judgment.Answer(c, workflow.Now(ctx))
		if err != nil {
			return nil, refusal(err)
		}
		run.judged = &judged
	}
	return func() bool { return run.recorded }, nil
}

// runTo is the run of a stage in progress. A stage that a worker had recorded as running
// before it died is begun once more right after the execution is loaded.
func (x *execution) runTo(ctx workflow.Context, refID string) (*stageRun, error) {
	gone := func() bool { return x.halting() || x.closed }
	if x.stage(refID).SyntheticStageOwner == "" { // it begins whatever happens; a part of it may not
		if err := workflow.Await(ctx, func() bool { return x.runs[refID] != nil || gone() }); err != nil {
			return nil, err
		}
	}
	switch run := x.runs[refID]; {
	case gone():
		return nil, refusal(delivery.Errorf(delivery.Conflict, "execution %s is ending", x.ID))
	case run == nil:
		return nil, refusal(delivery.Errorf(delivery.NotReady, "stage %s is beginning once more", refID))
	default:
		return run, nil
	}
}

// refusal is the error that answers an update.
func refusal(err error) error { return asApplicationError(err, false) }
