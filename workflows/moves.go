package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// updateMove is the update that a deployment takes; it carries a MoveCommand.
// Answers to judgments come with it too, and are made in the same order.
const updateMove = "move"

// maxAsks is how many moves may wait for their answer at once; more wait outside.
const maxAsks = 16

// MoveCommand is a move that somebody asks a deployment to make, or the answer to
// a judgment.
type MoveCommand struct {
	Move     rollout.Move `json:"move"`
	Override bool         `json:"override,omitempty"`
	// Judgment is set instead of Move.
	Judgment *delivery.JudgmentAnswer `json:"judgment,omitempty"`
	Command
}

// askedMove is a move until it is answered.
type askedMove struct {
	MoveCommand
	done bool
	err  error
}

// handleMoves takes moves as updates. The loop makes them, between a look and the
// next, so that none is made on a state that a look is about to replace.
func (d *deployment) handleMoves(ctx workflow.Context) error {
	return workflow.SetUpdateHandler(ctx, updateMove, func(ctx workflow.Context, c MoveCommand) error {
		ctx, _ = workflow.NewDisconnectedContext(ctx)
		m := &askedMove{MoveCommand: c}
		switch {
		case d.over:
			d.refuse(m)
			return m.err
		case d.Rollout == nil:
			return applicationError(delivery.Errorf(delivery.Conflict, "cannot %s: the deployment waits for its turn", c.word()))
		}
		// A refusal does not wake the loop: whoever asks again and again would keep it
		// from ever looking twice.
		_, err := c.on(*d.Rollout, workflow.Now(ctx))
		if err != nil && !(d.ordered() && ordersGoFirst(ctx)) {
			return applicationError(err)
		}
		d.asks.Send(ctx, m)
		if err := workflow.Await(ctx, func() bool { return m.done }); err != nil {
			return err
		}
		return m.err
	})
}

// ordered reports whether a control has come that is not obeyed yet. The loop sees to it
// next, and decides then on what is asked behind it.
func (d *deployment) ordered() bool { return len(d.Controls) > 0 || d.control.Len() > 0 }

// obeyMoves makes the moves that were asked for, records those that could be
// made, and answers all.
func (d *deployment) obeyMoves(ctx workflow.Context) error {
	for len(d.asked) > 0 {
		m := d.asked[0]
		d.asked = d.asked[1:]
		before := *d.Rollout
		state, err := m.on(before, workflow.Now(ctx))
		if err == nil {
			d.Rollout = &state
			d.stopGate(ctx)
			happened := d.transition(state.Status(), state.Cause)
			happened.data = m.event(happened.data.(DeploymentEvent), before)
			if err := d.record(ctx, nil, happened); err != nil {
				m.done, m.err = true, err // the deployment ends, and waits for its answers to be out
				return err
			}
		}
		m.done, m.err = true, applicationError(err)
	}
	return nil
}

// refuseMoves answers what is still asked of a deployment that is over.
func (d *deployment) refuseMoves(ctx workflow.Context) {
	d.over = true
	_ = d.answerMoves(ctx, func() error { // refusing does not fail
		for _, m := range d.asked {
			d.refuse(m)
		}
		d.asked = nil
		return nil
	})
}

// answerMoves answers until nobody waits for an answer any more: a run must not
// end before, and more may be asked while it answers.
func (d *deployment) answerMoves(ctx workflow.Context, answer func() error) error {
	for {
		d.receive()
		if err := answer(); err != nil {
			return err
		}
		if err := workflow.Await(ctx, func() bool { return d.asks.Len() > 0 || workflow.AllHandlersFinished(ctx) }); err != nil {
			return err
		}
		if d.asks.Len() == 0 {
			return nil
		}
	}
}

func (d *deployment) refuse(m *askedMove) {
	m.done, m.err = true, applicationError(delivery.Errorf(delivery.Conflict, "cannot %s: the deployment has ended", m.word()))
}
