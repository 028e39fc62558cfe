package api_test

import (
	"strings"
	"testing"

	v1 "github.com/slipway-cd/slipway/api/v1"
)

// findStages is a pipeline that deploys to us-east-1 what the find stage finds;
// find is the fields from "type" on.
func findStages(find string) string {
	return `[{"refId":"1","requisiteStageRefIds":[],` + find + `},{"refId":"2","requisiteStageRefIds":["1"],"type":"deploy","clusters":[{
		"account":"aws-sim","application":"storefront","cloudProvider":"aws","stack":"prod","strategy":"rolling","capacity":{"min":2,"max":2,"desired":2},
		"loadBalancers":["storefront"],"availabilityZones":{"us-east-1":["us-east-1a"]}}]}]`
}

const (
	findServing = `"type":"findImage","credentials":"aws-sim","regions":["us-east-1"],"cluster":"storefront-prod"`
	findPackage = `"type":"findImageFromTags","packageName":"storefront","regions":["us-east-1"]`
)

// TestPlanOfFoundImages deploys what is found now.
func TestPlanOfFoundImages(t *testing.T) {
	for find, image := range map[string]string{findServing: "ami-1 storefront-1.0", findServing + `,"onlyEnabled":false,"selectionStrategy":"LARGEST"`: "storefront-1.1 storefront-1.1",
		findPackage: "ami-0 storefront-1.0", findPackage + `,"tags":{"n":"1"}`: "ami-1 storefront-1.1"} {
		h := newHarness(t)
		h.cloud.add("us-east-1")
		h.save("plan-me", findStages(find))
		plan := h.planned(`{}`)
		if len(plan.Stages) != 2 || len(plan.Stages[0].Images) != 1 || len(plan.Stages[1].Deployments) != 1 {
			t.Fatalf("%s: plan %+v", find, plan)
		}
		if i := plan.Stages[0].Images[0]; i.ImageID+" "+i.ImageName != image || i.Region != "us-east-1" || i.Account != "aws-sim" {
			t.Errorf("%s: image %+v, want %s", find, i, image)
		}
		if d := plan.Stages[1].Deployments[0]; d.Failure != nil || d.ServerGroup != "storefront-prod-v002" {
			t.Errorf("%s: %+v", find, d)
		}
		h.do("POST", "/pipelines/storefront/plan-me", `{}`).want(202)
	}
}

// TestPlanWithoutAnImage says why, and is another once there is one.
func TestPlanWithoutAnImage(t *testing.T) {
	h := newHarness(t)
	h.save("plan-me", findStages(findServing))
	plan := h.planned(`{}`)
	if !strings.Contains(plan.Stages[0].Unplanned, "finds no image") || plan.Stages[1].Unplanned == "" {
		t.Errorf("plan %+v", plan)
	}
	h.cloud.add("us-east-1")
	if other := h.planned(`{}`); other.Hash == plan.Hash || other.Stages[1].Unplanned != "" {
		t.Errorf("plan %+v", other)
	}
}

// TestPlanOfWhatAnEarlierJobLeaves finds the image in the cluster as the jobs
// before leave it.
func TestPlanOfWhatAnEarlierJobLeaves(t *testing.T) {
	h := newHarness(t)
	h.cloud.add("us-east-1")
	var plan v1.Plan
	find := `{` + findServing + `}`
	second := strings.Replace(strings.Replace(createJob, `"amiName":"storefront-1.1",`, "", 1), `"stack":"prod"`, `"stack":"staging"`, 1)
	h.do("POST", "/tasks/plan", `{"application":"storefront","job":[`+createJob+`,`+find+`,`+second+`]}`).want(200).into(&plan)
	if len(plan.Stages[1].Images) != 1 || plan.Stages[1].Images[0].ImageName != "storefront-1.1" || len(plan.Stages[2].Deployments) != 1 {
		t.Errorf("plan %+v", plan)
	}
}

// TestBadFinds are refused at the start with the place of what is wrong.
func TestBadFinds(t *testing.T) {
	for _, test := range []struct{ find, pointer string }{
		{strings.Replace(findServing, "aws-sim", "nobody", 1), "/stages/0/credentials"},
		{strings.Replace(findPackage, `"regions":["us-east-1"]`, `"regions":["us-east-1","mars-1"]`, 1), "/stages/0/credentials"},
		{findPackage + `,"credentials":"aws-sim","cloudProvider":"${'gce'}"`, "/stages/0/cloudProvider"},
		{strings.Replace(findPackage, `"regions":["us-east-1"]`, `"regions":"${['us-west-2']}"`, 1), "/stages/1/clusters/0/amiName"},
	} {
		h := newHarness(t)
		h.save("bad", findStages(test.find))
		fields := h.do("POST", "/pipelines/storefront/bad", `{}`).want(400).fields()
		if fields[test.pointer] == "" {
			t.Errorf("%s: %v", test.find, fields)
		}
		if _, _, executions := h.store.count(); executions != 0 {
			t.Errorf("%s: %d executions", test.find, executions)
		}
	}
}
