package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// checkChildren refuses stages that start a pipeline that is not there, that cannot be
// started, or that misses a parameter.
func (s *Server) checkChildren(ctx context.Context, by delivery.Principal, application string, d pipeline.Definition, env expression.Env) ([]delivery.Finding, error) {
	var findings []delivery.Finding
	for i, stage := range d.Stages {
		if stage.Type != pipeline.ChildType {
			continue
		}
		evaluated, err := expression.Evaluate(stage.Context(), env)
		if err != nil {
			continue // it may be about what an earlier stage puts out
		}
		child, err := pipeline.ParseChild(evaluated)
		findings = append(findings, under(stagePointer(i), delivery.FindingsOf(err))...)
		if err != nil {
			continue
		}
		wrong, err := s.checkChild(ctx, by, application, child)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(d.Before(stage.RefID), func(s pipeline.StageSpec) bool { return pipeline.ChangesPipelines(s.Type) }) {
			findings = append(findings, under(stagePointer(i), wrong)...) // else the other pipeline may be another one by then
		}
	}
	return findings, nil
}

// checkChild returns findings with pointers relative to the stage.
func (s *Server) checkChild(ctx context.Context, by delivery.Principal, application string, child pipeline.ChildPipeline) ([]delivery.Finding, error) {
	in := cmp.Or(child.Application, application)
	p, err := s.store.Pipeline(ctx, in, child.Pipeline)
	if delivery.KindOf(err) == delivery.NotFound && child.Application == "" {
		p, err = s.store.PipelineByID(ctx, child.Pipeline)
	}
	switch {
	case delivery.KindOf(err) == delivery.NotFound:
		return []delivery.Finding{{Pointer: "/pipeline", Message: fmt.Sprintf("no pipeline of application %s has the id or the name %q", in, child.Pipeline)}}, nil
	case err != nil:
		return nil, err
	}
	if err := s.authorize(by, execute, resource{p.Application}); err != nil {
		return nil, err
	}
	if p.Disabled {
		return []delivery.Finding{{Pointer: "/pipeline", Message: fmt.Sprintf("pipeline %s of application %s is disabled", p.Name, p.Application)}}, nil
	}
	return s.checkStartable(ctx, p, child.Parameters, "/pipeline")
}

// checkStartable tells why a pipeline that another one names in a field cannot be
// started with its parameters.
func (s *Server) checkStartable(ctx context.Context, p delivery.Pipeline, parameters json.RawMessage, field string) ([]delivery.Finding, error) {
	document, err := s.planned(ctx, p.Document)
	if err == nil {
		p.Document = document
	} else if delivery.KindOf(err) != delivery.Invalid {
		return nil, err
	}
	definition, err := pipeline.Parse(p.Document)
	if err != nil {
		return []delivery.Finding{{Pointer: field, Message: fmt.Sprintf("pipeline %s of application %s is not valid: %s", p.Name, p.Application, messageOf(err))}}, nil
	}
	_, err = definition.ResolveParameters(parameters)
	return under("/pipelineParameters", delivery.FindingsOf(err)), nil
}

// withChildren puts the id and the name of the execution that a stage has started into
// the stage's context, where its outputs do not have them: while it waits for the other
// one, and when it was stopped. The id is derived, so that only what is there is shown.
func (s *Server) withChildren(ctx context.Context, e delivery.Execution) (delivery.Execution, error) {
	own := false
	for i, stage := range e.Stages {
		if stage.Type != pipeline.ChildType || stage.StartTime.IsZero() {
			continue
		}
		if _, told := objectOf(stage.Outputs)["executionId"]; told {
			continue
		}
		child, err := s.store.Execution(ctx, pipeline.ChildID(e.ID, stage))
		if delivery.KindOf(err) == delivery.NotFound {
			continue
		}
		if err != nil {
			return e, err
		}
		if !own {
			e.Stages, own = slices.Clone(e.Stages), true
		}
		context := objectOf(stage.Context)
		context.set("executionId", child.ID)
		context.set("executionName", child.Name)
		e.Stages[i].Context = context.raw()
	}
	return e, nil
}
