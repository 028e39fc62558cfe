//go:build !race

package workflows

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
)

// TestRetryOnAServer tries a deployment again that is never healthy, on a real server.
// With -update it records the histories.
func TestRetryOnAServer(t *testing.T) {
	t.Parallel()
	document := strings.Replace(deployDocument("crash", "lb", rolling, 4), `"name":"Deploy",`, `"name":"Deploy ${1 + 1}","retry":{"maxAttempts":2,"backoffSec":1},`, 1)
	l := startLive(t, document, quick(), v000(4))
	was := l.cloud.Truth()
	e, _ := l.until(t, "the end", func(e delivery.Execution, _ delivery.Deployment) bool { return e.Status.Complete() })
	stage := e.Stages[0]
	if e.Status != delivery.StatusTerminal || stage.Attempt != 2 || len(stage.Attempts) != 1 || len(stage.Deployments) != 1 || stage.Name != "Deploy 2" {
		t.Fatalf("execution %s, stage %+v", e.Status, stage)
	}
	for _, id := range append(stage.Attempts[0].Deployments, stage.Deployments...) {
		if d, err := l.store.Deployment(t.Context(), id); err != nil || d.Status != delivery.DeploymentRolledBack {
			t.Errorf("deployment %s is %s: %v", id, d.Status, err)
		}
	}
	if diff := cmp.Diff(settled(was), settled(l.cloud.Truth())); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	if *update {
		l.save(t, "retry", delivery.Deployment{ID: stage.Deployments[0]})
	}
}
