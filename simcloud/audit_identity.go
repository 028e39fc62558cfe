package simcloud

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// This file judges I7 and I11 to I14: who wrote what, once and only once.

func (a *audit) apiCall(e Event) {
	if e.Error == "" && e.Reason != string(EffectStaleRead) && slices.Contains(a.config.RoutingReads, e.Action) {
		for _, v := range a.rules {
			if v.place == place(e) {
				for id := range v.read {
					v.read[id] = true
				}
			}
		}
	}
	if !e.Write || !e.Effect {
		return
	}
	if ended, ok := a.ended[e.Deployment]; ok && e.Deployment != "" {
		a.violate("I7", e.Resource, "%s by deployment %s, which ended at event %d", e.Action, e.Deployment, ended)
		return
	}
	if r := a.find(e); r != nil && !r.deleted {
		a.checkOwned(e, r)
		a.afterEnd(e, r)
	}
}

// find returns the resource that a call is about: by its id, its name, or the group of an instance.
func (a *audit) find(e Event) *resource {
	if r := a.resources[e.Resource]; r != nil {
		return r
	}
	group, isInstance := a.groupOf[e.Resource]
	for _, id := range slices.Sorted(maps.Keys(a.resources)) {
		r := a.resources[id]
		at := r.account + "/" + r.region + "/"
		if isInstance && r.kind == TypeGroup && at+r.name == group {
			return r
		}
		if !isInstance && r.name == e.Resource && at == place(e) && strings.Contains(strings.ToLower(e.Action), actionNoun(r.kind)) {
			return r
		}
	}
	return nil
}

// actionNoun is a part of the actions' names that are about a type of resource by its name.
func actionNoun(kind string) string {
	switch kind {
	case TypeLaunchTemplate:
		return "launchtemplate"
	case TypeTargetGroup:
		return "targetgroup"
	default:
		return "" // everything else that takes a name is about a group
	}
}

func (a *audit) created(e Event) {
	if e.Type == TypeRule {
		return
	}
	r := &resource{
		kind: e.Type, id: e.Resource, name: e.Name, account: e.Account, region: e.Region,
		tags: e.Tags, targetGroups: e.TargetGroups,
	}
	if e.Capacity != nil {
		r.capacity = *e.Capacity
	}
	if old := a.resources[e.Resource]; old != nil && !old.deleted && old.kind == TypeGroup {
		a.violate("I11", e.Resource, "created while it exists")
	}
	a.resources[e.Resource] = r
	a.checkOwned(e, r)
	a.afterEnd(e, r)
	c := a.cluster(r)
	if c == nil {
		return
	}
	deployment := a.tag(r, "deployment")
	if ended, ok := a.ended[deployment]; ok {
		a.violate("I7", r.id, "created by deployment %s, which ended at event %d", deployment, ended)
	}
	if r.kind == TypeGroup {
		a.checkOnce(c, r, deployment)
		a.checkSequence(c, r)
		a.checkCeiling(r)
	}
	if deployment != "" && e.Seq > a.config.After {
		c.deployments[deployment] = true
	}
}

// checkOnce judges I11. A deployment may create several groups, each by a change of
// its own.
func (a *audit) checkOnce(c *cluster, r *resource, deployment string) {
	if deployment == "" {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(a.resources)) {
		other := a.resources[id]
		if other != r && other.kind == TypeGroup && a.tag(other, "deployment") == deployment && a.tag(other, "change") == a.tag(r, "change") && a.cluster(other) == c {
			a.violate("I11", r.id, "deployment %s has created %s already", deployment, other.name)
		}
	}
}

// checkSequence judges I12: v000 to v999, after which numbers begin anew.
func (a *audit) checkSequence(c *cluster, r *resource) {
	at := strings.LastIndex(r.name, "-v")
	if at < 0 {
		return
	}
	number, err := strconv.Atoi(r.name[at+2:])
	if err != nil {
		return
	}
	if number < 100 && c.highest >= 900 {
		c.numbers, c.highest = map[int]bool{}, -1
	}
	switch {
	case c.numbers[number]:
		a.violate("I12", r.id, "sequence number %d was used before", number)
	case number < c.highest:
		a.violate("I12", r.id, "sequence number %d comes after %d", number, c.highest)
	}
	c.numbers[number] = true
	c.highest = max(c.highest, number)
}

func (a *audit) updated(e Event) {
	r := a.resources[e.Resource]
	if r == nil {
		return
	}
	if e.Principal != "" {
		a.checkOwned(e, r)
		a.afterEnd(e, r)
	}
	if e.Tags != nil {
		r.tags = e.Tags
	}
	if e.TargetGroups != nil {
		r.targetGroups = e.TargetGroups
	}
	if e.Capacity != nil {
		before := r.capacity.Desired
		r.capacity = *e.Capacity
		if r.capacity.Desired < before && e.Principal != "" {
			a.checkShrink(r, r.capacity.Desired)
		}
		a.checkCeiling(r)
	}
}

func (a *audit) deleted(e Event) {
	r := a.resources[e.Resource]
	if r == nil || r.deleted {
		return
	}
	if e.Principal != "" {
		a.checkOwned(e, r)
		a.afterEnd(e, r)
	}
	switch r.kind {
	case TypeGroup:
		a.checkDestroy(r)
	case TypeTargetGroup:
		if a.inRotation(r.id) {
			a.violate("I4", r.id, "deleted while it has weight in effect")
		}
	}
	r.deleted = true
}

// checkOwned judges I14 for a write to a resource.
func (a *audit) checkOwned(e Event, r *resource) {
	if e.Principal == "" || len(a.config.Principals) > 0 && !slices.Contains(a.config.Principals, e.Principal) {
		return
	}
	name := a.tag(r, "cluster")
	switch {
	case name == "" || a.tag(r, "application") == "":
		a.violate("I14", r.id, "%s by %s of a resource without ownership tags", verb(e), e.Principal)
	case r.kind == TypeGroup && !strings.HasPrefix(r.name, name+"-v"):
		a.violate("I14", r.id, "%s by %s of %s, whose name is not of its cluster %s", verb(e), e.Principal, r.name, name)
	}
}

func verb(e Event) string {
	if e.Kind == APICall {
		return e.Action
	}
	return string(e.Kind)
}

// afterEnd judges I7 for a write to what a cluster owns: once a deployment of it has ended, somebody else must be at
// work. A deployment is at work from the first thing it creates to its end.
func (a *audit) afterEnd(e Event, r *resource) {
	c := a.cluster(r)
	if c == nil || e.Kind != WeightsStored && e.Principal == "" {
		return
	}
	if own := a.tag(r, "deployment"); e.Kind == ResourceCreated && own != "" {
		return // judged by its tag
	}
	last := ""
	for deployment := range c.deployments {
		if _, over := a.ended[deployment]; !over {
			return
		}
		if last == "" || a.ended[deployment] > a.ended[last] {
			last = deployment
		}
	}
	if last != "" {
		a.violate("I7", r.id, "%s after the end of deployment %s at event %d, with no other deployment at work", verb(e), last, a.ended[last])
	}
}

// finish judges I13 when the log is over.
func (a *audit) finish() {
	for _, id := range slices.Sorted(maps.Keys(a.resources)) {
		r := a.resources[id]
		c := a.cluster(r)
		if r.deleted || c == nil || r.kind == TypeGroup {
			continue
		}
		if _, over := a.ended[a.tag(r, "deployment")]; !over && !a.config.Final {
			continue
		}
		owner := a.tag(r, "server-group")
		if !slices.ContainsFunc(a.existing(c, TypeGroup), func(g *resource) bool { return g.name == owner }) {
			a.violate("I13", r.id, "%s %s is left over: its server group %q does not exist", r.kind, r.name, owner)
		}
	}
}
