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

// TestWideExecutionIsSteered: of many stages that may begin only a few do before a command
// is heard.
func TestWideExecutionIsSteered(t *testing.T) {
	// In virtual time only the ends of workflow tasks take any: each lets in what has come.
	const wide, soon, most = 300, 2 * keepTime, 5*maxRecords + maxBeginning
	begun := func(e delivery.Execution) (n int) {
		for _, s := range e.Stages {
			if s.Status != delivery.StatusNotStarted {
				n++
			}
		}
		return n
	}
	w := newWorld(t, wideDocument(wide, `"type":"wait","waitTime":60`), calm())
	cancel := w.send(updateCancel, soon)
	e := w.run(t)
	if n := begun(e); !cancel.accepted || e.Status != delivery.StatusCanceled || n == 0 || n > most {
		t.Errorf("cancel %+v, execution %s, %d stages began", cancel, e.Status, n)
	}

	w = newWorld(t, wideDocument(wide, `"type":"wait","waitTime":60`), calm())
	w.send(updatePause, soon)
	paused := 0
	w.env.RegisterDelayedCallback(func() { paused = begun(w.store.executions[testExecution]) }, 30*time.Minute)
	w.send(updateResume, time.Hour)
	if e = w.run(t); e.Status != delivery.StatusSucceeded || begun(e) != wide+1 || paused == 0 || paused > most {
		t.Errorf("execution %s, %d stages began, %d before the pause", e.Status, begun(e), paused)
	}
}
