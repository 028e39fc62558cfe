package workflows

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// childKind is the stage that starts another pipeline. The other execution's id is
// derived from the stage, so that a repeat finds it.
func childKind() stageKind {
	return stageKind{
		read: func(_ string, evaluated json.RawMessage) (BegunStage, error) {
			_, err := pipeline.ParseChild(evaluated)
			return BegunStage{}, err
		},
		do:     (*Activities).runChild,
		stop:   (*Activities).stopChild,
		within: childTime + time.Hour,
	}
}

// runChild starts the other pipeline, or looks how far it is.
func (a *Activities) runChild(ctx context.Context, s StageToDo) (any, error) {
	want, err := pipeline.ParseChild(s.Stage.Context)
	if err != nil {
		return nil, err
	}
	child, err := a.deps.Store.Execution(ctx, pipeline.ChildID(s.Execution.ID, s.Stage))
	if delivery.KindOf(err) == delivery.NotFound {
		child, err = a.startChild(ctx, s, want)
	}
	switch {
	case err != nil:
		return nil, err
	case !want.Wait || child.Status.Complete():
		outputs, err := want.Outputs(child)
		if err != nil && child.Status == delivery.StatusCanceled {
			err = canceledError{err}
		}
		return outputs, err
	case a.deps.Now().Sub(s.Stage.StartTime) > childTime:
		if err := a.cancelChild(ctx, child.ID, "the stage that waits for it is out of time"); err != nil {
			return nil, err
		}
		return pipeline.ChildOf(child), delivery.Errorf(delivery.Conflict, "pipeline %s (execution %s) did not end within %s; it was canceled", child.Name, child.ID, childTime)
	default:
		return nil, notYet(gatePause(a.deps.Now().Sub(child.BuildTime)), "execution %s is %s", child.ID, child.Status)
	}
}

// canceledError is the failure of a stage whose work somebody canceled.
type canceledError struct{ error }

func (e canceledError) Unwrap() error { return e.error }

// startChild records the start of the other pipeline; the outbox does the rest.
func (a *Activities) startChild(ctx context.Context, s StageToDo, want pipeline.ChildPipeline) (delivery.Execution, error) {
	p, definition, err := a.childPipeline(ctx, s.Execution, want)
	if err != nil {
		return delivery.Execution{}, err
	}
	if want.Wait {
		if err := a.neverBegins(ctx, p, definition, s.Execution); err != nil {
			return delivery.Execution{}, err
		}
	}
	trigger, err := want.Trigger(s.Execution, s.Stage)
	if err != nil {
		return delivery.Execution{}, err
	}
	n, err := startOf(ctx, a.deps.Store, p, definition, trigger, pipeline.ChildID(s.Execution.ID, s.Stage), a.deps.Now())
	if err != nil {
		return delivery.Execution{}, want.Refused(err)
	}
	child, created, err := a.deps.Store.CreateExecution(ctx, n)
	if created {
		a.deps.Logger.Info("A stage started a pipeline", "pipeline", p.Name, "application", p.Application, "parent", s.Execution.ID, "stage", s.Stage.RefID, "execution", child.ID)
	}
	return child, err
}

// neverBegins is pipeline.NeverBegins for what an execution is to start and to wait for.
func (a *Activities) neverBegins(ctx context.Context, p delivery.Pipeline, d pipeline.Definition, parent delivery.Execution) error {
	above, err := parentsOf(ctx, a.deps.Store, parent)
	if err != nil {
		return err
	}
	return pipeline.NeverBegins(p, d, append([]delivery.Execution{parent}, above...))
}

// childPipeline reads the pipeline as it is saved now.
func (a *Activities) childPipeline(ctx context.Context, parent delivery.Execution, want pipeline.ChildPipeline) (delivery.Pipeline, pipeline.Definition, error) {
	p, err := a.savedPipeline(ctx, parent, want.Application, want.Pipeline)
	if err == nil && p.Disabled {
		err = delivery.Errorf(delivery.Conflict, "pipeline %s of application %s is disabled", p.Name, p.Application)
	}
	if err != nil {
		return p, pipeline.Definition{}, err
	}
	definition, err := pipeline.Parse(p.Document)
	if err == nil {
		definition, err = withPrior(ctx, a.deps.Store, p, definition)
	}
	return p, definition, err
}

// savedPipeline reads a pipeline by its id or its name; without an application it is
// one of the execution's, or has that id. NotFound when there is none.
func (a *Activities) savedPipeline(ctx context.Context, e delivery.Execution, application, nameOrID string) (delivery.Pipeline, error) {
	p, err := a.deps.Store.Pipeline(ctx, cmp.Or(application, e.Application), nameOrID)
	if delivery.KindOf(err) == delivery.NotFound && application == "" {
		p, err = a.deps.Store.PipelineByID(ctx, nameOrID)
	}
	if delivery.KindOf(err) == delivery.NotFound {
		err = delivery.Errorf(delivery.NotFound, "no pipeline of application %s has the id or the name %q", cmp.Or(application, e.Application), nameOrID)
	}
	return p, err
}

// stopChild cancels the execution that the stage has started, if it has.
func (a *Activities) stopChild(ctx context.Context, s StageToDo) error {
	return a.cancelChild(ctx, pipeline.ChildID(s.Execution.ID, s.Stage), "the execution that started it was stopped: "+string(s.Execution.ID))
}

// cancelChild cancels an execution; one that has ended, or never began, stays as it is.
func (a *Activities) cancelChild(ctx context.Context, id delivery.ExecutionID, reason string) error {
	err := a.engine.Cancel(ctx, id, delivery.System, reason)
	if kind := delivery.KindOf(err); kind == delivery.Conflict || kind == delivery.NotFound {
		return nil
	}
	return err
}
