package api

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

// bulkSavePipelines saves a list of pipelines, each by itself: one that is refused
// keeps none of the others from being saved.
func (s *Server) bulkSavePipelines(c *gin.Context) error {
	body := bytes.TrimSpace(bodyOf(c))
	if err := checkJSON(body); err != nil {
		return err
	}
	var documents []json.RawMessage
	if json.Unmarshal(body, &documents) != nil || documents == nil {
		return invalid("", "must be a list of pipelines, not "+typeOf(body))
	}
	out := v1.BulkSave{Successful: []string{}, Failed: []json.RawMessage{}}
	for _, raw := range documents {
		saved, err := s.saveOneOfMany(c, raw)
		if err == nil {
			out.Successful = append(out.Successful, saved.Name)
			continue
		}
		if describe(err).Status >= http.StatusInternalServerError {
			return err // of this one nothing is known; the ones before are saved
		}
		failed := objectOf(raw)
		failed.set("errorMsg", messageOf(err))
		out.Failed = append(out.Failed, failed.raw())
	}
	out.SuccessfulCount, out.FailedCount = len(out.Successful), len(out.Failed)
	return render(c, http.StatusOK, out)
}

func (s *Server) saveOneOfMany(c *gin.Context, raw json.RawMessage) (delivery.Pipeline, error) {
	var doc object
	if json.Unmarshal(raw, &doc) != nil || doc == nil {
		return delivery.Pipeline{}, invalid("", "must be an object, not "+typeOf(raw))
	}
	return s.putPipeline(c, doc, false)
}
