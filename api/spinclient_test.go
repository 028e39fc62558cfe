package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// spinClient sends what Spinnaker's command-line tool sends and believes what it
// believes: status codes are compared exactly, JSON is decoded only when it is named,
// and of an error nothing is read but its status line.
type spinClient struct {
	*harness
	// slash is what the endpoint of the configuration ends with: "" or "/".
	slash string
	sent  []string
}

// spinAnswer is an answer as the tool's generated client hands it on.
type spinAnswer struct {
	status int
	value  any
}

func (s *spinClient) send(method, path string, body any) spinAnswer {
	s.t.Helper()
	text, headers := "", []string{"User-Agent", "Spin-CLI/dev", "Accept", "*/*"}
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		text, headers = string(raw), append(headers, "Content-Type", "application/json")
	}
	s.sent = append(s.sent, method+" "+path)
	a := s.do(method, s.slash+path, text, headers...)
	if a.status >= 300 && a.status < 400 {
		s.t.Errorf("%s: a redirect", a.what)
	}
	out := spinAnswer{status: a.status}
	if strings.Contains(a.header.Get("Content-Type"), "application/json") && a.status < 300 {
		a.into(&out.value)
	}
	return out
}

func (a spinAnswer) line() error {
	return fmt.Errorf("%d %s", a.status, http.StatusText(a.status))
}

// needs is nil for exactly one status.
func (a spinAnswer) needs(status int, doing string) error {
	if a.status == status {
		return nil
	}
	return fmt.Errorf("Encountered an error %s, status code: %d", doing, a.status)
}

func (a spinAnswer) text(key string) string {
	fields, _ := a.value.(map[string]any)
	text, _ := fields[key].(string)
	return text
}

// start is what precedes every command.
func (s *spinClient) start() error {
	if a := s.send("GET", "/version", nil); a.status >= 300 {
		return fmt.Errorf("Could not reach Gate, please ensure it is running. Failing. %w", a.line())
	}
	return nil
}

// show prints the answer to a GET.
func (s *spinClient) show(path string) (any, error) {
	a := s.send("GET", path, nil)
	if a.status >= 300 {
		return nil, a.line()
	}
	return a.value, nil
}

// task sends jobs and polls: the first poll has to find a task that is complete, since
// the next ones cost the user a second and more.
func (s *spinClient) task(application, description, doing string, exact int, job map[string]any) error {
	return s.taskOf(map[string]any{"application": application, "description": description, "job": []any{job}}, doing, exact)
}

// taskOf is task with the whole body. Where exact is not 0, only that status will do.
func (s *spinClient) taskOf(body map[string]any, doing string, exact int) error {
	s.t.Helper()
	a := s.send("POST", "/tasks", body)
	if exact != 0 {
		if err := a.needs(exact, doing); err != nil {
			return err
		}
	}
	if a.status >= 300 {
		return a.line()
	}
	ref := a.text("ref")
	if ref == "" {
		return errors.New("panic: no ref")
	}
	task := s.send("GET", "/tasks/"+ref[strings.LastIndex(ref, "/")+1:], nil)
	switch status := task.text("status"); {
	case slices.Contains([]string{"SUCCEEDED", "STOPPED", "SKIPPED"}, status):
		return nil
	case slices.Contains([]string{"TERMINAL", "FAILED_CONTINUE"}, status):
		return fmt.Errorf("Encountered an error %s, task output was: %v", doing, status)
	default:
		return fmt.Errorf("the first poll says %q", status)
	}
}

func (s *spinClient) applicationSave(application map[string]any) (any, error) {
	name, _ := application["name"].(string)
	err := s.task(name, "Create Application: "+name, "saving application", 0, map[string]any{"type": "createApplication", "application": application})
	return "Application save succeeded", err
}

func (s *spinClient) applicationDelete(name string) (any, error) {
	switch a := s.send("GET", "/applications/"+name+"?expand=false", nil); a.status {
	case 200:
	case 404:
		return nil, fmt.Errorf("Attempting to delete application '%s' which does not exist, exiting...", name)
	default:
		return nil, a.needs(200, "getting application")
	}
	err := s.task(name, "Delete Application: "+name, "deleting application", 200, map[string]any{"type": "deleteApplication",
		"application": map[string]any{"name": name}})
	return "Application deleted", err
}

func (s *spinClient) applicationGet(name string, expand bool) (any, error) {
	a := s.send("GET", fmt.Sprintf("/applications/%s?expand=%v", name, expand), nil)
	switch fields, _ := a.value.(map[string]any); {
	case a.status == 404:
		return nil, fmt.Errorf("Application '%s' not found", name)
	case a.status != 200:
		return nil, a.needs(200, "getting application")
	case expand:
		return fields, nil
	default:
		return fields["attributes"], nil
	}
}

func (s *spinClient) applicationPipelines(application, status string) (any, error) {
	return s.show("/applications/" + application + "/pipelines?expand=false&statuses=" + status)
}

func (s *spinClient) applicationCancel(id, reason string) (any, error) {
	a := s.send("PUT", "/applications/%7Bapplication%7D/pipelines/"+id+"/cancel?reason="+reason, nil)
	switch a.status {
	case 200:
		return "Pipeline " + id + " was cancelled.", nil
	case 404:
		return nil, fmt.Errorf("Execution ID '%s' not found", id)
	default:
		return nil, a.needs(200, "canceling execution with id "+id)
	}
}

func (s *spinClient) applicationCancelAll(application, status string) (any, error) {
	found, err := s.applicationPipelines(application, status)
	if err != nil {
		return nil, err
	}
	var out []string
	list, _ := found.([]any)
	for _, one := range list {
		id := spinAnswer{value: one}.text("id")
		if _, err := s.applicationCancel(id, ""); err != nil {
			return nil, err
		}
		out = append(out, "Cancelling execution "+id+"...")
	}
	return strings.Join(out, "\n"), nil
}

func (s *spinClient) pipelineSave(pipeline map[string]any) (any, error) {
	a := s.send("GET", fmt.Sprintf("/applications/%s/pipelineConfigs/%s", pipeline["application"], url.PathEscape(pipeline["name"].(string))), nil)
	switch a.status {
	case 200:
		if a.text("id") == "" {
			return nil, errors.New("panic: no id")
		}
		pipeline["id"] = a.text("id")
	case 404:
	default:
		return nil, fmt.Errorf("unhandled response %d: ", a.status)
	}
	return "Pipeline save succeeded", s.send("POST", "/pipelines", pipeline).needs(200, "saving pipeline")
}

func (s *spinClient) pipelineUpdate(application, name string, disabled bool) (any, error) {
	a := s.send("GET", "/applications/"+application+"/pipelineConfigs/"+name, nil)
	pipeline, ok := a.value.(map[string]any)
	switch {
	case a.status == 404:
		return nil, fmt.Errorf("Pipeline %s not found under application %s", name, application)
	case !ok:
		return nil, errors.New("panic: nil map")
	}
	pipeline["disabled"] = disabled
	return "Pipeline update succeeded", s.send("POST", "/pipelines", pipeline).needs(200, "saving pipeline")
}

func (s *spinClient) pipelineDelete(application, name string) (any, error) {
	return "Pipeline deleted", s.send("DELETE", "/pipelines/"+application+"/"+name, nil).needs(200, "deleting pipeline")
}

func (s *spinClient) pipelineExecute(application, name string, trigger map[string]any) (any, error) {
	a := s.send("POST", "/pipelines/"+application+"/"+name, trigger)
	if a.status >= 300 {
		return nil, fmt.Errorf("Execute pipeline failed with response: %w", a.line())
	}
	return "Pipeline execution started", a.needs(202, "executing pipeline")
}

func (s *spinClient) executionCancel(id string) (any, error) {
	return "Execution " + id + " successfully canceled", s.send("PUT", "/pipelines/"+id+"/cancel", nil).needs(200, "canceling execution with id "+id)
}

func (s *spinClient) accountGet(name string) (any, error) {
	a := s.send("GET", "/credentials/"+name, nil)
	if a.status == 404 {
		return nil, fmt.Errorf("Account '%s' not found", name)
	}
	return a.value, a.needs(200, "getting account")
}

var anyID = regexp.MustCompile(`[0-9A-HJKMNP-TV-Z]{26}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// requests returns what was sent, with ID for every id.
func (s *spinClient) requests() []string {
	var out []string
	for _, line := range s.sent {
		out = append(out, anyID.ReplaceAllString(line, "ID"))
	}
	return out
}
