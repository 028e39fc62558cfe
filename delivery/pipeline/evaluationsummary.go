package pipeline

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Evaluator evaluates the expressions of a JSON value. Its errors are Invalid, with
// a finding for each expression that has no value.
type Evaluator func(value json.RawMessage) (json.RawMessage, error)

// EvaluationSummary tells what was not evaluated, by the text of the expression, in the
// form of Spinnaker's expressionEvaluationSummary.
type EvaluationSummary map[string][]EvaluationProblem

// EvaluationProblem is one occurrence of an expression in an EvaluationSummary.
type EvaluationProblem struct {
	// Level is ERROR, or INFO for an expression without a value.
	Level       string `json:"level"`
	Description string `json:"description"`
	// ExceptionType is null for INFO.
	ExceptionType *string `json:"exceptionType"`
	// Timestamp is in milliseconds since 1970; zero when the time is not known.
	Timestamp int64 `json:"timestamp"`
}

// summaryField is where the summary stands in the context of a stage.
const summaryField = "expressionEvaluationSummary"

// Add notes an expression that was not evaluated, and why. absent means that nothing is
// wrong but that it has no value.
func (s EvaluationSummary) Add(expression, why string, absent bool, at time.Time) {
	exception := "SpelEvaluationException" // the one that Spinnaker names
	problem := EvaluationProblem{Level: "ERROR", Description: why, ExceptionType: &exception}
	if absent {
		problem.Level, problem.ExceptionType = "INFO", nil
	}
	if !at.IsZero() {
		problem.Timestamp = at.UnixMilli()
	}
	key := strings.TrimSpace(expression)
	s[key] = append(s[key], problem)
}

// In returns the context of a stage with the summary in it; an empty one, or a context
// that is no object, leaves it as it is.
func (s EvaluationSummary) In(context json.RawMessage) json.RawMessage {
	var fields map[string]json.RawMessage
	if len(s) == 0 || json.Unmarshal(context, &fields) != nil || fields == nil {
		return context
	}
	var err error
	if fields[summaryField], err = json.Marshal(s); err != nil {
		return context
	}
	out, err := json.Marshal(fields)
	if err != nil {
		return context
	}
	return out
}

func (s EvaluationSummary) add(value json.RawMessage, err error, at time.Time) {
	description := err.Error()
	if findings := delivery.FindingsOf(err); len(findings) > 0 {
		description = findings[0].Message
	}
	s.Add(textOf(value), description, false, at)
}

// addAll adds what another summary tells.
func (s EvaluationSummary) addAll(other EvaluationSummary) {
	for text, problems := range other {
		s[text] = append(s[text], problems...)
	}
}

// first returns why the first expression by its text was not evaluated, one that failed
// before one without a value; empty when all were.
func (s EvaluationSummary) first() string {
	absent := ""
	for _, text := range slices.Sorted(maps.Keys(s)) {
		for _, p := range s[text] {
			if p.ExceptionType != nil {
				return p.Description
			}
			if absent == "" {
				absent = p.Description
			}
		}
	}
	return absent
}

// of returns why a value did not evaluate; empty when it did.
func (s EvaluationSummary) of(value json.RawMessage) string {
	if problems := s[strings.TrimSpace(textOf(value))]; len(problems) > 0 {
		return problems[0].Description
	}
	return ""
}

// textOf is a value as its entry of the summary is called.
func textOf(value json.RawMessage) string {
	text := string(value)
	if delivery.JSONKind(value) == "string" {
		text = unquote(value)
	}
	if inner, ok := strings.CutPrefix(text, "${"); ok && strings.Count(text, "${") == 1 && strings.HasSuffix(inner, "}") {
		text = strings.TrimSuffix(inner, "}")
	}
	return text
}

// readSummary returns the summary of an evaluated stage.
func readSummary(o object) EvaluationSummary {
	summary := EvaluationSummary{}
	if raw, ok := o.fields[summaryField]; ok && json.Unmarshal(raw, &summary) != nil {
		return EvaluationSummary{}
	}
	return summary
}

// evaluateApart evaluates a context but for one field, which has been evaluated
// already, and adds the summary of that.
func evaluateApart(fields map[string]json.RawMessage, name string, evaluated any, summary EvaluationSummary, evaluate Evaluator) (json.RawMessage, error) {
	delete(fields, name)
	delete(fields, summaryField)
	rest, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("encode the stage: %w", err)
	}
	if rest, err = evaluate(rest); err != nil {
		return nil, err
	}
	out := map[string]json.RawMessage{}
	if err := json.Unmarshal(rest, &out); err != nil {
		return nil, fmt.Errorf("read the evaluated stage: %w", err)
	}
	if out[name], err = json.Marshal(evaluated); err != nil {
		return nil, fmt.Errorf("encode %s: %w", name, err)
	}
	whole, err := json.Marshal(out)
	return summary.In(whole), err
}
