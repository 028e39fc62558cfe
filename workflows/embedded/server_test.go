package embedded_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/workflows/embedded"
)

func TestStart(t *testing.T) {
	began := time.Now()
	s, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("started in %v", time.Since(began))
	c, err := client.DialContext(t.Context(), s.ClientOptions())
	if err != nil {
		t.Fatal(err)
	}
	w := worker.New(c, "q", worker.Options{})
	w.RegisterWorkflow(hello)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: "q"}, hello)
	if err != nil {
		t.Fatal(err)
	}
	var r string
	if err := run.Get(context.Background(), &r); err != nil {
		t.Fatal(err)
	}
	t.Logf("first workflow in %v: %s", time.Since(began), r)
	w.Stop()
	c.Close()
	began = time.Now()
	if err := s.Stop(); err != nil {
		t.Fatal(errors.Unwrap(err))
	}
	t.Logf("stopped in %v", time.Since(began))
}

func hello(workflow.Context) (string, error) { return "hello", nil }
