package api

import (
	"context"
	"encoding/json"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// parentOf is the execution that started one, as far as its trigger tells: without
// stages. nil when nobody did.
func parentOf(t delivery.Trigger) object {
	id := t.Parent()
	if id == "" || t.Type != pipeline.PipelineType {
		return nil
	}
	document, out := objectOf(t.Document), object{}
	out.set("type", delivery.PipelineExecution)
	out.set("id", id)
	for key, from := range map[string]string{"application": "parentPipelineApplication", "name": "parentPipelineName", "pipelineConfigId": "parentPipelineId", "status": "parentStatus"} {
		if raw, ok := document[from]; ok {
			out[key] = raw
		}
	}
	out["stages"] = json.RawMessage(`[]`)
	return out
}

// withParents puts the executions that started one into its trigger: the nearest with
// its stages, those before it without. One that is gone, or that the caller may not
// read, stays as the trigger tells it.
func (s *Server) withParents(ctx context.Context, by delivery.Principal, trigger json.RawMessage, t delivery.Trigger, expand bool) (json.RawMessage, error) {
	if t.Parent() == "" || t.Type != pipeline.PipelineType || t.Depth > pipeline.MaxChain {
		return trigger, nil
	}
	parent, err := s.store.Execution(ctx, t.Parent())
	switch {
	case delivery.KindOf(err) == delivery.NotFound:
		return trigger, nil
	case err != nil:
		return nil, err
	case s.authorize(by, read, resource{parent.Application}) != nil:
		return trigger, nil
	}
	shown := presentExecution(parent, true)
	if !expand {
		shown.Stages = shown.Stages[:0]
	}
	if parent.Trigger.Depth < t.Depth { // else the record is wrong, and could lead in a circle
		if shown.Trigger, err = s.withParents(ctx, by, shown.Trigger, parent.Trigger, false); err != nil {
			return nil, err
		}
	}
	out := objectOf(trigger)
	out.set("parentExecution", shown)
	return out.raw(), nil
}
