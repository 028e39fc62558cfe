package simcloud

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// probeFloor is the least real time a health check waits for an answer, so that a fast clock on a busy machine does not
// make healthy targets look slow.
const probeFloor = time.Second

// watch checks a target's health for as long as ctx lives.
func (g *TargetGroup) watch(ctx context.Context, t *target) {
	defer g.world.checking.Add(-1) // begin has added it
	if g.world.rest(ctx, g.Config().RegistrationDelay) != nil {
		return
	}
	g.mu.Lock()
	if ctx.Err() == nil {
		g.move(t, TargetInitial, ReasonInitialHealthChecking)
	}
	g.mu.Unlock()
	for {
		check := g.Config().HealthCheck
		reason := g.probe(ctx, t.instance, check)
		g.judge(ctx, t, reason)
		if g.world.rest(ctx, check.Interval) != nil {
			return
		}
	}
}

// rest waits for d of simulated time between two health checks. The next one is under way as soon as the clock says so.
func (w *World) rest(ctx context.Context, d time.Duration) error {
	due := make(chan struct{})
	timer := w.Clock.AfterFunc(d, func() {
		w.checking.Add(1)
		close(due)
	})
	w.checking.Add(-1)
	select {
	case <-due:
		return nil
	case <-ctx.Done():
		if timer.Stop() {
			w.checking.Add(1)
		}
		return ctx.Err()
	}
}

// Quiet tells whether no health check is under way. With a manual clock, nothing then changes by itself before the next
// [Clock.Advance].
func (w *World) Quiet() bool { return w.checking.Load() == 0 }

// probe makes one health check and returns the reason of its failure, or "".
func (g *TargetGroup) probe(ctx context.Context, instance *Instance, check HealthCheck) string {
	if instance.State() == StateTerminated {
		return ReasonInvalidState
	}
	ctx, cancel := context.WithTimeout(ctx, g.world.Clock.Real(check.Timeout, probeFloor))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+instance.reachable()+check.Path, nil)
	if err != nil {
		return ReasonFailedHealthChecks
	}
	request.Header.Set("User-Agent", "ELB-HealthChecker/2.0")
	response, err := g.world.prober.RoundTrip(request)
	if err != nil {
		var network net.Error
		if errors.As(err, &network) && network.Timeout() {
			return ReasonTimeout
		}
		return ReasonFailedHealthChecks
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	passed := response.StatusCode == http.StatusOK
	if check.Accept != nil {
		passed = check.Accept(response.StatusCode)
	}
	if !passed {
		return ReasonResponseCodeMismatch
	}
	return ""
}

// judge draws the conclusion from a health check that failed for reason, or passed when it is empty. A new target needs
// NewThreshold passes in a row, one that was unhealthy HealthyThreshold.
func (g *TargetGroup) judge(ctx context.Context, t *target, reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	check := g.config.HealthCheck
	switch {
	case reason == ReasonInvalidState:
		g.move(t, TargetUnused, reason)
	case reason == "":
		t.successes, t.failures = t.successes+1, 0
		if t.state == TargetInitial && t.successes >= check.NewThreshold || t.successes >= check.HealthyThreshold {
			g.move(t, TargetHealthy, "")
		}
	default:
		t.successes, t.failures = 0, t.failures+1
		if t.state == TargetUnhealthy || t.failures >= check.UnhealthyThreshold {
			g.move(t, TargetUnhealthy, reason)
		}
	}
}
