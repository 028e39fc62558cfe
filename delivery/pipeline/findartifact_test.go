package pipeline

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
)

// TestWrongArtifactStages are refused when the pipeline is saved.
func TestWrongArtifactStages(t *testing.T) {
	find := func(fields string) string {
		return `{"type":"findArtifactFromExecution","pipeline":"build"` + fields + `}`
	}
	const image = `,"expectedArtifacts":[{"id":"a","matchArtifact":{"type":"docker/image"}}]`
	for _, test := range []struct{ name, stage, pointer, message string }{
		{"no contents", `{"type":"evaluateArtifacts"}`, "/artifactContents", "is required"},
		{"no name", `{"type":"evaluateArtifacts","artifactContents":[{"contents":"a"}]}`, "/artifactContents/0/name", "is required"},
		{"no pipeline", `{"type":"findArtifactFromExecution"` + image + `}`, "/pipeline", "is required"},
		{"no artifacts", find(""), "/expectedArtifacts", "is required"},
		{"an artifact without an id", find(`,"expectedArtifacts":[{"matchArtifact":{"type":"docker/image"}}]`), "/expectedArtifacts/0/id", "is required"},
		{"a wrong pattern", find(`,"expectedArtifacts":[{"id":"a","matchArtifact":{"name":"("}}]`), "/expectedArtifacts/0/matchArtifact/name", "regular expression"},
		{"options in a list", find(image + `,"executionOptions":[]`), "/executionOptions", "must be an object"},
		{"a flag in words", find(image + `,"executionOptions":{"successful":"often"}`), "/executionOptions/successful", "boolean"},
	} {
		wantFinding(t, test.name, test.stage, test.pointer, test.message)
	}
	for _, right := range []string{find(image), find(`,"expectedArtifacts":[{"id":"${a}","matchArtifact":{"name":"${b}"}}]`), find(`,"expectedArtifact":{"id":"a"}`),
		`{"type":"evaluateArtifacts","artifactContents":"${list}"}`} {
		if _, err := Parse(json.RawMessage(`{"stages":[` + right + `]}`)); err != nil {
			t.Errorf("%s: %v", right, err)
		}
	}
}

func TestParseContents(t *testing.T) {
	got, err := ParseContents(json.RawMessage(`{"artifactContents":[{"name":"a","contents":"hello"},{"name":"b","contents":{"x":1}},{"name":"c","contents":""},{"name":"d"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := EmbeddedArtifacts{[]EmbeddedArtifact{{"embedded/base64", "embedded-artifact", "a", "aGVsbG8="}, {"embedded/base64", "embedded-artifact", "b", "eyJ4IjoxfQ=="}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFindArtifact(t *testing.T) {
	e := delivery.Execution{Trigger: delivery.Trigger{Document: json.RawMessage(`{"artifacts":[{"type":"git/file","name":"values.yml"}]}`)}, Stages: []delivery.Stage{
		{RefID: "1", Outputs: json.RawMessage(`{"artifacts":[{"type":"docker/image","name":"gcr.io/a","version":"1","reference":"gcr.io/a:1"},{"type":"docker/image","name":"gcr.io/b"}]}`)}}}
	stage := func(expected string) string {
		return `{"pipeline":"build","executionOptions":{"succeeded":true,"running":true},"expectedArtifacts":` + expected + `}`
	}
	for _, test := range []struct {
		name, stage, artifacts, message string
	}{
		{"one", stage(`[{"id":"x","matchArtifact":{"type":"docker/image","name":".*/a"}}]`), `[{"name":"gcr.io/a","reference":"gcr.io/a:1","type":"docker/image","version":"1"}]`, ""},
		{"the older form", `{"pipeline":"build","expectedArtifact":{"id":"x","matchArtifact":{"name":"values.yml"}}}`, `[{"name":"values.yml","type":"git/file"}]`, ""},
		{"two of them", stage(`[{"id":"x","matchArtifact":{"type":"docker/image"}}]`), "", "/expectedArtifacts/0: Expected artifact x matches 2"},
		{"none", stage(`[{"id":"y","matchArtifact":{"type":"git/file"}},{"id":"x","displayName":"the chart","matchArtifact":{"type":"helm/chart"}}]`), "", "/expectedArtifacts/1: Unmatched expected artifact the chart"},
		{"a default", stage(`[{"id":"x","matchArtifact":{"type":"helm/chart"},"useDefaultArtifact":true,"defaultArtifact":{"type":"helm/chart","name":"c"}}]`), `[{"name":"c","type":"helm/chart"}]`, ""},
	} {
		find, err := ParseFindArtifact(json.RawMessage(test.stage))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		found, err := find.Among(e)
		raw, encodes := json.Marshal(found.Artifacts)
		if encodes != nil || (err == nil) != (test.message == "") || err != nil && !strings.Contains(err.Error(), test.message) || err == nil && string(raw) != test.artifacts {
			t.Errorf("%s: %s, %v, %v", test.name, raw, err, encodes)
		}
		if err == nil && (len(found.Resolved) != 1 || found.Resolved[0].ID != "x") {
			t.Errorf("%s: %+v", test.name, found.Resolved)
		}
	}
	find, err := ParseFindArtifact(json.RawMessage(stage(`[{"id":"x"}]`)))
	if err != nil || !cmp.Equal(find.Statuses, []delivery.Status{delivery.StatusSucceeded, delivery.StatusRunning}) {
		t.Errorf("%+v, %v", find, err)
	}
}
