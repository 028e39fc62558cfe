package api

import (
	"fmt"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// checkSizes refuses preconditions about clusters where none can be: in an account or a
// region that is not configured. What a condition may leave out is not looked at.
func (s *Server) checkSizes(d pipeline.Definition, env expression.Env) []delivery.Finding {
	var findings []delivery.Finding
	for i, stage := range d.Stages {
		if stage.Type != pipeline.PreconditionsType || stage.Condition != "" {
			continue
		}
		evaluated, err := evaluateStage(stage, env)
		if err != nil {
			continue // it may be about what an earlier stage puts out
		}
		list, err := pipeline.ParsePreconditions(evaluated)
		if err != nil {
			continue // so are these
		}
		for n, p := range list {
			for _, cluster := range p.Clusters {
				if finding, ok := s.checkPlace(cluster); !ok {
					finding.Pointer = fmt.Sprintf("%s/preconditions/%d/context%s", stagePointer(i), n, fieldOfSize(finding.Pointer))
					findings = append(findings, finding)
				}
			}
		}
	}
	return findings
}

// fieldOfSize translates the pointer of a deploy stage's cluster to a precondition's own.
func fieldOfSize(pointer string) string {
	switch {
	case pointer == "/account":
		return "/credentials"
	case strings.HasPrefix(pointer, "/availabilityZones/"):
		return "/regions"
	default:
		return pointer
	}
}
