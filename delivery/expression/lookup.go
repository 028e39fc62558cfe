package expression

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Lookups find what expressions can read beside the execution. NotFound means that
// there is none. A nil function refuses: the answer is known only when the stage begins.
type Lookups struct {
	// PipelineID returns the id of the application's pipeline of that name.
	PipelineID func(application, name string) (string, error)
	// Application returns an application's attributes, a JSON object.
	Application func(name string) (json.RawMessage, error)
}

// lookUp finds something once in a document, and counts what it asks for.
func (r *run) lookUp(what string, ask func() (value, error)) (value, error) {
	if known, ok := r.found[what]; ok {
		return known, nil
	}
	if len(r.found) >= maxLookups {
		return nil, fmt.Errorf("more than %d pipelines and applications are looked up", maxLookups)
	}
	began := time.Now()
	v, err := ask()
	r.until = r.until.Add(time.Since(began)) // who answers bounds how long it takes
	if delivery.KindOf(err) == delivery.NotFound {
		err = nil // whoever asks says what that means
	}
	if err != nil {
		return nil, err
	}
	if r.found == nil {
		r.found = map[string]value{}
	}
	r.found[what] = v
	return v, nil
}

// ofApplication is the application of the execution.
func (r *run) ofApplication() (value, error) { return r.scope.read("execution", "application") }

func (r *run) pipelineID(_ value, args []value) (value, error) {
	application, err := r.ofApplication()
	if err != nil {
		return nil, err
	}
	return r.pipelineIDIn(nil, []value{args[0], application})
}

func (r *run) pipelineIDOrNull(_ value, args []value) (value, error) {
	application, err := r.ofApplication()
	if err != nil {
		return nil, err
	}
	return r.findPipeline(args[0], application)
}

// pipelineIDIn is #pipelineIdInApplication(name, application).
func (r *run) pipelineIDIn(_ value, args []value) (value, error) {
	id, err := r.findPipeline(args[0], args[1])
	if err == nil && id == nil {
		err = fmt.Errorf("application %v has no pipeline %v", args[1], args[0])
	}
	return id, err
}

func (r *run) findPipeline(of, in value) (value, error) {
	name, err := text(of)
	if err != nil {
		return nil, fmt.Errorf("the name of the pipeline: %w", err)
	}
	application, err := text(in)
	if err != nil {
		return nil, fmt.Errorf("the name of the application: %w", err)
	}
	if r.scope.lookups.PipelineID == nil {
		return nil, laterError("known only when the stage begins")
	}
	return r.lookUp("pipeline\n"+application+"\n"+name, func() (value, error) {
		id, err := r.scope.lookups.PipelineID(application, name)
		if err != nil {
			return nil, err
		}
		return id, nil
	})
}

// applicationMetadata are the attributes of an application; of the execution's own
// without a name.
func (r *run) applicationMetadata(_ value, args []value) (value, error) {
	if len(args) == 0 {
		own, err := r.ofApplication()
		if err != nil {
			return nil, err
		}
		args = []value{own}
	}
	name, err := text(args[0])
	if err != nil {
		return nil, fmt.Errorf("the name of the application: %w", err)
	}
	if r.scope.lookups.Application == nil {
		return nil, laterError("known only when the stage begins")
	}
	v, err := r.lookUp("application\n"+name, func() (value, error) {
		raw, err := r.scope.lookups.Application(name)
		if err != nil {
			return nil, err
		}
		return decode(raw)
	})
	if err == nil && v == nil {
		err = fmt.Errorf("there is no application %s", name)
	}
	return v, err
}
