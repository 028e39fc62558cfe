package workflows

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// wideDocument is a pipeline of n stages of a type side by side, and one after them.
func wideDocument(n int, fields string) string {
	var stages, all []string
	for i := range n {
		stages = append(stages, fmt.Sprintf(`{"refId":"w%d","name":"w%d","requisiteStageRefIds":[],%s}`, i, i, fields))
		all = append(all, fmt.Sprintf(`"w%d"`, i))
	}
	return fmt.Sprintf(`{"name":"p","application":"shop","stages":[%s,{"refId":"join","type":"noop","requisiteStageRefIds":[%s]}]}`, strings.Join(stages, ","), strings.Join(all, ","))
}

// TestWideExecution: stages side by side are recorded together, each once and in order.
func TestWideExecution(t *testing.T) {
	const wide = 120
	w := newWorld(t, wideDocument(wide, `"type":"wait","waitTime":60`), calm())
	e := w.run(t)
	if e.Status != delivery.StatusSucceeded {
		t.Fatalf("execution %s: %s", e.Status, e.CancellationReason)
	}
	seen := map[string][]delivery.Status{}
	for _, event := range w.store.events {
		if event.Type == delivery.EventStage {
			s := decode[StageEvent](t, event)
			seen[s.RefID] = append(seen[s.RefID], s.Status)
		}
	}
	for _, s := range e.Stages {
		if got := seen[s.RefID]; len(got) != 2 || got[0] != delivery.StatusRunning || got[1] != delivery.StatusSucceeded {
			t.Errorf("events of stage %s: %v", s.RefID, got)
		}
		if took := s.EndTime.Sub(s.StartTime); s.Type == "wait" && (took < time.Minute || took > 2*time.Minute) {
			t.Errorf("stage %s took %s", s.RefID, took)
		}
	}
	if e.Version > wide+wide/2 {
		t.Errorf("the execution was recorded %d times for %d stages", e.Version, wide)
	}
}

// hasBegun counts the stages that have begun.
func hasBegun(e delivery.Execution) (n int) {
	for _, s := range e.Stages {
		if s.Status != delivery.StatusNotStarted {
			n++
		}
	}
	return n
}

// whenBegun sends a command once so many stages have begun. What it returns is nil
// before that.
func (w *world) whenBegun(stages int, command string) (sent func() *answer) {
	var out *answer
	w.store.onProject = func(e delivery.Execution) { // under the store's lock
		if out == nil && hasBegun(e) >= stages {
			out = w.send(command, 0)
		}
	}
	return func() *answer {
		w.store.mu.Lock()
		defer w.store.mu.Unlock()
		return out
	}
}

// TestWideExecutionIsSteered: of many stages that may begin only those do that did before
// a command was heard.
func TestWideExecutionIsSteered(t *testing.T) {
	// A command is heard when the workflow task ends: after so many records at the latest.
	const wide, before, most = 300, 20, 20 + 2*maxRecords + maxBeginning
	w := newWorld(t, wideDocument(wide, `"type":"wait","waitTime":60`), calm())
	sent := w.whenBegun(before, updateCancel)
	e := w.run(t)
	if n, cancel := hasBegun(e), sent(); cancel == nil || !cancel.accepted || e.Status != delivery.StatusCanceled || n < before || n > most {
		t.Errorf("cancel %+v, execution %s, %d stages began", cancel, e.Status, n)
	}

	w = newWorld(t, wideDocument(wide, `"type":"wait","waitTime":7200`), calm())
	w.whenBegun(before, updatePause)
	paused := 0
	w.env.RegisterDelayedCallback(func() {
		w.store.mu.Lock()
		defer w.store.mu.Unlock()
		paused = hasBegun(w.store.executions[testExecution])
	}, time.Hour)
	w.send(updateResume, 90*time.Minute)
	if e = w.run(t); e.Status != delivery.StatusSucceeded || hasBegun(e) != wide+1 || paused < before || paused > most {
		t.Errorf("execution %s, %d stages began, %d before the pause", e.Status, hasBegun(e), paused)
	}
}
