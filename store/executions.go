package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// Executions returns the executions that the filter selects, newest build time
// first. Unknown ids and pipelines select nothing.
func (s *Store) Executions(ctx context.Context, f delivery.ExecutionFilter) ([]delivery.Execution, error) {
	found, err := s.selectExecutions(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("list executions: %w", s.classify(err))
	}
	return found, nil
}

func (s *Store) selectExecutions(ctx context.Context, f delivery.ExecutionFilter) ([]delivery.Execution, error) {
	if f.LimitPerPipeline == 0 {
		where := whereExecutions(f)
		return collect(ctx, s.reads, scanExecution, `SELECT document FROM executions`+where.text()+
			` ORDER BY build_ms DESC, id DESC LIMIT ? OFFSET ?`, append(where.args, atMost(f.Limit), f.Offset)...)
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
		newest, err := collect(ctx, tx, scanExecution, `SELECT document FROM executions`+where.text()+
			` ORDER BY build_ms DESC, id DESC LIMIT ?`, append(where.args, f.LimitPerPipeline)...)
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

// pipelinesOf returns the pipeline configurations among the selected executions.
func pipelinesOf(ctx context.Context, tx *sql.Tx, f delivery.ExecutionFilter) ([]string, error) {
	if len(f.PipelineConfigIDs) > 0 {
		return slices.Compact(slices.Sorted(slices.Values(f.PipelineConfigIDs))), nil
	}
	where := whereExecutions(delivery.ExecutionFilter{Application: f.Application})
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
	in(c, "id", f.IDs)
	in(c, "pipeline_config_id", f.PipelineConfigIDs)
	in(c, "status", f.Statuses)
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
