package workflows

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// TestArtifactsOfAnotherPipeline are taken from its newest execution of the wanted
// status, and are there for the stages after.
func TestArtifactsOfAnotherPipeline(t *testing.T) {
	document := func(options string) string {
		return `{"name":"p","application":"shop","stages":[
			{"refId":"1","requisiteStageRefIds":[],"type":"findArtifactFromExecution","pipeline":"build","expectedArtifacts":[{"id":"i","matchArtifact":{"type":"docker/image"}}]` + options + `},
			{"refId":"2","requisiteStageRefIds":["1"],"type":"evaluateArtifacts","artifactContents":[{"name":"note","contents":"runs ${artifacts[0].reference}"}]}]}`
	}
	for _, test := range []struct{ name, options, want, message string }{
		{"the newest", "", "", "Unmatched expected artifact i"},
		{"the newest that succeeded", `,"executionOptions":{"successful":true}`, "shop:2", ""},
		{"none that runs", `,"executionOptions":{"running":true}`, "", "no execution of pipeline build of application shop"},
	} {
		w := newWorld(t, document(test.options), calm())
		w.save(t, "B", `{"name":"build","application":"shop","stages":[]}`)
		for i, e := range []delivery.Execution{{ID: "B1", Status: delivery.StatusSucceeded}, {ID: "B2", Status: delivery.StatusSucceeded}, {ID: "B3", Status: delivery.StatusTerminal}} {
			e.PipelineConfigID, e.BuildTime = "B", w.env.Now().Add(time.Duration(i)*time.Minute)
			if e.Status == delivery.StatusSucceeded {
				e.Stages = []delivery.Stage{{RefID: "1", Status: e.Status, Outputs: json.RawMessage(`{"artifacts":[{"type":"docker/image","reference":"shop:` + string(e.ID[1]) + `"}]}`)}}
			}
			w.store.executions[e.ID] = e
		}
		e := w.run(t)
		failure, outputs := e.Stage("1").Failure, string(e.Stage("2").Outputs)
		if found := string(e.Stage("1").Outputs); test.message != "" && found != "" {
			t.Errorf("%s: puts out %s", test.name, found)
		}
		switch {
		case test.message != "" && (e.Status != delivery.StatusTerminal || failure == nil || !strings.Contains(failure.Message, test.message)):
			t.Errorf("%s: execution %s, %+v", test.name, e.Status, failure)
		case test.message == "" && (e.Status != delivery.StatusSucceeded || !strings.Contains(outputs, `"reference":"cnVucyBzaG9wOjI="`)):
			t.Errorf("%s: execution %s, %+v, %s", test.name, e.Status, failure, outputs)
		}
	}
}
