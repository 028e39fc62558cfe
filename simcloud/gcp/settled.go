package gcp

import "cloud.google.com/go/run/apiv2/runpb"

// Settled tells whether nothing is on its way: no operation runs, and every service of Cloud Run does what it was told.
func (c *Cloud) Settled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.projects {
		if len(p.pending) > 0 {
			return false
		}
		for _, r := range all[*runpb.Service](p.data) {
			if r.message.(*runpb.Service).GetReconciling() {
				return false
			}
		}
	}
	return true
}
