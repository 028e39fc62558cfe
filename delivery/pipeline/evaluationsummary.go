package pipeline

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Evaluator evaluates the expressions of a JSON value. Its errors are Invalid, with
// a finding for each expression that has no value.
type Evaluator func(value json.RawMessage) (json.RawMessage, error)

// evaluationSummary tells what did not evaluate, in Spinnaker's form: problems by the
// text of the expression.
type evaluationSummary map[string][]evaluationProblem

// evaluationProblem is one entry of the summary.
type evaluationProblem struct {
	Level         string `json:"level"`
	Description   string `json:"description"`
	ExceptionType string `json:"exceptionType"`
	// Timestamp is in milliseconds since 1970.
	Timestamp int64 `json:"timestamp"`
}

// summaryField is where the summary stands in the context of a stage.
const summaryField = "expressionEvaluationSummary"

// maxSummaryKey bounds the texts in the summary, in bytes.
const maxSummaryKey = 500

func (s evaluationSummary) add(value json.RawMessage, err error, at time.Time) {
	description := err.Error()
	if findings := delivery.FindingsOf(err); len(findings) > 0 {
		description = findings[0].Message
	}
	key := textOf(value)
	s[key] = append(s[key], evaluationProblem{Level: "ERROR", Description: description, ExceptionType: "SpelEvaluationException", Timestamp: at.UnixMilli()})
}

// of returns why a value did not evaluate; empty when it did.
func (s evaluationSummary) of(value json.RawMessage) string {
	if problems := s[textOf(value)]; len(problems) > 0 {
		return problems[0].Description
	}
	return ""
}

// textOf is a value as its entry of the summary is called.
func textOf(value json.RawMessage) string {
	text := string(value)
	if kindOf(value) == "string" {
		text = unquote(value)
	}
	if inner, ok := strings.CutPrefix(text, "${"); ok && strings.Count(text, "${") == 1 && strings.HasSuffix(inner, "}") {
		text = strings.TrimSpace(strings.TrimSuffix(inner, "}"))
	}
	return text[:min(len(text), maxSummaryKey)]
}

// readSummary returns the summary of an evaluated stage.
func readSummary(o object) evaluationSummary {
	summary := evaluationSummary{}
	if raw, ok := o.fields[summaryField]; ok && json.Unmarshal(raw, &summary) != nil {
		return evaluationSummary{}
	}
	return summary
}

// evaluateApart evaluates a context but for one field, which has been evaluated
// already, and adds the summary of that.
func evaluateApart(fields map[string]json.RawMessage, name string, evaluated any, summary evaluationSummary, evaluate Evaluator) (json.RawMessage, error) {
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
	if len(summary) > 0 {
		if out[summaryField], err = json.Marshal(summary); err != nil {
			return nil, fmt.Errorf("encode %s: %w", summaryField, err)
		}
	}
	return json.Marshal(out)
}
