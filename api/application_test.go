package api_test

import (
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

const createStorefront = `{"application":"storefront","description":"Create Application: storefront","job":[
	{"type":"createApplication","application":{"name":"Storefront","email":"a@x","cloudProviders":["aws","gce"],"team":"blue"},"user":"x"}]}`

// runTask sends a task and returns what the first poll says.
func (h *harness) runTask(body string) answer {
	h.t.Helper()
	ref, _ := h.do("POST", "/tasks", body, "X-SPINNAKER-USER", "joe").want(200).get("ref").(string)
	return h.do("GET", ref, "").want(200)
}

func (a answer) variable(key string) map[string]any {
	a.t.Helper()
	var task struct {
		Variables []struct {
			Key   string
			Value any
		}
	}
	a.into(&task)
	for _, v := range task.Variables {
		if v.Key == key {
			fields, _ := v.Value.(map[string]any)
			return fields
		}
	}
	return nil
}

func TestApplicationLife(t *testing.T) {
	h := newHarness(t)
	task := h.runTask(createStorefront)
	if task.get("status") != "SUCCEEDED" || task.get("name") != "Create Application: storefront" {
		t.Fatalf("task %s", task.body)
	}
	app := h.do("GET", "/applications/STOREFRONT?expand=false", "").want(200)
	for path, want := range map[string]any{
		"name": "storefront", "attributes.name": "storefront", "attributes.email": "a@x",
		"attributes.cloudProviders": "aws,gce", "attributes.team": "blue", "attributes.lastModifiedBy": "joe",
	} {
		if got := app.get(path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	created := app.get("attributes.createTs")
	h.runTask(`{"application":"storefront","job":[{"type":"updateApplication","application":{"name":"storefront","email":"b@x","team":null}}]}`)
	app = h.do("GET", "/applications/storefront?expand=false", "").want(200)
	if app.get("attributes.email") != "b@x" || app.get("attributes.team") != "blue" || app.get("attributes.createTs") != created {
		t.Errorf("after the update: %s", app.body)
	}
	var list []map[string]any
	for query, want := range map[string]int{"": 1, "?owner=B@X": 1, "?owner=c@x": 0, "?account=prod": 0, "?account=&owner=": 1} {
		if h.do("GET", "/applications"+query, "").want(200).into(&list); len(list) != want {
			t.Errorf("/applications%s: %d applications, want %d", query, len(list), want)
		}
	}
	h.save("deploy", deployStages("storefront-1.1"))
	for query, want := range map[string]int{"?account=aws-sim": 1, "?account=gcp-sim": 0, "?account=aws-sim&owner=c@x": 0} {
		if h.do("GET", "/applications"+query, "").want(200).into(&list); len(list) != want {
			t.Errorf("/applications%s: %d applications, want %d", query, len(list), want)
		}
	}
	const remove = `{"application":"storefront","job":[{"type":"deleteApplication","application":{"name":"storefront"}}]}`
	if task := h.runTask(remove); task.get("status") != "SUCCEEDED" {
		t.Fatalf("task %s", task.body)
	}
	h.do("GET", "/applications/storefront", "").want(404)
	if task := h.runTask(remove); task.get("status") != "SUCCEEDED" {
		t.Errorf("a second deletion: %s", task.body)
	}
	var tasks []map[string]any
	if h.do("GET", "/applications/storefront/tasks?limit=3", "").want(200).into(&tasks); len(tasks) != 3 {
		t.Errorf("%d tasks, want 3", len(tasks))
	}
	if h.do("GET", "/applications/storefront/tasks?limit=3&page=2", "").want(200).into(&tasks); len(tasks) != 1 {
		t.Errorf("%d tasks on page 2, want 1", len(tasks))
	}
}

func TestTasksThatFail(t *testing.T) {
	h := newHarness(t)
	h.runTask(createStorefront)
	fails := func(name, body, text string) {
		t.Helper()
		task := h.runTask(body)
		details, _ := task.variable("exception")["details"].(map[string]any)
		errors, _ := details["errors"].([]any)
		if task.get("status") != "TERMINAL" || len(errors) == 0 || !strings.Contains(errors[0].(string), text) {
			t.Errorf("%s: %s", name, task.body)
		}
	}
	const remove = `{"application":"storefront","job":[{"type":"deleteApplication","application":{"name":"storefront"}}]}`
	fails("unknown type", `{"application":"storefront","job":[{"type":"makeCoffee"},{"type":"deleteApplication","application":{"name":"storefront"}}]}`, "makeCoffee")

	h.save("deploy", deployStages("storefront-1.1"))
	h.cloud.add("us-east-1")
	fails("clusters", remove, "Application is associated with one or more clusters")
	h.cloud.fail(delivery.Errorf(delivery.Throttled, "Rate exceeded"))
	fails("clouds that do not answer", remove, "Rate exceeded")
	h.cloud.fail(nil)
	h.startOf("deploy", `{}`)
	fails("running", remove, "executions that run")
	h.do("GET", "/applications/storefront?expand=false", "").want(200)
}

func TestTasksThatAreRefused(t *testing.T) {
	h := newHarness(t)
	for body, pointer := range map[string]string{
		`{"application":"a"}`:                                                                 "/job",
		`{"application":"a","job":[]}`:                                                        "/job",
		`{"application":"a","job":{"type":"createApplication"}}`:                              "/job",
		`{"application":7,"job":[{"type":"x"}]}`:                                              "/application",
		`{"application":"a","job":[null]}`:                                                    "/job/0",
		`{"application":"a","job":[{"type":"x"},{}]}`:                                         "/job/1/type",
		`{"application":"a","job":[{"type":"createApplication"}]}`:                            "/job/0/application",
		`{"job":[{"type":"createApplication","application":{}}]}`:                             "/job/0/application/name",
		`{"job":[{"type":"createApplication","application":{"name":7}}]}`:                     "/name",
		`{"job":[{"type":"createApplication","application":{"name":"a."}}]}`:                  "/job/0/application/name",
		`{"application":"a","job":[{"type":"deleteApplication","application":{"name":"b"}}]}`: "/job/0/application/name",
	} {
		fields := h.do("POST", "/tasks", body).want(400).fields()
		found := false
		for at := range fields {
			found = found || strings.HasSuffix(at, pointer)
		}
		if !found {
			t.Errorf("%s: fields %v, want %s", body, fields, pointer)
		}
	}
	if applications, _, executions := h.store.count(); applications+executions != 0 {
		t.Errorf("something was created: %d applications, %d executions", applications, executions)
	}
}

func TestApplicationHistory(t *testing.T) {
	h := newHarness(t)
	for _, email := range []string{"a@example.com", "b@example.com"} {
		h.task(`{"application":"shop","job":[{"type":"createApplication","application":{"name":"Shop","email":"` + email + `"}}]}`)
	}
	var list []struct{ Name, Email, UpdateTs string }
	for path, want := range map[string]int{"/applications/SHOP/history": 2, "/applications/shop/history?limit=1": 1, "/applications/shop/history?limit=0": 0, "/applications/nothing/history": 0} {
		h.do("GET", path, "").want(200).into(&list)
		if len(list) != want || want > 0 && (list[0].Name != "shop" || list[0].Email != "b@example.com" || list[0].UpdateTs == "") {
			t.Errorf("%s: %+v, want %d", path, list, want)
		}
	}
}
