package wirefaults

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// judgment is what people say at the gate of a canary's first step. Its zero
// value has no gate.
type judgment struct {
	// answer is empty for silence, after which onTimeout follows.
	answer    delivery.JudgmentStatus
	onTimeout string
}

// drawJudgment has draws of its own, so that the other ones of a seed stay.
func drawJudgment(seed int64) judgment {
	r := rand.New(rand.NewPCG(uint64(seed), 0x9a7e))
	all := []judgment{{}, {answer: delivery.JudgmentContinue, onTimeout: "rollback"}, {answer: delivery.JudgmentStop, onTimeout: "continue"},
		{onTimeout: "rollback"}, {onTimeout: "continue"}}
	return all[r.IntN(len(all))]
}

// gate is the field of the step, with the comma before it.
func (j judgment) gate() string {
	if j.onTimeout == "" {
		return ""
	}
	return fmt.Sprintf(`,"gate":{"manualJudgment":{"timeoutSec":60,"onTimeout":%q}}`, j.onTimeout)
}

// turnsBack reports whether the deployment cannot come past the gate.
func (j judgment) turnsBack() bool {
	return j.answer == delivery.JudgmentStop || j.answer == "" && j.onTimeout == "rollback"
}

// ask gives the open judgment its answer, or lets a moment pass. An answer that a
// cancel has overtaken is refused, and the next look goes on from there.
func (d *driver) ask(ctx context.Context, g rollout.Gate) error {
	if d.judgment.answer == "" {
		return d.clock.Sleep(ctx, pollMax)
	}
	next, err := d.state.Judged(delivery.JudgmentAnswer{Gate: g.ID, Status: d.judgment.answer, By: delivery.Principal{Name: "joe"}}, d.clock.Now())
	d.note("judged %s: %s %v", g.ID, d.judgment.answer, err)
	d.state = next
	if d.state.CancelRequested && delivery.KindOf(err) == delivery.Conflict {
		return nil
	}
	return err
}
