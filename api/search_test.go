package api_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestSearch(t *testing.T) {
	h := newHarness(t)
	h.runTask(createStorefront)
	h.save("deploy", deployStages("storefront-1.1"))
	h.cloud.add("us-east-1")
	h.cloud.add("us-west-2")
	h.runTask(`{"application":"spinnaker","job":[{"type":"upsertProject","project":{"name":"Storefronts","email":"e@x"}}]}`)
	find := func(query, field string) string {
		t.Helper()
		var pages []struct {
			TotalMatches int
			Results      []map[string]any
		}
		h.do("GET", "/search?"+query, "").want(200).into(&pages)
		var out []string
		for _, page := range pages {
			for _, one := range page.Results {
				out = append(out, fmt.Sprint(one["type"], " ", one[field]))
			}
			out = append(out, fmt.Sprint(page.TotalMatches))
		}
		return strings.Join(out, ", ")
	}
	// What is recorded is found without asking the clouds.
	for query, want := range map[string]string{
		"type=applications&q=front":                   "applications storefront, 1",
		"type=applications&q=A@X":                     "applications storefront, 1",
		"type=applications&q=nothing":                 "0",
		"type=clusters&q=prod":                        "clusters storefront-prod, 1",
		"type=clusters&q=prod&account=aws-sim":        "clusters storefront-prod, 1",
		"type=clusters&q=prod&account=other":          "0",
		"type=clusters&q=prod&unknown=1":              "clusters storefront-prod, 1",
		"type=loadBalancers&q=store&region=us-east-1": "loadBalancers storefront, 1",
		"type=projects&q=store":                       "projects Storefronts, 1",
		"type=projects&q=other":                       "0",
		"type=applications&q=st":                      "",
		"type=applications&q=st&allowShortQuery=true": "applications storefront, 1",
	} {
		if got := find(query, "name"); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	if n := h.cloud.listed(); n != 0 {
		t.Errorf("the clusters were listed %d times", n)
	}
	for query, want := range map[string]string{
		"type=serverGroups&q=storefront-prod-v001":                                "serverGroups us-east-1, serverGroups us-west-2, 2",
		"type=serverGroups&q=storefront-prod-v001&region=us-west-2":               "serverGroups us-west-2, 1",
		"type=serverGroups&q=storefront&pageSize=1&page=2":                        "serverGroups us-east-1, 4",
		"type=serverGroups&q=storefront&pageSize=1&page=9":                        "4",
		"type=serverGroups&q=prod-v001":                                           "0",
		"type=instances&q=i-0123456789abcdef0":                                    "0",
		"type=applications,clusters&q=storefront":                                 "applications <nil>, 1, clusters <nil>, 1",
		"type=serverGroups&type=clusters&q=storefront-prod-v000&region=us-east-1": "serverGroups us-east-1, 1, 0",
	} {
		if got := find(query, "region"); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	h.do("GET", "/search?q=store", "").want(400)
	h.do("GET", "/search?type=applications&q=store&page=x", "").want(400)
}

// TestNamedLoadBalancers asks no cloud for what pipelines name, and of the cloud only
// what is behind one.
func TestNamedLoadBalancers(t *testing.T) {
	h := newHarness(t)
	h.runTask(createStorefront)
	h.save("deploy", deployStages("storefront-1.1"))
	h.cloud.add("us-east-1")
	var named []struct {
		Name     string
		Accounts []struct {
			Name    string
			Regions []struct{ Name string }
		}
	}
	h.do("GET", "/loadBalancers", "").want(200).into(&named)
	if len(named) != 1 || len(named[0].Accounts) != 1 || len(named[0].Accounts[0].Regions) != 2 || named[0].Accounts[0].Regions[1].Name != "us-west-2" {
		t.Errorf("named %+v", named)
	}
	if got := string(h.do("GET", "/loadBalancers/nothing", "").want(200).body); got != `{"name":"nothing","accounts":[]}` {
		t.Errorf("one that nobody names: %s", got)
	}
	var seen []struct{ ServerGroups []struct{ Name string } }
	h.do("GET", "/loadBalancers/aws-sim/us-east-1/storefront", "").want(200).into(&seen)
	if len(seen) != 1 || len(seen[0].ServerGroups) != 2 {
		t.Errorf("seen %+v", seen)
	}
	if n := h.cloud.listed(); n != 0 {
		t.Errorf("the clusters were listed %d times", n)
	}
}
