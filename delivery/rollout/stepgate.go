package rollout

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// StepGate is what a step of a canary asks before it ends. Exactly one field is
// set.
type StepGate struct {
	ManualJudgment *ManualJudgment `json:"manualJudgment,omitempty"`
	// Pipeline is run; another end than success rolls the deployment back.
	Pipeline *PipelineRef `json:"pipeline,omitempty"`
}

// ManualJudgment asks people whether to go on.
type ManualJudgment struct {
	// Instructions say what is to be looked at; empty for nothing.
	Instructions string `json:"instructions,omitempty"`
	// Timeout is how long the question stays open, and OnTimeout what follows then:
	// ActionRollback or ActionContinue.
	Timeout   time.Duration `json:"timeout"`
	OnTimeout Action        `json:"onTimeout"`
}

// DefaultJudgmentTimeout is that of Spinnaker's stage manualJudgment.
const DefaultJudgmentTimeout = 72 * time.Hour

// maxInstructions bounds what each look and event carries, in bytes.
const maxInstructions = 4000

// gateJSON is a step's gate as the cluster object has it.
type gateJSON struct {
	ManualJudgment *struct {
		Instructions string   `json:"instructions"`
		TimeoutSec   *float64 `json:"timeoutSec"`
		OnTimeout    Action   `json:"onTimeout"`
	} `json:"manualJudgment"`
	Pipeline *PipelineRef `json:"pipeline"`
}

// readGate reads the gate of a step; nil for none. Every field has to be known:
// one with a slip in its name would be a gate that does not hold.
func readGate(raw json.RawMessage, pointer string) (*StepGate, []delivery.Finding) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	r := checkReader{pointer: pointer}
	var in gateJSON
	if !r.strict(raw, &in, "") {
		return nil, r.findings
	}
	if (in.ManualJudgment == nil) == (in.Pipeline == nil) {
		r.refuse("", "must have one of manualJudgment and pipeline")
		return nil, r.findings
	}
	if ref := in.Pipeline; ref != nil {
		if ref.Application == "" {
			r.refuse("/pipeline/application", "is missing")
		}
		if ref.PipelineID == "" {
			r.refuse("/pipeline/pipelineId", "is missing")
		}
		return &StepGate{Pipeline: ref}, r.findings
	}
	j := &ManualJudgment{Instructions: in.ManualJudgment.Instructions, Timeout: DefaultJudgmentTimeout, OnTimeout: ActionRollback}
	if len(j.Instructions) > maxInstructions {
		r.refuse("/manualJudgment/instructions", "are %d bytes long; %d are the most", len(j.Instructions), maxInstructions)
	}
	if t := in.ManualJudgment.TimeoutSec; t != nil {
		if j.Timeout = seconds(*t); *t < 1 || *t > 365*24*3600 {
			r.refuse("/manualJudgment/timeoutSec", "is %v; must be 1 s to a year", *t)
		}
	}
	switch in.ManualJudgment.OnTimeout {
	case "", ActionRollback:
	case ActionContinue:
		j.OnTimeout = ActionContinue
	default:
		r.refuse("/manualJudgment/onTimeout", "is %q; must be %s or %s", in.ManualJudgment.OnTimeout, ActionRollback, ActionContinue)
	}
	return &StepGate{ManualJudgment: j}, r.findings
}

// lasts reports whether the step asks for anything beyond its weights.
func (c CanaryStep) lasts() bool { return c.Bake > 0 || c.MinRequests > 0 || c.Gate != nil }

// lasts reports whether the present step asks for anything once it is done. Only
// then do the checks have to pass before the next one.
func (s State) lasts() bool {
	step := s.Steps[s.Step]
	return s.pause() > 0 || s.Input.Strategy.PipelineBeforeCleanup != nil || step.MinRequests > 0 || step.Gate != nil
}

// GateDeadline is when a wait for a gate's pipeline, or for a check, ends with
// the deployment's deadline.
func (s State) GateDeadline(now time.Time) time.Time {
	return s.Started.Add(s.Input.Strategy.Deadline + s.rested(now))
}

// askGate asks the present step's gate. The decision is nil once it has its
// answer, which Answered tells.
func (s State) askGate(now time.Time) (State, *Decision) {
	gate, id := s.Steps[s.Step].Gate, s.restName()
	switch {
	case gate == nil || s.Answered == id || s.advanced():
		return s, nil
	case gate.ManualJudgment != nil:
		return s.askPeople(*gate.ManualJudgment, now)
	default:
		s.Waiting = "pipeline " + gate.Pipeline.PipelineID
		return s, &Decision{Gate: &Gate{ID: id, Pipeline: gate.Pipeline}}
	}
}

// unasked says which gates a move would leave out.
func (s State) unasked(m Move) []string {
	last := s.Step
	if m == Promote {
		last = len(s.Steps) - 2
	}
	var out []string
	for i := s.Step; i <= last; i++ {
		gate := s.Steps[i].Gate
		if gate == nil || i == s.Step && s.Answered == s.restName() {
			continue
		}
		step := fmt.Sprintf("batch %d of %d", i+1, len(s.Steps))
		if gate.Pipeline != nil {
			out = append(out, fmt.Sprintf("pipeline %s of %s has not succeeded yet", gate.Pipeline.PipelineID, step))
		} else {
			out = append(out, fmt.Sprintf("the manual judgment of %s has not been given yet", step))
		}
	}
	return out
}

// baking reports whether time is all that is waited for, in a step that asks for
// more than that.
func (s State) baking() bool {
	if s.Phase != Moving || s.StepDone.IsZero() || s.Step >= len(s.Steps) || s.Waiting != s.restFor() {
		return false
	}
	step := s.Steps[s.Step]
	return (step.Gate != nil || step.MinRequests > 0) && s.Rested != s.restName()
}
