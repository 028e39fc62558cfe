package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// restart lets a stage, and what comes after it, begin again while the execution runs.
// It is answered when that is recorded.
func (x *execution) restart(ctx workflow.Context, c pipeline.StageCommand) error {
	stages, err := pipeline.Restart(x.definition, x.Stages, c.Stage, c.RestartReason())
	if err != nil {
		return refusal(err)
	}
	var reset []happening
	for i, s := range stages {
		if s.Attempt == x.Stages[i].Attempt {
			continue
		}
		x.Stages[i] = s // in place: others keep pointers to stages
		reset = append(reset, stageEvent(&x.Stages[i]))
		delete(x.runs, s.RefID)
		x.takeBack(s.RefID)
	}
	x.changed = true
	return x.project(ctx, reset...)
}
