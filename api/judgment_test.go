package api_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

// asks is a deployment of stage 1 that waits for the judgment of its first step.
func asks(id delivery.ExecutionID) delivery.Deployment {
	d := deploymentOf(id, delivery.DeploymentRunning)
	d.Failure = nil
	d.Judgment = &delivery.Judgment{Gate: "step/0", Step: "batch 1 of 2", Instructions: "look", Since: start, Until: start.Add(time.Hour), OnTimeout: "rollback"}
	return d
}

// TestJudgment: the answer goes to the one deployment of the stage that waits, with
// who gives it and why, and only while one waits.
func TestJudgment(t *testing.T) {
	h := newHarness(t)
	h.save("p", waitStages)
	id := h.startOf("p", ``)
	h.engine.run(id)
	stored := h.store.executions[id]
	path := "/pipelines/" + string(id) + "/stages/" + stored.Stages[0].ID
	const yes = `{"judgmentStatus":"continue","judgmentInput":"orders look good"}`
	if answer := h.do("PATCH", path, yes).want(409); !strings.Contains(string(answer.body), "no deployment of the stage waits for a judgment") {
		t.Errorf("answer %s", answer.body)
	}
	first := asks(id)
	second := first
	second.ID += "-2"
	h.store.change(id, func(e *delivery.Execution) {
		e.Stages[0].Deployments = []delivery.DeploymentID{first.ID, second.ID}
	})
	h.store.deploy(first)
	h.do("PATCH", path, yes, "X-SPINNAKER-USER", "joe").want(200)
	h.store.deploy(second)
	several := h.do("PATCH", path, yes).want(409)
	if !strings.Contains(string(several.body), string(first.ID)+", "+string(second.ID)) || !strings.Contains(string(several.body), "?deployment=") {
		t.Errorf("answer %s", several.body)
	}
	h.do("PATCH", path+"?deployment="+url.QueryEscape(string(second.ID)), `{"judgmentStatus":"stop"}`).want(200)
	want := []string{"continue step/0 of " + string(first.ID) + " by joe: orders look good", "stop step/0 of " + string(second.ID) + " by anonymous: "}
	if diff := cmp.Diff(want, h.engine.moves); diff != "" {
		t.Error(diff)
	}
	for body, field := range map[string]string{`{"judgmentStatus":"perhaps"}`: "/judgmentStatus", `{}`: "/judgmentStatus", `{"judgmentStatus":7}`: "/judgmentStatus",
		`{"waitTime":1}`: "/waitTime", `{"judgmentStatus":"stop","judgmentInput":"` + strings.Repeat("x", 4001) + `"}`: "/judgmentInput"} {
		if answer := h.do("PATCH", path, body).want(400); !strings.Contains(string(answer.body), field) {
			t.Errorf("%s: %s", body, answer.body)
		}
	}
	h.do("PATCH", path+"?deployment=other", yes).want(400)
	answered := second
	answered.Judgment = nil
	answered.Detail = json.RawMessage(`{"judgments":[{"gate":"step/0","step":"batch 1 of 2","status":"stop","by":"joe","at":"2026-01-01T00:00:00Z"}]}`)
	h.store.deploy(answered)
	if answer := h.do("PATCH", path+"?deployment="+url.QueryEscape(string(second.ID)), yes).want(409); !strings.Contains(string(answer.body), "joe has answered that of batch 1 of 2: stop") {
		t.Errorf("answer %s", answer.body)
	}
	h.do("PATCH", "/pipelines/"+string(id)+"/stages/nobody", yes).want(404)
	h.do("PATCH", "/pipelines/nobody/stages/x", yes).want(404)
	h.engine.refusal = delivery.Errorf(delivery.Conflict, "joe has answered")
	h.do("PATCH", path+"?deployment="+url.QueryEscape(string(first.ID)), yes).want(409)
	h.engine.end(id, delivery.StatusSucceeded)
	h.do("PATCH", path, yes).want(409)
}

// TestJudgmentIsShown: in the stage, wherever executions are listed, and in the
// deployment, while it is open.
func TestJudgmentIsShown(t *testing.T) {
	h := newHarness(t)
	h.save("p", waitStages)
	id := h.startOf("p", ``)
	h.engine.run(id)
	d := asks(id)
	h.store.change(id, func(e *delivery.Execution) { e.Stages[0].Deployments = []delivery.DeploymentID{d.ID} })
	h.store.deploy(d)
	type judgment struct {
		Deployment, Step, Instructions, OnTimeout string
		Since, Until                              int64
	}
	type shown struct {
		Stages []struct{ Judgments []judgment }
	}
	want := []judgment{{string(d.ID), "batch 1 of 2", "look", "rollback", start.UnixMilli(), start.Add(time.Hour).UnixMilli()}}
	var one shown
	h.do("GET", "/pipelines/"+string(id), "").want(200).into(&one)
	if diff := cmp.Diff(want, one.Stages[0].Judgments); diff != "" {
		t.Error(diff)
	}
	var list []shown
	h.do("GET", "/executions?executionIds="+string(id)+"&expand=false", "").want(200).into(&list)
	if diff := cmp.Diff(want, list[0].Stages[0].Judgments); diff != "" {
		t.Error(diff)
	}
	var deployments []struct{ Judgment *judgment }
	h.do("GET", "/executions/"+string(id)+"/deployments", "").want(200).into(&deployments)
	if diff := cmp.Diff(&want[0], deployments[0].Judgment); diff != "" {
		t.Error(diff)
	}
	h.engine.end(id, delivery.StatusCanceled)
	var over shown
	h.do("GET", "/pipelines/"+string(id), "").want(200).into(&over)
	if len(over.Stages[0].Judgments) > 0 {
		t.Errorf("shown when it is over: %+v", over)
	}
}

// TestPlanShowsGates: with their end and what follows then, and another end is
// another plan.
func TestPlanShowsGates(t *testing.T) {
	h := newHarness(t)
	h.cloud.add("us-east-1")
	save := func(name, seconds string) {
		h.save(name, strings.NewReplacer(`"strategy":"rolling"`, `"strategy":"canary","steps":[{"weight":5,"gate":{"manualJudgment":{"instructions":"look","timeoutSec":`+seconds+`}}}]`,
			`,"us-west-2":["us-west-2a"]`, "").Replace(deployStages("${parameters.image}")))
	}
	save("plan-me", "600")
	plan := h.planned(planImage)
	var gates []v1.PlannedAction
	for _, a := range plan.Stages[0].Deployments[0].Actions {
		if a.Type == "gate" {
			a.AtMs = 0
			gates = append(gates, a)
		}
	}
	want := []v1.PlannedAction{{Type: "gate", Description: "somebody lets it go on within 10m0s, else rollback", Instructions: "look", TimeoutMs: 600_000, OnTimeout: "rollback"}}
	if diff := cmp.Diff(want, gates); diff != "" {
		t.Error(diff)
	}
	save("sooner", "60")
	stale := h.do("POST", "/pipelines/storefront/sooner", `{"planHash":"`+plan.Hash+`","parameters":{"image":"storefront-1.1"}}`).want(409)
	if !strings.Contains(string(stale.body), "no longer: ") || !strings.Contains(string(stale.body), "within 1m0s") {
		t.Errorf("answer %s", stale.body)
	}
}

// askStages ask people, wait, and deploy nothing.
const askStages = `[{"refId":"1","requisiteStageRefIds":[],"type":"manualJudgment","name":"Ask","judgmentInputs":[{"value":"all"}]},
	{"refId":"2","requisiteStageRefIds":["1"],"type":"wait","waitTime":60},{"refId":"3","requisiteStageRefIds":["2"],"type":"findImage",
	"cloudProvider":"aws","credentials":"aws-sim","regions":["us-east-1"],"cluster":"storefront-prod"}]`

// TestUpdateStage: what people do to stages reaches the engine once it can be taken,
// and 405 says that stages of a type never take it.
func TestUpdateStage(t *testing.T) {
	h := newHarness(t)
	h.save("p", askStages)
	id := h.startOf("p", ``)
	h.engine.run(id)
	stored := h.store.executions[id]
	path := func(i int) string { return "/pipelines/" + string(id) + "/stages/" + stored.Stages[i].ID }
	const skip, rest = `{"manualSkip":true}`, `{"skipRemainingWait":true}`
	h.do("PATCH", path(0), skip).want(405)
	h.do("PATCH", path(0), rest).want(405)
	h.do("PATCH", path(2), skip).want(405)
	h.do("PATCH", path(2), rest).want(405)
	h.do("PATCH", path(1), rest).want(409)
	var shown struct {
		Stages []struct{ Status, StatusReason string }
	}
	h.do("PATCH", path(0), `{"judgmentStatus":"continue","judgmentInput":7,"skipRemainingWait":null,"manualSkip":null}`, "X-SPINNAKER-USER", "joe").want(200).into(&shown)
	if s := shown.Stages[0]; s.Status != "SUCCEEDED" || s.StatusReason != "joe did it" {
		t.Errorf("shown %+v", s)
	}
	if answer := h.do("PATCH", path(0), `{"judgmentStatus":"stop"}`).want(409); !strings.Contains(string(answer.body), "it ended SUCCEEDED") {
		t.Errorf("answer %s", answer.body)
	}
	for body, field := range map[string]string{`{"skipRemainingWait":false}`: "/skipRemainingWait", `{"manualSkip":"true"}`: "/manualSkip",
		`{"manualSkip":true,"skipRemainingWait":true}`: "/manualSkip", `{"manualSkip":true,"judgmentInput":"x"}`: "/judgmentInput", `{"waitTime":3}`: "/waitTime",
		`{"skipRemainingWait":true,"reason":"x"}`: "/reason", `{"manualSkip":true,"reason":1}`: "/reason", `{"judgmentStatus":"stop","reason":"x"}`: "/reason"} {
		if answer := h.do("PATCH", path(1), body).want(400); !strings.Contains(string(answer.body), field) {
			t.Errorf("%s: %s", body, answer.body)
		}
	}
	h.store.change(id, func(e *delivery.Execution) { e.Stages[1].Status = delivery.StatusRunning })
	h.do("PATCH", path(1), rest).want(200)
	h.store.change(id, func(e *delivery.Execution) { e.Stages[1].Status = delivery.StatusRunning })
	h.do("PATCH", path(1), skip).want(200)
	h.store.change(id, func(e *delivery.Execution) { e.Stages[1].Status = delivery.StatusRunning })
	h.do("PATCH", path(1), `{"manualSkip":true,"reason":"known to work"}`).want(200)
	want := []string{"judge 1 by joe continue 7", "skipRemainingWait 2 by anonymous", "manualSkip 2 by anonymous", "manualSkip 2 by anonymous  known to work"}
	if diff := cmp.Diff(want, h.engine.moves); diff != "" {
		t.Error(diff)
	}
}
