package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/slipway-cd/slipway/providers"
	"github.com/slipway-cd/slipway/simcloud/simulator"
	"github.com/slipway-cd/slipway/workflows"
)

// rollingPipeline is the demo's: three instances, one more at a time.
const rollingPipeline = "cmd/slipwayd/seed/rolling-aws.json"

// benchHistory counts what one rolling deploy of three instances writes into
// Temporal's histories.
func benchHistory(ctx context.Context, _ settings, out io.Writer) (err error) {
	sys, closeAll, err := startSimulated(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	document, err := os.ReadFile(rollingPipeline)
	if err != nil {
		return err
	}
	if err := sys.savePipeline(ctx, "rolling-aws", document); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	began := time.Now()
	id, _, err := sys.trigger(ctx, "rolling-aws", `{"parameters":{"image":"storefront-1.1"}}`)
	if err != nil {
		return err
	}
	if err := sys.finish(ctx, id); err != nil {
		return err
	}
	took := time.Since(began)
	histories, err := closedHistories(ctx, sys.temporal)
	if err != nil {
		return err
	}
	return printHistories(out, took, histories)
}

// startSimulated starts a system against a simulated cloud in this process, with
// the account that slipwayd --simulate uses.
func startSimulated(ctx context.Context) (*system, func() error, error) {
	dir, err := os.MkdirTemp("", "slipway-bench")
	if err != nil {
		return nil, nil, err
	}
	cloud, err := simulator.Start(ctx, simulator.Options{Dir: dir, Capacity: 3})
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	end := func() error { cloud.Close(); return os.RemoveAll(dir) }
	targets, err := providers.Open(ctx, []providers.AccountConfig{{Name: simulator.Account, Provider: "aws", AccountID: simulator.AccountID,
		Regions: simulator.Regions(), Endpoint: cloud.Endpoints().AWS, AccessKeyID: simulator.AccessKey, SecretAccessKey: "simulated",
		Settle: 3 * time.Second, DeregistrationDelay: 3 * time.Second, Drain: 3 * time.Second, CallsPerSecond: 100, Burst: 200}})
	if err != nil {
		return nil, nil, errors.Join(err, end())
	}
	const every = 500 * time.Millisecond
	sys, err := start(ctx, targets, workflows.Poll{Min: every, Max: every})
	if err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return sys, func() error { return errors.Join(sys.close(), end()) }, nil
}

// history is what one run of a workflow wrote.
type history struct {
	workflow, kind string

	events, activities, local, timers, signals int
}

// closedHistories reads the histories of all workflows once none is open any
// more, apart from the server's own.
func closedHistories(ctx context.Context, c client.Client) ([]history, error) {
	var runs []*common.WorkflowExecution
	kinds := map[string]string{}
	err := poll(ctx, time.Minute, "the workflows to close", func() (bool, error) {
		page, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{PageSize: 100})
		if err != nil {
			return false, err
		}
		runs = nil
		for _, e := range page.GetExecutions() {
			if e.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
				return false, nil
			}
			runs = append(runs, e.GetExecution())
			kinds[e.GetExecution().GetRunId()] = e.GetType().GetName()
		}
		return len(runs) >= 3, nil // the execution, its deployment, the lock
	})
	if err != nil {
		return nil, err
	}
	var out []history
	for _, run := range runs {
		h, err := readHistory(ctx, c, run.GetWorkflowId(), run.GetRunId())
		if err != nil {
			return nil, err
		}
		h.kind = kinds[run.GetRunId()]
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b history) int { return strings.Compare(a.workflow, b.workflow) })
	return out, nil
}

// readHistory counts what a run of a workflow wrote; the last run for an empty id.
func readHistory(ctx context.Context, c client.Client, workflow, run string) (history, error) {
	h := history{workflow: workflow}
	events := c.GetWorkflowHistory(ctx, workflow, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			return h, fmt.Errorf("read history of %s: %w", workflow, err)
		}
		h.events++
		switch event.GetEventType() {
		case enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
			h.activities++
		case enums.EVENT_TYPE_MARKER_RECORDED: // no workflow here has markers of other kinds
			h.local++
		case enums.EVENT_TYPE_TIMER_STARTED:
			h.timers++
		case enums.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
			h.signals++
		}
	}
	return h, nil
}

func printHistories(out io.Writer, took time.Duration, histories []history) error {
	fmt.Fprintf(out, "History of a rolling deploy of 3 instances in the simulator, which took %.1f s\n", took.Seconds())
	t := newTable(out)
	t.row("workflow", "events", "activities", "local activities", "timers", "signals")
	var sum history
	for _, h := range histories {
		t.row(h.kind, fmt.Sprint(h.events), fmt.Sprint(h.activities), fmt.Sprint(h.local), fmt.Sprint(h.timers), fmt.Sprint(h.signals))
		sum.events += h.events
		sum.activities += h.activities
		sum.local += h.local
		sum.timers += h.timers
		sum.signals += h.signals
	}
	t.row("together", fmt.Sprint(sum.events), fmt.Sprint(sum.activities), fmt.Sprint(sum.local), fmt.Sprint(sum.timers), fmt.Sprint(sum.signals))
	return t.flush()
}
