package saving

import (
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// Order is a save that was found right.
type Order struct {
	delivery.PipelineSave
	// Replaces is the application of the pipeline that is stored under the id; empty for
	// a new one. Who saves needs the right to both.
	Replaces string
}

// Decide turns what a stage or a job of pipeline.SavePipelineType or
// pipeline.UpdatePipelineType asks for into the save to make. An Invalid error has
// pointers relative to the stage or job; NotFound when there is nothing to update.
func Decide(kind string, want pipeline.SavePipeline, by delivery.Principal, now time.Time, look Lookups) (Order, error) {
	p, findings, err := Check(want.Document, look)
	if err != nil {
		return Order{}, err
	}
	if err := delivery.InvalidError("pipeline is not valid", delivery.Under("/pipeline", findings)); err != nil {
		return Order{}, err
	}
	if kind == pipeline.UpdatePipelineType && p.ID == "" {
		return Order{}, delivery.InvalidError("pipeline is not valid", []delivery.Finding{{Pointer: "/pipeline/id", Message: "is required: which pipeline"}})
	}
	p.UpdatedAt, p.LastModifiedBy = now, by.Name
	order := Order{PipelineSave: delivery.PipelineSave{Pipeline: p}}
	stored, err := look.Stored(p.ID)
	switch known := delivery.KindOf(err) != delivery.NotFound; {
	case known && err != nil:
		return Order{}, err
	case !known && kind == pipeline.UpdatePipelineType:
		return Order{}, delivery.Errorf(delivery.NotFound, "no pipeline has the id %q", p.ID)
	case known:
		order.Replaces = stored.Application
		if want.StaleCheck {
			order.Expect.UpdatedAt = pipeline.UpdatedAt(p.Document)
		}
	}
	return order, nil
}

// Refused is why the store did not make a save, in Spinnaker's words where the stored
// pipeline is another one than who made the document saw.
func Refused(err error) error {
	if delivery.KindOf(err) == delivery.Conflict {
		return delivery.Errorf(delivery.Conflict, "The submitted pipeline is stale")
	}
	return err
}

// Doomed returns the pipeline that a stage or a job of pipeline.DeletePipelineType means:
// the one with its id, else the one with its name in the application. NotFound when it
// is gone already; Conflict when the one with the id is another one by now.
func Doomed(want pipeline.DeletePipeline, application string, look Lookups) (delivery.Pipeline, error) {
	if want.ID == "" {
		p, err := look.Named(application, want.Name)
		if err == nil && !strings.EqualFold(p.Name, want.Name) { // its id is that name
			return delivery.Pipeline{}, delivery.Errorf(delivery.NotFound, "pipeline %s of %s", want.Name, application)
		}
		return p, err
	}
	stored, err := look.Stored(want.ID)
	if err == nil && (!strings.EqualFold(stored.Name, want.Name) || !strings.EqualFold(stored.Application, application)) {
		err = delivery.Errorf(delivery.Conflict, "pipeline %s is %s of application %s, not %s of %s", stored.ID, stored.Name, stored.Application, want.Name, application)
	}
	return stored, err
}
