package workflows

import (
	"context"
	"encoding/json"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// monitorKind is the stage that waits for executions that others started. They go on
// when it is stopped.
func monitorKind() stageKind {
	return stageKind{
		read: func(_ string, evaluated json.RawMessage) (BegunStage, error) {
			_, err := pipeline.ParseMonitor(evaluated)
			return BegunStage{}, err
		},
		do:     (*Activities).monitor,
		within: childTime + time.Hour,
	}
}

func (a *Activities) monitor(ctx context.Context, s StageToDo) (any, error) {
	want, err := pipeline.ParseMonitor(s.Stage.Context)
	if err != nil {
		return nil, err
	}
	var seen []delivery.Execution
	for _, id := range want.Executions {
		e, err := a.deps.Store.Execution(ctx, id)
		if delivery.KindOf(err) == delivery.NotFound {
			err = delivery.Errorf(delivery.NotFound, "no execution has the id %q", id)
		}
		if err != nil {
			return nil, err
		}
		seen = append(seen, e)
	}
	over, failed := want.Outcome(seen)
	waited := a.deps.Now().Sub(s.Stage.StartTime)
	if !over && waited <= childTime {
		return nil, notYet(gatePause(waited), "the executions have not ended")
	}
	outputs, err := want.Outputs(seen)
	if err != nil {
		return nil, err
	}
	if !over {
		failed = delivery.Errorf(delivery.Conflict, "the executions did not end within %s", childTime)
	}
	return outputs, failed
}
