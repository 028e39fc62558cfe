package api

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// plan returns the pipeline that a document stands for: itself, or what its template
// makes of it. The findings say why there is none; the error is for what could not be
// found out.
func (s *Server) plan(ctx context.Context, document json.RawMessage) (pipeline.Planned, []delivery.Finding, error) {
	if !pipeline.IsTemplated(document) {
		return pipeline.Planned{Document: document}, nil, nil
	}
	key, err := pipeline.TemplateOf(document)
	if err != nil {
		return pipeline.Planned{}, delivery.FindingsOf(err), nil
	}
	template, err := s.store.Document(ctx, delivery.TemplateDocument, key.String())
	switch {
	case delivery.KindOf(err) == delivery.NotFound:
		return pipeline.Planned{}, []delivery.Finding{{Pointer: "/template/reference", Message: fmt.Sprintf("there is no template %s", key)}}, nil
	case err != nil:
		return pipeline.Planned{}, nil, err
	}
	planned, err := pipeline.PlanTemplate(document, template.Content)
	return planned, delivery.FindingsOf(err), nil
}

// planned is plan for who wants a document or an error.
func (s *Server) planned(ctx context.Context, document json.RawMessage) (json.RawMessage, error) {
	planned, findings, err := s.plan(ctx, document)
	if err == nil {
		err = delivery.InvalidError("pipeline is not valid", findings)
	}
	return planned.Document, err
}
