package api_test

import (
	"strings"
	"testing"
)

func TestLostUpdatesAreRefused(t *testing.T) {
	h := newHarness(t)
	id := h.save("p", `[{"type":"wait","waitTime":1}]`)
	stored := h.do("GET", "/applications/storefront/pipelineConfigs/p", "").want(200)
	etag := stored.header.Get("ETag")
	if etag != `"1"` || stored.get("revision") != 1.0 {
		t.Errorf("ETag %s, revision %v", etag, stored.get("revision"))
	}
	first := h.do("POST", "/pipelines", string(stored.body), "If-Match", etag).want(200)
	if first.header.Get("ETag") != `"2"` {
		t.Errorf("ETag %s", first.header.Get("ETag"))
	}
	for _, request := range [][2]string{{"POST", "/pipelines"}, {"PUT", "/pipelines/" + id}} {
		if a := h.do(request[0], request[1], string(stored.body), "If-Match", etag).want(412); a.get("code") != "precondition_failed" {
			t.Errorf("code %v", a.get("code"))
		}
		h.do(request[0], request[1], string(stored.body), "If-Match", `W/"2"`).want(412)
	}
	h.do("POST", "/pipelines", string(stored.body), "If-Match", `"9", "2"`).want(200)
	h.do("PUT", "/pipelines/"+id, string(stored.body), "If-Match", `*`).want(200)
	h.do("POST", "/pipelines", `{"application":"storefront","name":"new"}`, "If-Match", `*`).want(412)
	if _, pipelines, _ := h.store.count(); pipelines != 1 {
		t.Errorf("%d pipelines", pipelines)
	}
}

func TestRestore(t *testing.T) {
	h := newHarness(t)
	id := h.save("p", `[{"type":"wait","waitTime":1}]`)
	h.do("POST", "/pipelines", `{"id":"`+id+`","application":"storefront","name":"renamed","description":"second"}`).want(200)
	restored := h.do("POST", "/pipelineConfigs/"+id+"/restore", `{"revision":1}`, "X-SPINNAKER-USER", "joe").want(200)
	if restored.get("name") != "p" || restored.get("revision") != 3.0 || restored.get("description") != nil || restored.get("lastModifiedBy") != "joe" {
		t.Errorf("restored %s", restored.body)
	}
	if same := h.do("POST", "/pipelineConfigs/"+id+"/restore", `{"revision":3}`).want(200); same.get("revision") != 3.0 {
		t.Errorf("restored what is stored: %s", same.body)
	}
	h.do("POST", "/pipelineConfigs/"+id+"/restore", `{"revision":2}`, "If-Match", `"1"`).want(412)
	h.do("POST", "/pipelineConfigs/"+id+"/restore", `{"revision":9}`).want(404)
	h.do("POST", "/pipelineConfigs/nothing/restore", `{"revision":1}`).want(404)
	for _, body := range []string{`{}`, `{"revision":0}`, `{"revision":"1"}`, `{"revision":1.5}`} {
		if fields := h.do("POST", "/pipelineConfigs/"+id+"/restore", body).want(400).fields(); fields["/revision"] == "" {
			t.Errorf("%s: fields %v", body, fields)
		}
	}
	h.do("DELETE", "/pipelines/storefront/p", "").want(200)
	if back := h.do("POST", "/pipelineConfigs/"+id+"/restore", `{"revision":2}`).want(200); back.get("name") != "renamed" || back.get("id") != id {
		t.Errorf("restored after its end: %s", back.body)
	}
	h.save("p", `[]`)
	if text, _ := h.do("POST", "/pipelineConfigs/"+id+"/restore", `{"revision":1}`).want(400).get("message").(string); !strings.Contains(text, "already exists") {
		t.Errorf("restored over another of the name: %s", text)
	}
}

func TestValidatePipeline(t *testing.T) {
	h := newHarness(t)
	id := h.save("taken", `[]`)
	for _, tt := range []struct{ body, kind, pointers string }{
		{`{"application":"storefront","name":"p","stages":[{"type":"wait","waitTime":1}]}`, "application/json", ""},
		{`{"application":"storefront","name":"taken","id":"` + id + `"}`, "application/json", ""},
		{`{"application":"storefront","name":"Taken"}`, "application/json", "/name"},
		{`{"name":7,"disabled":"x","stages":[{"type":"deplyo"},{"type":"wait","waitTime":"${parameters.}"}],"parameterConfig":[{}]}`, "application/json",
			"/application /disabled /name /parameterConfig/0/name /stages/0/type /stages/1/waitTime"},
		{"application: storefront\nname: p\nstages:\n- type: wait\n  waitTime: soon\n", "application/yaml", "/stages/0/waitTime"},
		{"application: storefront\nname: p\n", "application/x-yaml; charset=utf-8", ""},
		{"a: [", "application/yaml", ""},
		{templatedPipeline("p", ""), "application/json", "/template/reference"},
	} {
		a := h.do("POST", "/pipelines/validate", tt.body, "Content-Type", tt.kind).want(200)
		var check struct {
			Valid  bool
			Errors []struct{ Pointer string }
		}
		a.into(&check)
		var pointers []string
		for _, e := range check.Errors {
			pointers = append(pointers, e.Pointer)
		}
		if got := strings.Join(pointers, " "); got != tt.pointers || check.Valid != (len(pointers) == 0) {
			t.Errorf("%s: %s", tt.body, a.body)
		}
	}
	if _, pipelines, _ := h.store.count(); pipelines != 1 {
		t.Errorf("%d pipelines", pipelines)
	}
}

func TestYAMLBodies(t *testing.T) {
	h := newHarness(t)
	const body = "# the pipeline\napplication: storefront\nname: p\nstages:\n- &w {type: wait, waitTime: 1, refId: '1'}\n- type: wait\n  waitTime: 2\n  refId: 2\n  requisiteStageRefIds: ['1']\n"
	h.do("POST", "/pipelines", body, "Content-Type", "application/yaml").want(200).void()
	saved := h.do("GET", "/applications/storefront/pipelineConfigs/p", "").want(200)
	id, _ := saved.get("id").(string)
	if stages, _ := saved.get("stages").([]any); len(stages) != 2 {
		t.Errorf("saved %s", saved.body)
	}
	h.do("PUT", "/pipelines/"+id, body+"index: 4\n", "Content-Type", "application/x-yaml").want(200)
	h.do("POST", "/pipelines", body).want(400)
	if fields := h.do("POST", "/pipelines", "application: storefront\nname: p\nname: q\n", "Content-Type", "application/yaml").want(400).fields(); fields["/name"] == "" {
		t.Errorf("fields %v", fields)
	}
}

func TestBulkSave(t *testing.T) {
	h := newHarness(t)
	id := h.save("old", `[]`)
	a := h.do("POST", "/pipelines/bulksave?application=bulk_save_placeholder_app", `[{"application":"storefront","name":"new"},{"application":"storefront","name":"OLD","keep":1},7,
		{"application":"storefront","name":"bad","stages":[{"type":"deplyo"}]},{"id":"`+id+`","application":"storefront","name":"old","description":"x"}]`).want(200)
	var out struct {
		Succeeded  int      `json:"successful_pipelines_count"`
		Successful []string `json:"successful_pipelines"`
		Count      int      `json:"failed_pipelines_count"`
		Failed     []struct {
			Name, ErrorMsg string
			Keep           int
		} `json:"failed_pipelines"`
	}
	if a.into(&out); out.Succeeded != 2 || strings.Join(out.Successful, " ") != "new old" || out.Count != 3 || len(out.Failed) != 3 || out.Failed[0].Keep != 1 ||
		!strings.Contains(out.Failed[0].ErrorMsg, "already exists") || !strings.Contains(out.Failed[2].ErrorMsg, "/stages/0/type") {
		t.Errorf("answer %s", a.body)
	}
	for _, body := range []string{``, `{}`, `[`, `null`} {
		h.do("POST", "/pipelines/bulksave", body).want(400)
	}
}

func TestReorder(t *testing.T) {
	h := newHarness(t)
	a, b := h.save("a", `[]`), h.save("b", `[]`)
	task := h.do("POST", "/actions/pipelines/reorder", `{"application":"storefront","idsToIndices":{"`+a+`":1,"`+b+`":0}}`).want(200)
	if task.get("status") != "SUCCEEDED" {
		t.Errorf("task %s", task.body)
	}
	order := func() string {
		var list []struct{ Name string }
		h.do("GET", "/applications/storefront/pipelineConfigs", "").want(200).into(&list)
		names := []string{}
		for _, p := range list {
			names = append(names, p.Name)
		}
		return strings.Join(names, " ")
	}
	if got := order(); got != "b a" {
		t.Errorf("order %s", got)
	}
	h.do("POST", "/actions/pipelines/reorder", `{"application":"storefront","idsToIndices":{"`+a+`":2,"`+b+`":0}}`).want(200)
	if p := h.do("GET", "/applications/storefront/pipelineConfigs/b", "").want(200); p.get("revision") != 2.0 {
		t.Errorf("a pipeline that stayed in its place was saved: %s", p.body)
	}
	for body, pointer := range map[string]string{
		`{"idsToIndices":{}}`:                                                     "/application",
		`{"application":"storefront","idsToIndices":[]}`:                          "/idsToIndices",
		`{"application":"storefront","idsToIndices":{"` + a + `":"x"}}`:           "/idsToIndices/" + a,
		`{"application":"storefront","idsToIndices":{"` + a + `":7,"nothing":1}}`: "/idsToIndices/nothing",
		`{"application":"billing","idsToIndices":{"` + a + `":7}}`:                "/idsToIndices/" + a,
	} {
		if fields := h.do("POST", "/actions/pipelines/reorder", body).want(400).fields(); fields[pointer] == "" {
			t.Errorf("%s: fields %v, want %s", body, fields, pointer)
		}
	}
	if got := order(); got != "b a" {
		t.Errorf("order after refusals %s", got)
	}
	if job := h.task(`{"application":"storefront","job":[{"type":"reorderPipelines","application":"storefront","idsToIndices":{"` + a + `":-1}}]}`); job.get("status") != "SUCCEEDED" || order() != "a b" {
		t.Errorf("job %s", job.body)
	}
}
