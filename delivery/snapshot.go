package delivery

import "time"

// Snapshot is the observed truth of a cluster at one moment. Every decision is
// made on one; none is made on a record of what was written.
type Snapshot struct {
	Cluster    Cluster   `json:"cluster"`
	ObservedAt time.Time `json:"observedAt"`
	// Groups are sorted by sequence. A group stays listed until its last piece is gone.
	Groups []ServerGroup `json:"groups"`
	// Routing is nil when the cluster is behind no router.
	Routing *Routing `json:"routing,omitempty"`
}

// Group returns the named group, or nil when it is not there.
func (s Snapshot) Group(name string) *ServerGroup {
	for i := range s.Groups {
		if s.Groups[i].Name == name {
			return &s.Groups[i]
		}
	}
	return nil
}

// Serving reports whether the group takes traffic: it has weight, or, in a
// cluster behind no router, it has instances.
func (s Snapshot) Serving(name string) bool {
	if s.Routing != nil {
		return s.Routing.Percent(name) > 0
	}
	g := s.Group(name)
	return g != nil && g.Capacity.Desired > 0
}

// Numbers returns the sequence number of the newest group, -1 for none, and those
// of all groups.
func (s Snapshot) Numbers() (newest int, taken []int) {
	newest = -1
	var created time.Time
	for _, g := range s.Groups {
		taken = append(taken, g.Sequence)
		if newest < 0 || !g.CreatedAt.Before(created) {
			newest, created = g.Sequence, g.CreatedAt
		}
	}
	return newest, taken
}

// NewestServing returns the newest group that takes traffic, or nil.
func (s Snapshot) NewestServing() *ServerGroup {
	var newest *ServerGroup
	for i := range s.Groups {
		g := &s.Groups[i]
		if s.Serving(g.Name) && (newest == nil || !g.CreatedAt.Before(newest.CreatedAt)) {
			newest = g
		}
	}
	return newest
}
