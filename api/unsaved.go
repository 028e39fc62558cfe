package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/slipway-cd/slipway/delivery"
)

// startUnsaved starts a pipeline that the body has whole and that is not saved, with
// the trigger under "trigger". It is checked as one that is saved and then started. An
// id in the body is not looked at: the execution is none of a saved pipeline's.
func (s *Server) startUnsaved(c *gin.Context, doc object) error {
	var trigger object
	switch raw, given := doc["trigger"]; {
	case !given || typeOf(raw) == "null":
		trigger = object{}
	case typeOf(raw) != "an object":
		return invalid("/trigger", "must be an object, not "+typeOf(raw))
	default:
		trigger = objectOf(raw)
	}
	t, err := readTrigger(c, trigger, "/trigger")
	if err != nil {
		return err
	}
	for _, key := range [...]string{"trigger", "plan", "id"} {
		delete(doc, key)
	}
	p, findings, err := s.checkPipeline(c.Request.Context(), doc)
	if err != nil {
		return err
	}
	if err := delivery.InvalidError("pipeline is not valid", findings); err != nil {
		return err
	}
	if err := s.authorize(principalOf(c), execute, resource{p.Application}); err != nil {
		return err
	}
	e, err := s.accept(c, startKeys(c, p, t), planHashOf(t), func() (delivery.NewExecution, error) { return s.prepareStart(c, p, t, "/trigger") })
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, refTo(e.ID))
}
