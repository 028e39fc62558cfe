package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

// planned saves a pipeline that replaces storefront-prod in us-east-1 and returns its plan.
func (h *harness) planned(body string) v1.Plan {
	h.t.Helper()
	var p v1.Plan
	h.do("POST", "/pipelines/storefront/plan-me/plan", body).want(200).into(&p)
	return p
}

func planHarness(t *testing.T) *harness {
	t.Helper()
	h := newHarness(t)
	h.cloud.add("us-east-1")
	h.save("plan-me", deployStages("${parameters.image}"))
	return h
}

const planImage = `{"parameters":{"image":"storefront-1.1"}}`

func TestPlan(t *testing.T) {
	h := planHarness(t)
	plan := h.planned(planImage)
	if len(plan.Stages) != 1 || len(plan.Stages[0].Deployments) != 2 || plan.Hash == "" {
		t.Fatalf("plan %+v", plan)
	}
	if west := plan.Stages[0].Deployments[1]; west.Region != "us-west-2" || west.Failure == nil || west.Failure.Code != "not_found" {
		t.Errorf("a region without the load balancer: %+v", west)
	}
	d := plan.Stages[0].Deployments[0]
	if d.Cluster != "storefront-prod" || d.ServerGroup != "storefront-prod-v002" || d.Strategy != "rolling" || d.Failure != nil || d.DurationMs <= 0 {
		t.Errorf("deployment %+v", d)
	}
	var changes []string
	for _, a := range d.Actions {
		if a.Type == "change" {
			changes = append(changes, a.Change)
		}
	}
	want := []string{"createServerGroup", "resizeServerGroup", "setRouting", "resizeServerGroup", "resizeServerGroup", "destroyServerGroup"}
	if diff := cmp.Diff(want, changes); diff != "" {
		t.Error(diff)
	}
	if _, _, executions := h.store.count(); executions != 0 {
		t.Errorf("%d executions were recorded for a plan", executions)
	}
	if again := h.planned(planImage); again.Hash != plan.Hash {
		t.Errorf("hashes %s and %s of the same plan", plan.Hash, again.Hash)
	}
	if other := h.planned(`{"parameters":{"image":"storefront-1.0"}}`); other.Hash == plan.Hash {
		t.Error("another image has the same plan")
	}
}

func TestPlanIsChecked(t *testing.T) {
	h := planHarness(t)
	h.do("POST", "/pipelines/storefront/plan-me/plan", `{"parameters":{"image":"storefront-9"}}`).want(400)
	h.do("POST", "/pipelines/storefront/nobody/plan", ``).want(404)
	h.do("POST", "/pipelines/storefront/plan-me", `{"planHash":7,"parameters":{"image":"storefront-1.1"}}`).want(400)
	h.cloud.fail(delivery.Errorf(delivery.Transient, "no answer"))
	h.do("POST", "/pipelines/storefront/plan-me/plan", planImage).want(503)
}

// TestPlanWaitsForAThrottlingCloud: for a few seconds the cloud's budget may fill up again.
func TestPlanWaitsForAThrottlingCloud(t *testing.T) {
	h := planHarness(t)
	h.cloud.throttle(1)
	plan := h.planned(planImage)
	if len(plan.Stages) == 0 {
		t.Errorf("plan %+v", plan)
	}
	h.cloud.throttle(1000)
	h.do("POST", "/pipelines/storefront/plan-me/plan", planImage).want(429)
}

// TestStalePlan: a start carries out the plan that it names, or nothing.
func TestStalePlan(t *testing.T) {
	h := planHarness(t)
	plan := h.planned(planImage)
	start := func(hash string) string {
		return `{"planHash":"` + hash + `","parameters":{"image":"storefront-1.1"}}`
	}
	unknown := h.do("POST", "/pipelines/storefront/plan-me", start("unknown")).want(409)
	if unknown.get("code") != "plan_stale" || !strings.Contains(unknown.get("message").(string), plan.Hash) {
		t.Errorf("answer %s", unknown.body)
	}
	h.cloud.scale("us-east-1", 0, 3)
	stale := h.do("POST", "/pipelines/storefront/plan-me", start(plan.Hash)).want(409)
	if stale.get("code") != "plan_stale" || !strings.Contains(string(stale.body), "now: ") {
		t.Errorf("answer %s", stale.body)
	}
	if _, _, executions := h.store.count(); executions != 0 {
		t.Errorf("%d executions were started by stale plans", executions)
	}
	once := start(h.planned(planImage).Hash)
	ref := h.do("POST", "/pipelines/storefront/plan-me", once, "Idempotency-Key", "k").want(202).get("ref")
	h.cloud.scale("us-east-1", 0, 2)
	if again := h.do("POST", "/pipelines/storefront/plan-me", once, "Idempotency-Key", "k").want(202).get("ref"); again != ref {
		t.Errorf("%v was started again as %v", ref, again)
	}
	h.do("POST", "/pipelines/storefront/plan-me", start("other"), "Idempotency-Key", "k").want(422)
}

// TestPlanOfConditions: what stageEnabled leaves out changes nothing of the plan, and
// what it will say is not guessed.
func TestPlanOfConditions(t *testing.T) {
	h := newHarness(t)
	h.cloud.add("us-east-1")
	const grow = `"type":"resizeServerGroup","target":"current_asg_dynamic","action":"scale_up","scaleNum":1,"stageEnabled":{"type":"expression","expression":`
	h.save("plan-me", operateStages("aws-sim", "us-east-1",
		grow+`"parameters.env == 'prod'"}`, grow+`true}`, grow+`"#stage('resizeServerGroup').status == 'SUCCEEDED'"}`))
	got := func(env string) []string {
		var out []string
		for _, stage := range h.planned(`{"parameters":{"env":"` + env + `"}}`).Stages {
			for _, d := range stage.Deployments {
				out = append(out, d.Actions[0].Description)
			}
			if len(stage.Deployments) == 0 {
				out = append(out, "skipped "+stage.Skipped+", unplanned "+stage.Unplanned)
			}
		}
		return out
	}
	const later = "skipped , unplanned whether it runs is not known yet: stageEnabled could not be evaluated: " +
		"${#stage('resizeServerGroup').status == 'SUCCEEDED'}: #stage: the stages of the execution are known only when the stage begins"
	const resize = "resize server group storefront-prod-v000 to min %[1]d, desired %[1]d, max %[1]d"
	if diff := cmp.Diff([]string{fmt.Sprintf(resize, 2), fmt.Sprintf(resize, 3), later}, got("prod")); diff != "" {
		t.Error(diff)
	}
	left := "skipped stageEnabled is false: parameters.env == 'prod', unplanned "
	if diff := cmp.Diff([]string{left, fmt.Sprintf(resize, 2), later}, got("dev")); diff != "" {
		t.Error(diff)
	}
	e, err := h.store.Execution(t.Context(), h.startOf("plan-me", `{"dryRun":true,"parameters":{"env":"dev"}}`))
	if err != nil || e.Stages[0].Status != delivery.StatusSkipped || e.Stages[0].StatusReason == "" || e.Stages[1].Status != delivery.StatusSucceeded {
		t.Errorf("stages %+v, error %v", e.Stages, err)
	}
}

// TestPlanHashOfStages: when a stage runs, and what its failure leads to, is part of the plan.
func TestPlanHashOfStages(t *testing.T) {
	h := newHarness(t)
	h.cloud.add("us-east-1")
	const window = `,"restrictExecutionDuringTimeWindow":true,"restrictedExecutionWindow":{"timezone":"Europe/Berlin","days":[2,3],"whitelist":[{"startHour":9,"endHour":17,"endMin":30}]`
	hashes := map[string]string{}
	for i, options := range []string{
		``, window + `}`, window + `,"jitter":{"enabled":true,"minDelay":10,"maxDelay":60}}`,
		`,"failPipeline":false`, `,"continuePipeline":true`, `,"failPipeline":false,"completeOtherBranchesThenFail":true`,
		`,"stageEnabled":{"type":"expression","expression":"true"}`, `,"stageEnabled":{"type":"expression","expression":"1 == 1"}`,
		`,"stageEnabled":{"type":"expression","expression":"false"}`, `,"stageTimeoutMs":60000`,
	} {
		name := fmt.Sprintf("plan-%d", i)
		h.save(name, operateStages("aws-sim", "us-east-1",
			`"type":"resizeServerGroup","target":"current_asg_dynamic","capacity":{"min":3,"max":4,"desired":3}`+options))
		var plan, again v1.Plan
		h.do("POST", "/pipelines/storefront/"+name+"/plan", `{}`).want(200).into(&plan)
		h.do("POST", "/pipelines/storefront/"+name+"/plan", `{}`).want(200).into(&again)
		if plan.Hash != again.Hash {
			t.Errorf("%q: hashes %s and %s of the same plan", options, plan.Hash, again.Hash)
		}
		if other, taken := hashes[plan.Hash]; taken {
			t.Errorf("%q and %q have the same hash", other, options)
		}
		hashes[plan.Hash] = options
		got := plan.Stages[0]
		if want := map[int]string{1: "Mon, Tue, 09:00 to 17:30, Europe/Berlin", 2: "Mon, Tue, 09:00 to 17:30, Europe/Berlin, 10 s to 60 s later"}[i]; got.Window != want {
			t.Errorf("%q: window %q", options, got.Window)
		}
		if want := map[int]string{3: "haltBranch", 4: "ignore", 5: "haltBranchThenFail"}[i]; got.OnFailure != want {
			t.Errorf("%q: on failure %q", options, got.OnFailure)
		}
	}
}
