package workflows

import (
	"encoding/json"

	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// manualJudgmentKind is a stage that asks people whether to go on. Exactly one answer
// counts; without one the stage fails when its time is over.
func manualJudgmentKind() stageKind {
	return stageKind{
		read: func(_ string, evaluated json.RawMessage) (BegunStage, error) {
			judgment, err := pipeline.ParseManualJudgment(evaluated)
			return BegunStage{Judgment: &judgment}, err
		},
		timeout: pipeline.JudgmentTimeout,
		run:     (*execution).ask,
	}
}

func (x *execution) ask(ctx workflow.Context, refID string, begun BegunStage) stageResult {
	run := runOf(ctx)
	if err := x.project(ctx, stageEvent(x.stage(refID))); err != nil { // with its deadline
		return failed("record the question", err)
	}
	run.judgment = begun.Judgment
	err := workflow.Await(ctx, func() bool { return run.judged != nil || x.stopping(ctx) })
	switch {
	case run.judged != nil && x.halting():
		return stageResult{canceled: true, outputs: *run.judged}
	case run.judged != nil:
		return stageResult{outputs: *run.judged, failure: run.judged.Failure()}
	case err != nil || x.halting():
		return stageResult{canceled: true}
	case run.timedOut:
		return stageResult{failure: &delivery.Failure{Kind: kindTimeout, Step: "manual judgment",
			Message: "nobody answered within " + begun.Timeout.String()}}
	default:
		return stageResult{canceled: true}
	}
}
