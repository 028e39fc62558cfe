//go:build !race

package workflows

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
)

// TestInPlaceOnAServer goes back from a version that is never healthy, on a real
// server. With -update it records the histories.
func TestInPlaceOnAServer(t *testing.T) {
	t.Parallel()
	l := startLive(t, inPlaceDocument("crash", 1, 0), quick(), v000(4))
	was := l.cloud.Truth()
	e, d := l.until(t, "the end", over)
	if e.Status != delivery.StatusTerminal || d.Status != delivery.DeploymentRolledBack || d.ServerGroup != "shop-prod-v000" {
		t.Errorf("execution %s, deployment %s of %s: %v", e.Status, d.Status, d.ServerGroup, d.Failure)
	}
	if v := l.cloud.Violations(); len(v) > 0 {
		t.Errorf("violations: %q", v)
	}
	if diff := cmp.Diff(settled(was), settled(l.cloud.Truth())); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	if *update {
		l.save(t, "inplace", d)
	}
}
