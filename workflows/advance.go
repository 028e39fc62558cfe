package workflows

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// Advanced is a decision with the state it was made in.
type Advanced struct {
	State    rollout.State    `json:"state"`
	Decision rollout.Decision `json:"decision"`
	// Batches are what was seen of the batches on the way, in order.
	Batches []BatchSeen `json:"batches,omitempty"`
	// Measured are the measurements that were taken, in order.
	Measured []rollout.Measurement `json:"measured,omitempty"`
	// Pause is how long to wait before the next look when the decision is to wait.
	Pause time.Duration `json:"pause,omitempty"`
}

// BatchSeen is one look at a batch.
type BatchSeen struct {
	rollout.Batch
	// Done is true when the batch had its effect.
	Done bool `json:"done,omitempty"`
}

// Advance looks at the cluster and decides, again and again while the decision
// is to wait for something near. It returns when there is something to do,
// when a batch is over, when a check was measured, or when the wait is long. It
// only reads.
func (a *Activities) Advance(ctx context.Context, state rollout.State) (Advanced, error) {
	if activity.HasHeartbeatDetails(ctx) {
		// What an earlier attempt saw counts: how long something was waited for.
		var kept rollout.State
		if activity.GetHeartbeatDetails(ctx, &kept) == nil {
			state = kept
		}
	}
	l := &look{Activities: a, state: state, pace: a.deps.Poll.Min, until: time.Now().Add(a.deps.Poll.Hold)}
	l.latest.Store(&state)
	stop := beat(ctx, advanceOptions.HeartbeatTimeout/4, func() any { return *l.latest.Load() })
	defer stop()
	for {
		if done, err := l.once(ctx); done || err != nil {
			return l.result, err
		}
	}
}

// look is one Advance.
type look struct {
	*Activities
	state    rollout.State
	latest   atomic.Pointer[rollout.State]
	pace     time.Duration
	until    time.Time
	troubles int
	result   Advanced
}

// once looks, decides, and either ends the Advance or waits a little.
func (l *look) once(ctx context.Context) (done bool, err error) {
	seen, err := l.observe(ctx)
	if err != nil {
		return false, l.trouble(ctx, err)
	}
	l.troubles = 0
	before := l.state
	checked, measured, err := l.measure(ctx, before)
	if err != nil {
		return false, err
	}
	now := l.deps.Now()
	next, decision := rollout.Next(checked, seen, now)
	over := batchOver(before, next)
	if over {
		l.result.Batches = append(l.result.Batches, BatchSeen{Batch: before.Batch(seen), Done: true})
	}
	if next.Phase != before.Phase {
		l.pace = l.deps.Poll.Min
	}
	l.state = next
	pause, near := l.pause(decision, now)
	if len(measured) == 0 { // a measurement counts once it is recorded
		l.latest.Store(&next)
	}
	if near && !over && len(measured) == 0 && time.Now().Before(l.until) {
		l.pace = min(l.pace*3/2, l.deps.Poll.Max)
		return false, nap(ctx, pause)
	}
	if len(next.Steps) > 0 && (!over && len(measured) == 0 || decision.Await == nil) {
		l.result.Batches = append(l.result.Batches, BatchSeen{Batch: next.Batch(seen)})
	}
	l.result.State, l.result.Decision, l.result.Pause, l.result.Measured = next, decision, pause, measured
	return true, nil
}

func (l *look) observe(ctx context.Context) (seen delivery.Snapshot, err error) {
	in := l.state.Input
	err = l.call(ctx, "observe", in.Cluster, func(ctx context.Context, t delivery.Target) error {
		seen, err = t.Observe(ctx, in.Cluster, in.Spec.LoadBalancer)
		return err
	})
	return seen, err
}

// trouble sits a failed look out, or returns it for Temporal to retry.
func (l *look) trouble(ctx context.Context, err error) error {
	l.troubles++
	if l.troubles > maxTroubles || !time.Now().Before(l.until) || ctx.Err() != nil {
		return waitedOut(err)
	}
	pause := l.pace
	var e *delivery.Error
	if errors.As(err, &e) {
		pause = max(pause, e.RetryAfter)
	}
	l.pace = min(l.pace*2, 3*l.deps.Poll.Max)
	return nap(ctx, pause)
}

// pause returns how long to wait after a decision. near is true when waiting for
// it inside the activity is worth a worker's slot.
func (l *look) pause(d rollout.Decision, now time.Time) (pause time.Duration, near bool) {
	if d.Await == nil {
		return 0, false
	}
	if d.Await.Deadline.IsZero() {
		if d.Await.Until.IsZero() {
			return pausedLook, false
		}
		return min(pausedLook, max(d.Await.Until.Sub(now), time.Millisecond)), false
	}
	pause = l.pace
	if !d.Await.Until.IsZero() {
		pause = max(d.Await.Until.Sub(now), time.Millisecond)
	} else if left := d.Await.Deadline.Sub(now); left > 0 {
		pause = min(pause, left+time.Millisecond)
	}
	return pause, pause <= maxAwayTime
}

// batchOver reports whether the present batch had its effect between two states.
func batchOver(before, next rollout.State) bool {
	if before.Phase != rollout.Moving || !before.StepDone.IsZero() || before.Step >= len(before.Steps) {
		return false
	}
	switch next.Phase {
	case rollout.Moving:
		return next.Step > before.Step || !next.StepDone.IsZero()
	case rollout.Finishing, rollout.Cleaning, rollout.Finished:
		return next.Cause == nil
	default:
		return false
	}
}

// beat sends heartbeats until it is stopped.
func beat(ctx context.Context, every time.Duration, details func() any) (stop func()) {
	ended, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				activity.RecordHeartbeat(ctx, details())
			case <-ended:
				return
			}
		}
	}()
	return func() { close(ended); <-gone }
}

// nap waits inside an activity.
func nap(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
