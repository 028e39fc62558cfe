package pipeline

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

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
		out = append(out, Variable{Key: entry.requiredText("key"), Value: entry.fields["value"], at: entry.at})
	}
	return out
}

// EvaluateVariables evaluates the variables of a stage in their order. evaluate sees
// the variables before as a JSON object; at is the time of the summary. One that cannot be evaluated is left as it
// is and told in the summary; the variables after it do not see it.
func EvaluateVariables(context json.RawMessage, at time.Time, evaluate func(value, known json.RawMessage) (json.RawMessage, error)) (json.RawMessage, error) {
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
		fields := maps.Clone(entry.fields)
		value, err := evaluate(fields["value"], seen)
		if err != nil {
			summary.add(fields["value"], err, at)
		} else {
			fields["value"], known[entry.text("key")] = value, value
		}
		list = append(list, fields)
	}
	return evaluateApart(maps.Clone(o.fields), "variables", list, summary, func(rest json.RawMessage) (json.RawMessage, error) {
		return evaluate(rest, nil)
	})
}

// ParseVariables returns the variables of an evaluated stage, without those that
// could not be evaluated. With failOnFailedExpressions these make it Invalid, with
// the pointers of their values.
func ParseVariables(context json.RawMessage) (map[string]json.RawMessage, error) {
	r := &reader{}
	o, ok := r.document(context)
	if !ok {
		return nil, delivery.InvalidError("evaluateVariables stage is not valid", r.findings)
	}
	strict, summary := o.flag("failOnFailedExpressions", false), readSummary(o)
	out := map[string]json.RawMessage{}
	for _, v := range readVariables(o) {
		problem := summary.of(v.Value)
		switch {
		case problem == "":
			out[v.Key] = v.Value
		case strict:
			r.refuse(v.at+"/value", "%s", problem)
		}
	}
	return out, delivery.InvalidError("evaluateVariables stage is not valid", r.findings)
}
