package mig_test

import (
	"encoding/json"
	"testing"

	"cloud.google.com/go/compute/apiv1/computepb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/slipway-cd/slipway/delivery"
)

// like makes a creation of a group like another one; settings is the cluster object.
func (c *cloud) like(group, from, settings string) delivery.Change {
	cluster := c.Cluster(delivery.Moniker{App: "shop", Stack: "test"})
	return delivery.Change{
		Key: delivery.ChangeKey("01TEST/1/" + group + "#create"), Kind: delivery.CreateGroup, Cluster: cluster, Deployment: "01TEST/1", Group: group,
		Spec: &delivery.GroupSpec{From: from, LoadBalancer: balancer, Capacity: delivery.Pinned(1), Settings: json.RawMessage(settings)},
	}
}

func (c *cloud) templateOf(t *testing.T, name string) *computepb.InstanceProperties {
	return must(c.templates.Get(t.Context(), &computepb.GetRegionInstanceTemplateRequest{Project: project, Region: region, InstanceTemplate: name})).GetProperties()
}

func (c *cloud) managerOf(t *testing.T, name string) *computepb.InstanceGroupManager {
	return must(c.managers.Get(t.Context(), &computepb.GetRegionInstanceGroupManagerRequest{Project: project, Region: region, InstanceGroupManager: name}))
}

func (c *cloud) serviceOf(t *testing.T, name string) *computepb.BackendService {
	return must(c.services.Get(t.Context(), &computepb.GetRegionBackendServiceRequest{Project: project, Region: region, BackendService: name}))
}

// TestCloneCopiesEverything copies a group, and overrides what the second copy says.
func TestCloneCopiesEverything(t *testing.T) {
	c := newCloud(t)
	first := c.like("shop-test-v001", "", `{"instanceType":"e2-small","instanceMetadata":{"password":"secret","color":"red"},"tags":["web"],"labels":{"team":"payments"},
		"disks":[{"type":"pd-ssd","sizeGb":20}],"healthCheck":"alive","autoHealingPolicy":{"healthCheck":"alive","initialDelaySec":77},
		"availabilityZones":{"us-central1":["us-central1-b"]},"loadBalancingPolicy":{"namedPorts":[{"name":"web","port":8080}]},
		"connectionDrainingTimeoutSec":7,"autoscalingPolicy":{"cpuUtilization":{"utilizationTarget":0.3},"mode":"ONLY_SCALE_OUT"}}`)
	first.Spec.Image = "shop-1-1"
	c.apply(t, first)
	c.apply(t, c.like("shop-test-v002", "shop-test-v001", `{}`))
	c.apply(t, c.like("shop-test-v003", "shop-test-v001", `{"instanceType":"e2-medium","instanceMetadata":{"color":"blue"},"labels":{"team":"search"},
		"availabilityZones":{"us-central1":["us-central1-c"]},"autoHealingPolicy":{"healthCheck":"alive","initialDelaySec":11},"connectionDrainingTimeoutSec":9}`))

	if diff := cmp.Diff(c.templateOf(t, "shop-test-v001"), c.templateOf(t, "shop-test-v002"), protocmp.Transform()); diff != "" {
		t.Errorf("instance template (-source +copy):\n%s", diff)
	}
	from, like := c.managerOf(t, "shop-test-v001"), c.managerOf(t, "shop-test-v002")
	for name, pair := range map[string][2]proto.Message{
		"zones":   {from.GetDistributionPolicy(), like.GetDistributionPolicy()},
		"healing": {from.GetAutoHealingPolicies()[0], like.GetAutoHealingPolicies()[0]},
		"port":    {from.GetNamedPorts()[0], like.GetNamedPorts()[0]},
		"drain":   {c.serviceOf(t, "shop-test-v001").GetConnectionDraining(), c.serviceOf(t, "shop-test-v002").GetConnectionDraining()},
		"policy":  {c.policyOf(t, "shop-test-v001"), c.policyOf(t, "shop-test-v002")},
	} {
		if diff := cmp.Diff(pair[0], pair[1], protocmp.Transform()); diff != "" {
			t.Errorf("%s (-source +copy):\n%s", name, diff)
		}
	}

	properties, other := c.templateOf(t, "shop-test-v003"), c.managerOf(t, "shop-test-v003")
	metadata := map[string]string{}
	for _, item := range properties.GetMetadata().GetItems() {
		metadata[item.GetKey()] = item.GetValue()
	}
	if diff := cmp.Diff(map[string]string{"password": "secret", "color": "blue"}, metadata); diff != "" {
		t.Error(diff)
	}
	if properties.GetMachineType() != "e2-medium" || properties.GetLabels()["team"] != "search" || properties.GetTags().GetItems()[0] != "web" ||
		other.GetAutoHealingPolicies()[0].GetInitialDelaySec() != 11 || len(other.GetDistributionPolicy().GetZones()) != 1 ||
		c.serviceOf(t, "shop-test-v003").GetConnectionDraining().GetDrainingTimeoutSec() != 9 {
		t.Errorf("overridden copy: %v, %v", properties, other)
	}
	c.apply(t, delivery.Change{Key: "grow", Kind: delivery.ResizeGroup, Cluster: first.Cluster, Group: "shop-test-v002", Capacity: &delivery.Capacity{Min: 1, Desired: 1, Max: 3}})
	if got := c.policyOf(t, "shop-test-v002"); got.GetMode() != "ONLY_SCALE_OUT" || got.GetMaxNumReplicas() != 3 || got.GetCpuUtilization().GetUtilizationTarget() != 0.3 {
		t.Errorf("autoscaler of the copy: %v", got)
	}
}

func (c *cloud) policyOf(t *testing.T, name string) *computepb.AutoscalingPolicy {
	return must(c.autoscalers.Get(t.Context(), &computepb.GetRegionAutoscalerRequest{Project: project, Region: region, Autoscaler: name})).GetAutoscalingPolicy()
}
