package api_test

import (
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
