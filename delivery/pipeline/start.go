package pipeline

import (
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Start resolves a saved pipeline and a trigger into an execution to record, for
// everything that starts pipelines: people, the clock, events and other pipelines.
// Defaults are filled into the trigger's parameters; an Invalid error names those
// that are missing. newID gives the execution and each stage its own id. Neither
// whether the pipeline is disabled nor what its stages name is looked at.
func Start(p delivery.Pipeline, d Definition, t delivery.Trigger, newID func() string, now time.Time) (delivery.NewExecution, error) {
	parameters, err := d.ResolveParameters(t.Parameters)
	if err != nil {
		return delivery.NewExecution{}, err
	}
	t.Parameters = parameters
	return delivery.NewExecution{
		Definition:    p.Document,
		CorrelationID: t.CorrelationID,
		Execution: delivery.Execution{
			ID: delivery.ExecutionID(newID()), Type: delivery.PipelineExecution, Application: p.Application, Name: p.Name,
			PipelineConfigID: p.ID, Status: delivery.StatusNotStarted, BuildTime: now, Trigger: t, Stages: NewStages(d, newID),
		},
	}, nil
}
