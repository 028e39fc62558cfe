//go:build !race

package workflows

import (
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

// TestRollbackOnAServer rolls a cluster back on a real server, by a new server group
// since the old one is gone. With -update it records the histories.
func TestRollbackOnAServer(t *testing.T) {
	t.Parallel()
	l := startLive(t, deployStages(`"strategy":"highlander"`, []string{"good", "worse"}, rollbackFields+`,"destroy":true`), quick())
	e, _ := l.until(t, "the end", func(e delivery.Execution, _ delivery.Deployment) bool { return e.Status.Complete() })
	l.store.mu.Lock()
	d := l.store.deployments[delivery.NewDeploymentID(testExecution, "3", testCluster)]
	l.store.mu.Unlock()
	if e.Status != delivery.StatusSucceeded || d.Status != delivery.DeploymentSucceeded || d.ServerGroup != "shop-prod-v002" {
		t.Fatalf("execution %s, deployment %s of %s: %v", e.Status, d.Status, d.ServerGroup, d.Failure)
	}
	if truth := l.cloud.Truth(); len(truth.Groups) != 1 || truth.Groups[0].Image != "good" || truth.Routing.Percent(d.ServerGroup) != 100 {
		t.Errorf("groups %+v", truth.Groups)
	}
	if v := l.cloud.Violations(); len(v) > 0 {
		t.Errorf("violations: %q", v)
	}
	if *update {
		l.save(t, "ondemand", d)
	}
}
