package delivery

import "fmt"

// Guard refuses a change that would leave a cluster which takes traffic without
// healthy capacity. It is the traffic guard under every caller: pipelines,
// rollbacks and manual operations. A nil error lets the change through; a
// refusal has kind Guarded, or Invalid for weights that make no sense.
func Guard(seen Snapshot, c Change) error {
	switch c.Kind {
	case CreateGroup, DeletePreview:
		return nil
	case CreatePreview:
		return guardPreview(seen, c)
	case SetRouting:
		return guardRouting(seen, c)
	case ResizeGroup:
		g := seen.Group(c.Group)
		if g == nil || c.Capacity == nil || c.Capacity.Desired > 0 {
			return nil
		}
		if led := seen.Routing.Preview(c.Group); led != nil {
			return Errorf(Guarded, "resize of %s to 0 refused: %s leads to it", c.Group, led.Match)
		}
		if !seen.Serving(c.Group) {
			return nil
		}
		if seen.Routing == nil && healthyElsewhere(seen, c.Group) > 0 {
			return nil
		}
		return Errorf(Guarded, "resize of %s to 0 refused: it takes %s", c.Group, trafficOf(seen, c.Group))
	case UpdateGroup, PruneGroup:
		if g := seen.Group(c.Group); g != nil && !g.Managed {
			return Errorf(Guarded, "%s of %s refused: it carries no ownership tag of Slipway", c.Kind, c.Group)
		}
		return nil
	case DestroyGroup:
		g := seen.Group(c.Group)
		if g == nil {
			return nil
		}
		if !g.Managed {
			return Errorf(Guarded, "destroy of %s refused: it carries no ownership tag of Slipway", c.Group)
		}
		if !seen.Serving(c.Group) {
			return nil
		}
		if seen.Routing == nil && (g.Deleting || healthyElsewhere(seen, c.Group) > 0 || g.Healthy() == 0) {
			return nil // of a group whose deletion began, only pieces are left to save
		}
		return Errorf(Guarded, "destroy of %s refused: it takes %s", c.Group, trafficOf(seen, c.Group))
	default:
		return Errorf(Invalid, "unknown change %q", c.Kind)
	}
}

func guardRouting(seen Snapshot, c Change) error {
	sum := 0
	named := make(map[string]bool, len(c.Weights))
	for _, w := range c.Weights {
		if named[w.ServerGroup] {
			return Errorf(Invalid, "weights name %s twice", w.ServerGroup)
		}
		named[w.ServerGroup] = true
		if w.Percent < 0 || w.Percent > 100 {
			return Errorf(Invalid, "weight %d of %s is outside 0 to 100", w.Percent, w.ServerGroup)
		}
		sum += w.Percent
	}
	if sum != 100 {
		return Errorf(Invalid, "weights add up to %d, not 100", sum)
	}
	for _, w := range c.Weights {
		if w.Percent == 0 || w.Percent <= seen.Routing.Percent(w.ServerGroup) {
			continue
		}
		g := seen.Group(w.ServerGroup)
		if g == nil || g.Healthy() == 0 {
			return Errorf(Guarded, "weight %d %% for %s refused: it has no healthy instance", w.Percent, w.ServerGroup)
		}
	}
	return nil
}

func guardPreview(seen Snapshot, c Change) error {
	if c.Match == nil {
		return Errorf(Invalid, "preview of %s without a match", c.Group)
	}
	if g := seen.Group(c.Group); g == nil || g.Healthy() == 0 {
		return Errorf(Guarded, "leading %s to %s refused: it has no healthy instance", c.Match, c.Group)
	}
	return nil
}

func healthyElsewhere(seen Snapshot, except string) int {
	n := 0
	for _, g := range seen.Groups {
		if g.Name != except {
			n += g.Healthy()
		}
	}
	return n
}

func trafficOf(seen Snapshot, group string) string {
	if seen.Routing == nil {
		return "the cluster's last healthy capacity"
	}
	return fmt.Sprintf("%d %% of the traffic of %s", seen.Routing.Percent(group), seen.Routing.LoadBalancer)
}
