package api_test

import "testing"

func TestStrategies(t *testing.T) {
	h := newHarness(t)
	h.do("POST", "/strategies", `{"application":"Storefront","name":"Careful","strategy":true,"index":1,"x":{"kept":true},"stages":[{"type":"wait","waitTime":1}]}`, "X-SPINNAKER-USER", "joe").want(200).void()
	h.do("POST", "/strategies", `{"application":"storefront","name":"bold","strategy":true,"index":0}`).want(200).void()
	h.do("POST", "/strategies", `{"application":"storefront","name":"CAREFUL"}`).want(400)
	h.do("POST", "/strategies", `{"application":"billing","name":"careful"}`).want(200)
	careful := h.do("GET", "/applications/storefront/strategyConfigs/careful", "").want(200)
	for path, want := range map[string]any{"name": "Careful", "application": "storefront", "strategy": true, "x.kept": true, "lastModifiedBy": "joe", "revision": 1.0} {
		if got := careful.get(path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	id, _ := careful.get("id").(string)
	h.do("GET", "/applications/storefront/strategyConfigs/"+id, "").want(200)
	h.do("GET", "/applications/storefront/strategyConfigs/nothing", "").want(404)
	for body, pointer := range map[string]string{`{"name":"a"}`: "/application", `{"application":"a"}`: "/name", `{"application":"a","name":"b","stages":[{"type":"deplyo"}]}`: "/stages/0/type"} {
		if fields := h.do("POST", "/strategies", body).want(400).fields(); fields[pointer] == "" {
			t.Errorf("%s: fields %v, want %s", body, fields, pointer)
		}
	}

	etag := careful.header.Get("ETag")
	if changed := h.do("PUT", "/strategies/"+id, `{"application":"storefront","name":"Careful","index":1,"description":"slow"}`, "If-Match", etag).want(200); changed.get("revision") != 2.0 || changed.get("x") != nil {
		t.Errorf("changed %s", changed.body)
	}
	if a := h.do("PUT", "/strategies/"+id, `{"application":"storefront","name":"Careful"}`, "If-Match", etag).want(412); a.get("code") != "precondition_failed" {
		t.Errorf("code %v", a.get("code"))
	}
	h.do("PUT", "/strategies/"+id, `{"id":"other","application":"storefront","name":"Careful"}`).want(400)
	h.do("PUT", "/strategies/nothing", `{"application":"storefront","name":"Careful"}`).want(404)
	h.do("POST", "/strategies/move", `{"application":"storefront","from":"careful","to":"Slow"}`).want(200).void()
	h.do("POST", "/strategies/move", `{"application":"storefront","from":"Slow","to":"bold"}`).want(400)
	h.do("POST", "/strategies/move", `{"application":"storefront","from":"careful"}`).want(400)
	if task := h.do("POST", "/actions/strategies/reorder", `{"application":"storefront","idsToIndices":{"`+id+`":-1}}`).want(200); task.get("status") != "SUCCEEDED" {
		t.Errorf("task %s", task.body)
	}
	var list []struct{ Name string }
	if h.do("GET", "/applications/storefront/strategyConfigs", "").want(200).into(&list); len(list) != 2 || list[0].Name != "Slow" {
		t.Errorf("strategies %+v", list)
	}
	for path, want := range map[string]int{"/strategyConfigs": 3, "/strategyConfigs/" + id + "/history": 4, "/strategyConfigs/" + id + "/history?limit=1": 1,
		"/strategyConfigs/" + id + "/history?limit=0": 0, "/strategyConfigs/nothing/history": 0} {
		if h.do("GET", path, "").want(200).into(&list); len(list) != want {
			t.Errorf("%s: %d, want %d", path, len(list), want)
		}
	}
	h.do("DELETE", "/strategies/storefront/slow", "").want(200).void()
	h.do("DELETE", "/strategies/storefront/slow", "").want(200).void()
	h.do("GET", "/applications/storefront/strategyConfigs/slow", "").want(404)
}
