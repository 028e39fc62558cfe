package workflows

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/slipway-cd/slipway/delivery"
)

// recorder is what the workflows need of the store.
type recorder interface {
	Execution(ctx context.Context, id delivery.ExecutionID) (delivery.Execution, error)
	ExecutionDefinition(ctx context.Context, id delivery.ExecutionID) (json.RawMessage, error)
	startRecords
	pipelineRecords
	ProjectExecution(ctx context.Context, e delivery.Execution, events []delivery.Event) (stored bool, err error)
	RecordDeployment(ctx context.Context, d delivery.Deployment, events []delivery.Event) (stored bool, err error)
	Deployment(ctx context.Context, id delivery.DeploymentID) (delivery.Deployment, error)
	ClusterDeployments(ctx context.Context, clusterKey string, limit int) ([]delivery.Deployment, error)
	Pipeline(ctx context.Context, application, nameOrID string) (delivery.Pipeline, error)
	PipelineByID(ctx context.Context, id string) (delivery.Pipeline, error)
	Application(ctx context.Context, name string) (delivery.Application, error)
	AllocateSequence(ctx context.Context, clusterKey string, deployment delivery.DeploymentID, floor int, taken []int) (int, error)
	NextFence(ctx context.Context, clusterKey, holder string) (int64, error)
	Fence(ctx context.Context, clusterKey string) (int64, error)
}

// engine is what activities need of Temporal; Client implements it.
type engine interface {
	StartExecution(ctx context.Context, id delivery.ExecutionID) error
	Cancel(ctx context.Context, id delivery.ExecutionID, by delivery.Principal, reason string) error
	requestLock(ctx context.Context, clusterKey string, r LockRequest) error
	isOpen(ctx context.Context, workflowID string) (bool, error)
}

// Dependencies are what a worker needs of the rest of the program.
type Dependencies struct {
	Targets delivery.Targets
	// Metrics is nil where nothing is measured; a check then meets an error.
	Metrics delivery.Metrics
	Store   recorder
	// HTTP calls systems that are no clouds; with nil nothing may be called.
	HTTP delivery.HTTPCaller
	// Logger is nil for the default logger.
	Logger *slog.Logger
	Poll   Poll
	// OnCall is told of every call of a target; nil for nobody. It must not block.
	OnCall func(Call)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Call is one call of a target, for metrics.
type Call struct {
	// Operation is "observe", "validate", "measure" or the kind of the change.
	Operation string
	Cluster   delivery.Cluster
	// Err is nil when it succeeded.
	Err  error
	Took time.Duration
}

// Poll is how often a cluster is looked at while a deployment waits. The pause
// between two looks grows from Min to Max.
type Poll struct {
	// Min is 1 s when zero, Max 5 s.
	Min, Max time.Duration
	// Hold is how long one activity goes on looking before the workflow takes
	// over for a moment; 5 minutes when zero, and one look when negative.
	Hold time.Duration
}

func (p Poll) withDefaults() Poll {
	if p.Min <= 0 {
		p.Min = time.Second
	}
	if p.Max <= 0 {
		p.Max = 5 * time.Second
	}
	p.Max = max(p.Min, p.Max)
	if p.Hold == 0 {
		p.Hold = 5 * time.Minute
	}
	return p
}

// Activities are everything the workflows do. Each method finds what it works
// on, makes its calls and classifies the error.
type Activities struct {
	deps        Dependencies
	engine      engine
	definitions definitions
}

func newActivities(d Dependencies, e engine) *Activities {
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	if d.HTTP == nil {
		d.HTTP = noHTTP{}
	}
	if d.OnCall == nil {
		d.OnCall = func(Call) {}
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	d.Poll = d.Poll.withDefaults()
	return &Activities{deps: d, engine: e}
}

// newID makes the ids of executions and stages, which sort by time.
func newID() string { return ulid.Make().String() }

// call makes one call of a target, bounded in time and counted.
func (a *Activities) call(ctx context.Context, operation string, cluster delivery.Cluster, do func(context.Context, delivery.Target) error) error {
	target, err := a.deps.Targets.Target(cluster)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	start := time.Now()
	err = do(ctx, target)
	if err != nil && ctx.Err() != nil && delivery.KindOf(err) == delivery.Internal {
		err = delivery.Errorf(delivery.Transient, "%s %s: no answer in time: %w", operation, cluster.Key(), err)
	}
	a.deps.OnCall(Call{Operation: operation, Cluster: cluster, Err: err, Took: time.Since(start)})
	return err
}

// RequestLock asks the cluster's lock for the cluster. The lock answers with the
// signal "granted".
func (a *Activities) RequestLock(ctx context.Context, clusterKey string, r LockRequest) error {
	return applicationError(a.engine.requestLock(ctx, clusterKey, r))
}

// NextFence returns the fencing token of a holder of the cluster's lock.
func (a *Activities) NextFence(ctx context.Context, clusterKey, holder string) (int64, error) {
	fence, err := a.deps.Store.NextFence(ctx, clusterKey, holder)
	return fence, applicationError(err)
}

// IsHolderAlive reports whether the workflow that holds a lock is still open.
func (a *Activities) IsHolderAlive(ctx context.Context, holder string) (bool, error) {
	open, err := a.engine.isOpen(ctx, holder)
	return open, applicationError(err)
}
