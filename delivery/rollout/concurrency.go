package rollout

import "slices"

// Concurrency is what a deployment does when another one has its cluster.
type Concurrency string

// The kinds of concurrency.
const (
	// Queue waits for its turn, first come first served. It is the default.
	Queue Concurrency = "queue"
	// Supersede cancels the deployments that have the cluster or wait for it, and
	// begins when they have rolled back.
	Supersede Concurrency = "supersede"
	// Reject fails at once, before anything is touched.
	Reject Concurrency = "reject"
)

// valid reports whether it is one of the above.
func (c Concurrency) valid() bool {
	return slices.Contains([]Concurrency{Queue, Supersede, Reject}, c)
}
