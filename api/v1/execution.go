package v1

import "encoding/json"

// Execution is one run of a pipeline, or of a task's jobs.
type Execution struct {
	Type             string `json:"type"`
	ID               string `json:"id"`
	Application      string `json:"application"`
	Name             string `json:"name,omitempty"`
	PipelineConfigID string `json:"pipelineConfigId,omitempty"`
	// Description is null for a start of a pipeline.
	Description *string `json:"description"`
	Status      string  `json:"status"`

	BuildTime *Millis `json:"buildTime"`
	// StartTime and EndTime are null while not reached.
	StartTime       *Millis `json:"startTime"`
	EndTime         *Millis `json:"endTime"`
	StartTimeExpiry *Millis `json:"startTimeExpiry"`

	Canceled           bool    `json:"canceled"`
	CanceledBy         *string `json:"canceledBy"`
	CancellationReason *string `json:"cancellationReason"`
	// Paused is null for an execution that nobody has paused.
	Paused *Paused `json:"paused"`

	LimitConcurrent         bool   `json:"limitConcurrent"`
	MaxConcurrentExecutions int    `json:"maxConcurrentExecutions"`
	KeepWaitingPipelines    bool   `json:"keepWaitingPipelines"`
	SpelEvaluator           string `json:"spelEvaluator"`
	Origin                  string `json:"origin"`

	Authentication Authentication `json:"authentication"`
	// Trigger is what the client sent, with type, user and the resolved parameters set.
	Trigger json.RawMessage `json:"trigger"`
	// TemplateVariables are those of the template that the pipeline was made from;
	// null for a pipeline of its own.
	TemplateVariables json.RawMessage `json:"templateVariables"`
	Stages            []Stage         `json:"stages"`

	Notifications       []json.RawMessage `json:"notifications"`
	SystemNotifications []json.RawMessage `json:"systemNotifications"`
	InitialConfig       struct{}          `json:"initialConfig"`
}

// Paused tells who paused an execution; the resumed fields are null while it is paused,
// and the reasons where nobody gave one.
type Paused struct {
	PausedBy     string  `json:"pausedBy"`
	PauseTime    *Millis `json:"pauseTime"`
	Reason       *string `json:"reason"`
	ResumedBy    *string `json:"resumedBy"`
	ResumeTime   *Millis `json:"resumeTime"`
	ResumeReason *string `json:"resumeReason"`
}

// Authentication tells on whose behalf an execution runs.
type Authentication struct {
	User            string   `json:"user"`
	AllowedAccounts []string `json:"allowedAccounts"`
}

// Stage is one step of an execution.
type Stage struct {
	ID                   string          `json:"id"`
	RefID                string          `json:"refId"`
	Type                 string          `json:"type"`
	Name                 string          `json:"name"`
	Status               string          `json:"status"`
	StartTime            *Millis         `json:"startTime"`
	EndTime              *Millis         `json:"endTime"`
	StartTimeExpiry      *Millis         `json:"startTimeExpiry"`
	ScheduledTime        *Millis         `json:"scheduledTime"`
	RequisiteStageRefIDs []string        `json:"requisiteStageRefIds"`
	ParentStageID        *string         `json:"parentStageId"`
	SyntheticStageOwner  *string         `json:"syntheticStageOwner"`
	Context              json.RawMessage `json:"context"`
	Outputs              json.RawMessage `json:"outputs"`
	Tasks                []StageTask     `json:"tasks"`
	// LastModified says who answered the stage's judgment; null when nobody did.
	LastModified *LastModified `json:"lastModified"`
	// Deployments are the ids of the deployments that the stage started.
	Deployments []string `json:"deployments,omitempty"`
	// Attempt is 2 and more for a stage that was restarted or tried again.
	Attempt int `json:"attempt,omitempty"`
	// Attempts are those that failed and after which the stage was tried again by itself.
	// While it waits for the next one, scheduledTime is when that begins.
	Attempts []StageAttempt `json:"attempts,omitempty"`
	// StatusReason says why the stage has its status, where no failure does.
	StatusReason string `json:"statusReason,omitempty"`
	// Deadline is when the stage is out of time; absent without a limit.
	Deadline *Millis `json:"deadline,omitempty"`
	// Judgments are what its deployments ask people now.
	Judgments []Judgment `json:"judgments,omitempty"`
}

// LastModified tells who changed a stage in progress, and when.
type LastModified struct {
	User             string   `json:"user"`
	AllowedAccounts  []string `json:"allowedAccounts"`
	LastModifiedTime Millis   `json:"lastModifiedTime"`
}

// StageAttempt is an attempt of a stage that failed and that another one followed.
type StageAttempt struct {
	Attempt     int      `json:"attempt"`
	StartTime   *Millis  `json:"startTime"`
	EndTime     *Millis  `json:"endTime"`
	Failure     *Failure `json:"failure"`
	Deployments []string `json:"deployments,omitempty"`
}

// StageTask is one step of a stage. Slipway's stages have exactly one.
type StageTask struct {
	ID                   string   `json:"id"`
	Name                 string   `json:"name"`
	ImplementingClass    string   `json:"implementingClass"`
	Status               string   `json:"status"`
	StartTime            *Millis  `json:"startTime"`
	EndTime              *Millis  `json:"endTime"`
	StageStart           bool     `json:"stageStart"`
	StageEnd             bool     `json:"stageEnd"`
	LoopStart            bool     `json:"loopStart"`
	LoopEnd              bool     `json:"loopEnd"`
	TaskExceptionDetails struct{} `json:"taskExceptionDetails"`
}

// StageException says in a stage's context why the stage failed.
type StageException struct {
	ExceptionType string                `json:"exceptionType"`
	Operation     string                `json:"operation"`
	ShouldRetry   bool                  `json:"shouldRetry"`
	Timestamp     *Millis               `json:"timestamp"`
	Details       StageExceptionDetails `json:"details"`
}

// StageExceptionDetails holds the texts of a StageException.
type StageExceptionDetails struct {
	Error  string   `json:"error"`
	Errors []string `json:"errors"`
}

// Ref is the answer to an accepted start: where to look for it.
type Ref struct {
	// Ref is "/pipelines/<id>" or "/tasks/<id>".
	Ref string `json:"ref"`
}
