//go:build !race

// A race build of the Temporal server takes longer than all other tests together.

package workflows

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/worker"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/rollout"
	"github.com/slipway-cd/slipway/internal/fakecloud"
	"github.com/slipway-cd/slipway/workflows/embedded"
)

var update = flag.Bool("update", false, "record testdata/histories anew")

const histories = "testdata/histories"

// live is everything of one process but the API: a real server with a client, a
// worker and a starter, over a cloud and a store in memory and in real time.
type live struct {
	*world
	client  *Client
	starter *Starter
	// stopStarter ends the starter; repeating it is harmless.
	stopStarter func()
	// dir has the server's files; down ends everything that up began.
	dir  string
	down func()
	// loses is set to let a worker die between its commits and the end of its workflow
	// task: the server does not hear of the task that it does then.
	loses atomic.Bool
}

func TestMain(m *testing.M) {
	// Every workflow task is a full replay: the cheapest search for code that is
	// not deterministic. It holds for all tests with a worker.
	worker.SetStickyWorkflowCacheSize(0)
	os.Exit(m.Run())
}

// startLive starts a server with everything on it, and one execution.
func startLive(t *testing.T, document string, config fakecloud.Config, existing ...fakecloud.Existing) *live {
	t.Helper()
	l := serveLive(t, config, existing...)
	l.accept(t, testExecution, document)
	return l
}

// serveLive starts a server with everything on it.
func serveLive(t *testing.T, config fakecloud.Config, existing ...fakecloud.Existing) *live {
	t.Helper()
	config.Now = time.Now
	l := &live{world: &world{cloud: fakecloud.New(testCluster, config, existing...), store: newMemory(1)}, dir: t.TempDir()}
	l.up(t)
	t.Cleanup(func() { l.down() })
	return l
}

// up starts the process, again after down.
func (l *live) up(t *testing.T) {
	t.Helper()
	server, err := embedded.Start(t.Context(), embedded.Config{Dir: l.dir})
	if err != nil {
		t.Fatal(err)
	}
	options := server.ClientOptions()
	options.ConnectionOptions.DialOptions = append(options.ConnectionOptions.DialOptions, grpc.WithChainUnaryInterceptor(l.lose))
	if l.client, err = Dial(t.Context(), options, l.store, discard()); err != nil {
		t.Fatal(err)
	}
	w := NewWorker(l.client, Dependencies{Targets: l.cloud, Store: l.store, HTTP: &plainHTTP{}, Logger: discard(),
		Poll: Poll{Min: 20 * time.Millisecond, Max: 50 * time.Millisecond}})
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.starter = NewStarter(l.client, l.store, StarterOptions{Logger: discard()})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() { defer close(ended); l.starter.Run(ctx) }()
	l.stopStarter = func() { stop(); <-ended }
	l.down = func() {
		l.stopStarter()
		w.Stop()
		l.client.Close()
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}
}

// lose keeps a workflow task's end from the server, once, after loses was set.
func (l *live) lose(ctx context.Context, method string, request, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if strings.HasSuffix(method, "/RespondWorkflowTaskCompleted") && l.loses.CompareAndSwap(true, false) {
		return status.Error(codes.InvalidArgument, "the worker is dead")
	}
	return invoke(ctx, method, request, reply, cc, options...)
}

// accept records an execution and tells the starter, as the API does.
func (l *live) accept(t *testing.T, id delivery.ExecutionID, document string) {
	t.Helper()
	definition, err := pipeline.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	_, _, err = l.store.CreateExecution(t.Context(), delivery.NewExecution{Definition: []byte(document), Execution: delivery.Execution{
		ID: id, Type: delivery.PipelineExecution, Application: "shop", Status: delivery.StatusNotStarted, BuildTime: time.Now(),
		Stages: pipeline.NewStages(definition, func() string { n++; return fmt.Sprintf("stage-%d", n) }), Version: 1}})
	if err != nil {
		t.Fatal(err)
	}
	l.starter.Notify()
}

// until waits for a condition on the record.
func (l *live) until(t *testing.T, what string, holds func(delivery.Execution, delivery.Deployment) bool) (delivery.Execution, delivery.Deployment) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		l.store.mu.Lock()
		e, d := l.store.executions[testExecution], l.deployment()
		breaches := l.store.breaches
		l.store.mu.Unlock()
		switch {
		case len(breaches) > 0:
			t.Fatalf("breaches: %q", breaches)
		case holds(e, d):
			return e, d
		case time.Now().After(deadline):
			t.Fatalf("waiting for %s: execution %s, deployment %s %s %v", what, e.Status, d.Status, d.Detail, d.Failure)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func over(e delivery.Execution, d delivery.Deployment) bool {
	return e.Status.Complete() && d.Status.Complete()
}

func quick() fakecloud.Config {
	return fakecloud.Config{Router: true, Boot: 150 * time.Millisecond, Drain: 100 * time.Millisecond, Settle: 150 * time.Millisecond,
		Grace: 150 * time.Millisecond, BadImages: []string{"crash"}}
}

// TestOnAServer carries deployments out on a real server. With -update it
// records their histories.
func TestOnAServer(t *testing.T) {
	t.Parallel()
	by := delivery.Principal{Name: "joe"}
	for _, test := range []struct {
		name, image string
		do          func(t *testing.T, l *live)
		execution   delivery.Status
		deployment  delivery.DeploymentStatus
	}{
		{"success", "good", nil, delivery.StatusSucceeded, delivery.DeploymentSucceeded},
		{"rollback", "crash", nil, delivery.StatusTerminal, delivery.DeploymentRolledBack},
		{"cancel", "good", func(t *testing.T, l *live) {
			l.until(t, "the first batch", func(_ delivery.Execution, d delivery.Deployment) bool { return len(l.cloud.Writes()) > 5 })
			if err := l.client.Cancel(t.Context(), testExecution, by, "a test"); err != nil {
				t.Error(err)
			}
		}, delivery.StatusCanceled, delivery.DeploymentRolledBack},
		{"pause", "good", func(t *testing.T, l *live) {
			l.until(t, "the first batch", func(_ delivery.Execution, d delivery.Deployment) bool { return len(l.cloud.Writes()) > 5 })
			if err := l.client.Pause(t.Context(), testExecution, by, "look"); err != nil {
				t.Error(err)
			}
			l.until(t, "the pause", func(e delivery.Execution, d delivery.Deployment) bool {
				return e.Status == delivery.StatusPaused && d.Status == delivery.DeploymentPaused
			})
			if err := l.client.Resume(t.Context(), testExecution, by, "looked"); err != nil {
				t.Error(err)
			}
		}, delivery.StatusSucceeded, delivery.DeploymentSucceeded},
		{"resize", "", nil, delivery.StatusSucceeded, delivery.DeploymentSucceeded},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			document := deployDocument(test.image, "lb", rolling, 4)
			if test.image == "" {
				document = operateDocument(`"type":"resizeServerGroup","target":"current","capacity":{"min":5,"max":6,"desired":5}`)
			}
			l := startLive(t, document, quick(), v000(4))
			was := l.cloud.Truth()
			if test.do != nil {
				test.do(t, l)
			}
			e, d := l.until(t, "the end", over)
			if e.Status != test.execution || d.Status != test.deployment {
				t.Errorf("execution %s, deployment %s: %v", e.Status, d.Status, d.Failure)
			}
			if p := e.Paused; test.name == "pause" && (p.Reason != "look" || p.ResumeReason != "looked") {
				t.Errorf("pause %+v", p)
			}
			if v := l.cloud.Violations(); len(v) > 0 {
				t.Errorf("violations: %q", v)
			}
			if d.Status == delivery.DeploymentRolledBack {
				if diff := cmp.Diff(settled(was), settled(l.cloud.Truth())); diff != "" {
					t.Errorf("(-before +after):\n%s", diff)
				}
			}
			err := l.client.Pause(t.Context(), testExecution, by, "look")
			if delivery.KindOf(err) != delivery.Conflict {
				t.Errorf("pause of a complete execution: %v", err)
			}
			if *update {
				l.save(t, test.name, d)
			}
		})
	}
}

// TestSecondDeployment starts a deployment in the middle of another one of the
// same cluster.
func TestSecondDeployment(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		concurrency   string
		first, second delivery.DeploymentStatus
		execution     delivery.Status // the first one's
		cause         string          // of the one that did not succeed
	}{
		{"queue", delivery.DeploymentSucceeded, delivery.DeploymentSucceeded, delivery.StatusSucceeded, ""},
		{"supersede", delivery.DeploymentRolledBack, delivery.DeploymentSucceeded, delivery.StatusCanceled, "superseded by deployment/" + string(secondExecution)},
		{"reject", delivery.DeploymentSucceeded, delivery.DeploymentFailed, delivery.StatusSucceeded, "is being deployed to by deployment/" + string(testExecution)},
	} {
		t.Run(test.concurrency, func(t *testing.T) {
			t.Parallel()
			l := startLive(t, deployDocument("good", "lb", rolling, 4), quick(), v000(4))
			l.until(t, "the first batch", func(delivery.Execution, delivery.Deployment) bool { return len(l.cloud.Writes()) > 5 })
			l.accept(t, secondExecution, deployDocument("better", "lb", rolling+`,"concurrency":"`+test.concurrency+`"`, 4))
			l.until(t, "both ends", func(delivery.Execution, delivery.Deployment) bool {
				return l.store.executions[testExecution].Status.Complete() && l.store.executions[secondExecution].Status.Complete()
			})
			l.store.mu.Lock()
			defer l.store.mu.Unlock()
			first := l.store.deployments[delivery.NewDeploymentID(testExecution, "1", testCluster)]
			second := l.store.deployments[delivery.NewDeploymentID(secondExecution, "1", testCluster)]
			if first.Status != test.first || second.Status != test.second {
				t.Errorf("the first ended %s (%v), the second %s (%v)", first.Status, first.Failure, second.Status, second.Failure)
			}
			if e := l.store.executions[testExecution]; e.Status != test.execution || e.Stages[0].Status != test.execution ||
				test.execution == delivery.StatusCanceled && (!strings.Contains(e.CancellationReason, test.cause) || e.CanceledBy != "system") {
				t.Errorf("the first execution ended %s, canceled by %q: %q", e.Status, e.CanceledBy, e.CancellationReason)
			}
			for _, d := range []delivery.Deployment{first, second} {
				if d.Status != delivery.DeploymentSucceeded && !strings.Contains(fmt.Sprint(d.Failure), test.cause) {
					t.Errorf("%s: %v, want %q", d.ID, d.Failure, test.cause)
				}
			}
			serving := "better"
			if test.concurrency == "reject" {
				serving = "good"
			}
			for _, g := range l.cloud.Truth().Groups {
				if l.cloud.Truth().Routing.Percent(g.Name) == 100 && g.Image != serving {
					t.Errorf("%s serves %s", g.Name, g.Image)
				}
			}
			if v := l.cloud.Violations(); len(v) > 0 {
				t.Errorf("violations: %q", v)
			}
		})
	}
}

// TestAdvanceAfterAResume: a resume that was answered has arrived at the deployment, so
// that an advance right behind it is no longer refused for the pause.
func TestAdvanceAfterAResume(t *testing.T) {
	t.Parallel()
	by := delivery.Principal{Name: "joe"}
	id := delivery.NewDeploymentID(testExecution, "1", testCluster)
	l := startLive(t, deployDocument("good", "lb", `"strategy":"canary","steps":[{"weight":5,"bake":3600},{"weight":20,"bake":3600},{"weight":50,"bake":3600},{"weight":100,"bake":3600}]`, 4), quick(), v000(4))
	for _, weight := range []string{"5", "20", "50", "100"} {
		l.until(t, "the bake at "+weight, func(_ delivery.Execution, d delivery.Deployment) bool {
			return strings.Contains(string(d.Detail), "the bake at "+weight+" %")
		})
		if err := l.client.Pause(t.Context(), testExecution, by, ""); err != nil {
			t.Fatal(err)
		}
		l.until(t, "the pause", func(_ delivery.Execution, d delivery.Deployment) bool { return d.Status == delivery.DeploymentPaused })
		if err := l.client.Resume(t.Context(), testExecution, by, ""); err != nil {
			t.Fatal(err)
		}
		if err := l.client.Move(t.Context(), id, rollout.Advance, false, by, ""); err != nil {
			t.Fatalf("at %s %%: %v", weight, err)
		}
	}
	if _, d := l.until(t, "the end", over); d.Status != delivery.DeploymentSucceeded {
		t.Errorf("ended %s: %v", d.Status, d.Failure)
	}
}

// TestMoves ends the pauses of a canary on a real server, and asks for what cannot
// be done.
func TestMoves(t *testing.T) {
	t.Parallel()
	by := delivery.Principal{Name: "joe"}
	id := delivery.NewDeploymentID(testExecution, "1", testCluster)
	for _, test := range []struct {
		move    rollout.Move
		weights int // how many times they are set
		made    int // moves that it takes
	}{{rollout.Advance, 3, 3}, {rollout.Promote, 2, 2}} {
		t.Run(string(test.move), func(t *testing.T) {
			t.Parallel()
			l := startLive(t, deployDocument("good", "lb", `"strategy":"canary","steps":[{"weight":5,"bake":3600},{"weight":50,"bake":3600},{"weight":100,"bake":3600}]`, 4), quick(), v000(4))
			resting := func(_ delivery.Execution, d delivery.Deployment) bool {
				return strings.Contains(string(d.Detail), "the bake at")
			}
			if err := l.client.Move(t.Context(), "nobody", test.move, false, by, ""); delivery.KindOf(err) != delivery.NotFound {
				t.Errorf("move of an unknown deployment: %v", err)
			}
			l.until(t, "the first bake", resting)
			if err := l.client.Move(t.Context(), id, test.move, false, by, "it is good"); err != nil {
				t.Fatal(err)
			}
			made := 1
			for {
				_, d := l.until(t, "the next bake or the end", func(e delivery.Execution, d delivery.Deployment) bool { return over(e, d) || resting(e, d) })
				if d.Status.Complete() {
					break
				}
				err := l.client.Move(t.Context(), id, rollout.Advance, false, by, "and again")
				switch {
				case err == nil:
					made++
				case delivery.KindOf(err) != delivery.Conflict && delivery.KindOf(err) != delivery.NotFound:
					t.Fatal(err)
				}
			}
			_, d := l.until(t, "the end", over)
			set := 0
			for _, w := range l.cloud.Writes() {
				if w.Change.Kind == delivery.SetRouting {
					set++
				}
			}
			if d.Status != delivery.DeploymentSucceeded || set != test.weights || made != test.made {
				t.Errorf("ended %s after %d moves and %d weights: %v", d.Status, made, set, d.Failure)
			}
			told := `"action":"` + string(test.move) + `","by":"joe","reason":"it is good"`
			l.store.mu.Lock()
			if !slices.ContainsFunc(l.store.events, func(e delivery.Event) bool { return strings.Contains(string(e.Data), told) }) {
				t.Errorf("no event has %s", told)
			}
			l.store.mu.Unlock()
			if err := l.client.Move(t.Context(), id, test.move, false, by, ""); delivery.KindOf(err) != delivery.NotFound {
				t.Errorf("move of a deployment that is over: %v", err)
			}
		})
	}
}

// secondExecution deploys while testExecution does.
const secondExecution = delivery.ExecutionID("01JD3Z8Q6V5T0H3W4M8N7K2RXC")

// save writes the histories of an execution, its deployment and the lock.
func (l *live) save(t *testing.T, name string, d delivery.Deployment) {
	t.Helper()
	for part, id := range map[string]string{"execution": testExecution.WorkflowID(), "deployment": d.ID.WorkflowID(), "lock": lockID(testCluster.Key())} {
		l.saveHistory(t, name+"-"+part, id)
	}
}

// saveHistory writes the history of a workflow's last run.
func (l *live) saveHistory(t *testing.T, name, id string) {
	t.Helper()
	var h historypb.History
	events := l.client.temporal.GetWorkflowHistory(t.Context(), id, "", true, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			t.Fatal(err)
		}
		h.Events = append(h.Events, e)
	}
	data, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(&h)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(histories, name+".json"), append(data, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestCommandsFindTheirExecution commands executions that are unknown, not yet
// started, and started twice.
func TestCommandsFindTheirExecution(t *testing.T) {
	t.Parallel()
	const wait = `{"stages":[{"refId":"1","type":"wait","waitTime":3600}]}`
	l := startLive(t, wait, quick())
	by := delivery.Principal{Name: "joe"}
	if err := l.client.Cancel(t.Context(), "nobody", by, ""); delivery.KindOf(err) != delivery.NotFound {
		t.Errorf("cancel of an unknown execution: %v", err)
	}
	const late = delivery.ExecutionID("01JD3Z8Q6V5T0H3W4M8N7K2RXB")
	l.stopStarter()
	l.accept(t, late, wait)
	for range 2 { // a second cancel changes nothing
		if err := l.client.Cancel(t.Context(), late, by, "early"); err != nil && delivery.KindOf(err) != delivery.Conflict {
			t.Errorf("cancel before the start: %v", err)
		}
	}
	if err := l.client.StartExecution(t.Context(), late); err != nil {
		t.Errorf("second start: %v", err)
	}
	for _, id := range []delivery.ExecutionID{late, testExecution} {
		if err := l.client.Cancel(t.Context(), id, by, "a test"); err != nil && delivery.KindOf(err) != delivery.Conflict {
			t.Errorf("cancel: %v", err)
		}
		l.until(t, "the cancel", func(delivery.Execution, delivery.Deployment) bool {
			return l.store.executions[id].Status == delivery.StatusCanceled
		})
	}
	if e := l.store.executions[late]; e.CancellationReason != "early" || e.CanceledBy != "joe" {
		t.Errorf("canceled by %q: %q", e.CanceledBy, e.CancellationReason)
	}
}

// TestAbandonedExecutions: of a workflow that an operator ended, the record says that
// it runs, a cancel says that it has ended, and Runs says that it is over.
func TestAbandonedExecutions(t *testing.T) {
	t.Parallel()
	l := startLive(t, `{"stages":[{"refId":"1","type":"wait","waitTime":3600}]}`, quick())
	l.until(t, "the start", func(e delivery.Execution, _ delivery.Deployment) bool { return e.Status == delivery.StatusRunning })
	runs := func(id delivery.ExecutionID) bool {
		t.Helper()
		out, err := l.client.Runs(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if !runs(testExecution) || runs("nobody") {
		t.Error("Runs is wrong of one that runs, or of one that there is not")
	}
	if err := l.client.temporal.TerminateWorkflow(t.Context(), testExecution.WorkflowID(), "", "by an operator"); err != nil {
		t.Fatal(err)
	}
	if runs(testExecution) {
		t.Error("what was terminated runs")
	}
	err := l.client.Cancel(t.Context(), testExecution, delivery.Principal{Name: "joe"}, "")
	if e := l.store.executions[testExecution]; delivery.KindOf(err) != delivery.Conflict || e.Status != delivery.StatusRunning {
		t.Errorf("cancel: %v; the record says %s", err, e.Status)
	}
}

// TestReplay runs today's workflow code over recorded histories: what it would
// do has to be what was done.
func TestReplay(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(histories, "*.json"))
	if err != nil || len(files) < 12 {
		t.Fatalf("%d histories: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			replayer := worker.NewWorkflowReplayer()
			registerWorkflows(replayer)
			if err := replayer.ReplayWorkflowHistoryFromJSONFile(quiet(), file); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCancelWhileTheCloudHangs shows in real time that an execution is over
// within 5 s although no call returns.
func TestCancelWhileTheCloudHangs(t *testing.T) {
	t.Parallel()
	var hangs atomic.Bool
	free := make(chan struct{})
	config := quick()
	config.Faults.Hang = func(ctx context.Context) error {
		if !hangs.Load() {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-free:
		}
		return delivery.Errorf(delivery.Transient, "no answer: %w", errors.Join(ctx.Err()))
	}
	l := startLive(t, deployDocument("good", "lb", rolling, 4), config, v000(4))
	l.until(t, "the first batch", func(delivery.Execution, delivery.Deployment) bool { return len(l.cloud.Writes()) > 5 })
	was := v000(4)
	hangs.Store(true)
	begun := time.Now()
	if err := l.client.Cancel(t.Context(), testExecution, delivery.Principal{Name: "joe"}, "a test"); err != nil {
		t.Fatal(err)
	}
	e, _ := l.until(t, "the cancel", func(e delivery.Execution, _ delivery.Deployment) bool { return e.Status.Complete() })
	if took := time.Since(begun); e.Status != delivery.StatusCanceled || took > 5*time.Second {
		t.Errorf("execution %s after %s", e.Status, took)
	}
	hangs.Store(false)
	close(free)
	_, d := l.until(t, "the rollback", over)
	truth := l.cloud.Truth()
	if g := truth.Group("shop-prod-v000"); d.Status != delivery.DeploymentRolledBack || len(truth.Groups) != 1 || g.Capacity != was.Capacity {
		t.Errorf("deployment %s, groups %+v", d.Status, truth.Groups)
	}
}
