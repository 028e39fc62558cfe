package expression

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// EnvBefore is what can be read of an execution that is not begun: no stages, and no
// status or times, since those change.
func EnvBefore(e delivery.Execution) Env {
	return Env{Parameters: e.Trigger.Parameters, Trigger: triggerOf(e.Trigger, nil), Execution: encoded(executionBefore(e, nil)), Before: true, Partial: true}
}

// EnvAtStart is what the defaults of parameters can read: the execution as far as it is
// resolved, at its BuildTime. No stage will put out more before, so that an unknown name
// has no value. parents are as in EnvOf.
func EnvAtStart(e delivery.Execution, parents []delivery.Execution) Env {
	return Env{Parameters: e.Trigger.Parameters, Trigger: triggerOf(e.Trigger, parents), Execution: encoded(executionBefore(e, parents)),
		Now: e.BuildTime, Random: uuids(string(e.ID)), Before: true}
}

// EnvOf is what can be read in a stage of an execution at a time, or after all of its
// stages when refID is empty. The stage's own fields are not in it. parents are the
// executions that started one another before this one, the nearest first; it ends
// before the first one that is gone.
func EnvOf(e delivery.Execution, parents []delivery.Execution, refID string, at time.Time) Env {
	attempt := delivery.Stage{RefID: refID}
	if stage := e.Stage(refID); stage != nil {
		attempt = *stage
	}
	env := Env{Parameters: e.Trigger.Parameters, Trigger: triggerOf(e.Trigger, parents), Execution: encoded(executionOf(e, parents)),
		RefID: refID, Now: at, Random: uuids(attempt.Key(e.ID))}
	if refID != "" {
		env.Outputs = OutputsBefore(e, refID)
	}
	return env
}

// OutputsBefore are the outputs of the stages that are over before the stages of these
// refIds, the nearest first.
func OutputsBefore(e delivery.Execution, refIDs ...string) []json.RawMessage {
	var out []json.RawMessage
	seen := map[string]bool{}
	for _, id := range refIDs {
		seen[id] = true
	}
	for near := refIDs; len(near) > 0; {
		var next []string
		for _, id := range near {
			stage := e.Stage(id)
			if stage == nil {
				continue
			}
			for _, before := range stage.RequisiteStageRefIDs {
				if seen[before] {
					continue
				}
				seen[before] = true
				next = append(next, before)
				if s := e.Stage(before); s != nil && len(s.Outputs) > 0 {
					out = append(out, s.Outputs)
				}
			}
		}
		near = next
	}
	return out
}

// uuids returns what makes UUIDs that follow from a text and their number, so that
// evaluating again gives the same.
func uuids(of string) func() string {
	n := 0
	return func() string {
		n++
		return delivery.ChangeKey(fmt.Sprintf("%s#uuid/%d", of, n)).Token()
	}
}

// seenExecution is an execution in Spinnaker's JSON. Times are in milliseconds.
type seenExecution struct {
	Type              delivery.ExecutionType `json:"type"`
	ID                delivery.ExecutionID   `json:"id"`
	Application       string                 `json:"application"`
	Name              string                 `json:"name"`
	Description       string                 `json:"description,omitempty"`
	PipelineConfigID  string                 `json:"pipelineConfigId"`
	Origin            string                 `json:"origin"`
	SpelEvaluator     string                 `json:"spelEvaluator"`
	BuildTime         *int64                 `json:"buildTime"`
	Authentication    seenAuthentication     `json:"authentication"`
	Trigger           json.RawMessage        `json:"trigger"`
	TemplateVariables json.RawMessage        `json:"templateVariables,omitempty"`
	*seenProgress
}

type seenAuthentication struct {
	User string `json:"user"`
}

// seenProgress is what of an execution changes.
type seenProgress struct {
	Status             delivery.Status `json:"status"`
	StartTime          *int64          `json:"startTime"`
	EndTime            *int64          `json:"endTime"`
	Canceled           bool            `json:"canceled"`
	CanceledBy         string          `json:"canceledBy,omitempty"`
	CancellationReason string          `json:"cancellationReason,omitempty"`
	Stages             []seenStage     `json:"stages"`
}

type seenStage struct {
	ID                   string          `json:"id"`
	RefID                string          `json:"refId"`
	Type                 string          `json:"type"`
	Name                 string          `json:"name"`
	Status               delivery.Status `json:"status"`
	StartTime            *int64          `json:"startTime"`
	EndTime              *int64          `json:"endTime"`
	RequisiteStageRefIDs []string        `json:"requisiteStageRefIds"`
	Context              json.RawMessage `json:"context"`
	Outputs              json.RawMessage `json:"outputs"`
	HasSucceeded         bool            `json:"hasSucceeded"`
	HasFailed            bool            `json:"hasFailed"`
}

func executionBefore(e delivery.Execution, parents []delivery.Execution) seenExecution {
	return seenExecution{Type: e.Type, ID: e.ID, Application: e.Application, Name: e.Name, Description: e.Description,
		PipelineConfigID: e.PipelineConfigID, Origin: "api", SpelEvaluator: "v4", BuildTime: millis(e.BuildTime),
		Authentication: seenAuthentication{e.Trigger.User}, Trigger: triggerOf(e.Trigger, parents),
		TemplateVariables: e.TemplateVariables}
}

func executionOf(e delivery.Execution, parents []delivery.Execution) seenExecution {
	out := executionBefore(e, parents)
	out.seenProgress = &seenProgress{Status: e.Status, StartTime: millis(e.StartTime), EndTime: millis(e.EndTime),
		Canceled: e.Status == delivery.StatusCanceled || e.CanceledBy != "", CanceledBy: e.CanceledBy,
		CancellationReason: e.CancellationReason, Stages: make([]seenStage, len(e.Stages))}
	for i, s := range e.Stages {
		out.Stages[i] = stageOf(s)
	}
	return out
}

func stageOf(s delivery.Stage) seenStage {
	succeeded, failed := resultOf(string(s.Status))
	outputs := s.Outputs
	if len(outputs) == 0 {
		outputs = json.RawMessage(`{}`)
	}
	return seenStage{ID: s.ID, RefID: s.RefID, Type: s.Type, Name: s.Name, Status: s.Status, StartTime: millis(s.StartTime),
		EndTime: millis(s.EndTime), RequisiteStageRefIDs: append([]string{}, s.RequisiteStageRefIDs...),
		Context: contextOf(s), Outputs: outputs, HasSucceeded: succeeded, HasFailed: failed}
}

// contextOf is a stage's input together with its outputs, as Spinnaker's stages have
// it, and with the reason when it failed.
func contextOf(s delivery.Stage) json.RawMessage {
	fields := objectOf(s.Context)
	for key, value := range objectOf(s.Outputs) {
		fields[key] = value
	}
	if s.Failure != nil {
		wrong := []string{s.Failure.Error()}
		for _, f := range s.Failure.Findings {
			wrong = append(wrong, f.Pointer+": "+f.Message)
		}
		fields["exception"] = encoded(seenException{s.Failure.Kind, s.Type, millis(s.EndTime), seenDetails{s.Failure.Message, wrong}})
	}
	return encoded(fields)
}

type seenException struct {
	ExceptionType string      `json:"exceptionType"`
	Operation     string      `json:"operation"`
	Timestamp     *int64      `json:"timestamp"`
	Details       seenDetails `json:"details"`
}

type seenDetails struct {
	Error  string   `json:"error"`
	Errors []string `json:"errors"`
}

func objectOf(raw json.RawMessage) map[string]json.RawMessage {
	var out map[string]json.RawMessage
	if json.Unmarshal(raw, &out) != nil || out == nil {
		return map[string]json.RawMessage{}
	}
	return out
}

// encoded is a value as JSON; nothing when a part of it is no JSON.
func encoded(v any) json.RawMessage {
	out, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return out
}

// millis is a time in milliseconds since 1970; nil for none.
func millis(at time.Time) *int64 {
	if at.IsZero() {
		return nil
	}
	ms := at.UnixMilli()
	return &ms
}
