package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// RememberResponse keeps the answer to the request with that Idempotency-Key and
// returns the answer to give: the one kept first. scope says what the key is
// compared within, for example "POST /tasks" and the user. Invalid when the kept
// answer belongs to another request.
func (s *Store) RememberResponse(ctx context.Context, scope, key string, r delivery.StoredResponse) (delivery.StoredResponse, error) {
	kept := r
	err := s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO responses (scope, key, request_hash, status, body, created_us) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (scope, key) DO NOTHING`, scope, key, r.RequestHash, r.Status, nonNil(r.Body), time.Now().UnixMicro()); err != nil {
			return err
		}
		var err error
		kept, err = responseIn(ctx, tx, scope, key, r.RequestHash)
		return err
	})
	if err != nil {
		return delivery.StoredResponse{}, fmt.Errorf("remember response %s: %w", key, err)
	}
	return kept, nil
}

// Response returns the answer kept for the key in that scope. NotFound when
// there is none; Invalid when it belongs to another request.
func (s *Store) Response(ctx context.Context, scope, key, requestHash string) (delivery.StoredResponse, error) {
	r, err := responseIn(ctx, s.reads, scope, key, requestHash)
	if err != nil {
		return r, fmt.Errorf("read response %s: %w", key, s.classify(err))
	}
	return r, nil
}

// ForgetResponses removes the answers that were kept before the given time and
// returns how many there were. Their keys can be used anew.
func (s *Store) ForgetResponses(ctx context.Context, before time.Time) (forgotten int64, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM responses WHERE created_us < ?`, before.UnixMicro())
		if err != nil {
			return err
		}
		forgotten, err = result.RowsAffected()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("forget responses: %w", err)
	}
	return forgotten, nil
}

func responseIn(ctx context.Context, from reader, scope, key, requestHash string) (delivery.StoredResponse, error) {
	var r delivery.StoredResponse
	found, err := first(from.QueryRowContext(ctx, `SELECT request_hash, status, body FROM responses WHERE scope = ? AND key = ?`, scope, key),
		&r.RequestHash, &r.Status, &r.Body)
	if err != nil {
		return r, err
	}
	if !found {
		return r, delivery.Errorf(delivery.NotFound, "response for Idempotency-Key %q", key)
	}
	if r.RequestHash != requestHash {
		return delivery.StoredResponse{}, reusedKey(key)
	}
	if len(r.Body) == 0 {
		r.Body = nil
	}
	return r, nil
}

func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
