package api_test

import (
	"strings"
	"testing"
)

// task runs a job as spin does, and returns the finished task.
func (h *harness) task(body string) answer {
	h.t.Helper()
	ref, _ := h.do("POST", "/tasks", body).want(200).get("ref").(string)
	return h.do("GET", ref, "").want(200)
}

func TestProjects(t *testing.T) {
	h := newHarness(t)
	h.do("GET", "/projects/Retail", "").want(404)
	first := h.task(`{"job":[{"type":"upsertProject","project":{"name":"Retail","email":"a@example.com","x":{"kept":true}},"user":"a@example.com"}],"application":"spinnaker","project":"Retail","description":"Create Project: Retail"}`)
	if first.get("status") != "SUCCEEDED" {
		t.Fatalf("task %s", first.body)
	}
	project := h.do("GET", "/projects/retail", "").want(200)
	id, _ := project.get("id").(string)
	for path, want := range map[string]any{"name": "Retail", "email": "a@example.com", "x.kept": true, "lastModifiedBy": "anonymous", "config.applications": []any{}} {
		if got := project.get(path); strings.TrimSpace(sprint(got)) != sprint(want) {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	if again := h.task(`{"application":"spinnaker","job":[{"type":"upsertProject","project":{"name":"RETAIL"}}]}`); again.get("status") != "TERMINAL" {
		t.Errorf("a second project of the name: %s", again.body)
	}
	h.cloud.add("us-east-1")
	h.cloud.add("us-west-2")
	h.save("deploy", deployStages("storefront-1.1"))
	wait := h.save("wait", `[{"type":"wait","waitTime":1}]`)
	h.save("other", `[{"type":"wait","waitTime":1}]`)
	h.task(`{"application":"spinnaker","job":[{"type":"upsertProject","project":{"id":"` + id + `","name":"Shop","email":"b@example.com","config":{"applications":["storefront"],
		"pipelineConfigs":[{"application":"storefront","pipelineConfigId":"` + wait + `"}],"clusters":[{"account":"aws-sim","stack":"prod","detail":"*"},{"account":"aws-sim","stack":"test","detail":"*"}]}}}]}`)
	h.do("GET", "/projects/Retail", "").want(404)
	if got := h.do("GET", "/projects/"+id, "").want(200); got.get("name") != "Shop" || got.get("revision") != 2.0 || got.get("x") != nil {
		t.Errorf("project %s", got.body)
	}
	for range 3 {
		h.startOf("wait", "")
	}
	h.startOf("other", "")
	var list []map[string]any
	for path, want := range map[string]int{"/projects": 1, "/projects/Shop/pipelines": 3, "/projects/Shop/pipelines?limit=2": 2, "/projects/Shop/pipelines?statuses=RUNNING": 0,
		"/projects/shop/pipelines?statuses=": 3, "/projects/nothing/pipelines": 0, "/projects/nothing/clusters": 0, "/projects/shop/clusters": 2} {
		if h.do("GET", path, "").want(200).into(&list); len(list) != want {
			t.Errorf("%s: %d, want %d", path, len(list), want)
		}
	}
	var clusters []struct {
		Stack          string
		InstanceCounts struct{ Total int }
		Applications   []struct {
			Application string
			Clusters    []struct{ Region string }
		}
	}
	h.do("GET", "/projects/shop/clusters", "").want(200).into(&clusters)
	if one := clusters[0]; one.Stack != "prod" || one.InstanceCounts.Total == 0 || len(one.Applications) != 1 || len(one.Applications[0].Clusters) != 2 {
		t.Errorf("clusters %+v", clusters)
	}
	if one := clusters[1]; one.InstanceCounts.Total != 0 || len(one.Applications[0].Clusters) != 0 {
		t.Errorf("clusters of a stack that is not there: %+v", one)
	}
	if gone := h.task(`{"job":[{"type":"deleteProject","project":{"id":"` + id + `","name":"Shop"}}],"application":"spinnaker","description":"Delete Project: Shop"}`); gone.get("status") != "SUCCEEDED" {
		t.Errorf("task %s", gone.body)
	}
	h.do("GET", "/projects/Shop", "").want(404)
}

func TestProjectsThatAreRefused(t *testing.T) {
	h := newHarness(t)
	for job, pointer := range map[string]string{
		`{"type":"upsertProject"}`:                                                              "/job/0/project",
		`{"type":"upsertProject","project":{}}`:                                                 "/job/0/project/name",
		`{"type":"upsertProject","project":{"name":"a\nb"}}`:                                    "/job/0/project/name",
		`{"type":"upsertProject","project":{"name":"a","config":[]}}`:                           "/job/0/project/config",
		`{"type":"upsertProject","project":{"name":"a","config":{"applications":"x"}}}`:         "/job/0/project/config/applications",
		`{"type":"upsertProject","project":{"name":"a","config":{"clusters":[{"account":1}]}}}`: "/job/0/project/config/clusters/account",
		`{"type":"deleteProject","project":{}}`:                                                 "/job/0/project/name",
	} {
		if fields := h.do("POST", "/tasks", `{"application":"spinnaker","job":[`+job+`]}`).want(400).fields(); fields[pointer] == "" {
			t.Errorf("%s: fields %v, want %s", job, fields, pointer)
		}
	}
	if unknown := h.task(`{"application":"spinnaker","job":[{"type":"upsertProject","project":{"id":"no-such","name":"a"}}]}`); unknown.get("status") != "TERMINAL" {
		t.Errorf("an unknown id: %s", unknown.body)
	}
	if fields := h.do("POST", "/tasks", `{"application":"storefront","job":[{"type":"wait","waitTime":1},{"type":"upsertProject","project":{"name":"a"}}]}`).want(400).fields(); fields["/job/1/type"] == "" {
		t.Errorf("a project between stages: fields %v", fields)
	}
}
