package api_test

import (
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

// TestDryRun: a dry run is an execution that is over and has changed nothing, and a
// repeat of it is the same one. Its stages say what they would do, why they would
// fail, or why nobody can say.
func TestDryRun(t *testing.T) {
	h := newHarness(t)
	h.cloud.add("us-east-1")
	deploy := strings.Trim(deployStages("${parameters.image}"), "[]")
	h.save("mixed", `[{"refId":"1","type":"wait","waitTime":7},`+strings.Replace(deploy, `"refId":"1","requisiteStageRefIds":[]`, `"refId":"2","requisiteStageRefIds":["1"]`, 1)+
		`,{"refId":"3","requisiteStageRefIds":["2"],"type":"wait","waitTime":"${#stage('2').outputs.n}"}]`)
	h.save("plain", `[{"type":"wait","waitTime":7}]`)
	const body = `{"dryRun":"true","correlationId":"c","parameters":{"image":"storefront-1.1"}}`
	id := h.startOf("mixed", body)
	if again := h.startOf("mixed", body); again != id {
		t.Errorf("%s and %s", id, again)
	}
	a := h.do("GET", "/pipelines/"+string(id), "").want(200)
	if a.get("status") != "TERMINAL" || a.get("trigger.dryRun") != true || a.get("endTime") == nil {
		t.Errorf("execution %s", a.body)
	}
	e, err := h.store.Execution(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		status delivery.Status
		plan   string
	}{{delivery.StatusSucceeded, `"waitMs":7000`}, {delivery.StatusTerminal, `"createServerGroup"`}, {delivery.StatusSkipped, `"unplanned":"it depends on`}} {
		if s := e.Stages[i]; s.Status != want.status || !strings.Contains(string(s.Outputs), want.plan) || (s.Failure != nil) != (want.status == delivery.StatusTerminal) {
			t.Errorf("stage %s is %s with outputs %s and failure %v", s.RefID, s.Status, s.Outputs, s.Failure)
		}
	}
	if got := h.do("GET", "/pipelines/"+string(h.startOf("plain", `{"dryRun":true}`)), "").want(200).get("status"); got != "SUCCEEDED" {
		t.Errorf("a dry run of a wait ended %v", got)
	}
	for _, s := range e.Stages { // what it said it would do, no restart does
		if answer := h.do("PUT", "/pipelines/"+string(id)+"/stages/"+s.ID+"/restart", `{}`).want(409); !strings.Contains(string(answer.body), "is a dry run") {
			t.Errorf("restart of stage %s: %s", s.RefID, answer.body)
		}
	}
	if after := h.store.executions[id]; after.Status != e.Status || after.Restarts != 0 {
		t.Errorf("after the restarts %+v", after)
	}
	h.do("GET", "/executions/"+string(id)+"/events", "").want(200) // and does not hang
	h.do("POST", "/pipelines/storefront/mixed", `{"dryRun":true,"parameters":{"image":"storefront-9"}}`).want(400)
	h.do("POST", "/pipelines/storefront/mixed/plan", body).want(200)
}

// TestStartsThatAreEvents: the start has an id as an event, the same for a repeat.
func TestStartsThatAreEvents(t *testing.T) {
	h := newHarness(t)
	h.save("a", `[{"type":"wait","waitTime":1}]`)
	first := h.do("POST", "/pipelines/v2/storefront/a", `{"correlationId":"c"}`).want(202)
	second := h.do("POST", "/pipelines/v2/storefront/a", `{"correlationId":"c"}`).want(202)
	if string(first.body) != string(second.body) || len(first.get("eventId").(string)) != 36 {
		t.Errorf("%s and %s", first.body, second.body)
	}
	ref, _ := first.get("ref").(string)
	if got := h.do("GET", ref, "").want(200).get("trigger.eventId"); got != first.get("eventId") {
		t.Errorf("eventId %v", got)
	}
	h.do("POST", "/pipelines/v2/storefront/b", ``).want(404)
}
