package api

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/saving"
)

// bindPipelineJob checks what a job on a pipeline says before the pipeline itself is
// looked at. The job needs the right to the pipeline's application.
func bindPipelineJob(job object, taskApplication string) (string, []delivery.Finding) {
	own := strings.ToLower(taskApplication)
	want, err := pipeline.ParseSavePipeline(job.raw())
	if err != nil {
		return own, delivery.FindingsOf(err)
	}
	if application := want.Application(); application != "" {
		own = application
	}
	return own, nil
}

// runPipelineSave creates or replaces a pipeline as POST /pipelines does.
func (s *Server) runPipelineSave(ctx context.Context, by delivery.Principal, j job) error {
	want, err := pipeline.ParseSavePipeline(j.document.raw())
	if err != nil {
		return err
	}
	order, err := saving.Decide(j.kind, want, by, s.now(), s.saveLookups(ctx))
	if err != nil {
		return err
	}
	if order.Replaces != "" {
		if err := s.authorize(by, write, resource{order.Replaces}); err != nil {
			return err
		}
	}
	_, err = s.store.SavePipeline(ctx, order.Pipeline, order.Expect)
	return saving.Refused(err)
}

// runPipelineDeletion deletes a pipeline by its name. One that is gone already is no error.
func (s *Server) runPipelineDeletion(ctx context.Context, _ delivery.Principal, j job) error {
	want, err := pipeline.ParseDeletePipeline(j.document.raw())
	if err != nil {
		return err
	}
	p, err := saving.Doomed(want, j.application, s.saveLookups(ctx))
	if err == nil {
		err = s.store.DeletePipeline(ctx, p.Application, p.Name, p.ID)
	}
	if delivery.KindOf(err) == delivery.NotFound {
		return nil
	}
	return err
}

// checkSaves refuses stages that are to save a pipeline which cannot be saved, or to
// change one that the caller may not change. What depends on earlier stages, and on what
// is stored by then, is checked when they run, but for the rights: the run asks for none.
func (s *Server) checkSaves(ctx context.Context, by delivery.Principal, application string, d pipeline.Definition, env expression.Env) ([]delivery.Finding, error) {
	var findings []delivery.Finding
	for i, stage := range d.Stages {
		if !pipeline.ChangesPipelines(stage.Type) {
			continue
		}
		evaluated, err := evaluateStage(stage, env)
		if err != nil {
			continue // it may be about what an earlier stage puts out
		}
		wrong, err := s.checkSave(ctx, by, application, stage.Type, evaluated)
		if err != nil {
			return nil, err
		}
		if stage.Condition == "" { // else it may be left out
			findings = append(findings, under(stagePointer(i), wrong)...)
		}
	}
	return findings, nil
}

// checkSave returns findings with pointers relative to the stage.
func (s *Server) checkSave(ctx context.Context, by delivery.Principal, application, kind string, evaluated json.RawMessage) ([]delivery.Finding, error) {
	if kind == pipeline.DeletePipelineType {
		want, err := pipeline.ParseDeletePipeline(evaluated)
		if err != nil {
			return delivery.FindingsOf(err), nil
		}
		return nil, s.authorize(by, write, resource{cmp.Or(want.Application, application)})
	}
	want, err := pipeline.ParseSavePipeline(evaluated)
	if err != nil || want.Document == nil {
		return delivery.FindingsOf(err), nil
	}
	look := s.saveLookups(ctx)
	p, findings, err := saving.Check(want.Document, look)
	if err != nil || len(findings) > 0 {
		return under("/pipeline", findings), err
	}
	if err := s.authorize(by, write, resource{p.Application}); err != nil {
		return nil, err
	}
	stored, err := look.Stored(p.ID)
	if delivery.KindOf(err) == delivery.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return nil, s.authorize(by, write, resource{stored.Application})
}
