package store

import (
	"context"
	"database/sql"
	"fmt"
)

// NextFence returns the fencing token of a holder of the cluster's lock, greater
// than that of every earlier holder. Idempotent: a holder keeps its token.
func (s *Store) NextFence(ctx context.Context, clusterKey, holder string) (int64, error) {
	var fence int64
	err := s.write(ctx, func(tx *sql.Tx) error {
		found, err := first(tx.QueryRowContext(ctx, `SELECT fence FROM fences WHERE cluster_key = ? AND holder = ?`, clusterKey, holder), &fence)
		if err != nil || found {
			return err
		}
		if fence, err = newestFence(ctx, tx, clusterKey); err != nil {
			return err
		}
		fence++
		_, err = tx.ExecContext(ctx, `INSERT INTO fences (cluster_key, holder, fence) VALUES (?, ?, ?)`, clusterKey, holder, fence)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("fence %s for %s: %w", clusterKey, holder, err)
	}
	return fence, nil
}

// Fence returns the newest fencing token of the cluster; 0 when there was never one.
func (s *Store) Fence(ctx context.Context, clusterKey string) (int64, error) {
	fence, err := newestFence(ctx, s.reads, clusterKey)
	if err != nil {
		return 0, fmt.Errorf("read fence of %s: %w", clusterKey, s.classify(err))
	}
	return fence, nil
}

func newestFence(ctx context.Context, from reader, clusterKey string) (fence int64, err error) {
	err = from.QueryRowContext(ctx, `SELECT coalesce(max(fence), 0) FROM fences WHERE cluster_key = ?`, clusterKey).Scan(&fence)
	return fence, err
}
