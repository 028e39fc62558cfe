package pipeline

import (
	"github.com/slipway-cd/slipway/delivery"
)

// StageAction is what somebody asks of a stage in progress.
type StageAction string

// The actions.
const (
	// Judge answers a manual judgment.
	Judge StageAction = "judge"
	// SkipRemainingWait ends a wait as if its time had come, that for the next attempt, too.
	SkipRemainingWait StageAction = "skipRemainingWait"
	// ManualSkip ends the stage SKIPPED; what comes after it runs.
	ManualSkip StageAction = "manualSkip"
	// RestartStage lets a stage that is over, and all that comes after it, begin again.
	RestartStage StageAction = "restart"
)

// StageCommand is an action on one stage of an execution, and who asks for it.
type StageCommand struct {
	// Stage is the stage's refId.
	Stage  string             `json:"stage"`
	Action StageAction        `json:"action"`
	By     delivery.Principal `json:"by"`
	// Status and Input are the answer to a judgment. Of a manual skip, Input is the
	// reason.
	Status delivery.JudgmentStatus `json:"status,omitempty"`
	Input  string                  `json:"input,omitempty"`
}

// SkipReason is what a skipped stage shows.
func (c StageCommand) SkipReason() string {
	if c.Input == "" {
		return c.By.Name + " skipped the stage"
	}
	return c.By.Name + " skipped the stage: " + c.Input
}

// RestartReason is what a restarted stage shows until it begins.
func (c StageCommand) RestartReason() string { return c.By.Name + " restarted it" }

// Takes reports whether the stage takes the action, by its type or because it waits for
// its next attempt. A judgment is answered and not skipped, and a precondition holds or
// not; a stage that deploys is canceled or promoted.
func (a StageAction) Takes(s delivery.Stage) bool {
	waits := s.Type == WaitType || s.Type == WaitUntilType
	switch a {
	case Judge:
		return s.Type == ManualJudgmentType
	case SkipRemainingWait:
		return waits || s.Type == WindowType || s.AwaitsRetry()
	case ManualSkip:
		return waits || s.AwaitsRetry() && s.Type != ManualJudgmentType && s.Type != PreconditionsType
	default:
		return false
	}
}

// Accepts reports why the stage does not take the action now: Invalid when such a stage
// does not, Conflict when it is not in progress.
func (a StageAction) Accepts(s delivery.Stage) error {
	switch {
	case !a.Takes(s):
		return delivery.Errorf(delivery.Invalid, "a stage of type %s does not take %s", s.Type, a)
	case s.Status == delivery.StatusNotStarted:
		return delivery.Errorf(delivery.Conflict, "stage %s has not begun", s.RefID)
	case s.Status.Complete():
		return delivery.Errorf(delivery.Conflict, "stage %s is over: it ended %s", s.RefID, s.Status)
	case a == Judge && s.AwaitsRetry():
		return delivery.Errorf(delivery.Conflict, "stage %s asks nobody before its next attempt", s.RefID)
	default:
		return nil
	}
}
