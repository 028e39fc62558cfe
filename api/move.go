package api

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

func (s *Server) advanceExecution(c *gin.Context) error { return s.move(c, rollout.Advance) }

func (s *Server) promoteExecution(c *gin.Context) error { return s.move(c, rollout.Promote) }

// move asks one deployment of an execution to make a move. It need not be named
// while there is only one that runs.
func (s *Server) move(c *gin.Context, m rollout.Move) error {
	q := queryOf(c)
	named, reason, override := q.text("deployment"), q.text("reason"), q.flag("override", false)
	if override && strings.TrimSpace(reason) == "" {
		q.refuse("reason", "is required with override: what is left out is recorded with it")
	}
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
	deployments, err := s.store.Deployments(c.Request.Context(), e.ID)
	if err != nil {
		return err
	}
	id, err := toMove(deployments, delivery.DeploymentID(named))
	if err != nil {
		return err
	}
	if err := s.engine.Move(c.Request.Context(), id, m, override, principalOf(c), reason); err != nil {
		return err
	}
	return renderVoid(c)
}

// toMove finds the deployment that is meant.
func toMove(all []delivery.Deployment, named delivery.DeploymentID) (delivery.DeploymentID, error) {
	if named != "" {
		if !slices.ContainsFunc(all, func(d delivery.Deployment) bool { return d.ID == named }) {
			return "", invalid("?deployment", fmt.Sprintf("%q is no deployment of the execution", named))
		}
		return named, nil
	}
	var open []string
	for _, d := range all {
		if !d.Status.Complete() {
			open = append(open, string(d.ID))
		}
	}
	switch len(open) {
	case 0:
		return "", delivery.Errorf(delivery.Conflict, "no deployment of the execution runs")
	case 1:
		return delivery.DeploymentID(open[0]), nil
	}
	return "", invalid("?deployment", "is required; these run: "+strings.Join(open, ", "))
}
