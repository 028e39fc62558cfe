package fakecloud

import (
	"context"
	"slices"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

var _ delivery.Metrics = (*Cloud)(nil)

// Measure tells of every minute that a group of ErringImages fails all requests
// and any other none, whatever is asked; but of Requests that there were 100.
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
	if r.Query.Preset == delivery.Requests {
		value = 100
	}
	out := delivery.Series{Query: "fake"}
	for at := r.From; at.Before(r.To); at = at.Add(time.Minute) {
		out.Points = append(out.Points, delivery.MetricPoint{At: at, Value: value, Samples: 100})
	}
	return out, nil
}

// Err lets the groups of an image fail all requests from now on.
func (c *Cloud) Err(image string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.config.ErringImages = append(slices.Clone(c.config.ErringImages), image)
}
