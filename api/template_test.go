package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

func sprint(value any) string { return fmt.Sprint(value) }

func templateOf(seconds, more string) string {
	return `{"schema":"v2","id":"rollout","metadata":{"name":"Rollout","scopes":["global","storefront"]},"protect":false,` + more + `
		"variables":[{"name":"image","type":"string"},{"name":"seconds","type":"int","defaultValue":` + seconds + `}],
		"pipeline":{"stages":[{"type":"wait","name":"${templateVariables.image}","waitTime":"${templateVariables.seconds}"}],"parameterConfig":[{"name":"version","default":"1.1"}]}}`
}

func templatedPipeline(name, more string) string {
	return `{"schema":"v2","type":"templatedPipeline","application":"storefront","name":"` + name + `","triggers":[],"stages":[],
		"template":{"artifactAccount":"front50ArtifactCredentials","type":"front50/pipelineTemplate","reference":"spinnaker://rollout:stable"}` + more + `}`
}

// TestTemplateLife goes through what spin does: look, create or update, use, delete.
func TestTemplateLife(t *testing.T) {
	h := newHarness(t)
	h.do("GET", "/v2/pipelineTemplates/rollout?tag=stable", "").want(404)
	if task := h.do("POST", "/v2/pipelineTemplates/create?tag=stable", templateOf("3", "")).want(200); task.get("status") != "SUCCEEDED" {
		t.Errorf("task %s", task.body)
	}
	if text := h.do("POST", "/v2/pipelineTemplates/create?tag=stable", templateOf("3", "")).want(400).get("message"); text != "A pipeline template with id rollout:stable already exists" {
		t.Errorf("message %v", text)
	}
	h.do("POST", "/v2/pipelineTemplates/update/rollout?tag=test", templateOf("3", "")).want(404)
	h.do("POST", "/v2/pipelineTemplates/update/rollout", templateOf("5", `"tag":"stable","digest":"x",`)).want(200)
	h.do("POST", "/v2/pipelineTemplates/create?tag=test", templateOf("7", "")).want(200)
	for query, seconds := range map[string]float64{"": 7, "?tag=latest": 7, "?tag=stable": 5, "?tag=test": 7} {
		template := h.do("GET", "/v2/pipelineTemplates/rollout"+query, "").want(200)
		variables, _ := template.get("variables").([]any)
		if got := variables[1].(map[string]any)["defaultValue"]; got != seconds || template.get("id") != "rollout" || template.get("tag") != nil || template.get("digest") != nil {
			t.Errorf("%q: %s, want %v seconds", query, template.body, seconds)
		}
	}
	h.do("GET", "/v2/pipelineTemplates/rollout?tag=stable&digest=x", "").want(400)
	h.do("GET", "/v2/pipelineTemplates/rollout?tag=production", "").want(400)

	var versions map[string][]struct{ ID, Tag, Digest string }
	h.do("GET", "/v2/pipelineTemplates/versions", "").want(200).into(&versions)
	tags := []string{}
	for _, v := range versions["rollout"] {
		tags = append(tags, v.Tag)
		if h.do("GET", "/v2/pipelineTemplates/rollout?digest="+v.Digest, "").want(200); len(v.Digest) != 64 || v.ID != "rollout" {
			t.Errorf("version %+v", v)
		}
	}
	if got := strings.Join(tags, " "); got != "latest stable test " { // the first version has its digest alone
		t.Errorf("tags %q", got)
	}
	var list []map[string]any
	for path, want := range map[string]int{"/v2/pipelineTemplates": 1, "/v2/pipelineTemplates?scopes=": 1, "/v2/pipelineTemplates?scopes=x,storefront": 1,
		"/v2/pipelineTemplates?scopes=x": 0, "/v2/pipelineTemplates/rollout/dependents": 0} {
		if h.do("GET", path, "").want(200).into(&list); len(list) != want {
			t.Errorf("%s: %d, want %d", path, len(list), want)
		}
	}
	h.do("DELETE", "/v2/pipelineTemplates/rollout?tag=test", "").want(202)
	h.do("DELETE", "/v2/pipelineTemplates/rollout?tag=test", "").want(404)
	if task := h.do("DELETE", "/v2/pipelineTemplates/rollout", "").want(202); task.get("status") != "SUCCEEDED" {
		t.Errorf("task %s", task.body)
	}
	h.do("GET", "/v2/pipelineTemplates/rollout", "").want(404)
	h.do("GET", "/v2/pipelineTemplates/rollout?digest="+versions["rollout"][0].Digest, "").want(404)
}

func TestTemplatedPipelines(t *testing.T) {
	h := newHarness(t)
	const image = `,"variables":{"image":"storefront-${parameters.version}"}`
	if fields := h.do("POST", "/pipelines", templatedPipeline("deploy", image)).want(400).fields(); !strings.Contains(fields["/template/reference"], "there is no template rollout:stable") {
		t.Errorf("fields %v", fields)
	}
	h.do("POST", "/v2/pipelineTemplates/create?tag=stable", templateOf("3", "")).want(200)
	for more, pointer := range map[string]string{``: "/variables/image", `,"variables":{"image":"x","secnods":1}`: "/variables/secnods", `,"variables":{"image":"x","seconds":"soon"}`: "/variables/seconds"} {
		if fields := h.do("POST", "/v2/pipelineTemplates/plan", templatedPipeline("deploy", more)).want(400).fields(); fields[pointer] == "" {
			t.Errorf("%s: fields %v, want %s", more, fields, pointer)
		}
		if fields := h.do("POST", "/pipelines", templatedPipeline("deploy", more)).want(400).fields(); fields[pointer] == "" {
			t.Errorf("%s: fields %v, want %s", more, fields, pointer)
		}
	}
	plan := h.do("POST", "/v2/pipelineTemplates/plan", templatedPipeline("deploy", image)).want(200)
	if plan.get("templateVariables.image") != "storefront-${parameters.version}" || plan.get("templateVariables.seconds") != 3.0 || plan.get("type") != nil {
		t.Errorf("plan %s", plan.body)
	}
	start := strings.Replace(templatedPipeline("deploy", image), `{"schema"`, `{"plan":true,"schema"`, 1)
	if again := h.do("POST", "/pipelines/start", start).want(200); string(again.body) != string(plan.body) {
		t.Errorf("plan by start %s, want %s", again.body, plan.body)
	}
	h.do("POST", "/pipelines", templatedPipeline("deploy", image)).want(200).void()
	if saved := h.do("GET", "/applications/storefront/pipelineConfigs/deploy", "").want(200); saved.get("type") != "templatedPipeline" || saved.get("variables.image") == nil {
		t.Errorf("saved %s", saved.body)
	}

	id := h.startOf("deploy", `{"parameters":{"version":"1.2"}}`)
	e := h.do("GET", "/pipelines/"+string(id), "").want(200)
	if e.get("templateVariables.seconds") != 3.0 || e.get("trigger.parameters.version") != "1.2" {
		t.Errorf("execution %s", e.body)
	}
	var definition map[string]json.RawMessage
	if err := json.Unmarshal(h.store.definition(id), &definition); err != nil || definition["type"] != nil || !strings.Contains(string(definition["stages"]), "templateVariables.seconds") {
		t.Errorf("definition %s", h.store.definition(id))
	}
	for _, path := range []string{"/v2/pipelineTemplates/rollout", "/v2/pipelineTemplates/rollout?tag=stable"} {
		if a := h.do("DELETE", path, "").want(400); !strings.Contains(string(a.body), "pipeline deploy of storefront is made from it") {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	h.do("DELETE", "/v2/pipelineTemplates/rollout?tag=latest", "").want(202)
	renamed := strings.Replace(templateOf("3", ""), `"name":"image"`, `"name":"picture"`, 1)
	if a := h.do("POST", "/v2/pipelineTemplates/update/rollout?tag=stable", renamed).want(400); !strings.Contains(string(a.body), "pipeline deploy of storefront would not be valid: /variables/picture") {
		t.Errorf("%s", a.body)
	}
	h.do("POST", "/v2/pipelineTemplates/update/rollout?tag=stable&skipPlanDependents=true", renamed).want(200)
	if fields := h.do("POST", "/pipelines/storefront/deploy", ``).want(400).fields(); fields["/variables/picture"] == "" {
		t.Errorf("a start with another template: fields %v", fields)
	}
}

func TestTemplatesThatAreRefused(t *testing.T) {
	h := newHarness(t)
	good := templateOf("3", "")
	for _, tt := range []struct{ old, now, pointer string }{
		{`"schema":"v2"`, `"schema":"1"`, "/schema"},
		{`"id":"rollout"`, `"id":"a b"`, "/id"},
		{`"type":"int"`, `"type":"integer"`, "/variables/1/type"},
		{`"type":"wait"`, `"type":"wiat"`, "/pipeline/stages/0/type"},
		{`${templateVariables.seconds}`, `${templateVariables.}`, "/pipeline/stages/0/waitTime"},
		{`"protect":false`, `"tag":"production"`, "/tag"},
	} {
		if fields := h.do("POST", "/v2/pipelineTemplates/create", strings.Replace(good, tt.old, tt.now, 1)).want(400).fields(); fields[tt.pointer] == "" {
			t.Errorf("%s: fields %v, want %s", tt.now, fields, tt.pointer)
		}
	}
	if fields := h.do("POST", "/v2/pipelineTemplates/update/other", good).want(400).fields(); fields["/id"] == "" {
		t.Errorf("another id: fields %v", fields)
	}
	h.do("POST", "/pipelines/start", `{"type":"templatedPipeline","application":"a","name":"p"}`).want(400)
	job := `{"type":"createV2PipelineTemplate","tag":"stable","pipelineTemplate":`
	if fields := h.do("POST", "/tasks", `{"application":"a","job":[`+job+`"%%"}]}`).want(400).fields(); fields["/job/0/pipelineTemplate"] == "" {
		t.Errorf("no base64: fields %v", fields)
	}
	if task := h.task(`{"application":"a","job":[` + job + good + `}]}`); task.get("status") != "SUCCEEDED" {
		t.Errorf("job %s", task.body)
	}
	if task := h.task(`{"application":"a","job":[{"type":"deleteV2PipelineTemplate","pipelineTemplateId":"rollout"}]}`); task.get("status") != "SUCCEEDED" {
		t.Errorf("job %s", task.body)
	}
	h.do("GET", "/v2/pipelineTemplates/rollout", "").want(404)
}

func TestConvertToTemplate(t *testing.T) {
	h := newHarness(t)
	id := h.save("Deploy prod", `[{"type":"wait","waitTime":1}]`)
	template := h.do("GET", "/pipelineConfigs/"+id+"/convertToTemplate", "").want(200)
	h.do("POST", "/v2/pipelineTemplates/create", string(template.body)).want(200)
	h.do("GET", "/v2/pipelineTemplates/storefront-deploy-prod", "").want(200)
	h.do("GET", "/pipelineConfigs/nothing/convertToTemplate", "").want(404)
}

// TestEventsAndTemplates: the triggers of a template start what is made from it, follow
// the template, and record a failed start when it is gone.
func TestEventsAndTemplates(t *testing.T) {
	h := newHarness(t)
	withTrigger := func(source string) string {
		return strings.Replace(templateOf("3", ""), `"parameterConfig"`, `"triggers":[{"type":"webhook","source":"`+source+`"}],"parameterConfig"`, 1)
	}
	h.do("POST", "/v2/pipelineTemplates/create?tag=stable", withTrigger("ci")).want(200)
	h.do("POST", "/pipelines", templatedPipeline("deploy", `,"variables":{"image":"x"}`)).want(200)
	h.do("POST", "/pipelines", templatedPipeline("quiet", `,"variables":{"image":"x"},"exclude":["triggers"]`)).want(200)
	started := func(event string) []string {
		t.Helper()
		h.do("POST", "/webhooks/webhook/"+event, `{}`).want(200)
		var list []struct {
			Name, Status       string
			CancellationReason string
			TemplateVariables  struct{ Image string }
		}
		h.do("GET", "/applications/storefront/pipelines?limit=100", "").want(200).into(&list)
		out := []string{}
		for _, e := range list {
			out = append(out, e.Name+" "+e.Status+" "+e.TemplateVariables.Image+e.CancellationReason)
		}
		return out
	}
	if got := started("ci"); sprint(got) != "[deploy NOT_STARTED x]" {
		t.Errorf("started %q", got)
	}
	h.do("POST", "/v2/pipelineTemplates/update/rollout?tag=stable", withTrigger("other")).want(200)
	if got := started("ci"); len(got) != 1 {
		t.Errorf("a trigger that the template lost fired: %q", got)
	}
	if got := started("other"); len(got) != 2 {
		t.Errorf("a trigger that the template got did not fire: %q", got)
	}
	if _, err := h.store.ChangeDocuments(t.Context(), delivery.DocumentChange{Delete: true, Document: delivery.Document{Kind: delivery.TemplateDocument, ID: "rollout:stable"}}); err != nil {
		t.Fatal(err)
	}
	got := started("other")
	if len(got) != 3 || !strings.Contains(sprint(got), "deploy TERMINAL Failed on startup: pipeline is not valid: /template/reference: there is no template rollout:stable") {
		t.Errorf("started %q", got)
	}
}
