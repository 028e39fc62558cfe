package api

import (
	"context"
	"fmt"
	"slices"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// gate is a pipeline that a strategy runs, and its place in the pipeline.
type gate struct {
	rollout.PipelineRef
	pointer string
}

// gatesOf are the pipelines that a strategy at that place runs.
func gatesOf(st rollout.Strategy, pointer string) []gate {
	var out []gate
	if ref := st.PipelineBeforeCleanup; ref != nil {
		out = append(out, gate{*ref, pointer + "/pipelineBeforeCleanup"})
	}
	for i, step := range st.Canary {
		if step.Gate != nil && step.Gate.Pipeline != nil {
			out = append(out, gate{*step.Gate.Pipeline, fmt.Sprintf("%s/steps/%d/gate/pipeline", pointer, i)})
		}
	}
	return out
}

// checkGates refuses strategies that run a pipeline that is not there or cannot be
// started: that would show when traffic has moved.
func (s *Server) checkGates(ctx context.Context, by delivery.Principal, d pipeline.Definition, env expression.Env) ([]delivery.Finding, error) {
	var findings []delivery.Finding
	for i, stage := range d.Stages {
		if slices.ContainsFunc(d.Before(stage.RefID), func(s pipeline.StageSpec) bool { return pipeline.ChangesPipelines(s.Type) }) {
			continue // the pipeline may be another one by then
		}
		for _, g := range gatesOfStage(stage, env) {
			wrong, err := s.checkGate(ctx, by, g.PipelineRef)
			if err != nil {
				return nil, err
			}
			findings = append(findings, under(stagePointer(i)+g.pointer, wrong)...)
		}
	}
	return findings, nil
}

// gatesOfStage are the pipelines that the strategies of a stage run, with pointers
// relative to the stage. What an earlier stage puts out may say them: then they are
// left to the run.
func gatesOfStage(stage pipeline.StageSpec, env expression.Env) []gate {
	if !pipeline.Deploys(stage.Type) && stage.Type != pipeline.PromoteType {
		return nil
	}
	evaluated, err := evaluateStage(stage, env)
	if err != nil {
		return nil
	}
	var out []gate
	if stage.Type == pipeline.PromoteType {
		operate, err := pipeline.ParseOperate(stage.Type, evaluated)
		if err == nil && len(operate.Clusters) > 0 {
			out = gatesOf(operate.Clusters[0].Strategy, "") // that of all its regions
		}
		return out
	}
	deploy, err := pipeline.ParseIntended(stage.Type, evaluated)
	if err != nil {
		return nil // which is told already
	}
	for i, one := range deploy.Clusters {
		if i == 0 || one.Pointer != deploy.Clusters[i-1].Pointer {
			out = append(out, gatesOf(one.Strategy, one.Pointer)...)
		}
	}
	return out
}

// checkGate returns findings with pointers relative to the gate's pipeline.
func (s *Server) checkGate(ctx context.Context, by delivery.Principal, ref rollout.PipelineRef) ([]delivery.Finding, error) {
	p, err := s.store.PipelineByID(ctx, ref.PipelineID)
	if delivery.KindOf(err) == delivery.NotFound {
		message := fmt.Sprintf("no pipeline has the id %q", ref.PipelineID)
		if named, err := s.store.Pipeline(ctx, ref.Application, ref.PipelineID); err == nil {
			message = fmt.Sprintf("%q is the name of a pipeline of application %s; give its id, %s", named.Name, named.Application, named.ID)
		}
		return []delivery.Finding{{Pointer: "/pipelineId", Message: message}}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := s.authorize(by, execute, resource{p.Application}); err != nil {
		return nil, err
	}
	return s.checkStartable(ctx, p, ref.Parameters, "/pipelineId")
}
