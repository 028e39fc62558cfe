package embedded_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/workflows/embedded"
)

const (
	// childDir tells a copy of this test binary to be the process that is killed.
	childDir = "SLIPWAY_EMBEDDED_TEST_CHILD"
	steps    = 30
	// stepsWorkflow is the id of the workflow that goes on.
	stepsWorkflow = "execution/1"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		fmt.Fprintln(os.Stderr, runSteps(context.Background(), dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// recorder notes steps in a file, one line each.
type recorder struct{ file string }

func (r *recorder) Record(_ context.Context, step int) error {
	f, err := os.OpenFile(r.file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintln(f, step)
	return err
}

// lines returns how often each step was noted.
func (r *recorder) lines() map[string]int {
	b, _ := os.ReadFile(r.file) // not there yet: no step
	seen := map[string]int{}
	for line := range strings.Lines(string(b)) {
		seen[strings.TrimSpace(line)]++
	}
	return seen
}

func walk(ctx workflow.Context) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 10 * time.Second})
	for step := range steps {
		if err := workflow.ExecuteActivity(ctx, (*recorder).Record, step).Get(ctx, nil); err != nil {
			return err
		}
		if err := workflow.Sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// runSteps is the life of the process that is killed: server, worker and client.
func runSteps(ctx context.Context, dir string) error {
	s, err := embedded.Start(ctx, embedded.Config{Dir: filepath.Join(dir, "temporal")})
	if err != nil {
		return err
	}
	c, err := client.DialContext(ctx, s.ClientOptions())
	if err != nil {
		return err
	}
	w := worker.New(c, queue, worker.Options{})
	w.RegisterWorkflow(walk)
	w.RegisterActivity(&recorder{file: filepath.Join(dir, "steps")})
	if err := w.Start(); err != nil {
		return err
	}
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: stepsWorkflow, TaskQueue: queue}, walk)
	if err != nil {
		return err
	}
	if err := run.Get(ctx, nil); err != nil {
		return err
	}
	return fmt.Errorf("the workflow ended before the process was killed")
}

// TestServerGoesOnAfterKill kills a whole process in the middle of a workflow and
// lets this one go on with its files.
func TestServerGoesOnAfterKill(t *testing.T) {
	dir := t.TempDir()
	r := &recorder{file: filepath.Join(dir, "steps")}
	killAtStep(t, dir, r, steps/2)
	before := len(r.lines())

	began := time.Now()
	s := start(t, embedded.Config{Dir: filepath.Join(dir, "temporal")})
	up := time.Since(began)
	c := dial(t, s)
	work(t, c, func(w worker.Worker) {
		w.RegisterWorkflow(walk)
		w.RegisterActivity(r)
	})
	if err := c.GetWorkflow(t.Context(), stepsWorkflow, "").Get(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	t.Logf("killed after %d of %d steps; answering after %v, finished after %v", before, steps, up, time.Since(began))

	seen, repeats := r.lines(), 0
	for step := range steps {
		n := seen[fmt.Sprint(step)]
		if n == 0 {
			t.Errorf("step %d was never run", step)
		}
		repeats += max(0, n-1)
	}
	if repeats > 1 {
		t.Errorf("%d steps ran twice; only the one in flight at the kill may", repeats)
	}
}

// killAtStep runs the child until it noted that many steps and kills it.
func killAtStep(t *testing.T, dir string, r *recorder, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir)
	var complaints strings.Builder
	child.Stderr = &complaints
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for len(r.lines()) < n {
		select {
		case err := <-ended:
			t.Fatalf("the process ended by itself: %v %s", err, &complaints)
		case <-tick.C:
		}
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
	if len(r.lines()) == steps {
		t.Fatal("the workflow had run all its steps at the kill")
	}
}
