package api_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// names lists the executions of an answer by what they are called here.
func (h *harness) names(path string, called map[delivery.ExecutionID]string) string {
	h.t.Helper()
	var found []struct{ ID delivery.ExecutionID }
	h.do("GET", path, "").want(200).into(&found)
	var out []string
	for _, e := range found {
		out = append(out, called[e.ID])
	}
	return strings.Join(out, " ")
}

func TestSearchExecutions(t *testing.T) {
	h := newHarness(t)
	h.save("p", waitStages)
	h.save("q", waitStages)
	a := h.startOf("p", `{"type":"manual","parameters":{"env":"prod"}}`)
	b := h.startOf("p", `{"type":"webhook","eventId":"e1","parameters":{"env":"Staging"}}`)
	c := h.startOf("q", `{"type":"webhook","eventId":"e1","payload":{"tags":["x","y"]}}`)
	called := map[delivery.ExecutionID]string{a: "a", b: "b", c: "c"}
	for i, id := range []delivery.ExecutionID{a, b, c} {
		h.store.change(id, func(e *delivery.Execution) { e.BuildTime = start.Add(time.Duration(i) * time.Second) })
	}
	h.engine.end(b, delivery.StatusSucceeded)
	h.runTask(createStorefront) // a task is no execution of a pipeline
	at := func(seconds int) string { return fmt.Sprint(start.UnixMilli() + int64(seconds)*1000) }
	trigger := func(part string) string {
		return "trigger=" + url.QueryEscape(base64.URLEncoding.EncodeToString([]byte(part)))
	}
	for query, want := range map[string]string{
		"":                                 "c b a",
		"reverse=true":                     "a b c",
		"reverse=true&startIndex=1&size=1": "b",
		"startIndex=1":                     "b a",
		"startIndex=7":                     "",
		"size=0":                           "",
		"triggerTypes=webhook":             "c b",
		"triggerTypes=manual,cron":         "a",
		"triggerTypes=*":                   "c b a",
		"triggerTimeEndBoundary=9223372036854775807": "c b a",
		"triggerTypes=manual&triggerTypes=webhook":   "c b a",
		"pipelineName=p":                    "b a",
		"pipelineName=P":                    "",
		"eventId=e1&pipelineName=q":         "c",
		"statuses=SUCCEEDED,RUNNING":        "b",
		"statuses=BUFFERED":                 "",
		"triggerTimeStartBoundary=" + at(1): "c b",
		"triggerTimeEndBoundary=" + at(1):   "b a",
		"triggerTimeEndBoundary=0":          "",
		"triggerTimeStartBoundary=" + at(1) + "&triggerTimeEndBoundary=" + at(1): "b",
		trigger(`{"parameters":{"env":"staging"}}`):                              "b",
		trigger(`{"parameters":{"env":"prod|staging"}}`):                         "a",
		trigger(`{"parameters":{"env":"prod|S.*"}}`) + "&size=1":                 "b",
		trigger(`{"parameters":{"env":"prod|S.*"}}`) + "&startIndex=1":           "a",
		trigger(`{"type":"webhook","payload":{"tags":["y"]}}`):                   "c",
		trigger(`{"user":"anonymous"}`) + "&triggerTypes=manual":                 "a",
	} {
		for _, application := range []string{"storefront", "Storefront", "*"} {
			if got := h.names("/applications/"+application+"/executions/search?"+query, called); got != want {
				t.Errorf("%s, %s: %q, want %q", application, query, got, want)
			}
		}
	}
	if got := h.names("/applications/other/executions/search", called); got != "" {
		t.Errorf("of another application: %q", got)
	}
	for query, field := range map[string]string{
		"triggerTimeStartBoundary=2&triggerTimeEndBoundary=1": "?triggerTimeStartBoundary",
		"triggerTimeEndBoundary=tomorrow":                     "?triggerTimeEndBoundary",
		"size=1001":                                           "?size",
		"startIndex=-1":                                       "?startIndex",
		"statuses=DONE":                                       "?statuses",
		"expand=perhaps":                                      "?expand",
		"trigger=%21":                                         "?trigger",
		trigger(`[]`):                                         "?trigger",
		trigger(strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40)): "?trigger",
	} {
		if got := h.do("GET", "/applications/storefront/executions/search?"+query, "").want(400).fields(); got[field] == "" {
			t.Errorf("%s: %v, want %s", query, got, field)
		}
	}
}

// TestStartByEvent: the event finds the execution, and a repeated start has the
// event of the first.
func TestStartByEvent(t *testing.T) {
	h := newHarness(t)
	h.save("p", waitStages)
	const path = "/pipelines/v2/storefront/p"
	for _, body := range []string{``, `{"type":"manual","correlationId":"c"}`, `{"trigger":{"type":"manual"}}`, `{"eventId":"mine"}`} {
		a := h.do("POST", path, body).want(202)
		event, _ := a.get("eventId").(string)
		id := delivery.ExecutionID(strings.TrimPrefix(fmt.Sprint(a.get("ref")), "/pipelines/"))
		if got := h.names("/applications/*/executions/search?eventId="+url.QueryEscape(event), map[delivery.ExecutionID]string{id: "it"}); got != "it" || event == "" {
			t.Errorf("%s: event %q finds %q", body, event, got)
		}
	}
	first := h.do("POST", path, `{"correlationId":"c"}`).want(202)
	again := h.do("POST", path, `{"correlationId":"c"}`).want(202)
	if string(first.body) != string(again.body) {
		t.Errorf("%s and %s", first.body, again.body)
	}
	h.do("POST", path, `{"trigger":7}`).want(400)
}

// TestFirstPipelines: pipelineLimit counts pipelines by their order, after the filter.
func TestFirstPipelines(t *testing.T) {
	h := newHarness(t)
	called := map[delivery.ExecutionID]string{}
	for _, name := range []string{"b-one", "a-one", "a-two"} {
		h.save(name, waitStages)
		id := h.startOf(name, "")
		called[id] = name
		h.store.change(id, func(e *delivery.Execution) { e.StartTime = start.Add(time.Duration(len(called)) * time.Second) })
	}
	for query, want := range map[string]string{
		"":                                     "b-one a-one a-two",
		"pipelineLimit=1":                      "a-one",
		"pipelineLimit=2":                      "a-one a-two",
		"pipelineLimit=1&pipelineNameFilter=B": "b-one",
		"pipelineLimit=1&pipelineNameFilter=c": "",
	} {
		if got := h.names("/applications/storefront/pipelines?"+query, called); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}
