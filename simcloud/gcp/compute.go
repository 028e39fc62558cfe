package gcp

import "time"

// computePlane is Compute Engine's data plane of one project: its groups' machines and its load balancers.
type computePlane struct{ project *project }

func newComputePlane(p *project) *computePlane { return &computePlane{project: p} }

// reconcile lets time act on the project's groups.
func (p *computePlane) reconcile(time.Time) {}

// seedRegion makes what every region has: a subnetwork of the network "default".
func (p *computePlane) seedRegion(string) {}

// computeHandlers is the table of Compute Engine's methods.
func computeHandlers() map[string]handler { return map[string]handler{} }
