package simcloud

import (
	"cmp"
	"context"
	"sort"
	"sync"
	"time"
)

// TargetState is the health of a target, in the words of Elastic Load Balancing.
type TargetState string

// The states.
const (
	TargetInitial   TargetState = "initial"
	TargetHealthy   TargetState = "healthy"
	TargetUnhealthy TargetState = "unhealthy"
	TargetDraining  TargetState = "draining"
	TargetUnused    TargetState = "unused"
)

// Reason codes of Elastic Load Balancing. A healthy target has none.
const (
	ReasonNotInUse                 = "Target.NotInUse"
	ReasonNotRegistered            = "Target.NotRegistered"
	ReasonInvalidState             = "Target.InvalidState"
	ReasonRegistrationInProgress   = "Elb.RegistrationInProgress"
	ReasonInitialHealthChecking    = "Elb.InitialHealthChecking"
	ReasonFailedHealthChecks       = "Target.FailedHealthChecks"
	ReasonResponseCodeMismatch     = "Target.ResponseCodeMismatch"
	ReasonTimeout                  = "Target.Timeout"
	ReasonDeregistrationInProgress = "Target.DeregistrationInProgress"
)

// TargetGroupConfig describes a target group. Durations are simulated time.
type TargetGroupConfig struct {
	// ID is the cloud's unique name for it: the ARN. It appears as Resource in events.
	ID              string
	Name            string
	Account, Region string
	HealthCheck     HealthCheck
	// RegistrationDelay is the time from registration to the first health check.
	RegistrationDelay time.Duration
	// DeregistrationDelay is how long requests in flight may take to finish after deregistration.
	DeregistrationDelay time.Duration
	// MinimumHealthy is the number of healthy targets below which requests go to all targets; 1 when 0, never when negative.
	MinimumHealthy int
	// AlwaysCheck checks targets also while no load balancer uses the group.
	AlwaysCheck bool
}

// HealthCheck says how targets are probed, by GET requests. Zero values are those of an Application Load Balancer: path /,
// every 30 s, timeout 5 s, healthy after 5 in a row and unhealthy after 2.
type HealthCheck struct {
	Path               string
	Interval, Timeout  time.Duration
	HealthyThreshold   int
	UnhealthyThreshold int
	// NewThreshold is the HealthyThreshold of a target that was never judged; 1 when 0.
	NewThreshold int
	// Accept tells whether a status passes; 200 only when nil.
	Accept func(status int) bool
}

// TargetHealth is the load balancer's view of one target.
type TargetHealth struct {
	Instance string      `json:"instance"`
	State    TargetState `json:"state"`
	Reason   string      `json:"reason,omitempty"`
}

// TargetGroup is a set of instances that load balancers send requests to.
type TargetGroup struct {
	world *World
	id    string

	mu       sync.Mutex
	config   TargetGroupConfig
	users    map[*listener]struct{}
	targets  map[string]*target // by instance; the latest registration of each
	healthy  []*target          // those that get requests
	open     []*target          // those that get requests when too few are healthy
	next     int                // round robin
	counters counters
	notes    map[Kind]*note
	closed   bool
}

// target is one registration of an instance. Its fields are guarded by the group's lock.
type target struct {
	instance  *Instance
	state     TargetState
	reason    string
	successes int // in a row
	failures  int // in a row
	inFlight  int
	stop      context.CancelFunc // ends the health checks; nil when there are none
	expiry    *Timer             // end of the deregistration delay

	life context.Context // ends when requests in flight are cut off
	cut  context.CancelFunc
}

func (c TargetGroupConfig) withDefaults() TargetGroupConfig {
	check := &c.HealthCheck
	check.Path = cmp.Or(check.Path, "/")
	check.Interval = cmp.Or(check.Interval, 30*time.Second)
	check.Timeout = cmp.Or(check.Timeout, 5*time.Second)
	check.HealthyThreshold = cmp.Or(check.HealthyThreshold, 5)
	check.UnhealthyThreshold = cmp.Or(check.UnhealthyThreshold, 2)
	check.NewThreshold = cmp.Or(check.NewThreshold, 1)
	c.MinimumHealthy = cmp.Or(c.MinimumHealthy, 1)
	return c
}

// NewTargetGroup adds an empty target group to the world.
func NewTargetGroup(world *World, config TargetGroupConfig) *TargetGroup {
	group := &TargetGroup{
		world: world, id: config.ID, config: config.withDefaults(),
		users: map[*listener]struct{}{}, targets: map[string]*target{}, notes: map[Kind]*note{},
	}
	world.mu.Lock()
	defer world.mu.Unlock()
	world.targetGroups[group] = struct{}{}
	return group
}

// ID is the cloud's unique name for the group.
func (g *TargetGroup) ID() string { return g.id }

// Config returns how the group is set up.
func (g *TargetGroup) Config() TargetGroupConfig {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.config
}

// SetConfig changes everything but ID, Name, Account and Region. Health checks take it over with their next round.
func (g *TargetGroup) SetConfig(config TargetGroupConfig) {
	g.mu.Lock()
	defer g.mu.Unlock()
	old := g.config
	g.config = config.withDefaults()
	g.config.ID, g.config.Name, g.config.Account, g.config.Region = old.ID, old.Name, old.Account, old.Region
}

// Register adds an instance. It is a no-op for one that is registered; one that drains is registered anew.
func (g *TargetGroup) Register(instance *Instance) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if old, ok := g.targets[instance.ID()]; g.closed || ok && old.state != TargetDraining {
		return
	}
	t := &target{instance: instance}
	t.life, t.cut = context.WithCancel(g.world.life)
	g.targets[instance.ID()] = t
	if len(g.users) == 0 && !g.config.AlwaysCheck {
		g.move(t, TargetUnused, ReasonNotInUse)
		return
	}
	g.begin(t)
}

// Deregister stops new requests to an instance at once; those in flight finish within the deregistration delay. It
// reports whether the instance was registered.
func (g *TargetGroup) Deregister(instanceID string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	t, ok := g.targets[instanceID]
	if !ok || t.state == TargetDraining {
		return ok
	}
	g.quiet(t)
	if t.state == TargetUnused {
		g.gone(t)
	} else {
		g.move(t, TargetDraining, ReasonDeregistrationInProgress)
	}
	t.expiry = g.world.Clock.AfterFunc(g.config.DeregistrationDelay, func() {
		t.cut()
		g.mu.Lock()
		defer g.mu.Unlock()
		g.gone(t)
	})
	return true
}

// Drained tells whether an instance has no request in flight any more, or its deregistration delay is over, or it was
// never registered: stopping it breaks nothing.
func (g *TargetGroup) Drained(instanceID string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	t, ok := g.targets[instanceID]
	return !ok || t.state == TargetDraining && t.inFlight == 0
}

// Health returns the state of every registered and draining target, by instance id.
func (g *TargetGroup) Health() []TargetHealth {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := make([]TargetHealth, 0, len(g.targets))
	for id, t := range g.targets {
		list = append(list, TargetHealth{Instance: id, State: t.state, Reason: t.reason})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Instance < list[j].Instance })
	return list
}

// InUse tells whether a load balancer routes by a rule that names the group, or will.
func (g *TargetGroup) InUse() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.users) > 0
}

// Close takes the group out of the world. Rules that still name it answer 503.
func (g *TargetGroup) Close() {
	g.world.mu.Lock()
	delete(g.world.targetGroups, g)
	g.world.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for _, t := range g.targets {
		g.quiet(t)
		if t.expiry != nil {
			t.expiry.Stop()
		}
		t.cut()
		g.gone(t)
	}
}

// use notes that a listener names the group, which starts the health checks.
func (g *TargetGroup) use(by *listener) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.users[by] = struct{}{}
	for _, t := range g.targets {
		if t.state == TargetUnused && !g.closed {
			g.begin(t)
		}
	}
}

// unuse notes that a listener does not name the group any more, which ends the health checks.
func (g *TargetGroup) unuse(by *listener) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.users, by)
	if len(g.users) > 0 {
		return
	}
	for _, t := range g.targets {
		if t.state != TargetUnused && t.state != TargetDraining {
			g.quiet(t)
			g.move(t, TargetUnused, ReasonNotInUse)
		}
	}
}

// begin starts a target's way to health. The lock is held.
func (g *TargetGroup) begin(t *target) {
	t.successes, t.failures = 0, 0
	g.move(t, TargetInitial, ReasonRegistrationInProgress)
	ctx, stop := context.WithCancel(t.life)
	t.stop = stop
	g.world.checking.Add(1)
	g.world.Go(func(context.Context) {
		defer stop()
		g.watch(ctx, t)
	})
}

// quiet ends a target's health checks. The lock is held.
func (g *TargetGroup) quiet(t *target) {
	if t.stop != nil {
		t.stop()
		t.stop = nil
	}
}

// gone removes a target from the group, unless its instance has been registered anew. The lock is held.
func (g *TargetGroup) gone(t *target) {
	if g.targets[t.instance.ID()] != t {
		return
	}
	delete(g.targets, t.instance.ID())
	g.move(t, "gone", "")
}

// move gives a target a new state, records it, and works out anew who gets requests. The lock is held.
func (g *TargetGroup) move(t *target, state TargetState, reason string) {
	if t.state == state && t.reason == reason {
		return
	}
	t.state, t.reason = state, reason
	g.healthy, g.open = nil, nil
	unhealthy := 0
	for _, other := range g.targets {
		switch other.state {
		case TargetHealthy:
			g.healthy = append(g.healthy, other)
			g.open = append(g.open, other)
		case TargetInitial:
			g.open = append(g.open, other)
		case TargetUnhealthy:
			unhealthy++
			g.open = append(g.open, other)
		}
	}
	g.counters.hosts(g.world.Clock.Now(), len(g.healthy), unhealthy)
	g.world.Log.Append(Event{
		Kind: TargetStateChanged, Account: g.config.Account, Region: g.config.Region, Resource: g.id, Name: g.config.Name,
		Instance: t.instance.ID(), Group: t.instance.launch.Group, State: string(state), Reason: reason,
	})
}

// pick chooses the target of a request, nil when there is none. The request counts as in flight until [TargetGroup.done].
func (g *TargetGroup) pick() *target {
	g.mu.Lock()
	defer g.mu.Unlock()
	candidates, failOpen := g.healthy, false
	if len(candidates) < g.config.MinimumHealthy {
		candidates, failOpen = g.open, true
	}
	if g.closed || len(candidates) == 0 {
		g.note(Event{Kind: RequestUnserved, State: "503", Reason: "the target group has no usable target"})
		g.counters.now(g.world.Clock.Now()).ELB5XX++
		return nil
	}
	g.next++
	t := candidates[g.next%len(candidates)]
	t.inFlight++
	g.counters.now(g.world.Clock.Now()).Requests++
	if failOpen && t.state != TargetHealthy {
		g.note(Event{Kind: RoutedUnhealthy, Instance: t.instance.ID(), State: string(t.state), Reason: t.reason})
	}
	return t
}

// answered counts the answer of a target.
func (g *TargetGroup) answered(status int, took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.counters.answer(g.world.Clock.Now(), status, took)
}

// unanswered counts an answer that the load balancer gave in place of a target.
func (g *TargetGroup) unanswered(t *target, status, reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.counters.now(g.world.Clock.Now()).ELB5XX++
	g.note(Event{Kind: RequestUnserved, Instance: t.instance.ID(), State: status, Reason: reason})
}

// done tells that a request to t is over.
func (g *TargetGroup) done(t *target) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t.inFlight--
}

// note counts events of a kind that may come with every request, and gathers the counts of one real second.
type note struct {
	logged time.Time
	count  int
}

// note records an event unless one of its kind was recorded less than a second ago. The lock is held.
func (g *TargetGroup) note(e Event) {
	n := g.notes[e.Kind]
	if n == nil {
		n = &note{}
		g.notes[e.Kind] = n
	}
	n.count++
	if now := time.Now(); now.Sub(n.logged) >= time.Second {
		e.Account, e.Region, e.Resource, e.Name = g.config.Account, g.config.Region, g.id, g.config.Name
		e.Count = n.count
		g.world.Log.Append(e)
		n.logged, n.count = now, 0
	}
}
