package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// ManualJudgmentType is the stage type that asks people whether to go on.
const ManualJudgmentType = "manualJudgment"

// JudgmentTimeout is how long people are asked when the stage does not say.
const JudgmentTimeout = 3 * 24 * time.Hour

// ManualJudgment is the input of a manualJudgment stage.
type ManualJudgment struct {
	Instructions string `json:"instructions,omitempty"`
	// Inputs are the values that an answer may choose from; none for any text.
	Inputs []string `json:"inputs,omitempty"`
	// Roles are the roles whose members are meant to answer; none for everybody.
	Roles []string `json:"roles,omitempty"`
}

// ParseManualJudgment reads an evaluated manualJudgment stage. The error is Invalid.
func ParseManualJudgment(context json.RawMessage) (ManualJudgment, error) {
	r := &reader{}
	var j ManualJudgment
	if o, ok := r.document(context); ok {
		j = readManualJudgment(o)
	}
	return j, delivery.InvalidError("manualJudgment stage is not valid", r.findings)
}

func readManualJudgment(o object) ManualJudgment {
	j := ManualJudgment{Instructions: o.text("instructions"), Roles: o.texts("selectedStageRoles")}
	for _, input := range o.objects("judgmentInputs") {
		if text, ok := scalar(input.fields["value"]); ok && delivery.JSONKind(input.fields["value"]) != "string" {
			j.Inputs = append(j.Inputs, text)
			continue
		}
		j.Inputs = append(j.Inputs, input.requiredText("value"))
	}
	return j
}

// Judged is the answer to a manual judgment, as its stage puts it out.
type Judged struct {
	JudgmentStatus delivery.JudgmentStatus `json:"judgmentStatus"`
	JudgmentInput  string                  `json:"judgmentInput,omitempty"`
	JudgedBy       string                  `json:"judgedBy"`
	// JudgedAt is in milliseconds since 1970.
	JudgedAt int64 `json:"judgedAt"`
}

// Answer takes an answer; Invalid when it is none of those that may be given.
func (j ManualJudgment) Answer(a StageCommand, at time.Time) (Judged, error) {
	if a.Status != delivery.JudgmentContinue && a.Status != delivery.JudgmentStop {
		return Judged{}, refusedAnswer("judgmentStatus", "is %q; must be %s or %s", a.Status, delivery.JudgmentContinue, delivery.JudgmentStop)
	}
	if a.Input != "" && len(j.Inputs) > 0 && !slices.Contains(j.Inputs, a.Input) {
		return Judged{}, refusedAnswer("judgmentInput", "is %q; must be one of %s", a.Input, strings.Join(j.Inputs, ", "))
	}
	return Judged{JudgmentStatus: a.Status, JudgmentInput: a.Input, JudgedBy: a.By.Name, JudgedAt: at.UnixMilli()}, nil
}

func refusedAnswer(field, format string, args ...any) error {
	return delivery.InvalidError("the answer is not valid", []delivery.Finding{{Pointer: "/" + field, Message: fmt.Sprintf(format, args...)}})
}

// Failure is what an answer does to the stage: nil lets it succeed.
func (j Judged) Failure() *delivery.Failure {
	if j.JudgmentStatus == delivery.JudgmentContinue {
		return nil
	}
	message := j.JudgedBy + " answered " + string(j.JudgmentStatus)
	if j.JudgmentInput != "" {
		message += ": " + j.JudgmentInput
	}
	return &delivery.Failure{Kind: delivery.FailureJudgment, Step: "manual judgment", Message: message}
}

// WithAnswer adds the answer to a stage's context, where Spinnaker has it: that is
// what #judgment reads. Both are JSON objects.
func WithAnswer(context, outputs json.RawMessage) json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(context, &fields) != nil || fields == nil {
		fields = map[string]json.RawMessage{}
	}
	if json.Unmarshal(outputs, &fields) != nil {
		return context
	}
	out, err := json.Marshal(fields)
	if err != nil {
		return context
	}
	return out
}
