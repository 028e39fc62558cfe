package pipeline

import (
	"encoding/json"
	"slices"
)

// readByPeople are fields of every stage that go nowhere but to those who read them, or
// are evaluated apart from the rest of the stage.
var readByPeople = [...]string{"alias", "comments", "group", "notifications", "stageEnabled"}

// leftInPlace are the fields of a stage in which an expression that cannot be
// evaluated stays as text, by stage type. They are what the stage says to people or
// to systems that deploy nothing; a type that is not listed has none beside
// readByPeople.
var leftInPlace = map[string][]string{
	"checkPreconditions": {"preconditions"},
	"evaluateVariables":  {"variables"},
	"manualJudgment":     {"instructions", "judgmentInputs"},
	"webhook":            {"cancelPayload", "customHeaders", "payload"},
}

// LeavesInPlace reports whether an expression that cannot be evaluated stays as text
// in a field of a stage, as in Spinnaker. Everywhere else it fails the stage: what
// nobody evaluated must not reach a cloud.
func (s StageSpec) LeavesInPlace(field string) bool {
	if slices.Contains(readByPeople[:], field) {
		return !s.failsOnFailedExpressions() || field == "stageEnabled"
	}
	return slices.Contains(leftInPlace[s.Type], field) && !s.failsOnFailedExpressions()
}

// failsOnFailedExpressions reports whether the stage fails for every expression that
// cannot be evaluated.
func (s StageSpec) failsOnFailedExpressions() bool {
	var stage struct {
		Fail any `json:"failOnFailedExpressions"`
	}
	return json.Unmarshal(s.Raw, &stage) == nil && (stage.Fail == true || stage.Fail == "true")
}
