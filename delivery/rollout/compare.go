package rollout

import (
	"fmt"
	"math"
	"slices"

	"github.com/slipway-cd/slipway/delivery"
)

// compares reports whether the present step has a baseline to compare with.
func (s State) compares() bool {
	return s.Phase == Moving && s.Step < len(s.Steps) && s.Steps[s.Step].Baseline > 0
}

// onlyCompares reports whether a check says nothing without a baseline.
func (c Check) onlyCompares() bool {
	return c.MaxOverBaseline != nil && c.Max == nil && c.Min == nil
}

// compared adds the question about the baseline, where the check compares.
func (s State) compared(q Question) Question {
	if s.Input.Strategy.Checks[q.Check].MaxOverBaseline != nil && s.compares() {
		about := q.Request
		about.Group = s.Input.Baseline
		q.Baseline = &about
	}
	return q
}

// compare holds a value against the baseline's, which it notes. over says how far it
// is out of bounds, silent why there is nothing to compare with.
func (c Check) compare(r Reading, m *Measurement, value float64) (over, silent string) {
	if r.Question.Baseline == nil || c.MaxOverBaseline == nil {
		return "", ""
	}
	name := r.Question.Baseline.Group
	points := slices.DeleteFunc(slices.Clone(r.Control.Points), func(p delivery.MetricPoint) bool {
		return p.At.Before(m.From) || !p.At.Before(m.To)
	})
	samples := 0.0
	for _, p := range points {
		samples += p.Samples
	}
	if len(points) == 0 {
		return "", fmt.Sprintf("the baseline %s has no data", name)
	}
	control := fold(c.fold(), points)
	switch {
	case math.IsNaN(control):
		return "", fmt.Sprintf("that of the baseline %s is no number", name)
	case samples < c.MinSamples:
		return "", fmt.Sprintf("that of the baseline %s is of %s requests; %s are needed", name, number(samples), number(c.MinSamples))
	}
	control = min(max(control, -math.MaxFloat64), math.MaxFloat64) // JSON has no infinities
	m.Baseline = &control
	if value-control > *c.MaxOverBaseline {
		over = fmt.Sprintf("more than %s above the %s of the baseline %s", c.text(*c.MaxOverBaseline), c.text(control), name)
	}
	return over, ""
}

// comparison tells what is wrong with a bound over the baseline.
func (r *checkReader) comparison(c Check, baseline bool) {
	switch {
	case c.MaxOverBaseline == nil:
	case !baseline:
		r.refuse("/maxOverBaseline", "needs a baseline: strategy canary with \"baseline\": true")
	case *c.MaxOverBaseline < 0:
		r.refuse("/maxOverBaseline", "is %v; must not be negative", *c.MaxOverBaseline)
	}
}
