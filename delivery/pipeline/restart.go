package pipeline

import (
	"slices"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Restart resets a stage that is over, and everything that comes after it, to
// NOT_STARTED: what had begun is to be done in a new attempt. It returns copies.
// NotFound for an unknown stage, Conflict while it or something after it has not ended
// or when it never began, Invalid for a stage that is a part of another one.
func Restart(d Definition, stages []delivery.Stage, refID, reason string) ([]delivery.Stage, error) {
	i := slices.IndexFunc(stages, func(s delivery.Stage) bool { return s.RefID == refID })
	if i < 0 {
		return nil, delivery.Errorf(delivery.NotFound, "stage %s", refID)
	}
	switch s := stages[i]; {
	case s.SyntheticStageOwner != "":
		return nil, delivery.Errorf(delivery.Invalid, "stage %s is a part of another one; restart that one", refID)
	case s.Status == delivery.StatusNotStarted:
		return nil, delivery.Errorf(delivery.Conflict, "stage %s has not begun", refID)
	case !s.Status.Complete():
		return nil, delivery.Errorf(delivery.Conflict, "stage %s is %s; only a stage that is over can be restarted", refID, s.Status)
	}
	after := downstream(d, refID)
	out := slices.Clone(stages)
	for i, s := range out {
		if !after[s.RefID] {
			continue
		}
		if s.Status != delivery.StatusNotStarted && !s.Status.Complete() {
			return nil, delivery.Errorf(delivery.Conflict, "stage %s, which comes after stage %s, is %s", s.RefID, refID, s.Status)
		}
		out[i] = reset(s)
	}
	out[i].StatusReason = reason
	return out, nil
}

// reset is a stage before its next attempt.
func reset(s delivery.Stage) delivery.Stage {
	next := delivery.Stage{ID: s.ID, RefID: s.RefID, Type: s.Type, Name: s.Name, Status: delivery.StatusNotStarted, RequisiteStageRefIDs: s.RequisiteStageRefIDs,
		Context: s.Context, Attempt: s.Attempt, ParentStageID: s.ParentStageID, SyntheticStageOwner: s.SyntheticStageOwner}
	if s.Status != delivery.StatusNotStarted {
		next.Attempt = max(s.Attempt, 1) + 1
	}
	return next
}

// downstream are a stage, all that come after it, and their parts.
func downstream(d Definition, refID string) map[string]bool {
	after := map[string]bool{refID: true}
	for grew := true; grew; {
		grew = false
		for _, s := range d.Stages {
			if !after[s.RefID] && slices.ContainsFunc(s.Requisites, func(id string) bool { return after[id] }) {
				after[s.RefID], grew = true, true
			}
		}
	}
	for _, s := range d.Stages {
		if after[s.RefID] {
			after[BeforeRef(s.RefID)] = true
		}
	}
	return after
}

// Reopen is an execution that has ended, before it begins again at a stage. The stage may
// be one that would have begun next, had the execution not been canceled before. The
// errors are those of Restart; Conflict for a dry run, too, which is never to do anything.
func Reopen(d Definition, e delivery.Execution, refID, reason string) (delivery.Execution, error) {
	if dryRun(e.Trigger) {
		return e, delivery.Errorf(delivery.Conflict, "execution %s is a dry run, whose stages are never carried out: start the pipeline again, with dryRun for another dry run or without", e.ID)
	}
	stages, err := Restart(d, e.Stages, refID, reason)
	if next := isNext(d, e, refID); err != nil && next >= 0 {
		stages, err = slices.Clone(e.Stages), nil
		stages[next].StatusReason = reason
	}
	if err != nil {
		return e, err
	}
	e.Stages, e.Status = stages, delivery.StatusNotStarted
	for i, s := range e.Stages {
		if s.Status == delivery.StatusCanceled || s.Status == delivery.StatusTerminal { // else it would be over at once
			e.Stages[i] = reset(s)
		}
	}
	e.EndTime, e.CanceledBy, e.CancellationReason, e.Paused = time.Time{}, "", "", nil
	e.Restarts++
	e.Version++
	return e, nil
}

// isNext is the place of a stage of an ended execution that has not begun although all
// before it is over and lets it; -1 for any other.
func isNext(d Definition, e delivery.Execution, refID string) int {
	spec := d.Stage(refID)
	if spec == nil || !e.Status.Complete() {
		return -1
	}
	status := statuses(e.Stages)
	if slices.ContainsFunc(spec.Requisites, func(id string) bool { return !status[id].Complete() || status[id].Halting() }) {
		return -1
	}
	return slices.IndexFunc(e.Stages, func(s delivery.Stage) bool { return s.RefID == refID && s.Status == delivery.StatusNotStarted })
}
