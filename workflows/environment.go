package workflows

import (
	"context"
	"encoding/json"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
)

// environment is what the expressions of a stage see. The time is the stage's
// beginning, so that repeating the activity evaluates the same. What the store could
// not answer is in failed once the expressions were evaluated: it says nothing about
// them.
func (a *Activities) environment(ctx context.Context, e delivery.Execution, refID string, at time.Time) (env expression.Env, failed *error) {
	failed = new(error)
	note := func(err error) error {
		if err != nil && delivery.KindOf(err) != delivery.NotFound {
			*failed = err
		}
		return err
	}
	env = expression.EnvOf(e, refID, at)
	env.Lookups = expression.Lookups{
		PipelineID: func(application, name string) (string, error) {
			p, err := a.deps.Store.Pipeline(ctx, application, name)
			return p.ID, note(err)
		},
		Application: func(name string) (json.RawMessage, error) {
			found, err := a.deps.Store.Application(ctx, name)
			return found.Attributes, note(err)
		},
	}
	return env, failed
}
