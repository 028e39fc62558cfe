package expression

import (
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
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
	// Whole means that the expression is all of its text: nothing is around it.
	Whole bool
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

// SummaryOf returns the summary of problems that came up at a time; never nil.
func SummaryOf(problems []Problem, at time.Time) pipeline.EvaluationSummary {
	out := pipeline.EvaluationSummary{}
	for _, p := range problems {
		out.Add(p.Expression, p.Message, p.Absent, at)
	}
	return out
}
