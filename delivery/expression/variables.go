package expression

import (
	"encoding/json"
	"fmt"

	"github.com/slipway-cd/slipway/delivery"
)

// Variable is one of a list that is evaluated in order.
type Variable struct {
	// Key is the name by which later variables and stages read it.
	Key string `json:"key"`
	// Value may hold expressions, at any depth.
	Value       json.RawMessage `json:"value"`
	Description string          `json:"description,omitempty"`
}

// EvaluatedVariable is a Variable with the value that it has.
type EvaluatedVariable struct {
	Key string `json:"key"`
	// Value is what stays in place where an expression was not evaluated.
	Value json.RawMessage `json:"value"`
	// SourceValue is the value before it was evaluated.
	SourceValue json.RawMessage `json:"sourceValue"`
	Description string          `json:"description,omitempty"`
}

// Variables evaluates a list in order: each sees those before it by their names, and
// they win over the outputs of earlier stages. The bounds of a document hold for all
// of them together. Pointers of problems lead into the list.
func Variables(list []Variable, env Env) ([]EvaluatedVariable, []Problem) {
	run := newRun(env)
	out := make([]EvaluatedVariable, len(list))
	var problems []Problem
	for i, v := range list {
		value, wrong := run.document(v.Value)
		for _, p := range wrong {
			p.Pointer = fmt.Sprintf("/%d/value%s", i, p.Pointer)
			problems = append(problems, p)
		}
		if value == nil {
			value = v.Value
		}
		out[i] = EvaluatedVariable{Key: v.Key, Value: value, SourceValue: v.Value, Description: v.Description}
		if len(wrong) == 0 {
			run.scope.name(v.Key, value)
		}
	}
	return out, problems
}

// name adds a variable to the scope, before the outputs of all stages.
func (s *scope) name(key string, value json.RawMessage) {
	delete(s.known, key)
	s.named[key] = value
}

// Sequence returns what evaluates documents one after the other within the bounds of
// one document together. known are outputs that go before those of all stages, nil for
// none. Its errors are those of Evaluate.
func Sequence(env Env) func(document, known json.RawMessage) (json.RawMessage, error) {
	run := newRun(env)
	return func(document, known json.RawMessage) (json.RawMessage, error) {
		run.scope.outputs = env.Outputs
		if known != nil {
			run.scope.outputs = append([]json.RawMessage{known}, env.Outputs...)
		}
		clear(run.scope.known)
		out, problems := run.document(document)
		if err := delivery.InvalidError("evaluate expressions", findings(problems)); err != nil {
			return nil, err
		}
		return out, nil
	}
}
