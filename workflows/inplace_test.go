package workflows

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/internal/fakecloud"
)

// inPlaceDocument updates the test's cluster in place.
func inPlaceDocument(image string, surge, unavailable int) string {
	return deployDocument(image, "lb", fmt.Sprintf(`"strategy":"rolling","inPlace":true,"useSourceCapacity":true,"maxSurge":%d,"maxUnavailable":%d`, surge, unavailable), 1)
}

// TestInPlaceStage updates the one group: no number is allocated, and the record
// says which group it is and from which image to which.
func TestInPlaceStage(t *testing.T) {
	for image, want := range map[string]delivery.DeploymentStatus{"new": delivery.DeploymentSucceeded, "crash": delivery.DeploymentRolledBack} {
		w := newWorld(t, inPlaceDocument(image, 1, 0), calm(), v000(3))
		w.cloud.Bound(fakecloud.Bounds{Floor: 3, Ceiling: 5})
		was := settled(w.cloud.Truth())
		w.run(t)
		d := w.deployment()
		detail := `"inPlace":{"serverGroup":"shop-prod-v000","from":"old","to":"` + image + `"`
		if d.Status != want || d.ServerGroup != "shop-prod-v000" || !strings.Contains(string(d.Detail), detail) {
			t.Errorf("%s: %s of %s: %v, %s", image, d.Status, d.ServerGroup, d.Failure, d.Detail)
		}
		if diff := cmp.Diff(was, settled(w.cloud.Truth())); diff != "" {
			t.Errorf("%s: %s", image, diff)
		}
		if v := w.cloud.Violations(); len(v) > 0 {
			t.Errorf("violations: %q", v)
		}
	}
}

// TestInPlaceSchedules draws bounds, faults of cloud and store, and commands at any
// time: what TestFaultSchedules holds of deployments.
func TestInPlaceSchedules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		size, surge := rapid.IntRange(1, 8).Draw(rt, "size"), rapid.IntRange(0, 4).Draw(rt, "surge")
		unavailable := rapid.IntRange(0, 4).Draw(rt, "unavailable")
		if surge+unavailable == 0 {
			surge = 1
		}
		image := rapid.SampledFrom([]string{"good", "good", "crash"}).Draw(rt, "image")
		w := newWorld(rt, inPlaceDocument(image, surge, unavailable), drawConfig(rt), v000(size))
		w.store.failing = rapid.Float64Range(0, 0.1).Draw(rt, "store")
		w.cloud.Bound(fakecloud.Bounds{Floor: max(1, size-unavailable), Ceiling: 3 * size})
		was := w.cloud.Truth()
		cancel := w.disturb(rt, 120, 60, 100)
		checkSchedule(rt, w, w.run(rt), cancel, was)
		runs, want := w.cloud.Truth().Groups[0].Image, "old"
		if w.deployment().Status == delivery.DeploymentSucceeded {
			want = "good"
		}
		if runs != want {
			rt.Errorf("%s ended with the group running %s", w.deployment().Status, runs)
		}
	})
}
