//go:build !race

package workflows

import (
	"strings"
	"sync"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"

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

// TestLostCancel: when the process dies after a cancel was recorded and before it was in
// the history, the execution is canceled with the next start, or goes on and is
// recorded so. Nothing goes on behind a record that says it has ended.
func TestLostCancel(t *testing.T) {
	t.Parallel()
	l := serveLive(t, fakecloud.Config{})
	died := l.losesAt("execution", `"CANCELED"`)
	l.accept(t, testExecution, `{"stages":[{"refId":"1","type":"wait","waitTime":3600}]}`)
	l.until(t, "the wait", func(e delivery.Execution, _ delivery.Deployment) bool {
		return e.Stages[0].Status == delivery.StatusRunning
	})
	answered := make(chan error, 1)
	go func() {
		answered <- l.client.Cancel(t.Context(), testExecution, delivery.Principal{Name: "joe"}, "a test")
	}()
	<-died
	l.down()
	<-answered // whatever it was, the process is dead
	l.up(t)
	var recorded delivery.Status
	var workflow enums.WorkflowExecutionStatus
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		l.store.mu.Lock()
		recorded = l.store.executions[testExecution].Status
		l.store.mu.Unlock()
		d, err := l.client.temporal.DescribeWorkflowExecution(t.Context(), testExecution.WorkflowID(), "")
		if err != nil {
			t.Fatal(err)
		}
		workflow = d.GetWorkflowExecutionInfo().GetStatus()
		if recorded.Complete() == (workflow != enums.WORKFLOW_EXECUTION_STATUS_RUNNING) {
			return
		}
	}
	t.Errorf("the record says %s, the workflow is %s", recorded, workflow)
}
