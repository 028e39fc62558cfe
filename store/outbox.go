package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/slipway-cd/slipway/delivery"
)

// PendingStarts returns executions whose workflow is still to be started, but for those
// that wait until others have ended, oldest first and at most limit of them; zero is no limit.
func (s *Store) PendingStarts(ctx context.Context, limit int) ([]delivery.PendingStart, error) {
	starts, err := collect(ctx, s.reads, func(row scanner) (p delivery.PendingStart, err error) { return p, row.Scan(&p.Execution, &p.Place) },
		`SELECT execution_id, position FROM outbox WHERE waiting = 0 ORDER BY position LIMIT ?`, atMost(limit))
	if err != nil {
		return nil, fmt.Errorf("read outbox: %w", s.classify(err))
	}
	return starts, nil
}

// MarkStarted takes a start out of the outbox, once the workflow exists. Idempotent; one
// that is not there is no error, and a later start of the same execution stays.
func (s *Store) MarkStarted(ctx context.Context, p delivery.PendingStart) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM outbox WHERE position = ?`, p.Place)
		return err
	})
	if err != nil {
		return fmt.Errorf("mark execution %s started: %w", p.Execution, err)
	}
	return nil
}
