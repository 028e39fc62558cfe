package api_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

func TestInstance(t *testing.T) {
	h := newHarness(t)
	h.cloud.add("us-east-1")
	var got v1.InstanceDetail
	h.do("GET", "/instances/aws-sim/us-east-1/i-2", "").want(200).into(&got)
	want := v1.InstanceDetail{ID: "i-2", Name: "i-2", InstanceID: "i-2", Account: "aws-sim", Region: "us-east-1", Zone: "us-east-1a", AvailabilityZone: "us-east-1a",
		CloudProvider: "aws", Provider: "aws", Application: "storefront", Cluster: "storefront-prod", ServerGroup: "storefront-prod-v001",
		LoadBalancers: []string{"storefront"}, HealthState: "Down",
		Health: []v1.InstanceHealth{{Type: "Amazon", State: "Up"}, {Type: "TargetGroup", State: "Down", Reason: "Target.FailedHealthChecks"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, path := range []string{"aws-sim/us-east-1/i-9", "aws-sim/us-east-1/i-gone", "aws-sim/mars/i-2", "nobody/us-east-1/i-2"} {
		h.do("GET", "/instances/"+path, "").want(404)
	}
	if n := h.cloud.listed(); n != 0 {
		t.Errorf("the clusters were listed %d times", n)
	}
	h.cloud.fail(delivery.Errorf(delivery.Throttled, "slow down"))
	h.do("GET", "/instances/aws-sim/us-east-1/i-9", "").want(429)
	h.cloud.fail(delivery.Errorf(delivery.Denied, "the cloud says no"))
	h.do("GET", "/instances/aws-sim/us-east-1/i-2", "").want(503)
}
