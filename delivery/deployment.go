package delivery

import (
	"encoding/json"
	"fmt"
	"time"
)

// DeploymentID is "execution/stage refId/account/region/cluster", for example
// "01JD3Z8Q6V5T0H3W4M8N7K2RXA/1/aws-sim/us-east-1/storefront-prod".
type DeploymentID string

// NewDeploymentID returns the id of the deployment that a stage carries out on a cluster.
func NewDeploymentID(execution ExecutionID, stageRefID string, cluster Cluster) DeploymentID {
	return DeploymentID(fmt.Sprintf("%s/%s/%s", execution, stageRefID, cluster.Key()))
}

// NewAttemptID is NewDeploymentID for a stage that was restarted: each attempt has
// deployments of its own, for example ".../1~2/aws-sim/us-east-1/storefront-prod".
func NewAttemptID(execution ExecutionID, stageRefID string, attempt int, cluster Cluster) DeploymentID {
	if attempt > 1 {
		stageRefID = fmt.Sprintf("%s~%d", stageRefID, attempt)
	}
	return NewDeploymentID(execution, stageRefID, cluster)
}

// WorkflowID returns the id of the Temporal workflow that carries the deployment out.
func (id DeploymentID) WorkflowID() string { return "deployment/" + string(id) }

// DeploymentStatus is the state of one deployment.
type DeploymentStatus string

// The deployment statuses. A deployment whose execution is already CANCELED may
// still be ROLLING_BACK.
const (
	DeploymentQueued      DeploymentStatus = "QUEUED"
	DeploymentRunning     DeploymentStatus = "RUNNING"
	DeploymentPaused      DeploymentStatus = "PAUSED"
	DeploymentRollingBack DeploymentStatus = "ROLLING_BACK"
	DeploymentSucceeded   DeploymentStatus = "SUCCEEDED"
	// DeploymentRolledBack means that traffic and capacity are as before.
	DeploymentRolledBack DeploymentStatus = "ROLLED_BACK"
	// DeploymentRollbackFailed means that the cluster needs a person.
	DeploymentRollbackFailed DeploymentStatus = "ROLLBACK_FAILED"
	// DeploymentFailed means that it failed before it changed anything, or that
	// its strategy forbids the rollback.
	DeploymentFailed DeploymentStatus = "FAILED"
	// DeploymentCanceled means that it was canceled before it changed anything.
	DeploymentCanceled DeploymentStatus = "CANCELED"
)

// Complete reports whether the status is final.
func (s DeploymentStatus) Complete() bool {
	switch s {
	case DeploymentSucceeded, DeploymentRolledBack, DeploymentRollbackFailed, DeploymentFailed, DeploymentCanceled:
		return true
	default:
		return false
	}
}

// Deployment is the record of one strategy carried out on one cluster.
type Deployment struct {
	ID        DeploymentID     `json:"id"`
	Execution ExecutionID      `json:"execution"`
	Stage     string           `json:"stage"`
	Cluster   Cluster          `json:"cluster"`
	Status    DeploymentStatus `json:"status"`
	// ServerGroup is the group it creates; empty before its number is allocated.
	ServerGroup string    `json:"serverGroup,omitempty"`
	StartTime   time.Time `json:"startTime,omitzero"`
	EndTime     time.Time `json:"endTime,omitzero"`
	Failure     *Failure  `json:"failure,omitempty"`
	// Judgment is the question that it waits for people to answer; nil for none.
	Judgment *Judgment `json:"judgment,omitempty"`
	// Detail is the strategy's own state, for people and for support.
	Detail  json.RawMessage `json:"detail,omitempty"`
	Version int64           `json:"version"`
}

// EventType names a kind of progress event.
type EventType string

// The event types of an execution's stream.
const (
	EventExecution  EventType = "execution"
	EventStage      EventType = "stage"
	EventDeployment EventType = "deployment"
	// EventBatch carries wanted and observed capacity and weight of a batch.
	EventBatch EventType = "batch"
	// EventChange carries one write to a cloud with its receipt.
	EventChange EventType = "change"
	// EventCheck carries one measurement of a check with its verdict.
	EventCheck EventType = "check"
)

// Event is one entry of an execution's progress stream.
type Event struct {
	// ID grows over all executions; it is given by the store. It is the SSE id.
	ID        int64       `json:"id"`
	Execution ExecutionID `json:"execution"`
	// Key is unique in the execution, so that an event recorded twice is stored once.
	Key  string          `json:"key"`
	At   time.Time       `json:"at"`
	Type EventType       `json:"type"`
	Data json.RawMessage `json:"data"`
}
