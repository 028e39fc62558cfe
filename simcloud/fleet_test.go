package simcloud_test

import (
	"runtime"
	"testing"

	"github.com/slipway-cd/slipway/simcloud"
)

// TestLogKnowsEachStateFirst kills machines under the eyes of somebody who looks at them all the time: what follows from
// a state must not come before it in the log.
func TestLogKnowsEachStateFirst(t *testing.T) {
	s := newSite(t, simcloud.WorldOptions{Scale: 1})
	for range 200 {
		i := s.launch(simcloud.Image{Name: "app"})
		last := make(chan int64)
		go func() {
			for i.State() != simcloud.StateTerminated {
				runtime.Gosched()
			}
			last <- s.Log.Last()
		}()
		i.Kill("killed")
		seen := <-last
		logged := s.awaitAfter(0, func(e simcloud.Event) bool { return e.Resource == i.ID() && e.State == "terminated" })
		if logged.Seq > seen {
			t.Fatalf("the state was seen at event %d and logged at %d", seen, logged.Seq)
		}
	}
}
