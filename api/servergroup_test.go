package api_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

func TestServerGroup(t *testing.T) {
	h := newHarness(t)
	h.cloud.add("us-east-1")
	var group v1.ServerGroup
	h.do("GET", "/applications/Storefront/serverGroups/aws-sim/us-east-1/storefront-prod-v000?includeDetails=false", "").want(200).into(&group)
	if group.Name != "storefront-prod-v000" || group.Region != "us-east-1" || group.Disabled || group.BuildInfo == nil {
		t.Errorf("group %+v", group)
	}
	if diff := cmp.Diff([]string{"storefront-1.0"}, group.BuildInfo.Images); diff != "" {
		t.Error(diff)
	}
	if group.Instances[0].ID != "i-0" || group.Instances[0].HealthState != "Up" || *group.Instances[0].LaunchTime != *v1.MillisOf(start) {
		t.Errorf("instance %+v", group.Instances[0])
	}
	for _, path := range []string{
		"/applications/storefront/serverGroups/aws-sim/us-east-1/storefront-prod-v002", // no such number
		"/applications/storefront/serverGroups/aws-sim/us-west-2/storefront-prod-v000", // not in this region
		"/applications/storefront/serverGroups/aws-sim/nowhere/storefront-prod-v000",
		"/applications/storefront/serverGroups/nobody/us-east-1/storefront-prod-v000",
		"/applications/other/serverGroups/aws-sim/us-east-1/storefront-prod-v000", // of another application
		"/applications/storefront/serverGroups/aws-sim/us-east-1/storefront-prod",
	} {
		if message := h.do("GET", path, "").want(404).get("message"); !strings.HasPrefix(message.(string), "Server group not found (id: storefront-prod") {
			t.Errorf("%s: %s", path, message)
		}
	}
	if n := h.cloud.listed(); n != 0 {
		t.Errorf("the clusters were listed %d times to read one", n)
	}
}

func TestServerGroupsOfACluster(t *testing.T) {
	h := newHarness(t)
	h.cloud.add("us-east-1")
	h.cloud.add("us-west-2")
	at := "/applications/storefront/clusters/aws-sim/storefront-prod/serverGroups"
	var groups []v1.ServerGroup
	if h.do("GET", at, "").want(200).into(&groups); len(groups) != 4 {
		t.Errorf("%d groups, want 4", len(groups))
	}
	if h.do("GET", at+"/storefront-prod-v001", "").want(200).into(&groups); len(groups) != 2 {
		t.Errorf("%d groups of the name, want 2", len(groups))
	}
	if h.do("GET", at+"/storefront-prod-v001?region=us-west-2", "").want(200).into(&groups); len(groups) != 1 || groups[0].Region != "us-west-2" {
		t.Errorf("groups of the name in the region: %+v", groups)
	}
	h.do("GET", at+"/storefront-prod-v001?region=eu-west-1", "").want(404)
	h.do("GET", at+"/storefront-prod-v009", "").want(404)
	h.do("GET", "/applications/storefront/clusters/aws-sim/storefront-test/serverGroups", "").want(404)
}

func TestServerGroupsOfSeveralApplications(t *testing.T) {
	h := newHarness(t)
	h.cloud.add("us-east-1")
	var groups []v1.ServerGroup
	for query, want := range map[string]int{
		"applications=storefront": 2, "applications=storefront,shop": 2, "applications=shop": 0, "applications=storefront&cloudProvider=gce": 0,
		"ids=aws-sim:us-east-1:storefront-prod-v000": 1, "ids=aws-sim:us-east-1:storefront-prod-v000,aws-sim:us-east-1:storefront-prod-v009": 1,
		"ids=aws-sim:us-east-1:storefront": 0, "ids=aws-sim:us-east-1:storefront-prod-v000&cloudProvider=gce": 0,
	} {
		if h.do("GET", "/serverGroups?"+query, "").want(200).into(&groups); len(groups) != want {
			t.Errorf("%s: %d groups, want %d", query, len(groups), want)
		}
	}
	for query, field := range map[string]string{
		"": "?applications", "applications=&ids=": "?applications", "applications=a&ids=a:b:c-v001": "?applications",
		"ids=aws-sim:storefront-prod-v000":             "?ids",
		"applications=" + strings.Repeat("a,", 26):     "?applications",
		"ids=" + strings.Repeat("a:b:shop-v001,", 101): "?ids",
	} {
		if fields := h.do("GET", "/serverGroups?"+query, "").want(400).fields(); fields[field] == "" {
			t.Errorf("%q: %v", query, fields)
		}
	}
}

func TestTargetServerGroup(t *testing.T) {
	h := newHarness(t)
	h.cloud.add("us-east-1")
	at := "/applications/storefront/clusters/aws-sim/storefront-prod/aws/"
	for path, want := range map[string]string{
		"us-east-1/serverGroups/target/oldest_asg_dynamic":                   "storefront-prod-v001", // its creation is not known
		"us-east-1/serverGroups/target/current_asg_dynamic":                  "storefront-prod-v000",
		"us-east-1/serverGroups/target/Ancestor_ASG":                         "storefront-prod-v001",
		"us-east-1/serverGroups/target/largest":                              "storefront-prod-v001",
		"us-east-1/serverGroups/target/fail?onlyEnabled=true":                "storefront-prod-v000",
		"us-east-1/serverGroups/target/oldest?onlyEnabled=true":              "",
		"us-east-1b/serverGroups/target/fail":                                "storefront-prod-v001",
		"us-east-1b/serverGroups/target/oldest":                              "",
		"us-east-1b/serverGroups/target/oldest?validateOldest=false":         "storefront-prod-v001",
		"us-east-1c/serverGroups/target/current":                             "",
		"us-east-1/serverGroups/target/fail":                                 "",
		"us-west-2/serverGroups/target/current":                              "",
		"mars-north-1/serverGroups/target/current":                           "",
		"us-east-1/serverGroups/target/youngest_asg":                         "",
		"us-east-1/serverGroups/target/" + url.PathEscape("current asg"):     "",
		"us-east-1/serverGroups/target/ancestor_asg_dynamic?onlyEnabled=1":   "",
		"us-east-1/serverGroups/target/previous?validateOldest=false":        "storefront-prod-v001",
		"us-east-1/serverGroups/target/newest_asg?onlyEnabled=&unknown=true": "storefront-prod-v000",
	} {
		if want == "" {
			h.do("GET", at+path, "").want(404)
			continue
		}
		if got := h.do("GET", at+path, "").want(200).get("name"); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	h.do("GET", at+"us-east-1/serverGroups/target/current?onlyEnabled=perhaps", "").want(400)
	for _, path := range []string{"/applications/storefront/clusters/aws-sim/storefront-prod/gce/", "/applications/storefront/clusters/nobody/storefront-prod/aws/",
		"/applications/shop/clusters/aws-sim/storefront-prod/aws/", "/applications/storefront/clusters/aws-sim/-/aws/"} {
		h.do("GET", path+"us-east-1/serverGroups/target/current", "").want(404)
	}
	if n := h.cloud.listed(); n != 0 {
		t.Errorf("the clusters were listed %d times to read one", n)
	}
}

func TestLoadBalancers(t *testing.T) {
	h := newHarness(t)
	var balancers []v1.LoadBalancer
	if h.do("GET", "/applications/storefront/loadBalancers", "").want(200).into(&balancers); len(balancers) != 0 {
		t.Errorf("load balancers of nothing: %+v", balancers)
	}
	h.cloud.add("us-west-2")
	h.cloud.add("us-east-1")
	h.do("GET", "/applications/storefront/loadBalancers", "").want(200).into(&balancers)
	if len(balancers) != 2 || balancers[0].Region != "us-east-1" || balancers[0].Name != "storefront" || balancers[0].CloudProvider != "aws" {
		t.Fatalf("load balancers %+v", balancers)
	}
	groups := balancers[0].ServerGroups
	if len(groups) != 2 || groups[0].TrafficPercent != 100 || groups[0].IsDisabled || !groups[1].IsDisabled || len(groups[1].Instances) != 2 {
		t.Errorf("server groups %+v", groups)
	}
	if diff := cmp.Diff(v1.InstanceCounts{Total: 3, Up: 2, Down: 1}, balancers[0].InstanceCounts); diff != "" {
		t.Error(diff)
	}
	for path, want := range map[string]int{"storefront-prod/aws": 2, "storefront-prod/gce": 0, "storefront-test/aws": 0} {
		if h.do("GET", "/applications/storefront/clusters/aws-sim/"+path+"/loadBalancers", "").want(200).into(&balancers); len(balancers) != want {
			t.Errorf("%s: %d load balancers, want %d", path, len(balancers), want)
		}
	}
	h.cloud.fail(delivery.Errorf(delivery.Throttled, "slow down"))
	h.do("GET", "/applications/storefront/loadBalancers", "").want(429)
}
