package pipeline

import (
	"encoding/json"
	"slices"

	"github.com/slipway-cd/slipway/delivery"
)

// NewStages returns the stages of a new execution, all NOT_STARTED, in the
// definition's order, and after them those that run before others. newID gives each
// its own id.
func NewStages(d Definition, newID func() string) []delivery.Stage {
	out := make([]delivery.Stage, len(d.Stages))
	for i, s := range d.Stages {
		out[i] = delivery.Stage{
			ID: newID(), RefID: s.RefID, Type: s.Type, Name: s.Name,
			Status:               delivery.StatusNotStarted,
			RequisiteStageRefIDs: append([]string{}, s.Requisites...),
			Context:              json.RawMessage(s.Context()),
		}
	}
	for i, s := range d.Stages {
		if s.Windowed {
			out = append(out, windowStage(out[i], newID()))
		}
	}
	return out
}

// windowStage waits for the window of another stage, before it.
func windowStage(of delivery.Stage, id string) delivery.Stage {
	var fields map[string]json.RawMessage
	context := json.RawMessage(`{}`)
	if json.Unmarshal(of.Context, &fields) == nil && len(fields["restrictedExecutionWindow"]) > 0 {
		context = json.RawMessage(`{"restrictedExecutionWindow":` + string(fields["restrictedExecutionWindow"]) + `}`)
	}
	return delivery.Stage{ID: id, RefID: BeforeRef(of.RefID), Type: WindowType, Name: windowName, Status: delivery.StatusNotStarted,
		RequisiteStageRefIDs: []string{}, Context: context, ParentStageID: of.ID, SyntheticStageOwner: delivery.StageBefore}
}

// Ready returns the refIds of the stages that may start now, in the definition's
// order: not started, with every requisite over and none of them halting. While
// the execution is halted nothing may start.
func Ready(d Definition, stages []delivery.Stage) []string {
	if Halted(stages) {
		return nil
	}
	status := statuses(stages)
	var out []string
	for _, s := range d.Stages {
		if status[s.RefID] != delivery.StatusNotStarted {
			continue
		}
		blocked := slices.ContainsFunc(s.Requisites, func(id string) bool {
			return !status[id].Complete() || status[id].Halting()
		})
		if !blocked {
			out = append(out, s.RefID)
		}
	}
	return out
}

// Halted reports whether a stage ended TERMINAL or CANCELED: nothing more may
// start, and the branches that still run are to be canceled.
func Halted(stages []delivery.Stage) bool {
	return slices.ContainsFunc(stages, func(s delivery.Stage) bool {
		return s.Status == delivery.StatusTerminal || s.Status == delivery.StatusCanceled
	})
}

// Final returns the status an execution ends with. It is false while a stage
// runs, is paused or may still start. A stage that a failure kept from starting
// stays NOT_STARTED for ever, as in Spinnaker. An execution without stages ends
// TERMINAL.
func Final(d Definition, stages []delivery.Stage) (delivery.Status, bool) {
	var terminal, canceled, failed bool
	for _, s := range stages {
		switch s.Status {
		case delivery.StatusRunning, delivery.StatusPaused:
			return delivery.StatusUnknown, false
		case delivery.StatusTerminal:
			terminal = true
		case delivery.StatusCanceled:
			canceled = true
		case delivery.StatusStopped:
			spec := d.Stage(s.RefID)
			failed = failed || spec == nil || spec.OnFailure == HaltBranchThenFail
		}
	}
	if len(Ready(d, stages)) > 0 {
		return delivery.StatusUnknown, false
	}
	switch {
	case terminal || len(stages) == 0:
		return delivery.StatusTerminal, true
	case canceled:
		return delivery.StatusCanceled, true
	case failed:
		return delivery.StatusTerminal, true
	default:
		return delivery.StatusSucceeded, true
	}
}

func statuses(stages []delivery.Stage) map[string]delivery.Status {
	out := make(map[string]delivery.Status, len(stages))
	for _, s := range stages {
		out[s.RefID] = s.Status
	}
	return out
}
