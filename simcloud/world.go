package simcloud

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// WorldOptions shape a world. The zero value is a manual clock, seed 0 and no propagation delay.
type WorldOptions struct {
	// Scale is the number of simulated seconds in a real second; 0 means a manual clock.
	Scale float64
	// Start is the simulated time at first; the real time when zero.
	Start time.Time
	// Seed makes faults, jitter and weights repeatable as far as the order of requests is.
	Seed int64
	// PropagationMin and PropagationMax bound the simulated time until a proxy worker routes by a new rule.
	PropagationMin, PropagationMax time.Duration
	// Workers is the number of proxy workers of each load balancer; 4 when 0.
	Workers int
	// Logger receives what goes wrong inside the simulator itself; slog.Default() when nil.
	Logger *slog.Logger
}

// World is everything that exists in a simulation. Create it with [NewWorld]; its parts are safe for concurrent use.
type World struct {
	Clock  *Clock
	Log    *Log
	Faults *Faults
	Images *Images
	Fleet  *Fleet

	options WorldOptions
	logger  *slog.Logger
	life    context.Context // ends with the world; owned by it, never a caller's
	end     context.CancelFunc
	work    sync.WaitGroup
	prober  *http.Transport // health checks close their connections
	// checking counts the health checks that are under way.
	checking atomic.Int64

	mu            sync.Mutex
	random        *rand.Rand
	loadBalancers map[*LoadBalancer]struct{}
	targetGroups  map[*TargetGroup]struct{}
	states        map[string]func() any
}

// NewWorld returns an empty world. [World.Close] must be called to end its servers and goroutines.
func NewWorld(options WorldOptions) *World {
	if options.Workers <= 0 {
		options.Workers = 4
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	if options.Start.IsZero() {
		options.Start = time.Now()
	}
	clock := newClockAt(options.Scale, options.Start)
	life, end := context.WithCancel(context.Background())
	w := &World{
		Clock:         clock,
		Log:           NewLog(clock),
		Faults:        NewFaults(clock, options.Seed),
		Images:        &Images{},
		options:       options,
		logger:        options.Logger,
		life:          life,
		end:           end,
		prober:        &http.Transport{DisableKeepAlives: true},
		random:        rand.New(rand.NewPCG(uint64(options.Seed), 2)),
		loadBalancers: map[*LoadBalancer]struct{}{},
		targetGroups:  map[*TargetGroup]struct{}{},
		states:        map[string]func() any{},
	}
	w.Fleet = newFleet(w)
	return w
}

// Go runs f on a goroutine that [World.Close] waits for. Its context ends with the world. It reports false, and does
// nothing, when the world has ended.
func (w *World) Go(f func(ctx context.Context)) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.life.Err() != nil {
		return false
	}
	w.work.Add(1)
	go func() {
		defer w.work.Done()
		f(w.life)
	}()
	return true
}

// Between returns a random duration from low to high.
func (w *World) Between(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return low + time.Duration(w.random.Int64N(int64(high-low)+1))
}

// Chance returns a random number in [0, 1).
func (w *World) Chance() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.random.Float64()
}

// RegisterState adds a part to what the control API shows as the state of the world. show is called for each request and
// returns something that encodes as JSON.
func (w *World) RegisterState(name string, show func() any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.states[name] = show
}

// shows returns the parts of the state that were registered.
func (w *World) shows() map[string]func() any {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.states)
}

// LoadBalancers returns the load balancers that exist, by account, region and name.
func (w *World) LoadBalancers() []*LoadBalancer {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]*LoadBalancer, 0, len(w.loadBalancers))
	for lb := range w.loadBalancers {
		list = append(list, lb)
	}
	sort.Slice(list, func(i, j int) bool {
		a, b := list[i].config, list[j].config
		return a.Account+"/"+a.Region+"/"+a.Name < b.Account+"/"+b.Region+"/"+b.Name
	})
	return list
}

// TargetGroups returns the target groups that exist, by id.
func (w *World) TargetGroups() []*TargetGroup {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]*TargetGroup, 0, len(w.targetGroups))
	for group := range w.targetGroups {
		list = append(list, group)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].id < list[j].id })
	return list
}

// Close ends every server and goroutine of the world and waits for them.
func (w *World) Close() {
	w.mu.Lock()
	w.end()
	w.mu.Unlock()
	w.Clock.Close()
	for _, lb := range w.LoadBalancers() {
		lb.Close()
	}
	for _, group := range w.TargetGroups() {
		group.Close()
	}
	w.Fleet.close()
	w.work.Wait()
}
