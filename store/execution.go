package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// The kinds of key that make two starts the same.
const (
	idempotencyKey = "idempotency"
	correlationKey = "correlation"
)

// CreateExecution records an accepted start in one transaction: the execution,
// its definition, its keys and its place in the outbox. An execution that is
// already complete (it failed before it began) gets no place in the outbox.
//
// A start with a key that an earlier start of the same application and pipeline
// had is that start: the first execution is returned as it stands now, created
// is false and nothing changes. Invalid when the same IdempotencyKey came with
// another RequestHash; Conflict when the id exists already.
func (s *Store) CreateExecution(ctx context.Context, n delivery.NewExecution) (e delivery.Execution, created bool, err error) {
	n.Execution.Application = strings.ToLower(n.Execution.Application)
	err = s.write(ctx, func(tx *sql.Tx) error {
		earlier, err := earlierStart(ctx, tx, n)
		if err != nil {
			return err
		}
		if earlier != "" {
			e, err = executionIn(ctx, tx, earlier)
			return err
		}
		e, created = n.Execution, true
		return insertExecution(ctx, tx, n)
	})
	if err != nil {
		return delivery.Execution{}, false, fmt.Errorf("create execution %s: %w", n.Execution.ID, err)
	}
	if created {
		s.notify()
	}
	return e, created, nil
}

// keyScope is within what the keys of a start are compared.
func keyScope(e delivery.Execution) string { return e.Application + "/" + e.PipelineConfigID }

// EarlierStart returns the execution that CreateExecution would return in place
// of a new one: that of an earlier start with the same key. NotFound when there
// is none; Invalid as for CreateExecution.
func (s *Store) EarlierStart(ctx context.Context, n delivery.NewExecution) (delivery.Execution, error) {
	n.Execution.Application = strings.ToLower(n.Execution.Application)
	id, err := earlierStart(ctx, s.reads, n)
	switch {
	case err != nil:
		return delivery.Execution{}, fmt.Errorf("find an earlier start: %w", s.classify(err))
	case id == "":
		return delivery.Execution{}, delivery.Errorf(delivery.NotFound, "no earlier start has the key")
	}
	return s.Execution(ctx, id)
}

func earlierStart(ctx context.Context, from reader, n delivery.NewExecution) (delivery.ExecutionID, error) {
	const query = `SELECT execution_id, request_hash FROM execution_keys WHERE scope = ? AND kind = ? AND key = ?`
	for _, k := range []struct{ kind, key string }{{idempotencyKey, n.IdempotencyKey}, {correlationKey, n.CorrelationID}} {
		if k.key == "" {
			continue
		}
		var id delivery.ExecutionID
		var hash string
		found, err := first(from.QueryRowContext(ctx, query, keyScope(n.Execution), k.kind, k.key), &id, &hash)
		if err != nil {
			return "", err
		}
		if !found {
			continue
		}
		if k.kind == idempotencyKey && hash != "" && n.RequestHash != "" && hash != n.RequestHash {
			return "", reusedKey(k.key)
		}
		return id, nil
	}
	return "", nil
}

func reusedKey(key string) error {
	return delivery.Errorf(delivery.Invalid, "Idempotency-Key %q was used for another request", key)
}

func insertExecution(ctx context.Context, tx *sql.Tx, n delivery.NewExecution) error {
	e := n.Execution
	doc, err := encode("execution", e)
	if err != nil {
		return err
	}
	definition, err := document("the definition", n.Definition)
	if err != nil {
		return err
	}
	result, err := tx.ExecContext(ctx, `
		INSERT INTO executions (id, type, application, name, pipeline_config_id, status, build_ms, version, trigger_type, event_id, document)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		e.ID, e.Type, e.Application, e.Name, e.PipelineConfigID, e.Status, e.BuildTime.UnixMilli(), e.Version,
		e.Trigger.Type, e.Trigger.EventID(), doc)
	if err != nil {
		return err
	}
	if inserted, err := result.RowsAffected(); err != nil {
		return err
	} else if inserted == 0 {
		return delivery.Errorf(delivery.Conflict, "execution %s exists already", e.ID)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO execution_definitions (execution_id, document) VALUES (?, ?)`, e.ID, definition); err != nil {
		return err
	}
	for _, k := range []struct{ kind, key, hash string }{{idempotencyKey, n.IdempotencyKey, n.RequestHash}, {correlationKey, n.CorrelationID, ""}} {
		if k.key == "" {
			continue
		}
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO execution_keys (scope, kind, key, execution_id, request_hash) VALUES (?, ?, ?, ?, ?)`,
			keyScope(e), k.kind, k.key, e.ID, k.hash); err != nil {
			return err
		}
	}
	if e.Status.Complete() {
		return nil
	}
	return enqueue(ctx, tx, e)
}

// Execution returns the execution with that id, a deleted one too; NotFound when
// there is none.
func (s *Store) Execution(ctx context.Context, id delivery.ExecutionID) (delivery.Execution, error) {
	e, err := executionIn(ctx, s.reads, id)
	if err != nil {
		return e, fmt.Errorf("read execution %s: %w", id, s.classify(err))
	}
	return e, nil
}

func executionIn(ctx context.Context, from reader, id delivery.ExecutionID) (delivery.Execution, error) {
	found, err := collect(ctx, from, scanExecution, selectExecution+` WHERE id = ?`, id)
	if err != nil {
		return delivery.Execution{}, err
	}
	if len(found) == 0 {
		return delivery.Execution{}, delivery.Errorf(delivery.NotFound, "execution %s", id)
	}
	return found[0], nil
}

// ExecutionDefinition returns the definition the execution was created with;
// NotFound when there is no such execution.
func (s *Store) ExecutionDefinition(ctx context.Context, id delivery.ExecutionID) (json.RawMessage, error) {
	var doc string
	found, err := first(s.reads.QueryRowContext(ctx, `SELECT document FROM execution_definitions WHERE execution_id = ?`, id), &doc)
	if err != nil {
		return nil, fmt.Errorf("read definition of execution %s: %w", id, s.classify(err))
	}
	if !found {
		return nil, delivery.Errorf(delivery.NotFound, "execution %s", id)
	}
	return json.RawMessage(doc), nil
}

// ProjectExecution writes the state of an execution as its workflow sees it,
// and the events that led to it, in one transaction. NotFound when the execution
// was never created.
//
// stored is false, and the row stays, when e.Version is not newer than the
// stored version, or when e would take a status back: out of a complete one, or
// to not started. Events whose key the execution has already are dropped; the
// others are stored even when the row stays. Repeating a call changes nothing.
func (s *Store) ProjectExecution(ctx context.Context, e delivery.Execution, events []delivery.Event) (stored bool, err error) {
	e.Application = strings.ToLower(e.Application)
	doc, err := encode("execution", e)
	if err != nil {
		return false, err
	}
	added := 0
	err = s.write(ctx, func(tx *sql.Tx) error {
		var version int64
		var status delivery.Status
		found, err := first(tx.QueryRowContext(ctx, `SELECT version, status FROM executions WHERE id = ?`, e.ID), &version, &status)
		if err != nil {
			return err
		}
		if !found {
			return delivery.Errorf(delivery.NotFound, "execution %s", e.ID)
		}
		if added, err = insertEvents(ctx, tx, e.ID, events); err != nil {
			return err
		}
		if e.Version <= version || goesBack(status, e.Status) {
			return nil
		}
		stored = true
		if e.Status.Complete() && !status.Complete() {
			if err := insertEnd(ctx, tx, e, doc); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `UPDATE executions SET name = ?, status = ?, build_ms = ?, version = ?, document = ? WHERE id = ?`,
			e.Name, e.Status, e.BuildTime.UnixMilli(), e.Version, doc, e.ID)
		if err == nil && e.Status.Complete() && !status.Complete() {
			err = admit(ctx, tx, e)
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("project execution %s: %w", e.ID, err)
	}
	if added > 0 {
		s.notify()
	}
	return stored, nil
}

// goesBack is wider than the table of transitions, because a projection may skip
// states: it forbids only what no sequence of transitions leads to.
func goesBack(from, to delivery.Status) bool {
	if from == to {
		return false
	}
	return from.Complete() || to == delivery.StatusNotStarted || to == delivery.StatusUnknown
}

// selectExecution begins a query whose rows scanExecution reads.
const selectExecution = `SELECT document, deleted FROM executions`

func scanExecution(row scanner) (delivery.Execution, error) {
	var e delivery.Execution
	var doc string
	var deleted bool
	if err := row.Scan(&doc, &deleted); err != nil {
		return e, err
	}
	if err := json.Unmarshal([]byte(doc), &e); err != nil {
		return e, fmt.Errorf("decode execution: %w", err)
	}
	e.Deleted = deleted
	return e, nil
}
