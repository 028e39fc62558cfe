package workflows

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery/rollout"
)

// TestEventOfAnOverride: what an override leaves out is recorded with it. A move
// without one leaves out nothing but time.
func TestEventOfAnOverride(t *testing.T) {
	before := rollout.State{Phase: rollout.Moving, StepDone: time.Unix(1, 0), Before: &rollout.Recorded{Groups: []rollout.RecordedGroup{{Name: "v000", Serving: true}}},
		Input: rollout.Input{Strategy: rollout.Strategy{Checks: []rollout.Check{{Name: "errors"}}}},
		Steps: []rollout.Step{{Gate: &rollout.StepGate{Pipeline: &rollout.PipelineRef{PipelineID: "p"}}}, {}}}
	for _, override := range []bool{true, false} {
		c := MoveCommand{Move: rollout.Advance, Override: override, Command: Command{By: "joe", Reason: "seen"}}
		want := DeploymentEvent{Deployment: "X", Action: rollout.Advance, By: "joe", Reason: "seen", Override: override}
		if override {
			want.LeftOut = []string{"pipeline p of batch 1 of 2 has not succeeded yet", "check errors has not passed yet"}
		}
		if diff := cmp.Diff(want, c.event(DeploymentEvent{Deployment: "X"}, before)); diff != "" {
			t.Errorf("override %t (-want +got):\n%s", override, diff)
		}
	}
}
