package delivery

import (
	"cmp"
	"slices"
	"strings"
)

// Selection names one server group of a cluster by its place among the others,
// so that a pipeline need not know its number.
type Selection string

// The selections. They order groups by creation, the newest first.
const (
	// SelectCurrent is the newest group.
	SelectCurrent Selection = "current"
	// SelectPrevious is the group before the newest.
	SelectPrevious Selection = "previous"
	// SelectOldest is the oldest group of at least two.
	SelectOldest Selection = "oldest"
	// SelectLargest is the group with the most instances, the newest of equals.
	SelectLargest Selection = "largest"
	// SelectOnly is the one group of a cluster that must have no other.
	SelectOnly Selection = "fail"
)

// selectionWords are Spinnaker's words; each may also end in one of
// selectionSuffixes, which change nothing: every selection is made when it is asked for.
var (
	selectionWords = map[string]Selection{
		"current": SelectCurrent, "newest": SelectCurrent,
		"previous": SelectPrevious, "ancestor": SelectPrevious,
		"oldest": SelectOldest, "largest": SelectLargest, "fail": SelectOnly,
	}
	selectionSuffixes = [...]string{"_asg_dynamic", "_asg"}
)

// ParseSelection reads "current_asg_dynamic", "ancestor_asg", "Oldest" and the
// like. For another word it returns Invalid with the pointer /target.
func ParseSelection(word string) (Selection, error) {
	stem := strings.ToLower(word)
	for _, suffix := range selectionSuffixes {
		if short, ok := strings.CutSuffix(stem, suffix); ok {
			stem = short
			break
		}
	}
	if s, ok := selectionWords[stem]; ok {
		return s, nil
	}
	return "", InvalidError("", []Finding{{Pointer: "/target",
		Message: "must be current, newest, previous, ancestor, oldest, largest or fail, each also with _asg or _asg_dynamic"}})
}

// SelectOptions narrow what a selection chooses from. The zero value chooses from
// all groups of the cluster.
type SelectOptions struct {
	// OnlyEnabled leaves out groups that take no traffic.
	OnlyEnabled bool
	// Zone leaves out groups without an instance in the zone; empty leaves out none.
	Zone string
	// LoneOldest lets a group that has no other beside it be the oldest.
	LoneOldest bool
}

// Select returns the server group that is meant. Groups whose deletion began, and
// those of which there are only pieces, are none to choose from. It returns
// NotFound when there is no such group, and when SelectOnly finds several; Invalid
// for an unknown selection.
func (s Snapshot) Select(which Selection, o SelectOptions) (ServerGroup, error) {
	groups := s.selectable(o)
	needed := 1
	if which == SelectPrevious || which == SelectOldest && !o.LoneOldest {
		needed = 2
	}
	if len(groups) < needed {
		return ServerGroup{}, Errorf(NotFound, "unable to find target %s of cluster %s: it has %d such server groups, and %d are needed",
			which, s.Cluster.Key(), len(groups), needed)
	}
	switch which {
	case SelectCurrent:
		return groups[0], nil
	case SelectPrevious:
		return groups[1], nil
	case SelectOldest:
		return groups[len(groups)-1], nil
	case SelectLargest:
		return slices.MaxFunc(groups, func(a, b ServerGroup) int { return cmp.Compare(len(a.Instances), len(b.Instances)) }), nil
	case SelectOnly:
		if len(groups) > 1 {
			return ServerGroup{}, Errorf(NotFound, "unable to find target %s of cluster %s: it has more than one, %s and %s",
				which, s.Cluster.Key(), groups[0].Name, groups[1].Name)
		}
		return groups[0], nil
	default:
		return ServerGroup{}, Errorf(Invalid, "there is no selection %q", string(which))
	}
}

// selectable returns what may be selected, the newest first. Groups created in the
// same instant are ordered by number.
func (s Snapshot) selectable(o SelectOptions) []ServerGroup {
	var out []ServerGroup
	for _, g := range s.Groups {
		pieces := !g.Complete && g.Capacity.Max == 0 && len(g.Instances) == 0
		if g.Deleting || pieces || o.OnlyEnabled && !s.Serving(g.Name) || o.Zone != "" && !g.in(o.Zone) {
			continue
		}
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b ServerGroup) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.Sequence, a.Sequence), strings.Compare(b.Name, a.Name))
	})
	return out
}

// in reports whether the group has an instance in the zone.
func (g ServerGroup) in(zone string) bool {
	return slices.ContainsFunc(g.Instances, func(i Instance) bool { return i.Zone == zone })
}

// NewestFirst returns the groups that Select chooses from, the newest first.
func (s Snapshot) NewestFirst() []ServerGroup { return s.selectable(SelectOptions{}) }
