package expression

import (
	"encoding/json"
	"strings"

	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// Skipped evaluates the condition of a stage, whose own fields env need not have, and says
// why the stage is left out; empty when it is to run. What is neither true nor false, or
// cannot be evaluated, leaves it out, too: to run it would do what nobody asked for. open
// is true when the condition cannot be evaluated in env, and may be when it is the
// stage's turn.
func Skipped(spec pipeline.StageSpec, env Env) (reason string, open bool) {
	condition := spec.Condition
	if condition == "" {
		return "", false
	}
	text := condition
	if !strings.Contains(text, "${") {
		text = "${" + text + "}"
	}
	env.Stage, env.RefID = spec.Context(), spec.RefID
	template, err := json.Marshal([]string{text})
	if err != nil {
		return "stageEnabled could not be evaluated: " + err.Error(), false
	}
	evaluated, problems := EvaluateAll(template, env)
	if len(problems) > 0 {
		return "stageEnabled could not be evaluated: " + problems[0].Message, env.Partial || problems[0].Later
	}
	switch strings.Trim(string(evaluated), `[]"`) {
	case "true":
		return "", false
	case "false":
		return "stageEnabled is false: " + condition, false
	default:
		return "stageEnabled is neither true nor false but " + strings.Trim(string(evaluated), "[]") + ": " + condition, false
	}
}
