package api_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// TestPipelineJobs save, replace and delete a pipeline, in the forms that Spinnaker's
// clients send.
func TestPipelineJobs(t *testing.T) {
	h := newHarness(t)
	job := func(kind, document, more string) answer {
		return h.runTask(fmt.Sprintf(`{"application":"storefront","description":"a job","job":[{"type":%q,"pipeline":%s%s}]}`, kind, document, more))
	}
	encoded := func(document string) string {
		return `"` + base64.StdEncoding.EncodeToString([]byte(document)) + `"`
	}
	const wait = `,"stages":[{"refId":"1","type":"wait","waitTime":`
	if a := job("savePipeline", encoded(`{"application":"storefront","name":"nightly"`+wait+`1}]}`), ""); a.get("status") != "SUCCEEDED" {
		t.Fatalf("save: %s", a.body)
	}
	stored := h.do("GET", "/applications/storefront/pipelineConfigs/nightly", "").want(200)
	id, seen := stored.get("id").(string), fmt.Sprint(stored.get("updateTs"))
	if by := stored.get("lastModifiedBy"); by != "joe" {
		t.Errorf("saved by %v", by)
	}
	document := func(more string) string {
		return `{"application":"storefront","name":"nightly","id":"` + id + `","updateTs":"` + seen + `"` + wait + more + `}]}`
	}
	if a := job("updatePipeline", document("2"), `,"staleCheck":true`); a.get("status") != "SUCCEEDED" {
		t.Errorf("update: %s", a.body)
	}
	for _, test := range []struct{ name, kind, document, more, message string }{
		{"a stale one", "savePipeline", document("3"), `,"staleCheck":true`, "The submitted pipeline is stale"},
		{"a new one", "updatePipeline", encoded(`{"application":"storefront","name":"other"` + wait + `1}]}`), "", "is required: which pipeline"},
		{"a wrong stage", "savePipeline", document("-1"), "", "/pipeline/stages/0/waitTime"},
		{"a name that is taken", "savePipeline", encoded(`{"application":"storefront","name":"Nightly"` + wait + `1}]}`), "", "already exists"},
		{"no name", "deletePipeline", `{"application":"storefront"}`, "", "/pipeline/name"},
	} {
		a := job(test.kind, test.document, test.more)
		if a.get("status") != "TERMINAL" || !strings.Contains(string(a.body), test.message) {
			t.Errorf("%s: %s", test.name, a.body)
		}
	}
	for name, wrong := range map[string]string{"no JSON": encoded("hello"), "no base64": `"{}"`, "a number": `3`, "nothing": `null`, "a name in a list": `{"name":[]}`} {
		a := h.do("POST", "/tasks", `{"application":"storefront","job":[{"type":"savePipeline","pipeline":`+wrong+`}]}`).want(400)
		if !strings.Contains(string(a.body), `"/job/0/pipeline`) {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	for range 2 {
		if a := job("deletePipeline", `{"application":"storefront","name":"nightly"}`, ""); a.get("status") != "SUCCEEDED" {
			t.Errorf("delete: %s", a.body)
		}
	}
	h.do("GET", "/applications/storefront/pipelineConfigs/nightly", "").want(404)
}

// TestPipelineStagesAreChecked when the pipeline that has them is saved and started:
// what a save would refuse creates nothing.
func TestPipelineStagesAreChecked(t *testing.T) {
	h := newHarness(t)
	encoded := func(document string) string {
		return `"` + base64.StdEncoding.EncodeToString([]byte(document)) + `"`
	}
	const templated = `{"application":"storefront","name":"x","schema":"v2","type":"templatedPipeline","template":{"reference":"spinnaker://%s:stable"}}`
	for i, test := range []struct {
		fields           string
		saved, started   int
		pointer, message string
	}{
		{`"type":"savePipeline","pipeline":` + encoded(`{"application":"storefront","name":"x","stages":[{"refId":"1","type":"wait","waitTime":1}]}`), 200, 202, "", ""},
		{`"type":"savePipeline","pipeline":{"application":"other","name":"${1 +}","stages":[{"refId":"1","type":"wait","waitTime":"${parameters.nobody}"}]}`, 400, 0, "/stages/0/pipeline/name", "1 +"},
		{`"type":"updatePipeline","pipeline":{"application":"other","name":"x","stages":[{"refId":"1","type":"wait","waitTime":"${parameters.nobody}"}]}`, 200, 202, "", ""},
		{`"type":"savePipeline","pipeline":{"application":"other","name":"x","stages":[{"refId":"1","type":"wait","waitTime":-1}]}`, 400, 0, "/stages/0/pipeline/stages/0/waitTime", ""},
		{`"type":"savePipeline","pipeline":` + encoded(fmt.Sprintf(templated, "gone")), 200, 400, "/stages/0/pipeline/template/reference", "there is no template gone:stable"},
		{`"type":"savePipeline","pipeline":"${parameters.document}"`, 200, 400, "/stages/0/pipeline", "base64"},
		{`"type":"savePipeline","stageEnabled":{"type":"expression","expression":"false"},"pipeline":"${parameters.document}"`, 200, 202, "", ""},
		{`"type":"deletePipeline","pipeline":{"name":"${parameters.document}"}`, 200, 202, "", ""},
		{`"type":"deletePipeline","pipeline":{"application":"other"}`, 400, 0, "/stages/0/pipeline/name", "is required"},
	} {
		name := fmt.Sprint("keeper-", i)
		a := h.do("POST", "/pipelines", `{"application":"storefront","name":"`+name+`","stages":[{"refId":"1",`+test.fields+`}]}`).want(test.saved)
		if test.started != 0 {
			a = h.do("POST", "/pipelines/storefront/"+name, `{"parameters":{"document":"no base64"}}`).want(test.started)
		}
		if body := string(a.body); test.pointer != "" && (!strings.Contains(body, `"`+test.pointer+`"`) || !strings.Contains(body, test.message)) {
			t.Errorf("%s: %s", test.fields, body)
		}
	}
	// With a job that only a stage can be, the whole task is stages.
	job := `{"type":"savePipeline","pipeline":` + encoded(`{"application":"storefront","name":"x","stages":[]}`) + `}`
	staged := h.do("POST", "/tasks", `{"application":"storefront","job":[`+job+`,{"type":"wait","waitTime":1}]}`).want(200)
	if task := h.do("GET", staged.get("ref").(string), "").want(200); task.get("status") != "NOT_STARTED" {
		t.Errorf("task %s", task.body)
	}
	h.do("GET", "/applications/storefront/pipelineConfigs/x", "").want(404)
}
