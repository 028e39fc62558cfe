package workflows

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/calendar"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// scheduleType is the name of Schedule in histories.
const scheduleType = "Schedule"

// signalChanged tells a schedule that its pipeline was saved.
const signalChanged = "changed"

// ScheduleState is all that a schedule remembers. It is its input too.
type ScheduleState struct {
	Pipeline string `json:"pipeline"`
	Trigger  string `json:"trigger"`
	// Seen is up to when fires were looked at; zero before the first look.
	Seen time.Time `json:"seen,omitzero"`
	// Rule is the expression and the zone of the last look.
	Rule string `json:"rule,omitempty"`
}

// scheduleID is the workflow id of a trigger's schedule.
func scheduleID(pipeline, trigger string) string {
	return fmt.Sprintf("schedule/%s/%s", pipeline, trigger)
}

// Schedule starts a pipeline whenever one of its cron triggers comes about. It ends
// when the trigger is gone or disabled; the next save of the pipeline starts it again.
func Schedule(ctx workflow.Context, state ScheduleState) error {
	changed := workflow.GetSignalChannel(ctx, signalChanged)
	if state.Seen.IsZero() {
		state.Seen = workflow.Now(ctx)
	}
	var a *Activities
	for {
		for changed.ReceiveAsync(nil) { // what was saved until now is read below
		}
		now := workflow.Now(ctx)
		var looked ScheduleLook
		if err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, scheduleOptions), a.FireSchedule, state, now).Get(ctx, &looked); err != nil {
			return err
		}
		state.Seen, state.Rule = now, looked.Rule
		info := workflow.GetInfo(ctx)
		switch {
		case looked.Next.IsZero() && changed.Len() == 0:
			return nil
		case info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() > maxHistory:
			if changed.Len() == 0 { // else what the signal tells is looked at first
				return workflow.NewContinueAsNewError(ctx, scheduleType, state)
			}
		default:
			awaitFire(ctx, changed, looked.Next)
		}
	}
}

// awaitFire blocks until a time, or until the pipeline is saved.
func awaitFire(ctx workflow.Context, changed workflow.ReceiveChannel, at time.Time) {
	tctx, stop := workflow.WithCancel(ctx)
	defer stop()
	s := workflow.NewSelector(ctx)
	s.AddFuture(workflow.NewTimer(tctx, max(at.Sub(workflow.Now(ctx)), 0)), func(workflow.Future) {})
	s.AddReceive(changed, func(c workflow.ReceiveChannel, _ bool) { c.Receive(ctx, nil) })
	s.Select(ctx)
}

// ScheduleLook is what a look at a schedule found.
type ScheduleLook struct {
	Rule string `json:"rule"`
	// Next is when the trigger comes about next; zero when it never does again.
	Next time.Time `json:"next,omitzero"`
	// Started are the executions of the fires that were due.
	Started []delivery.ExecutionID `json:"started,omitempty"`
	// Missed counts the fires that were left out by the trigger's catch-up policy.
	Missed int `json:"missed,omitempty"`
}

// FireSchedule starts what is due of a schedule. Repeating it starts nothing twice:
// trigger and nominal time are the execution's correlation id.
func (a *Activities) FireSchedule(ctx context.Context, state ScheduleState, now time.Time) (ScheduleLook, error) {
	p, definition, err := a.scheduled(ctx, state)
	if err != nil {
		return ScheduleLook{}, applicationError(err)
	}
	t := definition.Trigger(state.Trigger)
	if t == nil || !t.Enabled || t.Type != pipeline.CronType {
		return ScheduleLook{}, nil
	}
	rule := t.Expression + " " + t.Zone.String()
	from := state.Seen
	if first := state.Rule == ""; rule != state.Rule && (first || p.UpdatedAt.After(from)) {
		// What a rule would have done before it was saved was not missed; what came
		// between its save and the first look was.
		from = p.UpdatedAt
	}
	due := t.Cron.Due(from, now, t.Zone, t.CatchUp)
	look := ScheduleLook{Rule: rule, Next: due.Next.At, Missed: due.Missed}
	if due.Missed > 0 {
		a.deps.Logger.Warn("A cron trigger came about while nothing ran", "pipeline", p.Name, "application", p.Application, "trigger", t.ID, "missed", due.Missed, "catchUp", t.CatchUp.Policy)
	}
	for _, fire := range due.Fires {
		id, err := a.fire(ctx, p, definition, *t, fire)
		if err != nil {
			return ScheduleLook{}, applicationError(err)
		}
		look.Started = append(look.Started, id)
	}
	return look, nil
}

// scheduled reads the pipeline as it is saved now; the definition of one that is gone
// or disabled is empty.
func (a *Activities) scheduled(ctx context.Context, state ScheduleState) (delivery.Pipeline, pipeline.Definition, error) {
	p, err := a.deps.Store.PipelineByID(ctx, state.Pipeline)
	if delivery.KindOf(err) == delivery.NotFound {
		return p, pipeline.Definition{}, nil
	}
	if err != nil || p.Disabled {
		return p, pipeline.Definition{}, err
	}
	definition, err := pipeline.Parse(p.Document)
	return p, definition, err
}

// fire starts the pipeline for one nominal time.
func (a *Activities) fire(ctx context.Context, p delivery.Pipeline, definition pipeline.Definition, t pipeline.Trigger, f calendar.Fire) (delivery.ExecutionID, error) {
	document, err := cronDocument(t, f)
	if err != nil {
		return "", err
	}
	e, created, err := createUnattended(ctx, a.deps.Store, p, definition, delivery.Trigger{Type: pipeline.CronType, User: delivery.System.Name, Parameters: t.Parameters,
		CorrelationID: scheduleID(p.ID, t.ID) + "/" + f.Nominal, Document: document}, a.deps.Now())
	if err != nil {
		return "", err
	}
	if created {
		a.deps.Logger.Info("A cron trigger started a pipeline", "pipeline", p.Name, "application", p.Application, "trigger", t.ID, "nominal", f.Nominal, "execution", e.ID, "status", e.Status)
	}
	if e.Status.Complete() {
		return e.ID, nil // it failed before it began, or has ended since
	}
	return e.ID, a.engine.StartExecution(ctx, e.ID)
}

// cronDocument is the trigger as it is saved, with the time that it came about for.
func cronDocument(t pipeline.Trigger, f calendar.Fire) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(t.Raw, &fields); err != nil {
		return nil, fmt.Errorf("read trigger %s: %w", t.ID, err)
	}
	for name, value := range map[string]string{"nominalTime": f.Nominal, "timezone": t.Zone.String()} {
		raw, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		fields[name] = raw
	}
	return json.Marshal(fields)
}
