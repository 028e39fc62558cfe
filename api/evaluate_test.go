package api_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
)

// evaluated is an execution of three stages, the second of which runs.
func evaluated(h *harness) (id string, stages []delivery.Stage) {
	h.save("p", `[{"refId":"1","type":"wait","name":"First","waitTime":1},{"refId":"2","requisiteStageRefIds":["1"],"type":"wait","name":"Second","waitTime":"${1 + 1}"},
		{"refId":"3","requisiteStageRefIds":["2"],"type":"wait","name":"Third","waitTime":3}]`)
	e := h.startOf("p", `{"parameters":{"v":"1.2"},"tag":"v7"}`)
	h.store.change(e, func(e *delivery.Execution) {
		e.Status, e.StartTime = delivery.StatusRunning, start
		e.Stages[0].Status, e.Stages[0].Outputs = delivery.StatusSucceeded, json.RawMessage(`{"version":"far","deploy.server.groups":{"us-east-1":["storefront-v001"]}}`)
		e.Stages[1].Status, e.Stages[1].Context, e.Stages[1].Outputs = delivery.StatusRunning, json.RawMessage(`{"waitTime":2}`), json.RawMessage(`{"version":"near"}`)
		stages = e.Stages
	})
	return string(e), stages
}

func TestEvaluateExpression(t *testing.T) {
	h := newHarness(t)
	id, stages := evaluated(h)
	for _, tt := range []struct{ path, expression, want string }{
		{"", `${parameters.v}`, `{"detail":{},"result":"1.2"}`},
		{"", `${ 1 + 1 }`, `{"detail":{},"result":2}`},
		{"", `${parameters}`, `{"detail":{},"result":{"v":"1.2"}}`},
		{"", `${trigger.tag} of ${execution.name} is ${execution.status}`, `{"detail":{},"result":"v7 of p is RUNNING"}`},
		{"", `1 + 1`, `{"detail":{},"result":"1 + 1"}`},
		{"", `${#stage('First').outputs.version}`, `{"detail":{},"result":"far"}`},
		{"", `${execution.stages.?[hasSucceeded].![name]}`, `{"detail":{},"result":["First"]}`},
		{"", `${deployedServerGroups[0].serverGroup}`, `{"detail":{},"result":"storefront-v001"}`},
		{"", `${#pipelineId('p') == execution.pipelineConfigId}`, `{"detail":{},"result":true}`},
		{"/" + stages[1].ID, `${version} ${waitTime}`, `{"detail":{},"result":"far 2"}`},
		{"/" + stages[2].ID, `${version} ${#currentStage().name}`, `{"detail":{},"result":"near Third"}`},
		{"", `v${nobody} ${parameters.v}`, `{"detail":{"nobody":[{"description":"${nobody}: there is no variable nobody","exceptionType":null,"level":"INFO"}]},"result":"v${nobody} 1.2"}`},
		{"", `${parameters.v} ${#toInnt(1)}`, `{"detail":{"#toInnt(1)":[{"description":"${#toInnt(1)}: at character 2: there is no function #toInnt; did you mean #toInt?",` +
			`"exceptionType":"SpelEvaluationException","level":"ERROR"}]},"result":"${parameters.v} ${#toInnt(1)}"}`},
	} {
		a := h.do("GET", "/pipelines/"+id+tt.path+"/evaluateExpression?expression="+url.QueryEscape(tt.expression), "").want(200)
		if got := a.untimed(); got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.expression, got, tt.want)
		}
	}
}

// untimed is an evaluation without its timestamps.
func (a answer) untimed() string {
	a.t.Helper()
	var body struct {
		Result any                         `json:"result"`
		Detail map[string][]map[string]any `json:"detail"`
	}
	a.into(&body)
	for _, entries := range body.Detail {
		for _, entry := range entries {
			if at, _ := entry["timestamp"].(float64); at < float64(start.UnixMilli()) {
				a.t.Errorf("timestamp is %v", entry["timestamp"])
			}
			delete(entry, "timestamp")
		}
	}
	raw, err := json.Marshal(map[string]any{"result": body.Result, "detail": body.Detail})
	if err != nil {
		a.t.Fatal(err)
	}
	return strings.NewReplacer(`\u003c`, "<", `\u0026`, "&").Replace(string(raw))
}

func TestEvaluateExpressionOfABody(t *testing.T) {
	h := newHarness(t)
	id, stages := evaluated(h)
	path := "/pipelines/" + id + "/evaluateExpression"
	for _, tt := range []struct{ query, body, contentType string }{
		{"", `${parameters.v}`, "text/plain"},
		{"", `${parameters.v}`, ""},
		{"", `{"expression":"${parameters.v}"}`, "application/json"},
		{"", `{"expression":"${parameters.v}"}`, ""},
		{"?expression=" + url.QueryEscape(`${parameters.v}`), ``, "application/json"},
	} {
		a := h.do("POST", path+tt.query, tt.body, "Content-Type", tt.contentType).want(200)
		if got := a.untimed(); got != `{"detail":{},"result":"1.2"}` {
			t.Errorf("%+v: %s", tt, got)
		}
	}
	for _, tt := range []struct{ method, path, body, want string }{
		{"GET", path, ``, `"pointer":"?expression"`},
		{"GET", path + "?expression=", ``, `"pointer":"?expression"`},
		{"GET", path + "?expression=a&expression=b", ``, `more than once`},
		{"POST", path, ``, `the body is empty`},
		{"POST", path, `{"expression":1}`, `"pointer":"/expression"`},
		{"POST", path, `{}`, `"pointer":"/expression"`},
		{"POST", path + "?expression=a", `b`, `only one of them`},
	} {
		if a := h.do(tt.method, tt.path, tt.body).want(400); !strings.Contains(string(a.body), tt.want) {
			t.Errorf("%s %s %s: %s, want %s", tt.method, tt.path, tt.body, a.body, tt.want)
		}
	}
	h.do("GET", "/pipelines/nothing/evaluateExpression?expression=a", "").want(404)
	h.do("GET", "/pipelines/"+id+"/nothing/evaluateExpression?expression=a", "").want(404)
	before := h.do("GET", "/pipelines/"+id, "").want(200)
	h.do("GET", "/pipelines/"+id+"/"+stages[0].ID+"/evaluateExpression?expression=$%7B1%7D", "").want(200)
	if after := h.do("GET", "/pipelines/"+id, "").want(200); string(after.body) != string(before.body) {
		t.Errorf("the execution was changed: %s", after.body)
	}
	h.do("POST", "/pipelines/storefront/p", `{"parameters":{"v":"2"}}`).want(202) // the routes beside it
	h.do("POST", "/pipelines/storefront/p/plan", `{"parameters":{"v":"2"}}`).want(200)
}

func TestEvaluateVariables(t *testing.T) {
	h := newHarness(t)
	id, _ := evaluated(h)
	path := "/pipelines/" + id + "/evaluateVariables"
	var got struct {
		Result []struct {
			Key, Description   string
			Value, SourceValue any
		}
		Detail map[string][]struct{ Level string }
	}
	h.do("POST", path+"?executionId="+id+"&requisiteStageRefIds=2&spelVersion=v4",
		`[{"key":"a","value":"${1 + 1}"},{"key":"b","value":{"of":"${a * 2} ${version}"},"description":"uses a"},{"key":"c","value":"${nobody}"}]`).want(200).into(&got)
	values := map[string]any{}
	for _, v := range got.Result {
		values[v.Key] = []any{v.Value, v.SourceValue, v.Description}
	}
	want := map[string]any{
		"a": []any{2.0, "${1 + 1}", ""},
		"b": []any{map[string]any{"of": "4 near"}, map[string]any{"of": "${a * 2} ${version}"}, "uses a"},
		"c": []any{"${nobody}", "${nobody}", ""},
	}
	if diff := cmp.Diff(want, values); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
	if len(got.Detail) != 1 || len(got.Detail["nobody"]) != 1 || got.Detail["nobody"][0].Level != "INFO" {
		t.Errorf("detail is %v", got.Detail)
	}
	for _, tt := range []struct{ query, body, want string }{
		{"", `{}`, "must be a list"},
		{"", ``, "malformed JSON"},
		{"", `[1,{"value":1},{"key":"a"},{"key":2,"value":null}]`, `"pointer":"/0"`},
		{"", `[{"key":"a"}]`, `"pointer":"/0/value"`},
		{"?requisiteStageRefIds=1,9", `[]`, `\"9\" is the refId of no stage`},
		{"?executionId=other", `[]`, `"pointer":"?executionId"`},
	} {
		if a := h.do("POST", path+tt.query, tt.body).want(400); !strings.Contains(string(a.body), tt.want) {
			t.Errorf("%s %s: %s, want %s", tt.query, tt.body, a.body, tt.want)
		}
	}
	h.do("POST", "/pipelines/nothing/evaluateVariables", `[]`).want(404)
}

// TestExpressionsAreCheckedWhenSaved: in every string and key of the document, and
// where they have no "${}".
func TestExpressionsAreCheckedWhenSaved(t *testing.T) {
	h := newHarness(t)
	a := h.do("POST", "/pipelines", `{"application":"a","name":"p","description":"${1 +}","parameterConfig":[{"name":"x","default":"${#nope()}"}],
		"notifications":[{"message":{"${2 +}":"ok ${parameters.x}"}}],"stages":[
		{"type":"wait","name":"W ${T(java.lang.Runtime)}","waitTime":"${#toInnt(1)} ${#toInt(1, 2)}","comments":"costs ${ about 5",
		 "stageEnabled":{"type":"expression","expression":"#stge('A') == 1"}},
		{"type":"checkPreconditions","preconditions":[{"type":"expression","context":{"expression":"parameters.x =="}}]},
		{"type":"wait","waitTime":"${parameters.x}","stageEnabled":{"type":"expression","expression":"${#nope2()}"}}]}`).want(400)
	var body struct {
		Errors []struct{ Pointer, Detail, Message string }
	}
	a.into(&body)
	got := map[string][]string{}
	for _, e := range body.Errors {
		got[e.Pointer] = append(got[e.Pointer], e.Detail+e.Message)
	}
	for pointer, want := range map[string][]string{
		"/description":                                 {"${1 +}: at character 3: unexpected token EOF"},
		"/parameterConfig/0/default":                   {"there is no function #nope"},
		"/notifications/0/message/${2 +}":              {"${2 +}: at character 3"},
		"/stages/0/name":                               {"the class java.lang.Runtime cannot be used"},
		"/stages/0/waitTime":                           {"#toInt takes one argument, not 2", "there is no function #toInnt; did you mean #toInt?"},
		"/stages/0/comments":                           {"the closing } is missing"},
		"/stages/0/stageEnabled/expression":            {"#stge('A') == 1}: at character 2: there is no function #stge; did you mean #stage?"},
		"/stages/1/preconditions/0/context/expression": {"unexpected token EOF"},
		"/stages/2/stageEnabled/expression":            {"there is no function #nope2"},
	} {
		for i, text := range want {
			if found := strings.Join(got[pointer], "\n"); !strings.Contains(found, text) {
				t.Errorf("%s: %q, want %q (%d)", pointer, found, text, i)
			}
		}
	}
}

// TestAStartThatWouldFailIsRefused: for an expression of a stage that nothing can
// change, with the place.
func TestAStartThatWouldFailIsRefused(t *testing.T) {
	h := newHarness(t)
	stages := func(first, more string) string {
		return `[{"refId":"1","type":"wait","waitTime":"` + first + `"` + more + `},{"refId":"2","requisiteStageRefIds":["1"],"type":"wait","waitTime":"${nobody}"}]`
	}
	for name, tt := range map[string]struct {
		stages string
		want   int
	}{
		"absent":   {stages("${parameters.seconds}", ""), 400},
		"ignored":  {stages("${parameters.seconds}", `,"continuePipeline":true,"failPipeline":false`), 202},
		"defaults": {stages("${parameters.seconds ?: 3}", `,"comments":"${nobody}"`), 202},
		"later":    {stages("${#toInt(#stage('wait').context.seconds)}", ""), 202},
	} {
		h.save(name, tt.stages)
		a := h.do("POST", "/pipelines/storefront/"+name, "").want(tt.want)
		if tt.want == 400 && !strings.Contains(string(a.body), `"pointer":"/stages/0/waitTime"`) {
			t.Errorf("%s: %s", name, a.body)
		}
	}
}

// TestCredentialsAreNotEvaluated: what an execution does not show, expressions do not
// read either.
func TestCredentialsAreNotEvaluated(t *testing.T) {
	h := newHarness(t)
	id, stages := evaluated(h)
	h.store.change(delivery.ExecutionID(id), func(e *delivery.Execution) {
		e.Stages[0].Type, e.Stages[0].Context = "webhook", json.RawMessage(`{"url":"https://x.example","customHeaders":{"Authorization":"Bearer s3cret","X-Team":"web"}}`)
	})
	for path, expression := range map[string]string{
		"":                 `${#stage('First').context} ${execution}`,
		"/" + stages[0].ID: `${customHeaders} ${#currentStage().context.customHeaders['X-Team']}`,
	} {
		a := h.do("GET", "/pipelines/"+id+path+"/evaluateExpression?expression="+url.QueryEscape(expression), "").want(200)
		if strings.Contains(string(a.body), "s3cret") || !strings.Contains(string(a.body), "web") {
			t.Errorf("%s: %s", expression, a.body)
		}
	}
}
