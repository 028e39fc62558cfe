package api

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/saving"
)

// dependents returns the pipelines that are made from a version that is meant.
func (s *Server) dependents(ctx context.Context, meant func(pipeline.TemplateKey) bool) ([]delivery.Pipeline, error) {
	all, err := s.store.Pipelines(ctx, "")
	if err != nil {
		return nil, err
	}
	var out []delivery.Pipeline
	for _, p := range all {
		if !pipeline.IsTemplated(p.Document) {
			continue
		}
		if key, err := pipeline.TemplateOf(p.Document); err == nil && meant(key) {
			out = append(out, p)
		}
	}
	return out, nil
}

// planDependents refuses a version with which a pipeline that is made from it, or from
// the latest one, would not be right any more.
func (s *Server) planDependents(ctx context.Context, key pipeline.TemplateKey, template json.RawMessage) error {
	found, err := s.dependents(ctx, affected(key))
	if err != nil {
		return err
	}
	var findings []delivery.Finding
	for _, p := range found {
		planned, err := pipeline.PlanTemplate(p.Document, template)
		if err == nil {
			err = saving.CheckDefinition(planned.Document)
		}
		for _, f := range delivery.FindingsOf(err) {
			findings = append(findings, delivery.Finding{Message: fmt.Sprintf("pipeline %s of %s would not be valid: %s: %s", p.Name, p.Application, f.Pointer, f.Message)})
		}
	}
	return delivery.InvalidError("pipelines depend on the template", findings)
}

// renewTriggers gives the pipelines that are made from a version the triggers that it
// has now. A repeated save of the version does what is left.
func (s *Server) renewTriggers(ctx context.Context, by delivery.Principal, key pipeline.TemplateKey, template json.RawMessage) error {
	found, err := s.dependents(ctx, affected(key))
	if err != nil {
		return err
	}
	for _, p := range found {
		planned, err := pipeline.PlanTemplate(p.Document, template)
		if err != nil {
			continue // a start says what is wrong
		}
		document := planned.WithTriggers(p.Document)
		if string(objectOf(document)["triggers"]) == string(objectOf(p.Document)["triggers"]) {
			continue
		}
		expect := delivery.PipelineExpectation{Revision: p.Revision}
		p.Document, p.UpdatedAt, p.LastModifiedBy = document, s.now(), by.Name
		if _, err := s.store.SavePipeline(ctx, p, expect); err != nil {
			return fmt.Errorf("renew the triggers of pipeline %s of %s: %w", p.Name, p.Application, err)
		}
	}
	return nil
}

// affected tells the references that lead to what is saved under a key, which is the
// latest version as well.
func affected(key pipeline.TemplateKey) func(pipeline.TemplateKey) bool {
	return func(k pipeline.TemplateKey) bool {
		return k == key || k.ID == key.ID && k.Tag == pipeline.LatestTag
	}
}
