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
	Executions(ctx context.Context, f delivery.ExecutionFilter) ([]delivery.Execution, error)
	CreateExecution(ctx context.Context, n delivery.NewExecution) (e delivery.Execution, created bool, err error)
}

// endRecords is what a follower needs of the store.
type endRecords interface {
	startRecords
	PendingEnds(ctx context.Context, limit int) ([]delivery.ExecutionID, error)
	MarkFollowed(ctx context.Context, id delivery.ExecutionID) error
	Execution(ctx context.Context, id delivery.ExecutionID) (delivery.Execution, error)
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
	endsPage      = 100
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
	for ctx.Err() == nil {
		ids, err := f.store.PendingEnds(ctx, endsPage)
		if err != nil {
			f.report(ctx, "Ended executions were not read", "", err)
			return
		}
		followed := 0
		for _, id := range ids {
			if err := f.follow(ctx, id); err != nil {
				f.report(ctx, "What follows an execution was not started", id, err)
				continue
			}
			followed++
		}
		if followed == 0 || len(ids) < endsPage {
			return
		}
	}
}

// follow starts what waits for the end of one execution. Repeating it starts nothing
// twice: the execution's id is the correlation id of those that it starts.
func (f *Follower) follow(ctx context.Context, id delivery.ExecutionID) error {
	ended, err := f.store.Execution(ctx, id)
	switch {
	case err == nil:
		if err := f.startAll(ctx, ended); err != nil {
			return err
		}
	case delivery.KindOf(err) != delivery.NotFound:
		return err
	}
	return f.store.MarkFollowed(ctx, id)
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
	correlation := "ended/" + string(ended.ID)
	trigger, fires := definition.Fire(pipeline.EndEvent(ended), delivery.ChangeKey(correlation).Token())
	if !fires {
		return nil
	}
	trigger.CorrelationID = correlation
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
	if d.UsesPrior() {
		earlier, err := store.Executions(ctx, delivery.ExecutionFilter{PipelineConfigIDs: []string{p.ID}, Limit: pipeline.PriorLooks})
		if err != nil {
			return delivery.Execution{}, false, err
		}
		d = d.WithPrior(earlier)
	}
	start, err := pipeline.Start(p, d, t, newID, now)
	if delivery.KindOf(err) == delivery.Invalid {
		start, err = pipeline.FailedStart(p, d, t, newID, now, err), nil
	}
	if err != nil {
		return delivery.Execution{}, false, err
	}
	return store.CreateExecution(ctx, start)
}

func (f *Follower) report(ctx context.Context, message string, id delivery.ExecutionID, err error) {
	if ctx.Err() == nil {
		f.log.Warn(message, "execution", id, "error", err)
	}
}
