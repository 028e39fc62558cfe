package expression

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// Condition evaluates a condition such as that of stageEnabled: an expression
// that people write with or without ${}. Its result has to be true or false, or
// that text; an Invalid error says why it is neither.
func Condition(condition string, env Env) (bool, error) {
	text := strings.TrimSpace(condition)
	if !strings.Contains(text, "${") {
		text = "${" + text + "}"
	}
	document, err := json.Marshal(text)
	if err != nil {
		return false, fmt.Errorf("encode the condition: %w", err)
	}
	evaluated, problems := EvaluateAll(document, env)
	if len(problems) > 0 {
		return false, delivery.Errorf(delivery.Invalid, "%s", problems[0].Message)
	}
	switch result := strings.ToLower(strings.Trim(string(evaluated), `"`)); result {
	case "true", "false":
		return result == "true", nil
	default:
		return false, delivery.Errorf(delivery.Invalid, "%s: %.200s is neither true nor false", text, evaluated)
	}
}
