package storetest

import (
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// limited is an execution of a pipeline that runs one at a time.
func limited(n int, keep bool) delivery.Execution {
	e := execution(n)
	e.LimitConcurrent, e.KeepWaitingPipelines = true, keep
	return e
}

// admission: an execution that waits is not started, the end of another lets it begin,
// and those that it overtakes are canceled with the reason.
func admission(t *testing.T, open Opener) {
	for _, keep := range []bool{false, true} {
		s, ctx := open(t), t.Context()
		for n := 1; n <= 4; n++ {
			create(t, s, limited(n, keep))
		}
		other := limited(5, keep)
		other.PipelineConfigID = "5b8e0f52-3d8e-4a49-9d3c-0a0000000002"
		create(t, s, other)
		task := limited(6, keep)
		task.PipelineConfigID = ""
		create(t, s, task)
		pending := func(want ...int) {
			t.Helper()
			got := pendingStarts(t, s, 0)
			wanted := []delivery.ExecutionID{}
			for _, n := range want {
				wanted = append(wanted, execution(n).ID)
			}
			same(t, got, wanted)
		}
		pending(1, 5, 6)
		end := func(n int) {
			t.Helper()
			e := limited(n, keep)
			e.Status, e.Version, e.EndTime = delivery.StatusTerminal, 2, after(time.Hour)
			for range 2 { // repeating it changes nothing
				_, err := s.ProjectExecution(ctx, e, nil)
				noError(t, err)
				markStarted(t, s, e.ID)
			}
		}
		end(1)
		if keep {
			pending(2, 5, 6)
			end(2)
			pending(3, 5, 6)
			continue
		}
		pending(4, 5, 6)
		for _, n := range []int{2, 3} {
			e, err := s.Execution(ctx, execution(n).ID)
			noError(t, err)
			if e.Status != delivery.StatusCanceled || e.CanceledBy != "system" || !e.EndTime.Equal(after(time.Hour)) || e.Version != 2 ||
				e.CancellationReason != "a newer execution of the pipeline began in its place: "+string(execution(4).ID) {
				t.Errorf("overtaken: %+v", e)
			}
			list, err := s.Events(ctx, e.ID, 0, 10)
			noError(t, err)
			if len(list) != 1 || list[0].Type != delivery.EventExecution {
				t.Errorf("events %+v", list)
			}
		}
	}
}

// overtakenByRestart: what waits is canceled for an older execution that was restarted
// after it came, and is told so.
func overtakenByRestart(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	end := func(n int, version int64) delivery.Execution {
		t.Helper()
		e, err := s.Execution(ctx, execution(n).ID)
		noError(t, err)
		e.Status, e.Version, e.EndTime = delivery.StatusTerminal, version, after(time.Hour)
		_, err = s.ProjectExecution(ctx, e, nil)
		noError(t, err)
		markStarted(t, s, e.ID)
		return e
	}
	create(t, s, limited(1, false))
	old := end(1, 2)
	create(t, s, limited(2, false))
	create(t, s, limited(3, false)) // waits for the second
	old.Status, old.Version, old.Restarts = delivery.StatusNotStarted, 3, 1
	noError(t, s.ReopenExecution(ctx, old, delivery.Event{Execution: old.ID, Key: "execution/3/0", At: after(time.Hour), Type: delivery.EventExecution, Data: []byte(`{}`)}))
	end(2, 2)
	e, err := s.Execution(ctx, execution(3).ID)
	noError(t, err)
	if e.Status != delivery.StatusCanceled || e.CancellationReason != "an execution of the pipeline that was restarted later began in its place: "+string(old.ID) {
		t.Errorf("overtaken: %s, %q", e.Status, e.CancellationReason)
	}
}

// waitingCanceled: a cancel of what waits works at once and once, frees no place, and
// leaves alone what does not wait.
func waitingCanceled(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	for n := 1; n <= 3; n++ {
		create(t, s, limited(n, true))
	}
	waits := func(n int, want bool) {
		t.Helper()
		got, err := s.Waits(ctx, execution(n).ID)
		noError(t, err)
		same(t, got, want)
	}
	cancel := func(n int, want bool) {
		t.Helper()
		got, err := s.CancelWaiting(ctx, execution(n).ID, delivery.Principal{Name: "joe"}, "enough", after(time.Minute))
		noError(t, err)
		same(t, got, want)
	}
	waits(1, false)
	waits(2, true)
	waits(9, false)
	cancel(1, false)
	cancel(9, false)
	cancel(2, true)
	cancel(2, false)
	waits(2, false)
	waits(3, true)
	e, err := s.Execution(ctx, execution(2).ID)
	noError(t, err)
	if e.Status != delivery.StatusCanceled || e.CanceledBy != "joe" || e.CancellationReason != "enough" || !e.EndTime.Equal(after(time.Minute)) {
		t.Errorf("canceled: %+v", e)
	}
}

// admissionAtOnce: however many are accepted and end at once, one runs.
func admissionAtOnce(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	const many = 12
	done := make(chan error, many)
	for n := 1; n <= many; n++ {
		go func() {
			_, _, err := s.CreateExecution(ctx, delivery.NewExecution{Execution: limited(n, true)})
			done <- err
		}()
	}
	for range many {
		noError(t, <-done)
	}
	ran := map[delivery.ExecutionID]bool{}
	for range many {
		got := pendingStarts(t, s, 0)
		if len(got) != 1 || ran[got[0]] {
			t.Fatalf("%v are to be started after %d ran", got, len(ran))
		}
		ran[got[0]] = true
		e, err := s.Execution(ctx, got[0])
		noError(t, err)
		markStarted(t, s, e.ID)
		e.Status, e.Version = delivery.StatusSucceeded, 2
		for range 3 {
			go func() { _, err := s.ProjectExecution(ctx, e, nil); done <- err }()
		}
		for range 3 {
			noError(t, <-done)
		}
	}
	if got, err := s.PendingStarts(ctx, 0); err != nil || len(got) > 0 {
		t.Errorf("left: %v, %v", got, err)
	}
}
