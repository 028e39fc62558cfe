package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/slipway-cd/slipway/delivery"
)

// PendingStarts returns executions whose workflow is still to be started, but for those
// that wait until others have ended, oldest first and at most limit of them; zero is no limit.
func (s *Store) PendingStarts(ctx context.Context, limit int) ([]delivery.ExecutionID, error) {
	ids, err := collect(ctx, s.reads, func(row scanner) (id delivery.ExecutionID, err error) { return id, row.Scan(&id) },
		`SELECT execution_id FROM outbox WHERE waiting = 0 ORDER BY position LIMIT ?`, atMost(limit))
	if err != nil {
		return nil, fmt.Errorf("read outbox: %w", s.classify(err))
	}
	return ids, nil
}

// MarkStarted takes an execution out of the outbox, once its workflow exists.
// Idempotent; an id that is not there is no error.
func (s *Store) MarkStarted(ctx context.Context, id delivery.ExecutionID) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM outbox WHERE execution_id = ?`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("mark execution %s started: %w", id, err)
	}
	return nil
}
