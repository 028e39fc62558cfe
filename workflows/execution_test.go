package workflows

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/internal/fakecloud"
)

const rolling = `"strategy":"rolling","maxSurge":2`

func TestDeploySucceeds(t *testing.T) {
	w := newWorld(t, deployDocument("${parameters.image}", "lb", rolling, 4), calm(), v000(4))
	w.cloud.Bound(fakecloud.Bounds{Floor: 4, Ceiling: 6})
	e := w.run(t)
	if e.Status != delivery.StatusSucceeded || e.Stages[0].Status != delivery.StatusSucceeded {
		t.Fatalf("execution %s, stage %+v", e.Status, e.Stages[0])
	}
	d := w.deployment()
	if d.Status != delivery.DeploymentSucceeded || d.ServerGroup != "shop-prod-v001" || len(d.Detail) == 0 {
		t.Errorf("deployment %+v", d)
	}
	if diff := cmp.Diff([]delivery.DeploymentID{d.ID}, e.Stages[0].Deployments); diff != "" {
		t.Errorf("deployments of the stage: %s", diff)
	}
	if v := w.cloud.Violations(); len(v) > 0 {
		t.Errorf("violations: %q", v)
	}
	if got := w.cloud.Truth().Routing.Percent("shop-prod-v001"); got != 100 {
		t.Errorf("weight of the new group %d", got)
	}
	if took := e.EndTime.Sub(e.StartTime); took < 20*time.Second || took > 10*time.Minute {
		t.Errorf("took %s of virtual time", took)
	}
}
