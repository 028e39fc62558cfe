package api_test

import (
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

// TestRestartStage: a stage that is over begins again, and the answer is the execution;
// what cannot be restarted says why.
func TestRestartStage(t *testing.T) {
	h := newHarness(t)
	h.save("p", waitStages)
	id := h.startOf("p", ``)
	stored := h.store.executions[id]
	path := "/pipelines/" + string(id) + "/stages/" + stored.Stages[0].ID + "/restart"
	if answer := h.do("PUT", path, `{}`).want(409); !strings.Contains(string(answer.body), "has not begun") {
		t.Errorf("answer %s", answer.body)
	}
	h.engine.run(id)
	if answer := h.do("PUT", path, ``).want(409); !strings.Contains(string(answer.body), "only a stage that is over can be restarted") {
		t.Errorf("answer %s", answer.body)
	}
	h.engine.end(id, delivery.StatusTerminal)
	var shown struct {
		Status string
		Stages []struct {
			Status, StatusReason string
			Attempt              int
			EndTime              *int64
		}
	}
	h.do("PUT", path, `{"skip":true}`).want(400)
	h.do("PUT", path, `{"skip":false}`, "X-SPINNAKER-USER", "joe").want(200).into(&shown)
	if s := shown.Stages[0]; shown.Status != "NOT_STARTED" || s.Status != "NOT_STARTED" || s.Attempt != 2 || s.StatusReason != "joe restarted it" || s.EndTime != nil {
		t.Errorf("shown %+v", shown)
	}
	h.do("PUT", path, `{"waitTime":1}`).want(400)
	h.do("PUT", "/pipelines/"+string(id)+"/stages/nobody/restart", `{}`).want(404)
	h.do("PUT", "/pipelines/nobody/stages/x/restart", `{}`).want(404)
}

// TestLimitsAreShown in the executions of a pipeline that has them.
func TestLimitsAreShown(t *testing.T) {
	h := newHarness(t)
	h.do("POST", "/pipelines", `{"application":"storefront","name":"one","limitConcurrent":true,"keepWaitingPipelines":true,"maxConcurrentExecutions":3,"stages":`+waitStages+`}`).want(200)
	id := h.startOf("one", ``)
	var shown struct {
		LimitConcurrent, KeepWaitingPipelines bool
		MaxConcurrentExecutions               int
	}
	h.do("GET", "/pipelines/"+string(id), "").want(200).into(&shown)
	if !shown.LimitConcurrent || !shown.KeepWaitingPipelines || shown.MaxConcurrentExecutions != 3 {
		t.Errorf("shown %+v", shown)
	}
	bad := h.do("POST", "/pipelines", `{"application":"storefront","name":"two","maxConcurrentExecutions":-1,"stages":`+waitStages+`}`).want(400)
	if !strings.Contains(string(bad.body), "/maxConcurrentExecutions") {
		t.Errorf("answer %s", bad.body)
	}
}
