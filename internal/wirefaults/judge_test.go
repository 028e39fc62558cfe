package wirefaults

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
	"github.com/slipway-cd/slipway/simcloud"
)

// judge compares what became of the cloud with what the outcome promises.
func (x *trial) judge(ctx context.Context, outcome rollout.Outcome, before delivery.Snapshot) {
	if want := x.expected(); outcome.Status != want {
		x.Errorf("ended %s, want %s: %v", outcome.Status, want, outcome.Failure)
	}
	wanted := x.after(outcome, before)
	var is map[string]string
	var spare []string
	accepted := func() bool {
		if old, stays := is[x.kind.group]; x.canceledIn == rollout.Cleaning && stays && !strings.Contains(old, incomplete) {
			wanted[x.kind.group] = old // what is to go may stay when the cleaning up is canceled, but whole
		}
		return cmp.Equal(wanted, is)
	}
	for until := x.driver.clock.Now().Add(5 * time.Minute); ; {
		truth := x.truth(ctx)
		is, spare = settled(truth), spares(truth)
		if accepted() || x.driver.clock.Now().After(until) {
			break
		}
		if err := x.driver.clock.Sleep(ctx, pollMax); err != nil {
			x.Fatal(err)
		}
	}
	if diff := cmp.Diff(wanted, is); diff != "" {
		x.Errorf("cluster after %s (-want +is):\n%s", outcome.Status, diff)
	}
	if len(spare) > 0 && x.canceledIn != rollout.Cleaning {
		x.Errorf("after %s nothing uses %v", outcome.Status, spare)
	}
	x.audit(outcome)
}

// expected is the status that the schedule must lead to.
func (x *trial) expected() delivery.DeploymentStatus {
	switch {
	case x.canceledIn == rollout.Preparing:
		return delivery.DeploymentCanceled
	case x.canceledIn != "" && x.canceledIn != rollout.Cleaning, x.image == x.kind.crashing, x.image == x.kind.broken, x.judgment.turnsBack():
		return delivery.DeploymentRolledBack
	default:
		return delivery.DeploymentSucceeded
	}
}

// after is the cluster as it must be at the end.
func (x *trial) after(outcome rollout.Outcome, before delivery.Snapshot) map[string]string {
	if outcome.Status != delivery.DeploymentSucceeded {
		return settled(before)
	}
	if x.driver.want.Strategy.InPlace {
		return updated(before, x.image)
	}
	if x.shares != nil {
		return x.operated(before)
	}
	after := delivery.Snapshot{Routing: &delivery.Routing{}}
	fresh := delivery.ServerGroup{Name: x.driver.state.Input.Group, Image: x.image, Capacity: x.driver.want.Spec.Capacity}
	shares := map[string]int{x.kind.group: 0, fresh.Name: 100}
	dark := x.driver.want.Strategy.Kind == rollout.Dark
	if dark {
		shares = map[string]int{x.kind.group: 100, fresh.Name: 0}
	}
	for _, old := range before.Groups {
		if x.empties && x.kind.sized {
			old.Capacity = delivery.Pinned(0)
		} else if !dark && x.driver.state.Steps[len(x.driver.state.Steps)-1].Weights[0].Percent > 0 {
			for _, w := range x.driver.state.Steps[len(x.driver.state.Steps)-1].Weights {
				shares[w.ServerGroup] = w.Percent
			}
		}
		if x.driver.want.Strategy.MaxRemaining != 1 {
			after.Groups = append(after.Groups, old)
		}
	}
	out := settled(after)
	for name := range out {
		out[name] = line(*after.Group(name), shares[name], x.kind.healthy(after.Group(name).Capacity.Desired))
	}
	out[fresh.Name] = line(fresh, shares[fresh.Name], x.kind.healthy(fresh.Capacity.Desired))
	if m := x.driver.want.Spec.Match; m != nil && m.Kind() != delivery.MatchTagURL {
		out[fresh.Name] += " by " + m.String()
	}
	return out
}

// operated is the cluster as it must be after an operation.
func (x *trial) operated(before delivery.Snapshot) map[string]string {
	out := map[string]string{}
	for n, share := range x.shares {
		name := x.driver.want.Cluster.Moniker.ServerGroup(n)
		g := delivery.ServerGroup{Name: name, Image: x.image, Capacity: before.NewestServing().Capacity}
		if there := before.Group(name); there != nil {
			g = *there
		}
		switch {
		case share == 0 && x.empties:
			g.Capacity = delivery.Pinned(0)
		case share > 0 && g.Capacity.Desired == 0:
			g.Capacity = delivery.Pinned(x.old) // as seeded
		}
		out[name] = line(g, share, x.kind.healthy(g.Capacity.Desired))
	}
	return out
}

// settled is what an outcome promises of each server group.
func settled(s delivery.Snapshot) map[string]string {
	out := map[string]string{}
	for _, g := range s.Groups {
		out[g.Name] = line(g, s.Routing.Percent(g.Name), g.Healthy())
		if !g.Complete {
			out[g.Name] += incomplete
		}
		if _, outdated := g.Rolled(); outdated > 0 || g.Rolling {
			out[g.Name] += fmt.Sprintf(" %d of another version", outdated)
		}
		if led := s.Routing.Preview(g.Name); led != nil {
			out[g.Name] += " by " + led.Match.String()
		}
	}
	return out
}

// incomplete is said of a group of which pieces are missing.
const incomplete = " incomplete"

// updated is the cluster of one server group after an update in place.
func updated(before delivery.Snapshot, image string) map[string]string {
	after := before
	after.Groups = slices.Clone(before.Groups)
	after.Groups[0].Image = image
	return settled(after)
}

// spares are the versions that nothing uses any more.
func spares(s delivery.Snapshot) []string {
	var out []string
	for _, g := range s.Groups {
		out = append(out, g.Spare...)
	}
	return out
}

func line(g delivery.ServerGroup, weight, healthy int) string {
	return fmt.Sprintf("%s %+v weight=%d healthy=%d", g.Image, g.Capacity, weight, healthy)
}

// audit asks the simulator's auditor, once about the way forward and once about
// all of it: on the way back the old capacity returns before the new one goes.
func (x *trial) audit(outcome rollout.Outcome) {
	events := x.sim.World.Log.Events()
	config := simcloud.AuditConfig{After: x.since, Final: true, Drain: drain, Reaction: 40 * time.Second,
		Floors: map[string]int{}, Ceilings: map[string]int{}}
	if x.kind.sized {
		config.Floors[x.kind.key()], config.Ceilings[x.kind.key()] = x.floor, x.ceiling
	}
	if x.rollbackAfter > 0 {
		forward := config
		forward.Final = false
		for _, v := range simcloud.Audit(events[:x.rollbackAfter], forward) {
			x.Errorf("on the way forward: %s%s", v, around(events, v))
		}
		if x.kind.sized {
			config.Ceilings[x.kind.key()] = x.old + x.ceiling
		}
	}
	for _, v := range simcloud.Audit(events, config) {
		x.Errorf("%s%s", v, around(events, v))
	}
	made := 0
	for _, e := range events {
		if e.Kind == simcloud.ResourceCreated && e.Type == simcloud.TypeGroup && e.Seq > x.since {
			made++
		}
	}
	if made > x.groups || made < x.groups && outcome.Status == delivery.DeploymentSucceeded {
		x.Errorf("%d server groups were made, want %d", made, x.groups)
	}
}

// wrote is how often each action of the deployment had an effect.
func (x *trial) wrote() map[string]int {
	out := map[string]int{}
	for _, e := range x.sim.World.Log.Events() {
		if e.Kind == simcloud.APICall && e.Write && e.Effect && e.Seq > x.since {
			out[e.Action]++
		}
	}
	return out
}

// around shows what led to a violation: the newest events but reads.
func around(events []simcloud.Event, v simcloud.Violation) string {
	var lines []string
	for i := int(v.Seq) - 1; i >= 0 && len(lines) < 40; i-- {
		if e := events[i]; e.Kind != simcloud.APICall || e.Write || e.Reason != "" {
			lines = append(lines, fmt.Sprintf("\n  %d %s %s %s %s%s %s %s %s %v %v %s%s", e.Seq, e.At.Format("15:04:05.0"), e.Kind, e.Action, e.Name, e.Group,
				tail(e.Resource), e.Instance, e.State, e.Capacity, e.Weights, e.Reason, e.Error))
		}
	}
	slices.Reverse(lines)
	return strings.Join(lines, "")
}

func tail(arn string) string { return arn[max(0, len(arn)-24):] }
