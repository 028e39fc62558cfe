package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/slipway-cd/slipway/delivery"
)

// restorePipeline saves an earlier revision of a pipeline again, as the newest one.
// It is checked like any other save; a pipeline that was deleted comes back.
func (s *Server) restorePipeline(c *gin.Context) error {
	ctx, id := c.Request.Context(), param(c, "id")
	body, err := bindObject(c, false)
	if err != nil {
		return err
	}
	var number int
	if json.Unmarshal(body["revision"], &number) != nil || number < 1 {
		return invalid("/revision", "must be the number of a revision, from 1; the history of the pipeline has them")
	}
	earlier, err := s.store.PipelineRevision(ctx, id, number)
	if err != nil {
		return missing(err, "Pipeline revision", id+"/"+strconv.Itoa(number))
	}
	if err := s.authorize(principalOf(c), write, resource{earlier.Application}); err != nil {
		return err
	}
	stored, expect, err := s.restoreOnto(ctx, c, id)
	if err != nil {
		return err
	}
	if stored.Revision == number {
		setETag(c, number)
		return render(c, http.StatusOK, presentPipeline(stored))
	}
	doc := presentPipeline(earlier)
	for _, key := range [...]string{"updateTs", "lastModifiedBy", "revision"} {
		delete(doc, key)
	}
	p, findings, err := s.checkPipeline(ctx, doc)
	if err == nil {
		err = delivery.InvalidError("the revision is no valid pipeline any more", findings)
	}
	if err != nil {
		return err
	}
	saved, err := s.storePipeline(c, p, expect)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, presentPipeline(saved))
}

// restoreOnto returns what is stored now, and that a restore must find it so.
func (s *Server) restoreOnto(ctx context.Context, c *gin.Context, id string) (delivery.Pipeline, delivery.PipelineExpectation, error) {
	var expect delivery.PipelineExpectation
	stored, err := s.store.PipelineByID(ctx, id)
	switch {
	case delivery.KindOf(err) == delivery.NotFound:
		expect.Absent = true
	case err != nil:
		return stored, expect, err
	default:
		if err := s.authorize(principalOf(c), write, resource{stored.Application}); err != nil {
			return stored, expect, err
		}
		expect.Revision = stored.Revision
	}
	_, err = matched(c, stored.Revision, "pipeline")
	return stored, expect, err
}
