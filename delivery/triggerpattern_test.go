package delivery_test

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
)

func TestTriggerPattern(t *testing.T) {
	const trigger = `{"type":"webhook","user":"Joe","parameters":{"env":"prod","n":3,"on":true,"none":null},
		"artifacts":[{"type":"docker/image","reference":"app:1.2"},{"type":"git","reference":"x"}],"payload":{"tags":["a","b"]}}`
	for _, row := range []struct {
		name, pattern string
		want          bool
	}{
		{"nothing asked", `{}`, true},
		{"a key", `{"type":"webhook"}`, true},
		{"another value", `{"type":"manual"}`, false},
		{"a key that is not there", `{"source":"github"}`, false},
		{"case of a text", `{"user":"jOE"}`, true},
		{"case of a key", `{"Type":"webhook"}`, false},
		{"a regular expression", `{"user":"J.*"}`, true},
		{"a regular expression of a part", `{"user":"o"}`, false},
		{"alternatives are one expression", `{"user":"J|x"}`, false},
		{"no regular expression", `{"user":"("}`, false},
		{"inside", `{"parameters":{"env":"PROD","n":3}}`, true},
		{"a number written otherwise", `{"parameters":{"n":3.0}}`, true},
		{"a number as text", `{"parameters":{"n":"3"}}`, false},
		{"a boolean", `{"parameters":{"on":true}}`, true},
		{"the other boolean", `{"parameters":{"on":false}}`, false},
		{"null is null", `{"parameters":{"none":null}}`, true},
		{"null is nothing", `{"parameters":{"missing":null}}`, true},
		{"null is no value", `{"parameters":{"env":null}}`, false},
		{"an element of a list", `{"artifacts":[{"reference":"app:.*"}]}`, true},
		{"elements in another order", `{"payload":{"tags":["b","a"]}}`, true},
		{"an element too many", `{"payload":{"tags":["a","c"]}}`, false},
		{"an empty list", `{"payload":{"tags":[]}}`, true},
		{"a list for an object", `{"parameters":[]}`, false},
		{"an object for a text", `{"user":{}}`, false},
		{"a number for an object", `{"parameters":1}`, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			p, err := delivery.ParseTriggerPattern(json.RawMessage(row.pattern))
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Matches(json.RawMessage(trigger)); got != row.want {
				t.Errorf("%s matches: %v, want %v", row.pattern, got, row.want)
			}
		})
	}
}

func TestTriggerPatternRefuses(t *testing.T) {
	for _, pattern := range []string{``, `[]`, `"x"`, `null`, `{`, `{} {}`, `{"a":"` + strings.Repeat("x", 20_000) + `"}`,
		strings.Repeat(`{"a":`, 30) + `1` + strings.Repeat(`}`, 30)} {
		if _, err := delivery.ParseTriggerPattern(json.RawMessage(pattern)); delivery.KindOf(err) != delivery.Invalid {
			t.Errorf("%.40q: %v, want Invalid", pattern, err)
		}
	}
}

// TestTriggerPatternMatchesItsSource: whatever is taken out of a trigger finds it.
func TestTriggerPatternMatchesItsSource(t *testing.T) {
	value := rapid.Custom(func(t *rapid.T) any { return drawJSON(t, 3) })
	rapid.Check(t, func(t *rapid.T) {
		trigger := map[string]any{}
		for key, v := range rapid.MapOfN(rapid.StringMatching(`[a-d]`), value, 0, 4).Draw(t, "trigger") {
			trigger[key] = v
		}
		pattern := map[string]any{}
		for key, v := range trigger {
			if rapid.Bool().Draw(t, "keep "+key) {
				pattern[key] = v
			}
		}
		whole, err := json.Marshal(trigger)
		if err != nil {
			t.Fatal(err)
		}
		part, err := json.Marshal(pattern)
		if err != nil {
			t.Fatal(err)
		}
		p, err := delivery.ParseTriggerPattern(part)
		if err != nil {
			t.Fatal(err)
		}
		if !p.Matches(whole) {
			t.Fatalf("%s does not match %s", part, whole)
		}
	})
}

func drawJSON(t *rapid.T, depth int) any {
	most := 5
	if depth == 0 {
		most = 3
	}
	switch rapid.IntRange(0, most).Draw(t, "kind") {
	case 0:
		return rapid.String().Draw(t, "text")
	case 1:
		return rapid.Float64().Draw(t, "number")
	case 2:
		return rapid.Bool().Draw(t, "truth")
	case 3:
		return nil
	case 4:
		out := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			out = append(out, drawJSON(t, depth-1))
		}
		return out
	default:
		out := map[string]any{}
		for i := range rapid.IntRange(0, 3).Draw(t, "fields") {
			out[string(rune('a'+i))] = drawJSON(t, depth-1)
		}
		return out
	}
}
