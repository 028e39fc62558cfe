package workflows

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// environment is what the expressions of a stage see. The time is the stage's
// beginning, so that repeating the activity evaluates the same. An error of the store
// that comes up while expressions are evaluated is in unanswered afterwards: it says
// nothing about them.
func (a *Activities) environment(ctx context.Context, e delivery.Execution, refID string, at time.Time) (env expression.Env, unanswered *error, err error) {
	unanswered = new(error)
	note := func(err error) error {
		if err != nil && delivery.KindOf(err) != delivery.NotFound {
			*unanswered = err
		}
		return err
	}
	parents, err := a.parents(ctx, e)
	if err != nil {
		return env, nil, err
	}
	env = expression.EnvOf(e, parents, refID, at)
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
	return env, unanswered, nil
}

// parents are the executions that started one another before this one, the nearest
// first, up to one that is gone. The depth falls with each, so that a wrong record
// leads in no circle.
func (a *Activities) parents(ctx context.Context, e delivery.Execution) ([]delivery.Execution, error) {
	var out []delivery.Execution
	for t := e.Trigger; expression.ParentOf(t) != "" && t.Depth <= pipeline.MaxChain; {
		parent, err := a.deps.Store.Execution(ctx, expression.ParentOf(t))
		if delivery.KindOf(err) == delivery.NotFound {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read parent execution %s: %w", expression.ParentOf(t), err)
		}
		out = append(out, parent)
		if parent.Trigger.Depth >= t.Depth {
			break
		}
		t = parent.Trigger
	}
	return out, nil
}
