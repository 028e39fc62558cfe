package rollout

import (
	"slices"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Step is one batch: what is wanted when it is over.
type Step struct {
	// New is the size of the new group.
	New int `json:"new"`
	// Old are the sizes of the old groups, in the order of the recorded ones
	// that took traffic.
	Old []int `json:"old"`
	// Baseline is the size of the baseline; zero for none.
	Baseline int `json:"baseline,omitempty"`
	// Weights are the wanted shares; nil when the cluster is behind no router.
	Weights []delivery.Weight `json:"weights,omitempty"`
	// Pause is how long the step must hold once it is done. Zero is the strategy's
	// PauseBetweenBatches, except after the last step.
	Pause time.Duration `json:"pause,omitempty"`
	// MinRequests, MinRequestsTimeout and Gate are those of the canary's step.
	MinRequests        int           `json:"minRequests,omitempty"`
	MinRequestsTimeout time.Duration `json:"minRequestsTimeout,omitempty"`
	Gate               *StepGate     `json:"gate,omitempty"`
}

// bounds are the numbers that hold at every instant of a rolling deployment.
type bounds struct {
	floor   int // healthy instances at least
	ceiling int // instances at most
}

// boundsOf resolves maxSurge and maxUnavailable. old and wanted are capacities.
// However many may be unavailable, the last healthy instance is never taken: the
// traffic guard would refuse it, and no weights could add up to 100. One instance
// that replaces another therefore has room beside it.
func boundsOf(st Strategy, old, wanted int) bounds {
	switch {
	case old == 0:
		return bounds{floor: 0, ceiling: wanted}
	case st.Kind != Rolling:
		return bounds{floor: 0, ceiling: old + wanted}
	}
	surge, unavailable := movement(st, wanted)
	floor := max(min(wanted, 1), min(old, wanted)-unavailable)
	return bounds{floor: floor, ceiling: max(floor+1, max(old, wanted)+surge)}
}

// movement returns maxSurge and maxUnavailable in instances, the first rounded
// up and the second down, as Kubernetes does, with at least one of them above 0.
func movement(st Strategy, wanted int) (surge, unavailable int) {
	surge, unavailable = st.MaxSurge.Up(wanted), st.MaxUnavailable.Down(wanted)
	if surge == 0 && unavailable == 0 {
		surge = 1
	}
	return surge, unavailable
}

// Steps compiles a strategy to batches. sources are the groups that take
// traffic; wanted is the new group's final size; routed says whether weights are
// to be set. The last step always has New == wanted.
func Steps(st Strategy, group string, wanted int, sources []RecordedGroup, routed bool) []Step {
	full := make([]int, len(sources))
	total := 0
	for i, g := range sources {
		full[i] = g.Capacity.Desired
		total += full[i]
	}
	var steps []Step
	switch {
	case total == 0 || st.Kind == None:
		steps = []Step{{New: wanted, Old: full}}
	case st.Kind == Dark:
		return darkSteps(st, wanted, full)
	case st.Kind == Canary:
		steps = canarySteps(st, wanted, full)
	case st.Kind == BlueGreen || st.Kind == Highlander:
		steps = blueGreenSteps(st, wanted, full)
	case st.Kind == RollingRedBlack:
		for _, p := range st.TargetPercentages {
			steps = append(steps, Step{New: (p*wanted + 99) / 100, Old: full})
		}
	default:
		steps = rollingSteps(st, wanted, full)
	}
	if !routed {
		return steps
	}
	for i := range steps {
		share := -1
		if total > 0 {
			share = st.share(i, len(steps))
		}
		steps[i].Weights = weights(group, steps[i], sources, share)
	}
	return steps
}

// share is the new group's share of the traffic in a step; -1 when it follows
// from the sizes.
func (s Strategy) share(step, of int) int {
	switch s.Kind {
	case RollingRedBlack:
		return s.TargetPercentages[step]
	case Canary:
		return s.Canary[step].Weight
	case BlueGreen, Highlander:
		if step == of-1 {
			return 100
		}
	}
	return -1
}

// weightsOnly leaves of the steps what can be done with groups that have no size
// of their own to change: the weights move in the same shares, the new group has
// to be healthy as a whole, and the old ones keep what they have.
func weightsOnly(steps []Step, sources []RecordedGroup) []Step {
	out := slices.Clone(steps)
	for i := range out {
		out[i].New = min(out[i].New, 1)
		out[i].Old = make([]int, len(sources))
		for j, g := range sources {
			out[i].Old[j] = g.Capacity.Desired
		}
	}
	return out
}

// rollingSteps moves capacity from old to new within the bounds: each batch
// grows the new group by at most maxSurge+maxUnavailable and then shrinks the
// old ones, oldest first, by the matching part of theirs.
func rollingSteps(st Strategy, wanted int, full []int) []Step {
	total := sum(full)
	surge, unavailable := movement(st, wanted)
	limit := boundsOf(st, total, wanted)
	grow := surge + unavailable
	shrink := max(1, (grow*total+max(wanted, 1)-1)/max(wanted, 1))
	var steps []Step
	old, n := slices.Clone(full), 0
	for (n < wanted || sum(old) > 0) && len(steps) <= maxBatches {
		n = min(wanted, n+min(grow, max(0, limit.ceiling-n-sum(old))))
		keep := max(0, limit.floor-n, sum(old)-shrink)
		old = shrinkTo(old, keep)
		steps = append(steps, Step{New: n, Old: old})
	}
	return steps
}

// shrinkTo takes instances from the first groups until keep are left.
func shrinkTo(old []int, keep int) []int {
	out := slices.Clone(old)
	excess := sum(out) - keep
	for i := range out {
		take := min(out[i], max(0, excess))
		out[i] -= take
		excess -= take
	}
	return out
}

// weights gives each group its share of 100. With share < 0 the shares follow
// the sizes; else the new group takes share and the old ones the rest by size.
// A group of size 0 has weight 0, and one with instances has at least 1.
func weights(group string, st Step, sources []RecordedGroup, share int) []delivery.Weight {
	names, sizes := make([]string, 0, len(sources)+1), make([]int, 0, len(sources)+1)
	for i, g := range sources {
		names, sizes = append(names, g.Name), append(sizes, st.Old[i])
	}
	var percents []int
	switch {
	case share < 0:
		percents = split(100, append(sizes, st.New))
	default:
		percents = append(split(100-share, sizes), share)
	}
	names = append(names, group)
	out := make([]delivery.Weight, len(names))
	for i := range names {
		out[i] = delivery.Weight{ServerGroup: names[i], Percent: percents[i]}
	}
	return out
}

// split divides whole by sizes with largest remainders; what has a size gets at
// least 1 where whole allows it.
func split(whole int, sizes []int) []int {
	out := make([]int, len(sizes))
	total := sum(sizes)
	if total == 0 || whole == 0 {
		return out
	}
	given := 0
	for i, n := range sizes {
		out[i] = whole * n / total
		if n > 0 && out[i] == 0 {
			out[i] = 1
		}
		given += out[i]
	}
	for ; given < whole; given++ {
		out[neediest(whole, total, sizes, out)]++
	}
	for ; given > whole; given-- {
		largest := 0
		for i := range out {
			if out[i] > out[largest] {
				largest = i
			}
		}
		out[largest]--
	}
	return out
}

// neediest returns the index whose share lags most behind its size.
func neediest(whole, total int, sizes, out []int) int {
	best, lag := 0, -1<<62
	for i, n := range sizes {
		if n > 0 && whole*n-out[i]*total > lag {
			best, lag = i, whole*n-out[i]*total
		}
	}
	return best
}

func sum(ns []int) int {
	t := 0
	for _, n := range ns {
		t += n
	}
	return t
}
