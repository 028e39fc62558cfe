package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// word names what is asked for, for people.
func (c MoveCommand) word() string {
	if c.Judgment != nil {
		return "judge"
	}
	return string(c.Move)
}

// on is the state after the move, or the answer to a judgment.
func (c MoveCommand) on(s rollout.State, now time.Time) (rollout.State, error) {
	if c.Judgment != nil {
		return s.Judged(*c.Judgment, now)
	}
	return s.Moved(c.Move, c.Override)
}

// event adds to an event who asked for what, and why, and what that left out of the
// state before.
func (c MoveCommand) event(e DeploymentEvent, before rollout.State) DeploymentEvent {
	e.Action, e.By, e.Reason, e.Override = c.Move, c.By, c.Reason, c.Override
	if c.Judgment != nil {
		e.Action = rollout.Move(c.Judgment.Status)
	}
	if c.Override && c.Judgment == nil {
		e.LeftOut = before.LeftOut(c.Move)
	}
	return e
}

// judgmentEvents tells that people are asked, or that the time to answer is over.
func (d *deployment) judgmentEvents(before, now []delivery.Judgment) []happening {
	if len(now) == 0 {
		return nil
	}
	last := now[len(now)-1]
	opened := len(now) > len(before)
	if !opened && before[len(before)-1].Status == last.Status {
		return nil
	}
	happened := d.transition(d.Rollout.Status(), d.Rollout.Cause)
	event := happened.data.(DeploymentEvent)
	event.Action, event.By, event.Reason, event.Judgment = rollout.Move(last.Status), last.By, last.Reason, d.Rollout.Judgment()
	happened.data = event
	return []happening{happened}
}

// awaitJudgment leaves an open judgment to people until there is something to look
// at: its end, a measurement that is due, or how the new group fares. An answer
// comes as an update and ends the wait.
func (d *deployment) awaitJudgment(ctx workflow.Context, gate rollout.Gate, happened []happening) error {
	if err := d.record(ctx, nil, happened...); err != nil {
		return err
	}
	now := workflow.Now(ctx)
	wait := min(judgmentLook, gate.Until.Sub(now))
	if next := d.Rollout.NextCheck(); !next.IsZero() {
		wait = min(wait, next.Sub(now))
	}
	d.sleep(ctx, max(wait, time.Millisecond))
	return nil
}
