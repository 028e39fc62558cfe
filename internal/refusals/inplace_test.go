package refusals

import (
	"fmt"
	"testing"
)

// TestBadUpdatesInPlace: what makes no sense together with inPlace, or cannot be on
// the target kind, is refused when the pipeline is saved.
func TestBadUpdatesInPlace(t *testing.T) {
	w := newWorld(t)
	w.application(t)
	one := func(changes ...string) string {
		return document("p", stage("1", "[]", cluster(append([]string{"inPlace", "true"}, changes...)...)))
	}
	for _, test := range []struct{ name, body, pointer string }{
		{"another strategy", one("strategy", `"highlander"`, "maxSurge", ""), "/stages/0/clusters/0/inPlace"},
		{"inPlace in words", one("inPlace", `"yes"`), "/stages/0/clusters/0/inPlace"},
		{"checks", one("checks", `[{"name":"e","query":"errorRate","max":1}]`), "/stages/0/clusters/0/checks"},
		{"a pause of batches", one("pauseBetweenBatches", `30`), "/stages/0/clusters/0/pauseBetweenBatches"},
		{"no rollback", one("rollback", `{"onFailure":false}`), "/stages/0/clusters/0/rollback/onFailure"},
		{"Cloud Run", document("p", stage("1", "[]", service("inPlace", "true"))), "/stages/0/clusters/0/inPlace"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if status, p := w.post(t, "/pipelines", test.body); status != 400 || !p.names(test.pointer) {
				t.Errorf("%d %+v, want 400 at %q", status, p, test.pointer)
			}
		})
	}
}

// TestUpdatesInPlaceThatCannotStart: what the cloud tells is refused at the start,
// unless an earlier stage may still change it.
func TestUpdatesInPlaceThatCannotStart(t *testing.T) {
	w := newWorld(t)
	w.application(t)
	alone := stage("1", "[]", cluster("inPlace", "true", "capacity", ""))
	for i, test := range []struct {
		name, stages, pointer string
		want                  int
	}{
		{"a cluster without a group", stage("1", "[]", cluster("inPlace", "true", "stack", `"new"`, "loadBalancers", "")), "/stages/0/clusters/0/inPlace", 400},
		{"another capacity", stage("1", "[]", cluster("inPlace", "true", "capacity", `{"min":7,"max":7,"desired":7}`)), "/stages/0/clusters/0/capacity", 400},
		{"less time than a refresh waits", stage("1", "[]", cluster("inPlace", "true", "capacity", "", "healthTimeoutSec", "90")), "/stages/0/clusters/0/healthTimeoutSec", 400},
		{"a group without an autohealing health check", stage("1", "[]", instanceGroup("inPlace", "true", "capacity", "")), "/stages/0/clusters/0/inPlace", 400},
		{"after a deployment", stage("1", "[]", cluster()) + "," + stage("2", `["1"]`, cluster("inPlace", "true", "capacity", "")), "", 202},
		{"as it should be", alone, "", 202},
	} {
		t.Run(test.name, func(t *testing.T) {
			name := fmt.Sprintf("in-place-%d", i)
			if status, p := w.post(t, "/pipelines", document(name, test.stages)); status != 200 {
				t.Fatalf("save: %d %+v", status, p)
			}
			status, p := w.post(t, "/pipelines/storefront/"+name, nothing)
			if status != test.want || test.pointer != "" && !p.names(test.pointer) {
				t.Errorf("%d %+v, want %d at %q", status, p, test.want, test.pointer)
			}
		})
	}
}
