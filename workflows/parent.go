package workflows

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// trigger is what expressions see of an execution's trigger: with the execution that
// started it, whole, and those before without their stages.
func (a *Activities) trigger(ctx context.Context, e delivery.Execution) (json.RawMessage, error) {
	known := triggerOf(e)
	if e.Trigger.Parent() == "" || e.Trigger.Type != pipeline.PipelineType {
		return known, nil
	}
	parent, err := a.parent(ctx, e.Trigger, true)
	if err != nil {
		return nil, fmt.Errorf("read parent execution %s: %w", e.Trigger.Parent(), err)
	}
	return withField(known, "parentExecution", parent)
}

// parent is the execution that started one. Of one that is gone the id is left.
func (a *Activities) parent(ctx context.Context, t delivery.Trigger, whole bool) (json.RawMessage, error) {
	e, err := a.deps.Store.Execution(ctx, t.Parent())
	switch {
	case delivery.KindOf(err) == delivery.NotFound:
		return json.Marshal(map[string]delivery.ExecutionID{"id": t.Parent()})
	case err != nil:
		return nil, err
	}
	if !whole {
		e.Stages = []delivery.Stage{}
	}
	known := triggerOf(e)
	// The depth falls with each step, and is bounded: a wrong record leads in no circle.
	if above := e.Trigger; above.Parent() != "" && above.Depth < t.Depth && t.Depth <= pipeline.MaxChain {
		parent, err := a.parent(ctx, above, false)
		if err != nil {
			return nil, err
		}
		if known, err = withField(known, "parentExecution", parent); err != nil {
			return nil, err
		}
	}
	out, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	return withField(out, "trigger", known)
}

// withField returns a JSON object with one field set.
func withField(raw json.RawMessage, name string, value json.RawMessage) (json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	fields[name] = value
	return json.Marshal(fields)
}
