package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/slipway-cd/slipway/delivery"
)

// Events returns the events of an execution with an id greater than afterID,
// oldest first and at most limit of them; zero is no limit. Ids grow in the
// order of the commits, so a reader that goes on after the last id it saw misses
// none.
func (s *Store) Events(ctx context.Context, execution delivery.ExecutionID, afterID int64, limit int) ([]delivery.Event, error) {
	events, err := collect(ctx, s.reads, scanEvent, `SELECT id, execution_id, key, at_us, type, data FROM events
		WHERE execution_id = ? AND id > ? ORDER BY id LIMIT ?`, execution, afterID, atMost(limit))
	if err != nil {
		return nil, fmt.Errorf("read events of execution %s: %w", execution, s.classify(err))
	}
	return events, nil
}

// insertEvents stores the events whose key is new to the execution and returns
// how many. ID and Execution of the given events are not read.
func insertEvents(ctx context.Context, tx *sql.Tx, execution delivery.ExecutionID, events []delivery.Event) (added int, err error) {
	for _, e := range events {
		data, err := document("the data of event "+e.Key, e.Data)
		if err != nil {
			return 0, err
		}
		result, err := tx.ExecContext(ctx, `INSERT INTO events (execution_id, key, at_us, type, data) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (execution_id, key) DO NOTHING`, execution, e.Key, micros(e.At), e.Type, data)
		if err != nil {
			return 0, err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return 0, err
		}
		added += int(n)
	}
	return added, nil
}

func scanEvent(row scanner) (delivery.Event, error) {
	var e delivery.Event
	var at int64
	var data string
	if err := row.Scan(&e.ID, &e.Execution, &e.Key, &at, &e.Type, &data); err != nil {
		return e, err
	}
	e.At, e.Data = fromMicros(at), json.RawMessage(data)
	return e, nil
}
