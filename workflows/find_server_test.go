//go:build !race

package workflows

import (
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

// TestFindOnAServer finds and deploys on a real server. With -update it records the
// histories.
func TestFindOnAServer(t *testing.T) {
	t.Parallel()
	l := startLive(t, strings.Replace(findDocument(findNewest, ""), `"refId":"deploy"`, `"refId":"1"`, 1), quick(), v000(2))
	e, d := l.until(t, "the end", over)
	if e.Status != delivery.StatusSucceeded || d.Status != delivery.DeploymentSucceeded {
		t.Errorf("execution %s, deployment %s: %v", e.Status, d.Status, d.Failure)
	}
	if g := l.cloud.Truth().Group(d.ServerGroup); g == nil || g.Image != "old" {
		t.Errorf("deployed %+v", g)
	}
	if *update {
		l.save(t, "find", d)
	}
}

// TestShrinkOnAServer destroys two server groups on a real server. With -update it
// records the histories.
func TestShrinkOnAServer(t *testing.T) {
	t.Parallel()
	l := startLive(t, operateDocument(`"type":"shrinkCluster","allowDeleteActive":true`), quick(), threeGroups()...)
	e, d := l.until(t, "the end", over)
	if e.Status != delivery.StatusSucceeded || d.Status != delivery.DeploymentSucceeded || len(l.cloud.Truth().Groups) != 1 {
		t.Errorf("execution %s, deployment %s: %v, left %v", e.Status, d.Status, d.Failure, settled(l.cloud.Truth()))
	}
	if v := l.cloud.Violations(); len(v) > 0 {
		t.Errorf("violations: %q", v)
	}
	if *update {
		l.save(t, "shrink", d)
	}
}
