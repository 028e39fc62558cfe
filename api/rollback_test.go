package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

const rollbackPath = "/applications/storefront/clusters/aws-sim/storefront-prod/rollback"

// replaced lets a deployment have replaced v000 by v001 in a region, as the cloud
// and the records tell, and returns its id.
func (h *harness) replaced(region string, gone bool) delivery.DeploymentID {
	h.t.Helper()
	h.cloud.add(region)
	cluster := delivery.Cluster{Provider: "aws", Account: "aws-sim", Region: region, Moniker: delivery.Moniker{App: "storefront", Stack: "prod"}}
	id := func(n int) (delivery.ExecutionID, delivery.DeploymentID) {
		e := delivery.ExecutionID(fmt.Sprintf("01JD3Z8Q6V5T0H3W4M8N7K2RX%d", n))
		return e, delivery.NewDeploymentID(e, "1", cluster)
	}
	h.cloud.mu.Lock()
	seen := h.cloud.snapshots[cluster.Key()]
	for i := range seen.Groups {
		g := &seen.Groups[i]
		_, g.Deployment = id(i)
		g.Complete, g.Managed, g.CreatedAt = true, true, start.AddDate(0, 0, i)
	}
	seen.Routing.Weights[0].Percent, seen.Routing.Weights[1].Percent = 0, 100
	if gone {
		seen.Groups, seen.Routing.Weights = seen.Groups[1:], seen.Routing.Weights[1:]
	}
	h.cloud.snapshots[cluster.Key()] = seen
	h.cloud.mu.Unlock()
	for i, detail := range []string{`{}`, `{"before":{"groups":[{"name":"storefront-prod-v000","capacity":{"min":1,"max":1,"desired":1},"healthy":1,"serving":true}],
		"weights":[{"serverGroup":"storefront-prod-v000","percent":100}],"routed":true}}`} {
		e, d := id(i)
		h.store.mu.Lock()
		h.store.executions[e] = delivery.Execution{ID: e, Application: "storefront", Status: delivery.StatusSucceeded, Stages: []delivery.Stage{{RefID: "1", Type: "deploy",
			Context: json.RawMessage(`{"clusters":[` + clusterOf("storefront-1.0") + `]}`)}}}
		h.store.mu.Unlock()
		h.store.deploy(delivery.Deployment{ID: d, Execution: e, Stage: "1", Cluster: cluster, Status: delivery.DeploymentSucceeded,
			ServerGroup: cluster.Moniker.ServerGroup(i), Detail: json.RawMessage(detail)})
	}
	_, last := id(1)
	return last
}

// clusterOf is the cluster object of deployStages.
func clusterOf(image string) string {
	var stages []struct{ Clusters []json.RawMessage }
	if err := json.Unmarshal([]byte(deployStages(image)), &stages); err != nil {
		panic(err) // a mistake in the test's own text
	}
	return string(stages[0].Clusters[0])
}

// TestRollBackCluster accepts a rollback, once, of all regions, and binds it to the
// deployments that it is about.
func TestRollBackCluster(t *testing.T) {
	h := newHarness(t)
	east, west := h.replaced("us-east-1", false), h.replaced("us-west-2", false)
	const body = `{"reason":"checkout is broken","scaleDown":true,"correlationId":"incident-7"}`
	ref := h.do("POST", rollbackPath, body).want(202).get("ref").(string)
	if again := h.do("POST", rollbackPath, body).want(202).get("ref"); again != ref {
		t.Errorf("%v was started again as %v", ref, again)
	}
	e := h.store.executions[delivery.ExecutionID(strings.TrimPrefix(ref, "/pipelines/"))]
	if e.Name != "rollback of storefront-prod" || e.Description != "checkout is broken" || e.Trigger.CorrelationID != "incident-7" || len(e.Stages) != 1 {
		t.Fatalf("execution %+v", e)
	}
	var stage struct {
		Type, Reason         string
		Regions, Deployments []string
		ScaleDown            bool
	}
	if err := json.Unmarshal(e.Stages[0].Context, &stage); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{string(east), string(west)}, stage.Deployments); diff != "" || !stage.ScaleDown || stage.Reason == "" || e.Stages[0].Type != "rollbackCluster" {
		t.Errorf("stage %+v: %s", stage, diff)
	}
}

// TestRollbackIsRefused before anything is recorded, with the field or the reason.
func TestRollbackIsRefused(t *testing.T) {
	h := newHarness(t)
	h.do("POST", rollbackPath, `{"reason":"x"}`).want(404)
	east := h.replaced("us-east-1", false)
	h.replaced("us-west-2", false)
	h.store.deploy(delivery.Deployment{ID: "Z/1/aws-sim/us-east-1/storefront-test", Execution: "Z", Cluster: delivery.Cluster{Provider: "aws", Account: "aws-sim", Region: "us-east-1",
		Moniker: delivery.Moniker{App: "storefront", Stack: "test"}}, Status: delivery.DeploymentSucceeded})
	_, _, before := h.store.count()
	for _, test := range []struct {
		name, body string
		status     int
		contains   string
	}{
		{"no body", ``, 400, ""},
		{"no reason", `{}`, 400, `"pointer":"/reason"`},
		{"an unknown field", `{"reason":"x","region":"us-east-1"}`, 400, `"pointer":"/region"`},
		{"an expression", `{"reason":"${trigger.user}"}`, 400, `"pointer":"/reason"`},
		{"no region", `{"reason":"x","regions":[]}`, 400, `"pointer":"/regions"`},
		{"a region without the cluster", `{"reason":"x","regions":["us-east-1","mars-1"]}`, 400, `"pointer":"/regions/1"`},
		{"a percentage of 0", `{"reason":"x","targetHealthyRollbackPercentage":0}`, 400, `"pointer":"/targetHealthyRollbackPercentage"`},
		{"a wrong switch", `{"reason":"x","destroy":"maybe"}`, 400, `"pointer":"/destroy"`},
		{"a region twice", `{"reason":"x","regions":["us-east-1","us-west-2","us-east-1"]}`, 400, `"pointer":"/regions/2"`},
		{"both ends", `{"reason":"x","scaleDown":true,"destroy":true}`, 400, `"pointer":"/scaleDown"`},
		{"an unknown deployment", `{"reason":"x","deployment":"X/1/a/b/c"}`, 400, `"pointer":"/deployment"`},
		{"an unknown deployment of the cluster", `{"reason":"x","deployment":"X/1/aws-sim/us-east-1/storefront-prod"}`, 400, `"pointer":"/deployment"`},
		{"an unknown deployment beside a region", `{"reason":"x","regions":["us-east-1"],"deployment":"nope"}`, 400, `"pointer":"/deployment"`},
		{"another cluster's deployment", `{"reason":"x","deployment":"Z/1/aws-sim/us-east-1/storefront-test"}`, 400, `"pointer":"/deployment"`},
		{"another cluster's deployment beside a region", `{"reason":"x","regions":["us-east-1"],"deployment":"Z/1/aws-sim/us-east-1/storefront-test"}`, 400, `"pointer":"/deployment"`},
		{"another region's deployment", `{"reason":"x","regions":["us-west-2"],"deployment":"` + string(east) + `"}`, 400, `"pointer":"/deployment"`},
		{"a region beside the deployment's", `{"reason":"x","regions":["us-east-1","us-west-2"],"deployment":"` + string(east) + `"}`, 400, `"pointer":"/regions/1"`},
		{"to itself", `{"reason":"x","regions":["us-east-1"],"restoreServerGroupName":"storefront-prod-v001"}`, 400, `"pointer":"/restoreServerGroupName"`},
		{"an earlier deployment", `{"reason":"x","deployment":"` + strings.Replace(string(east), "RX1", "RX0", 1) + `"}`, 409, "not from deployment"},
		{"a named group in two regions", `{"reason":"x","restoreServerGroupName":"storefront-prod-v000"}`, 400, `"pointer":"/regions"`},
		{"a named group that is not there", `{"reason":"x","regions":["us-east-1"],"restoreServerGroupName":"storefront-prod-v009"}`, 404, "storefront-prod-v009"},
		{"a stale plan", `{"reason":"x","planHash":"0"}`, 409, "plan_stale"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := h.do("POST", rollbackPath, test.body).want(test.status); !strings.Contains(string(got.body), test.contains) {
				t.Errorf("%s", got.body)
			}
		})
	}
	h.store.deploy(delivery.Deployment{ID: "Y/1/aws-sim/us-west-2/storefront-prod", Execution: "Y", Cluster: delivery.Cluster{Provider: "aws", Account: "aws-sim", Region: "us-west-2",
		Moniker: delivery.Moniker{App: "storefront", Stack: "prod"}}, Status: delivery.DeploymentRunning})
	if got := h.do("POST", rollbackPath, `{"reason":"x"}`).want(409); !strings.Contains(string(got.body), "cancel execution Y") ||
		!strings.Contains(string(got.body), "all 2 regions of the cluster are meant unless") {
		t.Errorf("%s", got.body)
	}
	if _, _, executions := h.store.count(); executions != before {
		t.Errorf("%d executions were recorded", executions-before)
	}
	h.do("POST", rollbackPath, `{"reason":"x","regions":["us-east-1"],"restoreServerGroupName":"storefront-prod-v000"}`).want(202)
	h.do("POST", rollbackPath, `{"reason":"x","deployment":"`+string(east)+`"}`).want(202)
	h.do("POST", rollbackPath, `{"reason":"x","regions":["us-east-1"],"deployment":"`+string(east)+`"}`).want(202)
}

// TestPlanOfARollback says which way it goes back, and binds a start to it.
func TestPlanOfARollback(t *testing.T) {
	for _, test := range []struct {
		gone     bool
		contains string
		changes  []string
	}{
		{false, "storefront-prod-v000 takes its traffic back", []string{
			"set routing to storefront-prod-v000 100 %", "resize server group storefront-prod-v001 to min 0, desired 0, max 0"}},
		{true, "storefront-prod-v000 is gone and is deployed anew as storefront-prod-v002", []string{
			"create server group storefront-prod-v002", "resize server group storefront-prod-v002 to min 1, desired 1, max 1",
			"set routing to storefront-prod-v002 100 %", "resize server group storefront-prod-v001 to min 0, desired 0, max 0"}},
	} {
		h := newHarness(t)
		of := h.replaced("us-east-1", test.gone)
		var plan v1.Plan
		h.do("POST", rollbackPath+"/plan", `{"reason":"x","scaleDown":true}`).want(200).into(&plan)
		d := plan.Stages[0].Deployments[0]
		if d.Failure != nil || d.Rollback == nil || d.Rollback.Of != string(of) || !strings.Contains(d.Rollback.Description, test.contains) || (d.Rollback.Redeploys != "") != test.gone {
			t.Fatalf("plan %+v %+v", d, d.Rollback)
		}
		var changes []string
		for _, a := range d.Actions {
			if a.Type == "change" {
				changes = append(changes, a.Description)
			}
		}
		if diff := cmp.Diff(test.changes, changes); diff != "" {
			t.Error(diff)
		}
		h.do("POST", rollbackPath, `{"reason":"x","scaleDown":true,"planHash":"`+plan.Hash+`"}`).want(202)
	}
}

// TestRollbackOfWhatCannotBeDeployedAnew: its image is gone by now.
func TestRollbackOfWhatCannotBeDeployedAnew(t *testing.T) {
	h := newHarness(t)
	h.replaced("us-east-1", true)
	h.cloud.images = h.cloud.images[1:]
	if got := h.do("POST", rollbackPath, `{"reason":"x"}`).want(409); !strings.Contains(string(got.body), "image storefront-1.0 does not exist") {
		t.Errorf("%s", got.body)
	}
}

// TestRollbackOfAnUpdateInPlaceOverTheAPI plans the version before anew, and says so when
// it cannot be deployed any more.
func TestRollbackOfAnUpdateInPlaceOverTheAPI(t *testing.T) {
	h := newHarness(t)
	before := h.replaced("us-east-1", false)
	cluster := delivery.Cluster{Provider: "aws", Account: "aws-sim", Region: "us-east-1", Moniker: delivery.Moniker{App: "storefront", Stack: "prod"}}
	update := delivery.NewDeploymentID("01JD3Z8Q6V5T0H3W4M8N7K2RX9", "1", cluster)
	h.store.deploy(delivery.Deployment{ID: update, Execution: "01JD3Z8Q6V5T0H3W4M8N7K2RX9", Stage: "1", Cluster: cluster, Status: delivery.DeploymentSucceeded, ServerGroup: "storefront-prod-v001",
		Detail: json.RawMessage(`{"inPlace":{"serverGroup":"storefront-prod-v001"},"before":{"groups":[{"name":"storefront-prod-v001","capacity":{"min":1,"max":1,"desired":1},"healthy":1,"serving":true}],
		"weights":[{"serverGroup":"storefront-prod-v001","percent":100}],"routed":true}}`)})
	var plan v1.Plan
	h.do("POST", rollbackPath+"/plan", `{"reason":"x"}`).want(200).into(&plan)
	got := plan.Stages[0].Deployments[0].Rollback
	if got == nil || got.Of != string(update) || got.From != "storefront-prod-v001" || got.Redeploys != string(before) ||
		!strings.Contains(got.Description, "storefront-prod-v001 was updated in place, and its version before is deployed anew as storefront-prod-v002") {
		t.Fatalf("plan %+v", got)
	}
	h.do("POST", rollbackPath, `{"reason":"x","planHash":"`+plan.Hash+`"}`).want(202)
	h.cloud.images = h.cloud.images[1:]
	if got := h.do("POST", rollbackPath, `{"reason":"y"}`).want(409); !strings.Contains(string(got.body), "storefront-prod-v001 was updated in place, and its version before cannot be deployed anew") {
		t.Errorf("%s", got.body)
	}
}
