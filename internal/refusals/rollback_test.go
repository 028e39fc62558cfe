package refusals

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBadRollbacksAreRefused: a rollback is refused with the field or the reason
// before anything is recorded.
func TestBadRollbacksAreRefused(t *testing.T) {
	w := newWorld(t)
	w.application(t)
	const prod, run = "/applications/storefront/clusters/aws-sim/storefront-prod/rollback", "/applications/storefront/clusters/gcp-sim/storefront-run/rollback"
	for _, test := range []struct {
		name, path, body string
		status           int
		pointer          string
	}{
		{"no body", prod, ``, 400, ""},
		{"malformed JSON", prod, `{"reason":`, 400, ""},
		{"no reason", prod, `{}`, 400, "/reason"},
		{"an empty reason", prod, `{"reason":" "}`, 400, "/reason"},
		{"a reason of the wrong type", prod, `{"reason":7}`, 400, "/reason"},
		{"an expression", prod, `{"reason":"${execution.id}"}`, 400, "/reason"},
		{"a mistyped field", prod, `{"reason":"r","region":["us-east-1"]}`, 400, "/region"},
		{"regions of the wrong type", prod, `{"reason":"r","regions":"us-east-1"}`, 400, "/regions"},
		{"a region without the cluster", prod, `{"reason":"r","regions":["eu-north-1"]}`, 400, "/regions/0"},
		{"a percentage above 100", prod, `{"reason":"r","targetHealthyRollbackPercentage":101}`, 400, "/targetHealthyRollbackPercentage"},
		{"a percentage for a named group", prod, `{"reason":"r","regions":["us-east-1"],"restoreServerGroupName":"storefront-prod-v009","targetHealthyRollbackPercentage":"all"}`, 400, "/targetHealthyRollbackPercentage"},
		{"a pause in words", prod, `{"reason":"r","waitTimeBetweenRegions":"long"}`, 400, "/waitTimeBetweenRegions"},
		{"an unknown concurrency", prod, `{"reason":"r","concurrency":"parallel"}`, 400, "/concurrency"},
		{"a deployment of another cluster", prod, `{"reason":"r","deployment":"X/1/aws-sim/us-east-1/other"}`, 400, "/deployment"},
		{"a revision that is to be scaled down", run, `{"reason":"r","scaleDown":true}`, 400, "/scaleDown"},
		{"an unknown cluster", "/applications/storefront/clusters/aws-sim/storefront-dev/rollback", `{"reason":"r"}`, 404, ""},
		{"another application's cluster", "/applications/shop/clusters/aws-sim/storefront-prod/rollback", `{"reason":"r"}`, 404, ""},
		{"an unknown account", "/applications/storefront/clusters/aws-prod/storefront-prod/rollback", `{"reason":"r"}`, 404, ""},
		{"what nobody deployed", prod, `{"reason":"r"}`, 404, ""},
		{"a plan of what nobody deployed", prod + "/plan", `{"reason":"r"}`, 404, ""},
		{"a group that is not there", prod, `{"reason":"r","regions":["us-east-1"],"restoreServerGroupName":"storefront-prod-v009"}`, 404, ""},
		{"a group to itself", prod, `{"reason":"r","regions":["us-east-1"],"restoreServerGroupName":"storefront-prod-v000"}`, 400, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := w.traces(t)
			status, p := w.post(t, test.path, test.body)
			if status != test.status || p.Status != test.status || p.Message == "" || test.pointer != "" && !p.names(test.pointer) {
				t.Errorf("%d %+v, want %d at %q", status, p, test.status, test.pointer)
			}
			if diff := cmp.Diff(before, w.traces(t)); diff != "" {
				t.Errorf("something was made (-before +after):\n%s", diff)
			}
		})
	}
}
