package workflows

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// memoRestarts says in a workflow's memo which restart of its execution it is.
const memoRestarts = "restarts"

// reopen records that an execution which had ended begins again at a stage. Its
// workflow is started from the outbox, like a new one.
func (c *Client) reopen(ctx context.Context, e delivery.Execution, command pipeline.StageCommand) error {
	document, err := c.store.ExecutionDefinition(ctx, e.ID)
	if err != nil {
		return err
	}
	definition, err := pipeline.Parse(document)
	if err != nil {
		return err
	}
	if e, err = pipeline.Reopen(definition, e, command.Stage, command.RestartReason()); err != nil {
		return err
	}
	happened := happening{kind: delivery.EventExecution, data: ExecutionEvent{Status: e.Status, Action: string(command.Action), By: command.By.Name, Reason: "stage " + command.Stage}}
	list, err := events(e.ID, "execution", e.Version, time.Now(), []happening{happened})
	if err != nil {
		return err
	}
	return c.store.ReopenExecution(ctx, e, list[0])
}

// startAgain starts the workflow of an execution whose workflow there was before. It
// does nothing when the execution was not reopened, or has the workflow already.
// NotReady while the last one still ends.
func (c *Client) startAgain(ctx context.Context, id delivery.ExecutionID) error {
	e, err := c.store.Execution(ctx, id)
	if err != nil || e.Restarts == 0 || e.Status.Complete() {
		return err
	}
	last, open, err := c.lastRestart(ctx, id)
	switch {
	case err != nil:
		return err
	case last == e.Restarts:
		return nil
	case open:
		return delivery.Errorf(delivery.NotReady, "the last run of execution %s still ends", id)
	}
	_, err = c.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: id.WorkflowID(), TaskQueue: TaskQueue, WorkflowTaskTimeout: taskTimeout,
		Memo:                                     map[string]any{memoRestarts: e.Restarts},
		WorkflowIDReusePolicy:                    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
	}, executionType, ExecutionInput{ID: id})
	var already *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &already) {
		return nil // by another process
	}
	return err
}

// lastRestart tells of the last workflow of an execution which restart it is, and
// whether it is open.
func (c *Client) lastRestart(ctx context.Context, id delivery.ExecutionID) (restart int, open bool, err error) {
	d, err := c.temporal.DescribeWorkflowExecution(ctx, id.WorkflowID(), "")
	if err != nil {
		return 0, false, err
	}
	info := d.GetWorkflowExecutionInfo()
	if memo, ok := info.GetMemo().GetFields()[memoRestarts]; ok {
		if err := converter.GetDefaultDataConverter().FromPayload(memo, &restart); err != nil {
			return 0, false, fmt.Errorf("read memo of execution %s: %w", id, err)
		}
	}
	return restart, info.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING, nil
}
