package simcloud

import (
	"maps"
	"net/http"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// listener is one port of a load balancer: the rules it was given and what its workers make of them so far.
type listener struct {
	owner   *LoadBalancer
	port    int
	url     string
	server  *http.Server
	request atomic.Uint64
	workers []worker

	mu      sync.Mutex
	version int
	stored  *routing
	using   map[*TargetGroup]struct{}
	closed  bool
}

// worker is one of the proxies behind a listener, with its own view of the routing.
type worker struct{ table atomic.Pointer[routing] }

// routing is a version of all rules of a listener. It is never changed.
type routing struct {
	version int
	rules   []Rule
	weights map[string]map[string]int // rule -> target group -> weight
}

func newListener(owner *LoadBalancer, port int, url string) *listener {
	n := &listener{
		owner: owner, port: port, url: url,
		workers: make([]worker, owner.world.options.Workers),
		stored:  newRouting(0, nil), using: map[*TargetGroup]struct{}{},
	}
	for i := range n.workers {
		n.workers[i].table.Store(n.stored)
	}
	n.server = &http.Server{Handler: n, ReadHeaderTimeout: time.Minute}
	return n
}

func newRouting(version int, rules []Rule) *routing {
	r := &routing{version: version, rules: append([]Rule(nil), rules...), weights: map[string]map[string]int{}}
	sort.SliceStable(r.rules, func(i, j int) bool { return r.rules[i].Priority < r.rules[j].Priority })
	for _, rule := range r.rules {
		weights := map[string]int{}
		for _, d := range rule.Forward {
			weights[d.TargetGroup.ID()] = d.Weight
		}
		r.weights[rule.ID] = weights
	}
	return r
}

// groups returns the target groups that the routing names.
func (r *routing) groups() map[*TargetGroup]struct{} {
	groups := map[*TargetGroup]struct{}{}
	for _, rule := range r.rules {
		for _, d := range rule.Forward {
			groups[d.TargetGroup] = struct{}{}
		}
	}
	return groups
}

// setRules stores rules and lets the workers learn of them.
func (n *listener) setRules(rules []Rule) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	n.version++
	next := newRouting(n.version, rules)
	for group := range next.groups() {
		n.using[group] = struct{}{}
		group.use(n)
	}
	n.log(WeightsStored, 0, n.stored, next)
	n.stored = next
	world := n.owner.world
	for i := range n.workers {
		if next.version == 1 {
			n.take(i, next)
			continue
		}
		delay := world.Between(world.options.PropagationMin, world.options.PropagationMax)
		world.Clock.AfterFunc(delay, func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.take(i, next)
		})
	}
	n.release()
}

// take lets a worker route by next, unless it has something newer. The lock is held.
func (n *listener) take(i int, next *routing) {
	current := n.workers[i].table.Load()
	if n.closed || current.version >= next.version {
		return
	}
	n.workers[i].table.Store(next)
	n.log(WeightsEffective, i, current, next)
	n.release()
}

// release ends the use of target groups that neither the rules nor any worker names. The lock is held.
func (n *listener) release() {
	named := n.stored.groups()
	for i := range n.workers {
		maps.Copy(named, n.workers[i].table.Load().groups())
	}
	for group := range n.using {
		if _, ok := named[group]; !ok {
			delete(n.using, group)
			group.unuse(n)
		}
	}
}

// log records the rules whose weights differ between two routings, but not previews. The lock is held.
func (n *listener) log(kind Kind, worker int, from, to *routing) {
	config := n.owner.config
	event := func(rule string, weights map[string]int) {
		n.owner.world.Log.Append(Event{
			Kind: kind, Account: config.Account, Region: config.Region, Resource: rule, Type: TypeRule,
			LoadBalancer: config.Name, Worker: worker, Weights: weights,
		})
	}
	told := map[string]bool{}
	for _, rule := range to.rules {
		old, existed := from.weights[rule.ID]
		if !rule.Preview && !told[rule.ID] && (!existed || !maps.Equal(old, to.weights[rule.ID])) {
			event(rule.ID, to.weights[rule.ID])
		}
		told[rule.ID] = true
	}
	for _, rule := range from.rules {
		if !rule.Preview && !told[rule.ID] {
			event(rule.ID, map[string]int{})
		}
		told[rule.ID] = true
	}
}

func (n *listener) state() ListenerState {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := ListenerState{Port: n.port, URL: n.url, Stored: n.stored.weights}
	for i := range n.workers {
		s.Effective = append(s.Effective, n.workers[i].table.Load().weights)
	}
	return s
}

// close ends the server and the use of all target groups.
func (n *listener) close() {
	_ = n.server.Close()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	for group := range n.using {
		group.unuse(n)
	}
	n.using = nil
}

// ServeHTTP routes a request by the view of the next worker in turn.
func (n *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	table := n.workers[n.request.Add(1)%uint64(len(n.workers))].table.Load()
	rule := table.match(r)
	switch {
	case rule == nil:
		n.owner.unavailable(w, http.StatusServiceUnavailable)
	case rule.Fixed != nil:
		if rule.Fixed.ContentType != "" {
			w.Header().Set("Content-Type", rule.Fixed.ContentType)
		}
		if rule.Fixed.Location != nil {
			w.Header().Set("Location", rule.Fixed.Location(r))
		}
		w.WriteHeader(rule.Fixed.Status)
		_, _ = w.Write([]byte(rule.Fixed.Body))
	default:
		group := rule.choose(n.owner.world.Chance())
		if group == nil {
			n.owner.unavailable(w, http.StatusServiceUnavailable)
			return
		}
		n.owner.forward(w, r, group)
	}
}
