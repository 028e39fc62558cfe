package workflows

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// startRecords is what starting a pipeline without people needs of the store.
type startRecords interface {
	environmentRecords
	Executions(ctx context.Context, f delivery.ExecutionFilter) ([]delivery.Execution, error)
	CreateExecution(ctx context.Context, n delivery.NewExecution) (e delivery.Execution, created bool, err error)
}

// endRecords is what a follower needs of the store.
type endRecords interface {
	startRecords
	// PendingEnds are executions as they ended.
	PendingEnds(ctx context.Context, after int64, limit int) ([]delivery.PendingEnd, error)
	MarkFollowed(ctx context.Context, id delivery.ExecutionID, restarts int) error
	TriggeredPipelines(ctx context.Context, kind, source, after string, limit int) ([]delivery.Pipeline, error)
}

// Follower starts the pipelines that wait for the end of others. The store notes an
// end in the transaction that records it, and the note stays until everything that
// follows is recorded: a process that dies in between is taken over from by the next
// one. Several followers do no harm.
type Follower struct {
	store endRecords
	every time.Duration
	log   *slog.Logger
	now   func() time.Time
	wake  chan struct{}
}

// The pages in which a follower reads.
const (
	endsPage      = 20 // whole executions
	triggeredPage = 100
)

// NewFollower returns a follower; Run lets it work. It looks every second without
// being told when every is zero.
func NewFollower(store endRecords, every time.Duration, logger *slog.Logger) *Follower {
	if every <= 0 {
		every = time.Second
	}
	if logger == nil {
		logger = slog.Default()
	}
	return &Follower{store: store, every: every, log: logger, now: time.Now, wake: make(chan struct{}, 1)}
}

// Notify says that something has ended. It never blocks.
func (f *Follower) Notify() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Run follows what has ended, and goes on until the context ends.
func (f *Follower) Run(ctx context.Context) {
	ticker := time.NewTicker(f.every)
	defer ticker.Stop()
	for {
		f.drain(ctx)
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		case <-ticker.C:
		}
	}
}

// drain follows every end. One that cannot be followed now stays, and does not hold
// up the others.
func (f *Follower) drain(ctx context.Context) {
	for after := int64(0); ctx.Err() == nil; {
		ends, err := f.store.PendingEnds(ctx, after, endsPage)
		if err != nil {
			f.report(ctx, "Ended executions were not read", "", err)
			return
		}
		for _, ended := range ends {
			if err := f.follow(ctx, ended.Execution); err != nil {
				f.report(ctx, "What follows an execution was not started", ended.ID, err)
			}
			after = ended.Place
		}
		if len(ends) < endsPage {
			return
		}
	}
}

// follow starts what waits for one end of an execution. Repeating it starts nothing
// twice: the end is the correlation id of those that it starts.
func (f *Follower) follow(ctx context.Context, ended delivery.Execution) error {
	if err := f.startAll(ctx, ended); err != nil {
		return err
	}
	return f.store.MarkFollowed(ctx, ended.ID, ended.Restarts)
}

func (f *Follower) startAll(ctx context.Context, ended delivery.Execution) error {
	after := ""
	for {
		page, err := f.store.TriggeredPipelines(ctx, pipeline.PipelineType, ended.PipelineConfigID, after, triggeredPage)
		if err != nil {
			return err
		}
		for _, p := range page {
			if err := f.start(ctx, p, ended); err != nil {
				return fmt.Errorf("start pipeline %s of %s: %w", p.Name, p.Application, err)
			}
			after = p.ID
		}
		if len(page) < triggeredPage {
			return nil
		}
	}
}

// start starts one pipeline when the end fires one of its triggers. A start that is
// not valid is recorded as a failed one.
func (f *Follower) start(ctx context.Context, p delivery.Pipeline, ended delivery.Execution) error {
	definition, err := pipeline.Parse(p.Document)
	if err != nil {
		f.log.Warn("A pipeline cannot be read; the end of another does not start it", "pipeline", p.Name, "application", p.Application, "parent", ended.ID, "error", err)
		return nil
	}
	trigger, fires := definition.Fire(pipeline.EndEvent(ended), delivery.ChangeKey(pipeline.EndKey(ended)).Token())
	if !fires {
		return nil
	}
	trigger.CorrelationID = pipeline.EndKey(ended)
	e, created, err := createUnattended(ctx, f.store, p, definition, trigger, f.now())
	if err == nil && created {
		f.log.Info("The end of a pipeline started another", "pipeline", p.Name, "application", p.Application, "parent", ended.ID, "execution", e.ID, "status", e.Status)
	}
	return err
}

// createUnattended records the start of a pipeline that nobody waits for: one that is
// not valid is recorded as an execution that failed, with the reason. Expected
// artifacts may be bound to those of earlier executions.
func createUnattended(ctx context.Context, store startRecords, p delivery.Pipeline, d pipeline.Definition, t delivery.Trigger, now time.Time) (delivery.Execution, bool, error) {
	d, err := withPrior(ctx, store, p, d)
	if err != nil {
		return delivery.Execution{}, false, err
	}
	start, err := startOf(ctx, store, p, d, t, "", now)
	if delivery.KindOf(err) == delivery.Invalid {
		start, err = pipeline.FailedStart(p, d, t, newID, now, err), nil
	}
	if err != nil {
		return delivery.Execution{}, false, err
	}
	return store.CreateExecution(ctx, start)
}

// priorRecords is what tells the earlier executions of a pipeline.
type priorRecords interface {
	Executions(ctx context.Context, f delivery.ExecutionFilter) ([]delivery.Execution, error)
}

// withPrior is a definition with what its earlier executions were bound to, where it
// falls back on that.
func withPrior(ctx context.Context, store priorRecords, p delivery.Pipeline, d pipeline.Definition) (pipeline.Definition, error) {
	if !d.UsesPrior() {
		return d, nil
	}
	earlier, err := store.Executions(ctx, delivery.ExecutionFilter{PipelineConfigIDs: []string{p.ID}, Limit: pipeline.PriorLooks})
	return d.WithPrior(earlier), err
}

func (f *Follower) report(ctx context.Context, message string, id delivery.ExecutionID, err error) {
	if ctx.Err() == nil {
		f.log.Warn(message, "execution", id, "error", err)
	}
}
