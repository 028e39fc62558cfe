package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// putTriggers replaces what the index has of a pipeline's triggers. Invalid when
// the pipeline would start itself, over however many others.
func putTriggers(ctx context.Context, tx *sql.Tx, p delivery.Pipeline) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM pipeline_triggers WHERE pipeline_id = ?`, p.ID); err != nil {
		return err
	}
	chained := false
	for _, t := range pipeline.TriggerSources(p.Document) {
		if _, err := tx.ExecContext(ctx, `INSERT INTO pipeline_triggers (type, source, pipeline_id) VALUES (?, ?, ?)`, t.Type, t.Source, p.ID); err != nil {
			return err
		}
		chained = chained || t.Type == pipeline.PipelineType
	}
	if !chained {
		return nil // what nothing starts closes no cycle
	}
	return checkCycle(ctx, tx, p)
}

func checkCycle(ctx context.Context, tx *sql.Tx, p delivery.Pipeline) error {
	var found int
	cyclic, err := first(tx.QueryRowContext(ctx, `
		WITH RECURSIVE before (id) AS (
			SELECT source FROM pipeline_triggers WHERE type = ? AND pipeline_id = ?
			UNION
			SELECT t.source FROM before b JOIN pipeline_triggers t ON t.pipeline_id = b.id AND t.type = ?)
		SELECT 1 FROM before WHERE id = ?`, pipeline.PipelineType, p.ID, pipeline.PipelineType, p.ID), &found)
	if err != nil || !cyclic {
		return err
	}
	return delivery.InvalidError("pipeline is not valid", []delivery.Finding{{Pointer: "/triggers",
		Message: "its triggers of type pipeline would let the pipeline start itself for ever, by way of others; disable one of them"}})
}

const triggeredQuery = `SELECT p.id, ` + pipelineColumns + ` FROM pipeline_triggers t JOIN pipelines p ON p.id = t.pipeline_id
	WHERE t.type = ? AND t.source = ? AND t.pipeline_id > ? AND NOT p.disabled ORDER BY t.pipeline_id LIMIT ?`

// TriggeredPipelines returns the pipelines that are not disabled and have an enabled
// trigger of that type and source, in the order of their ids: at most limit of them
// after the id.
func (s *Store) TriggeredPipelines(ctx context.Context, kind, source, after string, limit int) ([]delivery.Pipeline, error) {
	key := pipeline.NewTriggerSource(kind, source)
	found, err := collect(ctx, s.reads, scanPipeline, triggeredQuery, key.Type, key.Source, after, atMost(limit))
	if err != nil {
		return nil, fmt.Errorf("list pipelines with triggers of type %s and source %s: %w", kind, source, s.classify(err))
	}
	return found, nil
}

// insertEnd notes that an execution ended, and how, when a pipeline waits for it. doc is
// the encoded execution.
func insertEnd(ctx context.Context, tx *sql.Tx, e delivery.Execution, doc string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO endings (execution_id, restarts, document) SELECT ?, ?, ? WHERE EXISTS
		(SELECT 1 FROM pipeline_triggers WHERE type = ? AND source = ?) ON CONFLICT (execution_id, restarts) DO NOTHING`,
		e.ID, e.Restarts, doc, pipeline.PipelineType, e.PipelineConfigID)
	return err
}

// PendingEnds returns the ends of executions that may still have to start pipelines,
// oldest first: at most limit of them, zero is no limit, after that place. Each is the execution as it
// was when it ended: one that was restarted since may be there more than once.
func (s *Store) PendingEnds(ctx context.Context, after int64, limit int) ([]delivery.PendingEnd, error) {
	ended, err := collect(ctx, s.reads, scanEnding, `SELECT position, document FROM endings WHERE position > ? ORDER BY position LIMIT ?`, after, atMost(limit))
	if err != nil {
		return nil, fmt.Errorf("read ended executions: %w", s.classify(err))
	}
	return ended, nil
}

func scanEnding(row scanner) (delivery.PendingEnd, error) {
	var e delivery.PendingEnd
	var doc string
	if err := row.Scan(&e.Place, &doc); err != nil {
		return e, err
	}
	if err := json.Unmarshal([]byte(doc), &e.Execution); err != nil {
		return e, fmt.Errorf("decode ended execution: %w", err)
	}
	return e, nil
}

// MarkFollowed says that the end of an execution after so many restarts has started
// what it is to start. Idempotent; an end that is not there is no error.
func (s *Store) MarkFollowed(ctx context.Context, id delivery.ExecutionID, restarts int) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM endings WHERE execution_id = ? AND restarts = ?`, id, restarts)
		return err
	})
	if err != nil {
		return fmt.Errorf("mark execution %s followed: %w", id, err)
	}
	return nil
}
