package fakecloud

import (
	"fmt"
	"math/rand"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Config is how the cloud behaves. Zero durations mean at once.
type Config struct {
	// Now is the virtual clock.
	Now  func() time.Time
	Seed int64
	// Boot is the time from launch to healthy, plus up to Jitter.
	Boot, Jitter time.Duration
	// Drain is the time from scale-in to gone.
	Drain time.Duration
	// Settle is the time from a stored weight to an effective one.
	Settle time.Duration
	// BadImages never become healthy; they are replaced every Grace.
	BadImages []string
	Grace     time.Duration
	// ErringImages are healthy and fail their requests.
	ErringImages []string
	// MetricDelay is reported in the capabilities.
	MetricDelay time.Duration
	Faults      Faults
	// Router is false for a cluster behind no load balancer.
	Router bool
	// Unsized groups cannot be resized: each shows one instance, whatever its
	// capacity says.
	Unsized bool
	// RollUnit and RollWait are reported for every group.
	RollUnit int
	RollWait time.Duration
	// KeepsVersions is reported in the capabilities; versions are never spare then.
	KeepsVersions bool
}

// Cloud is one cluster's world.
type Cloud struct {
	mu      sync.Mutex
	config  Config
	rng     *rand.Rand
	cluster delivery.Cluster
	at      time.Time
	groups  map[string]*group
	// rule holds the stored weights, effective what the data plane does.
	rule, effective map[string]int
	effectiveAt     time.Time
	// zeroAt is when a group's last traffic was taken away.
	zeroAt map[string]time.Time
	// led is what leads to groups beside the weights, unledAt when that ended.
	led        map[string]delivery.Match
	unledAt    map[string]time.Time
	revision   int
	nextID     int
	past       []delivery.Snapshot
	writes     []Write
	closed     bool
	bounds     Bounds
	violations []string
}

type group struct {
	name       string
	image      string
	created    time.Time
	capacity   delivery.Capacity
	deployment delivery.DeploymentID
	managed    bool
	// pieces of model B: launch template, target group, attachment, group
	template, target, attached, exists bool
	deleting                           bool
	goneAt                             time.Time
	instances                          []*instance
	problems                           []delivery.Problem
	// version is what new instances are made of, one of versions.
	version            string
	versions           map[string]made
	surge, unavailable int // of the last update in place
}

type instance struct {
	id        string
	version   string
	launched  time.Time
	healthyAt time.Time // zero: never
	sickUntil time.Time // flapping
	sickSince time.Time
	dead      bool
	leavingAt time.Time // zero: stays
	replaceAt time.Time // for bad images
	// replaces is true when it makes up for one that died; until it is healthy
	// the missing capacity is the fault's, not the deployment's.
	replaces bool
}

// Write is one change that had an effect.
type Write struct {
	At     time.Time
	Change delivery.Change
	Action string
}

// New returns a cloud whose cluster has the given groups, oldest first, all
// healthy, with traffic on those with weight.
func New(cluster delivery.Cluster, config Config, existing ...Existing) *Cloud {
	c := &Cloud{config: config, rng: rand.New(rand.NewSource(config.Seed)), cluster: cluster, at: config.Now(),
		groups: map[string]*group{}, rule: map[string]int{}, effective: map[string]int{}, zeroAt: map[string]time.Time{},
		led: map[string]delivery.Match{}, unledAt: map[string]time.Time{},
		bounds: Bounds{Ceiling: 1 << 30}}
	for i, e := range existing {
		g := &group{name: e.Name, image: e.Image, created: c.at.Add(time.Duration(i-1000) * time.Minute), capacity: e.Capacity,
			managed: !e.Unmanaged, template: true, target: true, attached: config.Router, exists: true}
		g.make(e.Name, made{image: e.Image})
		c.groups[e.Name] = g
		for i := range c.size(g) {
			in := c.launch(g, c.at.Add(-time.Hour))
			in.healthyAt = c.at.Add(-time.Hour)
			if i < e.Sick {
				in.healthyAt = time.Time{}
			}
		}
		if config.Router {
			c.rule[e.Name], c.effective[e.Name] = e.Weight, e.Weight
			if e.Match != nil {
				c.led[e.Name] = *e.Match
			}
		}
	}
	return c
}

// Existing is a server group that is there at the start.
type Existing struct {
	Name      string
	Image     string
	Capacity  delivery.Capacity
	Weight    int
	Unmanaged bool
	// Match leads to the group beside the weights; nil when nothing does.
	Match *delivery.Match
	// Sick is how many of its instances are not healthy and never will be.
	Sick int
}

// size is how many instances a group has by itself.
func (c *Cloud) size(g *group) int {
	if c.config.Unsized {
		return 1
	}
	return g.capacity.Desired
}

func (c *Cloud) launch(g *group, at time.Time) *instance {
	c.nextID++
	in := &instance{id: fmt.Sprintf("i-%06d", c.nextID), launched: at, version: g.version}
	if slices.Contains(c.config.BadImages, g.image) {
		in.replaceAt = at.Add(c.config.Grace)
	} else {
		in.healthyAt = at.Add(c.config.Boot)
		if c.config.Jitter > 0 {
			in.healthyAt = in.healthyAt.Add(time.Duration(c.rng.Int63n(int64(c.config.Jitter))))
		}
	}
	g.instances = append(g.instances, in)
	return in
}

// Kill ends a random instance without warning; its group replaces it.
func (c *Cloud) Kill() { c.hurt(func(in *instance, now time.Time) { in.dead = true }) }

// Flap makes a random instance unhealthy for a while.
func (c *Cloud) Flap(d time.Duration) {
	c.hurt(func(in *instance, now time.Time) { in.sickSince, in.sickUntil = now, now.Add(d) })
}

// FlapIn makes a random instance of one group unhealthy for a while.
func (c *Cloud) FlapIn(group string, d time.Duration) {
	c.hurt(func(in *instance, now time.Time) { in.sickSince, in.sickUntil = now, now.Add(d) }, group)
}

// hurt does something to a random healthy instance of the groups, or of any.
func (c *Cloud) hurt(how func(*instance, time.Time), groups ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.catchUp(c.config.Now())
	var all []*instance
	for _, name := range c.names() {
		if len(groups) > 0 && !slices.Contains(groups, name) {
			continue
		}
		for _, in := range c.groups[name].instances {
			if in.healthy(c.at) {
				all = append(all, in)
			}
		}
	}
	if len(all) == 0 {
		return
	}
	how(all[c.rng.Intn(len(all))], c.at)
	c.reconcile()
	c.check("instance hurt")
}

func (in *instance) healthy(now time.Time) bool {
	return !in.dead && in.leavingAt.IsZero() && !in.healthyAt.IsZero() && !in.healthyAt.After(now) && !in.sickUntil.After(now)
}

func (c *Cloud) names() []string {
	names := make([]string, 0, len(c.groups))
	for n := range c.groups {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// catchUp lets everything happen that was due up to now, in order, and checks
// the invariants after each event.
func (c *Cloud) catchUp(now time.Time) {
	for {
		next := c.nextEvent(now)
		if next.IsZero() {
			break
		}
		c.at = next
		c.reconcile()
		c.check("time passed")
	}
	if now.After(c.at) {
		c.at = now
	}
}

// nextEvent returns the earliest time after c.at and up to now at which
// something happens by itself; zero when nothing does.
func (c *Cloud) nextEvent(now time.Time) time.Time {
	var next time.Time
	consider := func(t time.Time) {
		if t.After(c.at) && !t.After(now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	consider(c.effectiveAt)
	for _, g := range c.groups {
		consider(g.goneAt)
		for _, in := range g.instances {
			consider(in.healthyAt)
			consider(in.sickUntil)
			consider(in.leavingAt)
			consider(in.replaceAt)
		}
	}
	return next
}

// reconcile does what the cloud does by itself at c.at.
func (c *Cloud) reconcile() {
	if !c.effectiveAt.IsZero() && !c.effectiveAt.After(c.at) {
		for name, weight := range c.effective {
			if weight > 0 && c.rule[name] == 0 {
				c.zeroAt[name] = c.at
			}
		}
		c.effective = clone(c.rule)
		c.effectiveAt = time.Time{}
	}
	for _, name := range c.names() {
		c.reconcileGroup(c.groups[name])
	}
}

func (c *Cloud) reconcileGroup(g *group) {
	if g.deleting && !g.goneAt.IsZero() && !g.goneAt.After(c.at) {
		g.exists, g.deleting, g.instances = false, false, nil
		return
	}
	died := 0
	g.instances = slices.DeleteFunc(g.instances, func(in *instance) bool {
		switch {
		case in.dead:
			died++
			return true
		case !in.leavingAt.IsZero() && !in.leavingAt.After(c.at):
			return true
		case !in.replaceAt.IsZero() && !in.replaceAt.After(c.at):
			if in.replaces {
				died++ // what it made up for is missing still
			}
			g.problems = append(g.problems, delivery.Problem{ID: in.id, At: c.at, Code: "InstanceUnhealthy",
				Message: "instance " + in.id + " was replaced because it was unhealthy"})
			return true
		}
		return false
	})
	if !g.exists || g.deleting {
		return
	}
	died = c.succeed(g, died+c.retire(g))
	staying := 0
	for _, in := range g.instances {
		if in.leavingAt.IsZero() {
			staying++
		}
	}
	for ; staying < c.size(g) || c.room(g); staying++ {
		in := c.launch(g, c.at)
		if died > 0 {
			in.replaces = true
			died--
		}
	}
	c.scaleIn(g, staying-c.size(g)-c.extra(g))
}

// scaleIn lets instances leave, healthy ones first: the worst choice a cloud
// can make.
func (c *Cloud) scaleIn(g *group, excess int) {
	for _, healthy := range []bool{true, false} {
		for _, in := range g.instances {
			if excess > 0 && in.leavingAt.IsZero() && in.healthy(c.at) == healthy {
				in.leavingAt = c.at.Add(max(c.config.Drain, time.Nanosecond))
				excess--
			}
		}
	}
}

func clone(m map[string]int) map[string]int {
	out := make(map[string]int, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}
