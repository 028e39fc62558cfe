package api_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestChildPipelineIsChecked before the parent starts: a child that is not there, is
// disabled or misses a parameter is named with its place.
func TestChildPipelineIsChecked(t *testing.T) {
	h := newHarness(t)
	const wait = `"stages":[{"refId":"1","type":"wait","waitTime":1}]`
	h.do("POST", "/pipelines", `{"name":"open","application":"other","parameterConfig":[{"name":"version","required":true}],`+wait+`}`).want(200)
	h.do("POST", "/pipelines", `{"name":"closed","application":"other","disabled":true,`+wait+`}`).want(200)
	child := func(fields string) string {
		return `[{"refId":"1","type":"wait","waitTime":1},{"refId":"2","requisiteStageRefIds":["1"],"type":"pipeline",` + fields + `}]`
	}
	for i, test := range []struct {
		fields, pointer, message string
	}{
		{`"application":"other","pipeline":"open","pipelineParameters":{"version":"${parameters.version}"}`, "", ""},
		{`"application":"other","pipeline":"${#stage('1')['outputs']['x']}"`, "", ""},
		{`"application":"other","pipeline":"lost"`, "/stages/1/pipeline", `no pipeline of application other has the id or the name "lost"`},
		{`"pipeline":"open"`, "/stages/1/pipeline", "of application storefront"},
		{`"application":"other","pipeline":"closed"`, "/stages/1/pipeline", "is disabled"},
		{`"application":"other","pipeline":"open"`, "/stages/1/pipelineParameters/version", "is missing"},
		{`"application":"other","pipeline":"open","stageEnabled":{"type":"expression","expression":"parameters.version == '2'"}`, "", ""},
	} {
		name := fmt.Sprintf("parent-%d", i)
		h.save(name, child(test.fields))
		answer := h.do("POST", "/pipelines/storefront/"+name, `{"parameters":{"version":"1"}}`)
		if test.pointer == "" {
			answer.want(202)
			plan := h.do("POST", "/pipelines/storefront/"+name+"/plan", `{"parameters":{"version":"1"}}`).want(200)
			if body := string(plan.body); !strings.Contains(body, "plan of its own") && !strings.Contains(body, "earlier stage puts out") {
				t.Errorf("%s: plan %s", test.fields, body)
			}
			continue
		}
		if body := string(answer.want(400).body); !strings.Contains(body, `"`+test.pointer+`"`) || !strings.Contains(body, strings.ReplaceAll(test.message, `"`, `\"`)) {
			t.Errorf("%s: %s", test.fields, body)
		}
	}
}

// TestStrictVariablesCanBeStarted: a variable that reads the one before it is not
// hopeless before the stage begins.
func TestStrictVariablesCanBeStarted(t *testing.T) {
	h := newHarness(t)
	h.save("names", `[{"refId":"1","type":"evaluateVariables","failOnFailedExpressions":true,"variables":[{"key":"a","value":"${1 + 1}"},{"key":"b","value":"${a * 2}"}]},
		{"refId":"2","requisiteStageRefIds":["1"],"type":"checkPreconditions","preconditions":[{"type":"expression","context":{"expression":"b == 4"}}]}]`)
	h.do("POST", "/pipelines/storefront/names", `{}`).want(202)
}
