package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/saving"
)

// plan returns the pipeline that a document stands for: itself, or what its template
// makes of it. The findings say why there is none; the error is for what could not be
// found out.
func (s *Server) plan(ctx context.Context, document json.RawMessage) (pipeline.Planned, []delivery.Finding, error) {
	return saving.Plan(document, s.saveLookups(ctx))
}

// planned is plan for who wants a document or an error.
func (s *Server) planned(ctx context.Context, document json.RawMessage) (json.RawMessage, error) {
	planned, findings, err := s.plan(ctx, document)
	if err == nil {
		err = delivery.InvalidError("pipeline is not valid", findings)
	}
	return planned.Document, err
}

// planTemplate answers with the pipeline that a templated one stands for.
func (s *Server) planTemplate(c *gin.Context) error {
	doc, err := bindDocument(c)
	if err != nil {
		return err
	}
	return s.renderPlanned(c, doc)
}

// startOrPlan starts a pipeline that is not saved or, with plan, plans a templated one:
// Deck's way of asking.
func (s *Server) startOrPlan(c *gin.Context) error {
	doc, err := bindObject(c, false)
	if err != nil {
		return err
	}
	plan, err := doc.flag("plan")
	if err != nil {
		return err
	}
	if !plan {
		return s.startUnsaved(c, doc)
	}
	if !pipeline.IsTemplated(doc.raw()) {
		return invalid("/plan", "is for a pipeline of type templatedPipeline; POST /pipelines/{application}/{name}/plan says what a saved one would do")
	}
	delete(doc, "plan")
	return s.renderPlanned(c, doc)
}

func (s *Server) renderPlanned(c *gin.Context, doc object) error {
	doc.set("type", pipeline.TemplatedType)
	planned, findings, err := s.plan(c.Request.Context(), doc.raw())
	if err != nil {
		return err
	}
	if len(findings) == 0 {
		findings = planned.Findings(delivery.FindingsOf(saving.CheckDefinition(planned.Document)))
	}
	if err := delivery.InvalidError("pipeline is not valid", findings); err != nil {
		return err
	}
	return render(c, http.StatusOK, planned.Document)
}

// convertToTemplate answers with a template that stands for a saved pipeline.
func (s *Server) convertToTemplate(c *gin.Context) error {
	p, err := s.store.PipelineByID(c.Request.Context(), param(c, "id"))
	if err != nil {
		return missing(err, "Pipeline config", param(c, "id"))
	}
	if err := s.authorize(principalOf(c), read, resource{p.Application}); err != nil {
		return err
	}
	template, err := pipeline.ToTemplate(p)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, template)
}
