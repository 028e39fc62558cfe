package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

// maxTaskHistory is how many lines of an operation's log are shown, the last ones.
const maxTaskHistory = 1000

// getTaskDetail answers with the log of an operation on a cloud. In Slipway that is
// a deployment; its id is the detail's.
func (s *Server) getTaskDetail(c *gin.Context) error {
	e, err := s.pipelineExecution(c, read)
	if err != nil {
		return err
	}
	id := param(c, "taskDetailsId")
	d, err := s.store.Deployment(c.Request.Context(), delivery.DeploymentID(id))
	if err == nil && d.Execution != e.ID {
		err = delivery.Errorf(delivery.NotFound, "deployment %s", id)
	}
	if err != nil {
		return missing(err, "Task details", id)
	}
	history, err := s.taskHistory(c.Request.Context(), d)
	if err != nil {
		return err
	}
	out := v1.TaskDetail{ID: id, History: history, ResultObjects: []json.RawMessage{},
		Status: v1.TaskDetailStatus{Phase: "DEPLOY", Status: string(d.Status), Completed: d.Status.Complete(), Failed: d.Failure != nil}}
	if d.Failure != nil {
		out.Status.Status = d.Failure.Error()
	}
	return render(c, http.StatusOK, out)
}

// taskHistory makes lines of a deployment's events.
func (s *Server) taskHistory(ctx context.Context, d delivery.Deployment) ([]v1.TaskDetailLine, error) {
	lines := []v1.TaskDetailLine{}
	for after := int64(0); ; {
		events, err := s.store.Events(ctx, d.Execution, after, eventPage)
		if err != nil {
			return nil, err
		}
		for _, event := range events {
			after = event.ID
			if line, ok := lineOf(event, d.ID); ok {
				lines = append(lines, line)
			}
		}
		if lines = lines[max(0, len(lines)-maxTaskHistory):]; len(events) < eventPage {
			return lines, nil
		}
	}
}

// lineOf tells of changes and of what became of the deployment; looks at it and
// measurements are left to the event stream.
func lineOf(event delivery.Event, of delivery.DeploymentID) (v1.TaskDetailLine, bool) {
	var data struct {
		Deployment     delivery.DeploymentID
		Status, Change string
	}
	if json.Unmarshal(event.Data, &data) != nil || data.Deployment != of {
		return v1.TaskDetailLine{}, false
	}
	switch event.Type {
	case delivery.EventDeployment:
		return v1.TaskDetailLine{Phase: "DEPLOY", Status: data.Status, At: v1.MillisOf(event.At)}, true
	case delivery.EventChange:
		return v1.TaskDetailLine{Phase: "CHANGE", Status: data.Change, At: v1.MillisOf(event.At)}, true
	default:
		return v1.TaskDetailLine{}, false
	}
}
