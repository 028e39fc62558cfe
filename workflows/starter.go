package workflows

import (
	"context"
	"log/slog"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// outbox is what a starter needs of the store.
type outbox interface {
	PendingStarts(ctx context.Context, limit int) ([]delivery.PendingStart, error)
	MarkStarted(ctx context.Context, p delivery.PendingStart) error
}

// starts is what a starter needs of the client.
type starts interface {
	StartExecution(ctx context.Context, id delivery.ExecutionID) error
}

// Starter starts the workflows of accepted executions. Accepting is one
// transaction of the store; an execution whose process died right after it is
// found here by the next one. Several starters do no harm.
type Starter struct {
	client starts
	store  outbox
	every  time.Duration
	log    *slog.Logger
	wake   chan struct{}
}

// StarterOptions are the options of a Starter.
type StarterOptions struct {
	// Every is how often the outbox is looked at without being told; 1 s when zero.
	Every  time.Duration
	Logger *slog.Logger
}

// outboxPage is how many starts are read at once.
const outboxPage = 100

// NewStarter returns a starter; Run lets it work.
func NewStarter(client starts, store outbox, o StarterOptions) *Starter {
	if o.Every <= 0 {
		o.Every = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Starter{client: client, store: store, every: o.Every, log: o.Logger, wake: make(chan struct{}, 1)}
}

// Notify says that something was accepted. It never blocks.
func (s *Starter) Notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run starts what the outbox holds, and goes on until the context ends.
func (s *Starter) Run(ctx context.Context) {
	ticker := time.NewTicker(s.every)
	defer ticker.Stop()
	for {
		s.drain(ctx)
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-ticker.C:
		}
	}
}

// drain starts everything pending. One that cannot be started stays in the
// outbox and does not hold up the others.
func (s *Starter) drain(ctx context.Context) {
	for ctx.Err() == nil {
		pending, err := s.store.PendingStarts(ctx, outboxPage)
		if err != nil {
			s.report(ctx, "Outbox was not read", "", err)
			return
		}
		started := 0
		for _, p := range pending {
			if err := s.start(ctx, p); err != nil {
				s.report(ctx, "Execution was not started", p.Execution, err)
				continue
			}
			started++
		}
		if started == 0 || len(pending) < outboxPage {
			return
		}
	}
}

func (s *Starter) start(ctx context.Context, p delivery.PendingStart) error {
	if err := s.client.StartExecution(ctx, p.Execution); err != nil {
		return err
	}
	return s.store.MarkStarted(ctx, p)
}

func (s *Starter) report(ctx context.Context, message string, id delivery.ExecutionID, err error) {
	if ctx.Err() == nil {
		s.log.Warn(message, "execution", id, "error", err)
	}
}
