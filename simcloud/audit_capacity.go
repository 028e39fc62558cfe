package simcloud

// This file judges I3 and I4: how large groups may be, and when they may shrink.

// checkCeiling judges I3 after a group of the cluster was created or resized.
func (a *audit) checkCeiling(r *resource) {
	c := a.cluster(r)
	if c == nil {
		return
	}
	ceiling, ok := limit(a.config.Ceilings, c, a.tag(r, "cluster"))
	if !ok {
		return
	}
	total := 0
	for _, group := range a.existing(c, TypeGroup) {
		total += group.capacity.Desired
	}
	if total > ceiling {
		a.violate("I3", c.key, "groups want %d instances together, the ceiling is %d", total, ceiling)
	}
}

// checkShrink judges I4 when a group is to have fewer instances.
func (a *audit) checkShrink(r *resource, desired int) {
	for _, id := range r.targetGroups {
		for ruleID, v := range a.rules {
			stored, greatest := a.weightOf(v, id)
			if stored < 0 {
				continue
			}
			a.checkReadBack(r, v, id, ruleID)
			need := 0
			weight := max(stored, greatest)
			if floor, ok := a.floor(r); ok {
				need = share(weight, floor)
			} else if weight > 0 {
				need = 1
			}
			if desired < need {
				a.violate("I4", r.id, "shrunk to %d, while weight %d (stored %d) needs %d", desired, greatest, stored, need)
			}
		}
	}
}

// share is the part of the floor that a weight needs. Weights are rounded to whole percents, so up to one percent of it
// is forgiven.
func share(weight, floor int) int {
	if weight <= 0 {
		return 0
	}
	return max(((weight-1)*floor+99)/100, 1)
}

// checkDestroy judges I4 when a group is to be deleted.
func (a *audit) checkDestroy(r *resource) {
	for _, id := range r.targetGroups {
		for ruleID, v := range a.rules {
			stored, greatest := a.weightOf(v, id)
			if stored < 0 {
				continue
			}
			a.checkReadBack(r, v, id, ruleID)
			zeroAt, was := v.zeroAt[id]
			switch {
			case stored > 0 || greatest > 0:
				a.violate("I4", r.id, "destroyed with weight %d in effect and %d stored", greatest, stored)
			case was && a.event.At.Sub(zeroAt) < a.config.Drain:
				a.violate("I4", r.id, "destroyed %s after its last request, drain time is %s", a.event.At.Sub(zeroAt), a.config.Drain)
			}
		}
	}
}

// weightOf returns a target group's weight as stored and the greatest in effect; stored is -1 when the rule has nothing
// to do with it.
func (a *audit) weightOf(v *ruleView, id string) (stored, greatest int) {
	stored, known := v.stored[id]
	_, greatest = v.effective(id)
	if _, was := v.zeroAt[id]; !known && greatest == 0 && !was {
		return -1, 0
	}
	return stored, greatest
}

// checkReadBack wants the weight of a target group to have been read after it was last changed. A group that never had
// another weight needs none.
func (a *audit) checkReadBack(r *resource, v *ruleView, id, rule string) {
	if read, changed := v.read[id]; changed && !read {
		a.violate("I4", r.id, "the weight of target group %s in rule %s was not read back after it was changed", id, rule)
	}
}
