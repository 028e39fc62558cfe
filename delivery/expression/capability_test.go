package expression

import (
	"encoding/json"
	"testing"
)

// TestEveryFunctionIsDescribed compares what people are told with what is checked.
func TestEveryFunctionIsDescribed(t *testing.T) {
	for _, f := range Functions() {
		if f.Description == "" {
			t.Errorf("#%s is not described", f.Name)
		}
		takes := functions[f.Name]
		if takes.max >= 0 && len(f.Parameters) != takes.max || takes.max < 0 && len(f.Parameters) == 0 {
			t.Errorf("#%s is described with %d parameters and takes %d to %d", f.Name, len(f.Parameters), takes.min, takes.max)
		}
	}
	for name := range described {
		if _, ok := functions[name]; !ok {
			t.Errorf("#%s is described, but there is no such function", name)
		}
	}
}

func TestEveryFieldCanBeRead(t *testing.T) {
	env := Env{
		Parameters: json.RawMessage(`{"a":1}`),
		Trigger:    json.RawMessage(`{"type":"manual","buildInfo":{"number":1,"scm":[{"branch":"release/1","sha1":"c0ffee"}]}}`),
		Execution: json.RawMessage(`{"id":"e","templateVariables":{"v":1},"stages":[{"name":"Deploy","type":"deploy","status":"SUCCEEDED",
			"context":{"deploy.server.groups":{"us-east-1":["a-v001"]},"account":"x"},"outputs":{}}]}`),
	}
	for _, f := range Fields() {
		if _, ok, err := newScope(env).lookup(f.Name); !ok || err != nil || f.Description == "" {
			t.Errorf("%s (%s): %v, %v", f.Name, f.Description, ok, err)
		}
	}
}
