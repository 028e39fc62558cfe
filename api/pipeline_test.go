package api_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/api"
	"github.com/slipway-cd/slipway/delivery"
)

// deployStages is one deploy stage of storefront-prod in two regions.
func deployStages(image string) string {
	return fmt.Sprintf(`[{"refId":"1","requisiteStageRefIds":[],"type":"deploy","name":"Deploy","clusters":[{
		"account":"aws-sim","application":"storefront","cloudProvider":"aws","stack":"prod","strategy":"rolling",
		"capacity":{"min":2,"max":2,"desired":2},"amiName":%q,"loadBalancers":["storefront"],
		"availabilityZones":{"us-east-1":["us-east-1a"],"us-west-2":["us-west-2a"]}}]}]`, image)
}

// TestPlaces: pipelines and strategies are listed by index and name, those without an
// index last, and have their places as index, so that Deck need not save them anew.
func TestPlaces(t *testing.T) {
	h := newHarness(t)
	for _, kind := range []string{"pipeline", "strategy"} {
		path, list := map[string]string{"pipeline": "/pipelines", "strategy": "/strategies"}[kind], "/applications/storefront/"+kind+"Configs"
		for _, document := range []string{`"name":"a"`, `"name":"b","index":7`, `"name":"c","index":-1`, `"name":"d","index":7`, `"name":"B2","index":null`} {
			h.do("POST", path, `{"application":"storefront","stages":[],`+document+`}`).want(200)
		}
		shown := func(query string) []string {
			var found []struct {
				Name  string
				Index int
			}
			h.do("GET", list+query, "").want(200).into(&found)
			var out []string
			for _, p := range found {
				out = append(out, fmt.Sprintf("%d %s", p.Index, p.Name))
			}
			return out
		}
		if diff := cmp.Diff([]string{"0 c", "1 b", "2 d", "3 a", "4 B2"}, shown("")); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
		one := h.do("GET", list+"/a", "").want(200)
		if index := one.get("index"); index != nil {
			t.Errorf("%s: one without an index has %v", kind, index)
		}
		if index := h.do("GET", list+"/b", "").want(200).get("index"); index != 7. {
			t.Errorf("%s: index %v, want the stored one", kind, index)
		}
		id, _ := one.get("id").(string)
		plural := map[string]string{"pipeline": "pipelines", "strategy": "strategies"}[kind]
		h.do("POST", "/actions/"+plural+"/reorder", `{"application":"storefront","idsToIndices":{"`+id+`":0}}`).want(200)
		if diff := cmp.Diff([]string{"0 c", "1 a", "2 b", "3 d", "4 B2"}, shown("")); diff != "" {
			t.Errorf("%s, reordered: %s", kind, diff)
		}
	}
	var found []struct{ Name string }
	h.do("GET", "/applications/storefront/pipelineConfigs?pipelineLimit=2&pipelineNameFilter=b", "").want(200).into(&found)
	if len(found) != 2 || found[0].Name != "b" || found[1].Name != "B2" {
		t.Errorf("filtered: %+v", found)
	}
}

func TestPipelineLife(t *testing.T) {
	h := newHarness(t)
	h.do("POST", "/pipelines", `{"application":"Storefront","name":" Deploy prod ","index":2,"custom":{"kept":true},"stages":[{"type":"wait","waitTime":1}],
		"lastModifiedBy":"mallory","updateTs":"1"}`, "X-SPINNAKER-USER", "joe").want(200).void()
	first := h.do("GET", "/applications/storefront/pipelineConfigs/deploy%20PROD", "").want(200)
	id, _ := first.get("id").(string)
	for path, want := range map[string]any{
		"application": "storefront", "name": "Deploy prod", "index": 2.0, "custom.kept": true, "lastModifiedBy": "joe",
	} {
		if got := first.get(path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	h.do("GET", "/applications/storefront/pipelineConfigs/"+id, "").want(200)
	h.do("GET", "/applications/other/pipelineConfigs/"+id, "").want(404)

	if text := h.do("POST", "/pipelines", `{"application":"storefront","name":"deploy PROD"}`).want(400).get("message"); text != "A pipeline with name deploy PROD already exists in application storefront" {
		t.Errorf("message %q", text)
	}
	updated := strings.Replace(string(first.body), `"kept":true`, `"kept":false`, 1)
	h.do("POST", "/pipelines?staleCheck=true", updated).want(200).void()
	if a := h.do("POST", "/pipelines?staleCheck=true", updated).want(400); a.get("code") != "stale" {
		t.Errorf("code %v", a.get("code"))
	}
	h.do("POST", "/pipelines", updated).want(200).void()
	if a := h.do("PUT", "/pipelines/"+id, strings.Replace(updated, "Deploy prod", "Renamed", 1)).want(200); a.get("name") != "Renamed" {
		t.Errorf("renamed: %s", a.body)
	}
	if fields := h.do("PUT", "/pipelines/other", updated).want(400).fields(); fields["/id"] == "" {
		t.Errorf("fields %v", fields)
	}
	h.do("PUT", "/pipelines/other", `{"application":"storefront","name":"x"}`).want(404)

	var list []map[string]any
	for path, want := range map[string]int{
		"/pipelineConfigs/" + id + "/history":                                   4,
		"/pipelineConfigs/" + id + "/history?limit=2":                           2,
		"/pipelineConfigs/" + id + "/history?limit=0":                           0,
		"/pipelineConfigs/nothing/history":                                      0,
		"/pipelineConfigs":                                                      1,
		"/applications/storefront/pipelineConfigs":                              1,
		"/applications/storefront/pipelineConfigs?pipelineNameFilter=RENAM":     1,
		"/applications/storefront/pipelineConfigs?pipelineNameFilter=something": 0,
		"/applications/nothing/pipelineConfigs":                                 0,
	} {
		if h.do("GET", path, "").want(200).into(&list); len(list) != want {
			t.Errorf("%s: %d, want %d", path, len(list), want)
		}
	}
	h.do("DELETE", "/pipelines/storefront/renamed", "").want(200).void()
	h.do("DELETE", "/pipelines/storefront/renamed", "").want(200).void()
	h.do("GET", "/applications/storefront/pipelineConfigs/renamed", "").want(404)
}

func TestPipelinesThatAreRefused(t *testing.T) {
	h := newHarness(t)
	deploy := deployStages("storefront-1.1")
	tests := []struct{ name, body, pointer string }{
		{"no name", `{"application":"a"}`, "/name"},
		{"no application", `{"name":"p"}`, "/application"},
		{"application with a trailing space", `{"application":"a ","name":"p"}`, "/application"},
		{"look-alike letters", `{"application":"stоrefront","name":"p"}`, "/application"},
		{"name of another type", `{"application":"a","name":7}`, "/name"},
		{"name that no path can have", `{"application":"a","name":"p\nq"}`, "/name"},
		{"name with NUL", `{"application":"a","name":"p\u0000"}`, "/name"},
		{"long name", `{"application":"a","name":"` + strings.Repeat("p", 256) + `"}`, "/name"},
		{"id that no path can have", `{"application":"a","name":"p","id":"p\tq"}`, "/id"},
		{"id of another type", `{"application":"a","name":"p","id":7}`, "/id"},
		{"index of another type", `{"application":"a","name":"p","index":"x"}`, "/index"},
		{"disabled of another type", `{"application":"a","name":"p","disabled":"x"}`, "/disabled"},
		{"stages of another type", `{"application":"a","name":"p","stages":{}}`, "/stages"},
		{"unknown stage type", `{"application":"a","name":"p","stages":[{"type":"deplyo"}]}`, "/stages/0/type"},
		{"malformed expression", `{"application":"a","name":"p","stages":[{"type":"wait","waitTime":"${parameters.}"}]}`, "/stages/0/waitTime"},
		{"capacity", `{"application":"a","name":"p","stages":` + strings.Replace(deploy, `"max":2`, `"max":0`, 1) + `}`, "/stages/0/clusters/0/capacity/min"},
		{"type inside a cluster", `{"application":"a","name":"p","stages":` + strings.Replace(deploy, `"account":"aws-sim"`, `"account":7`, 1) + `}`, "/stages/0/clusters/0/account"},
		{"cycle", `{"application":"a","name":"p","stages":[
			{"refId":"1","requisiteStageRefIds":["2"],"type":"wait","waitTime":1},{"refId":"2","requisiteStageRefIds":["1"],"type":"wait","waitTime":1}]}`, "/stages"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h.t = t
			a := h.do("POST", "/pipelines", tt.body).want(400)
			found := false
			for pointer := range a.fields() {
				found = found || strings.HasPrefix(pointer, tt.pointer)
			}
			if !found {
				t.Errorf("fields %v, want %s", a.fields(), tt.pointer)
			}
		})
	}
	if _, pipelines, _ := h.store.count(); pipelines != 0 {
		t.Errorf("%d pipelines were saved", pipelines)
	}
}

func TestStart(t *testing.T) {
	h := newHarness(t)
	h.do("POST", "/pipelines", `{"application":"storefront","name":"p","parameterConfig":[{"name":"image","required":true},{"name":"size","default":"2"}],
		"stages":`+deployStages("${parameters.image}")+`}`).want(200)
	id := h.startOf("P", `{"type":"manual","user":"mallory","parameters":{"image":"storefront-1.1"},"note":"kept"}`)
	e := h.do("GET", "/pipelines/"+string(id), "").want(200)
	for path, want := range map[string]any{
		"type": "PIPELINE", "application": "storefront", "name": "p", "status": "NOT_STARTED", "startTime": nil, "endTime": nil,
		"trigger.type": "manual", "trigger.user": "anonymous", "trigger.note": "kept", "authentication.user": "anonymous",
		"trigger.parameters.image": "storefront-1.1", "trigger.parameters.size": "2",
	} {
		if got := e.get(path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	wrapped := h.startOf("p", `{"type":"manual","trigger":{"parameters":{"image":"storefront-1.0"},"correlationId":5}}`)
	if again := h.startOf("p", `{"trigger":{"type":"manual","correlationId":"5"}}`); again != wrapped {
		t.Errorf("a correlationId that is a number is another: %s and %s", wrapped, again)
	}
	if got := h.do("GET", "/pipelines/"+string(wrapped), "", "X-SPINNAKER-USER", "x").get("trigger.parameters.image"); got != "storefront-1.0" {
		t.Errorf("wrapped trigger: image %v", got)
	}
	const correlated = `{"correlationId":"c1","parameters":{"image":"storefront-1.1"}}`
	if one, two := h.startOf("p", correlated), h.startOf("p", correlated); one != two {
		t.Errorf("one correlationId, two executions: %s and %s", one, two)
	}
	ref := h.do("POST", "/pipelines/storefront/p", correlated, "X-SPINNAKER-USER", "joe", "Content-Type", "text/plain").want(202).get("ref")
	if ref == "" {
		t.Error("no ref")
	}
}

// TestStartEvaluatesDefaults: a start that gives nothing takes what the default's
// expressions yield then; what is given stays as it is, in plans and dry runs too.
func TestStartEvaluatesDefaults(t *testing.T) {
	h := newHarness(t)
	h.do("POST", "/pipelines", `{"application":"storefront","name":"p","stages":[{"type":"wait","waitTime":"${parameters.seconds}","name":"${parameters.label}"}],
		"parameterConfig":[{"name":"tag","default":"${trigger.tag ?: 'latest'}"},{"name":"seconds","default":"${6 * 7}"},{"name":"label","default":"v-${parameters.tag}"}]}`).want(200)
	for body, want := range map[string]map[string]any{
		``:                                      {"tag": "latest", "seconds": 42.0, "label": "v-latest"},
		`{"tag":"7"}`:                           {"tag": "7", "seconds": 42.0, "label": "v-7"},
		`{"parameters":{"tag":"${1 + 1}"}}`:     {"tag": "${1 + 1}", "seconds": 42.0, "label": "v-${1 + 1}"},
		`{"parameters":{"label":"","tag":"8"}}`: {"tag": "8", "seconds": 42.0, "label": ""},
	} {
		id := h.startOf("p", body)
		got := h.do("GET", "/pipelines/"+string(id), "").want(200).get("trigger.parameters")
		if diff := cmp.Diff(any(want), got); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
	if plan := string(h.do("POST", "/pipelines/storefront/p/plan", ``).want(200).body); !strings.Contains(plan, `"waitMs":42000`) {
		t.Errorf("plan %s", plan)
	}
}

func TestStartsThatAreRefused(t *testing.T) {
	h := newHarness(t)
	h.save("wait", `[{"type":"wait","waitTime":1}]`)
	h.save("empty", `[]`)
	h.do("POST", "/pipelines", `{"application":"storefront","name":"off","disabled":true,"stages":[{"type":"wait","waitTime":1}]}`).want(200)
	h.do("POST", "/pipelines", `{"application":"storefront","name":"needs","parameterConfig":[{"name":"v","required":true}],"stages":[{"type":"wait","waitTime":1}]}`).want(200)
	h.do("POST", "/pipelines", `{"application":"storefront","name":"default","parameterConfig":[{"name":"v","default":"${trigger.tag}"}],"stages":[{"type":"wait","waitTime":1}]}`).want(200)
	h.save("image", deployStages("storefront-9"))
	h.save("account", strings.Replace(deployStages("storefront-1.1"), "aws-sim", "nowhere", 1))
	h.save("provider", strings.Replace(deployStages("storefront-1.1"), `"cloudProvider":"aws"`, `"cloudProvider":"gce"`, 1))
	h.save("region", strings.Replace(deployStages("storefront-1.1"), `"us-west-2":`, `"mars-1":`, 1))
	h.save("subnet", strings.Replace(deployStages("storefront-1.1"), `"strategy"`, `"subnetType":"none","strategy"`, 1))
	h.do("POST", "/pipelines", `{"application":"storefront","name":"expression","parameterConfig":[{"name":"n"}],"stages":`+
		strings.Replace(deployStages("storefront-1.1"), `"max":2`, `"max":"${parameters.n}"`, 1)+`}`).want(200)

	tests := []struct {
		pipeline, body string
		status         int
		pointer, text  string
	}{
		{"nothing", ``, 404, "", "not found"},
		{"empty", ``, 400, "/stages", "no stages"},
		{"off", ``, 400, "", "Pipeline is disabled and cannot be started."},
		{"needs", ``, 400, "/parameters/v", "Required parameter v is missing"},
		{"needs", `{"trigger":{"type":"manual"}}`, 400, "/trigger/parameters/v", "/trigger/parameters/v: Required parameter v is missing"},
		{"needs", `{"trigger":{"parameters":{"v":"1"},"artifacts":[7]}}`, 400, "/trigger/artifacts/0", "must be an object"},
		{"wait", `{"parameters":[]}`, 400, "/parameters", "must be an object"},
		{"wait", `{"type":7}`, 400, "/type", "must be a string"},
		{"wait", `{"trigger":[]}`, 400, "/trigger", "/trigger: must be an object, not a list"},
		{"wait", `{"trigger":"manual"}`, 400, "/trigger", "must be an object"},
		{"wait", `{"trigger":{"correlationId":[7]}}`, 400, "/trigger/correlationId", "must be a string"},
		{"wait", `{"dryRun":7}`, 400, "/dryRun", "must be true or false"},
		{"wait", `{`, 400, "", "malformed JSON"},
		{"image", ``, 400, "/stages/0/clusters/0/amiName", "storefront-9"},
		{"account", ``, 400, "/stages/0/clusters/0/account", "nowhere"},
		{"provider", ``, 400, "/stages/0/clusters/0/cloudProvider", "gce"},
		{"region", ``, 400, "/stages/0/clusters/0/availabilityZones/mars-1", "mars-1"},
		{"subnet", ``, 400, "/stages/0/clusters/0/subnetType", "no subnet"},
		{"default", ``, 400, "/parameters/v", "Parameter v has no value, and its default cannot be evaluated: ${trigger.tag}"},
		{"default", `{"trigger":{"parameters":{}}}`, 400, "/trigger/parameters/v", "its default cannot be evaluated"},
		{"expression", `{"parameters":{"n":1}}`, 400, "/stages/0/clusters/0/capacity/min", "more than max 1"},
	}
	for _, tt := range tests {
		t.Run(tt.pipeline+" "+tt.body, func(t *testing.T) {
			h.t = t
			a := h.do("POST", "/pipelines/storefront/"+tt.pipeline, tt.body).want(tt.status)
			if text, _ := a.get("message").(string); !strings.Contains(text, tt.text) {
				t.Errorf("message %q, want %q in it", text, tt.text)
			}
			if _, ok := a.fields()[tt.pointer]; tt.pointer != "" && !ok {
				t.Errorf("fields %v, want %s", a.fields(), tt.pointer)
			}
		})
	}
	if _, _, executions := h.store.count(); executions != 0 {
		t.Errorf("%d executions were recorded", executions)
	}
	h.t = t
	h.startOf("wait", ``) // no body is a trigger too
}

// TestStartWhenTheCloudDoesNotAnswer: the deployment has the patience to ask
// again, so the start is accepted; a plain refusal of the cloud is not.
func TestStartWhenTheCloudDoesNotAnswer(t *testing.T) {
	h := newHarness(t)
	h.save("p", deployStages("storefront-1.1"))
	h.cloud.fail(delivery.Errorf(delivery.Throttled, "Rate exceeded"))
	h.startOf("p", ``)
	if !strings.Contains(h.log.String(), "deployment not validated") {
		t.Error("the log does not say that nothing was validated")
	}
	h.cloud.fail(delivery.Errorf(delivery.Denied, "not authorized to DescribeImages"))
	if fields := h.do("POST", "/pipelines/storefront/p", ``).want(400).fields(); len(fields) != 1 || fields["/stages/0/clusters/0"] == "" {
		t.Errorf("fields %v", fields)
	}
}

// FuzzSavePipeline: whatever the body, it is saved or refused with a problem.
func FuzzSavePipeline(f *testing.F) {
	for _, seed := range []string{``, `{}`, `null`, `{"application":"a","name":"p","stages":[]}`, `{"stages":[null]}`, `{"id":"x","index":1e9}`,
		`{"application":"a","name":"p","stages":` + deployStages("x") + `}`, "{\"name\":\"\u0000\"}", `{"a":1}x`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		store := newMemory()
		handler := api.New(api.Dependencies{Store: store, Targets: newCloud(), Logger: slog.New(slog.DiscardHandler)}).Handler()
		request := httptest.NewRequest("POST", "/pipelines", strings.NewReader(body))
		request.Host = "localhost"
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		_, saved, _ := store.count()
		if !(answer.Code == 200 && saved == 1 || answer.Code == 400 && saved == 0 && json.Valid(answer.Body.Bytes())) {
			t.Errorf("%d with %d pipelines: %s", answer.Code, saved, answer.Body)
		}
	})
}

// TestWindowsAndConditions: a window that never opens is refused when the pipeline is
// saved, and the wait for one is a stage of its execution.
func TestWindowsAndConditions(t *testing.T) {
	h := newHarness(t)
	stages := func(whitelist string) string {
		return `[{"refId":"1","requisiteStageRefIds":[],"type":"wait","waitTime":1,"restrictExecutionDuringTimeWindow":true,
			"restrictedExecutionWindow":{"days":[1],"whitelist":[` + whitelist + `]},"stageEnabled":{"type":"expression","expression":"true"}}]`
	}
	never := h.do("POST", "/pipelines", `{"application":"storefront","name":"never","stages":`+stages(`{"startHour":9,"endHour":9}`)+`}`).want(400)
	if !strings.Contains(string(never.body), "/stages/0/restrictedExecutionWindow/whitelist/0") {
		t.Errorf("answer %s", never.body)
	}
	h.save("p", stages(`{"startHour":9,"endHour":10}`))
	id := h.startOf("p", ``)
	var shown struct {
		Stages []struct {
			ID, RefID, Type, Status, ParentStageID, SyntheticStageOwner string
			ScheduledTime                                               *int64
		}
	}
	h.do("GET", "/pipelines/"+string(id), "").want(200).into(&shown)
	if len(shown.Stages) != 2 {
		t.Fatalf("stages %+v", shown.Stages)
	}
	before := shown.Stages[1]
	if before.RefID != "1<1" || before.Type != "restrictExecutionDuringTimeWindow" || before.ParentStageID != shown.Stages[0].ID || before.SyntheticStageOwner != "STAGE_BEFORE" || before.ScheduledTime != nil {
		t.Errorf("before %+v", before)
	}
	opens := start.Add(time.Hour)
	h.store.change(id, func(e *delivery.Execution) {
		e.Status, e.Stages[0].Status = delivery.StatusRunning, delivery.StatusRunning
		e.Stages[1].Status, e.Stages[1].ScheduledTime = delivery.StatusRunning, opens
	})
	h.do("GET", "/pipelines/"+string(id), "").want(200).into(&shown)
	if at := shown.Stages[1].ScheduledTime; at == nil || *at != opens.UnixMilli() {
		t.Errorf("scheduled for %v", at)
	}
	h.do("PATCH", "/pipelines/"+string(id)+"/stages/"+before.ID, `{"skipRemainingWait":true}`).want(200)
	h.do("PATCH", "/pipelines/"+string(id)+"/stages/"+before.ID, `{"manualSkip":true}`).want(405)
}

// TestConditionalStageIsNotCheckedAtStart: what it deploys may not be there for what
// leaves it out.
func TestConditionalStageIsNotCheckedAtStart(t *testing.T) {
	h := newHarness(t)
	h.save("always", deployStages("nothing"))
	h.do("POST", "/pipelines/storefront/always", `{}`).want(400)
	h.save("sometimes", strings.Replace(deployStages("nothing"), `"name":"Deploy",`, `"name":"Deploy","stageEnabled":{"type":"expression","expression":"false"},`, 1))
	h.do("POST", "/pipelines/storefront/sometimes", `{}`).want(202)
}
