package delivery_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
)

func TestRoutingPercent(t *testing.T) {
	routing := &delivery.Routing{Weights: []delivery.Weight{{ServerGroup: "a", Percent: 30}, {ServerGroup: "b", Percent: 70}}}
	for group, want := range map[string]int{"a": 30, "b": 70, "c": 0} {
		if got := routing.Percent(group); got != want {
			t.Errorf("percent of %s is %d, want %d", group, got, want)
		}
	}
	var none *delivery.Routing
	if got := none.Percent("a"); got != 0 {
		t.Errorf("percent without routing is %d", got)
	}
}

// SameWeights ignores order and groups at 0, and nothing else.
func TestSameWeights(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shares := func(label string) map[string]int {
			return rapid.MapOf(rapid.SampledFrom([]string{"a", "b", "c"}), rapid.IntRange(0, 2)).Draw(t, label)
		}
		weights := func(m map[string]int, label string) []delivery.Weight {
			var out []delivery.Weight
			for _, name := range []string{"a", "b", "c"} {
				if percent, ok := m[name]; ok {
					out = append(out, delivery.Weight{ServerGroup: name, Percent: percent})
				}
			}
			if len(out) == 0 {
				return nil
			}
			return rapid.Permutation(out).Draw(t, label)
		}
		a, b := shares("a"), shares("b")
		same := a["a"] == b["a"] && a["b"] == b["b"] && a["c"] == b["c"]
		x, y := weights(a, "order of a"), weights(b, "order of b")
		if got := delivery.SameWeights(x, y); got != same {
			t.Fatalf("SameWeights(%v, %v) = %v", x, y, got)
		}
	})
}

func TestPercents(t *testing.T) {
	for _, test := range []struct {
		stored []int32
		want   []int
	}{
		{nil, []int{}},
		{[]int32{0, 0}, []int{0, 0}},
		{[]int32{1}, []int{100}},
		{[]int32{30, 70}, []int{30, 70}},
		{[]int32{1, 1, 1}, []int{34, 33, 33}},
		{[]int32{1, 999}, []int{1, 99}},
		{[]int32{333, 666}, []int{33, 67}},
	} {
		if diff := cmp.Diff(test.want, delivery.Percents(test.stored)); diff != "" {
			t.Errorf("%v: %s", test.stored, diff)
		}
	}
}

func TestPercentsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stored := rapid.SliceOfN(rapid.Int32Range(0, 999), 1, 6).Draw(t, "stored")
		sum, total := 0, int32(0)
		for i, percent := range delivery.Percents(stored) {
			if (percent > 0) != (stored[i] > 0) {
				t.Errorf("weight %d became %d %%", stored[i], percent)
			}
			sum += percent
			total += stored[i]
		}
		if want := map[bool]int{true: 100}[total > 0]; sum != want {
			t.Errorf("%v adds up to %d", stored, sum)
		}
	})
}
