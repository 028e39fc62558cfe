package workflows

import (
	"cmp"
	"context"
	"encoding/json"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/saving"
)

// pipelineRecords is what the stages that change saved pipelines need of the store.
type pipelineRecords interface {
	Document(ctx context.Context, kind delivery.DocumentKind, id string) (delivery.Document, error)
	// SavePipeline makes a save with a key once, and returns it when it is repeated.
	SavePipeline(ctx context.Context, p delivery.Pipeline, expect delivery.PipelineExpectation) (delivery.Pipeline, error)
	PipelineOfSave(ctx context.Context, key string) (delivery.Pipeline, error)
	DeletePipeline(ctx context.Context, application, name, id string) error
}

// savePipelineKind is the stage that saves a pipeline, with the checks of every save.
func savePipelineKind() stageKind {
	return stageKind{
		read: func(_ string, evaluated json.RawMessage) (BegunStage, error) {
			_, err := pipeline.ParseSavePipeline(evaluated)
			return BegunStage{}, err
		},
		do: (*Activities).savePipeline,
	}
}

// savePipeline saves as the user of the execution. A repeat finds the save that was
// made, whoever has changed or deleted the pipeline since.
func (a *Activities) savePipeline(ctx context.Context, s StageToDo) (any, error) {
	saved, err := a.deps.Store.PipelineOfSave(ctx, s.Key())
	if delivery.KindOf(err) == delivery.NotFound {
		saved, err = a.saveOnce(ctx, s)
	}
	if err != nil {
		return nil, err
	}
	return pipeline.OutputsOf(s.Stage.Type, saved), nil
}

func (a *Activities) saveOnce(ctx context.Context, s StageToDo) (delivery.Pipeline, error) {
	want, err := pipeline.ParseSavePipeline(s.Stage.Context)
	if err != nil {
		return delivery.Pipeline{}, err
	}
	order, err := saving.Decide(s.Stage.Type, want, delivery.Principal{Name: s.Execution.Trigger.User}, a.deps.Now(), a.saveLookups(ctx))
	if err != nil {
		return delivery.Pipeline{}, err
	}
	order.Expect.Key = s.Key()
	saved, err := a.deps.Store.SavePipeline(ctx, order.Pipeline, order.Expect)
	return saved, saving.Refused(err)
}

// saveLookups find what the check of a save has to know.
func (a *Activities) saveLookups(ctx context.Context) saving.Lookups {
	return saving.LookupsIn(ctx, a.deps.Store, a.deps.Targets, newID)
}

// deletePipelineKind is the stage that deletes a pipeline.
func deletePipelineKind() stageKind {
	return stageKind{
		read: func(_ string, evaluated json.RawMessage) (BegunStage, error) {
			_, err := pipeline.ParseDeletePipeline(evaluated)
			return BegunStage{}, err
		},
		do: (*Activities).deletePipeline,
	}
}

// deletePipeline deletes what is there; a pipeline that is gone already is no error.
func (a *Activities) deletePipeline(ctx context.Context, s StageToDo) (any, error) {
	want, err := pipeline.ParseDeletePipeline(s.Stage.Context)
	if err != nil {
		return nil, err
	}
	application := cmp.Or(want.Application, s.Execution.Application)
	p, err := saving.Doomed(want, application, a.saveLookups(ctx))
	if err == nil {
		err = a.deps.Store.DeletePipeline(ctx, p.Application, p.Name, p.ID)
	}
	if delivery.KindOf(err) == delivery.NotFound {
		p, err = delivery.Pipeline{Application: application, Name: want.Name}, nil
	}
	if err != nil {
		return nil, err
	}
	return pipeline.OutputsOf(s.Stage.Type, p), nil
}
