package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// Who may begin is decided in the transaction that records what it depends on: that an
// execution was accepted, or that one ended. So two processes never decide at once, and
// a death between two steps leaves nothing half done.

// enqueue puts a new execution into the outbox: to be started, or to wait.
func enqueue(ctx context.Context, tx *sql.Tx, e delivery.Execution) error {
	waits := false
	if limits := pipeline.LimitsOf(e); limits.Concurrent > 0 && e.PipelineConfigID != "" {
		running, waiting, err := open(ctx, tx, e.PipelineConfigID, e.ID)
		if err != nil {
			return err
		}
		waits = !limits.Begins(running, len(waiting))
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO outbox (execution_id, waiting) VALUES (?, ?)`, e.ID, waits)
	return err
}

// open counts the executions of a pipeline, but one, that run or are about to, and
// lists those that wait, the oldest first.
func open(ctx context.Context, from reader, pipelineID string, but delivery.ExecutionID) (running int, waiting []delivery.ExecutionID, err error) {
	type row struct {
		id    delivery.ExecutionID
		waits bool
	}
	rows, err := collect(ctx, from, func(r scanner) (one row, err error) { return one, r.Scan(&one.id, &one.waits) }, `
		SELECT e.id, COALESCE(o.waiting, 0) FROM executions e LEFT JOIN outbox o ON o.execution_id = e.id
		WHERE e.pipeline_config_id = ? AND e.status IN ('NOT_STARTED', 'RUNNING', 'PAUSED') AND e.id <> ? ORDER BY o.position`, pipelineID, but)
	for _, one := range rows {
		if one.waits {
			waiting = append(waiting, one.id)
		} else {
			running++
		}
	}
	return running, waiting, err
}

// admit lets those begin that waited for the end of an execution.
func admit(ctx context.Context, tx *sql.Tx, ended delivery.Execution) error {
	if ended.PipelineConfigID == "" {
		return nil
	}
	running, waiting, err := open(ctx, tx, ended.PipelineConfigID, ended.ID)
	if err != nil || len(waiting) == 0 {
		return err
	}
	newest, err := executionIn(ctx, tx, waiting[len(waiting)-1])
	if err != nil {
		return err
	}
	begin, canceled := pipeline.LimitsOf(newest).Admit(running, waiting)
	for _, id := range begin {
		if _, err := tx.ExecContext(ctx, `UPDATE outbox SET waiting = 0 WHERE execution_id = ?`, id); err != nil {
			return err
		}
	}
	reason := pipeline.Overtaken(newest)
	for _, id := range canceled {
		if err := cancelWaiting(ctx, tx, id, delivery.System.Name, reason, ended.EndTime); err != nil {
			return err
		}
	}
	return nil
}

// cancelWaiting ends an execution that never began, and tells so.
func cancelWaiting(ctx context.Context, tx *sql.Tx, id delivery.ExecutionID, by, reason string, at time.Time) error {
	e, err := executionIn(ctx, tx, id)
	if err != nil {
		return err
	}
	e.Status, e.EndTime, e.CanceledBy, e.CancellationReason = delivery.StatusCanceled, at, by, reason
	e.Version++
	doc, err := encode("execution", e)
	if err != nil {
		return err
	}
	data, err := json.Marshal(map[string]any{"status": e.Status, "by": by, "reason": reason})
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	event := delivery.Event{Execution: id, Key: fmt.Sprintf("execution/%d/0", e.Version), At: at, Type: delivery.EventExecution, Data: data}
	if _, err := insertEvents(ctx, tx, id, []delivery.Event{event}); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE executions SET status = ?, version = ?, document = ? WHERE id = ?`, e.Status, e.Version, doc, id); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM outbox WHERE execution_id = ?`, id); err != nil {
		return err
	}
	return insertEnd(ctx, tx, e, doc)
}

// Waits reports whether an execution waits until others of its pipeline have ended.
func (s *Store) Waits(ctx context.Context, id delivery.ExecutionID) (bool, error) {
	waits, err := waitsIn(ctx, s.reads, id)
	if err != nil {
		return false, fmt.Errorf("read outbox: %w", s.classify(err))
	}
	return waits, nil
}

func waitsIn(ctx context.Context, from reader, id delivery.ExecutionID) (waits bool, err error) {
	_, err = first(from.QueryRowContext(ctx, `SELECT waiting FROM outbox WHERE execution_id = ?`, id), &waits)
	return waits, err
}

// CancelWaiting cancels an execution that waits until others of its pipeline have
// ended. canceled is false, and nothing changes, when it does not wait (any more).
func (s *Store) CancelWaiting(ctx context.Context, id delivery.ExecutionID, by delivery.Principal, reason string, at time.Time) (canceled bool, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		if canceled, err = waitsIn(ctx, tx, id); err != nil || !canceled {
			return err
		}
		return cancelWaiting(ctx, tx, id, by.Name, reason, at)
	})
	if err != nil {
		return false, fmt.Errorf("cancel execution %s: %w", id, err)
	}
	if canceled {
		s.notify()
	}
	return canceled, nil
}

// ReopenExecution records that an execution which had ended begins again, and puts it
// into the outbox. e is the stored one with the next version. Conflict when another
// change came first, or while a deployment of the execution still goes on.
func (s *Store) ReopenExecution(ctx context.Context, e delivery.Execution, event delivery.Event) error {
	doc, err := encode("execution", e)
	if err != nil {
		return err
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		if err := atRest(ctx, tx, e); err != nil {
			return err
		}
		if _, err := insertEvents(ctx, tx, e.ID, []delivery.Event{event}); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE executions SET status = ?, version = ?, document = ? WHERE id = ?`, e.Status, e.Version, doc, e.ID); err != nil {
			return err
		}
		// An execution may be over before its start was marked: that start is done.
		if _, err := tx.ExecContext(ctx, `DELETE FROM outbox WHERE execution_id = ?`, e.ID); err != nil {
			return err
		}
		return enqueue(ctx, tx, e)
	})
	if err != nil {
		return fmt.Errorf("reopen execution %s: %w", e.ID, err)
	}
	s.notify()
	return nil
}

// atRest checks that an execution is as its caller saw it, and that nothing of it goes on.
func atRest(ctx context.Context, tx *sql.Tx, e delivery.Execution) error {
	was, err := executionIn(ctx, tx, e.ID)
	if err != nil {
		return err
	}
	if was.Version != e.Version-1 || !was.Status.Complete() {
		return delivery.Errorf(delivery.Conflict, "execution %s has changed meanwhile: it is %s", e.ID, was.Status)
	}
	type row struct {
		id     delivery.DeploymentID
		status delivery.DeploymentStatus
	}
	rows, err := collect(ctx, tx, func(r scanner) (one row, err error) { return one, r.Scan(&one.id, &one.status) },
		`SELECT id, status FROM deployments WHERE execution_id = ?`, e.ID)
	for _, d := range rows {
		if !d.status.Complete() {
			return delivery.Errorf(delivery.Conflict, "deployment %s is still %s", d.id, d.status)
		}
	}
	return err
}
