package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// savePipeline creates a pipeline, or replaces the one whose id the body has.
func (s *Server) savePipeline(c *gin.Context) error {
	q := queryOf(c)
	staleCheck := q.flag("staleCheck", false)
	if err := q.err(); err != nil {
		return err
	}
	doc, err := bindDocument(c)
	if err != nil {
		return err
	}
	if _, err := s.putPipeline(c, doc, staleCheck); err != nil {
		return err
	}
	return renderVoid(c)
}

// replacePipeline replaces the pipeline of the path's id and answers with it.
func (s *Server) replacePipeline(c *gin.Context) error {
	doc, err := bindDocument(c)
	if err != nil {
		return err
	}
	id := param(c, "id")
	if own, err := doc.text("id"); err == nil && own != "" && own != id {
		return invalid("/id", fmt.Sprintf("is %q, but the path says %q", own, id))
	}
	if _, err := s.store.PipelineByID(c.Request.Context(), id); err != nil {
		return missing(err, "Pipeline config", id)
	}
	doc.set("id", id)
	saved, err := s.putPipeline(c, doc, false)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, presentPipeline(saved))
}

// putPipeline checks and stores a pipeline. The caller needs the right to write to its
// application and, when it replaces one of another application, to that one.
func (s *Server) putPipeline(c *gin.Context, doc object, staleCheck bool) (delivery.Pipeline, error) {
	ctx := c.Request.Context()
	p, findings, err := s.checkPipeline(ctx, doc)
	if err != nil {
		return p, err
	}
	if err := s.authorize(principalOf(c), write, resource{p.Application}); err != nil {
		return p, err
	}
	if err := delivery.InvalidError("pipeline is not valid", findings); err != nil {
		return p, err
	}
	expect, err := s.expectationOf(c, p, staleCheck)
	if err != nil {
		return p, err
	}
	return s.storePipeline(c, p, expect)
}

// storePipeline saves a pipeline that was checked. What the caller of the request
// believed is stored stands in expect.
func (s *Server) storePipeline(c *gin.Context, p delivery.Pipeline, expect delivery.PipelineExpectation) (delivery.Pipeline, error) {
	p.UpdatedAt, p.LastModifiedBy = s.now(), principalOf(c).Name
	saved, err := s.store.SavePipeline(c.Request.Context(), p, expect)
	switch {
	case delivery.KindOf(err) == delivery.Conflict && expect.UpdatedAt.IsZero():
		return p, changedMeanwhile("pipeline")
	case delivery.KindOf(err) == delivery.Conflict:
		return p, &failure{status: http.StatusBadRequest, code: "stale", title: "The pipeline was changed by somebody else",
			message: "The submitted pipeline is stale", hint: "read the pipeline again, apply the change to what is stored now, and save"}
	case err == nil:
		setETag(c, saved.Revision)
	}
	return saved, err
}

// expectationOf returns what the request believes is stored, by If-Match or by the
// document's updateTs when that is to be checked.
func (s *Server) expectationOf(c *gin.Context, p delivery.Pipeline, staleCheck bool) (delivery.PipelineExpectation, error) {
	var expect delivery.PipelineExpectation
	var stored delivery.Pipeline
	if p.ID != "" {
		var err error
		stored, err = s.store.PipelineByID(c.Request.Context(), p.ID)
		if err != nil && delivery.KindOf(err) != delivery.NotFound {
			return expect, err
		}
	}
	if stored.Revision > 0 {
		if err := s.authorize(principalOf(c), write, resource{stored.Application}); err != nil {
			return expect, err
		}
		if staleCheck {
			expect.UpdatedAt = pipeline.UpdatedAt(p.Document)
		}
	}
	revision, err := matched(c, stored.Revision, "pipeline")
	expect.Revision = revision
	return expect, err
}

// deletePipeline answers 200 also when there was no such pipeline, as Gate does.
func (s *Server) deletePipeline(c *gin.Context) error {
	err := s.store.DeletePipeline(c.Request.Context(), param(c, "app"), param(c, "pipeline"), "")
	if err != nil && delivery.KindOf(err) != delivery.NotFound {
		return err
	}
	return renderVoid(c)
}

func (s *Server) getPipeline(c *gin.Context) error {
	p, err := s.pipeline(c.Request.Context(), param(c, "app"), param(c, "pipeline"))
	if err != nil {
		return err
	}
	setETag(c, p.Revision)
	return render(c, http.StatusOK, presentPipeline(p))
}

func (s *Server) pipeline(ctx context.Context, application, nameOrID string) (delivery.Pipeline, error) {
	p, err := s.store.Pipeline(ctx, application, nameOrID)
	return p, missing(err, "Pipeline config", nameOrID)
}

func (s *Server) listPipelines(c *gin.Context) error {
	return s.renderPipelines(c, "")
}

func (s *Server) listApplicationPipelines(c *gin.Context) error {
	return s.renderPipelines(c, param(c, "app"))
}

func (s *Server) renderPipelines(c *gin.Context, application string) error {
	q := queryOf(c)
	filter, limit := strings.ToLower(q.text("pipelineNameFilter")), q.number("pipelineLimit", 0, 1<<20)
	if err := q.err(); err != nil {
		return err
	}
	found, err := s.pipelinesInPlace(c.Request.Context(), application)
	if err != nil {
		return err
	}
	out := []object{}
	for _, p := range found {
		if limit > 0 && len(out) == limit {
			break
		}
		if strings.Contains(strings.ToLower(p.Name), filter) {
			out = append(out, presentPipeline(p))
		}
	}
	if application != "" {
		number(out)
	}
	return render(c, http.StatusOK, out)
}

// pipelinesInPlace returns pipelines by application, index and name; those without an
// index come last in their application.
func (s *Server) pipelinesInPlace(ctx context.Context, application string) ([]delivery.Pipeline, error) {
	found, err := s.store.Pipelines(ctx, application)
	if err != nil {
		return nil, err
	}
	last := map[string]bool{}
	for _, p := range found {
		last[p.ID] = !hasIndex(objectOf(p.Document))
	}
	slices.SortStableFunc(found, func(a, b delivery.Pipeline) int {
		switch {
		case a.Application != b.Application || last[a.ID] == last[b.ID]:
			return strings.Compare(a.Application, b.Application)
		case last[a.ID]:
			return 1
		default:
			return -1
		}
	})
	return found, nil
}

// number gives each of an application's pipelines or strategies its place in the list
// as its index, as Front50 does. Deck saves again what has another index.
func number(list []object) {
	for i := range list {
		list[i].set("index", i)
	}
}

func hasIndex(document object) bool { return typeOf(document["index"]) == "a number" }

func (s *Server) getPipelineHistory(c *gin.Context) error {
	q := queryOf(c)
	limit := q.number("limit", 20, 1000)
	if err := q.err(); err != nil {
		return err
	}
	out := []object{}
	if limit == 0 { // the store takes it for no limit
		return render(c, http.StatusOK, out)
	}
	revisions, err := s.store.PipelineHistory(c.Request.Context(), param(c, "id"), limit)
	if err != nil {
		return err
	}
	for _, p := range revisions {
		if err := s.authorize(principalOf(c), read, resource{p.Application}); err != nil {
			return err
		}
		out = append(out, presentPipeline(p))
	}
	return render(c, http.StatusOK, out)
}

// presentPipeline returns the document as it was saved, with the server's own
// fields set.
func presentPipeline(p delivery.Pipeline) object {
	out := objectOf(p.Document)
	out.set("id", p.ID)
	out.set("application", p.Application)
	out.set("name", p.Name)
	out.set("updateTs", v1.TextOf(p.UpdatedAt))
	out.set("lastModifiedBy", p.LastModifiedBy)
	out.set("revision", p.Revision)
	for _, list := range [...]string{"stages", "triggers"} {
		if _, ok := out[list]; !ok {
			out[list] = json.RawMessage(`[]`)
		}
	}
	return out
}
