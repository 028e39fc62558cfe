package workflows

import (
	"encoding/json"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// skipped evaluates the condition of a stage and says why the stage is left out; empty
// when it is to run. What is neither true nor false leaves it out, too: to run it would
// do what nobody asked for.
func skipped(spec pipeline.StageSpec, env expression.Env) (reason string) {
	condition := spec.Condition
	if condition == "" {
		return ""
	}
	text := condition
	if !strings.Contains(text, "${") {
		text = "${" + text + "}"
	}
	env.Stage, env.RefID = spec.Context(), spec.RefID
	template, err := json.Marshal([]string{text})
	if err != nil {
		return "stageEnabled could not be evaluated: " + err.Error()
	}
	evaluated, err := expression.Evaluate(template, env)
	if err != nil {
		return "stageEnabled could not be evaluated: " + whyOf(err)
	}
	switch strings.Trim(string(evaluated), `[]"`) {
	case "true":
		return ""
	case "false":
		return "stageEnabled is false: " + condition
	default:
		return "stageEnabled is neither true nor false but " + strings.Trim(string(evaluated), "[]") + ": " + condition
	}
}

// whyOf is what an expression's error says first.
func whyOf(err error) string {
	if findings := delivery.FindingsOf(err); len(findings) > 0 {
		return findings[0].Message
	}
	return err.Error()
}
