package api

import (
	"github.com/gin-gonic/gin"

	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// restartStage lets a stage that is over begin again, and what comes after it, whether
// the execution runs or has ended.
func (s *Server) restartStage(c *gin.Context) error {
	body, err := bindObject(c, true)
	if err != nil {
		return err
	}
	for key, value := range body {
		if key == "skip" && string(value) == "false" {
			continue // Spinnaker's pages always say so
		}
		return invalid("/"+escapePointer(key), "cannot be changed by a restart: the stage is done again as the pipeline had it")
	}
	e, err := s.pipelineExecution(c, execute)
	if err != nil {
		return err
	}
	stage, err := stageOf(e, param(c, "stage"))
	if err != nil {
		return err
	}
	command := pipeline.StageCommand{Stage: stage.RefID, Action: pipeline.RestartStage, By: principalOf(c)}
	if err := s.engine.UpdateStage(c.Request.Context(), e.ID, command); err != nil {
		return missing(err, noun(c), string(e.ID))
	}
	return s.getExecution(c)
}
