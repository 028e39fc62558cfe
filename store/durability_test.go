package store_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/store"
)

// childPath tells a copy of this test binary to be the process that is killed.
const childPath = "SLIPWAY_STORE_TEST_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		fmt.Fprintln(os.Stderr, writeAndAcknowledge(context.Background(), path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeAndAcknowledge creates executions with an event each for ever, and
// prints an id once its writes were acknowledged. It goes on where it finds the store.
func writeAndAcknowledge(ctx context.Context, path string) error {
	s, err := store.Open(ctx, store.Config{Path: path})
	if err != nil {
		return err
	}
	for {
		e := delivery.Execution{
			ID: delivery.ExecutionID(fmt.Sprintf("%d-%d", os.Getpid(), time.Now().UnixNano())), Application: "storefront",
			Status: delivery.StatusNotStarted, BuildTime: time.Now(), Version: 1,
		}
		if _, _, err := s.CreateExecution(ctx, delivery.NewExecution{Execution: e, IdempotencyKey: string(e.ID)}); err != nil {
			return err
		}
		e.Status, e.Version = delivery.StatusRunning, 2
		if _, err := s.ProjectExecution(ctx, e, []delivery.Event{{Key: "started", Type: delivery.EventExecution}}); err != nil {
			return err
		}
		fmt.Println(e.ID)
	}
}

// TestAcknowledgedWritesSurviveKill kills a writing process again and again on
// one file; every write it acknowledged must be there, whole.
func TestAcknowledgedWritesSurviveKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slipway.db")
	acknowledged := map[delivery.ExecutionID]bool{}
	for round := range 5 {
		for _, id := range killAfter(t, path, 50+37*round) {
			acknowledged[id] = true
		}
	}
	s := open(t, path)
	stored, err := s.Executions(t.Context(), delivery.ExecutionFilter{})
	if err != nil {
		t.Fatal(err)
	}
	pending, err := s.PendingStarts(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(pending) != len(stored) {
		t.Errorf("%d executions and %d outbox rows; they are written together", len(stored), len(pending))
	}
	for _, e := range stored {
		events, err := s.Events(t.Context(), e.ID, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if running := e.Status == delivery.StatusRunning; running != (len(events) == 1) {
			t.Errorf("execution %s is %s with %d events; they are written together", e.ID, e.Status, len(events))
		}
		if e.Status == delivery.StatusRunning {
			delete(acknowledged, e.ID)
		}
	}
	if len(acknowledged) > 0 {
		t.Fatalf("%d acknowledged executions are lost", len(acknowledged))
	}
	t.Logf("%d executions after 5 kills", len(stored))
}

// killAfter runs a writing process, kills it after n acknowledgements and
// returns all that it made, those on their way included.
func killAfter(t *testing.T, path string, n int) []delivery.ExecutionID {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0])
	child.Env = append(os.Environ(), childPath+"="+path)
	var complaints strings.Builder
	child.Stderr = &complaints
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var ids []delivery.ExecutionID
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		ids = append(ids, delivery.ExecutionID(lines.Text()))
		if len(ids) == n {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil || len(ids) < n || complaints.Len() > 0 {
		t.Fatalf("the process ended by itself after %d acknowledgements: %v %s", len(ids), err, &complaints)
	}
	return ids
}
