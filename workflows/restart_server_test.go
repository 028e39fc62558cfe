//go:build !race

package workflows

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/internal/fakecloud"
)

// TestRestartsOnAServer presses restart many times at once on an execution that has
// failed: one attempt follows, the others are told so, and starting it again and again
// makes no second workflow of it.
func TestRestartsOnAServer(t *testing.T) {
	t.Parallel()
	l := startLive(t, `{"stages":[{"refId":"1","type":"wait","waitTime":"${nobody}"}]}`, fakecloud.Config{})
	ended := func(restarts int) func(delivery.Execution, delivery.Deployment) bool {
		return func(e delivery.Execution, _ delivery.Deployment) bool {
			return e.Status.Complete() && e.Restarts == restarts
		}
	}
	first, _ := l.until(t, "the first end", ended(0))
	command := pipeline.StageCommand{Stage: "1", Action: pipeline.RestartStage, By: delivery.Principal{Name: "joe"}}
	for round := 1; round <= 2; round++ {
		var all sync.WaitGroup
		results := make([]error, 20)
		for i := range results {
			all.Go(func() { results[i] = l.client.UpdateStage(t.Context(), testExecution, command) })
		}
		all.Wait()
		taken := 0
		for _, err := range results {
			switch {
			case err == nil:
				taken++
			case delivery.KindOf(err) != delivery.Conflict:
				t.Errorf("neither restarted nor refused: %v", err)
			}
		}
		if taken == 0 {
			t.Fatal("nobody's restart was taken")
		}
		e, _ := l.until(t, "the next end", func(e delivery.Execution, _ delivery.Deployment) bool {
			return e.Status.Complete() && e.Stages[0].Attempt >= first.Stages[0].Attempt+1 && e.Restarts == e.Stages[0].Attempt-1
		})
		if e.Status != delivery.StatusTerminal || !e.StartTime.Equal(first.StartTime) || e.Restarts > first.Restarts+taken {
			t.Errorf("after %d restarts: %s, %d restarts, started %s and %s", taken, e.Status, e.Restarts, first.StartTime, e.StartTime)
		}
		for range 3 {
			if err := l.client.StartExecution(t.Context(), testExecution); err != nil {
				t.Error(err)
			}
		}
		first = e
	}
	if again, _ := l.until(t, "the end", ended(first.Restarts)); again.Version != first.Version {
		t.Errorf("version %d became %d", first.Version, again.Version)
	}
}

// TestLargeExecution: five hundred stages, ten side by side, stay far below what
// Temporal allows for one workflow.
func TestLargeExecution(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	t.Parallel()
	const wide, deep = 10, 50
	var stages []string
	for i := range wide * deep {
		before := ""
		if i >= wide {
			before = fmt.Sprintf(`"%d"`, i-wide)
		}
		stages = append(stages, fmt.Sprintf(`{"refId":"%d","requisiteStageRefIds":[%s],"type":"wait","waitTime":0}`, i, before))
	}
	l := startLive(t, `{"stages":[`+strings.Join(stages, ",")+`]}`, fakecloud.Config{})
	for _, done := range []int{100, 200, 300, 400, 499} { // a busy machine takes a while
		l.until(t, fmt.Sprint("stage ", done), func(e delivery.Execution, _ delivery.Deployment) bool { return e.Stages[done].Status.Complete() })
	}
	e, _ := l.until(t, "the end", func(e delivery.Execution, _ delivery.Deployment) bool { return e.Status.Complete() })
	if err := l.client.temporal.GetWorkflow(t.Context(), testExecution.WorkflowID(), "").Get(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	d, err := l.client.temporal.DescribeWorkflowExecution(t.Context(), testExecution.WorkflowID(), "")
	if err != nil {
		t.Fatal(err)
	}
	info := d.GetWorkflowExecutionInfo()
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d events, %d bytes of history, %d projections, %d bytes of record", e.Status, info.GetHistoryLength(), info.GetHistorySizeBytes(), e.Version, len(body))
	if e.Status != delivery.StatusSucceeded || info.GetHistoryLength() > 10_000 || info.GetHistorySizeBytes() > 10<<20 || len(body) > 500<<10 {
		t.Error("too much")
	}
}

// TestLargeOutputs: stages that put out as much as they may, more together than Temporal
// takes in one payload (2 MB), succeed, and so does a restart after the end.
func TestLargeOutputs(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	t.Parallel()
	const stages, wide, size = 48, 16, 60 << 10
	variable := func(refID int, before, value string) string {
		return fmt.Sprintf(`{"refId":"%d","requisiteStageRefIds":[%s],"type":"evaluateVariables","variables":[{"key":"v","value":"%s"}]}`, refID, before, value)
	}
	document := []string{variable(0, "", strings.Repeat("x", size))}
	for i := 1; i < stages; i++ {
		document = append(document, variable(i, fmt.Sprintf(`"%d"`, max(0, i-wide)), "${v}"))
	}
	l := startLive(t, `{"stages":[`+strings.Join(document, ",")+`]}`, fakecloud.Config{})
	over := func(attempt int) func(e delivery.Execution, _ delivery.Deployment) bool {
		return func(e delivery.Execution, _ delivery.Deployment) bool {
			return e.Status.Complete() && max(e.Stages[stages-1].Attempt, 1) == attempt
		}
	}
	for done := 0; done < stages; done += 6 { // a busy machine takes a while
		l.until(t, fmt.Sprint("stage ", done), func(e delivery.Execution, _ delivery.Deployment) bool { return e.Stages[done].Status.Complete() })
	}
	check := func(e delivery.Execution) {
		t.Helper()
		total := 0
		for _, s := range e.Stages {
			if total += len(s.Outputs); len(s.Outputs) < size || len(s.Outputs) > maxOutputs {
				t.Errorf("stage %s is %s with %d bytes of outputs: %v", s.RefID, s.Status, len(s.Outputs), s.Failure)
			}
		}
		d, err := l.client.temporal.DescribeWorkflowExecution(t.Context(), testExecution.WorkflowID(), "")
		if err != nil {
			t.Fatal(err)
		}
		info := d.GetWorkflowExecutionInfo()
		t.Logf("%s: %d bytes of outputs, %d events, %d bytes of history", e.Status, total, info.GetHistoryLength(), info.GetHistorySizeBytes())
		if e.Status != delivery.StatusSucceeded || info.GetHistorySizeBytes() > int64(stages*(maxOutputs+4<<10)) {
			t.Error("too much, or it did not succeed")
		}
	}
	e, _ := l.until(t, "the end", over(1))
	check(e)
	restart := pipeline.StageCommand{Stage: fmt.Sprint(stages - 1), Action: pipeline.RestartStage, By: delivery.Principal{Name: "joe"}}
	if err := l.client.UpdateStage(t.Context(), testExecution, restart); err != nil {
		t.Fatal(err)
	}
	e, _ = l.until(t, "the end of the restart", over(2))
	check(e)
}
