package workflows

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/internal/fakecloud"
)

// dark is a dark server group of n instances, v001.
func dark(n int) fakecloud.Existing {
	return fakecloud.Existing{Name: "shop-prod-v001", Image: "new", Capacity: delivery.Capacity{Min: 1, Max: 2 * n, Desired: n},
		Match: &delivery.Match{Header: "X-Canary", Value: "always"}}
}

// TestDarkStages brings a version up in the dark and promotes it, by the name that
// the first stage put out.
func TestDarkStages(t *testing.T) {
	document := fmt.Sprintf(`{"name":"p","application":"shop","stages":[{"refId":"1","type":"deploy","name":"Deploy","clusters":[%s]},
		{"refId":"2","requisiteStageRefIds":["1"],"type":"promoteServerGroup","credentials":"acct","region":"r1","serverGroupName":"${deployments[0].serverGroup}","strategy":"bluegreen"}]}`,
		clusterObject("good", "lb", `"strategy":"dark","match":{"header":"X-Canary","value":"always"},"size":1`, 3))
	w := newWorld(t, document, calm(), v000(3))
	w.store.onDeployment = nil
	w.cloud.Bound(fakecloud.Bounds{Floor: 3, Ceiling: 6})
	e := w.run(t)
	if e.Status != delivery.StatusSucceeded {
		t.Fatalf("execution %s, stages %+v", e.Status, e.Stages)
	}
	if out := string(e.Stages[0].Outputs); !strings.Contains(out, `"preview":{"serverGroup":"shop-prod-v001","match":{"header":"X-Canary","value":"always"}}`) {
		t.Errorf("outputs %s", out)
	}
	if diff := cmp.Diff(map[string]string{"shop-prod-v000": "{Min:1 Max:6 Desired:3} complete=true weight=0",
		"shop-prod-v001": "{Min:1 Max:6 Desired:3} complete=true weight=100"}, settled(w.cloud.Truth())); diff != "" {
		t.Error(diff)
	}
	if v := w.cloud.Violations(); len(v) > 0 {
		t.Errorf("violations: %q", v)
	}
	d := w.store.deployments[e.Stages[1].Deployments[0]]
	if d.Status != delivery.DeploymentSucceeded || d.ServerGroup != "shop-prod-v001" || !strings.Contains(string(d.Detail), `"promotion":{}`) {
		t.Errorf("promotion: %+v %s", d, d.Detail)
	}
}

// TestAbandonStage removes a dark group, rule first.
func TestAbandonStage(t *testing.T) {
	w := newWorld(t, operateDocument(`"type":"abandonServerGroup","target":"current_asg_dynamic"`), calm(), v000(3), dark(2))
	e := w.run(t)
	if e.Status != delivery.StatusSucceeded {
		t.Fatalf("execution %s, stages %+v", e.Status, e.Stages)
	}
	if diff := cmp.Diff(map[string]string{"shop-prod-v000": "{Min:1 Max:6 Desired:3} complete=true weight=100"}, settled(w.cloud.Truth())); diff != "" {
		t.Error(diff)
	}
	var changes []string
	for _, event := range w.store.events {
		if event.Type == delivery.EventChange {
			changes = append(changes, string(decode[ChangeEvent](t, event).Kind))
		}
	}
	if diff := cmp.Diff([]string{"deletePreview", "destroyServerGroup"}, compact(changes)); diff != "" {
		t.Errorf("changes: %s", diff)
	}
}
