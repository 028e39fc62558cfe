package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
)

// TestRestart: the stage and all that comes after it are as new in a higher attempt,
// everything else is untouched, and what runs keeps it from happening.
func TestRestart(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.IntRange(1, 8).Draw(rt, "stages")
		var objects []string
		for i := range size {
			var before []string
			for j := range i {
				if rapid.Bool().Draw(rt, "after") {
					before = append(before, fmt.Sprintf(`"%d"`, j))
				}
			}
			objects = append(objects, fmt.Sprintf(`{"refId":"%d","type":"wait","waitTime":1,"requisiteStageRefIds":[%s],"restrictExecutionDuringTimeWindow":%v,"restrictedExecutionWindow":{}}`,
				i, strings.Join(before, ","), rapid.Bool().Draw(rt, "windowed")))
		}
		d, err := Parse(json.RawMessage(`{"stages":[` + strings.Join(objects, ",") + `]}`))
		if err != nil {
			rt.Fatal(err)
		}
		n := 0
		stages := NewStages(d, func() string { n++; return fmt.Sprint(n) })
		for i := range stages {
			stages[i].Status = rapid.SampledFrom(delivery.Statuses()).Draw(rt, "status")
			stages[i].Outputs, stages[i].EndTime = json.RawMessage(`{}`), time.Unix(1, 0)
		}
		was := slices.Clone(stages)
		target := fmt.Sprint(rapid.IntRange(0, size-1).Draw(rt, "target"))
		out, err := Restart(d, stages, target, "joe")
		after := reaches(d, target)
		blocked := was[slices.IndexFunc(was, func(s delivery.Stage) bool { return s.RefID == target })].Status == delivery.StatusNotStarted
		for _, s := range was {
			of, _, _ := strings.Cut(s.RefID, "<")
			blocked = blocked || after[of] && (s.Status == delivery.StatusRunning || s.Status == delivery.StatusPaused)
		}
		if blocked != (delivery.KindOf(err) == delivery.Conflict && err != nil) {
			rt.Fatalf("blocked %v: %v", blocked, err)
		}
		for i, s := range out {
			of, _, _ := strings.Cut(s.RefID, "<")
			switch {
			case !after[of]:
				if s.Status != was[i].Status || s.Attempt != was[i].Attempt || s.EndTime != was[i].EndTime {
					rt.Errorf("stage %s of another branch became %+v", s.RefID, s)
				}
			case s.Status != delivery.StatusNotStarted || len(s.Outputs) > 0 || !s.EndTime.IsZero() || s.ID != was[i].ID:
				rt.Errorf("reset %+v", s)
			case was[i].Status != delivery.StatusNotStarted && s.Attempt != 2 || was[i].Status == delivery.StatusNotStarted && s.Attempt != 0:
				rt.Errorf("stage %s that was %s has attempt %d", s.RefID, was[i].Status, s.Attempt)
			}
		}
		if len(out) > 0 && !slices.Contains(append(Ready(d, out), ""), target) && !Halted(out) && len(d.Stage(target).Requisites) == 0 {
			rt.Errorf("stage %s cannot begin", target)
		}
	})
}

// reaches are the stages that come after one, and itself, found by walking up.
func reaches(d Definition, target string) map[string]bool {
	out := map[string]bool{}
	var up func(id string) bool
	up = func(id string) bool {
		return id == target || slices.ContainsFunc(d.Stage(id).Requisites, up)
	}
	for _, s := range d.Stages {
		out[s.RefID] = up(s.RefID)
	}
	return out
}

// TestReopen: an execution that failed begins again where it failed, with what was
// stopped beside it.
func TestReopen(t *testing.T) {
	d, err := Parse(json.RawMessage(`{"stages":[{"refId":"1","requisiteStageRefIds":[],"type":"wait","waitTime":1},{"refId":"2","requisiteStageRefIds":["1"],"type":"wait","waitTime":1},
		{"refId":"3","requisiteStageRefIds":[],"type":"wait","waitTime":1}]}`))
	if err != nil {
		t.Fatal(err)
	}
	e := delivery.Execution{ID: "x", Status: delivery.StatusTerminal, Version: 7, EndTime: time.Unix(9, 0), CanceledBy: "joe", CancellationReason: "why",
		Stages: NewStages(d, func() string { return "id" })}
	e.Stages[0].Status, e.Stages[1].Status, e.Stages[2].Status = delivery.StatusSucceeded, delivery.StatusTerminal, delivery.StatusCanceled
	again, err := Reopen(d, e, "2", "joe restarted it")
	if err != nil {
		t.Fatal(err)
	}
	if again.Status != delivery.StatusNotStarted || !again.EndTime.IsZero() || again.CanceledBy != "" || again.Restarts != 1 || again.Version != 8 {
		t.Errorf("reopened %+v", again)
	}
	if got := Ready(d, again.Stages); !slices.Equal(got, []string{"2", "3"}) {
		t.Errorf("ready %q", got)
	}
	if e.Stages[1].Status != delivery.StatusTerminal {
		t.Error("the old record changed")
	}
	for ref, kind := range map[string]delivery.Kind{"9": delivery.NotFound} {
		if _, err := Reopen(d, e, ref, ""); delivery.KindOf(err) != kind {
			t.Errorf("stage %s: %v", ref, err)
		}
	}
}

// TestDryRunIsNotReopened: what a dry run said of its stages, it never did.
func TestDryRunIsNotReopened(t *testing.T) {
	d, err := Parse(json.RawMessage(`{"stages":[{"refId":"1","requisiteStageRefIds":[],"type":"wait","waitTime":1},{"refId":"2","requisiteStageRefIds":["1"],"type":"wait","waitTime":1}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for document, refused := range map[string]bool{`{"dryRun":true}`: true, `{"dryRun":"true"}`: true, `{"dryRun":false}`: false, `{}`: false, ``: false} {
		for _, status := range []delivery.Status{delivery.StatusSucceeded, delivery.StatusTerminal, delivery.StatusSkipped, delivery.StatusNotStarted} {
			e := delivery.Execution{ID: "x", Status: delivery.StatusTerminal, Trigger: delivery.Trigger{Document: json.RawMessage(document)}, Stages: NewStages(d, func() string { return "id" })}
			e.Stages[0].Status = status
			again, err := Reopen(d, e, "1", "joe restarted it")
			if (delivery.KindOf(err) == delivery.Conflict && strings.Contains(err.Error(), "dry run")) != refused || (again.Restarts > 0) == refused {
				t.Errorf("trigger %s, stage %s: %v, restarts %d", document, status, err, again.Restarts)
			}
		}
	}
}

// TestReopenAtTheNextStage: an execution that was canceled between two stages begins again
// at the second one; a stage whose turn it was not does not.
func TestReopenAtTheNextStage(t *testing.T) {
	d, err := Parse(json.RawMessage(`{"stages":[{"refId":"1","requisiteStageRefIds":[],"type":"wait","waitTime":1},{"refId":"2","requisiteStageRefIds":["1"],"type":"wait","waitTime":1},
		{"refId":"3","requisiteStageRefIds":["2"],"type":"wait","waitTime":1}]}`))
	if err != nil {
		t.Fatal(err)
	}
	e := delivery.Execution{ID: "x", Status: delivery.StatusCanceled, Stages: NewStages(d, func() string { return "id" })}
	if _, err := Reopen(d, e, "2", ""); delivery.KindOf(err) != delivery.Conflict {
		t.Errorf("before its turn: %v", err)
	}
	for status, want := range map[delivery.Status]string{delivery.StatusSucceeded: "2", delivery.StatusFailedContinue: "2", delivery.StatusStopped: ""} {
		e.Stages[0].Status = status
		again, err := Reopen(d, e, "2", "joe restarted it")
		if got := strings.Join(Ready(d, again.Stages), " "); (err == nil) != (want != "") || err == nil && (got != want || again.Stages[1].Attempt != 0 || again.Stages[1].StatusReason != "joe restarted it" || again.Restarts != 1) {
			t.Errorf("after %s: %v, ready %q: %+v", status, err, got, again.Stages[1])
		}
		if _, err := Reopen(d, e, "3", ""); delivery.KindOf(err) != delivery.Conflict {
			t.Errorf("the one after the next: %v", err)
		}
	}
	if e.Stages[1].StatusReason != "" {
		t.Error("the old record changed")
	}
	e.Status, e.Stages[0].Status = delivery.StatusRunning, delivery.StatusSucceeded
	if _, err := Reopen(d, e, "2", ""); delivery.KindOf(err) != delivery.Conflict {
		t.Errorf("while it runs: %v", err)
	}
}
