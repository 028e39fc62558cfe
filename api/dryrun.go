package api

import (
	"context"
	"strings"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// isDryRun reports whether a start is only to say what it would do.
func isDryRun(t delivery.Trigger) bool {
	dry, err := objectOf(t.Document).flag("dryRun")
	return dry && err == nil
}

// dryRun carries a start out without changing anything: it becomes an execution that
// is over, whose stages have their plans as outputs. A stage of which nothing can be
// said beforehand, or that its condition leaves out, is SKIPPED; one whose deployment
// would not succeed is TERMINAL, and so is the execution then.
func (s *Server) dryRun(ctx context.Context, start delivery.NewExecution) (delivery.NewExecution, error) {
	plan, err := s.planOf(ctx, start)
	if err != nil {
		return start, err
	}
	e := &start.Execution
	e.Status = delivery.StatusSucceeded
	e.StartTime, e.EndTime = e.BuildTime, s.now()
	for _, planned := range plan.Stages {
		stage := e.Stage(planned.RefID)
		stage.Name = planned.Name
		outputs := object{}
		outputs.set("plan", planned)
		stage.Outputs, stage.StartTime, stage.EndTime = outputs.raw(), e.StartTime, e.EndTime
		stage.Failure = plannedFailure(planned)
		if window := e.Stage(pipeline.BeforeRef(planned.RefID)); window != nil { // nobody waits for it
			window.Status, window.StartTime, window.EndTime = delivery.StatusSkipped, e.StartTime, e.EndTime
		}
		switch {
		case stage.Failure != nil:
			stage.Status, e.Status = delivery.StatusTerminal, delivery.StatusTerminal
		case planned.Skipped != "":
			stage.Status, stage.StatusReason = delivery.StatusSkipped, planned.Skipped
		case planned.Unplanned != "":
			stage.Status = delivery.StatusSkipped
		default:
			stage.Status = delivery.StatusSucceeded
		}
	}
	return start, nil
}

// plannedFailure is why the stage would not succeed; nil when it would.
func plannedFailure(planned v1.PlannedStage) *delivery.Failure {
	var reasons []string
	kind := ""
	for _, d := range planned.Deployments {
		if d.Failure != nil {
			kind = d.Failure.Code
			reasons = append(reasons, d.Region+": "+d.Failure.Message)
		}
	}
	if len(reasons) == 0 {
		return nil
	}
	return &delivery.Failure{Kind: kind, Step: "plan the stage", Message: strings.Join(reasons, "; ")}
}
