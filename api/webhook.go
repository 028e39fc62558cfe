package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/oklog/ulid/v2"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// triggeredPage is how many pipelines are read at once for an event.
const triggeredPage = 100

// deliveryHeaders name one delivery of an event, which its sender may repeat: those of
// GitHub, GitLab and Bitbucket, and one that every sender can set.
var deliveryHeaders = []string{"X-GitHub-Delivery", "X-Gitlab-Event-UUID", "X-Request-UUID", "Idempotency-Key"}

// receiveWebhook starts the pipelines that wait for an event. The answer is the same
// whether there are any: who may send here need not know. What it says is done is
// durable.
func (s *Server) receiveWebhook(c *gin.Context) error {
	body := bodyOf(c)
	if len(body) > 0 {
		if err := checkJSON(body); err != nil {
			return err
		}
	}
	given, err := deliveryOf(c)
	if err != nil {
		return err
	}
	e, err := pipeline.ReadEvent(param(c, "type"), param(c, "source"), c.GetHeader, body)
	if err != nil {
		return err
	}
	in := incoming{event: e, id: delivery.ChangeKey("event/" + ulid.Make().String()).Token()}
	if given != "" {
		in.correlation = fmt.Sprintf("webhook/%s/%s/%s", e.Type, e.Source, given)
		in.id = delivery.ChangeKey(in.correlation).Token()
	}
	if err := s.startTriggered(c.Request.Context(), in); err != nil {
		return err
	}
	return render(c, http.StatusOK, v1.WebhookAnswer{EventProcessed: true, EventID: in.id})
}

// deliveryOf names the delivery; empty when the sender does not.
func deliveryOf(c *gin.Context) (string, error) {
	for _, name := range deliveryHeaders {
		value := c.GetHeader(name)
		if value == "" {
			continue
		}
		if !printable(value, 255) {
			return "", delivery.Errorf(delivery.Invalid, "%s must be 1 to 255 visible ASCII characters", name)
		}
		return value, nil
	}
	return "", nil
}

// incoming is an event with its id. The correlation is the same for all deliveries of
// it; empty when they cannot be told.
type incoming struct {
	event           pipeline.Event
	id, correlation string
}

// startTriggered starts every pipeline with a trigger that the event fires. A repeat
// starts what is left, and nothing twice.
func (s *Server) startTriggered(ctx context.Context, in incoming) error {
	after := ""
	for {
		page, err := s.store.TriggeredPipelines(ctx, in.event.Type, in.event.Source, after, triggeredPage)
		if err != nil {
			return err
		}
		for _, p := range page {
			if err := s.startByEvent(ctx, p, in); err != nil {
				return fmt.Errorf("start pipeline %s of %s: %w", p.Name, p.Application, err)
			}
			after = p.ID
		}
		if len(page) < triggeredPage {
			return nil
		}
	}
}

// startByEvent starts one pipeline when the event fires one of its triggers. Nobody
// waits for the answer, so a start that is not valid is recorded as a failed one.
func (s *Server) startByEvent(ctx context.Context, p delivery.Pipeline, in incoming) error {
	document, unplanned := s.planned(ctx, p.Document)
	switch delivery.KindOf(unplanned) {
	case delivery.Invalid: // what is wrong with its template becomes the reason of a failed start
	default:
		if unplanned != nil {
			return unplanned
		}
		p.Document = document
	}
	definition, err := pipeline.Parse(p.Document)
	if err != nil {
		s.log.WarnContext(ctx, "A pipeline cannot be read; an event does not start it", "pipeline", p.Name, "application", p.Application, "event", in.id, "error", err.Error())
		return nil
	}
	trigger, fires := definition.Fire(in.event, in.id)
	if !fires {
		return nil
	}
	trigger.CorrelationID = in.correlation
	var start delivery.NewExecution
	if err = unplanned; err == nil {
		start, err = s.resolveStart(ctx, p, definition, trigger)
	}
	if delivery.KindOf(err) == delivery.Invalid {
		start, err = pipeline.FailedStart(p, definition, trigger, newID, s.now(), err), nil
	}
	if err != nil {
		return err
	}
	e, created, err := s.store.CreateExecution(ctx, start)
	if err != nil || !created {
		return err
	}
	s.metrics.accepted.Inc()
	s.log.InfoContext(ctx, "An event started a pipeline", "pipeline", p.Name, "application", p.Application, "event", in.id, "execution", e.ID, "status", e.Status)
	return nil
}

func newID() string { return ulid.Make().String() }
