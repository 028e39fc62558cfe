package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/saving"
)

// validatePipeline says everything that a save would refuse. Nothing is saved.
func (s *Server) validatePipeline(c *gin.Context) error {
	out := v1.PipelineCheck{Errors: []v1.FieldError{}}
	doc, err := bindDocument(c)
	if err != nil {
		out.Errors = fieldErrors(findingsOf(err))
		return render(c, http.StatusOK, out)
	}
	p, findings, err := s.checkPipeline(c.Request.Context(), doc)
	if err != nil {
		return err
	}
	if p.Name != "" && p.Application != "" {
		other, err := s.store.Pipeline(c.Request.Context(), p.Application, p.Name)
		switch {
		case err == nil && other.ID != p.ID && other.ID != p.Name:
			findings = append(findings, delivery.Finding{Pointer: "/name", Message: "is the name of another pipeline of the application, which has the id " + other.ID})
		case err != nil && delivery.KindOf(err) != delivery.NotFound:
			return err
		}
	}
	if len(findings) > 0 {
		out.Errors = fieldErrors(inOrder(findings))
	}
	out.Valid = len(findings) == 0
	return render(c, http.StatusOK, out)
}

// checkPipeline reads a pipeline document and checks all of it, together with the
// template that it is made from.
func (s *Server) checkPipeline(ctx context.Context, doc object) (delivery.Pipeline, []delivery.Finding, error) {
	return saving.Check(doc.raw(), s.saveLookups(ctx))
}

// saveLookups find what the check of a save has to know.
func (s *Server) saveLookups(ctx context.Context) saving.Lookups {
	return saving.LookupsIn(ctx, s.store, s.targets, newID)
}

// absentOrText is false for a value whose type alone is wrong, which is said once.
func absentOrText(raw json.RawMessage) bool {
	kind := typeOf(raw)
	return kind == "nothing" || kind == "null" || kind == "a string"
}

func stagePointer(index int) string { return "/stages/" + strconv.Itoa(index) }

// under puts a prefix before the findings' pointers.
func under(prefix string, findings []delivery.Finding) []delivery.Finding {
	return delivery.Under(prefix, findings)
}

// inOrder sorts findings by field and drops repetitions.
func inOrder(findings []delivery.Finding) []delivery.Finding { return delivery.InOrder(findings) }
