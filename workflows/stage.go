package workflows

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// stageResult is how a stage ended. The zero value is success.
type stageResult struct {
	// canceled stages may have a failure: what canceled them, when that was not the
	// execution's own cancel.
	canceled bool
	// skipped stages did nothing, or were left where they stood; what comes after runs.
	skipped bool
	failure *delivery.Failure
	// onFailure is what the failure does, where the stage's own mode does not decide it;
	// empty else.
	onFailure pipeline.FailureMode
	// reason is why, for people; empty where nothing needs to be said.
	reason string
	// final failures are not followed by another attempt, whatever their kind.
	final bool
	// outputs are what later stages may read, whichever way the stage ended; nil for
	// none. They become JSON where they are recorded.
	outputs any
}

// runStage carries one stage from RUNNING to its end and records both.
func (x *execution) runStage(ctx workflow.Context, refID string) {
	run, result := x.tryStage(ctx, refID)
	stage := x.stage(refID)
	stage.EndTime, stage.Failure, stage.StatusReason = workflow.Now(ctx), result.failure, result.reason
	stage.Deadline, stage.ScheduledTime = time.Time{}, time.Time{}
	x.putOut(refID, result)
	stage.Status = x.ended(refID, result)
	x.changed = true // a halted execution stops the other branches at once
	x.recordRun(ctx, run)
}

// ended is the status of a stage with that result.
func (x *execution) ended(refID string, result stageResult) delivery.Status {
	switch {
	case result.canceled:
		return delivery.StatusCanceled
	case result.skipped:
		return delivery.StatusSkipped
	case result.failure != nil:
		return cmp.Or(result.onFailure, x.definition.Stage(refID).OnFailure).Status()
	default:
		return delivery.StatusSucceeded
	}
}

// putOut adds what a stage puts out, if anything, to the outputs.
func (x *execution) putOut(refID string, result stageResult) {
	if result.outputs != nil {
		x.Outputs = append(x.Outputs, StageOutputs{RefID: refID, Value: result.outputs})
	}
}

// takeBack drops what an earlier attempt of a stage has put out.
func (x *execution) takeBack(refID string) {
	// A copy: a projection that is being written may hold the list.
	x.Outputs = slices.DeleteFunc(slices.Clone(x.Outputs), func(o StageOutputs) bool { return o.RefID == refID })
}

func stageEvent(s *delivery.Stage) happening {
	event := StageEvent{RefID: s.RefID, Type: s.Type, Name: s.Name, Status: s.Status, Attempt: s.Attempt,
		Deployments: slices.Clone(s.Deployments), Failure: s.Failure, Reason: s.StatusReason}
	if s.AwaitsRetry() {
		last := s.Attempts[len(s.Attempts)-1]
		event.Deployments, event.Failure, event.NextAttempt = slices.Clone(last.Deployments), &last.Failure, s.ScheduledTime
	}
	return happening{kind: delivery.EventStage, data: event, about: fmt.Sprintf("stage/%s/%d", s.RefID, s.Attempt)}
}

func (x *execution) carryOut(ctx workflow.Context, refID string) stageResult {
	read, result := x.readURLs(ctx, refID)
	if result.failure != nil || result.canceled {
		return x.settle(runOf(ctx), BegunStage{}, result)
	}
	begun, err := x.begin(ctx, refID, read)
	switch {
	case err != nil:
		return failed("begin the stage", err)
	case begun.Failure != nil:
		return stageResult{failure: begun.Failure}
	case begun.Skipped != "":
		x.leaveWindow(ctx, refID, begun.Skipped)
		return stageResult{skipped: true, reason: begun.Skipped}
	case x.halting():
		return stageResult{canceled: true}
	}
	if result, ok := x.awaitWindow(ctx, refID, begun); !ok {
		return x.settle(runOf(ctx), begun, result)
	}
	x.limit(ctx, begun)
	return x.settle(runOf(ctx), begun, x.perform(ctx, refID, begun))
}

// perform does what stages of the type do.
func (x *execution) perform(ctx workflow.Context, refID string, begun BegunStage) stageResult {
	kind := stageKindOf(x.stage(refID).Type)
	if kind.run != nil {
		return kind.run(x, ctx, refID, begun)
	}
	return x.doAs(ctx, refID, kind)
}

// begin evaluates the stage's context, once, and records that the stage runs.
func (x *execution) begin(ctx workflow.Context, refID string, read ReadURLs) (BegunStage, error) {
	var begun BegunStage
	defer x.hasBegun(refID)
	if err := x.lockRecord(ctx); err != nil {
		return begun, err
	}
	defer x.record.Unlock()
	if err := x.breathe(ctx); err != nil || x.paced && x.halting() {
		return begun, err
	}
	var a *Activities
	ctx = workflow.WithLocalActivityOptions(ctx, beginOptions)
	err := workflow.ExecuteLocalActivity(ctx, a.BeginStage, x.nextVersion(), refID, workflow.Now(ctx), read).Get(ctx, &begun)
	if err == nil && !begun.Began.IsZero() {
		x.stage(refID).StartTime = begun.Began
	}
	if begun.Name != "" {
		x.stage(refID).Name = begun.Name
	}
	return begun, err
}

// childDeployment is a deployment that a stage waits for.
type childDeployment struct {
	id      delivery.DeploymentID
	cluster delivery.Cluster
	result  *DeploymentResult
	// broken is set when its workflow ended without a result of its own, such as by a
	// termination: nobody knows how far it came.
	broken bool
	// outgoing are the control signals not yet sent.
	outgoing []Control
}

func (c *childDeployment) control(to Control) { c.outgoing = append(c.outgoing, to) }

// controlAll sends a control signal to every open deployment.
func (x *execution) controlAll(to Control) {
	for _, c := range x.open {
		c.control(to)
	}
}

func deployKind() stageKind {
	return stageKind{
		read: func(stageType string, evaluated json.RawMessage) (BegunStage, error) {
			deploy, err := pipeline.ParseDeploy(stageType, evaluated)
			var begun BegunStage
			for _, c := range deploy.Clusters {
				begun.Clusters = append(begun.Clusters, ClusterToDeploy{c.Cluster, c.Strategy.Concurrency})
			}
			return begun, err
		},
		run: (*execution).deploy,
	}
}

func operateKind() stageKind {
	return stageKind{
		read: func(stageType string, evaluated json.RawMessage) (BegunStage, error) {
			operate, err := pipeline.ParseOperate(stageType, evaluated)
			var begun BegunStage
			for _, c := range operate.Clusters {
				begun.Clusters = append(begun.Clusters, ClusterToDeploy{c.Cluster, c.Strategy.Concurrency})
			}
			return begun, err
		},
		run: (*execution).deploy,
	}
}

// deploy is the deploy stage: one child per cluster, side by side.
func (x *execution) deploy(ctx workflow.Context, refID string, begun BegunStage) stageResult {
	children := make([]*childDeployment, len(begun.Clusters))
	for i, cluster := range begun.Clusters {
		children[i] = x.startDeployment(ctx, refID, cluster)
	}
	if err := x.project(ctx, stageEvent(x.stage(refID))); err != nil {
		return failed("record the deployments", err)
	}
	halts := x.definition.Stage(refID).OnFailure == pipeline.HaltPipeline
	over := func() bool {
		return !slices.ContainsFunc(children, func(c *childDeployment) bool { return c.result == nil })
	}
	failed := func() bool {
		return halts && slices.ContainsFunc(children, func(c *childDeployment) bool { return c.result != nil && c.result.failed() })
	}
	_ = workflow.Await(ctx, func() bool { return over() || x.stopping(ctx) || failed() })
	stopped := x.stopping(ctx)
	if !over() && !x.canceled { // a cancel has sent its own signals
		cancelAll(ctx, children)
	}
	_ = workflow.Await(ctx, func() bool { return over() || x.graceOver })
	x.open = slices.DeleteFunc(x.open, func(c *childDeployment) bool { return slices.Contains(children, c) })
	return x.deployed(refID, children, stopped || x.canceled)
}

// cancelAll cancels the deployments of a stage that failed, is out of time or stops
// with the execution.
func cancelAll(ctx workflow.Context, children []*childDeployment) {
	reason := becauseOfAnother
	if runOf(ctx).timedOut {
		reason = outOfTime
	}
	for _, c := range children {
		c.control(Control{Kind: ControlCancel, Command: Command{By: delivery.System.Name, Reason: reason}})
	}
}

// startDeployment starts the child and follows it in the background.
func (x *execution) startDeployment(ctx workflow.Context, refID string, to ClusterToDeploy) *childDeployment {
	stage := x.stage(refID)
	id := delivery.NewAttemptID(x.ID, refID, stage.Attempt, to.Cluster)
	if !slices.Contains(stage.Deployments, id) { // recorded by a worker that died
		stage.Deployments = append(stage.Deployments, id)
	}
	child := &childDeployment{id: id, cluster: to.Cluster}
	x.open = append(x.open, child)
	if x.Status == delivery.StatusPaused {
		child.control(Control{Kind: ControlPause, Command: Command{By: x.Paused.PausedBy}})
	}
	future := workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            id.WorkflowID(),
		WorkflowTaskTimeout:   taskTimeout,
		ParentClosePolicy:     enums.PARENT_CLOSE_POLICY_ABANDON,
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
	}), deploymentType, DeploymentInput{ID: id, Execution: x.ID, Stage: refID, Cluster: to.Cluster, Concurrency: to.Concurrency})
	workflow.Go(ctx, func(ctx workflow.Context) { child.send(ctx, future) })
	workflow.Go(ctx, func(ctx workflow.Context) { child.follow(ctx, future) })
	return child
}

// follow waits for the end. A child that ends without a result was terminated.
func (c *childDeployment) follow(ctx workflow.Context, future workflow.ChildWorkflowFuture) {
	var result DeploymentResult
	if err := future.Get(ctx, &result); err != nil {
		failure := failureOf("carry out the deployment", err)
		result = DeploymentResult{Status: delivery.DeploymentFailed, Failure: &failure}
		c.broken = true
	}
	c.result = &result
}

// send passes control signals on, in their order, once the child has started.
func (c *childDeployment) send(ctx workflow.Context, future workflow.ChildWorkflowFuture) {
	if future.GetChildWorkflowExecution().Get(ctx, nil) != nil {
		return // it never started; follow has the reason
	}
	for {
		if workflow.Await(ctx, func() bool { return len(c.outgoing) > 0 || c.result != nil }) != nil || c.result != nil {
			return
		}
		next := c.outgoing[0]
		c.outgoing = c.outgoing[1:]
		err := workflow.SignalExternalWorkflow(ctx, c.id.WorkflowID(), "", signalControl, next).Get(ctx, nil)
		if err != nil {
			workflow.GetLogger(ctx).Info("Deployment took no signal", "deployment", c.id, "signal", next.Kind, "error", err)
		}
	}
}

// deployed sums the deployments of a stage up. canceled stages have no failure:
// what becomes of their deployments stands in the deployments' records.
func (x *execution) deployed(refID string, children []*childDeployment, canceled bool) stageResult {
	var outputs DeployOutputs
	var failure *delivery.Failure
	final := false // a cluster that needs a person is left to that person
	for _, c := range children {
		o := DeployOutput{Deployment: c.id, Account: c.cluster.Account, Region: c.cluster.Region, Status: delivery.DeploymentRollingBack}
		if c.result != nil {
			final = final || c.broken || c.result.Status == delivery.DeploymentRollbackFailed
			o.Status, o.ServerGroup, o.Preview = c.result.Status, c.result.ServerGroup, c.result.Preview
			failure = weightier(failure, c.result)
		}
		outputs.add(o, pipeline.Deploys(x.stage(refID).Type))
	}
	if canceled {
		return stageResult{canceled: true, outputs: outputs, final: final}
	}
	// A deployment that another one superseded did not fail: it was canceled, and
	// that is why the stage ends where a failure would end the pipeline.
	superseded := failure != nil && failure.Kind == delivery.FailureCanceled && x.definition.Stage(refID).OnFailure == pipeline.HaltPipeline
	return stageResult{canceled: superseded, failure: failure, outputs: outputs, final: final}
}

// becauseOfAnother is why the deployments beside one that failed are canceled.
const becauseOfAnother = "another part of the execution failed"

// outOfTime is why the deployments of a stage are canceled when its time is over.
const outOfTime = "the stage ran out of time"

// weightier returns the failure that explains more: a deployment that was
// canceled because of another one explains nothing.
func weightier(known *delivery.Failure, r *DeploymentResult) *delivery.Failure {
	if !r.failed() || known != nil && (known.Kind != delivery.FailureCanceled || r.Failure == nil || strings.HasSuffix(r.Failure.Message, becauseOfAnother)) {
		return known
	}
	if r.Failure == nil {
		return &delivery.Failure{Kind: delivery.Internal.String(), Message: "the deployment ended " + string(r.Status)}
	}
	return r.Failure
}

// DeployOutputs are the outputs of a stage that deploys.
type DeployOutputs struct {
	Deployments []DeployOutput `json:"deployments"`
	// ServerGroups are the names of the server groups that deployments made and that
	// succeeded, by region, as Spinnaker has them.
	ServerGroups map[string][]string `json:"deploy.server.groups,omitempty"`
}

// add notes a deployment. made is true where a deployment makes a server group.
func (o *DeployOutputs) add(d DeployOutput, made bool) {
	o.Deployments = append(o.Deployments, d)
	if !made || d.ServerGroup == "" || d.Status != delivery.DeploymentSucceeded {
		return
	}
	if o.ServerGroups == nil {
		o.ServerGroups = map[string][]string{}
	}
	o.ServerGroups[d.Region] = append(o.ServerGroups[d.Region], d.ServerGroup)
}

// DeployOutput is what later stages may read of one deployment.
type DeployOutput struct {
	Deployment  delivery.DeploymentID     `json:"deployment"`
	Account     string                    `json:"account,omitempty"`
	Region      string                    `json:"region,omitempty"`
	ServerGroup string                    `json:"serverGroup,omitempty"`
	Status      delivery.DeploymentStatus `json:"status"`
	// Preview is how the server group of a dark release is reached.
	Preview *delivery.Preview `json:"preview,omitempty"`
}
