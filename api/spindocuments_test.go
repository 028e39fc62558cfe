package api_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// spinDocumentCommands are the commands about documents that are kept by Gate's
// other services.
var spinDocumentCommands = []spinCommand{
	{"project save", func(s *spinClient) (any, error) {
		return s.projectSave(map[string]any{"name": "web", "email": "e@x"})
	}, []string{"GET /projects/web", "POST /tasks", "GET /tasks/ID"}, "Project save succeeded", ""},
	{"project save of what is there", func(s *spinClient) (any, error) {
		return s.projectSave(map[string]any{"name": "web", "email": "f@x", "config": map[string]any{"applications": []string{"storefront"}}})
	}, []string{"GET /projects/web", "POST /tasks", "GET /tasks/ID"}, "Project save succeeded", ""},
	{"project list", func(s *spinClient) (any, error) { return s.show("/projects") },
		[]string{"GET /projects"}, `[{"id":"string","name":"=web","email":"=f@x"}]`, ""},
	{"project get", func(s *spinClient) (any, error) { return s.projectGet("web") },
		[]string{"GET /projects/web"}, `{"id":"string","name":"=web","config":{"applications":["string"]}}`, ""},
	{"project get of nothing", func(s *spinClient) (any, error) { return s.projectGet("nothing") },
		[]string{"GET /projects/nothing"}, "", "Project 'nothing' not found"},
	{"project get-pipelines", func(s *spinClient) (any, error) { return s.show("/projects/web/pipelines") },
		[]string{"GET /projects/web/pipelines"}, `[]`, ""},
	{"project delete", func(s *spinClient) (any, error) { return s.projectDelete("web") },
		[]string{"GET /projects/web", "POST /tasks", "GET /tasks/ID"}, "Project delete succeeded", ""},

	{"pipeline-template save", func(s *spinClient) (any, error) { return s.templateSave("t", "stable", 3) },
		[]string{"GET /v2/pipelineTemplates/t?tag=stable", "POST /v2/pipelineTemplates/create?tag=stable"}, "Pipeline template save succeeded", ""},
	{"pipeline-template save of what is there", func(s *spinClient) (any, error) { return s.templateSave("t", "stable", 4) },
		[]string{"GET /v2/pipelineTemplates/t?tag=stable", "POST /v2/pipelineTemplates/update/t?tag=stable"}, "Pipeline template save succeeded", ""},
	{"pipeline-template list", func(s *spinClient) (any, error) { return s.show("/v2/pipelineTemplates?scopes=") },
		[]string{"GET /v2/pipelineTemplates?scopes="}, `[{"id":"=t"}]`, ""},
	{"pipeline-template get", func(s *spinClient) (any, error) { return s.show("/v2/pipelineTemplates/t?tag=stable") },
		[]string{"GET /v2/pipelineTemplates/t?tag=stable"}, `{"id":"=t","schema":"=v2"}`, ""},
	{"pipeline-template plan", func(s *spinClient) (any, error) { return s.templatePlan("spinnaker://t:stable") },
		[]string{"POST /v2/pipelineTemplates/plan"}, `{"name":"=planned","stages":[{"type":"=wait"}]}`, ""},
	{"pipeline-template plan of nothing", func(s *spinClient) (any, error) { return s.templatePlan("spinnaker://u:stable") },
		[]string{"POST /v2/pipelineTemplates/plan"}, "", "400 Bad Request"},
	{"pipeline-template delete", func(s *spinClient) (any, error) { return s.templateDelete("t", "stable") },
		[]string{"DELETE /v2/pipelineTemplates/t?tag=stable"}, "Pipeline template t deleted", ""},

	{"canary-config save", func(s *spinClient) (any, error) { return s.canaryConfigSave("c") },
		[]string{"GET /v2/canaryConfig/c", "POST /v2/canaryConfig"}, "Canary config save succeeded", ""},
	{"canary-config save of what is there", func(s *spinClient) (any, error) { return s.canaryConfigSave("c") },
		[]string{"GET /v2/canaryConfig/c", "PUT /v2/canaryConfig/c"}, "Canary config save succeeded", ""},
	{"canary-config list", func(s *spinClient) (any, error) { return s.show("/v2/canaryConfig?application=") },
		[]string{"GET /v2/canaryConfig?application="}, `[{"id":"=c","name":"=c","updatedTimestamp":"number","applications":["string"]}]`, ""},
	{"canary-config get", func(s *spinClient) (any, error) { return s.show("/v2/canaryConfig/c") },
		[]string{"GET /v2/canaryConfig/c"}, `{"id":"=c","name":"=c"}`, ""},
	{"canary-config delete", func(s *spinClient) (any, error) {
		return "Canary config c deleted", s.send("DELETE", "/v2/canaryConfig/c", nil).needs(200, "deleting canary config")
	}, []string{"DELETE /v2/canaryConfig/c"}, "Canary config c deleted", ""},
}

// TestSpinDocuments runs the commands about projects, templates and canary
// configurations.
func TestSpinDocuments(t *testing.T) {
	for _, kind := range []string{"project", "pipeline-template", "canary-config"} {
		t.Run(kind, func(t *testing.T) {
			s := &spinClient{harness: newHarness(t)}
			s.runTask(createStorefront)
			s.run(t, slices.DeleteFunc(slices.Clone(spinDocumentCommands), func(c spinCommand) bool { return !c.about(kind) }))
		})
	}
}

func (s *spinClient) projectGet(name string) (any, error) {
	a := s.send("GET", "/projects/"+name, nil)
	if a.status == 404 {
		return nil, fmt.Errorf("Project '%s' not found", name)
	}
	return a.value, a.needs(200, "getting project")
}

func (s *spinClient) projectTask(kind, name, description, doing string, project any) error {
	return s.taskOf(map[string]any{"application": "spinnaker", "project": name, "description": description,
		"job": []any{map[string]any{"type": kind, "project": project, "user": "e@x"}}}, doing, 0)
}

func (s *spinClient) projectSave(project map[string]any) (any, error) {
	name, _ := project["name"].(string)
	if a := s.send("GET", "/projects/"+name, nil); a.status == 200 {
		project["id"] = a.text("id")
	}
	return "Project save succeeded", s.projectTask("upsertProject", name, "Create Project: "+name, "saving project", project)
}

func (s *spinClient) projectDelete(name string) (any, error) {
	a := s.send("GET", "/projects/"+name, nil)
	if err := a.needs(200, "getting project"); err != nil {
		return nil, err
	}
	return "Project delete succeeded", s.projectTask("deleteProject", name, "Delete Project: "+name, "deleting project", a.value)
}

// saved is what an answer to a saved template has to be: nothing, or a task that is
// complete.
func (a spinAnswer) saved() error {
	if a.status != 200 && a.status != 202 {
		return a.line()
	}
	if a.value != nil && !slices.Contains([]string{"SUCCEEDED", "STOPPED", "SKIPPED"}, a.text("status")) {
		return fmt.Errorf("Encountered an error with saving pipeline template %v", a.value)
	}
	return nil
}

func (s *spinClient) templateSave(id, tag string, seconds int) (any, error) {
	template := map[string]any{"schema": "v2", "id": id, "tag": tag, "protect": false, "variables": []any{},
		"metadata": map[string]any{"name": id, "description": "d", "owner": "e@x", "scopes": []string{"global"}},
		"pipeline": map[string]any{"stages": []any{map[string]any{"refId": "1", "type": "wait", "name": "Wait", "waitTime": seconds}}}}
	path := "create"
	switch a := s.send("GET", "/v2/pipelineTemplates/"+id+"?tag="+tag, nil); a.status {
	case 200:
		path = "update/" + id
	case 404:
	default:
		return nil, a.line()
	}
	return "Pipeline template save succeeded", s.send("POST", "/v2/pipelineTemplates/"+path+"?tag="+tag, template).saved()
}

func (s *spinClient) templatePlan(reference string) (any, error) {
	a := s.send("POST", "/v2/pipelineTemplates/plan", map[string]any{"schema": "v2", "application": "storefront", "name": "planned",
		"template":  map[string]any{"artifactAccount": "front50ArtifactCredentials", "type": "front50/pipelineTemplate", "reference": reference},
		"variables": map[string]any{}, "exclude": []any{}, "triggers": []any{}, "parameters": []any{}, "notifications": []any{}, "stages": []any{}})
	if a.status != 200 {
		return nil, a.line()
	}
	return a.value, nil
}

func (s *spinClient) templateDelete(id, tag string) (any, error) {
	return "Pipeline template " + id + " deleted", s.send("DELETE", "/v2/pipelineTemplates/"+id+"?tag="+tag, nil).needs(202, "deleting pipeline template")
}

func (s *spinClient) canaryConfigSave(id string) (any, error) {
	config := map[string]any{"id": id, "name": id, "applications": []string{"storefront"}, "configVersion": "1",
		"judge":      map[string]any{"name": "NetflixACAJudge-v1.0", "judgeConfigurations": map[string]any{}},
		"metrics":    []any{map[string]any{"name": "errors", "query": map[string]any{"type": "prometheus"}, "groups": []string{"G"}, "scopeName": "default"}},
		"classifier": map[string]any{"groupWeights": map[string]any{"G": 100}}}
	method, path := "POST", "/v2/canaryConfig"
	switch a := s.send("GET", "/v2/canaryConfig/"+id, nil); a.status {
	case 200:
		method, path = "PUT", path+"/"+id
	case 404:
	default:
		return nil, a.line()
	}
	a := s.send(method, path, config)
	if err := a.needs(200, "saving canary config"); err != nil {
		return nil, err
	}
	if a.text("canaryConfigId") != id {
		return nil, errors.New("the answer has another canaryConfigId")
	}
	return "Canary config save succeeded", nil
}
