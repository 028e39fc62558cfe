package fakecloud

import (
	"maps"
	"slices"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// made is what a version of a group was made of, and by which change.
type made struct {
	image string
	by    delivery.ChangeKey
}

// make gives a group a version that new instances are made of.
func (g *group) make(version string, of made) {
	if g.versions == nil {
		g.versions = map[string]made{}
	}
	g.version, g.versions[version], g.image = version, of, of.image
}

// outdated counts the instances that stay and are not of the group's version.
func (g *group) outdated() int {
	n := 0
	for _, in := range g.instances {
		if in.leavingAt.IsZero() && in.version != g.version {
			n++
		}
	}
	return n
}

// extra is how many instances a group has beyond its size while it is updated.
func (c *Cloud) extra(g *group) int { return min(g.surge, g.outdated()) }

// room reports whether an update launches one more instance. Those that are leaving
// take up room too.
func (c *Cloud) room(g *group) bool {
	staying := 0
	for _, in := range g.instances {
		if in.leavingAt.IsZero() {
			staying++
		}
	}
	return staying < c.size(g)+c.extra(g) && len(g.instances) < c.size(g)+g.surge
}

// retire lets instances of other versions leave as far as enough healthy ones stay:
// those that never will be healthy at once, those that were hurt when they are back.
// It returns how many of them made up for instances that died.
func (c *Cloud) retire(g *group) (replacing int) {
	least := c.size(g) - g.unavailable
	for _, healthy := range []bool{false, true} {
		for _, in := range g.instances {
			hurt := in.sickUntil.After(c.at) || in.replaces && in.replaceAt.IsZero()
			if !in.leavingAt.IsZero() || in.version == g.version || in.healthy(c.at) != healthy || !healthy && hurt {
				continue
			}
			if !healthy || c.healthyIn(g.name) > least {
				in.leavingAt = c.at.Add(max(c.config.Drain, time.Nanosecond))
				if !healthy && in.replaces {
					replacing++
				}
			}
		}
	}
	return replacing
}

// succeed lets instances that an update launched and that are not healthy yet make up
// for those that died, and returns for how many there is none: an update launches no
// more than it may.
func (c *Cloud) succeed(g *group, died int) int {
	for _, in := range g.instances {
		boots := in.healthyAt.IsZero() || in.healthyAt.After(c.at)
		if died > 0 && len(g.versions) > 1 && in.version == g.version && boots && in.leavingAt.IsZero() && !in.replaces {
			in.replaces = true
			died--
		}
	}
	return died
}

// update gives a group another version, one write at a time.
func (c *Cloud) update(ch delivery.Change) (delivery.Receipt, error) {
	g := c.groups[ch.Group]
	if c.config.Unsized {
		c.violate("update of %s, which never changes its version", ch.Group)
		return delivery.Receipt{}, delivery.Errorf(delivery.Invalid, "server group %s cannot be updated", ch.Group)
	}
	if g == nil || !g.exists || g.deleting {
		return delivery.Receipt{}, delivery.Errorf(delivery.NotFound, "no server group %s", ch.Group)
	}
	version := ch.Update.Version
	if version == "" {
		version = "made by " + string(ch.Key)
	}
	of, known := g.versions[version]
	switch {
	case !known && ch.Spec == nil:
		return delivery.Receipt{}, delivery.Errorf(delivery.NotFound, "no version %s of %s", version, ch.Group)
	case !known:
		c.checkWrite(ch)
		g.versions[version] = made{ch.Spec.Image, ch.Key}
		return delivery.Receipt{Wrote: "CreateVersion"}, nil
	case g.version == version:
		return delivery.Receipt{Done: true}, nil
	}
	c.checkWrite(ch)
	g.make(version, of)
	g.surge, g.unavailable = ch.Update.Surge, ch.Update.Unavailable
	return delivery.Receipt{Done: true, Wrote: "SetVersion"}, nil
}

// spare returns the versions of a group that nothing uses, sorted.
func (c *Cloud) spare(g *group) []string {
	if c.config.KeepsVersions {
		return nil
	}
	used := map[string]bool{g.version: true}
	for _, in := range g.instances {
		used[in.version] = true
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(g.versions)), func(v string) bool { return used[v] })
}

func (c *Cloud) prune(ch delivery.Change) (delivery.Receipt, error) {
	g := c.groups[ch.Group]
	if g == nil {
		return delivery.Receipt{Done: true}, nil
	}
	spare := c.spare(g)
	if len(spare) == 0 {
		return delivery.Receipt{Done: true}, nil
	}
	c.checkWrite(ch)
	delete(g.versions, spare[0])
	return delivery.Receipt{Wrote: "DeleteVersion"}, nil
}

// shown is a version as snapshots have it: none where groups are not updated.
func (c *Cloud) shown(version string) string {
	if c.config.Unsized {
		return ""
	}
	return version
}

func (c *Cloud) presentVersions(g *group, out *delivery.ServerGroup) {
	if c.config.Unsized {
		return
	}
	out.Version, out.VersionBy, out.Rolling = g.version, g.versions[g.version].by, g.outdated() > 0
	out.RollUnit, out.RollWait, out.Spare = c.config.RollUnit, c.config.RollWait, c.spare(g)
}
