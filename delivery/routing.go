package delivery

import "slices"

// Weight is the share of a router's traffic that one server group takes.
type Weight struct {
	ServerGroup string `json:"serverGroup"`
	// Percent is 0 to 100. The weights of one routing add up to 100.
	Percent int `json:"percent"`
}

// Routing is how a router splits the traffic of one cluster, as observed.
type Routing struct {
	// Router is the cloud's id of what holds the weights, for example a listener
	// rule's ARN. Writes to one router are serialized.
	Router string `json:"router"`
	// LoadBalancer is the name a person knows it by.
	LoadBalancer string `json:"loadBalancer"`
	// Fingerprint changes with every change of the stored routing. A write
	// carries the fingerprint it was decided on and fails with Conflict when the
	// routing has another by then.
	Fingerprint string `json:"fingerprint"`
	// Weights are sorted by server group. A group that is known to the router at
	// weight 0 is listed; its health is judged, though it takes no traffic.
	Weights []Weight `json:"weights"`
	// Previews are sorted by server group. They are no part of Fingerprint.
	Previews []Preview `json:"previews,omitempty"`
}

// Percent returns the group's share; zero when the router does not know it or r is nil.
func (r *Routing) Percent(serverGroup string) int {
	if r == nil {
		return 0
	}
	for _, w := range r.Weights {
		if w.ServerGroup == serverGroup {
			return w.Percent
		}
	}
	return 0
}

// SameWeights reports whether two lists give each server group the same share;
// a group at 0 equals an absent one.
func SameWeights(a, b []Weight) bool {
	return slices.Equal(positive(a), positive(b))
}

func positive(ws []Weight) []Weight {
	out := make([]Weight, 0, len(ws))
	for _, w := range ws {
		if w.Percent > 0 {
			out = append(out, w)
		}
	}
	slices.SortFunc(out, func(x, y Weight) int {
		if x.ServerGroup < y.ServerGroup {
			return -1
		}
		if x.ServerGroup > y.ServerGroup {
			return 1
		}
		return 0
	})
	return out
}

// Percents turns weights as a cloud stores them into integer percents that add up to 100. A
// positive weight never becomes 0. All zero stays all zero.
func Percents[W int32 | uint32](weights []W) []int {
	out := make([]int, len(weights))
	var total int64
	for _, w := range weights {
		total += int64(w)
	}
	if total == 0 {
		return out
	}
	sum, largest := 0, 0
	for i, w := range weights {
		out[i] = int(int64(w) * 100 / total)
		if w > 0 && out[i] == 0 {
			out[i] = 1
		}
		sum += out[i]
		if w > weights[largest] {
			largest = i
		}
	}
	out[largest] += 100 - sum
	return out
}
