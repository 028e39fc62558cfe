package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// jobsOf is the body of a task of application storefront with jobs on
// storefront-prod in us-east-1. Each is the fields from "type" on.
func jobsOf(more string, jobs ...string) string {
	return fmt.Sprintf(`{"application":"storefront","description":"by hand"%s,"job":%s}`, more, operateStages("aws-sim", "us-east-1", jobs...))
}

const (
	resizeJob = `"type":"resizeServerGroup","target":"current_asg_dynamic","capacity":{"min":3,"max":4,"desired":3}`
	enableJob = `"type":"enableServerGroup","target":"oldest_asg_dynamic"`
	createJob = `{"type":"createServerGroup","application":"storefront","stack":"prod","credentials":"aws-sim","cloudProvider":"aws","amiName":"storefront-1.1",
		"strategy":"rolling","maxSurge":1,"capacity":{"min":1,"max":1,"desired":1},"loadBalancers":["storefront"],"availabilityZones":{"us-east-1":["us-east-1a"]}}`
)

// TestOperationsAsTask starts an orchestration of two stages in a row.
func TestOperationsAsTask(t *testing.T) {
	h := newHarness(t)
	h.cloud.add("us-east-1")
	ref, _ := h.do("POST", "/tasks", jobsOf("", resizeJob, enableJob), "X-SPINNAKER-USER", "joe").want(200).get("ref").(string)
	id, ok := strings.CutPrefix(ref, "/tasks/")
	if !ok || len(id) != 26 {
		t.Fatalf("ref %q", ref)
	}
	task := h.do("GET", ref, "").want(200)
	for path, want := range map[string]any{"status": "NOT_STARTED", "name": "by hand", "application": "storefront",
		"execution.type": "ORCHESTRATION", "execution.authentication.user": "joe"} {
		if got := task.get(path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	e, err := h.store.Execution(t.Context(), delivery.ExecutionID(id))
	if err != nil || len(e.Stages) != 2 || e.Stages[0].Type != "resizeServerGroup" || !cmp.Equal(e.Stages[1].RequisiteStageRefIDs, []string{e.Stages[0].RefID}) {
		t.Fatalf("stages %+v, %v", e.Stages, err)
	}
	definition, err := pipeline.Parse(h.store.definition(e.ID))
	if err != nil || len(definition.Stages) != 2 || definition.Stages[1].Requisites[0] != "0" {
		t.Errorf("definition %+v, %v", definition, err)
	}
	var tasks []map[string]any
	if h.do("GET", "/applications/storefront/tasks", "").want(200).into(&tasks); len(tasks) != 1 {
		t.Errorf("%d tasks", len(tasks))
	}
	var executions []map[string]any
	if h.do("GET", "/applications/storefront/pipelines", "").want(200).into(&executions); len(executions) != 0 {
		t.Errorf("%d executions of pipelines", len(executions))
	}
}

// TestTriggerOfATask: a task has the trigger that it is sent with, its parameters can be
// read by its jobs, and its correlationId makes a repeat the same task.
func TestTriggerOfATask(t *testing.T) {
	h := newHarness(t)
	h.do("POST", "/pipelines/start", `{"application":"storefront","name":"p","stages":`+waitStages+`,"trigger":{"correlationId":"a"}}`).want(200)
	const waits = `{"application":"storefront","description":"d","job":[{"type":"wait","waitTime":"${trigger.parameters.seconds}"}],"trigger":`
	for _, body := range []string{waits + `{"type":"deck","user":"else","parameters":{"seconds":3},"correlationId":"a"}}`,
		strings.TrimSuffix(createStorefront, "}") + `,"trigger":{"type":"deck","parameters":{"seconds":3},"correlationId":"b"}}`} {
		first, _ := h.do("POST", "/tasks", body, "X-SPINNAKER-USER", "joe").want(200).get("ref").(string)
		if again := h.do("POST", "/tasks", body, "X-SPINNAKER-USER", "joe").want(200).get("ref"); again != first {
			t.Errorf("a repeat is %v, want %v", again, first)
		}
		task := h.do("GET", first, "").want(200)
		for path, want := range map[string]any{"type": "deck", "user": "joe", "parameters.seconds": 3., "correlationId": task.get("execution.trigger.correlationId")} {
			if got := task.get("execution.trigger." + path); got != want || got == nil {
				t.Errorf("%s is %v, want %v", path, got, want)
			}
		}
	}
	for trigger, field := range map[string]string{`"x"`: "/trigger", `{"parameters":[]}`: "/trigger/parameters", `{"dryRun":true}`: "/trigger/dryRun", `{"type":1}`: "/trigger/type"} {
		if fields := h.do("POST", "/tasks", waits+trigger+"}").want(400).fields(); fields[field] == "" {
			t.Errorf("%s: %v", trigger, fields)
		}
	}
}

// TestVariablesOfATask: each key stands once, with the last value that is not empty.
func TestVariablesOfATask(t *testing.T) {
	h := newHarness(t)
	ref, _ := h.do("POST", "/tasks", `{"application":"storefront","description":"d","job":[{"type":"wait","waitTime":1,"note":"a","empty":[],"comments":"first"},
		{"type":"noop","note":"b","empty":"x","comments":""}]}`).want(200).get("ref").(string)
	var task struct {
		Variables []v1.TaskVariable
	}
	h.do("GET", ref, "").want(200).into(&task)
	got := map[string]string{}
	for _, v := range task.Variables {
		if _, twice := got[v.Key]; twice {
			t.Errorf("%s stands twice", v.Key)
		}
		got[v.Key] = string(v.Value)
	}
	want := map[string]string{"waitTime": "1", "note": `"b"`, "empty": `"x"`, "comments": `"first"`}
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s is %s, want %s", key, got[key], value)
		}
	}
}

// TestSteeringTasks: a task takes orders under its own path only.
func TestSteeringTasks(t *testing.T) {
	h := newHarness(t)
	h.cloud.add("us-east-1")
	ref, _ := h.do("POST", "/tasks", jobsOf("", resizeJob)).want(200).get("ref").(string)
	id := delivery.ExecutionID(strings.TrimPrefix(ref, "/tasks/"))
	h.engine.run(id)
	h.do("PUT", "/pipelines/"+string(id)+"/cancel", "").want(404)
	h.do("PUT", "/tasks/01JD3Z8Q6V5T0H3W4M8N7K2RXA/cancel", "").want(404)
	h.do("PUT", ref+"/pause", "").want(200).void()
	h.do("PUT", ref+"/resume", "").want(200).void()
	h.store.deploy(delivery.Deployment{ID: "d", Execution: id, Status: delivery.DeploymentRunning})
	h.do("PUT", ref+"/advance?reason=now", "").want(200).void()
	h.do("PUT", ref+"/promote", "").want(200).void()
	if len(h.engine.moves) != 2 {
		t.Errorf("moves %q", h.engine.moves)
	}
	for range 2 {
		h.do("PUT", ref+"/cancel?reason=enough", "", "X-SPINNAKER-USER", "ann").want(200).void()
	}
	if task := h.do("GET", ref, "").want(200); task.get("status") != "CANCELED" || task.get("execution.cancellationReason") != "enough" {
		t.Errorf("task %s", task.body)
	}
	other, _ := h.do("POST", "/tasks", jobsOf("", resizeJob)).want(200).get("ref").(string)
	h.engine.end(delivery.ExecutionID(strings.TrimPrefix(other, "/tasks/")), delivery.StatusSucceeded)
	h.do("PUT", other+"/cancel", "").want(409)
	h.do("GET", "/executions/"+string(id)+"/events?follow=false", "").want(200)
}

// TestRepeatedTask is one task, whatever changed since.
func TestRepeatedTask(t *testing.T) {
	h := newHarness(t)
	h.cloud.add("us-east-1")
	first := h.do("POST", "/tasks", jobsOf("", resizeJob), "Idempotency-Key", "k").want(200)
	if again := h.do("POST", "/tasks", jobsOf("", resizeJob), "Idempotency-Key", "k").want(200); string(again.body) != string(first.body) {
		t.Errorf("%s and %s", first.body, again.body)
	}
	h.do("POST", "/tasks", jobsOf("", enableJob), "Idempotency-Key", "k").want(422)
	if _, _, executions := h.store.count(); executions != 1 {
		t.Errorf("%d executions", executions)
	}
}

// TestPlanOfTask shows what the jobs would do; a task with its hash does that or nothing.
func TestPlanOfTask(t *testing.T) {
	h := newHarness(t)
	h.cloud.add("us-east-1")
	destroy := `"type":"destroyServerGroup","serverGroupName":"storefront-prod-v001"`
	var plan v1.Plan
	h.do("POST", "/tasks/plan", jobsOf("", resizeJob, destroy)).want(200).into(&plan)
	var got []string
	for _, stage := range plan.Stages {
		for _, d := range stage.Deployments {
			for _, a := range d.Actions {
				if a.Type == "change" {
					got = append(got, stage.RefID+" "+a.Description)
				}
			}
		}
	}
	want := []string{"0 resize server group storefront-prod-v000 to min 3, desired 3, max 4", "1 destroy server group storefront-prod-v001"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, _, executions := h.store.count(); executions != 0 {
		t.Errorf("%d executions were recorded for a plan", executions)
	}
	h.do("POST", "/tasks/plan", `{"application":"a","job":[{"type":"createApplication","application":{"name":"a"}}]}`).want(400)
	hash := `,"planHash":"` + plan.Hash + `"`
	h.cloud.scale("us-east-1", 0, 2)
	stale := h.do("POST", "/tasks", jobsOf(hash, resizeJob, destroy)).want(409)
	if stale.get("code") != "plan_stale" {
		t.Errorf("answer %s", stale.body)
	}
	h.cloud.scale("us-east-1", 0, 1)
	h.do("POST", "/tasks", jobsOf(hash, resizeJob, destroy)).want(200)
}

// TestCreateServerGroupTask deploys what the job itself describes.
func TestCreateServerGroupTask(t *testing.T) {
	h := newHarness(t)
	h.cloud.add("us-east-1")
	var plan v1.Plan
	body := `{"application":"storefront","job":[` + createJob + `]}`
	h.do("POST", "/tasks/plan", body).want(200).into(&plan)
	if d := plan.Stages[0].Deployments; len(d) != 1 || d[0].ServerGroup != "storefront-prod-v002" || d[0].Account != "aws-sim" || d[0].Failure != nil {
		t.Errorf("plan %+v", plan)
	}
	h.do("POST", "/tasks", body).want(200)
	wrong := strings.Replace(body, "storefront-1.1", "storefront-9", 1)
	if fields := h.do("POST", "/tasks", wrong).want(400).fields(); fields["/job/0/amiName"] == "" {
		t.Errorf("fields %v", fields)
	}
}

// TestBadTasks are refused with the place of what is wrong, before anything is recorded.
func TestBadTasks(t *testing.T) {
	h := newHarness(t)
	for _, test := range []struct{ name, body, pointer string }{
		{"a wrong capacity", jobsOf("", enableJob, `"type":"resizeServerGroup","target":"current","capacity":{"min":5,"max":4,"desired":4}`), "/job/1/capacity/min"},
		{"an unknown account", strings.Replace(jobsOf("", enableJob), "aws-sim", "nobody", 1), "/job/0/credentials"},
		{"an unknown region", strings.Replace(jobsOf("", enableJob), "us-east-1", "mars-1", 1), "/job/0/regions"},
		{"an unknown type beside a stage", jobsOf("", enableJob, `"type":"makeCoffee"`), "/job/1/type"},
		{"an application's job beside a stage", `{"application":"storefront","job":[{"type":"wait","waitTime":1},{"type":"createApplication","application":{"name":"storefront"}}]}`, "/job/1/type"},
		{"an order of its own", `{"application":"storefront","job":[{"type":"wait","waitTime":1,"requisiteStageRefIds":[]}]}`, "/job/0/requisiteStageRefIds"},
		{"no application", `{"job":[{"type":"wait","waitTime":1}]}`, "/application"},
		{"a wrong hash", jobsOf(`,"planHash":7`, enableJob), "/planHash"},
		{"a plan of an application", `{"application":"a","planHash":"x","job":[{"type":"createApplication","application":{"name":"a"}}]}`, "/planHash"},
		{"a broken expression", jobsOf("", `"type":"enableServerGroup","target":"${"`), "/job/0/target"},
		{"a strategy that does not suit", `{"application":"storefront","job":[` + strings.Replace(createJob, `"loadBalancers":["storefront"]`, `"strategy":"canary","steps":[{"weight":1}]`, 1) + `]}`, "/job/0/strategy"},
		{"no account", strings.Replace(`{"application":"storefront","job":[`+createJob+`]}`, `"credentials":"aws-sim",`, "", 1), "/job/0/account"},
	} {
		for _, path := range []string{"/tasks", "/tasks/plan"} {
			if fields := h.do("POST", path, test.body).want(400).fields(); fields[test.pointer] == "" && path == "/tasks" {
				t.Errorf("%s: %v, want %s", test.name, fields, test.pointer)
			}
		}
	}
	if _, _, executions := h.store.count(); executions != 0 {
		t.Errorf("%d executions", executions)
	}
}

// TestEveryOperationIsAJob: what can be done to server groups in a pipeline can be
// done by hand.
func TestEveryOperationIsAJob(t *testing.T) {
	for _, kind := range rollout.Operations() {
		if !pipeline.IsJob(string(kind)) {
			t.Errorf("%s is no job", kind)
		}
	}
	if pipeline.IsJob("createApplication") || !pipeline.IsJob("createServerGroup") {
		t.Error("the types of jobs are mixed up")
	}
}
