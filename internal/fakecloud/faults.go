package fakecloud

import (
	"context"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Faults are probabilities of 0 to 1, drawn from the cloud's seed.
type Faults struct {
	// Before: the call fails and had no effect. After: it had its effect, and
	// the caller got an error all the same.
	Before, After float64
	// Throttle: the call is refused with a request for a slower pace.
	Throttle float64
	// Stale: a read returns what was true up to StaleFor ago.
	Stale    float64
	StaleFor time.Duration
	// Silent: a measurement has no data.
	Silent float64
	// Kill: an instance dies before a call is served. Flap: one is sick for FlapFor.
	Kill, Flap float64
	FlapFor    time.Duration
	// Hang, when set, is called first; it may block until ctx ends.
	Hang func(ctx context.Context) error
}

func (c *Cloud) fault(ctx context.Context) error {
	f := c.config.Faults
	if f.Hang != nil {
		if err := f.Hang(ctx); err != nil {
			return err
		}
	}
	if c.roll(f.Kill) {
		c.Kill()
	}
	if c.roll(f.Flap) {
		c.Flap(f.FlapFor)
	}
	switch {
	case c.roll(f.Throttle):
		return &delivery.Error{Kind: delivery.Throttled, Code: "Throttling", Message: "rate exceeded", RetryAfter: time.Second}
	case c.roll(f.Before):
		return delivery.Errorf(delivery.Transient, "connection reset before the call")
	default:
		return nil
	}
}

func (c *Cloud) roll(p float64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return p > 0 && c.rng.Float64() < p
}
