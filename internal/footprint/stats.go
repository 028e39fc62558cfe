package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// series is one figure, measured once in each round.
type series []float64

func (s series) median() float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// against returns the ratio of the medians, and the lowest and highest of a round
// when there is more than one.
func (s series) against(base series) string {
	rounds := min(len(s), len(base))
	if rounds == 0 {
		return "-"
	}
	middle := s.median() / base.median()
	if rounds == 1 {
		return fmt.Sprintf("%.2f", middle)
	}
	low, high := math.Inf(1), math.Inf(-1)
	for i := range rounds {
		low, high = min(low, s[i]/base[i]), max(high, s[i]/base[i])
	}
	return fmt.Sprintf("%.2f (%.2f-%.2f)", middle, low, high)
}

// String is the median with about three digits; a dash where nothing was measured.
func (s series) String() string {
	switch v := s.median(); {
	case math.IsNaN(v):
		return "-"
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// table prints columns of equal width, indented.
type table struct{ w *tabwriter.Writer }

func newTable(out io.Writer, title string, head ...string) *table {
	fmt.Fprintf(out, "\n%s\n", title)
	t := &table{tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)}
	t.row(head...)
	return t
}

func (t *table) row(cells ...string) {
	fmt.Fprintln(t.w, "   "+strings.Join(cells, "\t"))
}

func (t *table) flush() error { return t.w.Flush() }
