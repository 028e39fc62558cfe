package delivery

import "time"

// JudgmentStatus is a person's answer, in Spinnaker's words.
type JudgmentStatus string

// The answers. A judgment without one is still open.
const (
	JudgmentContinue JudgmentStatus = "continue"
	JudgmentStop     JudgmentStatus = "stop"
)

// Judgment is a question that a deployment asks people, and its answer. It is
// answered once, by a person or by the end of its time.
type Judgment struct {
	// Gate names the step of the deployment that it is about, for example "step/0".
	// An answer is to this gate alone.
	Gate string `json:"gate"`
	// Step says the same for people, for example "batch 1 of 3".
	Step string `json:"step"`
	// Instructions are what the pipeline's author wants to be looked at.
	Instructions string    `json:"instructions,omitempty"`
	Since        time.Time `json:"since"`
	// Until is when OnTimeout takes the answer's place. Both times move when the
	// deployment is paused meanwhile.
	Until time.Time `json:"until"`
	// OnTimeout is "rollback" or "continue".
	OnTimeout string `json:"onTimeout"`
	// Status is empty while the question is open, and stays so when a rollback or a
	// move with override ended it. By, At and Reason belong to it; By is System when the
	// time was over.
	Status JudgmentStatus `json:"status,omitempty"`
	By     string         `json:"by,omitempty"`
	Reason string         `json:"reason,omitempty"`
	At     time.Time      `json:"at,omitzero"`
}

// JudgmentAnswer is what a person says to the judgment of a gate.
type JudgmentAnswer struct {
	Gate   string         `json:"gate"`
	Status JudgmentStatus `json:"status"`
	By     Principal      `json:"by"`
	Reason string         `json:"reason,omitempty"`
}
