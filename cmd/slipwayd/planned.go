package main

import (
	"context"
	"log/slog"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/store"
)

// plannedStore gives the workflows pipelines as they run: one that is made from a
// template comes as its template makes it now. The stored document stays.
type plannedStore struct {
	*store.Store
	log *slog.Logger
}

// PipelineByID returns the pipeline with that id; NotFound when there is none.
func (s plannedStore) PipelineByID(ctx context.Context, id string) (delivery.Pipeline, error) {
	p, err := s.Store.PipelineByID(ctx, id)
	if err != nil {
		return p, err
	}
	return s.planned(ctx, p)
}

// TriggeredPipelines returns the pipelines with a trigger of that type and source.
func (s plannedStore) TriggeredPipelines(ctx context.Context, kind, source, after string, limit int) ([]delivery.Pipeline, error) {
	found, err := s.Store.TriggeredPipelines(ctx, kind, source, after, limit)
	for i := range found {
		if found[i], err = s.planned(ctx, found[i]); err != nil {
			return nil, err
		}
	}
	return found, err
}

// planned leaves a pipeline as it is when its template is gone or no longer fits: what
// starts it records a failed start then.
func (s plannedStore) planned(ctx context.Context, p delivery.Pipeline) (delivery.Pipeline, error) {
	if !pipeline.IsTemplated(p.Document) {
		return p, nil
	}
	planned, err := s.plan(ctx, p)
	switch delivery.KindOf(err) {
	case delivery.Invalid, delivery.NotFound:
		s.log.WarnContext(ctx, "A pipeline cannot be made from its template", "pipeline", p.Name, "application", p.Application, "error", err.Error())
		return p, nil
	default:
		if err != nil {
			return p, err
		}
	}
	p.Document = planned.Document
	return p, nil
}

func (s plannedStore) plan(ctx context.Context, p delivery.Pipeline) (pipeline.Planned, error) {
	key, err := pipeline.TemplateOf(p.Document)
	if err != nil {
		return pipeline.Planned{}, err
	}
	template, err := s.Document(ctx, delivery.TemplateDocument, key.String())
	if err != nil {
		return pipeline.Planned{}, err
	}
	return pipeline.PlanTemplate(p.Document, template.Content)
}
