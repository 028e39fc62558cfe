package api_test

import (
	"fmt"
	"testing"
)

// TestPreconditionIsChecked before the pipeline starts: an account or a region that is not
// configured is named with its place, unless a condition may leave the stage out.
func TestPreconditionIsChecked(t *testing.T) {
	h := newHarness(t)
	for i, test := range []struct{ credentials, region, more, pointer string }{
		{"aws-sim", "us-east-1", "", ""},
		{"nowhere", "us-east-1", "", "/stages/0/preconditions/1/context/credentials"},
		{"aws-sim", "mars-1", "", "/stages/0/preconditions/1/context/regions"},
		{"nowhere", "us-east-1", `,"stageEnabled":{"type":"expression","expression":"false"}`, ""},
		{"${parameters.account}", "us-east-1", "", "/stages/0/preconditions/1/context/credentials"},
	} {
		name := fmt.Sprintf("sized-%d", i)
		h.save(name, fmt.Sprintf(`[{"refId":"1","type":"checkPreconditions"%s,"preconditions":[{"type":"expression","context":{"expression":"true"}},
			{"type":"clusterSize","context":{"credentials":%q,"cluster":"storefront-prod","regions":[%q],"expected":1}}]}]`, test.more, test.credentials, test.region))
		answer := h.do("POST", "/pipelines/storefront/"+name, `{"parameters":{"account":"elsewhere"}}`)
		if test.pointer == "" {
			answer.want(202)
			continue
		}
		if fields := answer.want(400).fields(); fields[test.pointer] == "" {
			t.Errorf("%s in %s: fields %v, want %s", test.credentials, test.region, fields, test.pointer)
		}
	}
}
