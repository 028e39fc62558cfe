package main

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestQuantile(t *testing.T) {
	tests := []struct {
		in   series
		q    float64
		want float64
	}{
		{series{7}, 0.5, 7},
		{series{3, 1, 2}, 0.5, 2},
		{series{4, 1, 2, 3}, 0.5, 2.5},
		{series{1, 2, 3, 4, 5}, 0, 1},
		{series{1, 2, 3, 4, 5}, 1, 5},
		{series{0, 100}, 0.99, 99},
	}
	for _, tt := range tests {
		if got := tt.in.quantile(tt.q); got != tt.want {
			t.Errorf("quantile %v of %v is %v, want %v", tt.q, tt.in, got, tt.want)
		}
	}
	if got := (series{}).median(); !math.IsNaN(got) {
		t.Errorf("median of nothing is %v", got)
	}
}

func TestQuantileLiesWithin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := series(rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 1, 50).Draw(t, "in"))
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		got := in.quantile(q)
		if got < in.quantile(0) || got > in.quantile(1) {
			t.Fatalf("quantile %v is %v, outside of [%v, %v]", q, got, in.quantile(0), in.quantile(1))
		}
	})
}

func TestRatioOf(t *testing.T) {
	got := ratioOf(series{2, 4, 9}, series{2, 2, 3})
	if want := (ratio{median: 2, low: 1, high: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got.String() != "2.00 (1.00-3.00)" {
		t.Errorf("reads %q", got)
	}
}

func TestRatioOfNoise(t *testing.T) {
	for _, base := range []series{{0.1, -0.1, 0.2}, {0, 1, 1}} {
		if got := ratioOf(series{1, 1, 1}, base).String(); got != "-" {
			t.Errorf("ratio to %v reads %q, want a dash", base, got)
		}
	}
}

func TestMinus(t *testing.T) {
	got := series{10, 20}.minus(series{1, 2}, 9)
	if len(got) != 2 || got[0] != 1 || got[1] != 2 {
		t.Errorf("got %v, want [1 2]", got)
	}
}
