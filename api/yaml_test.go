package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

func TestFromYAML(t *testing.T) {
	for text, want := range map[string]string{
		"a: 1\nb: [x, yes, on, 1.10, 007, 0x1F, true, ~, 2026-01-01]": `{"a":1,"b":["x","yes","on",1.10,7,31,true,null,"2026-01-01"]}`,
		"name: \"007\"\n1: one\ntrue: two":                            `{"1":"one","name":"007","true":"two"}`,
		"base: &b {x: [1]}\nother: *b":                                `{"base":{"x":[1]},"other":{"x":[1]}}`,
		"text: |\n  two\n  lines\n":                                   `{"text":"two\nlines\n"}`,
		"n: 123456789012345678901234567890":                           `{"n":123456789012345678901234567890}`,
		`{"json": ["is", {"yaml": "too"}]}`:                           `{"json":["is",{"yaml":"too"}]}`,
	} {
		got, err := fromYAML([]byte(text))
		if err != nil || string(got) != want {
			t.Errorf("%q: %s, %v, want %s", text, got, err, want)
		}
	}
}

func TestYAMLThatIsRefused(t *testing.T) {
	bomb := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := range 9 {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 10), ","))
	}
	for name, tt := range map[string]struct{ text, pointer, want string }{
		"nothing":         {"", "", "empty"},
		"malformed":       {"a: [", "", "malformed YAML"},
		"two documents":   {"a: 1\n---\nb: 1", "", "more than one YAML document"},
		"alias bomb":      {bomb, "", "more than 100000 values"},
		"alias of itself": {"a: &a [*a]", "", "nests deeper than 100 levels"},
		"long texts":      {"a: &a " + strings.Repeat("x", 1000) + "\nb: [" + strings.Repeat("*a,", 2000) + "]", "", "larger than 1048576 bytes"},
		"deep":            {"a: " + strings.Repeat("[", 200) + strings.Repeat("]", 200), "", "nests deeper"},
		"key twice":       {"a:\n  b: 1\n  b: 2", "/a/b", "line 3: the key stands twice"},
		"merge key":       {"a: &a {x: 1}\nb:\n  <<: *a", "/b", "merge keys"},
		"list as key":     {"? [1]\n: 2", "", "a key must be a text"},
		"infinite":        {"a: .inf", "/a", "cannot be a number"},
		"binary":          {"a: !!binary aGk=", "/a", "type !!binary"},
		"own tag":         {"a: !Ref x", "/a", "type !Ref"},
	} {
		_, err := fromYAML([]byte(tt.text))
		findings := delivery.FindingsOf(err)
		if len(findings) != 1 || findings[0].Pointer != tt.pointer || !strings.Contains(findings[0].Message, tt.want) {
			t.Errorf("%s: %v, want %s: %s", name, err, tt.pointer, tt.want)
		}
	}
}

// FuzzYAML: whatever the text, it is refused as Invalid or comes out as JSON.
func FuzzYAML(f *testing.F) {
	for _, seed := range []string{"a: &a [*a]", "<<: {a: 1}", "- 1e999\n- -.inf", "? {a: b}\n: c", "--- !!set {a, b}", "%YAML 1.1\n---\na: 1_000"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		out, err := fromYAML([]byte(text))
		if err == nil && !json.Valid(out) || err != nil && delivery.KindOf(err) != delivery.Invalid {
			t.Errorf("%q: %s, %v", text, out, err)
		}
	})
}
