package expression

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
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
		if hasValue(wrong) {
			run.scope.name(v.Key, value)
		}
	}
	return out, problems
}

// hasValue reports whether a variable can be read although some of its expressions were
// not evaluated: what has no value stays in a text around which the rest is evaluated. An
// expression that fails leaves no value, and neither does one that is all of its text.
func hasValue(problems []Problem) bool {
	return !slices.ContainsFunc(problems, func(p Problem) bool { return !p.Absent || p.Whole })
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
	return newSequence(env).strict
}

// VariablesStage evaluates a stage of pipeline.EvaluateVariablesType within the bounds of
// one document.
func VariablesStage(stage json.RawMessage, env Env) (json.RawMessage, error) {
	s := newSequence(env)
	variable := func(value, known json.RawMessage) pipeline.EvaluatedVariable {
		out, problems := s.next(value, known)
		if out == nil {
			out = value
		}
		return pipeline.EvaluatedVariable{Value: out, Known: hasValue(problems), Summary: SummaryOf(problems, env.Now)}
	}
	rest := func(rest json.RawMessage) (json.RawMessage, error) { return s.strict(rest, nil) }
	return pipeline.EvaluateVariables(stage, variable, rest)
}

// sequence evaluates documents one after the other.
type sequence struct {
	env Env
	run *run
}

func newSequence(env Env) sequence { return sequence{env, newRun(env)} }

func (s sequence) next(document, known json.RawMessage) (json.RawMessage, []Problem) {
	scope := s.run.scope
	scope.outputs = s.env.Outputs
	if known != nil {
		scope.outputs = append([]json.RawMessage{known}, s.env.Outputs...)
	}
	clear(scope.known)
	return s.run.document(document)
}

func (s sequence) strict(document, known json.RawMessage) (json.RawMessage, error) {
	out, problems := s.next(document, known)
	if err := delivery.InvalidError("evaluate expressions", findings(problems)); err != nil {
		return nil, err
	}
	return out, nil
}
