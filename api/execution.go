package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	v1 "github.com/slipway-cd/slipway/api/v1"
	"github.com/slipway-cd/slipway/delivery"
)

func (s *Server) getExecution(c *gin.Context) error {
	e, err := s.pipelineExecution(c, read)
	if err != nil {
		return err
	}
	out, err := s.presentRunning(c.Request.Context(), e, true)
	if err != nil {
		return err
	}
	if out.Trigger, err = s.withParents(c.Request.Context(), principalOf(c), out.Trigger, e.Trigger, true); err != nil {
		return err
	}
	return render(c, http.StatusOK, out)
}

// pipelineExecution loads the pipeline execution of the path's id, or under /tasks
// the task, if the caller may do that to its application.
func (s *Server) pipelineExecution(c *gin.Context, a action) (delivery.Execution, error) {
	if noun(c) == taskNoun {
		return s.executionOf(c, a, delivery.Orchestration, taskNoun)
	}
	return s.executionOf(c, a, delivery.PipelineExecution, pipelineNoun)
}

// What an execution is called under its path.
const (
	pipelineNoun = "Pipeline"
	taskNoun     = "Task"
)

func noun(c *gin.Context) string {
	if strings.Contains(c.FullPath(), "/tasks/") {
		return taskNoun
	}
	return pipelineNoun
}

func (s *Server) executionOf(c *gin.Context, a action, kind delivery.ExecutionType, what string) (delivery.Execution, error) {
	id := param(c, "id")
	e, err := s.store.Execution(c.Request.Context(), delivery.ExecutionID(id))
	if err == nil && (e.Deleted || kind != "" && e.Type != kind) {
		err = delivery.Errorf(delivery.NotFound, "execution %s", id)
	}
	if err != nil {
		return e, missing(err, what, id)
	}
	return e, s.authorize(principalOf(c), a, resource{e.Application})
}

// cancelExecution refuses to cancel what is complete. Canceling what is canceled
// already is no error.
func (s *Server) cancelExecution(c *gin.Context) error { return s.cancelOf(c, isComplete) }

// cancelOneOfAll is cancelExecution on the path that spin calls for each execution in
// an application's list, with a placeholder for the application. It gives up at the
// first that is not answered with 200, so one that is complete is none of its concern.
func (s *Server) cancelOneOfAll(c *gin.Context) error {
	return s.cancelOf(c, func(delivery.Execution) error { return renderVoid(c) })
}

// cancelOf answers with ended for an execution that was complete before anybody
// canceled it.
func (s *Server) cancelOf(c *gin.Context, ended func(delivery.Execution) error) error {
	q := queryOf(c)
	reason, _ := q.text("reason"), q.flag("force", false)
	if err := q.err(); err != nil {
		return err
	}
	e, err := s.pipelineExecution(c, execute)
	if err != nil {
		return err
	}
	if e.Status != delivery.StatusCanceled {
		if e.Status.Complete() {
			return ended(e)
		}
		if err := s.cancel(c, e.ID, reason); err != nil {
			if now, readErr := s.store.Execution(c.Request.Context(), e.ID); readErr == nil && now.Status.Complete() {
				return ended(now)
			}
			return missing(err, noun(c), string(e.ID))
		}
	}
	return renderVoid(c)
}

// cancel gives the order; that somebody else's order ended the execution a moment
// before is no error.
func (s *Server) cancel(c *gin.Context, id delivery.ExecutionID, reason string) error {
	err := s.engine.Cancel(c.Request.Context(), id, principalOf(c), reason)
	if delivery.KindOf(err) == delivery.Conflict {
		if now, readErr := s.store.Execution(c.Request.Context(), id); readErr == nil && now.Status == delivery.StatusCanceled {
			return nil
		}
	}
	return err
}

func isComplete(e delivery.Execution) error {
	return delivery.Errorf(delivery.Conflict, "execution %s is complete: %s", e.ID, e.Status)
}

// deleteExecution takes a complete execution out of every list.
func (s *Server) deleteExecution(c *gin.Context) error {
	e, err := s.pipelineExecution(c, write)
	if err != nil {
		return err
	}
	if err := s.store.DeleteExecution(c.Request.Context(), e.ID); err != nil {
		return missing(err, noun(c), string(e.ID))
	}
	return renderVoid(c)
}

func (s *Server) pauseExecution(c *gin.Context) error { return s.order(c, s.engine.Pause) }

func (s *Server) resumeExecution(c *gin.Context) error { return s.order(c, s.engine.Resume) }

// order gives the order with the reason that the caller has, which need not be one.
func (s *Server) order(c *gin.Context, give func(context.Context, delivery.ExecutionID, delivery.Principal, string) error) error {
	q := queryOf(c)
	reason := q.text("reason")
	if err := q.err(); err != nil {
		return err
	}
	e, err := s.pipelineExecution(c, execute)
	if err != nil {
		return err
	}
	if e.Status.Complete() {
		return isComplete(e)
	}
	if err := give(c.Request.Context(), e.ID, principalOf(c), reason); err != nil {
		return missing(err, noun(c), string(e.ID))
	}
	return renderVoid(c)
}

func (s *Server) listDeployments(c *gin.Context) error {
	e, err := s.executionOf(c, read, "", "Execution")
	if err != nil {
		return err
	}
	found, err := s.store.Deployments(c.Request.Context(), e.ID)
	if err != nil {
		return err
	}
	out := []v1.Deployment{}
	for _, d := range found {
		out = append(out, presentDeployment(d))
	}
	return render(c, http.StatusOK, out)
}
