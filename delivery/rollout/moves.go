package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Move is what a person asks of a deployment while it runs.
type Move string

// The moves.
const (
	// Advance ends the present pause: the bake of a step, the pause between two
	// batches, the time that a gate takes or the delay before the scale down.
	Advance Move = "advance"
	// Promote leaves out all steps but the last. The present step, when it is done,
	// is advanced past.
	Promote Move = "promote"
)

// Moved is the state after a move. Conflict says why the deployment cannot make
// it now; the state is then the given one. What would skip a check that has not
// passed, or a gate that has not answered, needs override. Without override, the
// bake of a step that asks for more is ended, and what it asks for still holds.
func (s State) Moved(m Move, override bool) (State, error) {
	if err := s.movable(m); err != nil {
		return s, err
	}
	if m == Advance && !override && s.baking() {
		s.Rested = s.restName()
		return s, nil
	}
	if left := s.LeftOut(m); len(left) > 0 && !override {
		return s, delivery.Errorf(delivery.Conflict, "%s; override, with a reason, to go on without %s", strings.Join(left, ", "), itOrThem(left))
	}
	if m == Promote {
		done := s.Phase == Moving && !s.StepDone.IsZero()
		s.Steps, s.Promoted = promoted(s.Steps, s.Step, done), true
		if !done {
			return s.fresh(), nil
		}
	}
	s.Advanced = s.restName()
	return s, nil
}

// movable tells why a move is out of the question.
func (s State) movable(m Move) error {
	conflict := func(format string, args ...any) error {
		return delivery.Errorf(delivery.Conflict, "cannot %s: "+format, append([]any{m}, args...)...)
	}
	switch {
	case s.Outcome != nil:
		return conflict("the deployment has ended %s", s.Outcome.Status)
	case s.Phase == RollingBack || s.CancelRequested:
		return conflict("the deployment rolls back")
	case !s.Paused.IsZero():
		return conflict("the deployment is paused; resume it first")
	case m == Advance && s.advanced():
		return conflict("%s was advanced already; the deployment goes on at its next look at the cluster", s.pauseName())
	case m == Advance && !s.resting():
		return conflict("the deployment is in no pause: it waits for %s", orElse(s.Waiting, "the next look at the cluster"))
	case m == Advance:
		return nil
	case s.Phase != Creating && s.Phase != Moving:
		return conflict("the deployment is %s, and has no steps before the last one", s.Phase)
	case !s.Input.Strategy.Kind.keepsOld():
		return conflict("the batches of strategy %s cannot be left out: that would break the bounds that they keep", s.Input.Strategy.Kind)
	case s.Step >= len(s.Steps)-1:
		return conflict("the deployment is at its last step")
	}
	return nil
}

func itOrThem(what []string) string {
	if len(what) == 1 {
		return "it"
	}
	return "them"
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// promoted leaves of the steps those before the present one, the present one if
// it is done, and the last.
func promoted(steps []Step, present int, done bool) []Step {
	if done {
		present++
	}
	return append(slices.Clone(steps[:present]), steps[len(steps)-1])
}

// resting reports whether the deployment is in a pause that somebody may end.
func (s State) resting() bool {
	return !s.StepDone.IsZero() && (s.Phase == Moving || s.Phase == Finishing) && s.Advanced != s.restName()
}

// pauseName names the present pause for people.
func (s State) pauseName() string {
	if s.Phase == Finishing {
		return "the delay before the old server groups are scaled down"
	}
	return "the pause of " + s.stepName()
}

// restName names the present pause, among those of the deployment.
func (s State) restName() string {
	if s.Phase == Finishing {
		return "finish"
	}
	return fmt.Sprintf("step/%d", s.Step)
}

// stepKey names a change of the present step. One key never stands for two
// changes, also when a step was replaced by the last one.
func (s State) stepKey(what string) string {
	if s.Promoted {
		return "promoted/" + s.restName() + "/" + what
	}
	return s.restName() + "/" + what
}

// advanced reports whether somebody ended the present pause.
func (s State) advanced() bool { return s.Advanced != "" && s.Advanced == s.restName() }

// LeftOut says, each for itself, what a move would leave out by not waiting for the
// end of the present step; empty for nothing but time, and for a move that cannot be
// made.
func (s State) LeftOut(m Move) []string {
	if s.movable(m) != nil || s.Phase == Finishing {
		return nil // the last step has been proved
	}
	var out []string
	if ref := s.Input.Strategy.PipelineBeforeCleanup; ref != nil && s.Answered != s.restName() {
		out = append(out, "pipeline "+ref.PipelineID+" has not succeeded yet")
	}
	out = append(out, s.unasked(m)...)
	if step := s.Steps[s.Step]; step.MinRequests > 0 && !s.enough() {
		out = append(out, fmt.Sprintf("the %d requests of %s have not been counted yet", step.MinRequests, s.stepName()))
	}
	for _, name := range s.unproved() {
		out = append(out, strings.TrimSpace(proving)+" "+name+" has not passed yet")
	}
	return out
}

// restUntil is the end of a pause: its beginning when somebody ended it.
func (s State) restUntil(pause time.Duration) time.Time {
	if s.advanced() || s.Rested != "" && s.Rested == s.restName() {
		return s.StepDone
	}
	return s.StepDone.Add(pause)
}
