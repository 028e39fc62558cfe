package api

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

const (
	// searchTimeout bounds one search. A pattern for triggers is compared with one
	// execution after the other.
	searchTimeout = 20 * time.Second
	maxSearchSize = 1000
	// maxMillis is the last millisecond that JSON's numbers hold exactly.
	maxMillis = 1<<53 - 1
)

// everyApplication stands in a search for all applications that the caller may see.
const everyApplication = "*"

// everyType stands among trigger types for all of them.
const everyType = "*"

// searchExecutions finds executions of pipelines by what triggered them.
func (s *Server) searchExecutions(c *gin.Context) error {
	q := queryOf(c)
	filter, none := searchFilter(q, param(c, "app"))
	expand := q.flag("expand", false)
	if err := q.err(); err != nil {
		return err
	}
	if none {
		return render(c, http.StatusOK, []v1.Execution{})
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), searchTimeout)
	defer cancel()
	found, err := s.store.Executions(ctx, filter)
	if errors.Is(err, context.DeadlineExceeded) {
		return delivery.Errorf(delivery.Unavailable, "the search took longer than %s; narrow it by pipelineName, triggerTypes or the boundaries", searchTimeout)
	}
	if err != nil {
		return err
	}
	return s.renderExecutions(c, found, expand)
}

// searchFilter reads the query; none is true when it selects nothing.
func searchFilter(q *query, application string) (filter delivery.ExecutionFilter, none bool) {
	statuses, filtered := q.statuses("statuses")
	filter = delivery.ExecutionFilter{
		Application: application, Type: delivery.PipelineExecution, Statuses: statuses,
		Name: q.text("pipelineName"), EventID: q.text("eventId"), TriggerTypes: q.list("triggerTypes"), Trigger: triggerFilter(q),
		OldestFirst: q.flag("reverse", false),
		Offset:      q.number("startIndex", 0, 1<<31), Limit: q.number("size", 10, maxSearchSize),
	}
	if application == everyApplication {
		filter.Application = ""
	}
	if slices.Contains(filter.TriggerTypes, everyType) {
		filter.TriggerTypes = nil
	}
	from, to := q.number("triggerTimeStartBoundary", 0, maxMillis), min(maxMillis, q.number("triggerTimeEndBoundary", maxMillis, math.MaxInt))
	if from > to {
		q.refuse("triggerTimeStartBoundary", "is after triggerTimeEndBoundary")
	}
	if from > 0 {
		filter.From = time.UnixMilli(int64(from))
	}
	if to < maxMillis {
		filter.To = time.UnixMilli(int64(to))
	}
	return filter, filter.Limit == 0 || filtered && len(statuses) == 0
}

// triggerFilter reads the part of a trigger that is looked for, JSON in base64;
// nil when there is none.
func triggerFilter(q *query) func(delivery.Trigger) bool {
	text := q.text("trigger")
	if text == "" {
		return nil
	}
	document, err := decodeBase64(text)
	if err != nil {
		q.refuse("trigger", "is not base64")
		return nil
	}
	pattern, err := delivery.ParseTriggerPattern(document)
	if err != nil {
		q.refuse("trigger", fmt.Sprintf("holds in base64 what %s", messageOf(err)))
		return nil
	}
	return func(t delivery.Trigger) bool { return pattern.Matches(presentTrigger(t)) }
}

// decodeBase64 takes both alphabets, padded or not; a plus that a query turned
// into a space is a plus again.
func decodeBase64(text string) ([]byte, error) {
	text = strings.NewReplacer(" ", "+", "-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	return base64.RawStdEncoding.DecodeString(text)
}
