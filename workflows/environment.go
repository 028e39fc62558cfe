package workflows

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// environmentRecords is what expressions read of the store.
type environmentRecords interface {
	Execution(ctx context.Context, id delivery.ExecutionID) (delivery.Execution, error)
	Pipeline(ctx context.Context, application, name string) (delivery.Pipeline, error)
	Application(ctx context.Context, name string) (delivery.Application, error)
}

// environment is what the expressions of a stage see. The time is the stage's
// beginning, so that repeating the activity evaluates the same. An error of the store
// that comes up while expressions are evaluated is in unanswered afterwards: it says
// nothing about them.
func (a *Activities) environment(ctx context.Context, e delivery.Execution, refID string, at time.Time) (env expression.Env, unanswered *error, err error) {
	parents, err := parentsOf(ctx, a.deps.Store, e)
	if err != nil {
		return env, nil, err
	}
	unanswered = new(error)
	env = expression.EnvOf(e, parents, refID, at)
	env.Lookups = lookups(ctx, a.deps.Store, unanswered)
	return env, unanswered, nil
}

// startOf is pipeline.Start with what the defaults of parameters can read. The id is the
// execution's; empty for a new one.
func startOf(ctx context.Context, store environmentRecords, p delivery.Pipeline, d pipeline.Definition, t delivery.Trigger, id delivery.ExecutionID, now time.Time) (delivery.NewExecution, error) {
	ids := func() string {
		next := cmp.Or(string(id), newID())
		id = ""
		return next
	}
	var unanswered error
	n, err := pipeline.Start(p, d, t, ids, now, func(document json.RawMessage, e delivery.Execution) (json.RawMessage, error) {
		parents, err := parentsOf(ctx, store, e)
		if err != nil {
			return nil, err
		}
		env := expression.EnvAtStart(e, parents)
		env.Lookups = lookups(ctx, store, &unanswered)
		return expression.Evaluate(document, env)
	})
	if unanswered != nil {
		return delivery.NewExecution{}, unanswered
	}
	return n, err
}

func lookups(ctx context.Context, store environmentRecords, unanswered *error) expression.Lookups {
	note := func(err error) error {
		if err != nil && delivery.KindOf(err) != delivery.NotFound {
			*unanswered = err
		}
		return err
	}
	return expression.Lookups{
		PipelineID: func(application, name string) (string, error) {
			p, err := store.Pipeline(ctx, application, name)
			return p.ID, note(err)
		},
		Application: func(name string) (json.RawMessage, error) {
			found, err := store.Application(ctx, name)
			return found.Attributes, note(err)
		},
	}
}

// parentsOf are the executions that started one another before this one, the nearest
// first, up to one that is gone. The depth falls with each, so that a wrong record
// leads in no circle.
func parentsOf(ctx context.Context, store environmentRecords, e delivery.Execution) ([]delivery.Execution, error) {
	var out []delivery.Execution
	for t := e.Trigger; expression.ParentOf(t) != "" && t.Depth <= pipeline.MaxChain; {
		parent, err := store.Execution(ctx, expression.ParentOf(t))
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
