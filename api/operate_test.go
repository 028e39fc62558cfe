package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// operateStages are operations on storefront-prod, one after the other.
func operateStages(account, region string, stages ...string) string {
	all := make([]string, len(stages))
	for i, stage := range stages {
		all[i] = fmt.Sprintf(`{"cloudProvider":"aws","credentials":%q,"regions":[%q],"cluster":"storefront-prod",%s}`, account, region, stage)
	}
	return "[" + strings.Join(all, ",") + "]"
}

// TestPlanOfOperations shows each change, on the cluster as the stages before
// leave it, and what the traffic guard refuses.
func TestPlanOfOperations(t *testing.T) {
	h := newHarness(t)
	h.cloud.add("us-east-1")
	h.save("plan-me", operateStages("aws-sim", "us-east-1",
		`"type":"resizeServerGroup","target":"current_asg_dynamic","capacity":{"min":3,"max":4,"desired":3}`,
		`"type":"destroyServerGroup","serverGroupName":"storefront-prod-v001"`,
		`"type":"disableServerGroup","target":"current_asg_dynamic"`))
	plan := h.planned(`{}`)
	var got []string
	for _, stage := range plan.Stages {
		for _, d := range stage.Deployments {
			for _, a := range d.Actions {
				if a.Type == "change" {
					got = append(got, d.Strategy+": "+a.Description)
				}
			}
			if d.Failure != nil {
				got = append(got, d.Strategy+" "+d.ServerGroup+" fails: "+d.Failure.Code)
			}
		}
	}
	want := []string{
		"resizeServerGroup: resize server group storefront-prod-v000 to min 3, desired 3, max 4",
		"destroyServerGroup: destroy server group storefront-prod-v001",
		"disableServerGroup storefront-prod-v000 fails: guarded",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if again := h.planned(`{}`); again.Hash != plan.Hash {
		t.Errorf("hashes %s and %s of the same plan", plan.Hash, again.Hash)
	}
	h.cloud.scale("us-east-1", 0, 2)
	if other := h.planned(`{}`); other.Hash == plan.Hash {
		t.Error("another state has the same plan")
	}
}

// TestStartOfOperations is checked against the configuration.
func TestStartOfOperations(t *testing.T) {
	h := newHarness(t)
	const enable = `"type":"enableServerGroup","target":"oldest_asg_dynamic"`
	for _, test := range []struct{ account, region, pointer string }{
		{"nobody", "us-east-1", "/stages/0/credentials"},
		{"aws-sim", "mars-1", "/stages/0/regions"},
	} {
		h.save(test.account, operateStages(test.account, test.region, enable))
		answer := h.do("POST", "/pipelines/storefront/"+test.account, `{}`).want(400)
		if !strings.Contains(string(answer.body), `"pointer":"`+test.pointer+`"`) {
			t.Errorf("%s: %s", test.pointer, answer.body)
		}
	}
	h.save("operate", operateStages("aws-sim", "us-east-1", enable))
	h.do("POST", "/pipelines/storefront/operate", `{}`).want(202)
}
