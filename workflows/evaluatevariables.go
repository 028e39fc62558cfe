package workflows

import (
	"context"
	"encoding/json"

	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// evaluateVariablesKind is the stage whose expressions are its work: they are
// evaluated when it begins, and it puts out what they yielded.
func evaluateVariablesKind() stageKind {
	return stageKind{
		evaluate: expression.VariablesStage,
		read: func(_ string, evaluated json.RawMessage) (BegunStage, error) {
			_, err := pipeline.ParseVariables(evaluated)
			return BegunStage{}, err
		},
		do: func(_ *Activities, _ context.Context, s StageToDo) (any, error) {
			return pipeline.ParseVariables(s.Stage.Context)
		},
	}
}

// evaluated returns the context of a stage with its expressions evaluated, in either
// case.
func (k stageKind) evaluated(spec pipeline.StageSpec, env expression.Env) (json.RawMessage, error) {
	if k.evaluate == nil {
		return expression.Stage(spec, env)
	}
	env.Stage, env.RefID = spec.Context(), spec.RefID
	context, err := k.evaluate(env.Stage, env)
	if err != nil {
		return env.Stage, err
	}
	return context, nil
}
