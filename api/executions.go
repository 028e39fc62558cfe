package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

// listExecutions selects by ids, which ignores the other filters, or by pipeline
// configurations.
func (s *Server) listExecutions(c *gin.Context) error {
	q := queryOf(c)
	ids, configs := q.list("executionIds"), q.list("pipelineConfigIds")
	statuses, filtered := q.statuses("statuses")
	limit, expand := q.number("limit", 1, 1000), q.flag("expand", true)
	if len(ids) > 0 && len(configs) > 0 {
		q.refuse("executionIds", "cannot be combined with pipelineConfigIds")
	}
	if err := q.err(); err != nil {
		return err
	}
	filter := delivery.ExecutionFilter{PipelineConfigIDs: configs, Statuses: statuses, LimitPerPipeline: limit}
	if len(ids) > 0 {
		filter, filtered = delivery.ExecutionFilter{Type: delivery.PipelineExecution}, false
		for _, id := range ids {
			filter.IDs = append(filter.IDs, delivery.ExecutionID(id))
		}
	}
	if len(ids)+len(configs) == 0 || filtered && len(statuses) == 0 || len(configs) > 0 && limit == 0 {
		return render(c, http.StatusOK, []v1.Execution{})
	}
	found, err := s.store.Executions(c.Request.Context(), filter)
	if err != nil {
		return err
	}
	if slices.SortFunc(found, byStart); len(ids) > 0 {
		slices.SortStableFunc(found, func(a, b delivery.Execution) int {
			return slices.Index(ids, string(a.ID)) - slices.Index(ids, string(b.ID))
		})
	}
	return s.renderExecutions(c, found, expand)
}

// byStart is the order of Spinnaker's lists: what has not begun, then the one that
// began first. Executions by their ids come in the order of these.
func byStart(a, b delivery.Execution) int {
	return cmp.Or(a.StartTime.Compare(b.StartTime), strings.Compare(string(b.ID), string(a.ID)))
}

// listApplicationExecutions lists by start; its limit is per pipeline.
func (s *Server) listApplicationExecutions(c *gin.Context) error {
	q := queryOf(c)
	statuses, filtered := q.statuses("statuses")
	limit, expand := q.number("limit", 10, 1000), q.flag("expand", true)
	name, pipelines := strings.ToLower(q.text("pipelineNameFilter")), q.number("pipelineLimit", 0, 1<<20)
	if err := q.err(); err != nil {
		return err
	}
	if filtered && len(statuses) == 0 || limit == 0 {
		return render(c, http.StatusOK, []v1.Execution{})
	}
	filter := delivery.ExecutionFilter{Application: param(c, "app"), Type: delivery.PipelineExecution, Statuses: statuses, LimitPerPipeline: limit}
	if pipelines > 0 {
		first, err := s.firstPipelines(c.Request.Context(), filter.Application, name, pipelines)
		if err != nil {
			return err
		}
		if filter.PipelineConfigIDs = first; len(first) == 0 {
			return render(c, http.StatusOK, []v1.Execution{})
		}
	}
	found, err := s.store.Executions(c.Request.Context(), filter)
	if err != nil {
		return err
	}
	found = slices.DeleteFunc(found, func(e delivery.Execution) bool { return !strings.Contains(strings.ToLower(e.Name), name) })
	slices.SortFunc(found, byStart)
	return s.renderExecutions(c, found, expand)
}

// firstPipelines returns the ids of the first pipelines of an application, by their
// index and name, whose name has the text.
func (s *Server) firstPipelines(ctx context.Context, application, text string, limit int) ([]string, error) {
	all, err := s.pipelinesInPlace(ctx, application)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, p := range all {
		if len(out) < limit && strings.Contains(strings.ToLower(p.Name), text) {
			out = append(out, p.ID)
		}
	}
	return out, nil
}

func (s *Server) renderExecutions(c *gin.Context, found []delivery.Execution, expand bool) error {
	out := []v1.Execution{}
	for _, e := range found {
		if err := s.authorize(principalOf(c), read, resource{e.Application}); err != nil {
			continue // what the caller may not see is left out
		}
		one, err := s.presentRunning(c.Request.Context(), e, expand)
		if err != nil {
			return err
		}
		out = append(out, one)
	}
	return render(c, http.StatusOK, out)
}
