package pipeline

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

// TestWaitsForItself: a stage or a gate that names the pipeline it stands in is refused,
// unless nothing waits for what it starts or nobody can know.
func TestWaitsForItself(t *testing.T) {
	const cluster = `"account":"a","application":"shop","cloudProvider":"aws","capacity":{"min":1,"max":1,"desired":1},"availabilityZones":{"r1":["z"],"r2":["z"]},"loadBalancers":["lb"],"imageId":"i"`
	self := delivery.Pipeline{ID: "S", Name: "Ship it", Application: "shop"}
	for _, test := range []struct {
		name, stage string
		p           delivery.Pipeline
		want        string
	}{
		{"by its id", `"type":"pipeline","pipeline":"S"`, self, "/stages/1/pipeline"},
		{"by its id in the other field", `"type":"pipeline","pipelineId":"S"`, self, "/stages/1/pipelineId"},
		{"by its name, in any case", `"type":"pipeline","pipeline":"ship IT","application":"Shop"`, self, "/stages/1/pipeline"},
		{"a new one, by its name", `"type":"pipeline","pipeline":"Ship it"`, delivery.Pipeline{Name: "Ship it", Application: "shop"}, "/stages/1/pipeline"},
		{"a new one that names none", `"type":"pipeline","pipeline":"${trigger.next}"`, delivery.Pipeline{Name: "Ship it", Application: "shop"}, ""},
		{"under a condition", `"type":"pipeline","pipeline":"S","stageEnabled":{"type":"expression","expression":"parameters.n > 0"}`, self, ""},
		{"not waited for", `"type":"pipeline","pipeline":"S","waitForCompletion":false`, self, ""},
		{"perhaps not waited for", `"type":"pipeline","pipeline":"S","waitForCompletion":"${parameters.wait}"`, self, ""},
		{"the name in another application", `"type":"pipeline","pipeline":"Ship it","application":"other"`, self, ""},
		{"the name in an application that nobody knows", `"type":"pipeline","pipeline":"Ship it","application":"${trigger.app}"`, self, ""},
		{"another one", `"type":"pipeline","pipeline":"T"`, self, ""},
		{"a gate", `"type":"deploy","clusters":[{` + cluster + `,"strategy":"canary","steps":[{"weight":5,"bake":60},{"weight":50,"gate":{"pipeline":{"application":"shop","pipelineId":"S"}}}]}]`, self,
			"/stages/1/clusters/0/steps/1/gate/pipeline/pipelineId"},
		{"another one's gate", `"type":"deploy","clusters":[{` + cluster + `,"strategy":"canary","steps":[{"weight":50,"gate":{"pipeline":{"application":"shop","pipelineId":"T"}}}]}]`, self, ""},
		{"before the cleanup", `"type":"deploy","clusters":[{` + cluster + `,"strategy":"rollingredblack","targetPercentages":[50,100],"pipelineBeforeCleanup":{"application":"shop","pipelineId":"S"}}]`, self,
			"/stages/1/clusters/0/pipelineBeforeCleanup/pipelineId"},
	} {
		d, err := Parse(json.RawMessage(`{"stages":[{"refId":"1","type":"wait","waitTime":1},{"refId":"2","requisiteStageRefIds":["1"],` + test.stage + `}]}`))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		var got []string
		for _, f := range d.WaitsForItself(test.p) {
			got = append(got, f.Pointer)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// TestNeverBegins: what waits for its own ancestor is found, however long the circle, and
// what only waits for its turn is not.
func TestNeverBegins(t *testing.T) {
	const stage, gate, event = `{"parentPipelineStageId":"S"}`, `{"parentDeployment":"d"}`, `{}`
	const waits, goesOn = `{"pipeline":"x"}`, `{"pipeline":"x","waitForCompletion":false}`
	// parents are the executions above the new one, the nearest first; each is of a
	// pipeline, was started as from says, and runs a stage with the context.
	type parent struct {
		pipeline, from, context string
		status, stage           delivery.Status
	}
	of := func(pipeline string) parent {
		return parent{pipeline, stage, waits, delivery.StatusRunning, delivery.StatusRunning}
	}
	changed := func(p parent, change func(*parent)) parent { change(&p); return p }
	for _, test := range []struct {
		name, limits string
		parents      []parent
		never        bool
	}{
		{"itself", `"limitConcurrent":true`, []parent{of("p")}, true},
		{"itself, of two", `"maxConcurrentExecutions":2`, []parent{of("p")}, false},
		{"both of two", `"maxConcurrentExecutions":2`, []parent{of("p"), of("p")}, true},
		{"without a limit", `"maxConcurrentExecutions":0`, []parent{of("p"), of("p")}, false},
		{"others", `"limitConcurrent":true`, []parent{of("q"), of("r")}, false},
		{"a longer circle", `"limitConcurrent":true`, []parent{of("q"), of("r"), of("p")}, true},
		{"a circle over a gate", `"limitConcurrent":true`, []parent{changed(of("q"), func(p *parent) { p.from = gate }), of("p")}, true},
		{"one whose end fired a trigger", `"limitConcurrent":true`, []parent{changed(of("q"), func(p *parent) { p.from = event }), changed(of("p"), func(p *parent) { p.status = delivery.StatusSucceeded })}, false},
		{"one that waits for an execution whose end fired a trigger", `"limitConcurrent":true`,
			[]parent{changed(of("q"), func(p *parent) { p.from = event }), changed(of("r"), func(p *parent) { p.status = delivery.StatusSucceeded }), of("p")}, false},
		{"one that did not wait", `"limitConcurrent":true`, []parent{of("q"), changed(of("p"), func(p *parent) { p.context = goesOn })}, false},
		{"one whose stage is over", `"limitConcurrent":true`, []parent{of("q"), changed(of("p"), func(p *parent) { p.stage = delivery.StatusCanceled })}, false},
		{"one that is over", `"limitConcurrent":true`, []parent{of("q"), changed(of("p"), func(p *parent) { p.status = delivery.StatusCanceled })}, false},
	} {
		d, err := Parse(json.RawMessage(`{` + test.limits + `,"stages":[]}`))
		if err != nil {
			t.Fatal(err)
		}
		var parents []delivery.Execution
		for i, p := range test.parents {
			id := func(i int) delivery.ExecutionID { return delivery.ExecutionID(fmt.Sprint("e", i)) }
			parents = append(parents, delivery.Execution{ID: id(i), PipelineConfigID: p.pipeline, Status: p.status, Trigger: delivery.Trigger{ParentExecution: id(i + 1), Document: json.RawMessage(p.from)},
				Stages: []delivery.Stage{{ID: "S", Status: p.stage, Context: json.RawMessage(p.context)}}})
		}
		err = NeverBegins(delivery.Pipeline{ID: "p", Name: "P", Application: "shop"}, d, parents)
		if (err != nil) != test.never || err != nil && delivery.KindOf(err) != delivery.Invalid {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
