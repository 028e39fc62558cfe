package expression

import (
	"encoding/json"
	"slices"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// triggerOf is the trigger as it was sent, with what the server knows better, and
// with the lists that Spinnaker's triggers always have. The nearest parent is whole; those
// before it have no stages.
func triggerOf(t delivery.Trigger, parents []delivery.Execution) json.RawMessage {
	fields := objectOf(t.Document)
	for _, list := range [...]string{"artifacts", "notifications", "resolvedExpectedArtifacts"} {
		if raw := fields[list]; len(raw) == 0 || raw[0] != '[' {
			fields[list] = json.RawMessage(`[]`)
		}
	}
	fields["type"], fields["user"] = encoded(t.Type), encoded(t.User)
	fields["parameters"] = json.RawMessage(`{}`)
	if len(t.Parameters) > 0 {
		fields["parameters"] = t.Parameters
	}
	if t.CorrelationID != "" {
		fields["correlationId"] = encoded(t.CorrelationID)
	}
	switch {
	case ParentOf(t) == "":
	case len(parents) > 0:
		fields["parentExecution"] = encoded(executionOf(parents[0], withoutStages(parents[1:])))
	default:
		fields["parentExecution"] = namedParent(ParentOf(t), fields)
	}
	return encoded(fields)
}

// ParentOf is the execution that started one; empty for none. Only the triggers that
// pipelines make may name it in their document: others hold what clients sent.
func ParentOf(t delivery.Trigger) delivery.ExecutionID {
	if t.Type != pipeline.PipelineType {
		return t.ParentExecution
	}
	return t.Parent()
}

// namedParent is the parent of an execution as far as its trigger tells.
func namedParent(id delivery.ExecutionID, trigger map[string]json.RawMessage) json.RawMessage {
	out := map[string]json.RawMessage{"type": encoded(delivery.PipelineExecution), "id": encoded(id), "stages": json.RawMessage(`[]`)}
	for _, known := range [...]struct{ field, from string }{{"application", "parentPipelineApplication"}, {"name", "parentPipelineName"},
		{"pipelineConfigId", "parentPipelineId"}, {"status", "parentStatus"}} {
		if raw, ok := trigger[known.from]; ok {
			out[known.field] = raw
		}
	}
	return encoded(out)
}

func withoutStages(all []delivery.Execution) []delivery.Execution {
	out := slices.Clone(all)
	for i := range out {
		out[i].Stages = nil
	}
	return out
}
