package v1

import "encoding/json"

// TaskRequest asks for jobs to be run.
type TaskRequest struct {
	Application string `json:"application"`
	Description string `json:"description"`
	// Trigger is what a start of a pipeline has; "parameters" can be read by the jobs,
	// and a second task with the "correlationId" of a first one is that one.
	Trigger json.RawMessage `json:"trigger,omitempty"`
	// PlanHash is the plan that jobs which change clusters are to carry out; empty
	// for any.
	PlanHash string `json:"planHash,omitempty"`
	// Job is a list of objects, each with a "type". They run one after the other.
	Job []json.RawMessage `json:"job"`
}

// Task is an execution of jobs as clients poll it.
type Task struct {
	ID          string         `json:"id"`
	Name        string         `json:"name"`
	Application string         `json:"application"`
	Status      string         `json:"status"`
	Variables   []TaskVariable `json:"variables"`
	Steps       []StageTask    `json:"steps"`
	BuildTime   *Millis        `json:"buildTime"`
	StartTime   *Millis        `json:"startTime"`
	EndTime     *Millis        `json:"endTime"`
	Execution   Execution      `json:"execution"`
}

// TaskVariable is one entry of the contexts of a task's stages. The reason of a
// failure is under the key "exception".
type TaskVariable struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

// TaskDetail is the log of one operation of a task on a cloud.
type TaskDetail struct {
	ID     string           `json:"id"`
	Status TaskDetailStatus `json:"status"`
	// History is the log, the last line the newest.
	History       []TaskDetailLine  `json:"history"`
	ResultObjects []json.RawMessage `json:"resultObjects"`
}

// TaskDetailStatus is where the operation is.
type TaskDetailStatus struct {
	Phase     string `json:"phase"`
	Status    string `json:"status"`
	Completed bool   `json:"completed"`
	Failed    bool   `json:"failed"`
}

// TaskDetailLine is one line of the log.
type TaskDetailLine struct {
	Phase  string  `json:"phase"`
	Status string  `json:"status"`
	At     *Millis `json:"at"`
}
