package expression

import (
	"encoding/json"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// Stage evaluates the input of a stage, whose own fields env need not have. What may
// stay in place is told in the context's expressionEvaluationSummary; an Invalid error
// carries a finding for each expression that may not. The context is returned in
// either case.
func Stage(spec pipeline.StageSpec, env Env) (json.RawMessage, error) {
	env.Stage, env.RefID = spec.Context(), spec.RefID
	context, problems := EvaluateAll(env.Stage, env)
	whole := context != nil
	if !whole {
		context = env.Stage
	}
	var refused []Problem
	for _, p := range problems {
		if !whole || !spec.LeavesInPlace(firstField(p.Pointer)) {
			refused = append(refused, p)
		}
	}
	return withSummary(context, problems, env.Now), delivery.InvalidError("evaluate expressions", findings(refused))
}

// firstField is the field of the document that a pointer leads into.
func firstField(pointer string) string {
	field, _, _ := strings.Cut(strings.TrimPrefix(pointer, "/"), "/")
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(field)
}
