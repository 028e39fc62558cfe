package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
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
