package saving

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// CheckDefinition returns what is wrong with a pipeline's stages, parameters and
// triggers, and with the expressions in all its strings and keys.
func CheckDefinition(document json.RawMessage) error {
	_, err := pipeline.Parse(document)
	findings := slices.Clone(delivery.FindingsOf(err))
	if err != nil && len(findings) == 0 {
		return err
	}
	findings = append(findings, expression.Check(document)...)
	findings = append(findings, checkConditions(document)...)
	return delivery.InvalidError("pipeline is not valid", delivery.InOrder(findings))
}

// checkConditions checks the expressions that people write without "${}". What has
// "${" is checked with all other strings.
func checkConditions(document json.RawMessage) []delivery.Finding {
	var findings []delivery.Finding
	check := func(pointer string, holder map[string]json.RawMessage) {
		var text string
		if raw, ok := holder["expression"]; !ok || json.Unmarshal(raw, &text) != nil {
			return // the stage's reader says what is wrong
		}
		findings = append(findings, delivery.Under(pointer+"/expression", expression.CheckCondition(text))...)
	}
	for i, raw := range decoded[[]json.RawMessage](decoded[map[string]json.RawMessage](document)["stages"]) {
		stage, at := decoded[map[string]json.RawMessage](raw), stagePointer(i)
		check(at+"/stageEnabled", decoded[map[string]json.RawMessage](stage["stageEnabled"]))
		for j, raw := range decoded[[]json.RawMessage](stage["preconditions"]) {
			precondition := decoded[map[string]json.RawMessage](raw)
			if decoded[string](precondition["type"]) == "expression" {
				check(fmt.Sprintf("%s/preconditions/%d/context", at, j), decoded[map[string]json.RawMessage](precondition["context"]))
			}
		}
	}
	return findings
}

// decoded reads JSON of one type; anything else is the zero value.
func decoded[T any](raw json.RawMessage) T {
	var out, none T
	if json.Unmarshal(raw, &out) != nil {
		return none
	}
	return out
}
