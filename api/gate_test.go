package api_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestGatePipelinesAreChecked before traffic moves: one that is not there, or that
// cannot be started with its parameters, is named with its place.
func TestGatePipelinesAreChecked(t *testing.T) {
	h := newHarness(t)
	h.cloud.add("us-east-1")
	h.do("POST", "/pipelines", `{"name":"smoke test","application":"storefront","id":"smoke","parameterConfig":[{"name":"version","required":true}],"stages":[{"refId":"1","type":"wait","waitTime":1}]}`).want(200)
	deploy := func(strategy string) string {
		return `[{"refId":"1","type":"deploy","clusters":[{"account":"aws-sim","application":"storefront","cloudProvider":"aws","stack":"prod","capacity":{"min":2,"max":2,"desired":2},
			"amiName":"storefront-1.1","loadBalancers":["storefront"],"availabilityZones":{"us-east-1":["us-east-1a"]},` + strategy + `}]}]`
	}
	canary := func(gate string) string {
		return deploy(`"strategy":"canary","steps":[{"weight":5,"bake":60},{"weight":50,"gate":{"pipeline":{"application":"storefront",` + gate + `}}}]`)
	}
	promote := func(strategy string) string {
		return operateStages("aws-sim", "us-east-1", `"refId":"1","type":"promoteServerGroup","serverGroupName":"storefront-prod-v001",`+strategy)
	}
	const before = `"strategy":"rollingredblack","targetPercentages":[50],"pipelineBeforeCleanup":{"application":"storefront",`
	const place, found = "/stages/0/clusters/0/steps/1/gate/pipeline", `"pipelineId":"smoke","pipelineParameters":{"version":"${parameters.version}"}`
	for i, test := range []struct{ stages, pointer, message string }{
		{canary(found), "", ""},
		{canary(`"pipelineId":"${#stage('1')['outputs']['x']}"`), "", ""},
		{canary(`"pipelineId":"nope"`), place + "/pipelineId", `no pipeline has the id "nope"`},
		{canary(`"pipelineId":"smoke test"`), place + "/pipelineId", `"smoke test" is the name of a pipeline of application storefront; give its id, smoke`},
		{canary(`"pipelineId":"smoke"`), place + "/pipelineParameters/version", "is missing"},
		{deploy(before + found + `}`), "", ""},
		{deploy(before + `"pipelineId":"${parameters.version}"}`), "/stages/0/clusters/0/pipelineBeforeCleanup/pipelineId", `no pipeline has the id "1"`},
		{promote(before + `"pipelineId":"nope"}`), "/stages/0/pipelineBeforeCleanup/pipelineId", `no pipeline has the id "nope"`},
	} {
		name := fmt.Sprintf("gated-%d", i)
		h.save(name, test.stages)
		answer := h.do("POST", "/pipelines/storefront/"+name, `{"parameters":{"version":"1"}}`)
		if test.pointer == "" {
			answer.want(202)
			continue
		}
		if body := string(answer.want(400).body); !strings.Contains(body, `"`+test.pointer+`"`) || !strings.Contains(body, strings.ReplaceAll(test.message, `"`, `\"`)) {
			t.Errorf("%s: %s", test.stages, body)
		}
	}
}
