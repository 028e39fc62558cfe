package pipeline

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// MonitorType is the stage type that waits for executions that others started.
const MonitorType = "monitorPipeline"

// Spinnaker's words for when a failure among several executions counts.
const (
	// FailFast fails as soon as one execution has failed.
	FailFast = "FailFast"
	// WaitForAll waits for the others first.
	WaitForAll = "WaitForAllToComplete"
)

// maxMonitored is how many executions one stage can wait for.
const maxMonitored = 100

// MonitorStage is the input of a stage of MonitorType.
type MonitorStage struct {
	// Executions are distinct, at least one.
	Executions []delivery.ExecutionID
	FailFast   bool
}

// ExecutionStatus is what the stage tells of one execution, in Spinnaker's form.
type ExecutionStatus struct {
	Status      delivery.Status `json:"status"`
	Application string          `json:"application"`
	// Exception is set when it did not succeed.
	Exception *ExecutionException `json:"exception,omitempty"`
}

// ExecutionException says why an execution did not succeed.
type ExecutionException struct {
	Details struct {
		Errors []string `json:"errors"`
	} `json:"details"`
}

func readMonitored(o object) MonitorStage {
	ids := o.texts("executionIds")
	one := o.text("executionId")
	switch {
	case o.given("executionIds") && o.given("executionId"):
		o.refuse("executionId", "is given as well as executionIds; only one of them can say what to wait for")
	case one != "":
		ids = []string{one}
	case len(ids) == 0 && !o.dynamic("executionId") && !o.dynamic("executionIds") && (len(o.list("executionIds")) == 0 || !o.r.deferred):
		o.refuse("executionIds", "is required: the executions to wait for")
	case len(ids) > maxMonitored:
		o.refuse("executionIds", "has %d executions; %d are allowed", len(ids), maxMonitored)
	}
	var stage MonitorStage
	for i, id := range ids {
		if id == "" && one == "" {
			o.r.refuse(fmt.Sprintf("%s/%d", o.pointer("executionIds"), i), "must not be empty")
		}
		if !slices.Contains(stage.Executions, delivery.ExecutionID(id)) {
			stage.Executions = append(stage.Executions, delivery.ExecutionID(id))
		}
	}
	behavior := cmp.Or(o.text("monitorBehavior"), FailFast)
	if stage.FailFast = behavior == FailFast; !stage.FailFast && behavior != WaitForAll {
		o.refuse("monitorBehavior", "is %q; must be %s or %s", behavior, FailFast, WaitForAll)
	}
	return stage
}

// ParseMonitor reads an evaluated stage. An Invalid error carries findings with
// pointers relative to the stage.
func ParseMonitor(context json.RawMessage) (MonitorStage, error) {
	r := &reader{}
	var out MonitorStage
	if o, ok := r.document(context); ok {
		out = readMonitored(o)
	}
	return out, delivery.InvalidError("monitorPipeline stage is not valid", r.findings)
}

// Outcome says whether the stage is over, and why it failed: Conflict. The executions
// are those of the stage, in its order.
func (m MonitorStage) Outcome(executions []delivery.Execution) (over bool, err error) {
	var wrong []string
	over = true
	for _, e := range executions {
		over = over && e.Status.Complete()
		if failed := Ended(e); failed != nil {
			wrong = append(wrong, failed.Error())
		}
	}
	if len(wrong) == 0 || !over && !m.FailFast {
		return over, nil
	}
	return true, delivery.Errorf(delivery.Conflict, "%s", strings.Join(wrong, "; "))
}

// Outputs are the status of each execution by its id and, where there is only one,
// what its stages put out once it has ended.
func (m MonitorStage) Outputs(executions []delivery.Execution) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	if len(executions) == 1 && executions[0].Status.Complete() {
		out = stageOutputs(executions[0])
	}
	statuses := map[delivery.ExecutionID]ExecutionStatus{}
	for _, e := range executions {
		status := ExecutionStatus{Status: e.Status, Application: e.Application}
		if failed := Ended(e); failed != nil {
			status.Exception = &ExecutionException{}
			status.Exception.Details.Errors = []string{failed.Error()}
		}
		statuses[e.ID] = status
	}
	raw, err := json.Marshal(statuses)
	if err != nil {
		return nil, fmt.Errorf("encode statuses: %w", err)
	}
	out["executionStatuses"] = raw
	return out, nil
}
