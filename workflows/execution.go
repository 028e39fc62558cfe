package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// The updates that an execution answers. Each is accepted or refused at once.
const (
	updateCancel = "cancel"
	updatePause  = "pause"
	updateResume = "resume"
	updateStage  = "stage"
)

// ExecutionInput starts an Execution. Everything else is in the store.
type ExecutionInput struct {
	ID delivery.ExecutionID `json:"id"`
}

// Command is who asks for a cancel, a pause or a resume, and why.
type Command struct {
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
}

// Progress is how far an execution has come. Stages carry neither context nor outputs:
// those are in the store.
type Progress struct {
	ID                 delivery.ExecutionID `json:"id"`
	Status             delivery.Status      `json:"status"`
	StartTime          time.Time            `json:"startTime,omitzero"`
	EndTime            time.Time            `json:"endTime,omitzero"`
	CanceledBy         string               `json:"canceledBy,omitempty"`
	CancellationReason string               `json:"cancellationReason,omitempty"`
	Paused             *delivery.Pause      `json:"paused,omitempty"`
	Stages             []delivery.Stage     `json:"stages"`
	// Outputs are those of the stages that ended in this run. They become JSON where they
	// are recorded.
	Outputs []StageOutputs `json:"-"`
	Version int64          `json:"version"`
}

// execution runs the stages of one execution.
type execution struct {
	Progress
	definition pipeline.Definition
	// told gives events their keys; restarts is how often the execution had ended before.
	told     told
	restarts int
	// durable lets commands wait until they stand in the history, paced lets them in
	// between the stages of a wide execution.
	durable, paced bool
	// record serialises the projections, so that their versions arrive in order.
	record workflow.Mutex
	// next is what the next projection records; nil for nothing yet.
	next *projection
	// records counts what was recorded since the last breath, waiting those who wait for
	// record; breathed is when there was the last breath, or nobody waited.
	records, waiting int
	breathed         time.Time
	// beginning are the stages that have their turn and did not record yet that they run.
	beginning map[string]bool
	// command lets one command after the other in, in the order of their arrival:
	// handlers that wait are not woken in that order.
	command workflow.Mutex
	// running counts the stages in progress, cleanups what still ends behind stages that
	// were stopped.
	running, cleanups int
	// runs are the present attempts of the stages that have begun, by refId.
	runs map[string]*stageRun
	// reads are the stages whose expressions read URLs.
	reads []string
	// open are the deployments that stages in progress wait for.
	open []*childDeployment
	// loaded is set once commands can be carried out, canceled by a cancel,
	// graceOver once its deployments had their time, and closed when no command is
	// accepted any more.
	loaded, canceled, graceOver, closed bool
	// changed wakes the main loop.
	changed bool
}

// Execution runs one execution to its end. Its result is in the store; the
// workflow itself only fails when there is no such execution.
func Execution(ctx workflow.Context, in ExecutionInput) error {
	work, _ := workflow.NewDisconnectedContext(ctx)
	x := &execution{runs: map[string]*stageRun{}, beginning: map[string]bool{}, told: told{}, record: workflow.NewMutex(work), command: workflow.NewMutex(work)}
	x.Progress.ID = in.ID
	if err := x.handleCommands(ctx); err != nil {
		return err
	}
	over, err := x.load(work)
	x.loaded, x.closed = true, over || err != nil
	if x.closed {
		if err == nil {
			err = x.drain(work)
		}
		return err
	}
	workflow.Go(work, func(work workflow.Context) {
		ctx.Done().Receive(work, nil)
		x.cancel(work, Command{By: delivery.System.Name, Reason: "the workflow was canceled"})
	})
	status, err := x.run(work)
	if err != nil {
		return err
	}
	return x.end(work, status)
}

// load reads what to run. over is true when the execution had ended already.
func (x *execution) load(ctx workflow.Context) (over bool, err error) {
	var loaded LoadedExecution
	var a *Activities
	ctx = workflow.WithLocalActivityOptions(ctx, recordOptions)
	if err := workflow.ExecuteLocalActivity(ctx, a.LoadExecution, x.ID).Get(ctx, &loaded); err != nil {
		return false, err
	}
	x.Progress, x.definition, x.reads = loaded.Progress, loaded.definition(), loaded.Reads
	x.restarts, x.durable, x.paced = loaded.Restarts, loaded.Durable, loaded.Paced
	if x.Status.Complete() {
		return true, nil
	}
	x.Status = delivery.StatusRunning
	if x.StartTime.IsZero() { // a restarted execution began before
		x.StartTime = workflow.Now(ctx)
	}
	return false, nil
}

// run starts what may start until nothing can run any more, and returns the
// execution's status.
func (x *execution) run(ctx workflow.Context) (delivery.Status, error) {
	if err := x.project(ctx, happening{kind: delivery.EventExecution, data: ExecutionEvent{Status: x.Status}}); err != nil {
		return delivery.StatusUnknown, err
	}
	// A worker that died in the middle of the first workflow task may have recorded
	// more than the task's history has: what it began is begun once more.
	for i := range x.Stages {
		if x.Stages[i].Status == delivery.StatusRunning && x.Stages[i].SyntheticStageOwner == "" {
			x.start(ctx, x.Stages[i].RefID)
		}
	}
	for {
		x.changed = false
		if !x.canceled && x.Status != delivery.StatusPaused {
			for _, refID := range pipeline.Ready(x.definition, x.Stages) {
				if x.paced && len(x.beginning) >= maxBeginning {
					break
				}
				x.start(ctx, refID)
			}
		}
		if x.running == 0 {
			if x.canceled {
				return delivery.StatusCanceled, nil
			}
			status, final := pipeline.Final(x.definition, x.Stages)
			if final && x.Status.CanBecome(status) {
				return status, nil
			}
		}
		if err := workflow.Await(ctx, func() bool { return x.changed }); err != nil {
			return delivery.StatusUnknown, err
		}
	}
}

func (x *execution) start(ctx workflow.Context, refID string) {
	stage := x.stage(refID)
	if stage.Status != delivery.StatusRunning {
		stage.Status, stage.StartTime = delivery.StatusRunning, workflow.Now(ctx)
	}
	x.running++
	x.beginning[refID] = true
	workflow.Go(ctx, func(ctx workflow.Context) {
		x.runStage(ctx, refID)
		x.hasBegun(refID)
		x.running--
		x.changed = true
	})
}

// hasBegun makes room for the beginning of another stage.
func (x *execution) hasBegun(refID string) {
	if x.beginning[refID] {
		delete(x.beginning, refID)
		x.changed = x.changed || x.paced
	}
}

// stage returns the stage with that refId, which there is. Stages are never moved.
func (x *execution) stage(refID string) *delivery.Stage { return x.known(refID) }

// known returns the stage with that refId, or nil.
func (x *execution) known(refID string) *delivery.Stage {
	i := slices.IndexFunc(x.Stages, func(s delivery.Stage) bool { return s.RefID == refID })
	if i < 0 {
		return nil
	}
	return &x.Stages[i]
}

// halting reports whether all stages in progress are to stop.
func (x *execution) halting() bool { return x.canceled || pipeline.Halted(x.Stages) }

// end records the end and waits for the handlers.
func (x *execution) end(ctx workflow.Context, status delivery.Status) error {
	x.closed = true
	x.Status, x.EndTime = status, workflow.Now(ctx)
	if status == delivery.StatusCanceled && !x.canceled {
		x.CanceledBy, x.CancellationReason = delivery.System.Name, x.canceledFor()
	}
	event := ExecutionEvent{Status: status, By: x.CanceledBy, Reason: x.CancellationReason}
	if err := x.project(ctx, happening{kind: delivery.EventExecution, data: event}); err != nil {
		return err
	}
	return x.drain(ctx)
}

// canceledFor is why a stage was canceled while nobody canceled the execution: its
// deployment was superseded.
func (x *execution) canceledFor() string {
	for _, s := range x.Stages {
		if s.Status == delivery.StatusCanceled && s.Failure != nil {
			return s.Failure.Message
		}
	}
	return ""
}

// drain waits for handlers that still run, so that a caller gets its answer, and for
// what ends behind stopped stages.
func (x *execution) drain(ctx workflow.Context) error {
	return workflow.Await(ctx, func() bool { return x.cleanups == 0 && workflow.AllHandlersFinished(ctx) })
}

// projection is a write of the state for all who wait for their turn to write it.
type projection struct {
	happened []happening
	written  bool
	err      error
}

// project writes the state as it stands to the store. What several want to have written
// while something else is recorded is written at once.
func (x *execution) project(ctx workflow.Context, happened ...happening) error {
	if x.next == nil || !x.paced {
		x.next = &projection{}
	}
	next := x.next
	next.happened = append(next.happened, x.told.keys(x.restarts, happened)...)
	if err := x.lockRecord(ctx); err != nil {
		return err
	}
	defer x.record.Unlock()
	if next.written {
		return next.err
	}
	if err := x.breathe(ctx); err != nil {
		return err
	}
	if x.next == next {
		x.next = nil // what comes from here on is not in this one
	}
	var a *Activities
	ctx = workflow.WithLocalActivityOptions(ctx, recordOptions)
	next.err = workflow.ExecuteLocalActivity(ctx, a.ProjectExecution, x.nextVersion(), workflow.Now(ctx), next.happened).Get(ctx, nil)
	next.written = true
	return next.err
}

func (x *execution) lockRecord(ctx workflow.Context) error {
	x.waiting++
	defer func() { x.waiting-- }()
	return x.record.Lock(ctx)
}

// breathe ends the workflow task after some records in a row, or some time of them, so
// that commands are heard. Nothing else is recorded meanwhile.
func (x *execution) breathe(ctx workflow.Context) error {
	if x.waiting == 0 {
		x.breathed = workflow.Now(ctx)
	}
	if x.records++; !x.paced || x.records < maxRecords && workflow.Now(ctx).Sub(x.breathed) < maxRecording {
		return nil
	}
	err := workflow.Sleep(ctx, keepTime)
	x.records, x.breathed = 0, workflow.Now(ctx)
	return err
}

// nextVersion returns a copy of the progress under a new version.
func (x *execution) nextVersion() Progress {
	x.Version++
	p := x.Progress
	p.Stages = slices.Clone(p.Stages)
	return p
}

func (x *execution) handleCommands(ctx workflow.Context) error {
	for _, h := range []struct {
		name   string
		accept func(Command) error
		handle func(workflow.Context, Command)
	}{{updateCancel, x.acceptCommand, x.cancel}, {updatePause, x.acceptUncanceled, x.pause}, {updateResume, x.acceptUncanceled, x.resume}} {
		obey := func(ctx workflow.Context, c Command) (func() bool, error) {
			h.handle(ctx, c)
			if h.name == updateResume && ordersGoFirst(ctx) {
				return x.delivered, nil
			}
			return nil, nil
		}
		err := serve(ctx, x, h.name, h.accept, obey)
		if err != nil {
			return err
		}
	}
	return serve(ctx, x, updateStage, x.acceptStage, x.act)
}

// serve sets the handler of one kind of update. accept refuses what arrives too early or too late;
// it is asked again when it is the command's turn. The answer waits for done, which is
// nil when there is nothing to wait for; the commands behind it do not.
func serve[C any](ctx workflow.Context, x *execution, name string, accept func(C) error, handle func(workflow.Context, C) (done func() bool, err error)) error {
	handler := func(ctx workflow.Context, c C) error {
		ctx, _ = workflow.NewDisconnectedContext(ctx)
		done, err := inTurn(ctx, x, func() (func() bool, error) {
			if err := accept(c); err != nil {
				return nil, err
			}
			return handle(ctx, c)
		})
		if err != nil || done == nil {
			return err
		}
		return workflow.Await(ctx, done)
	}
	return workflow.SetUpdateHandlerWithOptions(ctx, name, handler, workflow.UpdateHandlerOptions{Validator: accept})
}

// inTurn runs do once the execution is loaded, one after the other in the order of
// arrival. What it does is recorded in the store, so the command has to be in the history
// before: an update is gone with the process, and the workflow would know nothing of what
// the store says. A timer ends the workflow task, and with it the command is kept.
func inTurn(ctx workflow.Context, x *execution, do func() (func() bool, error)) (func() bool, error) {
	var kept workflow.Future
	if x.durable { // those that come together are kept together
		kept = workflow.NewTimer(ctx, keepTime)
	}
	if err := x.command.Lock(ctx); err != nil {
		return nil, err
	}
	defer x.command.Unlock()
	if err := workflow.Await(ctx, func() bool { return x.loaded }); err != nil {
		return nil, err
	}
	if x.durable && kept == nil {
		kept = workflow.NewTimer(ctx, keepTime)
	}
	if kept != nil {
		if err := kept.Get(ctx, nil); err != nil {
			return nil, err
		}
	}
	return do()
}

// accept refuses every command to an execution that has ended. A command that
// changes nothing, such as pausing what is paused, is accepted.
func (x *execution) accept() error {
	if x.closed {
		return refusal(delivery.Errorf(delivery.Conflict, "execution %s is complete", x.ID))
	}
	return nil
}

func (x *execution) acceptCommand(Command) error { return x.accept() }

// acceptUncanceled refuses a pause or a resume that a cancel has overtaken.
func (x *execution) acceptUncanceled(Command) error {
	if x.canceled {
		return refusal(delivery.Errorf(delivery.Conflict, "execution %s is being canceled", x.ID))
	}
	return x.accept()
}

// cancel stops everything. What runs has cancelGrace to end by itself.
func (x *execution) cancel(ctx workflow.Context, c Command) {
	if x.canceled || x.closed {
		return
	}
	x.canceled, x.changed = true, true
	x.CanceledBy, x.CancellationReason = c.By, c.Reason
	workflow.Go(ctx, func(ctx workflow.Context) {
		if workflow.Sleep(ctx, cancelGrace) == nil {
			x.graceOver = true
		}
	})
	x.controlAll(Control{Kind: ControlCancel, Command: c})
	x.tell(ctx, updateCancel, c)
}

// pause starts no more stages and pauses the deployments.
func (x *execution) pause(ctx workflow.Context, c Command) {
	if x.canceled || x.closed || x.Status == delivery.StatusPaused {
		return
	}
	x.Status = delivery.StatusPaused
	x.Paused = &delivery.Pause{PausedBy: c.By, PausedAt: workflow.Now(ctx), Reason: c.Reason}
	x.controlAll(Control{Kind: ControlPause, Command: c})
	x.tell(ctx, updatePause, c)
}

// resume goes on where the pause began.
func (x *execution) resume(ctx workflow.Context, c Command) {
	if x.canceled || x.closed || x.Status != delivery.StatusPaused {
		return
	}
	x.Status, x.changed = delivery.StatusRunning, true
	was := *x.Paused
	was.ResumedBy, was.ResumedAt, was.ResumeReason = c.By, workflow.Now(ctx), c.Reason
	x.Paused = &was
	x.postpone(was.PausedAt, was.ResumedAt)
	x.controlAll(Control{Kind: ControlResume, Command: c})
	x.tell(ctx, updateResume, c)
}

// postpone moves the deadlines of the stages, and their next attempts, by the time that
// was paused.
func (x *execution) postpone(from, to time.Time) {
	for i := range x.Stages {
		s := &x.Stages[i]
		if !s.Deadline.IsZero() {
			began := from
			if run := x.runs[s.RefID]; run != nil && run.limited.After(from) {
				began = run.limited
			}
			s.Deadline = s.Deadline.Add(to.Sub(began))
		}
		if s.AwaitsRetry() {
			*s = pipeline.Postponed(*s, from, to)
		}
	}
}

// tell records a command before it is answered, so that its effect shows in the
// next read.
func (x *execution) tell(ctx workflow.Context, action string, c Command) {
	event := ExecutionEvent{Status: x.Status, Action: action, By: c.By, Reason: c.Reason}
	if err := x.project(ctx, happening{kind: delivery.EventExecution, data: event}); err != nil {
		workflow.GetLogger(ctx).Error("Command was not recorded", "execution", x.ID, "error", err)
	}
}
