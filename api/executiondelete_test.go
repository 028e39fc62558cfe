package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

// TestDeletedExecutionsAreNowhere: what is deleted is found under no path, and a
// repeated start does not run it again.
func TestDeletedExecutionsAreNowhere(t *testing.T) {
	h := newHarness(t)
	config := h.save("p", waitStages)
	id := h.startOf("p", `{"correlationId":"c","eventId":"e"}`)
	h.engine.run(id)
	path := "/pipelines/" + string(id)
	h.do("DELETE", path, "").want(409)
	h.do("DELETE", "/tasks/"+string(id), "").want(404)
	h.engine.end(id, delivery.StatusSucceeded)
	h.do("DELETE", path, "").want(200).void()
	for _, gone := range []string{path, "/executions/" + string(id) + "/events", "/executions/" + string(id) + "/deployments",
		"/executions/failedStages?executionId=" + string(id)} {
		h.do("GET", gone, "").want(404)
	}
	for _, order := range []string{"cancel", "pause", "resume"} {
		h.do("PUT", path+"/"+order, "").want(404)
	}
	h.do("PUT", "/admin/executions/forceCancel?executionId="+string(id), "").want(404)
	h.do("DELETE", path, "").want(404)
	for _, list := range []string{"/executions?executionIds=" + string(id), "/executions?pipelineConfigIds=" + config, "/applications/storefront/pipelines",
		"/applications/*/executions/search?eventId=e"} {
		if got := string(h.do("GET", list, "").want(200).body); got != "[]" {
			t.Errorf("%s: %s", list, got)
		}
	}
	if again := h.startOf("p", `{"correlationId":"c"}`); again != id {
		t.Errorf("the same start began %s after %s was deleted", again, id)
	}
}

func TestForceCancel(t *testing.T) {
	h := newHarness(t)
	h.save("p", `[{"refId":"1","type":"wait","waitTime":1},{"refId":"2","type":"wait","waitTime":1,"requisiteStageRefIds":["1"]}]`)
	force := func(id delivery.ExecutionID) answer {
		return h.do("PUT", "/admin/executions/forceCancel?executionId="+string(id)+"&executionType=pipeline", "", "X-SPINNAKER-USER", "ann")
	}
	status := func(id delivery.ExecutionID) any {
		return h.do("GET", "/pipelines/"+string(id), "").want(200).get("status")
	}

	alive := h.startOf("p", "")
	h.engine.run(alive)
	if force(alive).want(200).void(); status(alive) != "CANCELED" {
		t.Errorf("one that runs is %v", status(alive))
	}
	done := h.startOf("p", "")
	h.engine.end(done, delivery.StatusSucceeded)
	if force(done).want(200).void(); status(done) != "SUCCEEDED" {
		t.Errorf("one that is complete is %v", status(done))
	}
	zombie := h.startOf("p", "")
	h.engine.run(zombie)
	h.engine.abandoned = append(h.engine.abandoned, zombie)
	h.do("PUT", "/pipelines/"+string(zombie)+"/cancel", "").want(409)
	force(zombie).want(200).void()
	e, err := h.store.Execution(t.Context(), zombie)
	if err != nil || e.Status != delivery.StatusCanceled || e.CanceledBy != "ann" || e.CancellationReason == "" || e.EndTime.IsZero() {
		t.Errorf("the zombie is %+v, %v", e, err)
	}
	if first, second := e.Stages[0], e.Stages[1]; first.Status != delivery.StatusCanceled || first.EndTime.IsZero() ||
		second.Status != delivery.StatusCanceled || !second.EndTime.IsZero() {
		t.Errorf("its stages are %+v", e.Stages)
	}
	events, err := h.store.Events(t.Context(), zombie, 0, 100)
	if err != nil || !strings.Contains(string(events[len(events)-1].Data), `"forceCancel"`) {
		t.Errorf("events %v, %v", events, err)
	}
	force(zombie).want(200).void()
	h.do("PUT", "/admin/executions/forceCancel?executionId="+string(zombie)+"&executionType=ORCHESTRATION", "").want(404)
	h.do("PUT", "/admin/executions/forceCancel?executionId="+string(zombie)+"&executionType=stage", "").want(400)
}

// TestCancelTasks: one that is unknown keeps the others from being canceled.
func TestCancelTasks(t *testing.T) {
	h := newHarness(t)
	h.runTask(createStorefront)
	h.cloud.add("us-east-1")
	task := func() string {
		ref, _ := h.do("POST", "/applications/storefront/tasks", jobsOf("", resizeJob)).want(200).get("ref").(string)
		h.engine.run(delivery.ExecutionID(strings.TrimPrefix(ref, "/tasks/")))
		return strings.TrimPrefix(ref, "/tasks/")
	}
	status := func(id string) any { return h.do("GET", "/tasks/"+id, "").want(200).get("status") }
	a, b := task(), task()
	h.do("PUT", "/tasks/cancel?ids="+a+",nothing", "").want(404)
	if status(a) != "RUNNING" {
		t.Errorf("a is %v", status(a))
	}
	h.save("p", waitStages)
	h.do("PUT", "/tasks/cancel?ids="+a+","+string(h.startOf("p", "")), "").want(404)
	h.do("PUT", "/tasks/cancel?ids="+a+","+b+"&reason=both", "{}").want(200).void()
	if status(a) != "CANCELED" || status(b) != "CANCELED" {
		t.Errorf("a is %v, b is %v", status(a), status(b))
	}
	h.do("PUT", "/tasks/cancel?ids="+a, "").want(200).void()
	h.do("PUT", "/tasks/cancel?ids=", "").want(400)
}

func TestTasksUnderTheirApplication(t *testing.T) {
	h := newHarness(t)
	const job = `"job":[{"type":"createApplication","application":{"name":"shop","email":"e@x"}}]`
	ref := h.do("POST", "/applications/Shop/tasks", `{`+job+`}`).want(200).get("ref")
	id, _ := strings.CutPrefix(ref.(string), "/tasks/")
	if got := h.do("GET", "/applications/shop/tasks/"+id, "").want(200).get("application"); got != "shop" {
		t.Errorf("application %v", got)
	}
	h.do("POST", "/applications/shop/tasks", `{"application":"SHOP",`+job+`}`).want(200)
	if got := h.do("POST", "/applications/other/tasks", `{"application":"shop",`+job+`}`).want(400).fields(); got["/application"] == "" {
		t.Errorf("fields %v", got)
	}
}

func TestTaskDetail(t *testing.T) {
	w := newContractWorld(t)
	path := "/tasks/" + w.taskDetail()
	var detail v1.TaskDetail
	w.do("GET", path, "").want(200).into(&detail)
	want := []v1.TaskDetailLine{{Phase: "CHANGE", Status: "resize server group storefront-prod-v001 to 3", At: detail.History[0].At}}
	if diff := cmp.Diff(want, detail.History); diff != "" {
		t.Error(diff)
	}
	if !detail.Status.Failed || detail.Status.Completed || detail.Status.Status != "create: full" {
		t.Errorf("status %+v", detail.Status)
	}
	other := w.runningTask()
	_, deployment, _ := strings.Cut(path, "/details/")
	w.do("GET", "/tasks/"+other+"/details/"+deployment, "").want(404)
}

// TestFailedStages: a stage that ran a pipeline is told by the stages of that one,
// and by itself when they are not to be seen.
func TestFailedStages(t *testing.T) {
	h := newHarness(t)
	h.save("p", `[{"refId":"1","type":"wait","name":"A","waitTime":1},{"refId":"2","type":"wait","name":"B","waitTime":1}]`)
	child, parent := h.startOf("p", ""), h.startOf("p", "")
	h.engine.end(child, delivery.StatusTerminal)
	h.engine.end(parent, delivery.StatusTerminal)
	h.store.change(child, func(e *delivery.Execution) {
		e.Name = "child"
		e.Stages[0].Failure = &delivery.Failure{Message: "full", Step: "create"}
		e.Stages[1].Status = delivery.StatusSucceeded
	})
	runs := func(id delivery.ExecutionID) func(*delivery.Execution) {
		return func(e *delivery.Execution) {
			e.Stages[0].Type, e.Stages[0].Outputs = "pipeline", json.RawMessage(`{"executionId":"`+string(id)+`"}`)
		}
	}
	h.store.change(parent, runs(child))
	list := func(query string) []v1.FailedStage {
		t.Helper()
		var out []v1.FailedStage
		h.do("GET", "/executions/failedStages?executionId="+string(parent)+query, "").want(200).into(&out)
		return out
	}
	all := list("&limit=9&deckOrigin=https://deck.example.com:9000/")
	if len(all) != 2 || all[0].StageName != "A" || all[0].PipelineExecutionName != "child" || all[0].StageException != "create: full" ||
		all[0].ParentPipelineExecutionID != string(parent) || all[1].StageName != "B" || all[1].ParentPipelineExecutionID != "" {
		t.Fatalf("failed stages %+v", all)
	}
	if want := "https://deck.example.com:9000/#/applications/storefront/executions/details/" + string(child); all[0].PipelineExecutionURL != want {
		t.Errorf("link %s, want %s", all[0].PipelineExecutionURL, want)
	}
	if got := list(""); len(got) != 1 || got[0].PipelineExecutionURL != "/pipelines/"+string(child) {
		t.Errorf("by default %+v", got)
	}
	h.store.change(child, func(e *delivery.Execution) { e.Stages[0].Status = delivery.StatusSucceeded })
	if got := list(""); len(got) != 1 || got[0].PipelineExecutionID != string(parent) || got[0].ChildPipelineExecutionName != "child" {
		t.Errorf("with a child that has none: %+v", got)
	}
	h.store.change(parent, runs(parent)) // nonsense must end
	if got := list("&limit=9"); len(got) != 2 {
		t.Errorf("with itself as child: %+v", got)
	}
	h.store.change(parent, runs("nothing"))
	if got := list(""); len(got) != 1 || got[0].ChildPipelineExecutionID != "" {
		t.Errorf("with a child that is gone: %+v", got)
	}
	for _, origin := range []string{"javascript:alert(1)", "deck", "https://me:pw@deck", "https://deck/?x=1"} {
		h.do("GET", "/executions/failedStages?executionId="+string(parent)+"&deckOrigin="+origin, "").want(400)
	}
}
