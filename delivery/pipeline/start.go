package pipeline

import (
	"encoding/json"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Start resolves a saved pipeline and a trigger into an execution to record, for
// everything that starts pipelines: people, the clock, events and other pipelines.
// Defaults are filled into the trigger's parameters, evaluated, and its expected
// artifacts are bound; an Invalid error names what is missing or wrong, with pointers
// into the trigger or, of expected artifacts, into the pipeline. newID gives the
// execution, first, and each stage its own id. evaluate is asked only for defaults with expressions. A pipeline that is made from a template is planned before.
// Neither whether the pipeline is disabled nor what its
// stages name is looked at.
func Start(p delivery.Pipeline, d Definition, t delivery.Trigger, newID func() string, now time.Time, evaluate DefaultEvaluator) (delivery.NewExecution, error) {
	if t.Depth > MaxChain {
		return delivery.NewExecution{}, delivery.Errorf(delivery.Invalid, "%d pipelines have started one another in a row; no more than %d may", t.Depth, MaxChain)
	}
	if IsTemplated(p.Document) {
		return delivery.NewExecution{}, delivery.InvalidError("pipeline is not valid", []delivery.Finding{{Pointer: "/template",
			Message: "the template is not there, or the pipeline cannot be made from it any more; plan the pipeline to see why"}})
	}
	values, defaults, err := d.resolve(t.Parameters)
	if err != nil {
		return delivery.NewExecution{}, ofParameters(err)
	}
	if t, err = d.bindArtifacts(t); err != nil {
		return delivery.NewExecution{}, err
	}
	n := newExecution(p, d, t, newID, now)
	n.Execution.Trigger.Parameters, err = d.evaluateDefaults(n.Execution, values, defaults, evaluate)
	return n, ofParameters(err)
}

// ofParameters places what is wrong with parameters in the trigger.
func ofParameters(err error) error {
	if delivery.KindOf(err) != delivery.Invalid {
		return err
	}
	return delivery.InvalidError("parameters are not valid", delivery.Under("/parameters", delivery.FindingsOf(err)))
}

func newExecution(p delivery.Pipeline, d Definition, t delivery.Trigger, newID func() string, now time.Time) delivery.NewExecution {
	return delivery.NewExecution{
		Definition:    p.Document,
		CorrelationID: t.CorrelationID,
		Execution: delivery.Execution{
			ID: delivery.ExecutionID(newID()), Type: delivery.PipelineExecution, Application: p.Application, Name: p.Name,
			PipelineConfigID: p.ID, Status: delivery.StatusNotStarted, BuildTime: now, Trigger: t, Stages: NewStages(d, newID),
			LimitConcurrent: d.LimitConcurrent, MaxConcurrentExecutions: d.MaxConcurrentExecutions, KeepWaitingPipelines: d.KeepWaitingPipelines,
			TemplateVariables: d.TemplateVariables,
		},
	}
}

// FailedStart is the record of a start that Start refused and that nobody waits for:
// an execution that has ended before it began, with the reason.
func FailedStart(p delivery.Pipeline, d Definition, t delivery.Trigger, newID func() string, now time.Time, reason error) delivery.NewExecution {
	n := newExecution(p, d, t, newID, now)
	e := &n.Execution
	e.Status, e.EndTime, e.CanceledBy = delivery.StatusTerminal, now, delivery.System.Name
	e.CancellationReason = "Failed on startup: " + reason.Error()
	return n
}

// dryRun reports whether a trigger only asked what the pipeline would do: its execution
// was over when it was recorded, and did nothing.
func dryRun(t delivery.Trigger) bool {
	var doc struct {
		DryRun any `json:"dryRun"`
	}
	return json.Unmarshal(t.Document, &doc) == nil && (doc.DryRun == true || doc.DryRun == "true")
}
