//go:build !race

package workflows

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/internal/fakecloud"
)

// TestStagesOnAServer carries out stages that deploy nothing on a real server. With
// -update it records their histories.
func TestStagesOnAServer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, stages string
		do           func(t *testing.T, l *live, act func(stage string, c pipeline.StageCommand))
		each         string
	}{
		{"window", `{"refId":"1","type":"wait","waitTime":0,"restrictExecutionDuringTimeWindow":true,"restrictedExecutionWindow":WINDOW}`,
			func(_ *testing.T, _ *live, act func(string, pipeline.StageCommand)) {
				act("1<1", pipeline.StageCommand{Action: pipeline.SkipRemainingWait})
			}, "SUCCEEDED SUCCEEDED"},
		{"manualjudgment", `{"refId":"1","type":"manualJudgment","judgmentInputs":[{"value":"canary"},{"value":"all"}],"stageTimeoutMs":3600000},
			{"refId":"2","requisiteStageRefIds":["1"],"type":"wait","waitTime":"${judgmentInput == 'all' ? 0 : 3600}"}`,
			func(_ *testing.T, _ *live, act func(string, pipeline.StageCommand)) {
				act("1", pipeline.StageCommand{Action: pipeline.Judge, Status: delivery.JudgmentContinue, Input: "all"})
			}, "SUCCEEDED SUCCEEDED"},
		{"restart", `{"refId":"1","type":"evaluateVariables","variables":[{"key":"a","value":"${1 + 1}"}]},{"refId":"2","requisiteStageRefIds":[],"type":"wait","waitTime":3600}`,
			func(t *testing.T, l *live, act func(string, pipeline.StageCommand)) {
				l.until(t, "the first attempt", func(e delivery.Execution, _ delivery.Deployment) bool { return e.Stages[0].Status.Complete() })
				act("1", pipeline.StageCommand{Action: pipeline.RestartStage})
				l.until(t, "the second attempt", func(e delivery.Execution, _ delivery.Deployment) bool {
					return e.Stages[0].Attempt == 2 && e.Stages[0].Status.Complete()
				})
				act("2", pipeline.StageCommand{Action: pipeline.SkipRemainingWait})
			}, "SUCCEEDED SUCCEEDED"},
		{"reopen", `{"refId":"1","type":"evaluateVariables","variables":[{"key":"a","value":"${1 + 1}"}]},{"refId":"2","requisiteStageRefIds":["1"],"type":"wait","waitTime":0}`,
			func(t *testing.T, l *live, act func(string, pipeline.StageCommand)) {
				l.until(t, "the first end", func(e delivery.Execution, _ delivery.Deployment) bool { return e.Status.Complete() })
				act("2", pipeline.StageCommand{Action: pipeline.RestartStage})
				l.until(t, "the second attempt", func(e delivery.Execution, _ delivery.Deployment) bool {
					return e.Stages[1].Attempt == 2 && e.Stages[1].Status.Complete()
				})
			}, "SUCCEEDED SUCCEEDED"},
		{"child", `{"refId":"1","type":"pipeline","pipeline":"deploy","pipelineParameters":{"version":"1"}},{"refId":"2","requisiteStageRefIds":["1"],"type":"wait","waitTime":"${made}"}`,
			nil, "SUCCEEDED SUCCEEDED"},
		{"webhook", `{"refId":"1","type":"webhook","url":"SERVER/jobs","payload":{"a":1},"waitForCompletion":true,"statusUrlResolution":"locationHeader","waitBeforeMonitor":0,
			"statusJsonPath":"$.status","progressJsonPath":"$.step","successStatuses":"SUCCESS"}`, nil, "SUCCEEDED"},
		{"skip", `{"refId":"1","type":"wait","waitTime":3600},{"refId":"2","requisiteStageRefIds":["1"],"type":"wait","waitTime":3600,"stageEnabled":{"type":"expression","expression":"1 > 2"}}`,
			func(_ *testing.T, _ *live, act func(string, pipeline.StageCommand)) {
				act("1", pipeline.StageCommand{Action: pipeline.ManualSkip})
			}, "SKIPPED SKIPPED"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			other := httptest.NewServer(&jobServer{says: []string{`{"status":"RUNNING","step":"1"}`, `{"status":"SUCCESS"}`}})
			t.Cleanup(other.Close)
			opens := time.Now().UTC().Add(2 * time.Hour)
			window := fmt.Sprintf(`{"whitelist":[{"startHour":%d,"startMin":0,"endHour":%d,"endMin":30}]}`, opens.Hour(), opens.Hour())
			document := strings.NewReplacer("SERVER", other.URL, "WINDOW", window).Replace(test.stages)
			l := serveLive(t, fakecloud.Config{})
			l.world.save(t, "D", `{"name":"deploy","application":"shop","parameterConfig":[{"name":"version"}],"stages":[
				{"refId":"a","type":"evaluateVariables","variables":[{"key":"made","value":0}]}]}`)
			l.accept(t, testExecution, `{"stages":[`+document+`]}`)
			if test.do != nil {
				test.do(t, l, func(stage string, c pipeline.StageCommand) {
					t.Helper()
					l.until(t, "stage "+stage, func(e delivery.Execution, _ delivery.Deployment) bool {
						s := e.Stage(stage)
						return s != nil && s.Status != delivery.StatusNotStarted
					})
					c.Stage, c.By = stage, delivery.Principal{Name: "joe"}
					if err := l.client.UpdateStage(t.Context(), testExecution, c); err != nil {
						t.Fatal(err)
					}
				})
			}
			e, _ := l.until(t, "the end", func(e delivery.Execution, _ delivery.Deployment) bool { return e.Status.Complete() })
			if e.Status != delivery.StatusSucceeded || each(e) != test.each {
				t.Errorf("execution %s, stages %s: %+v", e.Status, each(e), e.Stages)
			}
			if *update {
				l.saveHistory(t, test.name+"-execution", testExecution.WorkflowID())
			}
		})
	}
}
