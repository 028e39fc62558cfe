package wirefaults

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// The paces and budgets of the deployment workflow (workflows/options.go), in
// simulated time.
const (
	pollMin      = time.Second
	pollMax      = 5 * time.Second
	retryMin     = 500 * time.Millisecond
	retryMax     = 15 * time.Second
	applyBudget  = 10 * time.Minute
	lookBudget   = time.Hour
	maxConflicts = 10
	maxLooks     = 5000
)

// clock is the simulated time that a deployment lives by.
type clock interface {
	Now() time.Time
	Sleep(ctx context.Context, d time.Duration) error
}

// driver carries one deployment out as the deployment workflow does: look,
// decide, act, look again.
type driver struct {
	schedule
	clock  clock
	target delivery.Target
	wanted
	random *rand.Rand
	// beforeLook is called before each look.
	beforeLook func(look int) error
	// onPhase is called when the deployment enters another phase.
	onPhase func(from, to rollout.Phase)
	// metrics answers the checks of the strategy; nil when it has none.
	metrics delivery.Metrics
	// fence gives the deployment its fence; nil for the first.
	fence func(context.Context) (int64, error)
	// number gives the server group its name; nil for the first.
	number func(context.Context) (group string, err error)
	// records are what a rollback is chosen from.
	records func(context.Context) ([]delivery.Deployment, error)
	// earlierOnes are what deployments wanted of which there are records.
	earlierOnes map[delivery.DeploymentID]pipeline.DeployCluster
	// record keeps the state with what happened; nil for nowhere.
	record func(ctx context.Context, happened string) error

	state     rollout.State
	looks     int
	conflicts int
	trace     []string
}

// note keeps what happened for the report of a failure.
func (d *driver) note(format string, args ...any) {
	d.trace = append(d.trace, d.clock.Now().Format("15:04:05.0 ")+fmt.Sprintf(format, args...))
}

// prepare finds out what is to be done.
func (d *driver) prepare(ctx context.Context) (err error) {
	fence := int64(1)
	if d.fence != nil {
		if fence, err = d.fence(ctx); err != nil {
			return fmt.Errorf("take the fence: %w", err)
		}
	}
	input, err := d.input(ctx)
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	input.Deployment, input.Fence = d.deployment(), fence
	d.state = rollout.Start(input)
	return d.recorded(ctx, "prepared")
}

func (d *driver) deployment() delivery.DeploymentID {
	return delivery.NewDeploymentID(executionOf(d.seed), "1", d.want.Cluster)
}

// executionOf is the execution of the deployment of a seed.
func executionOf(seed int64) delivery.ExecutionID {
	return delivery.ExecutionID(fmt.Sprintf("SCHEDULE%d", seed))
}

func (d *driver) recorded(ctx context.Context, format string, args ...any) error {
	if d.record == nil {
		return nil
	}
	return d.record(ctx, fmt.Sprintf(format, args...))
}

// run ends with the deployment. It begins with the state that there is.
func (d *driver) run(ctx context.Context) (rollout.Outcome, error) {
	if d.state.Phase == "" {
		if err := d.prepare(ctx); err != nil {
			return rollout.Outcome{}, err
		}
	}
	pace := pollMin
	for d.looks = 1; d.looks <= maxLooks; d.looks++ {
		if err := d.beforeLook(d.looks); err != nil {
			return rollout.Outcome{}, err
		}
		decision, moved, err := d.look(ctx)
		if err != nil {
			return rollout.Outcome{}, err
		}
		if moved {
			pace = pollMin
		}
		switch {
		case decision.Done != nil:
			return *decision.Done, nil
		case decision.Apply != nil:
			err = d.apply(ctx, *decision.Apply)
		case decision.Await != nil:
			pause := pace
			if !decision.Await.Until.IsZero() {
				pause = max(decision.Await.Until.Sub(d.clock.Now()), time.Millisecond)
			}
			pace = min(pace*3/2, pollMax)
			err = d.clock.Sleep(ctx, pause)
		case decision.Gate != nil:
			err = d.ask(ctx, *decision.Gate)
		default:
			err = fmt.Errorf("look %d: no decision", d.looks)
		}
		if err != nil {
			return rollout.Outcome{}, err
		}
	}
	return rollout.Outcome{}, fmt.Errorf("no end after %d looks: %s, waiting for %q", d.looks, d.state.Phase, d.state.Waiting)
}

// look observes and decides.
func (d *driver) look(ctx context.Context) (decision rollout.Decision, moved bool, err error) {
	var seen delivery.Snapshot
	err = d.retry(ctx, lookBudget, func() (err error) {
		seen, err = d.target.Observe(ctx, d.want.Cluster, d.state.Input.Spec.LoadBalancer)
		if err != nil {
			err = delivery.Errorf(delivery.Transient, "observe: %w", err) // looks are repeated whatever the error
		}
		return err
	})
	if ctx.Err() != nil {
		return decision, false, ctx.Err()
	}
	if err != nil {
		state := d.state.GiveUp(*delivery.FailureOf("look at the cluster", err))
		d.state = state
		return rollout.Decision{Done: state.Outcome}, true, nil
	}
	measured, err := d.measure(ctx)
	if err != nil {
		return decision, false, err
	}
	before, err := reread(d.state)
	if err != nil {
		return decision, false, err
	}
	d.state, decision = rollout.Next(before, seen, d.clock.Now())
	if moved = d.state.Phase != before.Phase; moved {
		d.note("look %d: %s -> %s %v", d.looks, before.Phase, d.state.Phase, d.state.Cause)
		d.onPhase(before.Phase, d.state.Phase)
	}
	if moved || measured || decision.Await == nil || d.state.Step != before.Step || d.state.StepDone.IsZero() != before.StepDone.IsZero() {
		err = d.recorded(ctx, "%s, step %d", d.state.Phase, d.state.Step)
	}
	return decision, moved, err
}

// measure takes the measurements that are due.
func (d *driver) measure(ctx context.Context) (measured bool, err error) {
	var readings []rollout.Reading
	for _, q := range d.state.Due(d.clock.Now()) {
		series, err := d.metrics.Measure(ctx, q.Request)
		readings = append(readings, rollout.Reading{Question: q, Series: series, Failure: delivery.FailureOf("measure", err)})
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	state, took := d.state.Measured(readings, d.clock.Now())
	d.state = state
	for _, m := range took {
		d.note("measured %s: %s", m.Check, m.Verdict)
	}
	return len(took) > 0, nil
}

// apply carries one change out. What cannot be waited out fails the deployment.
func (d *driver) apply(ctx context.Context, change delivery.Change) error {
	if change.Spec != nil && change.Spec.Settings == nil {
		spec := *change.Spec
		spec.Settings = d.settings()
		change.Spec = &spec
	}
	times := 1
	if d.random.Float64() < d.twice {
		times = 2
	}
	for range times {
		err := d.retry(ctx, applyBudget, func() error { return d.applyOnce(ctx, change) })
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case overtaken(delivery.KindOf(err)) && d.conflicts < maxConflicts:
			d.conflicts++
			d.note("%s: %v", change, err)
			return d.clock.Sleep(ctx, time.Second)
		case err != nil:
			d.note("%s failed: %v", change, err)
			d.state = d.state.Fail(*delivery.FailureOf(change.String(), err))
			return d.recorded(ctx, "%s failed", change)
		}
		d.conflicts = 0
	}
	return d.recorded(ctx, "%s", change)
}

// overtaken tells whether a change is decided anew, on another look.
func overtaken(k delivery.Kind) bool {
	return k == delivery.Conflict || k == delivery.Guarded || k == delivery.NotFound
}

// applyOnce repeats the target's Apply while there is something to write.
func (d *driver) applyOnce(ctx context.Context, change delivery.Change) error {
	for {
		receipt, err := d.target.Apply(ctx, change)
		d.note("%s: %+v %v", change, receipt, err)
		if err != nil || receipt.Done {
			return err
		}
		if receipt.Wrote == "" {
			return d.clock.Sleep(ctx, pollMin)
		}
	}
}

// retry repeats what may succeed later, slower and slower.
func (d *driver) retry(ctx context.Context, budget time.Duration, do func() error) error {
	until := d.clock.Now().Add(budget)
	for pause := retryMin; ; pause = min(2*pause, retryMax) {
		err := do()
		if err == nil || !delivery.KindOf(err).Retryable() || d.clock.Now().After(until) {
			return err
		}
		if err := d.clock.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// reread passes a state through JSON, as a history does.
func reread(s rollout.State) (rollout.State, error) {
	var out rollout.State
	data, err := json.Marshal(s)
	if err != nil {
		return out, fmt.Errorf("marshal state: %w", err)
	}
	if err := json.Unmarshal(data, &out); err != nil {
		return out, fmt.Errorf("unmarshal state: %w", err)
	}
	return out, nil
}
