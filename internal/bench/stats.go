package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
	"time"
)

// series is one figure, measured once in each round.
type series []float64

// quantile returns the value below which a share q of the values lies; NaN of an
// empty series.
func (s series) quantile(q float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low == len(sorted)-1 {
		return sorted[low]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

func (s series) median() float64 { return s.quantile(0.5) }

// minus returns (s - other) / by, round by round.
func (s series) minus(other series, by float64) series {
	out := make(series, min(len(s), len(other)))
	for i := range out {
		out[i] = (s[i] - other[i]) / by
	}
	return out
}

// ratio is a / b: of the medians, and the lowest and highest of a round.
type ratio struct{ median, low, high float64 }

func ratioOf(a, b series) ratio {
	r := ratio{median: a.median() / b.median(), low: math.Inf(1), high: math.Inf(-1)}
	for i := range min(len(a), len(b)) {
		one := a[i] / b[i]
		r.low, r.high = min(r.low, one), max(r.high, one)
	}
	return r
}

// String is a dash when a baseline lies within the noise around zero.
func (r ratio) String() string {
	if !(r.low > 0) || math.IsInf(r.high, 0) {
		return "-"
	}
	return fmt.Sprintf("%.2f (%.2f-%.2f)", r.median, r.low, r.high)
}

// milliseconds turns samples into a series.
func milliseconds(samples []time.Duration) series {
	out := make(series, len(samples))
	for i, d := range samples {
		out[i] = float64(d) / float64(time.Millisecond)
	}
	return out
}

// table prints columns of equal width, indented.
type table struct{ w *tabwriter.Writer }

func newTable(out io.Writer) *table { return &table{tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)} }

func (t *table) row(cells ...string) {
	line := "  "
	for _, c := range cells {
		line += " " + c + "\t"
	}
	fmt.Fprintln(t.w, line)
}

// compare prints a figure of Slipway, the first of the sides, and for each baseline
// its figure and the ratio.
func (t *table) compare(what string, sides []series) {
	cells := []string{what, number(sides[0].median())}
	for _, b := range sides[1:] {
		cells = append(cells, number(b.median()), ratioOf(sides[0], b).String())
	}
	t.row(cells...)
}

func (t *table) flush() error { return t.w.Flush() }

// number keeps about three digits.
func number(v float64) string {
	switch {
	case math.Abs(v) >= 100:
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
