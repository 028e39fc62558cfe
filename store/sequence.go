package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/slipway-cd/slipway/delivery"
)

// numbers is how many sequence numbers there are before they start again at 0.
const numbers = delivery.MaxSequence + 1

// AllocateSequence gives a deployment the number of the server group it creates.
// Idempotent: a deployment keeps its number, whatever it passes later.
//
// The number follows every number allocated for the cluster and floor, the
// number of the newest group observed (negative for none), and is none of taken,
// the numbers of all groups observed. After delivery.MaxSequence comes 0. Quota
// when every number is taken.
func (s *Store) AllocateSequence(ctx context.Context, clusterKey string, deployment delivery.DeploymentID, floor int, taken []int) (int, error) {
	var ordinal int
	err := s.write(ctx, func(tx *sql.Tx) error {
		found, err := first(tx.QueryRowContext(ctx, `SELECT ordinal FROM sequences WHERE cluster_key = ? AND deployment = ?`,
			clusterKey, deployment), &ordinal)
		if err != nil || found {
			return err
		}
		last := -1
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(ordinal), -1) FROM sequences WHERE cluster_key = ?`, clusterKey).Scan(&last); err != nil {
			return err
		}
		if ordinal, err = nextOrdinal(last, floor, taken); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO sequences (cluster_key, deployment, ordinal) VALUES (?, ?, ?)`, clusterKey, deployment, ordinal)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("allocate sequence in %s for %s: %w", clusterKey, deployment, err)
	}
	return ordinal % numbers, nil
}

// NextSequence returns the number that AllocateSequence would give to another
// deployment now. It allocates nothing.
func (s *Store) NextSequence(ctx context.Context, clusterKey string, floor int, taken []int) (int, error) {
	last := -1
	if err := s.reads.QueryRowContext(ctx, `SELECT coalesce(max(ordinal), -1) FROM sequences WHERE cluster_key = ?`, clusterKey).Scan(&last); err != nil {
		return 0, fmt.Errorf("read the last sequence of %s: %w", clusterKey, s.classify(err))
	}
	ordinal, err := nextOrdinal(last, floor, taken)
	if err != nil {
		return 0, fmt.Errorf("next sequence of %s: %w", clusterKey, err)
	}
	return ordinal % numbers, nil
}

// nextOrdinal returns the first ordinal after both last (-1 for none) and floor
// whose number is not taken.
func nextOrdinal(last, floor int, taken []int) (int, error) {
	next := max(last, unwrapped(last, floor)) + 1
	for range numbers {
		if !slices.Contains(taken, next%numbers) {
			return next, nil
		}
		next++
	}
	return 0, delivery.Errorf(delivery.Quota, "all %d sequence numbers are taken", numbers)
}

// unwrapped returns the ordinal that an observed number stands for. Before the
// numbers of a cluster started again it is the number itself; later it is the
// nearest to last of those that end in it.
func unwrapped(last, floor int) int {
	if floor < 0 || last < numbers {
		return floor
	}
	ahead := ((floor-last)%numbers + numbers) % numbers
	if ahead > numbers/2 {
		ahead -= numbers
	}
	return last + ahead
}
