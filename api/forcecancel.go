package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/slipway-cd/slipway/delivery"
)

// forceCancelExecution cancels an execution as cancelExecution does, and records it
// as canceled when its workflow has ended without saying so. While the workflow
// runs, its word counts; an execution that is complete stays as it is.
func (s *Server) forceCancelExecution(c *gin.Context) error {
	q := queryOf(c)
	id, kind := delivery.ExecutionID(q.text("executionId")), executionType(q)
	if id == "" {
		q.refuse("executionId", "is required")
	}
	if err := q.err(); err != nil {
		return err
	}
	ctx := c.Request.Context()
	e, err := s.store.Execution(ctx, id)
	if err == nil && (e.Deleted || e.Type != kind) {
		err = delivery.Errorf(delivery.NotFound, "execution %s", id)
	}
	if err != nil {
		return missing(err, "Execution", string(id))
	}
	if err := s.authorize(principalOf(c), execute, resource{e.Application}); err != nil {
		return err
	}
	if e.Status.Complete() {
		return renderVoid(c)
	}
	const reason = "canceled by force"
	if err := s.engine.Cancel(ctx, id, principalOf(c), reason); delivery.KindOf(err) != delivery.Conflict {
		if err != nil {
			return missing(err, "Execution", string(id))
		}
		return renderVoid(c)
	}
	if err := s.endAbandoned(ctx, id, principalOf(c), reason); err != nil {
		return err
	}
	return renderVoid(c)
}

func executionType(q *query) delivery.ExecutionType {
	switch text := strings.ToUpper(q.text("executionType")); delivery.ExecutionType(text) {
	case "", delivery.PipelineExecution:
		return delivery.PipelineExecution
	case delivery.Orchestration:
		return delivery.Orchestration
	default:
		q.refuse("executionType", "must be PIPELINE or ORCHESTRATION")
		return ""
	}
}

// endAbandoned records the end of an execution whose workflow is over. A workflow
// records its own end before it is over, so what is read after that is its last word.
func (s *Server) endAbandoned(ctx context.Context, id delivery.ExecutionID, by delivery.Principal, reason string) error {
	runs, err := s.engine.Runs(ctx, id)
	if err != nil {
		return err
	}
	e, err := s.store.Execution(ctx, id)
	if err != nil || e.Status.Complete() {
		return err
	}
	if runs {
		return delivery.Errorf(delivery.Conflict, "execution %s is about to end; look again", id)
	}
	e.Status, e.CanceledBy, e.CancellationReason, e.EndTime = delivery.StatusCanceled, by.Name, reason, s.now()
	for i := range e.Stages {
		stage := &e.Stages[i]
		switch {
		case stage.Status.Complete():
		case stage.StartTime.IsZero():
			stage.Status = delivery.StatusCanceled
		default:
			stage.Status, stage.EndTime = delivery.StatusCanceled, s.now()
		}
	}
	e.Version++
	data, err := json.Marshal(struct {
		Status delivery.Status `json:"status"`
		Action string          `json:"action"`
		By     string          `json:"by"`
		Reason string          `json:"reason"`
	}{e.Status, "forceCancel", by.Name, reason})
	if err != nil {
		return err
	}
	event := delivery.Event{Execution: id, Key: fmt.Sprintf("execution/forceCancel/%d", e.Version), At: s.now(), Type: delivery.EventExecution, Data: data}
	stored, err := s.store.ProjectExecution(ctx, e, []delivery.Event{event})
	if err == nil && !stored {
		err = delivery.Errorf(delivery.Conflict, "execution %s changed meanwhile; look again", id)
	}
	return err
}
