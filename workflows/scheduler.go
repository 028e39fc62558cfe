package workflows

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// savedPipelines is what a scheduler needs of the store.
type savedPipelines interface {
	PipelinesSavedSince(ctx context.Context, since time.Time) ([]delivery.Pipeline, error)
}

// schedules is what a scheduler needs of the client.
type schedules interface {
	ensureSchedule(ctx context.Context, pipeline, trigger string) error
}

// Scheduler keeps a schedule running for each cron trigger of the saved pipelines.
// It looks at all of them once, then at what was saved since. Several do no harm:
// a schedule that runs is told that it may have changed.
type Scheduler struct {
	client schedules
	store  savedPipelines
	every  time.Duration
	log    *slog.Logger
	now    func() time.Time
	// looked is when the last look began, and seen the revisions that it found: the
	// next one goes back a little, since the clocks of several processes may differ.
	looked time.Time
	seen   map[string]int
}

// clockSkew is how much the clocks of processes that share a store may differ.
const clockSkew = time.Minute

// NewScheduler returns a scheduler; Run lets it work. It looks every second when
// every is zero.
func NewScheduler(c *Client, store savedPipelines, every time.Duration, logger *slog.Logger) *Scheduler {
	return newScheduler(c, store, every, logger)
}

func newScheduler(c schedules, store savedPipelines, every time.Duration, logger *slog.Logger) *Scheduler {
	if every <= 0 {
		every = time.Second
	}
	return &Scheduler{client: c, store: store, every: every, log: logger, now: time.Now, seen: map[string]int{}}
}

// Run keeps schedules until the context ends.
func (s *Scheduler) Run(ctx context.Context) {
	ticker := time.NewTicker(s.every)
	defer ticker.Stop()
	for {
		if err := s.look(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("Schedules were not looked at", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// look ensures the schedules of what was saved since the last look. After an error
// the same is looked at again.
func (s *Scheduler) look(ctx context.Context) error {
	began, from := s.now(), s.looked
	if !from.IsZero() {
		from = from.Add(-clockSkew)
	}
	saved, err := s.store.PipelinesSavedSince(ctx, from)
	if err != nil {
		return err
	}
	seen := make(map[string]int, len(saved))
	for _, p := range saved {
		if s.seen[p.ID] != p.Revision {
			if err := s.ensure(ctx, p); err != nil {
				return err
			}
		}
		seen[p.ID] = p.Revision
	}
	s.looked, s.seen = began, seen
	return nil
}

// ensure starts or tells the schedules of one pipeline. A trigger that went or was
// disabled needs nothing: its schedule finds out when it would fire next.
func (s *Scheduler) ensure(ctx context.Context, p delivery.Pipeline) error {
	definition, err := pipeline.Parse(p.Document)
	if err != nil {
		s.log.Warn("A pipeline is not scheduled", "pipeline", p.Name, "application", p.Application, "error", err)
		return nil
	}
	for _, t := range definition.Triggers {
		if t.Type == pipeline.CronType && t.Enabled && !p.Disabled && t.ID != "" {
			if err := s.client.ensureSchedule(ctx, p.ID, t.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// ensureSchedule starts a schedule, or tells a running one to read its trigger again.
func (c *Client) ensureSchedule(ctx context.Context, pipeline, trigger string) error {
	_, err := c.temporal.SignalWithStartWorkflow(ctx, scheduleID(pipeline, trigger), signalChanged, nil,
		client.StartWorkflowOptions{TaskQueue: TaskQueue, WorkflowTaskTimeout: taskTimeout,
			WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE}, scheduleType, ScheduleState{Pipeline: pipeline, Trigger: trigger})
	if err != nil {
		return fmt.Errorf("schedule trigger %s of pipeline %s: %w", trigger, pipeline, unavailable(err))
	}
	return nil
}
