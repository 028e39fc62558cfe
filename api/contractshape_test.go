package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// problemShape is the shape of every error: Spring's fields and RFC 9457's.
const problemShape = `{"timestamp":"string","status":"number","error":"string","message":"string","type":"string","title":"string","detail":"string",
	"instance":"string","code":"string","requestId":"string"}`

// checkShape compares a body with a shape of contract.txt.
func checkShape(shape string, body []byte) error {
	switch shape {
	case "void":
		if len(body) != 0 {
			return fmt.Errorf("a body, want none")
		}
		return nil
	case "text":
		if len(body) == 0 || json.Valid(body) {
			return fmt.Errorf("no text")
		}
		return nil
	case "problem":
		shape = problemShape
	}
	var want, got any
	if err := json.Unmarshal([]byte(shape), &want); err != nil {
		return fmt.Errorf("shape %s: %w", shape, err)
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	return compareShape("", want, got)
}

func compareShape(at string, want, got any) error {
	switch w := want.(type) {
	case string:
		return compareType(at, w, got)
	case []any:
		items, ok := got.([]any)
		if !ok || (len(w) == 0) != (len(items) == 0) {
			return fmt.Errorf("%s is %v, want a list of %d or more", at, got, len(w))
		}
		for i, item := range items {
			if err := compareShape(fmt.Sprintf("%s/%d", at, i), w[0], item); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		return compareObject(at, w, got)
	default:
		return fmt.Errorf("%s: a shape cannot be %v", at, want)
	}
}

func compareObject(at string, want map[string]any, got any) error {
	fields, ok := got.(map[string]any)
	if !ok || len(want) == 0 && len(fields) > 0 {
		return fmt.Errorf("%s is %v, want an object like %v", at, got, want)
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		name, optional := strings.CutSuffix(key, "?")
		value, there := fields[name]
		if !there && optional {
			continue
		}
		if !there {
			return fmt.Errorf("%s has no %s", at, name)
		}
		if err := compareShape(at+"/"+name, want[key], value); err != nil {
			return err
		}
	}
	return nil
}

func compareType(at, want string, got any) error {
	if text, exact := strings.CutPrefix(want, "="); exact {
		if got != text {
			return fmt.Errorf("%s is %v, want %q", at, got, text)
		}
		return nil
	}
	for kind := range strings.SplitSeq(want, "|") {
		if kind == typeName(got) || kind == "any" {
			return nil
		}
	}
	return fmt.Errorf("%s is %v, want %s", at, got, want)
}

func typeName(value any) string {
	switch value.(type) {
	case string:
		return "string"
	case float64:
		return "number"
	case bool:
		return "boolean"
	case nil:
		return "null"
	case []any:
		return "list"
	default:
		return "object"
	}
}

// TestShapesTellApart keeps the comparison itself honest.
func TestShapesTellApart(t *testing.T) {
	for _, row := range []struct {
		shape, body string
		fits        bool
	}{
		{"void", "", true}, {"void", "{}", false}, {"text", "hello", true}, {"text", `"x"`, false},
		{"[]", "[]", true}, {"[]", "[1]", false}, {`["string"]`, "[]", false}, {`["string"]`, `["a",1]`, false}, {`["string"]`, `["a"]`, true},
		{"{}", "{}", true}, {"{}", `{"a":1}`, false}, {`{"a":"number"}`, `{"a":1,"b":2}`, true}, {`{"a":"number"}`, `{"b":2}`, false},
		{`{"a?":"number"}`, `{"b":2}`, true}, {`{"a?":"number"}`, `{"a":"x"}`, false}, {`{"a":"string|null"}`, `{"a":null}`, true},
		{`{"a":"=x"}`, `{"a":"x"}`, true}, {`{"a":"=x"}`, `{"a":"y"}`, false}, {`{"a":"any"}`, `{"a":[]}`, true}, {`"object"`, `[]`, false},
		{"problem", `{"message":"x"}`, false}, {"[]", "nonsense", false},
	} {
		if err := checkShape(row.shape, []byte(row.body)); (err == nil) != row.fits {
			t.Errorf("%s fits %s: %v, want %v", row.body, row.shape, err, row.fits)
		}
	}
}
