package api

import (
	"fmt"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/slipway-cd/slipway/delivery"
)

// maxTasks is how many tasks one request cancels.
const maxTasks = 100

// cancelTasks cancels several tasks; those that are complete stay as they are. When
// one is unknown, none is canceled.
func (s *Server) cancelTasks(c *gin.Context) error {
	q := queryOf(c)
	ids, reason := q.list("ids"), q.text("reason")
	if len(ids) == 0 || len(ids) > maxTasks {
		q.refuse("ids", "must name 1 to 100 tasks")
	}
	if err := q.err(); err != nil {
		return err
	}
	var running []delivery.ExecutionID
	for _, id := range ids {
		e, err := s.store.Execution(c.Request.Context(), delivery.ExecutionID(id))
		if err == nil && (e.Deleted || e.Type != delivery.Orchestration) {
			err = delivery.Errorf(delivery.NotFound, "task %s", id)
		}
		if err != nil {
			return missing(err, taskNoun, id)
		}
		if err := s.authorize(principalOf(c), execute, resource{e.Application}); err != nil {
			return err
		}
		if !e.Status.Complete() {
			running = append(running, e.ID)
		}
	}
	for _, id := range running {
		if err := s.cancel(c, id, reason); err != nil {
			now, readErr := s.store.Execution(c.Request.Context(), id)
			if readErr == nil && now.Status.Complete() {
				continue // it ended by itself a moment before
			}
			return missing(err, taskNoun, string(id))
		}
	}
	return renderVoid(c)
}

// createApplicationTask is createTask with the application in the path.
func (s *Server) createApplicationTask(c *gin.Context) error {
	body, err := bindObject(c, false)
	if err != nil {
		return err
	}
	named, err := body.text("application")
	if err != nil {
		return err
	}
	application := param(c, "app")
	if named != "" && !strings.EqualFold(named, application) {
		return invalid("/application", fmt.Sprintf("is %q, but the path says %q", named, application))
	}
	body.set("application", application)
	c.Set(bodyKey, []byte(body.raw()))
	return s.createTask(c)
}
