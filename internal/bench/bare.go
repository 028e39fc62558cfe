package main

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	_ "modernc.org/sqlite" // the store's driver
)

// bareQueue is the task queue of the bare workflows. Their worker has the options
// of Slipway's and runs in the same process against the same server.
const (
	bareQueue = "bench"
	bareType  = "Bare"
)

// work is what a workflow does: activities in sequence.
type work struct {
	Activities, Local int
	// Commit lets each local activity commit one row; otherwise they do nothing.
	Commit bool
}

// bare starts and carries out bare workflows.
type bare struct {
	temporal client.Client
	rows     *rows
	started  atomic.Int64
}

// workflow does the work and nothing else.
func (b *bare) workflow(ctx workflow.Context, w work) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 10 * time.Second})
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{StartToCloseTimeout: 10 * time.Second})
	for range w.Activities {
		if err := workflow.ExecuteActivity(ctx, b.nothing).Get(ctx, nil); err != nil {
			return err
		}
	}
	local := b.nothing
	if w.Commit {
		local = b.commit
	}
	for range w.Local {
		if err := workflow.ExecuteLocalActivity(ctx, local).Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

func (b *bare) nothing(context.Context) error { return nil }

func (b *bare) commit(ctx context.Context) error { return b.rows.add(ctx, "{}") }

// newBare starts a worker for bare workflows in the system.
func newBare(ctx context.Context, s *system) (*bare, error) {
	rows, err := openRows(ctx, s)
	if err != nil {
		return nil, err
	}
	b := &bare{temporal: s.temporal, rows: rows}
	w := worker.New(s.temporal, bareQueue, worker.Options{MaxConcurrentWorkflowTaskPollers: 4, MaxConcurrentActivityTaskPollers: 4})
	w.RegisterWorkflowWithOptions(b.workflow, workflow.RegisterOptions{Name: bareType})
	w.RegisterActivity(b.nothing)
	if err := w.Start(); err != nil {
		return nil, err
	}
	s.add(func() error { w.Stop(); return nil })
	return b, nil
}

// run carries one workflow out.
func (b *bare) run(ctx context.Context, w work) error {
	run, err := b.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: fmt.Sprintf("bare/%d", b.started.Add(1)),
		TaskQueue: bareQueue, WorkflowTaskTimeout: 5 * time.Second, EnableEagerStart: true}, bareType, w)
	if err != nil {
		return err
	}
	return run.Get(ctx, nil)
}

// rows is a SQLite file with the store's settings, apart from the store's.
type rows struct{ db *sql.DB }

func openRows(ctx context.Context, s *system) (*rows, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.dir, "bare.db")+
		"?_txlock=immediate&_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=busy_timeout(10000)")
	if err != nil {
		return nil, err
	}
	s.add(db.Close)
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(ctx, `CREATE TABLE accepted (id INTEGER PRIMARY KEY, document TEXT NOT NULL)`)
	return &rows{db}, err
}

// add commits one row.
func (r *rows) add(ctx context.Context, document string) error {
	_, err := r.db.ExecContext(ctx, `INSERT INTO accepted (document) VALUES (?)`, document)
	return err
}
