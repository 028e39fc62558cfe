package pipeline

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
)

const rolloutTemplate = `{"schema":"v2","id":"rollout","metadata":{"name":"Rollout","scopes":["global"]},"variables":[
	{"name":"seconds","type":"int","defaultValue":3},{"name":"image","type":"string"},{"name":"ratio","type":"float","defaultValue":0.5},
	{"name":"quick","type":"boolean","defaultValue":false},{"name":"zones","type":"list","defaultValue":[]},{"name":"tags","type":"object","nullable":true}],
	"pipeline":{"limitConcurrent":true,"description":"of the template","stages":[{"type":"wait","waitTime":"${templateVariables.seconds}"}],
		"triggers":[{"type":"webhook","source":"ci","id":"t1","enabled":true}],"parameterConfig":[{"name":"size","default":"1"},{"name":"color","default":"red"}],
		"notifications":[{"type":"email","address":"a@example.com"}]}}`

func templated(more string) json.RawMessage {
	return json.RawMessage(`{"schema":"v2","type":"templatedPipeline","application":"storefront","name":"deploy",
		"template":{"artifactAccount":"front50ArtifactCredentials","type":"front50/pipelineTemplate","reference":"spinnaker://rollout:stable"}` + more + `}`)
}

func TestTemplateKeys(t *testing.T) {
	for reference, want := range map[string]TemplateKey{
		"spinnaker://rollout:stable":      {ID: "rollout", Tag: "stable"},
		"rollout":                         {ID: "rollout", Tag: "latest"},
		"spinnaker://a.b-c@sha256:00ff":   {ID: "a.b-c", Digest: "00ff"},
		"spinnaker://rollout:production":  {},
		"gs://bucket/template.json":       {},
		"spinnaker://@sha256:00":          {},
		"spinnaker://rollout@sha256:":     {},
		"spinnaker://a b":                 {},
		"spinnaker://rollout:stable:test": {},
	} {
		got, err := ParseTemplateKey(reference)
		if want == (TemplateKey{}) {
			if delivery.KindOf(err) != delivery.Invalid {
				t.Errorf("%s: %v, want Invalid", reference, err)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", reference, got, err, want)
		}
		if again, err := ParseTemplateKey(want.String()); err != nil || again != want {
			t.Errorf("%s: read back as %v, %v", want, again, err)
		}
	}
}

func TestPlanTemplate(t *testing.T) {
	planned, err := PlanTemplate(templated(`,"id":"p1","description":"own","owner":{"kept":true},"variables":{"image":"storefront-1.1","seconds":"7","quick":"true"},
		"triggers":[{"type":"webhook","source":"mine","id":"mine"}],"parameterConfig":[{"name":"size","default":"2"}],"exclude":["notifications"],"stages":[]`), json.RawMessage(rolloutTemplate))
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	for text, into := range map[string]*any{string(planned.Document): &got, `{"id":"p1","application":"storefront","name":"deploy","description":"own","owner":{"kept":true},
		"limitConcurrent":true,"stages":[{"type":"wait","waitTime":"${templateVariables.seconds}"}],
		"triggers":[{"type":"webhook","source":"mine","id":"mine"},{"type":"webhook","source":"ci","id":"t1","enabled":true,"inherited":true}],
		"parameterConfig":[{"name":"size","default":"2"},{"name":"color","default":"red","inherited":true}],"notifications":[],
		"templateVariables":{"seconds":7,"image":"storefront-1.1","ratio":0.5,"quick":true,"zones":[],"tags":null}}`: &want} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("plan differs (-want +got):\n%s", diff)
	}
	d, err := Parse(planned.Document)
	if err != nil || len(d.Stages) != 1 || len(d.Triggers) != 2 || len(d.TemplateVariables) == 0 {
		t.Errorf("parsed %d stages, %d triggers, variables %s: %v", len(d.Stages), len(d.Triggers), d.TemplateVariables, err)
	}
}

// TestInheritedTriggersAreReplaced: a document that was saved with the triggers of its
// template does not keep those of an earlier version.
func TestInheritedTriggersAreReplaced(t *testing.T) {
	document := templated(`,"variables":{"image":"x"},"triggers":[{"type":"webhook","source":"mine"}]`)
	for _, source := range []string{"ci", "other"} {
		planned, err := PlanTemplate(document, json.RawMessage(strings.Replace(rolloutTemplate, `"source":"ci"`, `"source":"`+source+`"`, 1)))
		if err != nil {
			t.Fatal(err)
		}
		document = planned.WithTriggers(document)
		var got struct{ Triggers []struct{ Source string } }
		if err := json.Unmarshal(document, &got); err != nil || len(got.Triggers) != 2 || got.Triggers[0].Source != "mine" || got.Triggers[1].Source != source {
			t.Errorf("triggers %+v, %v, want mine and %s", got.Triggers, err, source)
		}
		if !IsTemplated(document) {
			t.Errorf("document %s", document)
		}
	}
}

func TestTemplatedPipelinesThatAreRefused(t *testing.T) {
	const image = `,"variables":{"image":"x"}`
	for name, tt := range map[string]struct {
		document json.RawMessage
		want     string
	}{
		"no value":           {templated(``), "/variables/image: is required: template rollout:stable has no default for it"},
		"unknown variable":   {templated(`,"variables":{"image":"x","imgae":"y"}`), "/variables/imgae: template rollout:stable has no variable of this name"},
		"fraction":           {templated(`,"variables":{"image":"x","seconds":1.5}`), "/variables/seconds: must be of type int, not a number"},
		"number for a text":  {templated(`,"variables":{"image":7}`), "/variables/image: must be of type string, not a number"},
		"word for a boolean": {templated(`,"variables":{"image":"x","quick":"yes"}`), "/variables/quick: must be of type boolean, not a string"},
		"variables a list":   {templated(`,"variables":[]`), "/variables: must be an object, not a list"},
		"own stages":         {templated(image + `,"stages":[{"type":"wait"}]`), "/stages: must be empty: the stages are those of the template"},
		"exclude":            {templated(image + `,"exclude":["stages"]`), `/exclude/0: is "stages"; must be triggers, parameters, notifications or expectedArtifacts`},
		"no template":        {json.RawMessage(`{"type":"templatedPipeline"}`), "/template: is required"},
		"another store":      {json.RawMessage(`{"template":{"type":"gcs/object","reference":"gs://x"}}`), `/template/type: is "gcs/object"; templates are stored here, which is front50/pipelineTemplate`},
		"no reference":       {json.RawMessage(`{"template":{}}`), "/template/reference: is required"},
	} {
		_, err := PlanTemplate(tt.document, json.RawMessage(rolloutTemplate))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
}

func TestFindingsOfTheTemplate(t *testing.T) {
	planned, err := PlanTemplate(templated(`,"variables":{"image":"x"},"triggers":[{"id":"mine"}]`), json.RawMessage(strings.Replace(rolloutTemplate, `"type":"webhook",`, ``, 1)))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Parse(planned.Document)
	want := []delivery.Finding{{Pointer: "/triggers/0/type", Message: "is required"},
		{Pointer: "/template", Message: "template rollout:stable: /triggers/1/type: is required"}}
	if diff := cmp.Diff(want, planned.Findings(delivery.FindingsOf(err))); diff != "" {
		t.Errorf("findings differ (-want +got):\n%s", diff)
	}
}

func TestCheckTemplate(t *testing.T) {
	if err := CheckTemplate(json.RawMessage(rolloutTemplate)); err != nil {
		t.Error(err)
	}
	for old, tt := range map[string]struct{ now, want string }{
		`"schema":"v2"`:             {`"schema":"1"`, "/schema: is \"1\"; templates of schema v2 can be stored"},
		`"id":"rollout"`:            {`"id":"rollout:stable"`, "/id: \"rollout:stable\" is not the id of a template"},
		`"scopes":["global"]`:       {`"scopes":"global"`, "/metadata/scopes: must be a list, not a string"},
		`"type":"int"`:              {`"type":"number"`, `/variables/0/type: is "number"; must be one of string, int, float, boolean, list, object`},
		`"name":"image"`:            {`"name":"seconds"`, `/variables/1/name: "seconds" is the name of /variables/0 already`},
		`"defaultValue":false`:      {`"defaultValue":"maybe"`, "/variables/3/defaultValue: must be of type boolean, not a string"},
		`"type":"wait"`:             {`"type":"wiat"`, `/pipeline/stages/0/type: "wiat" is not a known stage type`},
		`"limitConcurrent":true`:    {`"type":"templatedPipeline"`, "/pipeline/type: must not be given"},
		`"pipeline":{"limitConcurr`: {`"pipelines":{"limitConcurr`, "/pipeline: is required"},
	} {
		if err := CheckTemplate(json.RawMessage(strings.Replace(rolloutTemplate, old, tt.now, 1))); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.now, err, tt.want)
		}
	}
}

// TestPlannedVariablesHaveTheirType: a value that is no expression comes out in the
// type that the template declares, or is refused.
func TestPlannedVariablesHaveTheirType(t *testing.T) {
	values := rapid.SampledFrom([]string{`1`, `-2`, `1.5`, `1e3`, `1e400`, `"1"`, `"1.5"`, `"x"`, `""`, `"NaN"`, `"0x10"`, `"true"`, `true`, `null`, `[]`, `[1]`, `{}`, `{"a":1}`})
	rapid.Check(t, func(t *rapid.T) {
		kind, value := rapid.SampledFrom(variableKinds).Draw(t, "kind"), values.Draw(t, "value")
		template := fmt.Sprintf(`{"variables":[{"name":"v","type":%q,"nullable":true}],"pipeline":{}}`, kind)
		planned, err := PlanTemplate(templated(`,"variables":{"v":`+value+`}`), json.RawMessage(template))
		if err != nil {
			if findings := delivery.FindingsOf(err); len(findings) != 1 || findings[0].Pointer != "/variables/v" {
				t.Fatalf("%s as %s: %v", value, kind, err)
			}
			return
		}
		var out struct{ TemplateVariables map[string]json.RawMessage }
		if err := json.Unmarshal(planned.Document, &out); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"int": "number", "float": "number"}[kind]
		if want == "" {
			want = kind
		}
		if got := delivery.JSONKind(out.TemplateVariables["v"]); got != want && value != "null" {
			t.Fatalf("%s as %s is %s", value, kind, out.TemplateVariables["v"])
		}
	})
}

// FuzzPlanTemplate: whatever the two documents, a refusal is Invalid with findings, and
// what is planned is JSON.
func FuzzPlanTemplate(f *testing.F) {
	f.Add([]byte(templated(`,"variables":{"image":"x"}`)), []byte(rolloutTemplate))
	f.Add([]byte(templated(`,"exclude":[1],"triggers":{}`)), []byte(`{"pipeline":{"triggers":"${x}"},"variables":[null]}`))
	f.Add([]byte(`[`), []byte(`null`))
	f.Fuzz(func(t *testing.T, document, template []byte) {
		planned, err := PlanTemplate(document, template)
		if err == nil {
			if !json.Valid(planned.Document) {
				t.Errorf("planned %s", planned.Document)
			}
			_, err := Parse(planned.Document)
			planned.Findings(delivery.FindingsOf(err))
			return
		}
		if delivery.KindOf(err) != delivery.Invalid || len(delivery.FindingsOf(err)) == 0 {
			t.Errorf("PlanTemplate(%s, %s): %v", document, template, err)
		}
	})
}

// TestStartOfWhatWasNotPlanned: no way of starting can leave the template out.
func TestStartOfWhatWasNotPlanned(t *testing.T) {
	newID := func() string { return "id" }
	p := delivery.Pipeline{ID: "p1", Document: templated(`,"variables":{"image":"x"}`)}
	d, err := Parse(p.Document)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Start(p, d, delivery.Trigger{}, newID, time.Unix(0, 0), nil)
	if findings := delivery.FindingsOf(err); len(findings) != 1 || findings[0].Pointer != "/template" {
		t.Errorf("unplanned: %v", err)
	}
	planned, err := PlanTemplate(p.Document, json.RawMessage(rolloutTemplate))
	if err != nil {
		t.Fatal(err)
	}
	p.Document = planned.Document
	if d, err = Parse(p.Document); err != nil {
		t.Fatal(err)
	}
	start, err := Start(p, d, delivery.Trigger{}, newID, time.Unix(0, 0), nil)
	if want := `{"image":"x","quick":false,"ratio":0.5,"seconds":3,"tags":null,"zones":[]}`; err != nil || string(start.Execution.TemplateVariables) != want {
		t.Errorf("planned: variables %s, %v, want %s", start.Execution.TemplateVariables, err, want)
	}
}

func TestToTemplate(t *testing.T) {
	p := delivery.Pipeline{Application: "storefront", Name: "Deploy prod!", LastModifiedBy: "joe",
		Document: json.RawMessage(`{"id":"p1","application":"storefront","name":"Deploy prod!","index":3,"keep":[1],"stages":[{"type":"wait","waitTime":1}]}`)}
	template, err := ToTemplate(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckTemplate(template); err != nil {
		t.Error(err)
	}
	planned, err := PlanTemplate(json.RawMessage(`{"application":"storefront","name":"copy","template":{"reference":"spinnaker://storefront-deploy-prod"}}`), template)
	if want := `{"application":"storefront","keep":[1],"name":"copy","stages":[{"type":"wait","waitTime":1}],"templateVariables":{}}`; err != nil || string(planned.Document) != want {
		t.Errorf("planned %s, %v, want %s", planned.Document, err, want)
	}
	if _, err := ToTemplate(delivery.Pipeline{Document: templated(``)}); delivery.KindOf(err) != delivery.Invalid {
		t.Errorf("a templated pipeline: %v, want Invalid", err)
	}
}
