package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

// TestFullRules: a start that finds no room is refused as a limit, unless it
// supersedes the deployment whose server group takes the last place.
func TestFullRules(t *testing.T) {
	h := newHarness(t)
	cluster := delivery.Cluster{Provider: "aws", Account: "aws-sim", Region: "us-east-1", Moniker: delivery.Moniker{App: "storefront", Stack: "prod"}}
	const running, ended = delivery.DeploymentID("01JD3Z8Q6V5T0H3W4M8N7K2RX0/1"), delivery.DeploymentID("01JD3Z8Q6V5T0H3W4M8N7K2RX1/1")
	last := func(d delivery.DeploymentID, status delivery.DeploymentStatus, groups int) {
		seen := delivery.Snapshot{Cluster: cluster, Routing: &delivery.Routing{LoadBalancer: "storefront"}}
		for i := range groups {
			g := delivery.ServerGroup{Name: cluster.Moniker.ServerGroup(i), Sequence: i, Deployment: "another", Complete: true, Managed: true}
			if i == groups-1 {
				g.Deployment = running
			}
			seen.Groups = append(seen.Groups, g)
			seen.Routing.Weights = append(seen.Routing.Weights, delivery.Weight{ServerGroup: g.Name})
		}
		seen.Routing.Weights[0].Percent = 100
		h.cloud.mu.Lock()
		h.cloud.snapshots[cluster.Key()] = seen
		h.cloud.mu.Unlock()
		h.store.deploy(delivery.Deployment{ID: d, Execution: "01JD3Z8Q6V5T0H3W4M8N7K2RX0", Stage: "1", Cluster: cluster, Status: status})
	}
	stages := func(before, refID, concurrency string) string {
		return `[` + before + `{"refId":"` + refID + `","type":"deploy","clusters":[{"account":"aws-sim","application":"storefront","cloudProvider":"aws","stack":"prod","strategy":"bluegreen",
			"capacity":{"min":1,"max":1,"desired":1},"amiName":"storefront-1.1","loadBalancers":["storefront"],"availabilityZones":{"us-east-1":["us-east-1a"]},"concurrency":"` + concurrency + `"}]}]`
	}
	const shrink = `{"refId":"1","type":"shrinkCluster","credentials":"aws-sim","regions":["us-east-1"],"cluster":"storefront-prod","shrinkToSize":1,"retainLargerOverNewer":false},`
	for i, test := range []struct {
		stages string
		last   delivery.DeploymentID
		status delivery.DeploymentStatus
		groups int
		want   int
	}{
		{stages("", "1", "queue"), running, delivery.DeploymentRunning, 4, 202},
		{stages("", "1", "queue"), running, delivery.DeploymentRunning, 5, 409},
		{stages("", "1", "supersede"), running, delivery.DeploymentRunning, 5, 202},
		{stages("", "1", "supersede"), running, delivery.DeploymentRunning, 6, 409},
		{stages("", "1", "supersede"), running, delivery.DeploymentSucceeded, 5, 409},
		{stages("", "1", "supersede"), ended, delivery.DeploymentRunning, 5, 409},
		{stages(shrink, "2", "queue"), running, delivery.DeploymentSucceeded, 5, 202},
	} {
		last(test.last, test.status, test.groups)
		name := fmt.Sprintf("full-%d", i)
		h.save(name, test.stages)
		answer := h.do("POST", "/pipelines/storefront/"+name, `{}`).want(test.want)
		body := string(answer.body)
		if test.want == 409 && (!strings.Contains(body, `"code":"quota"`) || !strings.Contains(body, `"/stages/0/clusters/0/loadBalancers/0"`)) {
			t.Errorf("%d: %s", i, body)
		}
	}
}
