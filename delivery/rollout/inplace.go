package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Replacement is what an update in place replaces by what, for people.
type Replacement struct {
	ServerGroup string `json:"serverGroup"`
	// From and To are images. Version is what the instances were made of before,
	// which stays until the deployment has ended.
	From    string `json:"from"`
	To      string `json:"to"`
	Version string `json:"version"`
}

// replacement is nil but for an update in place whose group is known.
func (s State) replacement() *Replacement {
	if !s.Input.Strategy.InPlace || s.Before == nil || s.Input.Group == "" {
		return nil
	}
	was := s.recorded(s.Input.Group)
	return &Replacement{ServerGroup: was.Name, From: was.Image, To: s.Input.Spec.Image, Version: was.Version}
}

// InPlaceAdvice says what a person has to do where the way back ended before its end.
func (s State) InPlaceAdvice() string {
	was := s.recorded(s.Input.Group)
	return fmt.Sprintf("give %s the version %s back, and replace the instances of any other", was.Name, was.Version)
}

// inPlaceFindings tells what of the cluster object makes no sense together with
// inPlace.
func (s Strategy) inPlaceFindings(in strategyJSON) []delivery.Finding {
	if !s.InPlace {
		return nil
	}
	var out []delivery.Finding
	refuse := func(when bool, pointer, why string) {
		if when {
			out = append(out, delivery.Finding{Pointer: pointer, Message: why})
		}
	}
	refuse(s.Kind != Rolling, "/inPlace", fmt.Sprintf("is one of strategy rolling, not of %s: the cloud replaces instances batch by batch, and no traffic is moved", s.Kind))
	refuse(len(in.Checks) > 0, "/checks", "cannot be used with inPlace: traffic is measured for a server group as a whole, and its old and new instances could not be told apart")
	const batches = "cannot be used with inPlace: the cloud decides when the next instances are replaced"
	refuse(in.PauseBetweenBatches > 0, "/pauseBetweenBatches", batches)
	refuse(in.DelayBeforeCleanup > 0, "/delayBeforeCleanup", batches)
	refuse(in.PipelineBeforeCleanup != nil, "/pipelineBeforeCleanup", batches)
	const none = "cannot be used with inPlace: there is no old server group"
	refuse(in.ScaleDown, "/scaleDown", none)
	refuse(in.MaxRemaining != nil, "/maxRemainingAsgs", none)
	refuse(s.KeepOnFailure, "/rollback/onFailure", "must not be false with inPlace: the cloud would go on replacing instances")
	return out
}

// unsuitedInPlace tells why the target kind cannot update groups in place.
func (s Strategy) unsuitedInPlace(c delivery.Capabilities) []delivery.Finding {
	if !s.InPlace || c.InPlace {
		return nil
	}
	return []delivery.Finding{{Pointer: "/inPlace", Message: "cannot be used: a server group of this kind never changes its version"}}
}

// Updatable returns the server group that an update in place is about: the one
// that takes the traffic. want is its capacity as the cluster object has it; the
// zero value leaves it. limit is the health timeout. Findings say why there is no such
// group; their pointers are relative to the cluster object.
func Updatable(seen delivery.Snapshot, want delivery.Capacity, limit time.Duration) (delivery.ServerGroup, []delivery.Finding) {
	refuse := func(pointer, format string, args ...any) (delivery.ServerGroup, []delivery.Finding) {
		return delivery.ServerGroup{}, []delivery.Finding{{Pointer: pointer, Message: fmt.Sprintf(format, args...)}}
	}
	var serving []string
	for _, g := range seen.Groups {
		if seen.Serving(g.Name) {
			serving = append(serving, g.Name)
		}
	}
	switch len(serving) {
	case 0:
		return refuse("/inPlace", "cannot be used: no server group of cluster %s takes traffic, and so there is none to update", seen.Cluster.Name())
	case 1:
	default:
		return refuse("/inPlace", "cannot be used: the traffic is shared by %s, and only one of them would be updated", strings.Join(serving, " and "))
	}
	g := *seen.Group(serving[0])
	switch {
	case !g.Managed:
		return refuse("/inPlace", "cannot be used: %s carries no ownership tag of Slipway", g.Name)
	case g.NotInPlace != "":
		return refuse("/inPlace", "cannot be used: %s %s", g.Name, g.NotInPlace)
	case g.Version == "":
		return refuse("/inPlace", "cannot be used: it is not known what the instances of %s were made of, and so there is no way back", g.Name)
	case g.Capacity.Desired == 0:
		return refuse("/inPlace", "cannot be used: %s has no instances that would show whether the new version is healthy", g.Name)
	case g.RollUnit > 1 && g.Capacity.Desired <= g.RollUnit:
		return refuse("/inPlace", "cannot be used: the cloud replaces %d instances at a time at least, and %s has no more than %d", g.RollUnit, g.Name, g.Capacity.Desired)
	case want != delivery.Capacity{} && want != g.Capacity:
		return refuse("/capacity", "is min %d, desired %d, max %d, and %s has min %d, desired %d, max %d: an update in place changes the version alone; leave capacity out, or resize first",
			want.Min, want.Desired, want.Max, g.Name, g.Capacity.Min, g.Capacity.Desired, g.Capacity.Max)
	case g.RollWait > 0 && limit <= g.RollWait:
		return refuse("/healthTimeoutSec", "is %v; must be more than %v: the cloud waits so long with each batch of %s before it replaces the next instances, and a good version would be rolled back",
			limit.Seconds(), g.RollWait.Seconds(), g.Name)
	}
	return g, nil
}

// prepareInPlace records what is and finds the group, before anything is written.
// Two consecutive looks have to agree, and all instances have to be of one version:
// that is the one to go back to.
func (s State) prepareInPlace(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	if s.Started.IsZero() {
		s.Started = now
	}
	if f := s.refusal(seen); f != nil {
		return s.fail(f), nil
	}
	first, again := s.Before, record(seen, "")
	s.Before = again
	if missing := unrecorded(seen, again); missing != "" {
		s.Before = nil
		return s.awaitStreak1("see all of "+missing+", which takes traffic", now)
	}
	if first == nil || !first.same(again) {
		return s.awaitStreak1("a second look at the cluster", now)
	}
	for i := range again.Groups {
		again.Groups[i].Healthy = max(again.Groups[i].Healthy, first.Groups[i].Healthy)
	}
	g, findings := Updatable(seen, s.Input.Spec.Capacity, s.Input.Strategy.HealthTimeout)
	if len(findings) > 0 {
		return s.fail(&delivery.Failure{Kind: delivery.Invalid.String(), Step: "plan the deployment", Findings: findings,
			Message: fmt.Sprintf("%s %s", strings.TrimPrefix(findings[0].Pointer, "/"), findings[0].Message)}), nil
	}
	if _, outdated := g.Rolled(); outdated > 0 || g.Rolling {
		return s.awaitStreak1(fmt.Sprintf("all instances of %s to be of one version", g.Name), now)
	}
	s.Input.Group, s.Input.Spec.Capacity, s.Problems = g.Name, g.Capacity, problemIDs(&g)
	s.Steps = []Step{{New: g.Capacity.Desired, Old: []int{}}}
	return s.enter(Updating), nil
}

// updateKey and revertKey are the steps of the change keys.
const (
	updateKey = "update"
	revertKey = "rollback/update"
)

// update gives the group its new version, and waits until all its instances are of
// it and healthy by all sources at consecutive looks.
func (s State) update(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	g := seen.Group(s.Input.Group)
	if g == nil || g.Deleting {
		return s.vanished(s.Input.Group, now)
	}
	if s.has(g, updateKey) && s.Routed.IsZero() {
		s.Routed, s.Problems = now, problemIDs(g) // what went wrong before is not the new version's doing
	}
	if bad := s.tooManyProblems(g, now); bad != nil {
		return s.fail(bad), nil
	}
	s, done, what := s.rolled(g, s.has(g, updateKey), g.Capacity.Desired)
	if s.stopped(g, updateKey) {
		s.Changing = true
		spec := s.Input.Spec
		c := s.change(delivery.UpdateGroup, updateKey)
		c.Group, c.Spec, c.Update = g.Name, &spec, movementIn(s.Input.Strategy, g)
		return s.apply(c, what, now)
	}
	next, d := s.awaitStreak(done, waitFor{what: what, limit: s.Input.Strategy.HealthTimeout,
		have: fmt.Sprintf("%d of %d are", s.Rolled, g.Capacity.Desired)}, now)
	if d != nil || next.Phase != s.Phase {
		return next, d
	}
	return next.enter(Cleaning), nil
}

// has reports whether the group has the version that the deployment's change of
// that step gives it.
func (s State) has(g *delivery.ServerGroup, step string) bool {
	was := s.recorded(g.Name).Version
	if step == revertKey {
		return g.Version == was
	}
	return g.Version != was && g.VersionBy == s.key(step)
}

// stopped reports whether the change of a step has to be made: the group has not
// the version yet, or the cloud stopped on its way there. Instances that are on
// their way out are not waited for by the cloud.
func (s State) stopped(g *delivery.ServerGroup, step string) bool {
	left := slices.ContainsFunc(g.Instances, func(i delivery.Instance) bool {
		return i.Version != g.Version && !slices.ContainsFunc(i.Health, func(h delivery.Health) bool {
			return h.State == delivery.HealthDraining || h.State == delivery.HealthOutOfService
		})
	})
	return !s.has(g, step) || left && !g.Rolling
}

// rolled notes how far the cloud has come, and says whether it is done and what is
// waited for until then. Every further healthy instance begins the wait anew, so
// that a timeout is about a batch and not about the size of the group.
func (s State) rolled(g *delivery.ServerGroup, has bool, need int) (_ State, done bool, what string) {
	ready, outdated := g.Rolled()
	if has {
		s.Rolled = max(s.Rolled, ready)
	}
	done = has && ready >= need && outdated == 0 && !g.Rolling && len(g.Instances) <= g.Capacity.Desired
	if s.Rolled >= need {
		return s, done, fmt.Sprintf("the last old instances of %s to be gone", g.Name)
	}
	return s, done, fmt.Sprintf("more than %d of %d instances of %s to be of the wanted version and healthy", s.Rolled, g.Capacity.Desired, g.Name)
}

// movementIn resolves maxSurge and maxUnavailable for a group. Instances that are
// missing already count as unavailable, and the last available one stays. A number
// below the cloud's unit becomes the unit where that adds instances, and 0 where it
// takes them.
//
// A cloud with a unit does not ask the load balancer: when the first new instances
// are good by its own idea, it takes the next old ones, and the load balancer may
// know only the old ones that are left. One has to be.
func movementIn(st Strategy, g *delivery.ServerGroup) *delivery.Update {
	size := g.Capacity.Desired
	limit, unit := boundsOf(st, size, size), max(1, g.RollUnit)
	unavailable := min(size-limit.floor, max(0, g.Healthy()-limit.floor))
	surge := limit.ceiling - size
	if g.RollUnit > 0 {
		spare := max(0, min(size, g.Healthy())-1)
		unavailable = min(unavailable, spare/2)
		surge = min(surge, spare-2*unavailable)
	}
	if unavailable < unit {
		unavailable = 0
	}
	surge = min(surge, size-unavailable)
	if unavailable > 0 && (surge <= 0 || g.RollUnit > 0 && surge < unit) {
		return &delivery.Update{Unavailable: unavailable}
	}
	return &delivery.Update{Surge: max(surge, unit), Unavailable: unavailable}
}

// prune removes the versions that nothing uses any more. The new version is in
// place by now: what cannot be removed in time stays.
func (s State) prune(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	next, d := s.pruned(seen, "clean/prune", s.cleanTimeout(), now)
	if d != nil {
		return next, d
	}
	return next.finish(delivery.DeploymentSucceeded, nil), nil
}

// pruned decides on the removal, until none is left at consecutive looks or it
// takes too long; the decision is nil then.
func (s State) pruned(seen delivery.Snapshot, step string, limit time.Duration, now time.Time) (State, *Decision) {
	const what = "the replaced version to be removed"
	g := seen.Group(s.Input.Group)
	if s.Input.Capabilities.KeepsVersions || g == nil {
		return s, nil
	}
	if len(g.Spare) > 0 {
		s.Streak = 0
	} else if s.Streak = min(s.Streak+1, lookTwice); s.Streak >= lookTwice {
		return s, nil
	}
	s, late := s.wait(what, limit, now)
	switch {
	case late != nil:
		return s, nil
	case len(g.Spare) == 0:
		return s, &Decision{Await: &Await{For: what, Deadline: s.Since.Add(limit)}}
	}
	c := s.change(delivery.PruneGroup, step)
	c.Group = g.Name
	return s, &Decision{Apply: &c}
}

// revert gives the group its recorded version back, and waits until its instances
// are of it, and as healthy as they were, for as long as a look may be stale. Then
// it removes the new version.
func (s State) revert(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	if !s.StepDone.IsZero() {
		next, d := s.pruned(seen, "rollback/prune", s.restoreTimeout(), now)
		if d != nil {
			return next, d
		}
		return next.finish(delivery.DeploymentRolledBack, s.Cause), nil
	}
	g := seen.Group(s.Input.Group)
	if g == nil || g.Deleting {
		return s.awaitRestore(fmt.Sprintf("see %s, which took the traffic before", s.Input.Group), now)
	}
	was := s.recorded(g.Name)
	s, done, what := s.rolled(g, s.has(g, revertKey), min(was.Healthy, g.Capacity.Desired))
	if s.stopped(g, revertKey) || !s.Reverting {
		s.Reverting, s.Routed = true, time.Time{} // once at least: that it has the version may be a stale look
		c := s.change(delivery.UpdateGroup, revertKey)
		c.Group, c.Update = g.Name, movementIn(s.Input.Strategy, g)
		c.Update.Version = was.Version
		return s.restore(c, what, now)
	}
	if !done {
		s.Routed, s.Streak = time.Time{}, 0
		return s.awaitRestore(what, now)
	}
	if s.Routed.IsZero() {
		s.Routed = now
	}
	s.Streak = min(s.Streak+1, lookTwice)
	if until := s.Routed.Add(s.Input.Capabilities.Settle); s.Streak < lookTwice || now.Before(until) {
		s.Waiting = what
		return s, &Decision{Await: &Await{For: what, Until: until, Deadline: until}}
	}
	s = s.fresh()
	s.StepDone = now
	return s, nil
}

// weightBefore is the share of traffic of the group that is updated: -1 when the
// cluster is behind no router.
func (s State) weightBefore() int {
	if !s.Before.Routed {
		return -1
	}
	return (&delivery.Routing{Weights: s.Before.Weights}).Percent(s.Input.Group)
}

// updatedIn is how many healthy instances of the group that is updated are of its
// version.
func (s State) updatedIn(g delivery.ServerGroup) *int {
	if !s.Input.Strategy.InPlace || g.Name != s.Input.Group {
		return nil
	}
	ready, _ := g.Rolled()
	return &ready
}
