package api

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// environmentBefore is what expressions can read before any stage has run.
func (s *Server) environmentBefore(ctx context.Context, by delivery.Principal, e delivery.Execution) expression.Env {
	env := expression.EnvBefore(e)
	env.Lookups = s.lookups(ctx, by)
	return env
}

// environmentOf is what expressions can read in a stage of an execution as it is now,
// or in none. The stage's own fields are in it.
func (s *Server) environmentOf(ctx context.Context, by delivery.Principal, e delivery.Execution, refID string) (expression.Env, error) {
	parents, err := s.parents(ctx, by, e)
	if err != nil {
		return expression.Env{}, err
	}
	env := expression.EnvOf(shown(e), parents, refID, s.now())
	env.Lookups = s.lookups(ctx, by)
	if stage := e.Stage(refID); stage != nil {
		env.Stage = pipeline.WithoutCredentials(stage.Type, stage.Context)
	}
	return env, nil
}

// shown is an execution as far as people may see it: without credentials.
func shown(e delivery.Execution) delivery.Execution {
	e.Stages = slices.Clone(e.Stages)
	for i, stage := range e.Stages {
		e.Stages[i].Context = pipeline.WithoutCredentials(stage.Type, stage.Context)
	}
	return e
}

// parents are the executions that started one another before this one, the nearest
// first, up to one that is gone or that the caller may not read.
func (s *Server) parents(ctx context.Context, by delivery.Principal, e delivery.Execution) ([]delivery.Execution, error) {
	var out []delivery.Execution
	for t := e.Trigger; expression.ParentOf(t) != "" && t.Depth <= pipeline.MaxChain; {
		parent, err := s.store.Execution(ctx, expression.ParentOf(t))
		if delivery.KindOf(err) == delivery.NotFound || err == nil && s.authorize(by, read, resource{parent.Application}) != nil {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read parent execution %s: %w", expression.ParentOf(t), err)
		}
		out = append(out, shown(parent))
		if parent.Trigger.Depth >= t.Depth {
			break // the record is wrong, and could lead in a circle
		}
		t = parent.Trigger
	}
	return out, nil
}

// lookups find what somebody may read.
func (s *Server) lookups(ctx context.Context, by delivery.Principal) expression.Lookups {
	return expression.Lookups{
		PipelineID: func(application, name string) (string, error) {
			if err := s.authorize(by, read, resource{application}); err != nil {
				return "", err
			}
			p, err := s.store.Pipeline(ctx, application, name)
			return p.ID, err
		},
		Application: func(name string) (json.RawMessage, error) {
			if err := s.authorize(by, read, resource{name}); err != nil {
				return nil, err
			}
			found, err := s.store.Application(ctx, name)
			return found.Attributes, err
		},
	}
}

// checkEvaluations refuses the start of a pipeline that is to fail for an expression
// of a stage: one about a parameter that nobody gave, say. A stage that may be left
// out, whose failure does not end the pipeline, or that evaluates its expressions
// itself, is not looked at.
func checkEvaluations(d pipeline.Definition, env expression.Env) []delivery.Finding {
	var out []delivery.Finding
	for i, stage := range d.Stages {
		if condition, err := objectOf(objectOf(stage.Raw)["stageEnabled"]).text("expression"); err != nil || condition != "" || stage.OnFailure != pipeline.HaltPipeline {
			continue
		}
		env.Partial = len(stage.Requisites) > 0
		if stage.Type == pipeline.EvaluateVariablesType || stage.Type == pipeline.PreconditionsType {
			continue // their expressions see one another, and are evaluated by the stage
		}
		out = append(out, under(stagePointer(i), expression.Hopeless(stage, env))...)
	}
	return out
}

// evaluateStage evaluates a stage as it will be when it begins, as far as that is
// known now.
func evaluateStage(stage pipeline.StageSpec, env expression.Env) (json.RawMessage, error) {
	env.Partial = len(stage.Requisites) > 0
	return expression.Stage(stage, env)
}
