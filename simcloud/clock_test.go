package simcloud_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/simcloud"
)

func TestAdvanceRunsCallbacksInOrder(t *testing.T) {
	clock := simcloud.NewClock(0)
	start := clock.Now()
	var order []string
	var times []time.Duration
	mark := func(name string) func() {
		return func() {
			order = append(order, name)
			times = append(times, clock.Now().Sub(start))
		}
	}
	clock.AfterFunc(3*time.Second, mark("three"))
	clock.AfterFunc(time.Second, func() {
		mark("one")()
		clock.AfterFunc(time.Second, mark("two"))
		clock.AfterFunc(time.Hour, mark("late"))
	})
	stopped := clock.AfterFunc(2*time.Second, mark("stopped"))
	if !stopped.Stop() || stopped.Stop() {
		t.Error("Stop must succeed once")
	}
	clock.Advance(10 * time.Second)
	if want := []string{"one", "two", "three"}; !slices.Equal(order, want) {
		t.Errorf("order = %v, want %v", order, want)
	}
	if want := []time.Duration{time.Second, 2 * time.Second, 3 * time.Second}; !slices.Equal(times, want) {
		t.Errorf("times = %v, want %v", times, want)
	}
	if got := clock.Now().Sub(start); got != 10*time.Second {
		t.Errorf("clock moved by %v, want 10s", got)
	}
}

func TestScaledClockPassesFaster(t *testing.T) {
	clock := simcloud.NewClock(3600)
	defer clock.Close()
	start, began := clock.Now(), time.Now()
	if err := clock.Sleep(t.Context(), 3*time.Minute); err != nil {
		t.Fatal(err)
	}
	if passed := clock.Now().Sub(start); passed < 3*time.Minute {
		t.Errorf("slept %v of simulated time, want at least 3m", passed)
	}
	if real := time.Since(began); real > 10*time.Second {
		t.Errorf("3 simulated minutes took %v", real)
	}
	if got := clock.Real(time.Hour, 0); got != time.Second {
		t.Errorf("Real(1h) = %v, want 1s", got)
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	clock := simcloud.NewClock(0)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- clock.Sleep(ctx, time.Hour) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Sleep = %v, want canceled", err)
	}
}

func TestLogNumbersAndBounds(t *testing.T) {
	clock := simcloud.NewClock(0)
	log := simcloud.NewLog(clock)
	for range 5 {
		log.Append(simcloud.Event{Kind: simcloud.APICall})
	}
	if got := log.After(3, 1); len(got) != 1 || got[0].Seq != 4 || !got[0].At.Equal(clock.Now()) {
		t.Errorf("After(3, 1) = %+v, want event 4 of now", got)
	}
	if got := log.After(9, 0); len(got) != 0 {
		t.Errorf("After(9) = %+v, want nothing", got)
	}
	found := make(chan simcloud.Event)
	go func() {
		e, _ := log.Await(t.Context(), 5, func(e simcloud.Event) bool { return e.Resource == "wanted" })
		found <- e
	}()
	log.Append(simcloud.Event{Resource: "other"})
	log.Append(simcloud.Event{Resource: "wanted"})
	if e := <-found; e.Seq != 7 {
		t.Errorf("Await returned event %d, want 7", e.Seq)
	}
}
