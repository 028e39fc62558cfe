package delivery

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// ExecutionID is a ULID, for example "01JD3Z8Q6V5T0H3W4M8N7K2RXA".
type ExecutionID string

// WorkflowID returns the id of the Temporal workflow that runs the execution.
func (id ExecutionID) WorkflowID() string { return "execution/" + string(id) }

// Status is the state of an execution, a stage or a task, in Spinnaker's words.
type Status string

// The statuses. StatusUnknown is the zero value and never written.
const (
	StatusUnknown        Status = ""
	StatusNotStarted     Status = "NOT_STARTED"
	StatusRunning        Status = "RUNNING"
	StatusPaused         Status = "PAUSED"
	StatusSucceeded      Status = "SUCCEEDED"
	StatusFailedContinue Status = "FAILED_CONTINUE"
	StatusTerminal       Status = "TERMINAL"
	StatusCanceled       Status = "CANCELED"
	StatusStopped        Status = "STOPPED"
	StatusSkipped        Status = "SKIPPED"
)

// transitions is the one table of allowed status changes. A complete status has
// no way out.
var transitions = map[Status][]Status{
	StatusNotStarted: {StatusRunning, StatusPaused, StatusCanceled, StatusSkipped, StatusTerminal},
	StatusRunning: {StatusPaused, StatusSucceeded, StatusFailedContinue, StatusTerminal,
		StatusCanceled, StatusStopped, StatusSkipped},
	StatusPaused: {StatusRunning, StatusCanceled, StatusTerminal},
}

// Statuses returns every status that is ever written, in the order of a life.
func Statuses() []Status {
	return []Status{StatusNotStarted, StatusRunning, StatusPaused, StatusSucceeded,
		StatusFailedContinue, StatusTerminal, StatusCanceled, StatusStopped, StatusSkipped}
}

// ParseStatus returns Invalid for a word that is no status.
func ParseStatus(word string) (Status, error) {
	if s := Status(word); slices.Contains(Statuses(), s) {
		return s, nil
	}
	return StatusUnknown, Errorf(Invalid, "%q is not a status", word)
}

// Complete reports whether the status is final.
func (s Status) Complete() bool {
	switch s {
	case StatusSucceeded, StatusFailedContinue, StatusTerminal, StatusCanceled, StatusStopped, StatusSkipped:
		return true
	default:
		return false
	}
}

// Halting reports whether the status stops what comes after it.
func (s Status) Halting() bool {
	return s == StatusTerminal || s == StatusCanceled || s == StatusStopped
}

// Next returns the statuses that may follow s.
func (s Status) Next() []Status { return slices.Clone(transitions[s]) }

// CanBecome reports whether the table allows the change from s to next. Staying
// the same is always allowed.
func (s Status) CanBecome(next Status) bool {
	return s == next || slices.Contains(transitions[s], next)
}

// Become returns next, or Conflict when the table does not allow the change.
func (s Status) Become(next Status) (Status, error) {
	if !s.CanBecome(next) {
		return s, Errorf(Conflict, "status %s cannot become %s", s, next)
	}
	return next, nil
}

// ExecutionType tells pipelines' executions from ad-hoc tasks.
type ExecutionType string

// The execution types.
const (
	PipelineExecution ExecutionType = "PIPELINE"
	// Orchestration is an execution of a list of jobs sent to /tasks.
	Orchestration ExecutionType = "ORCHESTRATION"
)

// Trigger is what started an execution.
type Trigger struct {
	Type string `json:"type"`
	User string `json:"user"`
	// Parameters is a JSON object, resolved: defaults are filled in.
	Parameters    json.RawMessage `json:"parameters,omitempty"`
	CorrelationID string          `json:"correlationId,omitempty"`
	// Document is the trigger as the client sent it, an open JSON object.
	Document json.RawMessage `json:"document,omitempty"`
	// ParentExecution is the execution that started this one; empty for none. Who
	// reads the trigger puts the parent itself in.
	ParentExecution ExecutionID `json:"parentExecution,omitempty"`
	// Depth is how many executions started one another before this one.
	Depth int `json:"depth,omitempty"`
}

// Parent is the execution that started this one: ParentExecution, or what the document
// says; empty for none.
func (t Trigger) Parent() ExecutionID {
	var named struct {
		ParentExecution ExecutionID `json:"parentExecution"`
	}
	if t.ParentExecution == "" && len(t.Document) > 0 && json.Unmarshal(t.Document, &named) != nil {
		return ""
	}
	return cmp.Or(t.ParentExecution, named.ParentExecution)
}

// EventID returns the id of the event that started the execution, as the trigger
// says it; empty when there was none.
func (t Trigger) EventID() string {
	var named struct {
		EventID string `json:"eventId"`
	}
	if json.Unmarshal(t.Document, &named) != nil {
		return ""
	}
	return named.EventID
}

// Pause tells who paused an execution, when and why. The reasons are empty when
// nobody gave one.
type Pause struct {
	PausedBy     string    `json:"pausedBy"`
	PausedAt     time.Time `json:"pausedAt"`
	Reason       string    `json:"reason,omitempty"`
	ResumedBy    string    `json:"resumedBy,omitempty"`
	ResumedAt    time.Time `json:"resumedAt,omitzero"`
	ResumeReason string    `json:"resumeReason,omitempty"`
}

// Execution is one run of a pipeline or of an ad-hoc task. While it runs, its
// workflow is the truth and a stored Execution is a projection of it.
type Execution struct {
	ID          ExecutionID   `json:"id"`
	Type        ExecutionType `json:"type"`
	Application string        `json:"application"`
	// Name is the pipeline's name; empty for a task.
	Name string `json:"name,omitempty"`
	// Description is the task's description, or why a rollback was asked for; empty
	// for a saved pipeline.
	Description      string    `json:"description,omitempty"`
	PipelineConfigID string    `json:"pipelineConfigId,omitempty"`
	Status           Status    `json:"status"`
	BuildTime        time.Time `json:"buildTime"`
	// StartTime and EndTime are zero while not reached.
	StartTime          time.Time `json:"startTime,omitzero"`
	EndTime            time.Time `json:"endTime,omitzero"`
	CanceledBy         string    `json:"canceledBy,omitempty"`
	CancellationReason string    `json:"cancellationReason,omitempty"`
	Paused             *Pause    `json:"paused,omitempty"`
	Trigger            Trigger   `json:"trigger"`
	// TemplateVariables are the values of the variables of the template that the
	// pipeline was made from, a JSON object; nil for a pipeline of its own.
	TemplateVariables json.RawMessage `json:"templateVariables,omitempty"`
	Stages            []Stage         `json:"stages"`
	// LimitConcurrent, MaxConcurrentExecutions and KeepWaitingPipelines are the limits of
	// its pipeline when it was accepted.
	LimitConcurrent         bool `json:"limitConcurrent,omitempty"`
	MaxConcurrentExecutions int  `json:"maxConcurrentExecutions,omitempty"`
	KeepWaitingPipelines    bool `json:"keepWaitingPipelines,omitempty"`
	// Restarts is how often the execution had ended and was begun again at a stage.
	Restarts int `json:"restarts,omitempty"`
	// Version grows with every projection; a write with a version that is not
	// newer than the stored one changes nothing.
	Version int64 `json:"version"`
	// Deleted is true once somebody took the execution out of the lists. What it
	// deployed can still be rolled back, and its keys are still taken.
	Deleted bool `json:"-"`
}

// PendingStart is an execution whose workflow is to be started.
type PendingStart struct {
	Execution ExecutionID
	// Place is where it stands in the outbox. A restart of the execution has another one.
	Place int64
}

// PendingEnd is an execution as it ended, for what waits for that.
type PendingEnd struct {
	Execution
	// Place grows with the time of the end.
	Place int64
}

// Stage returns the stage with that refId, or nil.
func (e *Execution) Stage(refID string) *Stage {
	for i := range e.Stages {
		if e.Stages[i].RefID == refID {
			return &e.Stages[i]
		}
	}
	return nil
}

// Stage is one step of an execution.
type Stage struct {
	// ID is a ULID.
	ID                   string    `json:"id"`
	RefID                string    `json:"refId"`
	Type                 string    `json:"type"`
	Name                 string    `json:"name"`
	Status               Status    `json:"status"`
	StartTime            time.Time `json:"startTime,omitzero"`
	EndTime              time.Time `json:"endTime,omitzero"`
	RequisiteStageRefIDs []string  `json:"requisiteStageRefIds"`
	// Context is the stage's definition with expressions evaluated, a JSON object.
	Context json.RawMessage `json:"context,omitempty"`
	// Outputs is what later stages may read, a JSON object; empty for none.
	Outputs json.RawMessage `json:"outputs,omitempty"`
	// Failure is set when the stage failed.
	Failure *Failure `json:"failure,omitempty"`
	// Deployments are the ids of the deployments that the stage started.
	Deployments []DeploymentID `json:"deployments,omitempty"`
	// Attempt is 2 and more for a stage that was restarted or tried again; zero before.
	// StartTime, Context, Outputs, Deployments and Deadline are those of this attempt.
	Attempt int `json:"attempt,omitempty"`
	// Attempts are those after which the stage was tried again by itself; a restart
	// begins the list anew.
	Attempts []Attempt `json:"attempts,omitempty"`
	// ParentStageID is the id of the stage that this one is a part of, and
	// SyntheticStageOwner where: both are empty for the stages of the definition.
	ParentStageID       string `json:"parentStageId,omitempty"`
	SyntheticStageOwner string `json:"syntheticStageOwner,omitempty"`
	// ScheduledTime is when a stage that waits for a window, or for its next attempt, goes
	// on; zero for none. A pause of the execution moves the beginning of an attempt.
	ScheduledTime time.Time `json:"scheduledTime,omitzero"`
	// StatusReason says for people why the stage has its status, where no failure does:
	// "joe skipped it". Empty for what speaks for itself.
	StatusReason string `json:"statusReason,omitempty"`
	// Deadline is when the stage is out of time; zero for a stage without a limit. It
	// moves when the execution is paused.
	Deadline time.Time `json:"deadline,omitzero"`
}

// AwaitsRetry reports whether an attempt of the stage has failed and the next one has
// not begun.
func (s Stage) AwaitsRetry() bool {
	return s.Status == StatusRunning && len(s.Attempts) > 0 && !s.ScheduledTime.IsZero()
}

// Attempt is an attempt of a stage that failed and that another one followed.
type Attempt struct {
	// Number is the stage's Attempt; 1 for the first.
	Number    int       `json:"attempt"`
	StartTime time.Time `json:"startTime,omitzero"`
	EndTime   time.Time `json:"endTime,omitzero"`
	Failure   Failure   `json:"failure"`
	// Deployments are the ids of the deployments that it started.
	Deployments []DeploymentID `json:"deployments,omitempty"`
}

// Key tells one attempt of a stage of an execution from every other, for what it begins
// elsewhere: "01JD3Z8Q6V5T0H3W4M8N7K2RXA/2", and ".../2~2" for the second attempt.
func (s Stage) Key(execution ExecutionID) string {
	key := string(execution) + "/" + s.RefID
	if s.Attempt > 1 {
		key += fmt.Sprintf("~%d", s.Attempt)
	}
	return key
}

// StageBefore owns the synthetic stages that run before their parent.
const StageBefore = "STAGE_BEFORE"

// Kinds of failures that are no kinds of errors.
const (
	// FailureCanceled is that of what others stopped, such as a deployment that another
	// one superseded.
	FailureCanceled = "canceled"
	// FailureJudgment is that of what people did not let go on.
	FailureJudgment = "judgment"
)

// Failure says why a stage or a deployment failed.
type Failure struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	// Step is what was being done, for example "wait for 3 healthy instances in storefront-prod-v001".
	Step string `json:"step,omitempty"`
	// Findings name fields when an input was at fault.
	Findings []Finding `json:"findings,omitempty"`
}

// Error makes a Failure an error for logs.
func (f *Failure) Error() string {
	if f.Step == "" {
		return f.Message
	}
	return fmt.Sprintf("%s: %s", f.Step, f.Message)
}

// FailureOf turns an error into a failure of the given step; nil for nil.
func FailureOf(step string, err error) *Failure {
	if err == nil {
		return nil
	}
	return &Failure{Kind: KindOf(err).String(), Message: err.Error(), Step: step, Findings: FindingsOf(err)}
}
