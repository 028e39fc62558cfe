//go:build !race

package workflows

import (
	"strings"
	"sync"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/internal/fakecloud"
)

// losesAt lets the worker die right after it has committed the first event that has
// these texts: what it did is in the store and not in the history.
func (l *live) losesAt(texts ...string) (died <-chan struct{}) {
	out := make(chan struct{})
	var once sync.Once
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	l.store.onEvent = func(e delivery.Event) {
		for _, text := range texts {
			if !strings.Contains(string(e.Type)+" "+string(e.Data), text) {
				return
			}
		}
		once.Do(func() { l.loses.Store(true); close(out) })
	}
	return out
}

// TestChildIsStartedOnceAfterADeath of the worker that had recorded the beginning of the stage.
func TestChildIsStartedOnceAfterADeath(t *testing.T) {
	t.Parallel()
	l := serveLive(t, fakecloud.Config{})
	l.world.save(t, "D", `{"name":"deploy","application":"shop","stages":[{"refId":"a","type":"wait","waitTime":4}]}`)
	l.losesAt(`"refId":"1"`, `"RUNNING"`)
	l.accept(t, testExecution, `{"stages":[{"refId":"0","type":"wait","waitTime":1},{"refId":"1","requisiteStageRefIds":["0"],"type":"pipeline","pipeline":"deploy"},
		{"refId":"2","requisiteStageRefIds":["0"],"type":"wait","waitTime":1}]}`)
	e, _ := l.until(t, "the end", func(e delivery.Execution, _ delivery.Deployment) bool { return e.Status.Complete() })
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if e.Status != delivery.StatusSucceeded || len(l.children()) != 1 {
		t.Errorf("execution %s, %d children", e.Status, len(l.children()))
	}
}
