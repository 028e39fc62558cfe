package delivery

import (
	"encoding/json"
	"time"
)

// NewExecution is what is recorded when a start is accepted.
type NewExecution struct {
	Execution Execution
	// Definition is the pipeline's or task's JSON as it stood at the start; the
	// workflow reads it by the execution's id.
	Definition json.RawMessage
	// IdempotencyKey is the request's Idempotency-Key; empty for none. A second
	// start of the same pipeline with the same key is the first execution.
	IdempotencyKey string
	// RequestHash tells one request from another under the same IdempotencyKey;
	// empty when the caller does not compare them.
	RequestHash string
	// CorrelationID works like IdempotencyKey, without comparing requests.
	CorrelationID string
}

// ExecutionFilter selects executions. Every field that is set narrows the
// selection; the zero value selects all.
type ExecutionFilter struct {
	IDs               []ExecutionID
	PipelineConfigIDs []string
	Application       string
	Type              ExecutionType
	// Name is the pipeline's name.
	Name     string
	Statuses []Status
	// TriggerTypes are types of triggers, such as "manual" or "cron".
	TriggerTypes []string
	// EventID is the id of the event that triggered the execution.
	EventID string
	// Trigger narrows by what the other fields cannot say; nil does not. It is asked
	// only about what the other fields leave, and does not go with LimitPerPipeline.
	Trigger func(Trigger) bool
	// From and To bound the build time, both inclusive.
	From, To time.Time
	// LimitPerPipeline keeps the newest n of each pipeline configuration; zero
	// keeps all.
	LimitPerPipeline int
	// OldestFirst turns the list around before it is cut. It does not go with
	// LimitPerPipeline.
	OldestFirst bool
	// Offset and Limit cut the list, which is newest first; a zero Limit is no limit.
	Offset, Limit int
}

// PipelineExpectation is what the saver of a pipeline believes is stored. The
// zero value expects nothing.
type PipelineExpectation struct {
	// Absent expects that there is no pipeline of that id.
	Absent bool
	// Revision is the stored revision; zero is not compared.
	Revision int
	// UpdatedAt is the stored time of change to the millisecond; zero is not compared.
	UpdatedAt time.Time
	// Key makes a save happen once: another one with the same key is that save, whatever
	// else it expects. Empty for none.
	Key string
}

// PipelineSave is one save of several that are made together.
type PipelineSave struct {
	Pipeline Pipeline
	Expect   PipelineExpectation
}

// StoredResponse is the answer given to a request with an Idempotency-Key.
type StoredResponse struct {
	// RequestHash tells one request from another under the same key.
	RequestHash string
	Status      int
	Body        []byte
}
