package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Judgment returns the question that people are asked now; nil for none.
func (s State) Judgment() *delivery.Judgment {
	if s.Outcome != nil || s.Phase != Moving || s.CancelRequested || s.StepDone.IsZero() || len(s.Judgments) == 0 {
		return nil
	}
	last := s.Judgments[len(s.Judgments)-1]
	if last.Status != "" || last.Gate != s.restName() || s.Answered == last.Gate || s.advanced() {
		return nil
	}
	return &last
}

// askPeople opens the judgment of the present step, keeps it open, and gives the
// answer itself when its time is over.
func (s State) askPeople(ask ManualJudgment, now time.Time) (State, *Decision) {
	open := s.Judgment()
	switch {
	case open == nil:
		s.Judgments = append(slices.Clone(s.Judgments), delivery.Judgment{Gate: s.restName(), Step: s.stepName(), Instructions: ask.Instructions,
			Since: now, Until: now.Add(ask.Timeout), OnTimeout: string(ask.OnTimeout)})
		open = s.Judgment()
	case !now.Before(open.Until) && ask.OnTimeout == ActionContinue:
		return s.answerJudgment(delivery.JudgmentContinue, delivery.System, fmt.Sprintf("nobody answered within %s", ask.Timeout), now), nil
	case !now.Before(open.Until):
		return s.answerJudgment(delivery.JudgmentStop, delivery.System, fmt.Sprintf("nobody answered within %s", ask.Timeout), now), nil
	}
	s.Waiting = "the manual judgment of " + open.Step
	return s, &Decision{Gate: &Gate{ID: open.Gate, Judgment: &ask, Until: open.Until}}
}

// Judged is the state after a person's answer. Conflict says why the deployment
// cannot take it: it waits for no judgment, for that of another step, or the
// answer was given already. The answer stop begins the rollback, also where
// failures leave everything as it stands; continue lets the step end.
func (s State) Judged(a delivery.JudgmentAnswer, now time.Time) (State, error) {
	conflict := func(format string, args ...any) error {
		return delivery.Errorf(delivery.Conflict, "cannot judge: "+format, args...)
	}
	open := s.Judgment()
	switch i := slices.IndexFunc(s.Judgments, func(j delivery.Judgment) bool { return j.Gate == a.Gate && j.Status != "" }); {
	case a.Status != delivery.JudgmentContinue && a.Status != delivery.JudgmentStop:
		return s, delivery.Errorf(delivery.Invalid, "%q is no answer to a judgment; %s and %s are", a.Status, delivery.JudgmentContinue, delivery.JudgmentStop)
	case i >= 0:
		given := s.Judgments[i]
		return s, conflict("%s has answered the judgment of %s: %s", given.By, given.Step, given.Status)
	case s.Outcome != nil:
		return s, conflict("the deployment has ended %s", s.Outcome.Status)
	case s.Phase == RollingBack || s.CancelRequested:
		return s, conflict("the deployment rolls back")
	case open == nil:
		return s, conflict("the deployment waits for no judgment: it waits for %s", orElse(s.Waiting, "the next look at the cluster"))
	case open.Gate != a.Gate:
		return s, conflict("the deployment waits for the judgment of %s, not of %s", open.Gate, a.Gate)
	case s.Paused.IsZero() && !now.Before(open.Until):
		return s, conflict("the time for the judgment of %s is over", open.Step)
	}
	return s.answerJudgment(a.Status, a.By, a.Reason, now), nil
}

// answerJudgment records the answer to the open judgment and does what it says.
func (s State) answerJudgment(status delivery.JudgmentStatus, by delivery.Principal, reason string, now time.Time) State {
	s.Started = s.Started.Add(s.judging(now))
	s.Judgments = slices.Clone(s.Judgments)
	j := &s.Judgments[len(s.Judgments)-1]
	j.Status, j.By, j.Reason, j.At = status, by.Name, reason, now
	s.Answered = j.Gate
	if status == delivery.JudgmentContinue {
		return s
	}
	message := fmt.Sprintf("%s stopped it at the manual judgment", by.Name)
	if reason != "" {
		message += ": " + reason
	}
	s.Cause = &delivery.Failure{Kind: delivery.FailureJudgment, Step: j.Step, Message: message}
	return s.enter(RollingBack)
}

// judging is how long people have been asked; zero while they are not. A pause
// does not count.
func (s State) judging(now time.Time) time.Duration {
	open := s.Judgment()
	if open == nil {
		return 0
	}
	if !s.Paused.IsZero() {
		now = s.Paused
	}
	return max(0, now.Sub(open.Since))
}

// judgeLater gives the open judgment the time back that a pause took.
func (s State) judgeLater(d time.Duration) State {
	if s.Judgment() == nil {
		return s
	}
	s.Judgments = slices.Clone(s.Judgments)
	j := &s.Judgments[len(s.Judgments)-1]
	j.Since, j.Until = j.Since.Add(d), j.Until.Add(d)
	return s
}
