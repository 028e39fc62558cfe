package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// Executions returns the executions that the filter selects, newest build time
// first. Unknown ids and pipelines select nothing; deleted executions are left out.
func (s *Store) Executions(ctx context.Context, f delivery.ExecutionFilter) ([]delivery.Execution, error) {
	found, err := s.selectExecutions(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("list executions: %w", s.classify(err))
	}
	return found, nil
}

func (s *Store) selectExecutions(ctx context.Context, f delivery.ExecutionFilter) ([]delivery.Execution, error) {
	if f.Trigger != nil {
		return s.selectByTrigger(ctx, f)
	}
	if f.LimitPerPipeline == 0 {
		where := whereExecutions(f)
		return collect(ctx, s.reads, scanExecution, selectExecution+where.text()+
			orderOf(f)+` LIMIT ? OFFSET ?`, append(where.args, atMost(f.Limit), f.Offset)...)
	}
	// One snapshot for all pipelines.
	tx, err := s.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback() // nothing was written
	pipelines, err := pipelinesOf(ctx, tx, f)
	if err != nil {
		return nil, err
	}
	out := []delivery.Execution{}
	for _, id := range pipelines {
		one := f
		one.PipelineConfigIDs = []string{id}
		where := whereExecutions(one)
		newest, err := collect(ctx, tx, scanExecution, selectExecution+where.text()+
			newestFirst+` LIMIT ?`, append(where.args, f.LimitPerPipeline)...)
		if err != nil {
			return nil, err
		}
		out = append(out, newest...)
	}
	slices.SortFunc(out, func(a, b delivery.Execution) int {
		if c := b.BuildTime.UnixMilli() - a.BuildTime.UnixMilli(); c != 0 {
			return int(max(-1, min(1, c)))
		}
		return strings.Compare(string(b.ID), string(a.ID))
	})
	return cut(out, f.Offset, f.Limit), nil
}

const (
	newestFirst = ` ORDER BY build_ms DESC, id DESC`
	oldestFirst = ` ORDER BY build_ms, id`
)

func orderOf(f delivery.ExecutionFilter) string {
	if f.OldestFirst {
		return oldestFirst
	}
	return newestFirst
}

// selectByTrigger reads of the rest only the triggers, and stops at the last
// execution that the limit leaves.
func (s *Store) selectByTrigger(ctx context.Context, f delivery.ExecutionFilter) ([]delivery.Execution, error) {
	tx, err := s.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback() // nothing was written
	found, err := matchingTriggers(ctx, tx, f)
	if err != nil {
		return nil, err
	}
	out := []delivery.Execution{}
	for _, id := range found {
		e, err := executionIn(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func matchingTriggers(ctx context.Context, tx *sql.Tx, f delivery.ExecutionFilter) ([]delivery.ExecutionID, error) {
	where := whereExecutions(f)
	rows, err := tx.QueryContext(ctx, `SELECT id, json_extract(document, '$.trigger') FROM executions`+where.text()+orderOf(f), where.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // rows.Err below has the error of the iteration
	var found []delivery.ExecutionID
	skip := f.Offset
	for (f.Limit == 0 || len(found) < f.Limit) && rows.Next() {
		var id delivery.ExecutionID
		var doc string
		var trigger delivery.Trigger
		if err := rows.Scan(&id, &doc); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(doc), &trigger); err != nil {
			return nil, fmt.Errorf("decode trigger of execution %s: %w", id, err)
		}
		if !f.Trigger(trigger) {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		found = append(found, id)
	}
	return found, rows.Err()
}

// DeleteExecution takes a complete execution out of the lists. What it deployed and
// the keys of its start stay. NotFound when there is none or it is deleted already,
// Conflict while it is not complete.
func (s *Store) DeleteExecution(ctx context.Context, id delivery.ExecutionID) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		e, err := executionIn(ctx, tx, id)
		switch {
		case err != nil:
			return err
		case e.Deleted:
			return delivery.Errorf(delivery.NotFound, "execution %s", id)
		case !e.Status.Complete():
			return delivery.Errorf(delivery.Conflict, "execution %s is not complete: %s", id, e.Status)
		}
		_, err = tx.ExecContext(ctx, `UPDATE executions SET deleted = 1 WHERE id = ?`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete execution %s: %w", id, err)
	}
	return nil
}

// pipelinesOf returns the pipeline configurations among the selected executions.
func pipelinesOf(ctx context.Context, tx *sql.Tx, f delivery.ExecutionFilter) ([]string, error) {
	if len(f.PipelineConfigIDs) > 0 {
		return slices.Compact(slices.Sorted(slices.Values(f.PipelineConfigIDs))), nil
	}
	// Deleted executions are among them, so that the index alone answers.
	where := &condition{}
	if f.Application != "" {
		where.and("application = ?", strings.ToLower(f.Application))
	}
	return collect(ctx, tx, func(row scanner) (id string, err error) { return id, row.Scan(&id) },
		`SELECT DISTINCT pipeline_config_id FROM executions`+where.text(), where.args...)
}

func cut(all []delivery.Execution, offset, limit int) []delivery.Execution {
	all = all[min(max(offset, 0), len(all)):]
	if limit > 0 && limit < len(all) {
		all = all[:limit]
	}
	return all
}

// condition is a WHERE clause under construction.
type condition struct {
	terms []string
	args  []any
}

func (c *condition) and(term string, args ...any) {
	c.terms = append(c.terms, term)
	c.args = append(c.args, args...)
}

func (c *condition) text() string {
	if len(c.terms) == 0 {
		return ""
	}
	return ` WHERE ` + strings.Join(c.terms, ` AND `)
}

// in adds nothing for an empty list: a field that is not set does not narrow.
func in[T any](c *condition, column string, values []T) {
	if len(values) == 0 {
		return
	}
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	c.and(column+` IN (?`+strings.Repeat(`, ?`, len(values)-1)+`)`, args...)
}

func whereExecutions(f delivery.ExecutionFilter) *condition {
	c := &condition{}
	c.and("deleted = 0")
	in(c, "id", f.IDs)
	in(c, "pipeline_config_id", f.PipelineConfigIDs)
	in(c, "status", f.Statuses)
	in(c, "trigger_type", f.TriggerTypes)
	if f.EventID != "" {
		c.and("event_id = ? AND event_id <> ''", f.EventID)
	}
	if f.Application != "" {
		c.and("application = ?", strings.ToLower(f.Application))
	}
	if f.Type != "" {
		c.and("type = ?", f.Type)
	}
	if f.Name != "" {
		c.and("name = ?", f.Name)
	}
	if !f.From.IsZero() {
		c.and("build_ms >= ?", f.From.UnixMilli())
	}
	if !f.To.IsZero() {
		c.and("build_ms <= ?", f.To.UnixMilli())
	}
	return c
}

// atMost turns "zero is no limit" into SQL.
func atMost(limit int) int {
	if limit <= 0 {
		return -1
	}
	return limit
}
