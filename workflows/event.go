package workflows

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// ExecutionEvent is the data of an event of type execution.
type ExecutionEvent struct {
	Status delivery.Status `json:"status"`
	// Action is "cancel", "pause" or "resume" when somebody asked for it; By is
	// who, and Reason the reason given.
	Action string `json:"action,omitempty"`
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// StageEvent is the data of an event of type stage.
type StageEvent struct {
	RefID  string          `json:"refId"`
	Type   string          `json:"type"`
	Name   string          `json:"name"`
	Status delivery.Status `json:"status"`
	// Attempt is 2 and more for a stage that was restarted or tried again.
	Attempt     int                     `json:"attempt,omitempty"`
	Deployments []delivery.DeploymentID `json:"deployments,omitempty"`
	// Failure is that of the stage, or of its last attempt while it waits for the next.
	Failure *delivery.Failure `json:"failure,omitempty"`
	// NextAttempt is when a stage is tried again; zero when it does not wait for that.
	NextAttempt time.Time `json:"nextAttempt,omitzero"`
	// Reason is why the stage has its status, where no failure says it.
	Reason string `json:"reason,omitempty"`
}

// DeploymentEvent is the data of an event of type deployment.
type DeploymentEvent struct {
	Deployment  delivery.DeploymentID     `json:"deployment"`
	Stage       string                    `json:"stage"`
	Cluster     string                    `json:"cluster"`
	Status      delivery.DeploymentStatus `json:"status"`
	ServerGroup string                    `json:"serverGroup,omitempty"`
	Failure     *delivery.Failure         `json:"failure,omitempty"`
	// Action is "advance" or "promote" when somebody asked for it, "continue" or "stop"
	// when a judgment was answered; By is who, and Reason the reason given. Override
	// is true when it could leave out a check or a gate.
	Action   rollout.Move `json:"action,omitempty"`
	By       string       `json:"by,omitempty"`
	Reason   string       `json:"reason,omitempty"`
	Override bool         `json:"override,omitempty"`
	// LeftOut says what the override left out: each check, gate and count of requests
	// that had not ended.
	LeftOut []string `json:"leftOut,omitempty"`
	// Judgment is set when people begin to be asked.
	Judgment *delivery.Judgment `json:"judgment,omitempty"`
}

// BatchEvent is the data of an event of type batch: what the batch wants and
// what was observed.
type BatchEvent struct {
	Deployment delivery.DeploymentID `json:"deployment"`
	Stage      string                `json:"stage"`
	// Done is true for the last look at a batch, when it had its effect.
	Done bool `json:"done"`
	rollout.Batch
}

// ChangeEvent is the data of an event of type change: one write to a cloud.
type ChangeEvent struct {
	Deployment delivery.DeploymentID `json:"deployment"`
	Stage      string                `json:"stage"`
	Kind       delivery.ChangeKind   `json:"kind"`
	// Change says for people what was intended.
	Change string `json:"change"`
	// Wrote are the foreign actions that were called, in their order.
	Wrote   []string          `json:"wrote,omitempty"`
	Done    bool              `json:"done"`
	Waiting string            `json:"waiting,omitempty"`
	Failure *delivery.Failure `json:"failure,omitempty"`
}

// CheckEvent is the data of an event of type check: one measurement.
type CheckEvent struct {
	Deployment delivery.DeploymentID `json:"deployment"`
	Stage      string                `json:"stage"`
	rollout.Measurement
}

// happening is an event before it has its place in the stream. Data is
// marshalled when it is recorded, so that workflows carry no documents.
type happening struct {
	kind delivery.EventType
	data any
	// about is what it happened to: a stage's attempt; empty for all of the record.
	about string
	// key is empty for what has its key by the version of the record.
	key string
}

// told counts what happened to an execution and to each of its stages. A workflow task
// that is done again, because a worker died, does the same to each, but perhaps in another
// order among them and so under other versions: only the place in its own row tells an
// event that was recorded from another one.
type told map[string]int

// keys gives what happens next to each its key. run is the number of the workflow's restart.
func (t told) keys(run int, happened []happening) []happening {
	out := make([]happening, len(happened))
	for i, h := range happened {
		about := h.about
		switch {
		case about == "":
			about = fmt.Sprintf("run/%d", run)
		case run > 0: // an attempt that an earlier run has not begun
			about = fmt.Sprintf("run/%d/%s", run, about)
		}
		h.key = fmt.Sprintf("%s/%d", about, t[about])
		t[about]++
		out[i] = h
	}
	return out
}

// events gives each happening of one version of a record its key, where it has none.
func events(execution delivery.ExecutionID, subject string, version int64, at time.Time, happened []happening) ([]delivery.Event, error) {
	out := make([]delivery.Event, len(happened))
	for i, h := range happened {
		data, err := json.Marshal(h.data)
		if err != nil {
			return nil, fmt.Errorf("encode %s event: %w", h.kind, err)
		}
		out[i] = delivery.Event{Execution: execution, Key: cmp.Or(h.key, fmt.Sprintf("%s/%d/%d", subject, version, i)), At: at, Type: h.kind, Data: data}
	}
	return out, nil
}
