package workflows

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/temporal"

	"github.com/slipway-cd/slipway/delivery"
)

func TestErrorsKeepTheirKind(t *testing.T) {
	finding := []delivery.Finding{{Pointer: "/amiName", Message: "unknown"}}
	for _, test := range []struct {
		name  string
		err   error
		retry bool
		pause time.Duration
		want  delivery.Failure
	}{
		{"throttled", &delivery.Error{Kind: delivery.Throttled, Message: "slow down", RetryAfter: 7 * time.Second}, true, 7 * time.Second,
			delivery.Failure{Kind: "throttled", Message: "slow down"}},
		{"transient, wrapped", fmt.Errorf("resize: %w", delivery.Errorf(delivery.Transient, "reset")), true, 0, delivery.Failure{Kind: "transient", Message: "resize: reset"}},
		{"nobody's", errors.New("boom"), true, 0, delivery.Failure{Kind: "internal", Message: "boom"}},
		{"invalid", &delivery.Error{Kind: delivery.Invalid, Message: "bad", Findings: finding}, false, 0,
			delivery.Failure{Kind: "invalid", Message: "bad: /amiName: unknown", Findings: finding}},
		{"denied", delivery.Errorf(delivery.Denied, "no"), false, 0, delivery.Failure{Kind: "denied", Message: "no"}},
		{"not found", delivery.Errorf(delivery.NotFound, "no"), false, 0, delivery.Failure{Kind: "not_found", Message: "no"}},
		{"quota", delivery.Errorf(delivery.Quota, "no"), false, 0, delivery.Failure{Kind: "quota", Message: "no"}},
		{"guarded", delivery.Errorf(delivery.Guarded, "no"), false, 0, delivery.Failure{Kind: "guarded", Message: "no"}},
		{"fenced", delivery.Errorf(delivery.Fenced, "no"), false, 0, delivery.Failure{Kind: "fenced", Message: "no"}},
		{"conflict", delivery.Errorf(delivery.Conflict, "no"), false, 0, delivery.Failure{Kind: "conflict", Message: "no"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := applicationError(test.err)
			var application *temporal.ApplicationError
			if !errors.As(err, &application) || application.NonRetryable() == test.retry || application.NextRetryDelay() != test.pause {
				t.Errorf("error %#v", err)
			}
			if err := waitedOut(test.err); !errors.As(err, &application) || application.NonRetryable() {
				t.Errorf("a read is not repeated after %v", err)
			}
			test.want.Step = "a step"
			if diff := cmp.Diff(test.want, failureOf("a step", err)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if err := applicationError(context.Canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancel became %v", err)
	}
	if err := applicationError(nil); err != nil {
		t.Errorf("nothing became %v", err)
	}
}

// flaky starts executions but for some.
type flaky struct {
	refused map[delivery.ExecutionID]int // how often yet
	started []delivery.ExecutionID
	all     chan struct{}
}

func (f *flaky) StartExecution(_ context.Context, id delivery.ExecutionID) error {
	if f.refused[id] > 0 {
		f.refused[id]--
		return delivery.Errorf(delivery.Unavailable, "not now")
	}
	if f.started = append(f.started, id); len(f.started) == 3 {
		close(f.all)
	}
	return nil
}

// TestStarterStartsEverythingOnce also when one start is refused for a while.
func TestStarterStartsEverythingOnce(t *testing.T) {
	store := newMemory(1)
	for _, id := range []delivery.ExecutionID{"a", "b", "c"} {
		store.enqueue(id)
	}
	f := &flaky{refused: map[delivery.ExecutionID]int{"a": 2}, all: make(chan struct{})}
	s := NewStarter(f, store, StarterOptions{Every: time.Millisecond, Logger: discard()})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	<-f.all
	stop()
	<-ended
	if diff := cmp.Diff([]delivery.ExecutionID{"b", "c", "a"}, f.started); diff != "" {
		t.Error(diff)
	}
	s.drain(t.Context())
	if len(f.started) > 3 && f.started[3] != "a" || len(store.outbox) != 0 {
		t.Errorf("started %v, still in the outbox %v", f.started, store.outbox)
	}
}

// TestACancelOvertakesPauseAndResume: buttons that would do nothing say so.
func TestACancelOvertakesPauseAndResume(t *testing.T) {
	x := &execution{canceled: true}
	if err := x.acceptUncanceled(Command{}); !kindIs(err, delivery.Conflict.String()) {
		t.Errorf("a pause after a cancel: %v, want a conflict", err)
	}
	if err := x.accept(); err != nil {
		t.Errorf("a second cancel: %v", err)
	}
	x = &execution{}
	if err := x.acceptUncanceled(Command{}); err != nil {
		t.Errorf("a pause: %v", err)
	}
}
