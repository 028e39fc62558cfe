package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// bareQueue is the task queue of the bare workflows. Their worker has the options
// of Slipway's and runs in the same process against the same server.
const bareQueue = "bench"

// work is what a workflow does: activities in sequence.
type work struct{ Activities, Local int }

func (w work) String() string {
	switch {
	case w.Local == 0:
		return fmt.Sprintf("%d activities", w.Activities)
	case w.Activities == 0:
		return fmt.Sprintf("%d local activities", w.Local)
	default:
		return fmt.Sprintf("%d activities, %d local", w.Activities, w.Local)
	}
}

// bareWorkflow does nothing, that often.
func bareWorkflow(ctx workflow.Context, w work) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 10 * time.Second})
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{StartToCloseTimeout: 10 * time.Second})
	for range w.Activities {
		if err := workflow.ExecuteActivity(ctx, nothing).Get(ctx, nil); err != nil {
			return err
		}
	}
	for range w.Local {
		if err := workflow.ExecuteLocalActivity(ctx, nothing).Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

func nothing(context.Context) error { return nil }

// bare starts bare workflows.
type bare struct {
	temporal client.Client
	started  atomic.Int64
}

// newBare starts a worker for bare workflows in the system.
func newBare(s *system) (*bare, error) {
	w := worker.New(s.temporal, bareQueue, worker.Options{MaxConcurrentWorkflowTaskPollers: 4, MaxConcurrentActivityTaskPollers: 4})
	w.RegisterWorkflow(bareWorkflow)
	w.RegisterActivity(nothing)
	if err := w.Start(); err != nil {
		return nil, err
	}
	s.add(func() error { w.Stop(); return nil })
	return &bare{temporal: s.temporal}, nil
}

// run carries one workflow out.
func (b *bare) run(ctx context.Context, w work) error {
	run, err := b.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: fmt.Sprintf("bare/%d", b.started.Add(1)),
		TaskQueue: bareQueue, WorkflowTaskTimeout: 5 * time.Second, EnableEagerStart: true}, bareWorkflow, w)
	if err != nil {
		return err
	}
	return run.Get(ctx, nil)
}
