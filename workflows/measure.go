package workflows

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// measure takes the measurements that are due, side by side, and gives them to
// the state. What a source did not answer is a measurement too. The error is for
// an activity that nobody waits for any more.
func (l *look) measure(ctx context.Context, state rollout.State) (rollout.State, []rollout.Measurement, error) {
	due := state.Due(l.deps.Now())
	if len(due) == 0 {
		return state, nil, nil
	}
	readings := make([]rollout.Reading, len(due))
	bounded, cancel := context.WithTimeout(ctx, measureTime)
	defer cancel()
	var all sync.WaitGroup
	for i, question := range due {
		all.Go(func() { readings[i] = l.read(bounded, question) })
	}
	all.Wait()
	if err := ctx.Err(); err != nil {
		return state, nil, fmt.Errorf("measure %s: %w", state.Input.Group, err)
	}
	state, measured := state.Measured(readings, l.deps.Now())
	return state, measured, nil
}

func (l *look) read(ctx context.Context, q rollout.Question) rollout.Reading {
	out := rollout.Reading{Question: q}
	if l.deps.Metrics == nil {
		out.Failure = delivery.FailureOf("measure", delivery.Errorf(delivery.Unavailable, "no source of metrics is configured"))
		return out
	}
	series, err := l.ask(ctx, q.Request)
	if err == nil && q.Baseline != nil {
		if out.Control, err = l.ask(ctx, *q.Baseline); err != nil {
			err = fmt.Errorf("baseline %s: %w", q.Baseline.Group, err)
		}
	}
	out.Series, out.Failure = series, delivery.FailureOf("measure", err)
	return out
}

// ask asks the source once.
func (l *look) ask(ctx context.Context, request delivery.MetricRequest) (delivery.Series, error) {
	began := time.Now()
	series, err := l.deps.Metrics.Measure(ctx, request)
	if err != nil && ctx.Err() != nil && delivery.KindOf(err) == delivery.Internal {
		err = delivery.Errorf(delivery.Transient, "no answer in time: %w", err)
	}
	l.deps.OnCall(Call{Operation: "measure", Cluster: request.Cluster, Err: err, Took: time.Since(began)})
	return series, err
}
