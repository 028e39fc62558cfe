package api_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
)

// spinCommand is a command of spin's: what it sends after GET /version, in order,
// and what it prints or why it fails.
type spinCommand struct {
	name string
	run  func(s *spinClient) (any, error)
	sent []string
	// prints is a shape as in contract.txt, or the line that is printed.
	prints, fails string
}

var spinCommands = []spinCommand{
	{"application save", func(s *spinClient) (any, error) {
		return s.applicationSave(map[string]any{"cloudProviders": "aws,gce", "email": "e@x", "instancePort": 80, "name": "storefront"})
	}, []string{"POST /tasks", "GET /tasks/ID"}, "Application save succeeded", ""},
	{"application save of what is there", func(s *spinClient) (any, error) {
		return s.applicationSave(map[string]any{"cloudProviders": "aws", "email": "f@x", "name": "storefront"})
	}, []string{"POST /tasks", "GET /tasks/ID"}, "Application save succeeded", ""},
	{"application save of a file without a name", func(s *spinClient) (any, error) {
		return s.applicationSave(map[string]any{"cloudProviders": "aws", "email": "f@x"})
	}, []string{"POST /tasks"}, "", "400 Bad Request"},
	{"application list", func(s *spinClient) (any, error) { return s.show("/applications") },
		[]string{"GET /applications"}, `[{"name":"string","email":"string"}]`, ""},
	{"application get", func(s *spinClient) (any, error) { return s.applicationGet("storefront", false) },
		[]string{"GET /applications/storefront?expand=false"}, `{"name":"=storefront","email":"=f@x"}`, ""},
	{"application get --expand", func(s *spinClient) (any, error) { return s.applicationGet("storefront", true) },
		[]string{"GET /applications/storefront?expand=true"}, `{"name":"=storefront","attributes":"object","clusters":"object"}`, ""},
	{"application get of nothing", func(s *spinClient) (any, error) { return s.applicationGet("nothing", false) },
		[]string{"GET /applications/nothing?expand=false"}, "", "Application 'nothing' not found"},

	{"pipeline save", func(s *spinClient) (any, error) { return s.pipelineSave(spinPipeline("p 1")) },
		[]string{"GET /applications/storefront/pipelineConfigs/p%201", "POST /pipelines"}, "Pipeline save succeeded", ""},
	{"pipeline save of what is there", func(s *spinClient) (any, error) { return s.pipelineSave(spinPipeline("p 1")) },
		[]string{"GET /applications/storefront/pipelineConfigs/p%201", "POST /pipelines"}, "Pipeline save succeeded", ""},
	{"pipeline list", func(s *spinClient) (any, error) { return s.show("/applications/storefront/pipelineConfigs") },
		[]string{"GET /applications/storefront/pipelineConfigs"}, `[{"id":"string","name":"=p 1"}]`, ""},
	{"pipeline get", func(s *spinClient) (any, error) { return s.show("/applications/storefront/pipelineConfigs/p%201") },
		[]string{"GET /applications/storefront/pipelineConfigs/p%201"}, `{"id":"string","name":"=p 1"}`, ""},
	{"pipeline get of nothing", func(s *spinClient) (any, error) { return s.show("/applications/storefront/pipelineConfigs/q") },
		[]string{"GET /applications/storefront/pipelineConfigs/q"}, "", "404 Not Found"},
	{"pipeline update --disabled", func(s *spinClient) (any, error) { return s.pipelineUpdate("storefront", "p%201", true) },
		[]string{"GET /applications/storefront/pipelineConfigs/p%201", "POST /pipelines"}, "Pipeline update succeeded", ""},
	{"pipeline execute of a disabled one", func(s *spinClient) (any, error) { return s.pipelineExecute("storefront", "p%201", manual(nil)) },
		[]string{"POST /pipelines/storefront/p%201"}, "", "Execute pipeline failed with response: 400 Bad Request"},
	{"pipeline update --enabled", func(s *spinClient) (any, error) { return s.pipelineUpdate("storefront", "p%201", false) },
		[]string{"GET /applications/storefront/pipelineConfigs/p%201", "POST /pipelines"}, "Pipeline update succeeded", ""},
	{"pipeline update of nothing", func(s *spinClient) (any, error) { return s.pipelineUpdate("storefront", "q", true) },
		[]string{"GET /applications/storefront/pipelineConfigs/q"}, "", "Pipeline q not found under application storefront"},
	{"pipeline execute", func(s *spinClient) (any, error) {
		return s.pipelineExecute("storefront", "p%201", manual(map[string]any{"v": "1"}))
	}, []string{"POST /pipelines/storefront/p%201"}, "Pipeline execution started", ""},
	{"pipeline execute as of 2026", func(s *spinClient) (any, error) {
		return s.pipelineExecute("storefront", "p%201", map[string]any{"trigger": manual(map[string]any{"v": "2"})})
	}, []string{"POST /pipelines/storefront/p%201"}, "Pipeline execution started", ""},
	{"pipeline execute of nothing", func(s *spinClient) (any, error) { return s.pipelineExecute("storefront", "q", manual(nil)) },
		[]string{"POST /pipelines/storefront/q"}, "", "Execute pipeline failed with response: 404 Not Found"},

	{"pipeline execution list", func(s *spinClient) (any, error) {
		return s.show("/executions?pipelineConfigIds=" + s.config() + "&limit=5&statuses=RUNNING")
	}, []string{"GET /executions?pipelineConfigIds=ID&limit=5&statuses=RUNNING"}, `[{"id":"string","status":"=RUNNING","trigger":{"parameters":{"v":"string"}}}]`, ""},
	{"pipeline execution list --succeeded", func(s *spinClient) (any, error) {
		return s.show("/executions?pipelineConfigIds=" + s.config() + "&statuses=SUCCEEDED,STOPPED,SKIPPED")
	}, []string{"GET /executions?pipelineConfigIds=ID&statuses=SUCCEEDED,STOPPED,SKIPPED"}, `[]`, ""},
	{"pipeline execution get", func(s *spinClient) (any, error) {
		return s.show("/executions?executionIds=" + s.execution() + "&limit=1")
	},
		[]string{"GET /executions?executionIds=ID&limit=1"}, `[{"id":"string"}]`, ""},
	{"pipeline execution get of nothing", func(s *spinClient) (any, error) { return s.show("/executions?executionIds=nothing&limit=1") },
		[]string{"GET /executions?executionIds=nothing&limit=1"}, `[]`, ""},
	{"pipeline execution cancel", func(s *spinClient) (any, error) { return s.executionCancel(s.execution()) },
		[]string{"PUT /pipelines/ID/cancel"}, "Execution ID successfully canceled", ""},
	{"application pipelines get", func(s *spinClient) (any, error) { return s.applicationPipelines("storefront", "") },
		[]string{"GET /applications/storefront/pipelines?expand=false&statuses="}, `[{"id":"string","stages":[{"tasks":[]}]}]`, ""},
	{"application pipelines cancel", func(s *spinClient) (any, error) { return s.applicationCancel(s.execution(), "too+slow") },
		[]string{"PUT /applications/%7Bapplication%7D/pipelines/ID/cancel?reason=too+slow"}, "Pipeline ID was cancelled.", ""},
	{"application pipelines cancel of nothing", func(s *spinClient) (any, error) { return s.applicationCancel("nothing", "") },
		[]string{"PUT /applications/%7Bapplication%7D/pipelines/nothing/cancel?reason="}, "", "Execution ID 'nothing' not found"},
	{"application pipelines cancel-all", func(s *spinClient) (any, error) {
		s.execution()
		return s.applicationCancelAll("storefront", "RUNNING")
	}, []string{"GET /applications/storefront/pipelines?expand=false&statuses=RUNNING",
		"PUT /applications/%7Bapplication%7D/pipelines/ID/cancel?reason=", "PUT /applications/%7Bapplication%7D/pipelines/ID/cancel?reason=",
		"PUT /applications/%7Bapplication%7D/pipelines/ID/cancel?reason=", "PUT /applications/%7Bapplication%7D/pipelines/ID/cancel?reason="},
		strings.Repeat("Cancelling execution ID...\n", 3) + "Cancelling execution ID...", ""},
	{"application pipelines cancel-all of any status", func(s *spinClient) (any, error) {
		s.engine.end(delivery.ExecutionID(s.execution()), delivery.StatusSucceeded)
		s.execution()
		return s.applicationCancelAll("storefront", "")
	}, append([]string{"GET /applications/storefront/pipelines?expand=false&statuses="},
		slices.Repeat([]string{"PUT /applications/%7Bapplication%7D/pipelines/ID/cancel?reason="}, 8)...),
		strings.Repeat("Cancelling execution ID...\n", 7) + "Cancelling execution ID...", ""},

	{"account list", func(s *spinClient) (any, error) { return s.show("/credentials?expand=false") },
		[]string{"GET /credentials?expand=false"}, `[{"accountId":"string","name":"=aws-sim","permissions":"object","requiredGroupMembership":"list","type":"=aws"}]`, ""},
	{"account get", func(s *spinClient) (any, error) { return s.accountGet("aws-sim") },
		[]string{"GET /credentials/aws-sim"}, `{"accountId":"string","accountType":"string","cloudProvider":"=aws","environment":"string","name":"string"}`, ""},
	{"account get of nothing", func(s *spinClient) (any, error) { return s.accountGet("nothing") },
		[]string{"GET /credentials/nothing"}, "", "Account 'nothing' not found"},
	{"account whoami", func(s *spinClient) (any, error) { return s.show("/auth/user") },
		[]string{"GET /auth/user"}, `{"username":"string","email":"string"}`, ""},

	{"pipeline delete", func(s *spinClient) (any, error) { return s.pipelineDelete("storefront", "p%201") },
		[]string{"DELETE /pipelines/storefront/p%201"}, "Pipeline deleted", ""},
	{"pipeline delete of nothing", func(s *spinClient) (any, error) { return s.pipelineDelete("storefront", "p%201") },
		[]string{"DELETE /pipelines/storefront/p%201"}, "Pipeline deleted", ""},
	{"application delete", func(s *spinClient) (any, error) { return s.applicationDelete("storefront") },
		[]string{"GET /applications/storefront?expand=false", "POST /tasks", "GET /tasks/ID"}, "Application deleted", ""},
	{"application delete of nothing", func(s *spinClient) (any, error) { return s.applicationDelete("storefront") },
		[]string{"GET /applications/storefront?expand=false"}, "", "Attempting to delete application 'storefront' which does not exist, exiting..."},
}

func manual(parameters map[string]any) map[string]any {
	out := map[string]any{"type": "manual"}
	if parameters != nil {
		out["parameters"] = parameters
	}
	return out
}

func spinPipeline(name string) map[string]any {
	return map[string]any{"application": "storefront", "name": name, "stages": []any{map[string]any{"refId": "1", "type": "wait", "name": "Wait", "waitTime": 30}}}
}

// config is the id of the pipeline p 1; it is read past the client.
func (s *spinClient) config() string {
	id, _ := s.do("GET", "/applications/storefront/pipelineConfigs/p%201", "").want(200).get("id").(string)
	for _, e := range s.store.order {
		if found, err := s.store.Execution(s.t.Context(), e); err == nil && found.Status == delivery.StatusNotStarted {
			s.engine.run(e)
		}
	}
	return id
}

// execution is the id of a new one that runs; it is started past the client.
func (s *spinClient) execution() string {
	id := s.startOf("p%201", "")
	s.engine.run(id)
	return string(id)
}

// TestSpin runs spin's commands in an order in which each finds what it needs, with
// an endpoint that ends in a slash and with one that does not.
func TestSpin(t *testing.T) {
	for name, slash := range map[string]string{"endpoint": "", "endpoint with a slash": "/"} {
		t.Run(name, func(t *testing.T) {
			s := &spinClient{harness: newHarness(t), slash: slash}
			s.run(t, spinCommands)
		})
	}
}

func (s *spinClient) run(t *testing.T, commands []spinCommand) {
	t.Helper()
	for _, command := range commands {
		t.Run(command.name, func(t *testing.T) {
			s.t, s.sent = t, nil
			if err := s.start(); err != nil {
				t.Fatal(err)
			}
			printed, err := command.run(s)
			if diff := cmp.Diff(append([]string{"GET /version"}, command.sent...), s.requests()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			command.compare(t, printed, err)
		})
	}
}

func (c spinCommand) about(kind string) bool { return strings.HasPrefix(c.name, kind+" ") }

func (c spinCommand) compare(t *testing.T, printed any, err error) {
	t.Helper()
	switch {
	case c.fails != "":
		if err == nil || err.Error() != c.fails {
			t.Errorf("fails with %v, want %s", err, c.fails)
		}
	case err != nil:
		t.Error(err)
	case !strings.HasPrefix(c.prints, "[") && !strings.HasPrefix(c.prints, "{"):
		if text, _ := printed.(string); anyID.ReplaceAllString(text, "ID") != c.prints {
			t.Errorf("prints %v, want %s", printed, c.prints)
		}
	default:
		raw, err := json.Marshal(printed)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkShape(c.prints, raw); err != nil {
			t.Errorf("prints %s: %v", raw, err)
		}
	}
}
