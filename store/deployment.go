package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/slipway-cd/slipway/delivery"
)

// RecordDeployment writes the state of a deployment, which the first call
// creates, and its events, in one transaction. NotFound when its execution was
// never created.
//
// stored is false, and the row stays, when d.Version is not newer than the
// stored version, or when the stored status is complete and another. Events
// whose key the execution has already are dropped; the others are stored even
// when the row stays. Repeating a call changes nothing.
func (s *Store) RecordDeployment(ctx context.Context, d delivery.Deployment, events []delivery.Event) (stored bool, err error) {
	doc, err := encode("deployment", d)
	if err != nil {
		return false, err
	}
	added := 0
	err = s.write(ctx, func(tx *sql.Tx) error {
		var one int
		if found, err := first(tx.QueryRowContext(ctx, `SELECT 1 FROM executions WHERE id = ?`, d.Execution), &one); err != nil {
			return err
		} else if !found {
			return delivery.Errorf(delivery.NotFound, "execution %s", d.Execution)
		}
		if added, err = insertEvents(ctx, tx, d.Execution, events); err != nil {
			return err
		}
		stored, err = putDeployment(ctx, tx, d, doc)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("record deployment %s: %w", d.ID, err)
	}
	if added > 0 {
		s.notify()
	}
	return stored, nil
}

func putDeployment(ctx context.Context, tx *sql.Tx, d delivery.Deployment, doc string) (stored bool, err error) {
	var version int64
	var status delivery.DeploymentStatus
	found, err := first(tx.QueryRowContext(ctx, `SELECT version, status FROM deployments WHERE id = ?`, d.ID), &version, &status)
	if err != nil {
		return false, err
	}
	if found && (d.Version <= version || status.Complete() && status != d.Status) {
		return false, nil
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO deployments (id, execution_id, cluster_key, status, version, document) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET status = excluded.status, version = excluded.version, document = excluded.document`,
		d.ID, d.Execution, d.Cluster.Key(), d.Status, d.Version, doc)
	return err == nil, err
}

// Deployment returns the deployment with that id; NotFound when there is none.
func (s *Store) Deployment(ctx context.Context, id delivery.DeploymentID) (delivery.Deployment, error) {
	found, err := collect(ctx, s.reads, scanDeployment, `SELECT document FROM deployments WHERE id = ?`, id)
	if err != nil {
		return delivery.Deployment{}, fmt.Errorf("read deployment %s: %w", id, s.classify(err))
	}
	if len(found) == 0 {
		return delivery.Deployment{}, delivery.Errorf(delivery.NotFound, "deployment %s", id)
	}
	return found[0], nil
}

// Deployments returns the deployments of an execution sorted by id; none for an
// unknown execution.
func (s *Store) Deployments(ctx context.Context, execution delivery.ExecutionID) ([]delivery.Deployment, error) {
	found, err := collect(ctx, s.reads, scanDeployment, `SELECT document FROM deployments WHERE execution_id = ? ORDER BY id`, execution)
	if err != nil {
		return nil, fmt.Errorf("list deployments of execution %s: %w", execution, s.classify(err))
	}
	return found, nil
}

// ClusterDeployments returns the deployments that have had the cluster's lock, the
// one that got it last first; at most limit. One that waits for it is not among them.
func (s *Store) ClusterDeployments(ctx context.Context, clusterKey string, limit int) ([]delivery.Deployment, error) {
	prefix := delivery.DeploymentID("").WorkflowID() // what holds the lock is the deployment's workflow
	found, err := collect(ctx, s.reads, scanDeployment, `
		SELECT d.document FROM fences f JOIN deployments d ON d.id = substr(f.holder, ?)
		WHERE f.cluster_key = ? ORDER BY f.fence DESC LIMIT ?`, len(prefix)+1, clusterKey, limit)
	if err != nil {
		return nil, fmt.Errorf("list deployments of cluster %s: %w", clusterKey, s.classify(err))
	}
	return found, nil
}

func scanDeployment(row scanner) (delivery.Deployment, error) {
	var d delivery.Deployment
	var doc string
	if err := row.Scan(&doc); err != nil {
		return d, err
	}
	if err := json.Unmarshal([]byte(doc), &d); err != nil {
		return d, fmt.Errorf("decode deployment: %w", err)
	}
	return d, nil
}
