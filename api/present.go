package api

import (
	"bytes"
	"encoding/json"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// presentExecution renders an execution in Spinnaker's shape. Without expand the
// stages lose outputs, tasks and context, except the context's group.
func presentExecution(e delivery.Execution, expand bool) v1.Execution {
	out := v1.Execution{
		Type: string(e.Type), ID: string(e.ID), Application: e.Application, Name: e.Name,
		PipelineConfigID: e.PipelineConfigID, Description: orNull(e.Description), Status: string(e.Status),
		BuildTime: v1.MillisOf(e.BuildTime), StartTime: v1.MillisOf(e.StartTime), EndTime: v1.MillisOf(e.EndTime),
		Canceled:   e.Status == delivery.StatusCanceled || e.CanceledBy != "",
		CanceledBy: orNull(e.CanceledBy), CancellationReason: orNull(e.CancellationReason),
		LimitConcurrent: e.LimitConcurrent, MaxConcurrentExecutions: e.MaxConcurrentExecutions, KeepWaitingPipelines: e.KeepWaitingPipelines,
		SpelEvaluator: "v4", Origin: "api",
		Authentication:    v1.Authentication{User: e.Trigger.User, AllowedAccounts: []string{}},
		Trigger:           presentTrigger(e.Trigger),
		TemplateVariables: e.TemplateVariables,
		Stages:            make([]v1.Stage, len(e.Stages)),
		Notifications:     []json.RawMessage{}, SystemNotifications: []json.RawMessage{},
	}
	if e.Paused != nil {
		out.Paused = &v1.Paused{
			PausedBy: e.Paused.PausedBy, PauseTime: v1.MillisOf(e.Paused.PausedAt), Reason: orNull(e.Paused.Reason),
			ResumedBy: orNull(e.Paused.ResumedBy), ResumeTime: v1.MillisOf(e.Paused.ResumedAt), ResumeReason: orNull(e.Paused.ResumeReason),
		}
	}
	for i, stage := range e.Stages {
		out.Stages[i] = presentStage(stage, expand)
	}
	return out
}

func presentStage(s delivery.Stage, expand bool) v1.Stage {
	out := v1.Stage{
		ID: s.ID, RefID: s.RefID, Type: s.Type, Name: s.Name, Status: string(s.Status),
		StartTime: v1.MillisOf(s.StartTime), EndTime: v1.MillisOf(s.EndTime),
		RequisiteStageRefIDs: append([]string{}, s.RequisiteStageRefIDs...),
		ParentStageID:        orNull(s.ParentStageID), SyntheticStageOwner: orNull(s.SyntheticStageOwner), ScheduledTime: v1.MillisOf(s.ScheduledTime),
		LastModified: lastModified(s), Attempt: s.Attempt, StatusReason: s.StatusReason, Deadline: v1.MillisOf(s.Deadline),
	}
	out.Deployments = textsOf(s.Deployments)
	for _, a := range s.Attempts {
		out.Attempts = append(out.Attempts, v1.StageAttempt{Attempt: a.Number, StartTime: v1.MillisOf(a.StartTime), EndTime: v1.MillisOf(a.EndTime),
			Failure: presentFailure(&a.Failure), Deployments: textsOf(a.Deployments)})
	}
	if expand {
		out.Context, out.Outputs, out.Tasks = presentContext(s), orEmpty(s.Outputs), presentSteps(s)
	} else {
		out.Context, out.Outputs, out.Tasks = groupAlone(s.Context), json.RawMessage(`{}`), []v1.StageTask{}
	}
	return out
}

// lastModified is whoever answered the judgment that the stage asked for, nil for
// nobody. People change nothing else of a stage in progress.
func lastModified(s delivery.Stage) *v1.LastModified {
	var answer pipeline.Judged
	if s.Type != pipeline.ManualJudgmentType || json.Unmarshal(s.Outputs, &answer) != nil || answer.JudgedBy == "" {
		return nil
	}
	return &v1.LastModified{User: answer.JudgedBy, AllowedAccounts: []string{}, LastModifiedTime: v1.Millis(answer.JudgedAt)}
}

func textsOf(ids []delivery.DeploymentID) []string {
	var out []string
	for _, id := range ids {
		out = append(out, string(id))
	}
	return out
}

// groupAlone is what is left of a context without expand. Most contexts have no
// group, and then nothing is decoded.
func groupAlone(context json.RawMessage) json.RawMessage {
	if !bytes.Contains(context, []byte(`"group"`)) {
		return json.RawMessage(`{}`)
	}
	short := object{}
	if group, ok := objectOf(context)["group"]; ok {
		short["group"] = group
	}
	return short.raw()
}

// presentContext is the stage's input together with its outputs, as later stages
// see them in Spinnaker, and with the reason when it failed.
func presentContext(s delivery.Stage) json.RawMessage {
	context := objectOf(pipeline.WithoutCredentials(s.Type, s.Context))
	for key, value := range objectOf(s.Outputs) {
		context[key] = value
	}
	if by := lastModified(s); by != nil {
		context.set("lastModifiedBy", by.User)
	}
	if s.Failure != nil {
		context.set("exception", presentException(s))
	}
	return context.raw()
}

func presentException(s delivery.Stage) v1.StageException {
	text := s.Failure.Message
	if s.Failure.Step != "" {
		text = s.Failure.Error()
	}
	errors := []string{text}
	for _, f := range s.Failure.Findings {
		errors = append(errors, f.Pointer+": "+f.Message)
	}
	return v1.StageException{
		ExceptionType: s.Failure.Kind, Operation: s.Type, ShouldRetry: false, Timestamp: v1.MillisOf(s.EndTime),
		Details: v1.StageExceptionDetails{Error: s.Failure.Message, Errors: errors},
	}
}

// presentSteps renders a started stage as its one step; none before it starts.
func presentSteps(s delivery.Stage) []v1.StageTask {
	if s.StartTime.IsZero() {
		return []v1.StageTask{}
	}
	return []v1.StageTask{{
		ID: "1", Name: s.Type, ImplementingClass: "slipway." + s.Type, Status: string(s.Status),
		StartTime: v1.MillisOf(s.StartTime), EndTime: v1.MillisOf(s.EndTime), StageStart: true, StageEnd: true,
	}}
}

// presentTrigger is the trigger as the client sent it, with what the server
// decided set over it.
func presentTrigger(t delivery.Trigger) json.RawMessage {
	out := objectOf(t.Document)
	out.set("type", t.Type)
	out.set("user", t.User)
	out["parameters"] = orEmpty(t.Parameters)
	if t.CorrelationID != "" {
		out.set("correlationId", t.CorrelationID)
	}
	if parent := parentOf(t); parent != nil {
		out["parentExecution"] = parent.raw()
	}
	for _, list := range [...]string{"artifacts", "notifications", "resolvedExpectedArtifacts"} {
		if typeOf(out[list]) != "a list" {
			out[list] = json.RawMessage(`[]`)
		}
	}
	for _, flag := range [...]string{"rebake", "dryRun", "strategy"} {
		if typeOf(out[flag]) != "a boolean" {
			out[flag] = json.RawMessage(`false`)
		}
	}
	return out.raw()
}

func presentDeployment(d delivery.Deployment) v1.Deployment {
	out := v1.Deployment{
		ID: string(d.ID), Execution: string(d.Execution), Stage: d.Stage,
		CloudProvider: d.Cluster.Provider, Account: d.Cluster.Account, Region: d.Cluster.Region, Cluster: d.Cluster.Name(),
		Status: string(d.Status), ServerGroup: d.ServerGroup,
		StartTime: v1.MillisOf(d.StartTime), EndTime: v1.MillisOf(d.EndTime), Detail: d.Detail,
	}
	out.Failure, out.Judgment = presentFailure(d.Failure), presentJudgment(d)
	return out
}

func presentFailure(f *delivery.Failure) *v1.Failure {
	if f == nil {
		return nil
	}
	return &v1.Failure{Code: f.Kind, Message: f.Message, Step: f.Step, Errors: fieldErrors(f.Findings)}
}

func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func orEmpty(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage(`{}`)
	}
	return raw
}
