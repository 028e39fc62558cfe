package mig_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
	"github.com/slipway-cd/slipway/providers"
	"github.com/slipway-cd/slipway/simcloud"
)

// deploy carries a deployment out as a workflow would, in the cloud's time, and
// returns its outcome.
func (c *cloud) deploy(t *testing.T, in rollout.Input) rollout.Outcome {
	t.Helper()
	target := providers.Guard(c.target)
	state := rollout.Start(in)
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); {
		seen, err := target.Observe(t.Context(), in.Cluster, in.Spec.LoadBalancer)
		if err != nil {
			t.Fatal(err)
		}
		var decision rollout.Decision
		state, decision = rollout.Next(state, seen, c.world.Clock.Now())
		switch {
		case decision.Done != nil:
			return *decision.Done
		case decision.Apply != nil:
			for {
				receipt, err := target.Apply(t.Context(), *decision.Apply)
				if err != nil && !delivery.KindOf(err).Retryable() {
					state = state.Fail(delivery.Failure{Kind: delivery.KindOf(err).String(), Message: err.Error()})
					break
				}
				if receipt.Done {
					break
				}
			}
		}
	}
	t.Fatalf("the deployment stands in phase %s, waiting for %q", state.Phase, state.Waiting)
	return rollout.Outcome{}
}

func (c *cloud) deployment(t *testing.T, sequence int, image, strategy string, size delivery.Capacity) rollout.Input {
	t.Helper()
	how, findings := rollout.ParseStrategy(json.RawMessage(strategy))
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	cluster := c.Cluster(shop)
	spec := c.Spec(image, size.Desired, true)
	spec.Capacity = size
	id := delivery.NewDeploymentID(delivery.ExecutionID([]string{"01A", "01B", "01C", "01D"}[sequence]), "1", cluster)
	return rollout.Input{
		Deployment: id, Cluster: cluster, Spec: spec, Strategy: how, Group: shop.ServerGroup(sequence),
		Capabilities: c.target.Describe().Capabilities,
	}
}

// TestDeployments lets the rollout decide: a first deployment, a rolling one, and
// one whose version never becomes healthy and that is rolled back. The auditor
// reads the log.
func TestDeployments(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	wide := delivery.Capacity{Min: 2, Max: 5, Desired: 3}
	seeded := c.world.Log.Last()
	for i, test := range []struct {
		image, strategy string
		size            delivery.Capacity
		want            delivery.DeploymentStatus
	}{
		{"shop-1-0", `{"strategy":"rollingredblack","targetPercentages":[100]}`, wide, delivery.DeploymentSucceeded},
		{"shop-1-1", `{"strategy":"rolling","maxSurge":1,"maxUnavailable":0}`, wide, delivery.DeploymentSucceeded},
		{"sick-1-0", `{"strategy":"rollingredblack","targetPercentages":[50,100],"healthTimeoutSec":120}`, delivery.Pinned(3), delivery.DeploymentRolledBack},
		{"shop-1-0", `{"strategy":"rollingredblack","targetPercentages":[50,100],"scaleDown":true,"maxRemainingAsgs":1}`, delivery.Pinned(2), delivery.DeploymentSucceeded},
	} {
		in := c.deployment(t, i, test.image, test.strategy, test.size)
		if got := c.deploy(t, in); got.Status != test.want {
			t.Fatalf("%s of %s: %v, %+v", test.strategy, test.image, got.Status, got.Failure)
		}
		if test.want != delivery.DeploymentSucceeded {
			continue
		}
		seen := c.observe(t, balancer)
		if g := seen.Group(in.Group); g == nil || g.Capacity != test.size || !g.Complete || seen.Routing.Percent(in.Group) != 100 {
			t.Errorf("%s of %s: group %+v, routing %+v", test.strategy, test.image, g, seen.Routing)
		}
	}
	if groups := c.observe(t, balancer).Groups; len(groups) != 1 {
		t.Errorf("%d groups are left", len(groups))
	}
	violations := simcloud.Audit(c.world.Log.Events(), simcloud.AuditConfig{
		After: seeded, Floors: map[string]int{shop.Cluster(): 2}, Ceilings: map[string]int{shop.Cluster(): 9}, Drain: 5 * time.Second, Final: true,
	})
	for _, v := range violations {
		t.Error(v)
	}
}
