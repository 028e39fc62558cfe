package pipeline

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/slipway-cd/slipway/delivery"
)

// EvaluateVariablesType is the stage type that gives names to what expressions yield,
// for the stages after it.
const EvaluateVariablesType = "evaluateVariables"

// maxVariables bounds the list: each variable has the whole budget of an evaluation.
const maxVariables = 100

// ownNames are variables that no stage can hide.
var ownNames = []string{"execution", "parameters", "trigger"}

// Variable is one entry of the list. Later entries of a key replace earlier ones.
type Variable struct {
	Key string
	// Value is any JSON.
	Value json.RawMessage
	// at is the entry's place in the stage.
	at string
	// unevaluated is what of an evaluated value is not; the zero value for nothing.
	unevaluated unevaluated
}

// readVariables reads the list as far as it is known before it is evaluated.
func readVariables(o object) []Variable {
	o.require("variables")
	if o.dynamic("variables") {
		o.refuse("variables", "must not be an expression: the list is evaluated in its order")
	}
	o.flag("failOnFailedExpressions", false)
	entries := o.objects("variables")
	if len(entries) > maxVariables {
		o.refuse("variables", "has %d variables; %d are allowed", len(entries), maxVariables)
		return nil
	}
	var out []Variable
	for _, entry := range entries {
		if entry.dynamic("key") {
			entry.refuse("key", "must not be an expression")
		}
		if key := entry.text("key"); slices.Contains(ownNames, key) {
			entry.refuse("key", "is %q, which expressions read of the execution; no stage would see the variable", key)
		}
		if _, ok := entry.fields["value"]; !ok {
			entry.refuse("value", "is required")
		}
		v := Variable{Key: entry.requiredText("key"), Value: entry.fields["value"], at: entry.at}
		if raw, ok := entry.fields[unevaluatedField]; ok && json.Unmarshal(raw, &v.unevaluated) != nil {
			v.unevaluated = unevaluated{} // somebody else's field of that name
		}
		out = append(out, v)
	}
	return out
}

// EvaluatedVariable is what came of the value of a variable.
type EvaluatedVariable struct {
	// Value is the value with what could not be evaluated in place.
	Value json.RawMessage
	// Known is false when the variable has no value that others may read.
	Known bool
	// Summary tells what was not evaluated; empty when all was.
	Summary EvaluationSummary
}

// unevaluatedField says in an evaluated variable what of its value is not.
const unevaluatedField = "unevaluated"

// unevaluated is the content of unevaluatedField.
type unevaluated struct {
	Description string `json:"description"`
	// Known is EvaluatedVariable's.
	Known bool `json:"known"`
}

// EvaluateVariables evaluates the variables of a stage in their order, and then the rest
// of it. evaluate sees the variables before as a JSON object. What cannot be evaluated
// stays in place and is told in the summary; the variables after it do not see one that
// is not known.
func EvaluateVariables(context json.RawMessage, evaluate func(value, known json.RawMessage) EvaluatedVariable, rest Evaluator) (json.RawMessage, error) {
	r := &reader{deferred: true}
	o, ok := r.document(context)
	if ok {
		readVariables(o)
	}
	if err := delivery.InvalidError("evaluateVariables stage is not valid", r.findings); err != nil {
		return nil, err
	}
	known, summary := map[string]json.RawMessage{}, EvaluationSummary{}
	var list []map[string]json.RawMessage
	for _, entry := range o.objects("variables") {
		seen, err := json.Marshal(known)
		if err != nil {
			return nil, fmt.Errorf("encode variables: %w", err)
		}
		got, fields := evaluate(entry.fields["value"], seen), maps.Clone(entry.fields)
		fields["value"] = got.Value
		delete(fields, unevaluatedField)
		if why := got.Summary.first(); why != "" {
			fields[unevaluatedField] = encoded(unevaluated{why, got.Known})
		}
		if got.Known {
			known[entry.text("key")] = got.Value
		}
		summary.addAll(got.Summary)
		list = append(list, fields)
	}
	return evaluateApart(maps.Clone(o.fields), "variables", list, summary, rest)
}

// ParseVariables returns the variables of an evaluated stage, without those that have no
// value. With failOnFailedExpressions all that was not evaluated makes it Invalid, with
// the pointers of the values.
func ParseVariables(context json.RawMessage) (map[string]json.RawMessage, error) {
	r := &reader{}
	o, ok := r.document(context)
	if !ok {
		return nil, delivery.InvalidError("evaluateVariables stage is not valid", r.findings)
	}
	strict, summary := o.flag("failOnFailedExpressions", false), readSummary(o)
	out := map[string]json.RawMessage{}
	for _, v := range readVariables(o) {
		problem := v.unevaluated
		if problem.Description == "" && isExpression(v.Value) { // as it was recorded before variables said so themselves
			problem.Description = summary.of(v.Value)
		}
		switch {
		case problem.Description == "" || problem.Known && !strict:
			out[v.Key] = v.Value
		case strict:
			r.refuse(v.at+"/value", "%s", problem.Description)
		}
	}
	return out, delivery.InvalidError("evaluateVariables stage is not valid", r.findings)
}
