package pipeline

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
)

func TestWrongVariables(t *testing.T) {
	variables := func(list string) string { return `{"type":"evaluateVariables","variables":` + list + `}` }
	for _, test := range []struct{ name, stage, pointer, message string }{
		{"no list", `{"type":"evaluateVariables"}`, "/variables", "is required"},
		{"an object", variables(`{}`), "/variables", "must be a list"},
		{"an expression", variables(`"${list}"`), "/variables", "must not be an expression"},
		{"no key", variables(`[{"value":1}]`), "/variables/0/key", "is required"},
		{"a computed key", variables(`[{"key":"${k}","value":1}]`), "/variables/0/key", "must not be an expression"},
		{"a name that is taken", variables(`[{"key":"trigger","value":1}]`), "/variables/0/key", "no stage would see the variable"},
		{"no value", variables(`[{"key":"a"}]`), "/variables/0/value", "is required"},
		{"too many", variables(`[` + strings.TrimSuffix(strings.Repeat(`{"key":"a","value":1},`, maxVariables+1), ",") + `]`), "/variables", "101 variables"},
		{"a flag in words", `{"type":"evaluateVariables","variables":[],"failOnFailedExpressions":"perhaps"}`, "/failOnFailedExpressions", "boolean"},
	} {
		wantFinding(t, test.name, test.stage, test.pointer, test.message)
	}
}

// TestEvaluateVariables sees what was evaluated before, and nothing of what failed. What
// only lacks a value stays in a text, which is a variable all the same.
func TestEvaluateVariables(t *testing.T) {
	at := time.UnixMilli(7)
	evaluate := func(value, known json.RawMessage) EvaluatedVariable {
		var seen map[string]json.RawMessage
		if json.Unmarshal(known, &seen) != nil {
			t.Fatalf("known is %s", known)
		}
		before, name, isName := strings.Cut(strings.TrimSuffix(unquote(value), "}"), "${")
		summary := EvaluationSummary{}
		switch v, ok := seen[name]; {
		case !isName:
			return EvaluatedVariable{Value: value, Known: true}
		case ok && before == "":
			return EvaluatedVariable{Value: v, Known: true}
		case name == "bad":
			summary.Add(name, "bad fails", false, at)
			return EvaluatedVariable{Value: value, Summary: summary}
		default:
			summary.Add(name, name+" has no value", true, at)
			return EvaluatedVariable{Value: value, Known: before != "", Summary: summary}
		}
	}
	rest := func(rest json.RawMessage) (json.RawMessage, error) { return rest, nil }
	const list = `"variables":[{"key":"a","value":{"x":1}},{"key":"b","value":"${a}","description":"d"},{"key":"c","value":"${z}"},{"key":"d","value":"${c}"},{"key":"a","value":2},{"key":"e","value":"${a}"},
		{"key":"f","value":"v:${bad}"},{"key":"g","value":"v:${z}","unevaluated":{"description":"from somewhere"}},{"key":"h","value":"${g}","unevaluated":{"description":"from somewhere"}},{"key":"i","value":"z"}]`
	out, err := EvaluateVariables(json.RawMessage(`{`+list+`,"comments":"kept"}`), evaluate, rest)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseVariables(out)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]json.RawMessage{"a": json.RawMessage("2"), "b": json.RawMessage(`{"x":1}`), "e": json.RawMessage("2"), "g": json.RawMessage(`"v:${z}"`), "h": json.RawMessage(`"v:${z}"`), "i": json.RawMessage(`"z"`)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\n%s", diff, out)
	}
	var context struct {
		Comments string
		Summary  map[string][]struct{ Level, Description string } `json:"expressionEvaluationSummary"`
	}
	if err := json.Unmarshal(out, &context); err != nil || context.Comments != "kept" || len(context.Summary["z"]) != 2 || context.Summary["z"][0].Level != "INFO" || context.Summary["bad"][0].Level != "ERROR" {
		t.Errorf("%v: %s", err, out)
	}
	out, err = EvaluateVariables(json.RawMessage(`{`+list+`,"failOnFailedExpressions":true}`), evaluate, rest)
	if err != nil {
		t.Fatal(err)
	}
	_, err = ParseVariables(out)
	findings := []delivery.Finding{{Pointer: "/variables/2/value", Message: "z has no value"}, {Pointer: "/variables/3/value", Message: "c has no value"},
		{Pointer: "/variables/6/value", Message: "bad fails"}, {Pointer: "/variables/7/value", Message: "z has no value"}}
	if diff := cmp.Diff(findings, delivery.FindingsOf(err)); diff != "" || delivery.KindOf(err) != delivery.Invalid {
		t.Errorf("%v: %s", err, diff)
	}
}

// TestVariablesRecordedBefore: of a stage that began before variables said themselves what
// was not evaluated, the summary does.
func TestVariablesRecordedBefore(t *testing.T) {
	got, err := ParseVariables(json.RawMessage(`{"variables":[{"key":"a","value":"${z}"},{"key":"b","value":"z"}],"expressionEvaluationSummary":{"z":[{"level":"ERROR","description":"z has no value"}]}}`))
	if diff := cmp.Diff(map[string]json.RawMessage{"b": json.RawMessage(`"z"`)}, got); err != nil || diff != "" {
		t.Errorf("%v: %s", err, diff)
	}
}
