package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Config says where the store is.
type Config struct {
	// Path is the SQLite file. Its folder is created when it is missing.
	Path string
}

// Store is the one SQL store of a process. Its methods may be called concurrently.
type Store struct {
	path string
	// writes has one connection: SQLite has one writer, and waiting for a
	// connection is fair where waiting for a lock is not.
	writes *sql.DB
	reads  *sql.DB

	mu        sync.Mutex
	listeners map[chan struct{}]struct{}
}

// Close waits for running calls and closes the file.
func (s *Store) Close() error {
	return errors.Join(s.reads.Close(), s.writes.Close())
}

// Subscribe returns a channel that receives after commits which added events or
// accepted executions. Bursts are merged: one receive may stand for many
// commits, so the receiver reads on from where it was. cancel ends the
// subscription; the channel is never closed.
func (s *Store) Subscribe() (changes <-chan struct{}, cancel func()) {
	c := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners[c] = struct{}{}
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.listeners, c)
	}
}

func (s *Store) notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.listeners {
		select {
		case c <- struct{}{}:
		default: // one is waiting to be received; it stands for this one as well
		}
	}
}

// write runs do in one transaction, which is committed when do returns nil.
func (s *Store) write(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := s.writes.BeginTx(ctx, nil)
	if err != nil {
		return s.classify(err)
	}
	if err := do(tx); err != nil {
		return errors.Join(s.classify(err), rollback(tx))
	}
	return s.classify(tx.Commit())
}

func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return fmt.Errorf("roll back: %w", err)
	}
	return nil
}

// reader is what both a transaction and a pool can do.
type reader interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// collect runs a query and scans every row.
func collect[T any](ctx context.Context, from reader, scan func(row scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := from.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // rows.Err below has the error of the iteration
	out := []T{}
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, item)
	}
	return out, rows.Err()
}

type scanner interface{ Scan(dest ...any) error }

// first reads one row; found is false when there is none.
func first(row *sql.Row, dest ...any) (found bool, err error) {
	switch err := row.Scan(dest...); {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, nil
}

func encode(what string, value any) (string, error) {
	b, err := json.Marshal(value)
	if err != nil {
		return "", delivery.Errorf(delivery.Invalid, "encode %s: %w", what, err)
	}
	return string(b), nil
}

// document checks that raw is JSON; nothing is stored as an empty object.
func document(what string, raw json.RawMessage) (string, error) {
	if len(raw) == 0 {
		return "{}", nil
	}
	if !json.Valid(raw) {
		return "", delivery.Errorf(delivery.Invalid, "%s is not JSON", what)
	}
	return string(raw), nil
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
