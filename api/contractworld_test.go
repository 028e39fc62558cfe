package api_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

// contractWorld is the server and the things that requests of contract.txt name.
// Each time one is named it is made anew, so that calls do not meet.
type contractWorld struct {
	*harness
	pipeline string
	// made counts what needs a name of its own.
	made   int
	things map[string]func() string
}

const unknownID = "01JD3Z8Q6V5T0H3W4M8N7K2RXA"

func newContractWorld(t *testing.T) *contractWorld {
	t.Helper()
	w := &contractWorld{harness: newHarness(t)}
	w.runTask(createStorefront)
	w.cloud.add("us-east-1")
	w.pipeline = w.save("wait", waitStages)
	w.save("parent", `[{"refId":"1","type":"wait","name":"Child","waitTime":1}]`)
	w.save("judge", `[{"refId":"1","type":"manualJudgment","name":"Ask"}]`)
	w.save("deploy", deployStages("storefront-1.1"))
	w.do("POST", "/pipelines", `{"application":"storefront","name":"needy","stages":`+waitStages+`,"parameterConfig":[{"name":"x","required":true}]}`).want(200)
	w.do("POST", "/pipelines", `{"application":"storefront","name":"disabled","disabled":true,"stages":`+waitStages+`}`).want(200)
	w.ended(delivery.StatusSucceeded)
	w.things = map[string]func() string{
		"unknown":       func() string { return unknownID },
		"pipeline":      func() string { return w.pipeline },
		"otherPipeline": func() string { return w.other() },
		"running":       func() string { return w.running("wait", "") },
		"done":          func() string { return w.ended(delivery.StatusSucceeded) },
		"failed":        func() string { return w.ended(delivery.StatusTerminal) },
		"failedParent":  w.failedParent,
		"doneStage":     func() string { return w.firstStage(w.ended(delivery.StatusSucceeded), "/") },
		"runningStage":  func() string { return w.firstStage(w.running("wait", ""), "/stages/") },
		"judged":        func() string { return w.firstStage(w.judging(), "/stages/") },
		"answered":      w.answered,
		"failedStage":   func() string { return w.firstStage(w.ended(delivery.StatusTerminal), "/stages/") },
		"paused":        w.paused,
		"asking":        w.asking,
		"event":         func() string { return w.field("/pipelines/v2/storefront/wait", `{"type":"webhook"}`, 202, "eventId") },
		"webhook":       w.webhook,
		"triggerPart":   w.triggerPart,
		"task":          func() string { return w.task(createStorefront) },
		"failedTask": func() string {
			return w.task(`{"application":"storefront","description":"d","job":[{"type":"noSuchJob"}]}`)
		},
		"strategy":     func() string { w.strategy(); return "kept" },
		"strategyId":   w.strategy,
		"strategies":   func() string { w.strategy(); return "" },
		"project":      func() string { w.project(); return "web" },
		"projects":     func() string { w.project(); return "" },
		"notified":     w.notified,
		"canaryConfig": w.canaryConfig, "canaryConfigs": func() string { w.canaryConfig(); return "" },
		"template": w.template, "templates": func() string { w.template(); return "" },
		"runningTask": w.runningTask,
		"taskDetail":  w.taskDetail,
	}
	return w
}

var thing = regexp.MustCompile(`\{\{([a-zA-Z]+)\}\}`)

// fill puts things of the world into a text; one thing that is named twice is one.
func (w *contractWorld) fill(text string) string {
	w.t.Helper()
	made := map[string]string{}
	return thing.ReplaceAllStringFunc(text, func(name string) string {
		name = strings.Trim(name, "{}")
		if w.things[name] == nil {
			w.t.Fatalf("there is no %s", name)
		}
		if _, known := made[name]; !known {
			made[name] = w.things[name]()
		}
		return made[name]
	})
}

// field sends a body and returns a text of the answer, without the path before an id.
func (w *contractWorld) field(path, body string, status int, name string) string {
	w.t.Helper()
	text, _ := w.do("POST", path, body).want(status).get(name).(string)
	return text[strings.LastIndex(text, "/")+1:]
}

func (w *contractWorld) running(pipeline, body string) string {
	id := w.field("/pipelines/storefront/"+pipeline, body, 202, "ref")
	w.engine.run(delivery.ExecutionID(id))
	return id
}

func (w *contractWorld) ended(status delivery.Status) string {
	id := w.running("wait", "")
	w.engine.end(delivery.ExecutionID(id), status)
	if status == delivery.StatusTerminal {
		w.store.change(delivery.ExecutionID(id), func(e *delivery.Execution) {
			e.Stages[0].Failure = &delivery.Failure{Kind: "quota", Message: "full", Step: "create"}
		})
	}
	return id
}

// failedParent has a stage that ran a pipeline which failed.
func (w *contractWorld) failedParent() string {
	child, id := w.ended(delivery.StatusTerminal), delivery.ExecutionID(w.running("parent", ""))
	w.engine.end(id, delivery.StatusTerminal)
	w.store.change(id, func(e *delivery.Execution) {
		e.Stages[0].Type, e.Stages[0].Outputs = "pipeline", json.RawMessage(`{"executionId":"`+child+`"}`)
	})
	return string(id)
}

func (w *contractWorld) paused() string {
	id := w.running("wait", "")
	w.do("PUT", "/pipelines/"+id+"/pause", "").want(200)
	return id
}

// asking is an execution with the stage whose deployment waits for a judgment.
func (w *contractWorld) asking() string {
	id := w.running("wait", "")
	w.store.deploy(asks(delivery.ExecutionID(id)))
	return w.firstStage(id, "/stages/")
}

// judging is an execution that asks in a stage of its own.
func (w *contractWorld) judging() string {
	id := w.running("judge", "")
	w.store.change(delivery.ExecutionID(id), func(e *delivery.Execution) { e.Stages[0].Status = delivery.StatusRunning })
	return id
}

// answered is one whose judgment somebody has given.
func (w *contractWorld) answered() string {
	id := w.judging()
	w.store.change(delivery.ExecutionID(id), func(e *delivery.Execution) {
		e.Stages[0].Status, e.Stages[0].Outputs = delivery.StatusSucceeded, json.RawMessage(`{"judgmentStatus":"continue","judgmentInput":"a","judgedBy":"joe","judgedAt":1795000000000}`)
	})
	return id
}

// firstStage is an execution and its first stage.
func (w *contractWorld) firstStage(id, between string) string {
	w.t.Helper()
	e, err := w.store.Execution(w.t.Context(), delivery.ExecutionID(id))
	if err != nil {
		w.t.Fatal(err)
	}
	return id + between + e.Stages[0].ID
}

// webhook is the event of a webhook that started a pipeline.
func (w *contractWorld) webhook() string {
	w.do("POST", "/pipelines", `{"application":"storefront","name":"hooked","triggers":[{"type":"webhook","source":"hook","enabled":true}],"stages":`+waitStages+`}`).want(200)
	return w.field("/webhooks/webhook/hook", `{"a":1}`, 200, "eventId")
}

func (w *contractWorld) triggerPart() string {
	w.running("wait", `{"type":"manual","parameters":{"color":"teal"}}`)
	return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(`{"parameters":{"color":"TEAL"}}`)))
}

func (w *contractWorld) other() string {
	w.do("DELETE", "/pipelines/storefront/renamed", "").want(200)
	w.do("DELETE", "/pipelines/storefront/other", "").want(200)
	return w.save("other", waitStages)
}

func (w *contractWorld) task(body string) string { return w.field("/tasks", body, 200, "ref") }

func (w *contractWorld) runningTask() string {
	id := w.task(jobsOf("", resizeJob))
	w.engine.run(delivery.ExecutionID(id))
	return id
}

func (w *contractWorld) taskDetail() string {
	id := w.runningTask()
	d := deploymentOf(delivery.ExecutionID(id), delivery.DeploymentRunning)
	w.store.deploy(d)
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	w.store.addEvent(d.Execution, delivery.EventChange, `{"deployment":"`+string(d.ID)+`","change":"resize server group storefront-prod-v001 to 3"}`)
	return id + "/details/" + url.PathEscape(string(d.ID))
}

// strategy is the id of the strategy kept.
func (w *contractWorld) strategy() string {
	w.do("DELETE", "/strategies/storefront/kept", "").want(200)
	w.do("POST", "/strategies", `{"application":"storefront","name":"kept","strategy":true,"stages":`+waitStages+`}`).want(200)
	id, _ := w.do("GET", "/applications/storefront/strategyConfigs/kept", "").want(200).get("id").(string)
	return id
}

func (w *contractWorld) project() {
	w.runTask(`{"application":"spinnaker","project":"web","description":"Create Project: web","job":[{"type":"upsertProject","user":"e@x","project":{"name":"web",
		"email":"e@x","config":{"applications":["storefront"],"pipelineConfigs":[{"application":"storefront","pipelineConfigId":"` + w.pipeline + `"}],
		"clusters":[{"account":"aws-sim","stack":"prod","detail":"*","applications":["storefront"]}]}}}]}`)
}

func (w *contractWorld) notified() string {
	w.do("POST", "/notifications/application/storefront", `{"slack":[{"type":"slack","level":"application","address":"#x","when":["pipeline.failed"]}]}`).want(200)
	return ""
}

func (w *contractWorld) canaryConfig() string {
	w.made++
	return w.field("/v2/canaryConfig", fmt.Sprintf(`{"id":"config-%[1]d","name":"config-%[1]d","applications":["storefront"],"judge":{"name":"NetflixACAJudge-v1.0"},
		"metrics":[{"name":"errors","query":{"type":"prometheus"},"groups":["G"],"scopeName":"default"}],"classifier":{"groupWeights":{"G":100}}}`, w.made), 200, "canaryConfigId")
}

// template is the id of a new template with one variable.
func (w *contractWorld) template() string {
	w.made++
	id := fmt.Sprintf("template-%d", w.made)
	w.do("POST", "/v2/pipelineTemplates/create", `{"schema":"v2","id":"`+id+`","metadata":{"name":"T","description":"d","owner":"o@x","scopes":["global"]},"protect":false,
		"variables":[{"name":"seconds","type":"int","defaultValue":3}],"pipeline":{"stages":[{"refId":"1","type":"wait","name":"Wait","waitTime":"${ templateVariables.seconds }"}]}}`).want(200)
	return id
}
