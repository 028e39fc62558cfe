package workflows

import (
	"context"
	"encoding/json"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// stageKind is how stages of one type are carried out. A kind has run or do: run
// waits in the workflow, for deployments, timers or people; do is one activity.
type stageKind struct {
	// evaluate evaluates the expressions of a stage; nil evaluates all of them at once,
	// and each has to have a value.
	evaluate func(stage json.RawMessage, env expression.Env) (json.RawMessage, error)
	// read checks the evaluated stage, when it begins, and says what run is to do.
	read func(stageType string, evaluated json.RawMessage) (BegunStage, error)
	run  func(x *execution, ctx workflow.Context, refID string, begun BegunStage) stageResult
	// do does what the stage is there for and returns its outputs, nil for none. It
	// may be called again after it had its effect, so the same call must not have a
	// second one. notYet makes it a poll: it is called again after a pause. An error
	// may come with outputs.
	do func(a *Activities, ctx context.Context, s StageToDo) (outputs any, err error)
	// timeout is the stage's limit where it has none of its own; zero for no limit.
	timeout time.Duration
	// within is how long do may take, with all repetitions; an hour when zero.
	within time.Duration
	// stop ends what do has begun elsewhere, such as another execution; nil when there is
	// nothing. It is called after a do that was canceled or ran out of time, and that may
	// have had its effect or not, until it returns no retryable error. It may be called
	// again after it had its effect.
	stop func(a *Activities, ctx context.Context, s StageToDo) error
}

// StageToDo is a stage for an activity, with the execution that it belongs to.
type StageToDo struct {
	Execution delivery.Execution
	// Definition is the pipeline that the execution runs.
	Definition pipeline.Definition
	// Stage has the evaluated context.
	Stage delivery.Stage
}

// Key tells one attempt of the stage from every other, as delivery.Stage.Key does.
func (s StageToDo) Key() string { return s.Stage.Key(s.Execution.ID) }

// stageKindOf returns the kind of a stage type. Each is in the file of its noun. An
// unknown type is refused when the stage begins. It only names functions: the workflow
// calls run, activities the others.
//
//workflowcheck:ignore
func stageKindOf(stageType string) stageKind {
	switch {
	case stageType == pipeline.WaitType:
		return waitKind()
	case stageType == pipeline.EvaluateArtifactsType:
		return evaluateArtifactsKind()
	case stageType == pipeline.FindArtifactType:
		return findArtifactKind()
	case stageType == pipeline.ChildType:
		return childKind()
	case stageType == pipeline.MonitorType:
		return monitorKind()
	case stageType == pipeline.SavePipelineType, stageType == pipeline.UpdatePipelineType:
		return savePipelineKind()
	case stageType == pipeline.DeletePipelineType:
		return deletePipelineKind()
	case stageType == pipeline.NoopType:
		return noopKind()
	case stageType == pipeline.PreconditionsType:
		return preconditionsKind()
	case stageType == pipeline.EvaluateVariablesType:
		return evaluateVariablesKind()
	case stageType == pipeline.WaitUntilType:
		return waitUntilKind()
	case stageType == pipeline.ManualJudgmentType:
		return manualJudgmentKind()
	case stageType == pipeline.WebhookStageType:
		return webhookKind()
	case pipeline.Deploys(stageType):
		return deployKind()
	case pipeline.Finds(stageType):
		return findKind()
	case pipeline.Operates(stageType):
		return operateKind()
	case pipeline.RollsBack(stageType):
		return rollbackKind()
	default:
		return unknownKind()
	}
}

func unknownKind() stageKind {
	return stageKind{read: func(stageType string, _ json.RawMessage) (BegunStage, error) {
		return BegunStage{}, delivery.Errorf(delivery.Invalid, "stage type %q cannot be carried out", stageType)
	}}
}

// StageOutputs are what a stage puts out.
type StageOutputs struct {
	RefID string
	Value any
}
