package workflows

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// LoadedExecution is what the workflow needs to know of an execution.
type LoadedExecution struct {
	Progress Progress    `json:"progress"`
	Plan     []PlanStage `json:"plan"`
	// Reads are the refIds of the stages whose expressions read URLs.
	Reads []string `json:"reads,omitempty"`
	// Restarts is how often the execution had ended and was begun again.
	Restarts int `json:"restarts,omitempty"`
	// Durable is false in histories from when commands had their effect before they
	// stood in the history themselves.
	Durable bool `json:"durable,omitempty"`
	// Paced is false in histories from when all stages that might began at once, and each
	// change was recorded by itself.
	Paced bool `json:"paced,omitempty"`
}

// PlanStage is the part of a stage's definition that decides about its turn.
type PlanStage struct {
	RefID      string               `json:"refId"`
	Type       string               `json:"type"`
	Requisites []string             `json:"requisites,omitempty"`
	OnFailure  pipeline.FailureMode `json:"onFailure"`
	Retry      pipeline.Retry       `json:"retry,omitzero"`
}

func (l LoadedExecution) definition() pipeline.Definition {
	var d pipeline.Definition
	for _, s := range l.Plan {
		d.Stages = append(d.Stages, pipeline.StageSpec{RefID: s.RefID, Type: s.Type, Requisites: s.Requisites, OnFailure: s.OnFailure, Retry: s.Retry})
	}
	return d
}

// LoadExecution reads an execution and its definition from the store.
func (a *Activities) LoadExecution(ctx context.Context, id delivery.ExecutionID) (LoadedExecution, error) {
	e, definition, err := a.definition(ctx, id)
	if err != nil {
		return LoadedExecution{}, applicationError(err)
	}
	loaded := LoadedExecution{Restarts: e.Restarts, Durable: true, Paced: true, Progress: Progress{ID: e.ID, Status: e.Status, StartTime: e.StartTime, Version: e.Version, Stages: slices.Clone(e.Stages)}}
	for i := range loaded.Progress.Stages { // a result of 2 MB ends the workflow
		loaded.Progress.Stages[i].Context, loaded.Progress.Stages[i].Outputs = nil, nil
	}
	loaded.Reads = readers(definition)
	for _, s := range definition.Stages {
		loaded.Plan = append(loaded.Plan, PlanStage{RefID: s.RefID, Type: s.Type, Requisites: s.Requisites, OnFailure: s.OnFailure, Retry: s.Retry})
	}
	return loaded, nil
}

// definition reads an execution, and its definition unless that is known.
func (a *Activities) definition(ctx context.Context, id delivery.ExecutionID) (delivery.Execution, pipeline.Definition, error) {
	e, err := a.deps.Store.Execution(ctx, id)
	if err != nil {
		return e, pipeline.Definition{}, err
	}
	d, err := a.definitions.of(id, func() (pipeline.Definition, error) {
		document, err := a.deps.Store.ExecutionDefinition(ctx, id)
		if err != nil {
			return pipeline.Definition{}, err
		}
		return pipeline.Parse(document)
	})
	return e, d, err
}

// ProjectExecution writes an execution's progress, and what happened, to the
// store. The stages keep their stored context, and the outputs of the same attempt.
func (a *Activities) ProjectExecution(ctx context.Context, p Progress, at time.Time, happened []happening) error {
	e, err := a.deps.Store.Execution(ctx, p.ID)
	if err != nil {
		return applicationError(err)
	}
	if e, err = p.onto(e); err != nil {
		return err
	}
	return applicationError(a.project(ctx, e, at, happened))
}

func (a *Activities) project(ctx context.Context, e delivery.Execution, at time.Time, happened []happening) error {
	list, err := events(e.ID, "execution", e.Version, at, happened)
	if err != nil {
		return err
	}
	stored, err := a.deps.Store.ProjectExecution(ctx, e, list)
	if stored {
		a.tell(ctx, list)
	}
	return err
}

// tell writes progress to the log: transitions and changes at Info, looks at
// batches and measurements at Debug.
func (a *Activities) tell(ctx context.Context, list []delivery.Event) {
	for _, e := range list {
		level := slog.LevelInfo
		if e.Type == delivery.EventBatch || e.Type == delivery.EventCheck {
			level = slog.LevelDebug
		}
		a.deps.Logger.Log(ctx, level, "progress", "execution", e.Execution, "type", e.Type, "data", string(e.Data))
	}
}

// onto returns the stored execution with this progress.
func (p Progress) onto(e delivery.Execution) (delivery.Execution, error) {
	e.Status, e.StartTime, e.EndTime, e.Version = p.Status, p.StartTime, p.EndTime, p.Version
	e.CanceledBy, e.CancellationReason, e.Paused = p.CanceledBy, p.CancellationReason, p.Paused
	stages := slices.Clone(p.Stages)
	for i := range stages {
		was := e.Stage(stages[i].RefID)
		if was == nil {
			continue
		}
		stages[i].Context = was.Context
		if was.Attempt == stages[i].Attempt && len(stages[i].Outputs) == 0 {
			stages[i].Outputs = was.Outputs
		}
	}
	e.Stages = stages
	for _, o := range p.Outputs {
		outputs, err := json.Marshal(o.Value)
		if err != nil {
			return e, fmt.Errorf("encode outputs of stage %s: %w", o.RefID, err)
		}
		stage := e.Stage(o.RefID)
		stage.Outputs = outputs
		if stage.Type == pipeline.ManualJudgmentType {
			stage.Context = pipeline.WithAnswer(stage.Context, outputs)
		}
	}
	return e, nil
}

// BegunStage is what a stage is to do. Failure is set when its input is wrong.
type BegunStage struct {
	// Name is the stage's name where it is another one than before; empty else.
	Name     string            `json:"name,omitempty"`
	Wait     time.Duration     `json:"wait,omitempty"`
	Clusters []ClusterToDeploy `json:"clusters,omitempty"`
	// Until is when a wait for a time ends.
	Until time.Time `json:"until,omitzero"`
	// Judgment is what people are to be asked.
	Judgment *pipeline.ManualJudgment `json:"judgment,omitempty"`
	// Begin is when the stage's window lets it begin; zero without one.
	Begin time.Time `json:"begin,omitzero"`
	// Skipped is why the stage is left out; empty when it is not.
	Skipped string `json:"skipped,omitempty"`
	// Timeout is how long the stage may take; zero is for ever.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Between is the pause between the deployments of a rollback: with it they come
	// one after the other, and a failure ends the row.
	Between time.Duration `json:"between,omitempty"`
	// Webhook is set for a stage that calls another system.
	Webhook *BegunWebhook     `json:"webhook,omitempty"`
	Failure *delivery.Failure `json:"failure,omitempty"`
	// Began is set when the stage's beginning was recorded before, by a worker that died:
	// what it begins elsewhere is found by that time.
	Began time.Time `json:"began,omitzero"`
}

// ClusterToDeploy is a cluster of a stage that deploys or operates, with what its
// deployment does when another one has the cluster.
type ClusterToDeploy struct {
	delivery.Cluster
	Concurrency rollout.Concurrency `json:"concurrency,omitempty"`
}

// BeginStage evaluates the expressions of a stage, reads its input, and writes
// both the evaluated context and the progress to the store. It evaluates the
// definition, not the stored context, so repeating it changes nothing. What the
// expressions read was read before.
func (a *Activities) BeginStage(ctx context.Context, p Progress, refID string, at time.Time, read ReadURLs) (BegunStage, error) {
	e, definition, err := a.definition(ctx, p.ID)
	if err != nil {
		return BegunStage{}, applicationError(err)
	}
	was := e.Stage(refID)
	if e, err = p.onto(e); err != nil {
		return BegunStage{}, err
	}
	var begun BegunStage
	stage, spec := e.Stage(refID), definition.Stage(refID)
	began := time.Time{}
	if was != nil && was.Status == delivery.StatusRunning && was.Attempt == stage.Attempt && !was.StartTime.Equal(stage.StartTime) {
		began = was.StartTime
		stage.StartTime = began
	}
	begins := at
	if !read.At.IsZero() {
		begins = read.At
	}
	env, unanswered, err := a.environment(ctx, e, refID, begins)
	if err != nil {
		return BegunStage{}, applicationError(err)
	}
	env.Read = func(url string) (string, error) { return recall(read.URLs, url) }
	name := expression.Name(*spec, env)
	if begun.Skipped = skipped(*spec, env); begun.Skipped == "" {
		begun, err = inputOf(stage, *spec, env)
	}
	if *unanswered != nil {
		return BegunStage{}, applicationError(*unanswered)
	}
	if err == nil && begun.Skipped == "" {
		begun.Begin, err = beginOf(stage.Context, definition, e, refID, begins, false)
	}
	if err != nil {
		begun = BegunStage{Failure: delivery.FailureOf("read the stage", err)}
	}
	begun.Began = began
	if name != stage.Name {
		begun.Name, stage.Name = name, name
	}
	if err := a.project(ctx, e, at, []happening{beginEvent(stage)}); err != nil {
		return BegunStage{}, applicationError(err)
	}
	return begun, nil
}

// beginEvent is the one event of a stage's attempt that an activity makes by itself.
func beginEvent(s *delivery.Stage) happening {
	h := stageEvent(s)
	h.key = h.about + "/begin"
	return h
}

// inputOf evaluates what a stage is to do into its context, and reads it. The context
// of a stage that fails by its expressions tells what was not evaluated.
func inputOf(stage *delivery.Stage, spec pipeline.StageSpec, env expression.Env) (BegunStage, error) {
	evaluated, err := stageKindOf(spec.Type).evaluated(spec, env)
	if err != nil {
		stage.Context = evaluated
		return BegunStage{}, err
	}
	if evaluated, err = pipeline.WithImages(spec.Type, evaluated, foundBefore(env.Outputs)); err != nil {
		return BegunStage{}, err
	}
	stage.Context = evaluated
	return readStage(spec.Type, evaluated)
}

// readStage reads what any stage can have and what its type has.
func readStage(stageType string, evaluated json.RawMessage) (BegunStage, error) {
	options, err := pipeline.ParseOptions(evaluated)
	if err != nil {
		return BegunStage{}, err
	}
	kind := stageKindOf(stageType)
	begun, err := kind.read(stageType, evaluated)
	switch {
	case begun.Webhook != nil: // it keeps its own time
	case options.Timeout > 0:
		begun.Timeout = options.Timeout
	default:
		begun.Timeout = kind.timeout
	}
	return begun, err
}

// RecordDeployment writes a deployment, and what happened, to the store. state
// is nil before the rollout has one.
func (a *Activities) RecordDeployment(ctx context.Context, d delivery.Deployment, state *rollout.State, at time.Time, happened []happening) error {
	if state != nil {
		detail, err := state.Detail()
		if err != nil {
			return fmt.Errorf("encode detail of deployment %s: %w", d.ID, err)
		}
		d.Detail = detail
	}
	list, err := events(d.Execution, string(d.ID), d.Version, at, happened)
	if err != nil {
		return err
	}
	stored, err := a.deps.Store.RecordDeployment(ctx, d, list)
	if stored {
		a.tell(ctx, list)
	}
	return applicationError(err)
}
