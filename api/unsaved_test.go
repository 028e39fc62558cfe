package api_test

import (
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

// TestStartUnsaved starts pipelines that are not saved: the execution has the trigger,
// the same key starts one, and nothing is saved or started when something is wrong.
func TestStartUnsaved(t *testing.T) {
	h := newHarness(t)
	const path = "/pipelines/start"
	body := `{"application":"storefront","name":"once","id":"not-looked-at","parameterConfig":[{"name":"x","default":"1"},{"name":"y","required":true}],
		"stages":[{"type":"wait","waitTime":1}],"trigger":{"type":"manual","parameters":{"y":"2"}}}`
	first := h.do("POST", path, body, "Idempotency-Key", "k").want(200)
	if again := h.do("POST", path, body, "Idempotency-Key", "k").want(200); string(again.body) != string(first.body) {
		t.Errorf("the same key started %s and %s", first.body, again.body)
	}
	ref, _ := first.get("ref").(string)
	e := h.do("GET", ref, "").want(200)
	if e.get("trigger.parameters.x") != "1" || e.get("trigger.parameters.y") != "2" || e.get("name") != "once" || e.get("pipelineConfigId") != nil {
		t.Errorf("execution %s", e.body)
	}
	h.do("GET", "/applications/storefront/pipelineConfigs/once", "").want(404)

	before := len(h.store.executions)
	for _, tt := range []struct{ old, now, pointer string }{
		{`"y":"2"`, `"z":"2"`, "/trigger/parameters/y"},
		{`"type":"wait"`, `"type":"wiat"`, "/stages/0/type"},
		{`"trigger":{`, `"trigger":7,"was":{`, "/trigger"},
		{`"parameters":{`, `"correlationId":[7],"parameters":{`, "/trigger/correlationId"},
		{`"application":"storefront"`, `"application":""`, "/application"},
		{`[{"type":"wait","waitTime":1}]`, `[]`, "/stages"},
		{`"id":`, `"plan":true,"id":`, "/plan"},
	} {
		if fields := h.do("POST", path, strings.Replace(body, tt.old, tt.now, 1)).want(400).fields(); fields[tt.pointer] == "" {
			t.Errorf("%s: fields %v, want %s", tt.now, fields, tt.pointer)
		}
	}
	if after := len(h.store.executions); after != before {
		t.Errorf("%d executions were recorded by starts that were refused", after-before)
	}
	if id := delivery.ExecutionID(strings.TrimPrefix(ref, "/pipelines/")); h.store.definition(id) == nil {
		t.Error("the execution has no definition")
	}
}
