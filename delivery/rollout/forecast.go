package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// forecast is a cluster as it will be: every change has its effect at once, and
// instances become healthy after a while.
type forecast struct {
	input     Input
	estimates Estimates
	now       time.Time
	seen      delivery.Snapshot
	// healthyAt has the instances that boot, by id.
	healthyAt map[string]time.Time
	// comesAt and leavesAt have the instances that an update in place exchanges, by id.
	comesAt, leavesAt map[string]time.Time
	launched          int
}

// forecastSource is the health source of predicted groups.
const forecastSource = "Forecast"

func newForecast(in Input, seen delivery.Snapshot, e Estimates) *forecast {
	f := &forecast{input: in, estimates: e, now: seen.ObservedAt, seen: seen, healthyAt: map[string]time.Time{},
		comesAt: map[string]time.Time{}, leavesAt: map[string]time.Time{}}
	f.seen.Groups = slices.Clone(seen.Groups)
	if seen.Routing != nil {
		routing := *seen.Routing
		routing.Weights = slices.Clone(routing.Weights)
		routing.Previews = slices.Clone(routing.Previews)
		f.seen.Routing = &routing
	}
	return f
}

// look returns the cluster as of now.
func (f *forecast) look() delivery.Snapshot {
	out := f.seen
	out.ObservedAt = f.now
	out.Groups = slices.Clone(f.seen.Groups)
	for i := range out.Groups {
		g := &out.Groups[i]
		g.Instances = f.present(g.Instances)
		g.Rolling = f.rolls(*g)
		for j, instance := range g.Instances {
			at, boots := f.healthyAt[instance.ID]
			if !boots {
				continue
			}
			state := delivery.HealthUp
			if f.now.Before(at) {
				state = delivery.HealthStarting
			}
			g.Instances[j].Health = healthOf(g.HealthSources, state)
		}
	}
	return out
}

func healthOf(sources []string, state delivery.HealthState) []delivery.Health {
	out := make([]delivery.Health, len(sources))
	for i, source := range sources {
		out[i] = delivery.Health{Source: source, State: state}
	}
	return out
}

// instances counts those of all groups.
func instances(seen delivery.Snapshot) int {
	n := 0
	for _, g := range seen.Groups {
		n += len(g.Instances)
	}
	return n
}

// passing is the state after every measurement that is due passed.
func (s State) passing(now time.Time) State {
	for _, q := range s.Due(now) {
		if q.Counting && !strings.HasPrefix(s.Waiting, counting) {
			continue // a plan shows that it will be waited for
		}
		if q.Counting {
			s.Counted = &RequestCount{From: q.Request.From, Requests: float64(s.Steps[s.Step].MinRequests), At: now}
			continue
		}
		s = s.withCheck(q.Check, s.check(q.Check).count(Measurement{Check: s.Input.Strategy.Checks[q.Check].Name, At: now,
			From: q.Request.From, To: q.Request.To, Verdict: VerdictPass}))
	}
	return s
}

// pass lets time go by until something may have changed, and returns how much.
// check is when the next measurement is due; zero for none.
func (f *forecast) pass(a Await, check time.Time) time.Duration {
	next := f.now.Add(f.estimates.Look)
	if !a.Until.IsZero() && (a.Limit == 0 || a.Until.After(f.now)) {
		next = a.Until
	} else {
		var boots time.Time
		for _, at := range f.healthyAt {
			if at.After(f.now) && (boots.IsZero() || at.Before(boots)) {
				boots = at
			}
		}
		switch {
		case !boots.IsZero():
			next = boots
		case check.After(f.now) && strings.HasPrefix(a.For, proving):
			next = check
		}
	}
	took := max(next.Sub(f.now), time.Millisecond)
	f.now = f.now.Add(took)
	return took
}

func (f *forecast) apply(c delivery.Change) {
	switch c.Kind {
	case delivery.CreateGroup:
		f.create(c)
	case delivery.ResizeGroup:
		if g := f.seen.Group(c.Group); g != nil {
			g.Capacity = *c.Capacity
			f.fill(g, c.Capacity.Desired)
		}
	case delivery.SetRouting:
		f.route(c)
	case delivery.UpdateGroup:
		f.update(c)
	case delivery.PruneGroup:
		if g := f.seen.Group(c.Group); g != nil {
			g.Spare = nil
		}
	case delivery.CreatePreview:
		f.preview(delivery.Preview{ServerGroup: c.Group, Match: *c.Match})
	case delivery.DeletePreview:
		f.unpreview(c.Group)
	case delivery.DestroyGroup:
		f.unpreview(c.Group)
		f.seen.Groups = slices.DeleteFunc(f.seen.Groups, func(g delivery.ServerGroup) bool { return g.Name == c.Group })
		if f.seen.Routing != nil {
			f.seen.Routing.Weights = slices.DeleteFunc(f.seen.Routing.Weights, func(w delivery.Weight) bool { return w.ServerGroup == c.Group })
		}
	}
}

func (f *forecast) preview(p delivery.Preview) {
	if f.seen.Routing != nil {
		f.seen.Routing.Previews = append(f.seen.Routing.Previews, p)
	}
}

func (f *forecast) unpreview(group string) {
	if f.seen.Routing != nil {
		f.seen.Routing.Previews = slices.DeleteFunc(f.seen.Routing.Previews, func(p delivery.Preview) bool { return p.ServerGroup == group })
	}
}

func (f *forecast) create(c delivery.Change) {
	_, sequence, _ := delivery.ParseServerGroup(c.Group)
	image := c.Spec.Image
	if from := f.seen.Group(c.Spec.From); image == "" && from != nil {
		image = from.Image
	}
	f.seen.Groups = append(f.seen.Groups, delivery.ServerGroup{
		Name: c.Group, Sequence: sequence, CreatedAt: f.youngest(), Image: image, Capacity: *c.Capacity,
		HealthSources: []string{forecastSource}, Complete: true, Managed: true, Deployment: c.Deployment,
	})
	g := &f.seen.Groups[len(f.seen.Groups)-1]
	if f.input.Capabilities.InPlace {
		g.Version, g.VersionBy = string(c.Key), c.Key
	}
	if f.input.Capabilities.Resize {
		f.fill(g, g.Capacity.Desired)
	} else {
		g.Capacity = c.Spec.Capacity
		f.fill(g, 1) // it stands for all of them
	}
	if f.seen.Routing != nil {
		f.seen.Routing.Weights = append(f.seen.Routing.Weights, delivery.Weight{ServerGroup: c.Group})
		if previewable(f.input.Capabilities, delivery.MatchTagURL) {
			f.preview(delivery.Preview{ServerGroup: c.Group})
		}
	}
}

// youngest is a creation time after those of all groups, also where the cloud's
// clock is ahead of the one that looks at it.
func (f *forecast) youngest() time.Time {
	at := f.now
	for _, g := range f.seen.Groups {
		if !g.CreatedAt.Before(at) {
			at = g.CreatedAt.Add(time.Nanosecond)
		}
	}
	return at
}

// fill gives a group its number of instances. Unhealthy ones go first.
func (f *forecast) fill(g *delivery.ServerGroup, size int) {
	g.Instances = slices.Clone(g.Instances)
	slices.SortStableFunc(g.Instances, func(a, b delivery.Instance) int {
		switch ha, hb := a.Healthy(g.HealthSources), b.Healthy(g.HealthSources); {
		case ha == hb:
			return 0
		case ha:
			return -1
		default:
			return 1
		}
	})
	if len(g.Instances) > size {
		g.Instances = g.Instances[:size]
	}
	for len(g.Instances) < size {
		f.launched++
		id := fmt.Sprintf("forecast-%d", f.launched)
		f.healthyAt[id] = f.now.Add(f.estimates.Boot)
		g.Instances = append(g.Instances, delivery.Instance{ID: id, LaunchedAt: f.now, Version: g.Version, Health: healthOf(g.HealthSources, delivery.HealthStarting)})
	}
}

func (f *forecast) route(c delivery.Change) {
	routing := f.seen.Routing
	if routing == nil {
		return
	}
	routing.Fingerprint += "+"
	for i := range routing.Weights {
		routing.Weights[i].Percent = (&delivery.Routing{Weights: c.Weights}).Percent(routing.Weights[i].ServerGroup)
	}
}
