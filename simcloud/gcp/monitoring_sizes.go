package gcp

import (
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"

	"github.com/slipway-cd/slipway/simcloud"
)

// sizesKept is the number of minutes whose sizes are remembered, as target groups do.
const sizesKept = 180

// sizes are how many machines the project's groups had at the beginning of a minute.
type sizes struct {
	minute time.Time
	groups map[groupKey]int
}

// groupKey names a managed instance group, or a revision, whose containers have no zone.
type groupKey struct {
	region, name string
	zonal        bool
}

// recordSizes counts the machines once in a minute.
func (p *project) recordSizes(now time.Time) {
	minute := now.Truncate(time.Minute)
	if n := len(p.sizes); n > 0 && !p.sizes[n-1].minute.Before(minute) {
		return
	}
	groups := map[groupKey]int{}
	for _, i := range p.cloud.world.Fleet.Instances() {
		launch := i.Launched()
		state := i.State()
		zonal := launch.Zone != ""
		if launch.Account == p.account && (state == simcloud.StateRunning || zonal && state == simcloud.StatePending) {
			groups[groupKey{launch.Region, launch.Group, zonal}]++
		}
	}
	p.sizes = append(p.sizes, sizes{minute, groups})
	if surplus := len(p.sizes) - sizesKept; surplus > 0 {
		p.sizes = append([]sizes(nil), p.sizes[surplus:]...)
	}
}

// sized makes points of a group's sizes.
func (p *project) sized(key groupKey) []point {
	out := make([]point, len(p.sizes))
	for i, s := range p.sizes {
		out[i] = point{from: s.minute, to: s.minute, number: float64(s.groups[key])}
	}
	return out
}

// groupSizes are the sizes of the managed instance groups.
func groupSizes(p *project, _ *metricType, _, _ time.Time) []*series {
	var out []*series
	for _, r := range all[*computepb.InstanceGroupManager](p.data) {
		region := regionOfPath(r.path)
		out = append(out, &series{
			metric:   map[string]string{},
			resource: map[string]string{"project_id": p.id, "location": region, "instance_group_name": nameOf(r.path)},
			points:   p.sized(groupKey{region, nameOf(r.path), true}),
		})
	}
	return out
}

// revisionSizes are the running containers of the revisions: active ones after a minute with requests, else idle.
func revisionSizes(p *project, _ *metricType, from, to time.Time) []*series {
	var out []*series
	for _, t := range p.targetsOf("revisions") {
		busy := map[time.Time]bool{}
		for _, m := range t.group.Metrics(from.Add(-2*time.Minute), to) {
			busy[m.Minute.Add(time.Minute)] = m.Requests > 0
		}
		states := map[bool]*series{
			true:  {metric: map[string]string{"state": "active"}, resource: p.revisionLabels(t.path)},
			false: {metric: map[string]string{"state": "idle"}, resource: p.revisionLabels(t.path)},
		}
		for _, s := range p.sized(groupKey{regionOfPath(t.path), nameOf(t.path), false}) {
			states[busy[s.to]].points = append(states[busy[s.to]].points, s)
			s.number = 0
			states[!busy[s.to]].points = append(states[!busy[s.to]].points, s)
		}
		out = append(out, states[true], states[false])
	}
	return out
}
