package workflows

import (
	"encoding/json"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// waitKind is the wait stage: one durable timer.
func waitKind() stageKind {
	return stageKind{
		read: func(_ string, evaluated json.RawMessage) (BegunStage, error) {
			wait, err := pipeline.ParseWait(evaluated)
			return BegunStage{Wait: wait}, err
		},
		run: func(x *execution, ctx workflow.Context, _ string, begun BegunStage) stageResult {
			return x.sleep(ctx, begun.Wait)
		},
	}
}

// sleep waits until the time is over, somebody skips the rest, or the stage stops.
func (x *execution) sleep(ctx workflow.Context, d time.Duration) stageResult {
	run := runOf(ctx)
	_, err := workflow.AwaitWithTimeout(ctx, d, func() bool { return run.goesOn != "" || x.stopping(ctx) })
	return stageResult{canceled: err != nil || x.stopping(ctx), reason: run.goesOn}
}
