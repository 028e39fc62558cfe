package workflows

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/mock"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/internal/fakecloud"
)

const testExecution = delivery.ExecutionID("01JD3Z8Q6V5T0H3W4M8N7K2RXA")

var testCluster = delivery.Cluster{Provider: "aws", Account: "acct", Region: "r1", Moniker: delivery.Moniker{App: "shop", Stack: "prod"}}

func quiet() sdklog.Logger { return sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)) }

// patient lets a workflow stand still for longer than the SDK's second before that
// counts as a deadlock: the wall clock of a busy machine says nothing here.
var patient = worker.Options{DeadlockDetectionTimeout: 20 * time.Second}

// tester is what *testing.T and *rapid.T have in common here.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// world is one execution in virtual time with its cloud, store and locks.
type world struct {
	env   *testsuite.TestWorkflowEnvironment
	cloud *fakecloud.Cloud
	store *memory
	locks *locks
	// activities can be given other targets before the run.
	activities *Activities
}

func newWorld(t tester, document string, config fakecloud.Config, existing ...fakecloud.Existing) *world {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet())
	w := &world{env: suite.NewTestWorkflowEnvironment(), store: newMemory(config.Seed)}
	w.store.now = w.env.Now
	w.env.SetStartTime(time.Now()) // deadlines of local activities are compared with the wall clock
	w.env.SetTestTimeout(20 * time.Second)
	w.env.SetWorkerOptions(patient)
	config.Now = w.env.Now
	w.cloud = fakecloud.New(testCluster, config, existing...)
	w.locks = &locks{env: w.env, store: w.store}
	w.activities = newActivities(Dependencies{Targets: w.cloud, Metrics: w.cloud, Store: w.store, Now: w.env.Now, Logger: slog.New(slog.DiscardHandler),
		Poll: Poll{Min: 2 * time.Second, Max: 2 * time.Second, Hold: -1}}, w.locks)
	registerWorkflows(w.env)
	w.env.RegisterActivity(w.activities)
	w.env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(
		func(_, workflowID, _, signal string, arg any) error { return w.locks.signal(workflowID, signal, arg) }).Maybe()
	w.add(t, testExecution, document)
	w.store.onDeployment = func(d delivery.Deployment) {
		if d.Status.Complete() {
			w.cloud.Close()
		}
	}
	return w
}

func (w *world) add(t tester, id delivery.ExecutionID, document string) {
	t.Helper()
	definition, err := pipeline.Parse(json.RawMessage(document))
	if err != nil {
		t.Fatalf("pipeline: %v", err)
	}
	n := 0
	w.store.executions[id] = delivery.Execution{ID: id, Type: delivery.PipelineExecution, Application: "shop", Status: delivery.StatusNotStarted,
		BuildTime: w.env.Now(), Stages: pipeline.NewStages(definition, func() string { n++; return fmt.Sprintf("stage-%d", n) }), Version: 1,
		Trigger: delivery.Trigger{Type: "manual", User: "joe", Parameters: json.RawMessage(`{"image":"good"}`)}}
	w.store.definitions[id] = json.RawMessage(document)
}

// run carries the execution, and what it leaves behind, to the end.
func (w *world) run(t tester) delivery.Execution {
	t.Helper()
	w.env.ExecuteWorkflow(executionType, ExecutionInput{ID: testExecution})
	w.store.calm()
	if !w.env.IsWorkflowCompleted() {
		t.Fatalf("the execution did not end")
	}
	if err := w.env.GetWorkflowError(); err != nil {
		t.Fatalf("execution: %v", err)
	}
	e := w.store.executions[testExecution]
	if !e.Status.Complete() || e.EndTime.IsZero() {
		t.Errorf("execution is recorded as %s, ended %s", e.Status, e.EndTime)
	}
	if len(w.store.breaches) > 0 {
		t.Errorf("breaches: %q", w.store.breaches)
	}
	for _, d := range w.store.deployments {
		if !d.Status.Complete() || d.EndTime.IsZero() {
			t.Errorf("deployment is recorded as %s, ended %s", d.Status, d.EndTime)
		}
	}
	if holder, queue := w.locks.state(); holder != "" || len(queue) > 0 {
		t.Errorf("lock is held by %q, wanted by %q", holder, queue)
	}
	return e
}

func (w *world) deployment() delivery.Deployment {
	for _, d := range w.store.deployments {
		return d
	}
	return delivery.Deployment{}
}

// send sends a command after a time and returns where its answer will be.
func (w *world) send(name string, after time.Duration) *answer {
	a := &answer{name: name, now: w.env.Now}
	w.env.RegisterDelayedCallback(func() {
		a.sent = w.env.Now()
		w.env.UpdateWorkflow(name, fmt.Sprintf("%s-%s", name, after), a, Command{By: "joe", Reason: "a test"})
	}, after)
	return a
}

// disturb draws whether and when the execution is canceled, and paused and resumed;
// the numbers are seconds at the most. The answer to the cancel is nil without one.
func (w *world) disturb(rt *rapid.T, cancelAt, pauseAt, pauseFor int) (cancel *answer) {
	seconds := func(name string, most int) time.Duration {
		return time.Duration(rapid.IntRange(1, most*1000).Draw(rt, name)) * time.Millisecond
	}
	if rapid.Bool().Draw(rt, "cancels") {
		cancel = w.send(updateCancel, seconds("cancelAt", cancelAt))
	}
	if rapid.Bool().Draw(rt, "pauses") {
		at := seconds("pauseAt", pauseAt)
		w.send(updatePause, at)
		w.send(updateResume, at+seconds("pauseFor", pauseFor))
	}
	return cancel
}

// answer is what came of a command.
type answer struct {
	name     string
	sent     time.Time
	answered time.Time
	now      func() time.Time
	accepted bool
	refused  error
	done     bool
	err      error
}

func (a *answer) Accept()          { a.accepted = true }
func (a *answer) Reject(err error) { a.refused = err }
func (a *answer) Complete(_ any, err error) {
	a.done, a.err = true, err
	if a.now != nil {
		a.answered = a.now()
	}
}

// took is how long the answer took, in the workflow's time.
func (a *answer) took() time.Duration { return a.answered.Sub(a.sent) }

// locks is the lock of the test's cluster: the queue of ClusterLock without its
// workflow, which has tests of its own.
type locks struct {
	mu    sync.Mutex
	env   *testsuite.TestWorkflowEnvironment
	store *memory
	lock  clusterLock
	// onStart is told of executions that a gate starts.
	onStart func(delivery.ExecutionID)
	cancel  []delivery.ExecutionID
	// onCancel is told of executions that are canceled; nil for nobody.
	onCancel func(delivery.ExecutionID) error
}

func (l *locks) state() (string, []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lock.Holder, slices.Clone(l.lock.Queue)
}

// drop forgets a holder that is no workflow of the test.
func (l *locks) drop(holder string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lock.release(holder)
}

func (l *locks) requestLock(ctx context.Context, clusterKey string, r LockRequest) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lock.request(r)
	return l.grant(ctx, clusterKey)
}

// grant gives the free cluster to the next; a workflow of this name that is not
// in the test environment only stands in the queue.
func (l *locks) grant(ctx context.Context, clusterKey string) error {
	if l.lock.Holder != "" || len(l.lock.Queue) == 0 {
		return nil
	}
	next := l.lock.Queue[0]
	fence, err := l.store.NextFence(ctx, clusterKey, next)
	if err != nil {
		return err
	}
	l.lock.Queue, l.lock.Holder = l.lock.Queue[1:], next
	l.env.RegisterDelayedCallback(func() { _ = l.env.SignalWorkflowByID(next, signalGranted, Grant{Fence: fence}) }, 0)
	return nil
}

func (l *locks) signal(workflowID, signal string, arg any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	holder, ok := arg.(LockHolder)
	if workflowID != lockID(testCluster.Key()) || signal != signalRelease || !ok {
		return fmt.Errorf("signal %s to %s with %T", signal, workflowID, arg)
	}
	l.lock.release(holder.Workflow)
	return l.grant(context.Background(), strings.TrimPrefix(workflowID, "cluster/"))
}

func (l *locks) isOpen(context.Context, string) (bool, error) { return true, nil }

func (l *locks) StartExecution(_ context.Context, id delivery.ExecutionID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.onStart != nil {
		l.onStart(id)
	}
	return nil
}

func (l *locks) Cancel(_ context.Context, id delivery.ExecutionID, _ delivery.Principal, _ string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel = append(l.cancel, id)
	if l.onCancel != nil {
		return l.onCancel(id)
	}
	return nil
}

// deployDocument is a pipeline with one deploy stage for the test's cluster.
func deployDocument(image, loadBalancer, strategy string, size int) string {
	return fmt.Sprintf(`{"name":"p","application":"shop","stages":[{"refId":"1","type":"deploy","name":"Deploy","clusters":[%s]}]}`,
		clusterObject(image, loadBalancer, strategy, size))
}

func clusterObject(image, loadBalancer, strategy string, size int) string {
	balancers := "[]"
	if loadBalancer != "" {
		balancers = fmt.Sprintf("[%q]", loadBalancer)
	}
	return fmt.Sprintf(`{"account":"acct","application":"shop","stack":"prod","cloudProvider":"aws","availabilityZones":{"r1":["r1a"]},
		"capacity":{"min":%d,"max":%d,"desired":%d},"amiName":%q,"loadBalancers":%s,%s}`, size, size+2, size, image, balancers, strategy)
}

func calm() fakecloud.Config {
	return fakecloud.Config{Router: true, Boot: 10 * time.Second, Drain: 10 * time.Second, Settle: 10 * time.Second, Grace: 20 * time.Second,
		BadImages: []string{"crash"}}
}

func v000(n int) fakecloud.Existing {
	return fakecloud.Existing{Name: "shop-prod-v000", Image: "old", Capacity: delivery.Capacity{Min: 1, Max: 2 * n, Desired: n}, Weight: 100}
}

// settled is what a rollback promises to restore.
func settled(s delivery.Snapshot) map[string]string {
	out := map[string]string{}
	for _, g := range s.Groups {
		out[g.Name] = fmt.Sprintf("%+v complete=%v weight=%d", g.Capacity, g.Complete, s.Routing.Percent(g.Name))
		if led := s.Routing.Preview(g.Name); led != nil {
			out[g.Name] += " by " + led.Match.String()
		}
	}
	return out
}

// discard is a logger that keeps the output of tests short.
func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
