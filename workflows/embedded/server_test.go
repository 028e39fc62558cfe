package embedded_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/workflows/embedded"
)

const queue = "test"

func greet(_ workflow.Context, name string) (string, error) { return "hello " + name, nil }

// start runs a server until the test ends.
func start(t *testing.T, config embedded.Config) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func dial(t *testing.T, s *embedded.Server) client.Client {
	t.Helper()
	c, err := client.DialContext(t.Context(), s.ClientOptions())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func work(t *testing.T, c client.Client, register func(w worker.Worker)) {
	t.Helper()
	w := worker.New(c, queue, worker.Options{})
	register(w)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
}

func TestServerRunsWorkflows(t *testing.T) {
	var log bytes.Buffer
	dir := filepath.Join(t.TempDir(), "new", "temporal ? # %41")
	began := time.Now()
	s := start(t, embedded.Config{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	up := time.Since(began)
	c := dial(t, s)
	work(t, c, func(w worker.Worker) { w.RegisterWorkflow(greet) })
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: queue}, greet, "you")
	if err != nil {
		t.Fatal(err)
	}
	var got string
	if err := run.Get(t.Context(), &got); err != nil || got != "hello you" {
		t.Fatalf("result = %q, error = %v", got, err)
	}
	t.Logf("answering %v after the start, first workflow finished after %v", up, time.Since(began))

	t.Run("retention", func(t *testing.T) {
		ns, err := c.WorkflowService().DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{Namespace: embedded.Namespace})
		if err != nil {
			t.Fatal(err)
		}
		if got := ns.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration(); got != 72*time.Hour {
			t.Errorf("retention is %v, want 72 h", got)
		}
	})
	t.Run("files are for the owner alone", func(t *testing.T) {
		for name, want := range map[string]os.FileMode{"": 0o700, "slipway.lock": 0o600, "temporal.stamp.json": 0o600, "temporal.db": 0o600,
			"temporal.db-wal": 0o600, "visibility.db": 0o600, "visibility.db-wal": 0o600} {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != want {
				t.Errorf("%q has mode %v, want %v", name, info.Mode().Perm(), want)
			}
		}
	})
	t.Run("a second server is refused", func(t *testing.T) {
		refused(t, dir, dir, "in use by another process", "pid")
	})
	t.Run("the log is quiet", func(t *testing.T) {
		if log.Len() > 0 {
			t.Errorf("logged: %s", &log)
		}
	})
}

// refused wants Start to fail as Unavailable with every one of the words.
func refused(t *testing.T, dir string, words ...string) {
	t.Helper()
	s, err := embedded.Start(t.Context(), embedded.Config{Dir: dir})
	if err == nil {
		t.Fatal(errors.Join(errors.New("the server started"), s.Stop()))
	}
	if delivery.KindOf(err) != delivery.Unavailable {
		t.Errorf("error %v is of kind %v, want unavailable", err, delivery.KindOf(err))
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
}

func TestStartRefusesUnusableFolders(t *testing.T) {
	t.Run("a file in the way", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		write(t, file, "")
		refused(t, filepath.Join(file, "temporal"), file, "choose another")
	})
	t.Run("not writable", func(t *testing.T) {
		refused(t, "/proc/slipway", "/proc/slipway", "choose another")
	})
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestStopGivesTheFolderFree(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		s, err := embedded.Start(t.Context(), embedded.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}
