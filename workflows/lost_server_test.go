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

// ends counts how often each stage ended, by the events.
func (l *live) ends() map[string]int {
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	out := map[string]int{}
	for _, e := range l.store.events {
		if e.Type == delivery.EventStage && !strings.Contains(string(e.Data), `"RUNNING"`) && !strings.Contains(string(e.Data), `"NOT_STARTED"`) {
			refID, _, _ := strings.Cut(strings.TrimPrefix(string(e.Data), `{"refId":"`), `"`)
			out[refID]++
		}
	}
	return out
}

// TestStagesEndOnce although a worker dies after it has recorded the end of one stage,
// and the end of another one comes first when the task is done again.
func TestStagesEndOnce(t *testing.T) {
	t.Parallel()
	l := serveLive(t, fakecloud.Config{})
	l.losesAt(`"refId":"2"`, `"SUCCEEDED"`)
	l.accept(t, testExecution, `{"stages":[{"refId":"1","type":"wait","waitTime":3},{"refId":"2","requisiteStageRefIds":[],"type":"wait","waitTime":1}]}`)
	e, _ := l.until(t, "the end", func(e delivery.Execution, _ delivery.Deployment) bool { return e.Status.Complete() })
	if ends := l.ends(); e.Status != delivery.StatusSucceeded || each(e) != "SUCCEEDED SUCCEEDED" || len(ends) != 2 || ends["1"] != 1 || ends["2"] != 1 {
		t.Errorf("execution %s, stages %s ended %v times", e.Status, each(e), ends)
	}
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
