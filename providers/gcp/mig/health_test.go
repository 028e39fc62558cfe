package mig

import (
	"testing"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/delivery"
)

func TestGoogleHealth(t *testing.T) {
	for name, test := range map[string]struct {
		action, status, detailed string
		repaired                 bool
		want                     delivery.HealthState
	}{
		"runs":                       {"NONE", "RUNNING", "", false, delivery.HealthUp},
		"runs and is healthy":        {"NONE", "RUNNING", "HEALTHY", true, delivery.HealthUp},
		"not judged yet":             {"NONE", "RUNNING", "", true, delivery.HealthUnknown},
		"judged as unknown":          {"NONE", "RUNNING", "UNKNOWN", true, delivery.HealthUnknown},
		"unhealthy":                  {"NONE", "RUNNING", "UNHEALTHY", true, delivery.HealthDown},
		"times out":                  {"NONE", "RUNNING", "TIMEOUT", true, delivery.HealthDown},
		"drains":                     {"NONE", "RUNNING", "DRAINING", true, delivery.HealthDraining},
		"in a state of tomorrow":     {"NONE", "RUNNING", "SPLENDID", true, delivery.HealthUnknown},
		"is being made":              {"CREATING", "", "", false, delivery.HealthStarting},
		"is being verified":          {"VERIFYING", "RUNNING", "HEALTHY", true, delivery.HealthStarting},
		"is being repaired":          {"RECREATING", "RUNNING", "UNHEALTHY", true, delivery.HealthStarting},
		"is going":                   {"DELETING", "RUNNING", "HEALTHY", true, delivery.HealthOutOfService},
		"does something new":         {"PONDERING", "RUNNING", "HEALTHY", true, delivery.HealthOutOfService},
		"boots":                      {"NONE", "STAGING", "", false, delivery.HealthStarting},
		"stopped by somebody":        {"NONE", "TERMINATED", "", false, delivery.HealthOutOfService},
		"has a status of tomorrow":   {"NONE", "FLOATING", "", false, delivery.HealthUnknown},
		"is repaired by its machine": {"NONE", "REPAIRING", "", false, delivery.HealthDown},
	} {
		m := &computepb.ManagedInstance{CurrentAction: proto.String(test.action), InstanceStatus: proto.String(test.status)}
		if test.detailed != "" {
			m.InstanceHealth = []*computepb.ManagedInstanceInstanceHealth{{DetailedHealthState: proto.String(test.detailed)}}
		}
		if got := googleHealthOf(m, test.repaired); got.State != test.want || got.Source != sourceGoogle {
			t.Errorf("%s: %+v; want %q", name, got, test.want)
		}
	}
}

func TestBalancerHealth(t *testing.T) {
	for state, want := range map[string]delivery.HealthState{
		"HEALTHY": delivery.HealthUp, "UNHEALTHY": delivery.HealthDown, "DRAINING": delivery.HealthDraining,
		"UNKNOWN": delivery.HealthUnknown, "": delivery.HealthUnknown,
	} {
		if got := balancerHealthOf(state); got.State != want {
			t.Errorf("%q: %+v; want %q", state, got, want)
		}
	}
}

// TestWorst: an instance is as healthy as in the worst of its backend services,
// and one that a backend service does not know is not healthy.
func TestWorst(t *testing.T) {
	up, down := balancerHealthOf("HEALTHY"), balancerHealthOf("UNHEALTHY")
	for name, test := range map[string]struct {
		registered []map[string]delivery.Health
		want       delivery.HealthState
	}{
		"up in all":      {[]map[string]delivery.Health{{"i": up}, {"i": up}}, delivery.HealthUp},
		"down in one":    {[]map[string]delivery.Health{{"i": up}, {"i": down}}, delivery.HealthDown},
		"unknown to one": {[]map[string]delivery.Health{{"i": up}, nil}, delivery.HealthUnknown},
	} {
		if got := worst(test.registered, "i"); got.State != test.want || got.Source != sourceLoadBalancer {
			t.Errorf("%s: %+v; want %q", name, got, test.want)
		}
	}
}
