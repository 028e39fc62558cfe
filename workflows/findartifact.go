package workflows

import (
	"context"
	"encoding/json"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// evaluateArtifactsKind is the stage that makes artifacts of texts.
func evaluateArtifactsKind() stageKind {
	return stageKind{
		read: func(_ string, evaluated json.RawMessage) (BegunStage, error) {
			_, err := pipeline.ParseContents(evaluated)
			return BegunStage{}, err
		},
		do: func(_ *Activities, _ context.Context, s StageToDo) (any, error) {
			return pipeline.ParseContents(s.Stage.Context)
		},
	}
}

// findArtifactKind is the stage that takes artifacts of another pipeline's execution.
func findArtifactKind() stageKind {
	return stageKind{
		read: func(_ string, evaluated json.RawMessage) (BegunStage, error) {
			_, err := pipeline.ParseFindArtifact(evaluated)
			return BegunStage{}, err
		},
		do: (*Activities).findArtifact,
	}
}

// findArtifact looks at the newest execution that has one of the statuses.
func (a *Activities) findArtifact(ctx context.Context, s StageToDo) (any, error) {
	want, err := pipeline.ParseFindArtifact(s.Stage.Context)
	if err != nil {
		return nil, err
	}
	p, err := a.savedPipeline(ctx, s.Execution, want.Application, want.Pipeline)
	if err != nil {
		return nil, err
	}
	found, err := a.deps.Store.Executions(ctx, delivery.ExecutionFilter{PipelineConfigIDs: []string{p.ID}, Statuses: want.Statuses, Limit: 2})
	if err != nil {
		return nil, err
	}
	for _, e := range found {
		if e.ID == s.Execution.ID { // what this execution makes is not what it looks for
			continue
		}
		taken, err := want.Among(e)
		if err != nil {
			return nil, err
		}
		return taken, nil
	}
	return nil, delivery.Errorf(delivery.NotFound, "no execution of pipeline %s of application %s to take artifacts from", p.Name, p.Application)
}
