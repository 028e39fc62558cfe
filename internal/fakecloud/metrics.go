package fakecloud

import (
	"context"
	"slices"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

var _ delivery.Metrics = (*Cloud)(nil)

// Measure tells of every minute that a group of ErringImages fails all requests
// and any other none, whatever is asked.
func (c *Cloud) Measure(ctx context.Context, r delivery.MetricRequest) (delivery.Series, error) {
	if err := c.fault(ctx); err != nil {
		return delivery.Series{}, err
	}
	silent := c.roll(c.config.Faults.Silent)
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.groups[r.Group]
	if g == nil || silent {
		return delivery.Series{}, nil
	}
	value := 0.0
	if slices.Contains(c.config.ErringImages, g.image) {
		value = 100
	}
	out := delivery.Series{Query: "fake"}
	for at := r.From; at.Before(r.To); at = at.Add(time.Minute) {
		out.Points = append(out.Points, delivery.MetricPoint{At: at, Value: value, Samples: 100})
	}
	return out, nil
}
