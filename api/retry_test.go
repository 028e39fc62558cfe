package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
)

// TestRetriesAreShown: a stage that waits for its next attempt shows why the last one
// failed and when it goes on, and takes the skips that its type does not.
func TestRetriesAreShown(t *testing.T) {
	h := newHarness(t)
	refused := h.do("POST", "/pipelines", `{"application":"storefront","name":"p","stages":[{"type":"noop","retry":{"maxAttempts":99,"backoff":5}}]}`).want(400)
	for _, pointer := range []string{`"/stages/0/retry/maxAttempts"`, `"/stages/0/retry/backoff"`} {
		if !strings.Contains(string(refused.body), pointer) {
			t.Errorf("%s says nothing of %s", refused.body, pointer)
		}
	}
	h.save("p", `[{"refId":"1","requisiteStageRefIds":[],"type":"noop","name":"Try","retry":{"maxAttempts":3}}]`)
	id := h.startOf("p", ``)
	h.engine.run(id)
	path := "/pipelines/" + string(id) + "/stages/" + h.store.executions[id].Stages[0].ID
	for _, skip := range []string{`{"manualSkip":true}`, `{"skipRemainingWait":true}`} {
		h.do("PATCH", path, skip).want(405)
	}
	wait := func() {
		h.store.change(id, func(e *delivery.Execution) {
			s := &e.Stages[0]
			s.Status, s.ScheduledTime, s.StatusReason = delivery.StatusRunning, start.Add(time.Minute), "try 1 of 3 failed: boom"
			s.Attempts = []delivery.Attempt{{Number: 1, StartTime: start, EndTime: start.Add(30 * time.Second),
				Failure: delivery.Failure{Kind: "transient", Message: "boom", Step: "noop"}, Deployments: []delivery.DeploymentID{"d"}}}
		})
	}
	wait()
	type attempt struct {
		Attempt            int
		StartTime, EndTime int64
		Failure            map[string]string
		Deployments        []string
	}
	var shown struct {
		Stages []struct {
			Status, StatusReason string
			ScheduledTime        int64
			Attempts             []attempt
		}
	}
	h.do("GET", "/pipelines/"+string(id), ``).want(200).into(&shown)
	want := []attempt{{1, start.UnixMilli(), start.Add(30 * time.Second).UnixMilli(), map[string]string{"code": "transient", "message": "boom", "step": "noop"}, []string{"d"}}}
	if s := shown.Stages[0]; s.Status != "RUNNING" || s.StatusReason != "try 1 of 3 failed: boom" || s.ScheduledTime != start.Add(time.Minute).UnixMilli() || !cmp.Equal(want, s.Attempts) {
		t.Errorf("shown %+v", s)
	}
	h.do("PATCH", path, `{"skipRemainingWait":true}`).want(200)
	wait()
	h.do("PATCH", path, `{"manualSkip":true}`).want(200)
	if diff := cmp.Diff([]string{"skipRemainingWait 1 by anonymous", "manualSkip 1 by anonymous"}, h.engine.moves); diff != "" {
		t.Error(diff)
	}
}

// TestPlanTellsOfRetries, and of the names that expressions give.
func TestPlanTellsOfRetries(t *testing.T) {
	h := newHarness(t)
	stages := func(retry string) string {
		return `[{"refId":"1","requisiteStageRefIds":[],"type":"wait","name":"Wait for ${parameters.image} ${#stage('x')}","waitTime":5},
			{"refId":"2","requisiteStageRefIds":["1"],"type":"wait","name":"Try ${parameters.image}","waitTime":5` + retry + `}]`
	}
	h.save("plan-me", stages(``))
	before := h.planned(planImage)
	if s := before.Stages; s[0].Name != "Wait for ${parameters.image} ${#stage('x')}" || s[1].Name != "Try storefront-1.1" || s[1].MaxAttempts != 0 {
		t.Errorf("plan %+v", s)
	}
	h = newHarness(t)
	h.save("plan-me", stages(`,"retry":{"maxAttempts":4}`))
	after := h.planned(planImage)
	if s := after.Stages[1]; s.MaxAttempts != 4 || s.WaitMs != 5000 || after.Hash == before.Hash {
		t.Errorf("plan %+v with hash %s, and %s before", s, after.Hash, before.Hash)
	}
	stale := h.do("POST", "/pipelines/storefront/plan-me", `{"planHash":"`+before.Hash+`","parameters":{"image":"storefront-1.1"}}`).want(409)
	if !strings.Contains(string(stale.body), after.Hash) {
		t.Errorf("answer %s", stale.body)
	}
}
