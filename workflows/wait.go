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

// sleep waits until the time is over or the execution stops.
func (x *execution) sleep(ctx workflow.Context, d time.Duration) stageResult {
	stopped, err := workflow.AwaitWithTimeout(ctx, d, x.stopping)
	return stageResult{canceled: stopped || err != nil}
}
