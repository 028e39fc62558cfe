package v1

import "encoding/json"

// Evaluation is the answer to an expression that was evaluated.
type Evaluation struct {
	// Result is what the expression yields, or its text where it was not evaluated.
	Result json.RawMessage `json:"result"`
	// Detail tells of the expressions that were not evaluated, by their text; an empty
	// object when all were.
	Detail json.RawMessage `json:"detail"`
}

// VariablesEvaluation is the answer to a list of variables that were evaluated in order.
type VariablesEvaluation struct {
	Result []EvaluatedVariable `json:"result"`
	Detail json.RawMessage     `json:"detail"`
}

// EvaluatedVariable is one variable with its value.
type EvaluatedVariable struct {
	Key         string          `json:"key"`
	Value       json.RawMessage `json:"value"`
	SourceValue json.RawMessage `json:"sourceValue"`
	Description string          `json:"description,omitempty"`
}
