package pipeline

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
)

func TestParseSavePipeline(t *testing.T) {
	const document = `{"name":"a","x":"${y}"}`
	for _, test := range []struct {
		stage string
		want  SavePipeline
	}{
		{`{"pipeline":{"x":"${y}","name":"a"},"staleCheck":"true"}`, SavePipeline{Document: json.RawMessage(document), StaleCheck: true}},
		{`{"pipeline":"` + base64.StdEncoding.EncodeToString([]byte(document)) + `"}`, SavePipeline{Document: json.RawMessage(document)}},
	} {
		got, err := ParseSavePipeline(json.RawMessage(test.stage))
		if err != nil {
			t.Errorf("%s: %v", test.stage, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.stage, diff)
		}
	}
	got, err := ParseDeletePipeline(json.RawMessage(`{"pipeline":{"application":"Shop","name":" a ","id":"7"}}`))
	if want := (DeletePipeline{Application: "shop", Name: "a", ID: "7"}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
}

// saving is a pipeline whose only stage saves another.
func saving(document string) string {
	return `{"name":"a","application":"a","stages":[{"type":"savePipeline","pipeline":` + document + `}]}`
}

func nested(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }

// TestSavesInSaves: a check goes through the pipeline that a stage saves, and not through
// those which that one saves. They are checked by the next save.
func TestSavesInSaves(t *testing.T) {
	wrong := `{"name":"a","application":"a","stages":[{"type":"wait","waitTime":-1}]}`
	for range 20 {
		if _, err := Parse(json.RawMessage(saving(saving(wrong)))); err != nil {
			t.Errorf("%v", delivery.FindingsOf(err))
		}
		wrong = saving(wrong)
	}
	wrong = `{"name":"a","application":"a","stages":[{"type":"wait","waitTime":-1}]}`
	_, err := Parse(json.RawMessage(saving(wrong)))
	want := []delivery.Finding{{Pointer: "/stages/0/pipeline/stages/0/waitTime", Message: "is -1; must not be negative"}}
	if diff := cmp.Diff(want, delivery.FindingsOf(err)); diff != "" {
		t.Error(diff)
	}
	right := `{"name":"a","application":"a","x":` + nested(maxNesting-1) + `}`
	if _, err := ParseSavePipeline(json.RawMessage(`{"pipeline":"` + base64.StdEncoding.EncodeToString([]byte(right)) + `"}`)); err != nil {
		t.Errorf("%v", delivery.FindingsOf(err))
	}
}

// TestWrongSaves are refused when the pipeline that has the stage is saved.
func TestWrongSaves(t *testing.T) {
	encoded := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	deep := saving(`{"name":"a","application":"a"}`)
	for range maxNesting {
		deep = saving(deep)
	}
	for _, test := range []struct{ name, stage, pointer, message string }{
		{"nothing", `{"type":"savePipeline"}`, "/pipeline", notADocument},
		{"a list", `{"type":"savePipeline","pipeline":[]}`, "/pipeline", notADocument},
		{"no base64", `{"type":"updatePipeline","pipeline":"{}"}`, "/pipeline", notADocument},
		{"no object", `{"type":"updatePipeline","pipeline":"` + encoded("[]") + `"}`, "/pipeline", notADocument},
		{"no text", `{"type":"updatePipeline","pipeline":"` + encoded("{\"a\":\"\xff\"}") + `"}`, "/pipeline", notADocument},
		{"a number for a name", `{"type":"savePipeline","pipeline":{"name":3,"application":"a"}}`, "/pipeline/name", "must be a string"},
		{"no name", `{"type":"savePipeline","pipeline":{"application":"a","stages":[]}}`, "/pipeline/name", "is required"},
		{"no application", `{"type":"savePipeline","pipeline":"` + encoded(`{"name":"a"}`) + `"}`, "/pipeline/application", "is not the name"},
		{"a wrong stage", `{"type":"savePipeline","pipeline":{"name":"a","application":"a","stages":[{"type":"wait","waitTime":-1}]}}`, "/pipeline/stages/0/waitTime", ""},
		{"a wrong stage in a stage", `{"type":"savePipeline","pipeline":{"name":"a","application":"a","stages":[{"type":"deletePipeline"}]}}`, "/pipeline/stages/0/pipeline", notADocument},
		{"an unreadable pipeline in a pipeline", `{"type":"savePipeline","pipeline":` + saving("[]") + `}`, "/pipeline/stages/0/pipeline", notADocument},
		{"a large one", `{"type":"savePipeline","pipeline":"` + encoded(`{"name":"a","application":"a","x":"`+strings.Repeat("x", maxDocument)+`"}`) + `"}`, "/pipeline", "1048576 are allowed"},
		{"a deep one", `{"type":"updatePipeline","pipeline":"` + encoded(`{"name":"a","application":"a","x":`+nested(maxNesting)+`}`) + `"}`, "/pipeline", "nests deeper than 100 levels"},
		{"pipelines in a pipeline", `{"type":"savePipeline","pipeline":"` + encoded(deep) + `"}`, "/pipeline", "nests deeper than 100 levels"},
		{"a deep one behind a number that no float holds", `{"type":"deletePipeline","pipeline":"` + encoded(`{"name":"a","a":1e999,"x":`+nested(maxNesting)+`}`) + `"}`, "/pipeline", "nests deeper than 100 levels"},
		{"many", `{"type":"savePipeline","isBulkSavingPipelines":true,"pipelines":"W10="}`, "/pipelines", "one stage saves one pipeline"},
		{"a flag in words", `{"type":"savePipeline","pipeline":{"name":"a","application":"a"},"staleCheck":"maybe"}`, "/staleCheck", "boolean"},
		{"nobody to delete", `{"type":"deletePipeline","pipeline":{"application":"a"}}`, "/pipeline/name", "is required: which pipeline"},
	} {
		wantFinding(t, test.name, test.stage, test.pointer, test.message)
	}
	for _, right := range []string{`{"type":"savePipeline","pipeline":"${p}","staleCheck":"${q}"}`, `{"type":"deletePipeline","pipeline":{"name":"${p}","application":"${q}"}}`,
		`{"type":"savePipeline","pipeline":{"name":"a","application":"a","stages":[{"type":"wait","waitTime":"${p}"}]}}`} {
		if _, err := Parse(json.RawMessage(`{"stages":[` + right + `]}`)); err != nil {
			t.Errorf("%s: %v", right, err)
		}
	}
}
