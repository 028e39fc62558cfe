package api_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
)

const waitStages = `[{"refId":"1","type":"wait","name":"Wait","group":"g","waitTime":30}]`

func TestExecutionOrders(t *testing.T) {
	h := newHarness(t)
	h.save("p", waitStages)
	id := string(h.startOf("p", ``))
	h.do("PUT", "/pipelines/"+id+"/resume", "").want(409)
	h.engine.run(delivery.ExecutionID(id))
	h.do("PUT", "/pipelines/"+id+"/pause?reason=look", "", "X-SPINNAKER-USER", "ann").want(200).void()
	if a := h.do("GET", "/pipelines/"+id, ""); a.get("status") != "PAUSED" || a.get("paused.pausedBy") != "ann" || a.get("paused.reason") != "look" ||
		a.get("paused.resumedBy") != nil || a.get("paused.resumeReason") != nil {
		t.Errorf("paused: %s", a.body)
	}
	h.do("PUT", "/pipelines/"+id+"/resume?reason=seen", "{}").want(200).void()
	if a := h.do("GET", "/pipelines/"+id, ""); a.get("paused.reason") != "look" || a.get("paused.resumeReason") != "seen" {
		t.Errorf("resumed: %s", a.body)
	}
	h.do("PUT", "/pipelines/"+id+"/cancel?reason=too+slow&force=", "", "X-SPINNAKER-USER", "joe").want(200).void()
	a := h.do("GET", "/pipelines/"+id, "")
	for path, want := range map[string]any{"status": "CANCELED", "canceled": true, "canceledBy": "joe", "cancellationReason": "too slow"} {
		if got := a.get(path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	h.do("PUT", "/pipelines/"+id+"/cancel", "").want(200).void()
	h.do("PUT", "/applications/%7Bapplication%7D/pipelines/"+id+"/cancel", "").want(200).void()
	h.do("PUT", "/pipelines/"+id+"/pause", "").want(409)

	other := h.startOf("p", ``)
	h.engine.end(other, delivery.StatusSucceeded)
	h.do("PUT", "/pipelines/"+string(other)+"/cancel", "").want(409)
	h.do("PUT", "/applications/%7Bapplication%7D/pipelines/"+string(other)+"/cancel", "").want(200).void()
	if status := h.do("GET", "/pipelines/"+string(other), "").get("status"); status != "SUCCEEDED" {
		t.Errorf("what was over before a cancel is %v", status)
	}
	for _, order := range []string{"cancel", "pause", "resume"} {
		h.do("PUT", "/pipelines/nothing/"+order, "").want(404)
	}
	h.do("PUT", "/applications/a/pipelines/nothing/cancel", "").want(404)
}

// TestTasksAreNoPipelines: an id of one kind is not found where the other is asked for.
func TestTasksAreNoPipelines(t *testing.T) {
	h := newHarness(t)
	task, _ := h.runTask(createStorefront).get("id").(string)
	h.do("GET", "/pipelines/"+task, "").want(404)
	h.do("PUT", "/pipelines/"+task+"/cancel", "").want(404)
	h.save("p", waitStages)
	h.do("GET", "/tasks/"+string(h.startOf("p", ``)), "").want(404)
}

func TestExecutionLists(t *testing.T) {
	h := newHarness(t)
	p, q := h.save("p", waitStages), h.save("other q", waitStages)
	first, second, third := h.startOf("p", ``), h.startOf("p", ``), h.startOf("other%20q", ``)
	h.engine.end(first, delivery.StatusSucceeded)
	h.store.change(first, func(e *delivery.Execution) { e.StartTime = start.Add(time.Second) })
	h.store.change(second, func(e *delivery.Execution) { e.StartTime = start.Add(2 * time.Second) })
	task, _ := h.do("POST", "/tasks", `{"application":"storefront","job":[{"type":"updateApplication","application":{"name":"storefront","email":"e@x"}}]}`).want(200).get("ref").(string)
	list := func(path string) string {
		var executions []struct{ ID delivery.ExecutionID }
		h.do("GET", path, "").want(200).into(&executions)
		names := map[delivery.ExecutionID]string{first: "first", second: "second", third: "third"}
		var out []string
		for _, e := range executions {
			out = append(out, names[e.ID])
		}
		return strings.Join(out, " ")
	}
	for path, want := range map[string]string{
		"/executions": "",
		"/executions?executionIds=" + string(first) + ",nothing," + string(third): "first third",
		"/executions?executionIds=" + string(third) + "," + string(first):         "third first",
		"/executions?executionIds=" + strings.TrimPrefix(task, "/tasks/"):         "",
		"/executions?executionIds=" + string(first) + "&statuses=RUNNING&limit=1": "first",
		"/executions?pipelineConfigIds=" + p:                                      "second",
		"/executions?pipelineConfigIds=" + p + "," + q + "&limit=5":               "third first second",
		"/executions?pipelineConfigIds=" + p + "&limit=5&statuses=SUCCEEDED":      "first",
		"/executions?pipelineConfigIds=" + p + "&statuses=BUFFERED":               "",
		"/applications/storefront/pipelines?limit=1":                              "third second",
		"/applications/storefront/pipelines":                                      "third first second",
		"/applications/storefront/pipelines?statuses=succeeded":                   "first",
		"/applications/storefront/pipelines?pipelineNameFilter=Q":                 "third",
		"/applications/nothing/pipelines":                                         "",
	} {
		if got := list(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	h.do("GET", "/executions?executionIds=a&pipelineConfigIds=b", "").want(400)
}

func TestStagesWithAndWithoutExpand(t *testing.T) {
	h := newHarness(t)
	config := h.save("p", waitStages)
	id := h.startOf("p", ``)
	h.store.change(id, func(e *delivery.Execution) {
		e.Status, e.StartTime, e.EndTime = delivery.StatusTerminal, start, start
		s := &e.Stages[0]
		s.Status, s.StartTime, s.EndTime = delivery.StatusTerminal, start, start
		s.Outputs = json.RawMessage(`{"deploy.server.groups":{"us-east-1":["storefront-prod-v001"]}}`)
		s.Failure = &delivery.Failure{Kind: "quota", Message: "no capacity", Step: "create server group",
			Findings: []delivery.Finding{{Pointer: "/capacity", Message: "too large"}}}
		s.Deployments = []delivery.DeploymentID{"d"}
	})
	type stage struct {
		Context struct {
			Group     string
			Groups    map[string][]string `json:"deploy.server.groups"`
			Exception *struct{ Details struct{ Errors []string } }
		}
		Outputs map[string]any
		Tasks   []struct{ Status string }
	}
	var got []struct{ Stages []stage }
	h.do("GET", "/executions?pipelineConfigIds="+config, "").want(200).into(&got)
	s := got[0].Stages[0]
	if len(s.Tasks) != 1 || s.Tasks[0].Status != "TERMINAL" || len(s.Outputs) != 1 || s.Context.Groups["us-east-1"] == nil || s.Context.Exception == nil {
		t.Fatalf("stage %+v", s)
	}
	if diff := cmp.Diff([]string{"create server group: no capacity", "/capacity: too large"}, s.Context.Exception.Details.Errors); diff != "" {
		t.Error(diff)
	}
	got = nil
	h.do("GET", "/executions?expand=false&pipelineConfigIds="+config, "").want(200).into(&got)
	if s := got[0].Stages[0]; len(s.Tasks) != 0 || len(s.Outputs) != 0 || s.Context.Exception != nil || s.Context.Group != "g" {
		t.Errorf("stage without expand %+v", s)
	}
}

func deploymentOf(id delivery.ExecutionID, status delivery.DeploymentStatus) delivery.Deployment {
	cluster := delivery.Cluster{Provider: "aws", Account: "aws-sim", Region: "us-east-1", Moniker: delivery.Moniker{App: "storefront", Stack: "prod"}}
	return delivery.Deployment{ID: delivery.NewDeploymentID(id, "1", cluster), Execution: id, Stage: "1", Cluster: cluster, Status: status,
		StartTime: start, Detail: json.RawMessage(`{"batch":1}`), Failure: &delivery.Failure{Kind: "quota", Message: "full", Step: "create"}}
}

func TestDeployments(t *testing.T) {
	h := newHarness(t)
	h.save("p", waitStages)
	id := h.startOf("p", ``)
	h.store.deploy(deploymentOf(id, delivery.DeploymentRollingBack))
	var got []map[string]any
	h.do("GET", "/executions/"+string(id)+"/deployments", "").want(200).into(&got)
	if len(got) != 1 || got[0]["cluster"] != "storefront-prod" || got[0]["status"] != "ROLLING_BACK" {
		t.Errorf("deployments %v", got)
	}
	h.do("GET", "/executions/nothing/deployments", "").want(404)
}

// stream reads server-sent events as they come.
type stream struct {
	t     *testing.T
	lines *bufio.Scanner
}

func (h *harness) stream(path string, headers ...string) *stream {
	h.t.Helper()
	request, err := http.NewRequestWithContext(h.t.Context(), "GET", h.url+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { response.Body.Close() })
	if kind := response.Header.Get("Content-Type"); response.StatusCode != 200 || !strings.HasPrefix(kind, "text/event-stream") {
		h.t.Fatalf("%s: %d %s", path, response.StatusCode, kind)
	}
	return &stream{t: h.t, lines: bufio.NewScanner(response.Body)}
}

// next returns the next event as "id type status"; "comment" for a comment and
// "end" when the stream is over.
func (s *stream) next() string {
	s.t.Helper()
	var id, kind, status string
	for s.lines.Scan() {
		name, value, _ := strings.Cut(s.lines.Text(), ": ")
		switch {
		case s.lines.Text() == "" && id != "":
			return fmt.Sprint(id, " ", kind, " ", status)
		case strings.HasPrefix(s.lines.Text(), ":"):
			return "comment"
		case name == "id":
			id = value
		case name == "event":
			kind = value
		case name == "data":
			var event struct {
				Execution string
				At        int64
				Data      struct{ Status string }
			}
			if err := json.Unmarshal([]byte(value), &event); err != nil || event.At != start.UnixMilli() {
				s.t.Errorf("data %s: %v", value, err)
			}
			status = event.Data.Status
		}
	}
	return "end"
}

func (s *stream) want(events ...string) {
	s.t.Helper()
	for _, want := range events {
		if got := s.next(); got != want {
			s.t.Fatalf("got %q, want %q", got, want)
		}
	}
}

func TestEventsAreStreamedUntilAllIsOver(t *testing.T) {
	h := newHarness(t)
	h.save("p", waitStages)
	id := h.startOf("p", ``)
	live := h.stream("/executions/" + string(id) + "/events")
	live.want("comment") // the answer begins before anything happens
	h.engine.run(id)
	live.want("1 execution RUNNING")
	h.store.deploy(deploymentOf(id, delivery.DeploymentRunning))
	live.want("2 deployment RUNNING")
	h.engine.end(id, delivery.StatusCanceled)
	live.want("3 execution CANCELED")
	h.store.deploy(deploymentOf(id, delivery.DeploymentRollingBack)) // a canceled execution's deployment goes on
	live.want("4 deployment ROLLING_BACK")
	h.store.deploy(deploymentOf(id, delivery.DeploymentRolledBack))
	live.want("5 deployment ROLLED_BACK", "end")

	path := "/executions/" + string(id) + "/events"
	h.stream(path, "Last-Event-ID", "3").want("4 deployment ROLLING_BACK", "5 deployment ROLLED_BACK", "end")
	h.stream(path+"?lastEventId=4").want("5 deployment ROLLED_BACK", "end")
	h.do("GET", path, "", "Last-Event-ID", "5").want(204).void()
	h.do("GET", path, "", "Last-Event-ID", "x").want(400)
}

func TestEventsWithoutFollowing(t *testing.T) {
	h := newHarness(t)
	h.save("p", waitStages)
	id := h.startOf("p", ``)
	path := "/executions/" + string(id) + "/events?follow=false"
	if a := h.do("GET", path, "").want(200); len(a.body) != 0 {
		t.Errorf("body %q", a.body)
	}
	h.engine.run(id)
	h.stream(path).want("1 execution RUNNING", "end")
	// 204 would tell a reader to stop for good, and more is to come.
	if a := h.do("GET", path, "", "Last-Event-ID", "1").want(200); len(a.body) != 0 {
		t.Errorf("body %q", a.body)
	}
}

func TestEventStreamsEndWhenTheServerStops(t *testing.T) {
	h := newHarness(t)
	h.save("p", waitStages)
	live := h.stream("/executions/" + string(h.startOf("p", ``)) + "/events")
	live.want("comment")
	h.server.Stop()
	live.want("end")
}

// TestEventStreamsOutliveTheReadTimeout: a stream lasts as long as its execution.
func TestEventStreamsOutliveTheReadTimeout(t *testing.T) {
	const readTimeout = 400 * time.Millisecond
	h := newHarnessWith(t, readTimeout/40, readTimeout)
	h.save("p", waitStages)
	id := h.startOf("p", ``)
	live := h.stream("/executions/" + string(id) + "/events")
	for begin := time.Now(); time.Since(begin) < 3*readTimeout; {
		live.want("comment")
	}
	h.engine.run(id)
	for got := "comment"; got != "1 execution RUNNING"; got = live.next() {
		if got != "comment" {
			t.Fatalf("got %q", got)
		}
	}
}

// TestMoves: a move goes to the one deployment that is meant, with who asks and why.
func TestMoves(t *testing.T) {
	h := newHarness(t)
	h.save("p", waitStages)
	id := h.startOf("p", ``)
	path := "/pipelines/" + string(id)
	h.do("PUT", path+"/advance", "").want(409)
	h.engine.run(id)
	first := deploymentOf(id, delivery.DeploymentRunning)
	second := first
	second.ID += "-2"
	h.store.deploy(first)
	h.do("PUT", path+"/advance?reason=ready", "", "X-SPINNAKER-USER", "joe").want(200)
	h.store.deploy(second)
	several := h.do("PUT", path+"/promote", "").want(400)
	if !strings.Contains(string(several.body), "?deployment") || !strings.Contains(string(several.body), string(second.ID)) {
		t.Errorf("answer %s", several.body)
	}
	h.do("PUT", path+"/promote?deployment="+url.QueryEscape(string(second.ID))+"&override=true&reason=seen", "").want(200)
	want := []string{"advance " + string(first.ID) + " by joe: ready", "promote " + string(second.ID) + " by anonymous: seen, override"}
	if diff := cmp.Diff(want, h.engine.moves); diff != "" {
		t.Error(diff)
	}
	for query, field := range map[string]string{"deployment=other": "?deployment", "override=true": "?reason", "override=perhaps": "?override"} {
		if answer := h.do("PUT", path+"/advance?"+query, "").want(400); !strings.Contains(string(answer.body), field) {
			t.Errorf("%s: %s", query, answer.body)
		}
	}
	h.engine.refusal = delivery.Errorf(delivery.Conflict, "in no pause")
	if answer := h.do("PUT", path+"/advance?deployment="+url.QueryEscape(string(first.ID)), "").want(409); !strings.Contains(string(answer.body), "in no pause") {
		t.Errorf("answer %s", answer.body)
	}
	h.do("PUT", "/pipelines/nobody/advance", "").want(404)
}
