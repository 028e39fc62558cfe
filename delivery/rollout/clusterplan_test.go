package rollout_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery/rollout"
	"github.com/slipway-cd/slipway/internal/fakecloud"
	"github.com/slipway-cd/slipway/internal/golden"
)

// TestClusterPlansToRead compares one plan of each operation on a cluster with what
// a person can read.
func TestClusterPlansToRead(t *testing.T) {
	var out strings.Builder
	groups := []fakecloud.Existing{existing("v001", 4, 0), existing("v002", 3, 40), existing("v003", 2, 60)}
	for _, kind := range clusterOperations {
		for _, keep := range []rollout.Keep{{Groups: 1}, {Groups: 1, Active: true}, {Groups: 1, Active: true, Larger: true}, {Active: true}} {
			if kind == rollout.DisableClusterOperation && !keep.Active {
				continue // what takes traffic is all that it is about
			}
			d := newOperation(onCluster(t, kind, keep), calm(), groups...)
			plan, _ := rollout.PlanOf(d.state.Input, d.cloud.Truth(), rollout.Estimates{})
			fmt.Fprintf(&out, "%s %+v\nfloor %d, peak %d, about %s\n", kind, keep, plan.Floor, plan.Peak, plan.Duration.Round(time.Second))
			for _, a := range plan.Actions {
				fmt.Fprintf(&out, "  %8s  %s\n", a.At.Round(time.Second), lineOf(a))
			}
			if plan.Failure != nil {
				fmt.Fprintf(&out, "     fails  %s\n", plan.Failure.Message)
			}
			out.WriteString("\n")
		}
	}
	golden.Compare(t, "testdata/clusterplans.txt", []byte(out.String()))
}
