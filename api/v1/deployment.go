package v1

import "encoding/json"

// Deployment is one strategy carried out on one cluster.
type Deployment struct {
	ID        string `json:"id"`
	Execution string `json:"execution"`
	// Stage is the refId of the stage that started it.
	Stage         string   `json:"stage"`
	CloudProvider string   `json:"cloudProvider"`
	Account       string   `json:"account"`
	Region        string   `json:"region"`
	Cluster       string   `json:"cluster"`
	Status        string   `json:"status"`
	ServerGroup   string   `json:"serverGroup,omitempty"`
	StartTime     *Millis  `json:"startTime"`
	EndTime       *Millis  `json:"endTime"`
	Failure       *Failure `json:"failure,omitempty"`
	// Judgment is what people are asked now.
	Judgment *Judgment       `json:"judgment,omitempty"`
	Detail   json.RawMessage `json:"detail,omitempty"`
}

// Failure says why a deployment failed.
type Failure struct {
	Code    string       `json:"code"`
	Message string       `json:"message"`
	Step    string       `json:"step,omitempty"`
	Errors  []FieldError `json:"errors,omitempty"`
}

// Event is one entry of an execution's progress stream.
type Event struct {
	// ID grows; it is the id to resume after.
	ID        int64  `json:"id"`
	Execution string `json:"execution"`
	// Key is unique in the execution.
	Key string  `json:"key"`
	At  *Millis `json:"at"`
	// Type is execution, stage, deployment, batch, change or check.
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}
