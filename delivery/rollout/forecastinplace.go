package rollout

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/slipway-cd/slipway/delivery"
)

// update predicts how the cloud exchanges a group's instances: in batches of all
// that may be surplus or missing, each of which takes a boot.
func (f *forecast) update(c delivery.Change) {
	g := f.seen.Group(c.Group)
	if g == nil {
		return
	}
	was := g.Version
	g.Version, g.VersionBy, g.Image, g.ImageID = cmp.Or(c.Update.Version, string(c.Key)), c.Key, c.Spec.Image, ""
	if !f.input.Capabilities.KeepsVersions {
		g.Spare = append(slices.Clone(g.Spare), was)
	}
	g.Instances = slices.Clone(g.Instances)
	begins := f.now
	for old := g.Instances; len(old) > 0; {
		batch := min(len(old), c.Update.Surge+c.Update.Unavailable)
		ends := begins.Add(f.estimates.Boot)
		for i, instance := range old[:batch] {
			f.leavesAt[instance.ID] = ends
			if i < c.Update.Unavailable {
				f.leavesAt[instance.ID] = begins
			}
			f.launched++
			id := fmt.Sprintf("forecast-%d", f.launched)
			f.comesAt[id], f.healthyAt[id] = begins, ends
			g.Instances = append(g.Instances, delivery.Instance{ID: id, LaunchedAt: begins, Version: g.Version, Health: healthOf(g.HealthSources, delivery.HealthStarting)})
		}
		old, begins = old[batch:], ends
	}
}

// present leaves out instances that are not there yet, or not any more.
func (f *forecast) present(all []delivery.Instance) []delivery.Instance {
	return slices.DeleteFunc(slices.Clone(all), func(i delivery.Instance) bool {
		comes, leaves := f.comesAt[i.ID], f.leavesAt[i.ID]
		return f.now.Before(comes) || !leaves.IsZero() && !f.now.Before(leaves)
	})
}

// rolls reports whether instances of another version are still there.
func (f *forecast) rolls(g delivery.ServerGroup) bool {
	_, outdated := g.Rolled()
	return outdated > 0
}
