package simcloud

import (
	"maps"
	"slices"
	"time"
)

// This file judges I1, I2 and I5: who gets traffic.

func (a *audit) rule(e Event) *ruleView {
	v := a.rules[e.Resource]
	if v == nil {
		v = &ruleView{
			place:   place(e),
			workers: map[int]map[string]int{}, read: map[string]bool{}, zeroAt: map[string]time.Time{},
			falling: map[string]bool{},
		}
		a.rules[e.Resource] = v
	}
	return v
}

// effective returns the least and greatest weight that workers give a target group.
func (v *ruleView) effective(targetGroup string) (least, greatest int) {
	first := true
	for _, weights := range v.workers {
		w := weights[targetGroup]
		if first || w < least {
			least = w
		}
		greatest = max(greatest, w)
		first = false
	}
	return least, greatest
}

// percents are weights as shares of 100, rounded up. A single target group takes everything whatever its weight is.
func percents(weights map[string]int) map[string]int {
	total := 0
	for _, w := range weights {
		total += w
	}
	shares := make(map[string]int, len(weights))
	for id, w := range weights {
		shares[id] = 0
		if total > 0 {
			shares[id] = (w*100 + total - 1) / total
		}
	}
	return shares
}

func (a *audit) weightsStored(e Event) {
	a.proportions(e)
	v := a.rule(e)
	before := v.stored
	e.Weights = percents(e.Weights)
	v.stored = e.Weights
	if before == nil {
		before = e.Weights // the first weights of a rule are its starting point
	}
	for id := range maps.Keys(before) {
		if _, kept := e.Weights[id]; !kept && a.cluster(a.resources[id]) == nil && !a.placeholder(id) {
			a.violate("I14", e.Resource, "target group %s, which nobody here owns, was removed from the rule", id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(e.Weights)) {
		was, known := before[id]
		now := e.Weights[id]
		if was != now {
			v.read[id] = false
		}
		if a.cluster(a.resources[id]) == nil {
			if known && was != now && !a.placeholder(id) {
				a.violate("I14", e.Resource, "weight of target group %s, which nobody here owns, was changed from %d to %d", id, was, now)
			}
			continue
		}
		if now > was && a.healthy(id) == 0 {
			a.violate("I5", e.Resource, "weight %d for target group %s, which has no healthy target", now, id)
		}
		a.direction(v, id, was, now, known)
		a.afterEnd(e, a.resources[id])
	}
}

// placeholder tells whether a target group belongs to nobody and never had a target: a load balancer that must lead
// somewhere may begin with one, and the first group takes its place.
func (a *audit) placeholder(id string) bool {
	r := a.resources[id]
	return r != nil && a.cluster(r) == nil && a.targets[id] == nil
}

// proportions checks that the weights of a rule that we own are percents of one whole. While a single target group has
// weight, it has all of it, whatever number its owner gave it.
func (a *audit) proportions(e Event) {
	total, weighted, owned := 0, 0, false
	for id, w := range e.Weights {
		total += w
		if w > 0 {
			weighted++
		}
		owned = owned || a.cluster(a.resources[id]) != nil
		if w < 0 || w > 100 {
			a.violate("I5", e.Resource, "weight %d of target group %s is not from 0 to 100", w, id)
		}
	}
	switch {
	case !owned || total == 100:
	case total == 0:
		a.violate("I5", e.Resource, "no target group has weight")
	case weighted > 1:
		a.violate("I5", e.Resource, "weights add up to %d, not 100", total)
	}
}

// direction checks that the weight of the newest target group of a rule only rises, until it begins to fall (a roll
// back), from when on it only falls.
func (a *audit) direction(v *ruleView, id string, was, now int, known bool) {
	if !known {
		v.newest = id
		v.falling[id] = false
	}
	if id != v.newest || was == now {
		return
	}
	if now < was {
		v.falling[id] = true
		return
	}
	if v.falling[id] {
		a.violate("I5", a.event.Resource, "weight of target group %s rises from %d to %d after it had begun to fall", id, was, now)
	}
}

func (a *audit) weightsEffective(e Event) {
	e.Weights = percents(e.Weights)
	v := a.rule(e)
	before, known := v.workers[e.Worker]
	v.workers[e.Worker] = e.Weights
	groups := maps.Clone(e.Weights)
	for id := range before {
		if _, named := groups[id]; !named {
			groups[id] = 0
		}
	}
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		now := groups[id]
		if known && before[id] == 0 && now > 0 && a.healthy(id) == 0 {
			a.violate("I1", e.Resource, "worker %d sends %d %% to target group %s, which has no healthy target", e.Worker, now, id)
		}
		if _, greatest := v.effective(id); greatest > 0 {
			delete(v.zeroAt, id)
		} else if before[id] > 0 {
			v.zeroAt[id] = e.At
		}
		if known && now == 0 && before[id] > 0 {
			a.checkFloor(a.resources[id])
		}
	}
}

func (a *audit) targetMoved(e Event) {
	states := a.targets[e.Resource]
	if states == nil {
		states = map[string]string{}
		a.targets[e.Resource] = states
	}
	before := states[e.Instance]
	if e.State == "gone" {
		delete(states, e.Instance)
	} else {
		states[e.Instance] = e.State
	}
	if before != string(TargetHealthy) || e.State == before {
		return
	}
	group := a.resources[e.Resource]
	if e.State == string(TargetUnhealthy) || e.Reason == ReasonInvalidState || a.machines[e.Instance] == died {
		a.lost[e.Resource] = e.At
		if c := a.cluster(group); c != nil {
			c.lost = append(c.lost, e.At)
		}
		return
	}
	if a.inRotation(e.Resource) && a.healthy(e.Resource) == 0 && !a.bereaved(e.Resource) {
		a.violate("I1", e.Resource, "the last healthy target, %s, was taken out of a group that has weight", e.Instance)
	}
	a.checkFloor(group)
}

// bereaved tells whether a target group lost a target by itself so lately that nobody could know when they decided.
func (a *audit) bereaved(targetGroup string) bool {
	at, ok := a.lost[targetGroup]
	return ok && a.event.At.Sub(at) < a.config.Reaction
}

// died is the state of a machine that came to its end without being told to.
const died = "died"

// machineMoved notes which machines die by themselves: those that are ended shut down first. Their group may take them out
// of rotation before a health check fails.
func (a *audit) machineMoved(e Event) {
	if e.Kind != InstanceStateChanged {
		return
	}
	if e.State == string(StateTerminated) && a.machines[e.Resource] != string(StateShuttingDown) {
		a.machines[e.Resource] = died
		return
	}
	a.machines[e.Resource] = e.State
}

// inRotation tells whether every worker gives a target group weight in some rule.
func (a *audit) inRotation(targetGroup string) bool {
	for _, v := range a.rules {
		if least, _ := v.effective(targetGroup); least > 0 {
			return true
		}
	}
	return false
}

// checkFloor judges I2 after something was taken out of rotation by a write.
func (a *audit) checkFloor(r *resource) {
	floor, ok := a.floor(r)
	if !ok {
		return
	}
	c := a.cluster(r)
	serving := a.serving(c)
	for _, at := range c.lost {
		if a.event.At.Sub(at) < a.config.Reaction {
			serving++
		}
	}
	if serving >= floor {
		c.below = false
		return
	}
	if !c.below {
		a.violate("I2", c.key, "%d healthy instances in rotation, the floor is %d", serving, floor)
	}
	c.below = true
}

// serving is how many healthy targets of a cluster take requests, in the eyes of the worker that knows the fewest: while
// weights travel, one worker may send everything to the old group and another everything to the new one.
func (a *audit) serving(c *cluster) int {
	least := -1
	for _, v := range a.rules {
		for _, weights := range v.workers {
			n, routed := 0, false
			for id, weight := range weights {
				if a.cluster(a.resources[id]) != c {
					continue
				}
				routed = true
				if weight > 0 {
					n += a.healthy(id)
				}
			}
			if routed && (least < 0 || n < least) {
				least = n
			}
		}
	}
	return max(least, 0)
}
