package pipeline

import (
	"encoding/json"
	"fmt"
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

// TestEvaluateVariables sees what was evaluated before, and nothing of what failed.
func TestEvaluateVariables(t *testing.T) {
	evaluate := func(value, known json.RawMessage) (json.RawMessage, error) {
		var seen map[string]json.RawMessage
		if known != nil && json.Unmarshal(known, &seen) != nil {
			t.Fatalf("known is %s", known)
		}
		_, name, isName := strings.Cut(unquote(value), "${")
		if !isName || known == nil {
			return value, nil
		}
		if v, ok := seen[strings.TrimSuffix(name, "}")]; ok {
			return v, nil
		}
		return nil, delivery.InvalidError("evaluate", []delivery.Finding{{Message: name + " has no value"}})
	}
	const list = `"variables":[{"key":"a","value":{"x":1}},{"key":"b","value":"${a}","description":"d"},{"key":"c","value":"${z}"},{"key":"d","value":"${c}"},{"key":"a","value":2},{"key":"e","value":"${a}"}]`
	out, err := EvaluateVariables(json.RawMessage(`{`+list+`,"comments":"kept"}`), time.UnixMilli(7), evaluate)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseVariables(out)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]json.RawMessage{"a": json.RawMessage("2"), "b": json.RawMessage(`{"x":1}`), "e": json.RawMessage("2")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\n%s", diff, out)
	}
	var context struct {
		Comments string
		Summary  map[string][]struct{ Level, Description string } `json:"expressionEvaluationSummary"`
	}
	if err := json.Unmarshal(out, &context); err != nil || context.Comments != "kept" || context.Summary["z"][0].Level != "ERROR" {
		t.Errorf("%v: %s", err, out)
	}
	long := strings.Repeat("x", 2000)
	alike := fmt.Sprintf(`{"variables":[{"key":"good","value":%q},{"key":"bad","value":"%s${z}"}]}`, long, long)
	if out, err = EvaluateVariables(json.RawMessage(alike), time.UnixMilli(7), evaluate); err != nil {
		t.Fatal(err)
	}
	if got, err = ParseVariables(out); err != nil || len(got) != 1 || unquote(got["good"]) != long {
		t.Errorf("of two long texts that begin alike: %v %d %.100s", err, len(got), got["bad"])
	}
	out, err = EvaluateVariables(json.RawMessage(`{`+list+`,"failOnFailedExpressions":true}`), time.UnixMilli(7), evaluate)
	if err != nil {
		t.Fatal(err)
	}
	_, err = ParseVariables(out)
	findings := []delivery.Finding{{Pointer: "/variables/2/value", Message: "z} has no value"}, {Pointer: "/variables/3/value", Message: "c} has no value"}}
	if diff := cmp.Diff(findings, delivery.FindingsOf(err)); diff != "" || delivery.KindOf(err) != delivery.Invalid {
		t.Errorf("%v: %s", err, diff)
	}
}
