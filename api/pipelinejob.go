package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// documentOf reads the pipeline of a job: its JSON in base64, as Spinnaker sends it,
// or as an object.
func documentOf(job object) (object, []delivery.Finding) {
	raw := json.RawMessage(job["pipeline"])
	var text string
	if json.Unmarshal(raw, &text) == nil {
		decoded, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, []delivery.Finding{{Pointer: "/pipeline", Message: "must be the JSON of a pipeline in base64, or an object"}}
		}
		raw = decoded
	}
	var document object
	if json.Unmarshal(raw, &document) != nil || document == nil {
		return nil, []delivery.Finding{{Pointer: "/pipeline", Message: "must be the JSON of a pipeline in base64, or an object"}}
	}
	return document, nil
}

// bindPipelineJob checks what a job on a pipeline says before the pipeline itself is
// looked at. The job needs the right to the pipeline's application.
func bindPipelineJob(job object, taskApplication string) (string, []delivery.Finding) {
	own := strings.ToLower(taskApplication)
	document, findings := documentOf(job)
	if len(findings) > 0 {
		return own, findings
	}
	for _, key := range [...]string{"id", "name", "application"} {
		_, err := document.text(key)
		findings = append(findings, under("/pipeline", delivery.FindingsOf(err))...)
	}
	if _, err := job.flag("staleCheck"); err != nil {
		findings = append(findings, delivery.FindingsOf(err)...)
	}
	if application, _ := document.text("application"); application != "" {
		own = strings.ToLower(application)
	}
	return own, findings
}

// runPipelineSave creates or replaces a pipeline as POST /pipelines does.
func (s *Server) runPipelineSave(ctx context.Context, by delivery.Principal, j job) error {
	document, wrong := documentOf(j.document)
	if err := delivery.InvalidError("pipeline is not valid", wrong); err != nil {
		return err
	}
	p, findings, err := s.checkPipeline(ctx, document)
	if err != nil {
		return err
	}
	if err := delivery.InvalidError("pipeline is not valid", under("/pipeline", findings)); err != nil {
		return err
	}
	var expect delivery.PipelineExpectation
	stored, err := s.store.PipelineByID(ctx, p.ID)
	switch known := delivery.KindOf(err) != delivery.NotFound; {
	case known && err != nil:
		return err
	case !known && j.kind == updatePipelineJob:
		return delivery.Errorf(delivery.NotFound, "no pipeline has the id %q", p.ID)
	case known:
		if err := s.authorize(by, write, resource{stored.Application}); err != nil {
			return err
		}
		if stale, _ := j.document.flag("staleCheck"); stale {
			expect.UpdatedAt = updatedAtOf(p.Document)
		}
	}
	p.UpdatedAt, p.LastModifiedBy = s.now(), by.Name
	_, err = s.store.SavePipeline(ctx, p, expect)
	if delivery.KindOf(err) == delivery.Conflict {
		return delivery.Errorf(delivery.Conflict, "The submitted pipeline is stale")
	}
	return err
}

// runPipelineDeletion deletes a pipeline by its name. One that is gone already is no error.
func (s *Server) runPipelineDeletion(ctx context.Context, _ delivery.Principal, j job) error {
	document, wrong := documentOf(j.document)
	name, _ := document.text("name")
	if name == "" && len(wrong) == 0 {
		wrong = []delivery.Finding{{Pointer: "/pipeline/name", Message: "is required: which pipeline"}}
	}
	if err := delivery.InvalidError("pipeline is not valid", wrong); err != nil {
		return err
	}
	if err := s.store.DeletePipeline(ctx, j.application, name); err != nil && delivery.KindOf(err) != delivery.NotFound {
		return err
	}
	return nil
}
