package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/oklog/ulid/v2"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// commandTime is how long a command waits for an execution's answer, which takes
// milliseconds when a worker runs.
const commandTime = 5 * time.Second

// moveTime is how long a move waits for a deployment's answer: a change that is
// being made goes first.
const moveTime = 40 * time.Second

// executions is what a client needs of the store: to tell an execution that is
// over from one that was not started yet.
type executions interface {
	Execution(ctx context.Context, id delivery.ExecutionID) (delivery.Execution, error)
	ExecutionDefinition(ctx context.Context, id delivery.ExecutionID) (json.RawMessage, error)
	// ReopenExecution is Conflict when the execution is not as it was read, or not at rest.
	ReopenExecution(ctx context.Context, e delivery.Execution, event delivery.Event) error
	// Waits reports whether an execution is not to be started before others have ended.
	Waits(ctx context.Context, id delivery.ExecutionID) (bool, error)
	// CancelWaiting is false for an execution that does not wait.
	CancelWaiting(ctx context.Context, id delivery.ExecutionID, by delivery.Principal, reason string, at time.Time) (canceled bool, err error)
}

// Client starts and commands executions.
type Client struct {
	temporal client.Client
	store    executions
}

var _ engine = (*Client)(nil)

// Dial connects to a Temporal server. Options name the server and the
// namespace; a nil logger is the default one.
func Dial(ctx context.Context, options client.Options, store executions, logger *slog.Logger) (*Client, error) {
	if logger == nil {
		logger = slog.Default()
	}
	options.Logger = sdklog.NewStructuredLogger(logger)
	c, err := client.DialContext(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("connect to Temporal at %s: %w", options.HostPort, err)
	}
	return NewClient(c, store), nil
}

// NewClient returns a client over a connection.
func NewClient(c client.Client, store executions) *Client { return &Client{temporal: c, store: store} }

// Close ends the connection.
func (c *Client) Close() { c.temporal.Close() }

// StartExecution starts the workflow of a recorded execution. It does nothing
// when the workflow runs or has ended, or when the execution waits for others of its
// pipeline: its turn comes from the outbox.
func (c *Client) StartExecution(ctx context.Context, id delivery.ExecutionID) error {
	if waits, err := c.store.Waits(ctx, id); err != nil || waits {
		return err
	}
	_, err := c.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: id.WorkflowID(), TaskQueue: TaskQueue, WorkflowTaskTimeout: taskTimeout, EnableEagerStart: true,
		WorkflowIDReusePolicy:                    enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
	}, executionType, ExecutionInput{ID: id})
	var already *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &already) {
		err = c.startAgain(ctx, id)
	}
	if err != nil {
		return fmt.Errorf("start execution %s: %w", id, unavailable(err))
	}
	return nil
}

// Cancel asks an execution to end. Its answer means that the cancel is recorded
// and nothing new starts; the execution is CANCELED some seconds later, while
// its deployments restore what they changed. Canceling twice is canceling once.
// NotFound for an unknown execution, Conflict for one that is complete.
func (c *Client) Cancel(ctx context.Context, id delivery.ExecutionID, by delivery.Principal, reason string) error {
	if canceled, err := c.store.CancelWaiting(ctx, id, by, reason, time.Now()); err != nil || canceled {
		return err
	}
	return c.command(ctx, id, updateCancel, updateCancel, Command{By: by.Name, Reason: reason})
}

// Pause keeps an execution from starting stages and its deployments from moving
// on. The errors are those of Cancel.
func (c *Client) Pause(ctx context.Context, id delivery.ExecutionID, by delivery.Principal, reason string) error {
	return c.command(ctx, id, updatePause, ulid.Make().String(), Command{By: by.Name, Reason: reason})
}

// Resume lets a paused execution go on. The errors are those of Cancel.
func (c *Client) Resume(ctx context.Context, id delivery.ExecutionID, by delivery.Principal, reason string) error {
	return c.command(ctx, id, updateResume, ulid.Make().String(), Command{By: by.Name, Reason: reason})
}

// Move asks a deployment to make a move. Its answer means that the move is made
// and recorded. NotFound for a deployment that does not run, Conflict with the
// reason for a move that it cannot make now.
func (c *Client) Move(ctx context.Context, id delivery.DeploymentID, m rollout.Move, override bool, by delivery.Principal, reason string) error {
	return c.ask(ctx, id, MoveCommand{Move: m, Override: override, Command: Command{By: by.Name, Reason: reason}})
}

// Judge answers the judgment that a deployment waits for. Its answer means that
// the judgment is recorded. The errors are those of Move; Conflict too when it was
// answered already.
func (c *Client) Judge(ctx context.Context, id delivery.DeploymentID, a delivery.JudgmentAnswer) error {
	return c.ask(ctx, id, MoveCommand{Judgment: &a, Command: Command{By: a.By.Name, Reason: a.Reason}})
}

// UpdateStage does something to a stage in progress. Its answer means that the stage
// has taken it and that its end is recorded. NotFound for an unknown execution or
// stage, Conflict when the stage cannot take it now or any more, Invalid when stages
// of its type never take it or the answer is none that may be given.
func (c *Client) UpdateStage(ctx context.Context, id delivery.ExecutionID, command pipeline.StageCommand) error {
	if command.Action == pipeline.RestartStage {
		e, err := c.store.Execution(ctx, id)
		if err != nil {
			return err
		}
		if e.Status.Complete() {
			return c.reopen(ctx, e, command)
		}
	}
	return c.command(ctx, id, updateStage, ulid.Make().String(), command)
}

// ask sends a move to a deployment and waits for its answer. A deployment that
// goes on in a new run answers first; at worst it is Unavailable, and the same may
// be asked again.
func (c *Client) ask(ctx context.Context, id delivery.DeploymentID, command MoveCommand) error {
	ctx, cancel := context.WithTimeout(ctx, moveTime)
	defer cancel()
	handle, err := c.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: id.WorkflowID(), UpdateID: ulid.Make().String(), UpdateName: updateMove,
		Args:         []any{command},
		WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(ctx, nil)
	}
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return delivery.Errorf(delivery.NotFound, "deployment %s does not run", id)
	}
	if err != nil {
		return fmt.Errorf("%s deployment %s: %w", command.word(), id, unavailable(err))
	}
	return nil
}

// command sends an update. An execution whose workflow is not there yet, because
// its start still waits in the outbox, is started first.
func (c *Client) command(ctx context.Context, id delivery.ExecutionID, name, updateID string, command any) error {
	e, err := c.store.Execution(ctx, id)
	if err != nil {
		return err
	}
	if e.Status.Complete() {
		return complete(e)
	}
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	err = c.update(ctx, id, name, updateID, command)
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		if e, err = c.store.Execution(ctx, id); err == nil && e.Status.Complete() {
			return complete(e)
		}
		if err = c.StartExecution(ctx, id); err == nil {
			err = c.update(ctx, id, name, updateID, command)
		}
		if errors.As(err, &missing) {
			return c.absent(ctx, id)
		}
	}
	if err != nil {
		return fmt.Errorf("%s execution %s: %w", name, id, unavailable(err))
	}
	return nil
}

// absent is the error of a command to an execution without a workflow.
func (c *Client) absent(ctx context.Context, id delivery.ExecutionID) error {
	waits, err := c.store.Waits(ctx, id)
	switch {
	case err != nil:
		return err
	case waits:
		return delivery.Errorf(delivery.Conflict, "execution %s waits until others of its pipeline have ended", id)
	default:
		return delivery.Errorf(delivery.Conflict, "execution %s has ended", id)
	}
}

func (c *Client) update(ctx context.Context, id delivery.ExecutionID, name, updateID string, command any) error {
	handle, err := c.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: id.WorkflowID(), UpdateID: updateID, UpdateName: name, Args: []any{command},
		WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err != nil {
		return err
	}
	return handle.Get(ctx, nil)
}

func complete(e delivery.Execution) error {
	return delivery.Errorf(delivery.Conflict, "execution %s is complete: it ended %s", e.ID, e.Status)
}

// unavailable gives an error of Temporal a kind: what a workflow refused keeps
// its own, everything else is our own engine's fault.
func unavailable(err error) error {
	var refused *temporal.ApplicationError
	switch {
	case err == nil || delivery.KindOf(err) != delivery.Internal:
		return err
	case errors.As(err, &refused):
		out := delivery.Error{Kind: delivery.ParseKind(refused.Type()), Message: refused.Message()}
		if refused.HasDetails() && refused.Details(&out.Findings) != nil {
			out.Findings = nil // no findings: another error's details
		}
		return &out
	default:
		return delivery.Errorf(delivery.Unavailable, "the workflow engine does not answer: %w", err)
	}
}

func (c *Client) requestLock(ctx context.Context, clusterKey string, r LockRequest) error {
	_, err := c.temporal.SignalWithStartWorkflow(ctx, lockID(clusterKey), signalRequest, r,
		client.StartWorkflowOptions{TaskQueue: TaskQueue, WorkflowTaskTimeout: taskTimeout,
			WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE}, lockType, LockState{Cluster: clusterKey})
	if err != nil {
		return fmt.Errorf("request lock of %s: %w", clusterKey, unavailable(err))
	}
	return nil
}

// Runs reports whether the workflow of an execution is there and not over.
func (c *Client) Runs(ctx context.Context, id delivery.ExecutionID) (bool, error) {
	return c.isOpen(ctx, id.WorkflowID())
}

func (c *Client) isOpen(ctx context.Context, workflowID string) (bool, error) {
	d, err := c.temporal.DescribeWorkflowExecution(ctx, workflowID, "")
	var missing *serviceerror.NotFound
	switch {
	case errors.As(err, &missing):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("describe %s: %w", workflowID, unavailable(err))
	default:
		return d.GetWorkflowExecutionInfo().GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING, nil
	}
}

// wakeDeployments tells every open deployment that a worker started, so that
// none waits for the heartbeat of an activity that died with the last process.
func (c *Client) wakeDeployments(ctx context.Context) (woken int, err error) {
	request := &workflowservice.ListWorkflowExecutionsRequest{PageSize: 200,
		Query: fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus = 'Running'", deploymentType)}
	for {
		page, err := c.temporal.ListWorkflow(ctx, request)
		if err != nil {
			return woken, fmt.Errorf("list open deployments: %w", unavailable(err))
		}
		for _, e := range page.GetExecutions() {
			err := c.temporal.SignalWorkflow(ctx, e.GetExecution().GetWorkflowId(), "", signalWake, nil)
			var missing *serviceerror.NotFound
			if err != nil && !errors.As(err, &missing) {
				return woken, fmt.Errorf("wake %s: %w", e.GetExecution().GetWorkflowId(), unavailable(err))
			}
			woken++
		}
		if request.NextPageToken = page.GetNextPageToken(); len(request.NextPageToken) == 0 {
			return woken, nil
		}
	}
}
