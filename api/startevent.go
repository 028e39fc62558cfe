package api

import (
	"cmp"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/oklog/ulid/v2"

	v1 "github.com/slipway-cd/slipway/api/v1"
)

// startPipelineByEvent is startPipeline with an event to search for. Spinnaker's
// execution may not be there yet when this is answered; Slipway's is.
func (s *Server) startPipelineByEvent(c *gin.Context) error {
	event, err := setEvent(c)
	if err != nil {
		return err
	}
	id, err := s.acceptPipeline(c)
	if err != nil {
		return err
	}
	e, err := s.store.Execution(c.Request.Context(), id)
	if err != nil {
		return err
	}
	return render(c, http.StatusAccepted, v1.EventRef{EventID: cmp.Or(e.Trigger.EventID(), event), Ref: refTo(id).Ref})
}

// setEvent gives the trigger in the body an eventId, unless it has one.
func setEvent(c *gin.Context) (string, error) {
	body, err := bindObject(c, true)
	if err != nil {
		return "", err
	}
	trigger := body
	inner, wrapped, err := unwrapTrigger(body)
	if err != nil {
		return "", err
	}
	if wrapped {
		trigger = inner
	}
	event, err := trigger.text("eventId")
	if err != nil {
		return "", err
	}
	if event == "" {
		event = ulid.Make().String()
		trigger.set("eventId", event)
	}
	if wrapped {
		body.set("trigger", trigger)
	}
	c.Set(bodyKey, []byte(body.raw()))
	return event, nil
}
