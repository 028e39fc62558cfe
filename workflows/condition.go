package workflows

import (
	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// skipped evaluates the condition of a stage and says why the stage is left out; empty
// when it is to run. What cannot be evaluated leaves it out, too.
func skipped(spec pipeline.StageSpec, env expression.Env) (reason string) {
	reason, _ = expression.Skipped(spec, env)
	return reason
}
