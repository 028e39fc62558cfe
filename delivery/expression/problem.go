package expression

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Problem is an expression that was not evaluated; its text stays in place.
type Problem struct {
	// Pointer is the JSON pointer of the string, or of the field whose key it is.
	Pointer string
	// Expression is the text between "${" and "}"; empty for the document as a whole.
	Expression string
	// Message names the expression and says why.
	Message string
	// Absent means that nothing is wrong but that it has no value.
	Absent bool
	// Later means that the stage's beginning decides whether it can be evaluated.
	Later bool
}

// findings are the problems as what is wrong with an input.
func findings(problems []Problem) []delivery.Finding {
	var out []delivery.Finding
	for _, p := range problems {
		out = append(out, delivery.Finding{Pointer: p.Pointer, Message: p.Message})
	}
	return out
}

// Summary tells of the expressions that were not evaluated, by their text, in the
// form of Spinnaker's expressionEvaluationSummary.
type Summary map[string][]SummaryEntry

// SummaryEntry is one occurrence of an expression in a Summary.
type SummaryEntry struct {
	// Level is ERROR, or INFO for an expression without a value.
	Level       string `json:"level"`
	Description string `json:"description"`
	// ExceptionType is null for INFO.
	ExceptionType *string `json:"exceptionType"`
	// Timestamp is in milliseconds since 1970.
	Timestamp int64 `json:"timestamp"`
}

// The exceptions that Spinnaker's summaries name.
const evaluationException = "SpelEvaluationException"

// SummaryOf returns the summary of problems that came up at a time; never nil.
func SummaryOf(problems []Problem, at time.Time) Summary {
	out := Summary{}
	for _, p := range problems {
		exception, level := evaluationException, "ERROR"
		entry := SummaryEntry{Description: p.Message, ExceptionType: &exception}
		if p.Absent {
			level, entry.ExceptionType = "INFO", nil
		}
		entry.Level = level
		if !at.IsZero() {
			entry.Timestamp = at.UnixMilli()
		}
		key := strings.TrimSpace(p.Expression)
		out[key] = append(out[key], entry)
	}
	return out
}

// summaryField is where a stage's context has its summary.
const summaryField = "expressionEvaluationSummary"

// withSummary adds the summary of problems to an object.
func withSummary(object json.RawMessage, problems []Problem, at time.Time) json.RawMessage {
	var fields map[string]json.RawMessage
	if len(problems) == 0 || json.Unmarshal(object, &fields) != nil || fields == nil {
		return object
	}
	summary, err := json.Marshal(SummaryOf(problems, at))
	if err != nil {
		return object
	}
	fields[summaryField] = summary
	out, err := json.Marshal(fields)
	if err != nil {
		return object
	}
	return out
}
