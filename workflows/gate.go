package workflows

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// GateRequest asks for the pipeline of a gate.
type GateRequest struct {
	Deployment delivery.DeploymentID `json:"deployment"`
	Execution  delivery.ExecutionID  `json:"execution"`
	Gate       rollout.Gate          `json:"gate"`
}

// gateOpen is the type of the error by which AwaitGate says: not yet.
const gateOpen = "gate_open"

// StartGate starts the gate's pipeline and returns its execution. Repeating it
// returns the same one: the deployment and the gate are its correlation id.
func (a *Activities) StartGate(ctx context.Context, in GateRequest) (delivery.ExecutionID, error) {
	n, err := a.gateExecution(ctx, in)
	if err != nil {
		return "", applicationError(err)
	}
	e, _, err := a.deps.Store.CreateExecution(ctx, n)
	if err != nil {
		return "", applicationError(err)
	}
	return e.ID, applicationError(a.engine.StartExecution(ctx, e.ID))
}

func (a *Activities) gateExecution(ctx context.Context, in GateRequest) (delivery.NewExecution, error) {
	p, err := a.deps.Store.PipelineByID(ctx, in.Gate.Pipeline.PipelineID)
	if err != nil {
		return delivery.NewExecution{}, err
	}
	definition, err := pipeline.Parse(p.Document)
	if err != nil {
		return delivery.NewExecution{}, err
	}
	parent, err := a.deps.Store.Execution(ctx, in.Execution)
	if err != nil {
		return delivery.NewExecution{}, err
	}
	if err := a.neverBegins(ctx, p, definition, parent); err != nil {
		return delivery.NewExecution{}, err
	}
	deployment, err := json.Marshal(in.Deployment)
	if err != nil {
		return delivery.NewExecution{}, fmt.Errorf("encode trigger: %w", err)
	}
	trigger := pipeline.ChildTrigger(parent)
	trigger.Parameters, trigger.CorrelationID = in.Gate.Pipeline.Parameters, fmt.Sprintf("%s#%s", in.Deployment, in.Gate.ID)
	if trigger.Document, err = withField(trigger.Document, "parentDeployment", deployment); err != nil {
		return delivery.NewExecution{}, fmt.Errorf("encode trigger: %w", err)
	}
	return startOf(ctx, a.deps.Store, p, definition, trigger, "", a.deps.Now())
}

// AwaitGate looks once whether the gate's execution has ended. Not yet is an
// error that Temporal retries; another end than SUCCEEDED is final.
func (a *Activities) AwaitGate(ctx context.Context, id delivery.ExecutionID) error {
	e, err := a.deps.Store.Execution(ctx, id)
	switch {
	case err != nil:
		return applicationError(err)
	case e.Status == delivery.StatusSucceeded:
		return nil
	case e.Status.Complete():
		return temporal.NewNonRetryableApplicationError(fmt.Sprintf("execution %s ended %s", id, e.Status), "gate", nil)
	default:
		return temporal.NewApplicationErrorWithOptions(fmt.Sprintf("execution %s is %s", id, e.Status), gateOpen,
			temporal.ApplicationErrorOptions{NextRetryDelay: gatePause(a.deps.Now().Sub(e.BuildTime))})
	}
}

// gatePause looks often at what is likely to end soon.
func gatePause(age time.Duration) time.Duration {
	return min(max(age/10, time.Second), 15*time.Second)
}

// StopGate cancels the gate's execution; one that has ended stays as it is.
func (a *Activities) StopGate(ctx context.Context, id delivery.ExecutionID) error {
	return applicationError(a.cancelChild(ctx, id, "the deployment no longer waits for it"))
}

// withField returns a JSON object with one field set.
func withField(raw json.RawMessage, name string, value json.RawMessage) (json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	fields[name] = value
	return json.Marshal(fields)
}
