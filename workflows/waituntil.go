package workflows

import (
	"encoding/json"

	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// waitUntilKind is the waitUntil stage: one durable timer. A time that has passed ends
// it at once.
func waitUntilKind() stageKind {
	return stageKind{
		read: func(_ string, evaluated json.RawMessage) (BegunStage, error) {
			until, err := pipeline.ParseWaitUntil(evaluated)
			return BegunStage{Until: until}, err
		},
		run: func(x *execution, ctx workflow.Context, _ string, begun BegunStage) stageResult {
			left := begun.Until.Sub(workflow.Now(ctx))
			if left <= 0 {
				return stageResult{}
			}
			return x.sleep(ctx, left)
		},
	}
}
