package workflows

import (
	"strings"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/internal/fakecloud"
)

const preconditionsDocument = `{"name":"p","application":"shop","stages":[
	{"refId":"first","requisiteStageRefIds":[],"type":"noop","name":"First"},
	{"refId":"check","requisiteStageRefIds":["first"],"type":"checkPreconditions","preconditions":[PRECONDITIONS]},
	{"refId":"after","requisiteStageRefIds":["check"],"type":"noop"},
	{"refId":"beside","requisiteStageRefIds":["first"],"type":"wait","waitTime":60}]}`

// TestPreconditions lets what comes after begin, ends the pipeline or ends the branch.
func TestPreconditions(t *testing.T) {
	const size = `{"type":"clusterSize","context":{"credentials":"acct","cluster":"shop-prod","regions":["r1"],"comparison":"==","expected":N,"onlyEnabledServerGroups":true}}`
	standby := v000(1)
	standby.Name, standby.Weight = "shop-prod-v001", 0
	const good, bad = `{"type":"expression","context":{"expression":"parameters.image == 'good'"}}`, `{"type":"expression","context":{"expression":"${parameters.image}"}}`
	for _, test := range []struct {
		name, preconditions string
		status              delivery.Status
		check               delivery.Status
		message             string
	}{
		{"nothing", ``, delivery.StatusSucceeded, delivery.StatusSucceeded, ""},
		{"all hold", good + `,` + strings.Replace(size, "N", "1", 1) + `,{"type":"stageStatus","context":{"stageName":"First","stageStatus":"SUCCEEDED"}}`, delivery.StatusSucceeded, delivery.StatusSucceeded, ""},
		{"another size", good + `,` + strings.Replace(size, "N", "2", 1), delivery.StatusTerminal, delivery.StatusTerminal, "found 1 (shop-prod-v000)"},
		{"not true", bad, delivery.StatusTerminal, delivery.StatusTerminal, "${parameters.image} is good"},
		{"not known", `{"type":"expression","context":{"expression":"lost.value"}}`, delivery.StatusTerminal, delivery.StatusTerminal, "lost"},
		{"the branch alone", strings.Replace(bad, `"context"`, `"failPipeline":false,"context"`, 1), delivery.StatusSucceeded, delivery.StatusStopped, "is good"},
		{"both", bad + `,` + strings.Replace(bad, `"context"`, `"failPipeline":false,"context"`, 1), delivery.StatusTerminal, delivery.StatusTerminal, "is good"},
	} {
		w := newWorld(t, strings.Replace(preconditionsDocument, "PRECONDITIONS", test.preconditions, 1), calm(), v000(2), standby)
		e := w.run(t)
		check, after := e.Stage("check"), e.Stage("after")
		if e.Status != test.status || check.Status != test.check || (after.Status == delivery.StatusSucceeded) != (test.message == "") {
			t.Errorf("%s: execution %s, check %s, after %s: %+v", test.name, e.Status, check.Status, after.Status, check.Failure)
			continue
		}
		if (check.Failure == nil) != (test.message == "") || check.Failure != nil && !strings.Contains(check.Failure.Message, test.message) {
			t.Errorf("%s: %+v, want %q", test.name, check.Failure, test.message)
		}
		if test.check == delivery.StatusStopped && e.Stage("beside").Status != delivery.StatusSucceeded {
			t.Errorf("%s: the other branch is %s", test.name, e.Stage("beside").Status)
		}
	}
}

// TestPreconditionOfAnIgnoredStage: a stage whose failure is ignored goes on, whatever the
// precondition says of the pipeline.
func TestPreconditionOfAnIgnoredStage(t *testing.T) {
	for _, failPipeline := range []string{"true", "false"} {
		list := `{"type":"expression","failPipeline":` + failPipeline + `,"context":{"expression":"false"}}`
		document := strings.Replace(preconditionsDocument, `"type":"checkPreconditions"`, `"type":"checkPreconditions","failPipeline":false,"continuePipeline":true`, 1)
		e := newWorld(t, strings.Replace(document, "PRECONDITIONS", list, 1), calm(), v000(1)).run(t)
		if check, after := e.Stage("check").Status, e.Stage("after").Status; e.Status != delivery.StatusSucceeded || check != delivery.StatusFailedContinue || after != delivery.StatusSucceeded {
			t.Errorf("failPipeline %s: execution %s, check %s, after %s", failPipeline, e.Status, check, after)
		}
	}
}

// TestPreconditionWithoutACloud fails when the cloud does not answer in time, and is
// canceled at once.
func TestPreconditionWithoutACloud(t *testing.T) {
	document := strings.Replace(preconditionsDocument, "PRECONDITIONS", `{"type":"clusterSize","context":{"credentials":"acct","cluster":"shop-prod","regions":["r1"],"expected":1}}`, 1)
	away := calm()
	away.Faults = fakecloud.Faults{Before: 1}
	for _, canceled := range []bool{false, true} {
		w := newWorld(t, document, away, v000(1))
		var cancel *answer
		if canceled {
			cancel = w.send(updateCancel, 20*time.Second)
		}
		e := w.run(t)
		check := e.Stage("check")
		switch {
		case canceled && (e.Status != delivery.StatusCanceled || e.EndTime.Sub(cancel.sent) > 5*time.Second):
			t.Errorf("canceled: %s, %s after", e.Status, e.EndTime.Sub(cancel.sent))
		case !canceled && (e.Status != delivery.StatusTerminal || check.EndTime.Sub(check.StartTime) > preconditionsTime+time.Minute):
			t.Errorf("execution %s, check took %s: %+v", e.Status, check.EndTime.Sub(check.StartTime), check.Failure)
		}
	}
}
