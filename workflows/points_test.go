package workflows

import (
	"context"
	"sync"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"github.com/slipway-cd/slipway/delivery"
)

// unnoticed is how long it takes until somebody notices that a worker died: the
// heartbeat timeout of a change.
var unnoticed = applyOptions.HeartbeatTimeout

// points numbers the calls of the cloud, of the store and of Temporal that the
// activities make, and lets the worker die at one of them.
type points struct {
	interceptor.WorkerInterceptorBase
	// dieAt is the number of the call at which the worker dies; 0 for never. It dies
	// before the call has its effect, or after.
	dieAt int
	after bool

	mu sync.Mutex
	// calls, commits and others count the calls of the cloud, the writes to the store,
	// and what else was called.
	calls, commits, others int
	// made is the call of the present number, for the report of a failure.
	made string
	died bool
	// task are the commits of the present workflow task: those since an activity was
	// last begun. Temporal knows of none of them before the task is over.
	task []func(context.Context)
}

// attempt is one attempt of an activity. Nothing that it calls has an effect any
// more once its worker died.
type attempt struct{ dead bool }

type attemptKey struct{}

// errDead is what a dead worker gets from all that it calls. It hears of it no more.
var errDead = delivery.Errorf(delivery.Transient, "the worker is dead")

// all is the number of the latest point; whoever asks holds the lock, or the
// deployment has ended.
func (p *points) all() int { return p.calls + p.commits + p.others }

// reached is the number of the latest point while the deployment is carried out.
func (p *points) reached() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all()
}

// point is one call. It counts one of the three.
func (p *points) point(ctx context.Context, name string, count *int, do func(context.Context) error) error {
	a, inside := ctx.Value(attemptKey{}).(*attempt)
	p.mu.Lock()
	if inside && a.dead {
		p.mu.Unlock()
		return errDead
	}
	*count++
	dies := inside && p.all() == p.dieAt
	if dies {
		a.dead, p.died, p.made = true, true, name
	}
	p.mu.Unlock()
	if dies && !p.after {
		return errDead
	}
	err := do(ctx)
	if dies {
		return errDead
	}
	return err
}

// commit is a point that writes to the store.
func (p *points) commit(ctx context.Context, name string, do func(context.Context) error) error {
	err := p.point(ctx, name, &p.commits, do)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.task = append(p.task, func(ctx context.Context) { _ = do(ctx) })
	return err
}

// again makes all commits of the workflow task once more, as its next attempt does
// after the worker died in the middle of it.
func (p *points) again(ctx context.Context) {
	p.mu.Lock()
	task := p.task
	p.task = nil
	p.mu.Unlock()
	for _, commit := range task {
		commit(ctx)
	}
}

func (p *points) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &attempts{ActivityInboundInterceptorBase: interceptor.ActivityInboundInterceptorBase{Next: next}, points: p}
}

// attempts loses the answers of attempts whose worker died.
type attempts struct {
	interceptor.ActivityInboundInterceptorBase
	points *points
}

func (i *attempts) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	a := &attempt{}
	local := activity.GetInfo(ctx).IsLocalActivity
	if !local {
		i.points.mu.Lock()
		i.points.task = nil
		i.points.mu.Unlock()
	}
	out, err := i.Next.ExecuteActivity(context.WithValue(ctx, attemptKey{}, a), in)
	i.points.mu.Lock()
	dead := a.dead
	i.points.mu.Unlock()
	switch {
	case !dead:
		return out, err
	case local:
		i.points.again(ctx)
		return nil, temporal.NewApplicationError("the worker died", "died")
	default:
		return nil, temporal.NewApplicationErrorWithOptions("the worker died", "died", temporal.ApplicationErrorOptions{NextRetryDelay: unnoticed})
	}
}

// asked is a point with an answer.
func asked[T any](ctx context.Context, p *points, name string, count *int, do func(context.Context) (T, error)) (out T, err error) {
	err = p.point(ctx, name, count, func(ctx context.Context) (err error) { out, err = do(ctx); return err })
	return out, err
}

// committed is a commit with an answer.
func committed[T any](ctx context.Context, p *points, name string, do func(context.Context) (T, error)) (out T, err error) {
	err = p.commit(ctx, name, func(ctx context.Context) (err error) { out, err = do(ctx); return err })
	return out, err
}

// numberedTargets are the targets of the world's cloud.
type numberedTargets struct {
	delivery.Targets
	*points
}

func (n numberedTargets) Target(c delivery.Cluster) (delivery.Target, error) {
	t, err := n.Targets.Target(c)
	return numberedTarget{t, n.points}, err
}

type numberedTarget struct {
	delivery.Target
	*points
}

func (n numberedTarget) Validate(ctx context.Context, c delivery.Cluster, spec delivery.GroupSpec) ([]delivery.Finding, error) {
	return asked(ctx, n.points, "validate", &n.calls, func(ctx context.Context) ([]delivery.Finding, error) { return n.Target.Validate(ctx, c, spec) })
}

func (n numberedTarget) Observe(ctx context.Context, c delivery.Cluster, loadBalancer string) (delivery.Snapshot, error) {
	return asked(ctx, n.points, "observe", &n.calls, func(ctx context.Context) (delivery.Snapshot, error) { return n.Target.Observe(ctx, c, loadBalancer) })
}

func (n numberedTarget) Apply(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	return asked(ctx, n.points, c.String(), &n.calls, func(ctx context.Context) (delivery.Receipt, error) { return n.Target.Apply(ctx, c) })
}

// numberedMetrics is the source of metrics of the world's cloud.
type numberedMetrics struct {
	delivery.Metrics
	*points
}

func (n numberedMetrics) Measure(ctx context.Context, r delivery.MetricRequest) (delivery.Series, error) {
	return asked(ctx, n.points, "measure", &n.calls, func(ctx context.Context) (delivery.Series, error) { return n.Metrics.Measure(ctx, r) })
}

// numberedStore is the world's store. What only reads is passed on: dying there is
// dying before the next point.
type numberedStore struct {
	recorder
	*points
}

func (n numberedStore) CreateExecution(ctx context.Context, e delivery.NewExecution) (out delivery.Execution, created bool, err error) {
	out, err = committed(ctx, n.points, "create execution", func(ctx context.Context) (out delivery.Execution, err error) {
		out, created, err = n.recorder.CreateExecution(ctx, e)
		return out, err
	})
	return out, created, err
}

func (n numberedStore) ProjectExecution(ctx context.Context, e delivery.Execution, events []delivery.Event) (bool, error) {
	return committed(ctx, n.points, "project execution", func(ctx context.Context) (bool, error) { return n.recorder.ProjectExecution(ctx, e, events) })
}

func (n numberedStore) RecordDeployment(ctx context.Context, d delivery.Deployment, events []delivery.Event) (bool, error) {
	return committed(ctx, n.points, "record deployment", func(ctx context.Context) (bool, error) { return n.recorder.RecordDeployment(ctx, d, events) })
}

func (n numberedStore) AllocateSequence(ctx context.Context, key string, d delivery.DeploymentID, floor int, taken []int) (int, error) {
	return committed(ctx, n.points, "allocate sequence", func(ctx context.Context) (int, error) {
		return n.recorder.AllocateSequence(ctx, key, d, floor, taken)
	})
}

// numberedEngine is the world's Temporal.
type numberedEngine struct {
	engine
	*points
}

func (n numberedEngine) requestLock(ctx context.Context, key string, r LockRequest) error {
	return n.point(ctx, "request the lock", &n.others, func(ctx context.Context) error { return n.engine.requestLock(ctx, key, r) })
}

func (n numberedEngine) StartExecution(ctx context.Context, id delivery.ExecutionID) error {
	return n.point(ctx, "start execution", &n.others, func(ctx context.Context) error { return n.engine.StartExecution(ctx, id) })
}

// number puts the points between the activities of a world and everything else.
func (p *points) number(w *world) {
	d := &w.activities.deps
	d.Targets, d.Metrics, d.Store = numberedTargets{d.Targets, p}, numberedMetrics{d.Metrics, p}, numberedStore{d.Store, p}
	w.activities.engine = numberedEngine{w.activities.engine, p}
	options := patient
	options.Interceptors = []interceptor.WorkerInterceptor{p}
	w.env.SetWorkerOptions(options)
}
