package workflows

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// The limits of a worker.
const (
	// slots are the activities at once. Waiting deployments hold one each.
	slots = 1000
	// stopTime is how long a stopping worker lets activities end.
	stopTime = 5 * time.Second
)

// Worker carries workflows and activities out.
type Worker struct {
	worker worker.Worker
	client *Client
	log    *slog.Logger
}

// NewWorker returns a worker on TaskQueue; Start lets it work.
func NewWorker(c *Client, d Dependencies) *Worker {
	activities := newActivities(d, c)
	w := worker.New(c.temporal, TaskQueue, worker.Options{
		MaxConcurrentActivityExecutionSize: slots,
		WorkerStopTimeout:                  stopTime,
		// A heartbeat is a write to Temporal's store and says only that the worker
		// lives, so it is sent as rarely as the timeouts allow: after 80 % of them.
		MaxHeartbeatThrottleInterval: advanceOptions.HeartbeatTimeout,
		// Waking up after a restart must not wait for a cluster's rate limit.
		MaxConcurrentWorkflowTaskPollers: 4,
		MaxConcurrentActivityTaskPollers: 4,
	})
	register(w, activities)
	return &Worker{worker: w, client: c, log: activities.deps.Logger}
}

// registry is what workflows and activities are registered with: a worker, a
// replayer or a test environment.
type registry interface {
	RegisterWorkflowWithOptions(w any, options workflow.RegisterOptions)
}

func registerWorkflows(r registry) {
	r.RegisterWorkflowWithOptions(Execution, workflow.RegisterOptions{Name: executionType})
	r.RegisterWorkflowWithOptions(Deployment, workflow.RegisterOptions{Name: deploymentType})
	r.RegisterWorkflowWithOptions(ClusterLock, workflow.RegisterOptions{Name: lockType})
	r.RegisterWorkflowWithOptions(Schedule, workflow.RegisterOptions{Name: scheduleType})
}

// register makes workflows and activities known under the names that stand in
// histories.
func register(r interface {
	registry
	RegisterActivityWithOptions(a any, options activity.RegisterOptions)
}, a *Activities) {
	registerWorkflows(r)
	r.RegisterActivityWithOptions(a, activity.RegisterOptions{})
}

// Start begins to work and wakes the deployments that an earlier process left in
// the middle of a look.
func (w *Worker) Start(ctx context.Context) error {
	if err := w.worker.Start(); err != nil {
		return fmt.Errorf("start worker: %w", err)
	}
	woken, err := w.client.wakeDeployments(ctx)
	if err != nil {
		// They go on all the same, once their heartbeats are overdue.
		w.log.Warn("Deployments were not woken", "error", err)
		return nil
	}
	if woken > 0 {
		w.log.Info("Deployments were woken", "deployments", woken)
	}
	return nil
}

// Stop lets running activities end, for a few seconds, and stops.
func (w *Worker) Stop() { w.worker.Stop() }
