package simcloud

import (
	"fmt"
	"math/rand/v2"
	"path"
	"strconv"
	"sync"
	"time"
)

// EffectKind is what a [Fault] does to a call that it matches.
type EffectKind string

// The effects.
const (
	// EffectThrottle answers the cloud's throttling error, or Code, before any effect.
	EffectThrottle EffectKind = "throttle"
	// EffectError answers Status (500 or 503, default 500) with Code before any effect.
	EffectError EffectKind = "error"
	// EffectReset breaks the connection before any effect.
	EffectReset EffectKind = "reset"
	// EffectErrorAfter lets the call take effect, then breaks the connection, or answers Status when it is set.
	EffectErrorAfter EffectKind = "errorAfter"
	// EffectSlow waits Duration of real time before the call is carried out.
	EffectSlow EffectKind = "slow"
	// EffectHang never answers; the call has no effect and ends when the client gives up.
	EffectHang EffectKind = "hang"
	// EffectStaleRead answers a read from the state before the last write: the next Reads reads, or those within
	// Duration of simulated time from the first.
	EffectStaleRead EffectKind = "staleRead"
	// EffectNoCapacity fails a launch (service "ec2", action "RunInstances") with Code, by default
	// InsufficientInstanceCapacity.
	EffectNoCapacity EffectKind = "noCapacity"
)

// Match selects calls. Empty fields match everything; Service, Action, Account, Region and Principal may hold the
// wildcards of [path.Match].
type Match struct {
	Service   string `json:"service,omitempty"`
	Action    string `json:"action,omitempty"`
	Account   string `json:"account,omitempty"`
	Region    string `json:"region,omitempty"`
	Principal string `json:"principal,omitempty"`
	// Writes matches only calls that change something; Reads only those that do not.
	Writes bool `json:"writes,omitempty"`
	Reads  bool `json:"reads,omitempty"`
	// Nth matches only the nth call, from 1, of those that match the rest.
	Nth int `json:"nth,omitempty"`
	// Probability, from 0 to 1, matches that share of calls; 0 means all.
	Probability float64 `json:"probability,omitempty"`
}

// Effect is what happens to a matched call. Fields that the Kind does not name are ignored.
type Effect struct {
	Kind   EffectKind `json:"kind"`
	Code   string     `json:"code,omitempty"`
	Status int        `json:"status,omitempty"`
	// Duration in nanoseconds: real for slow, simulated for staleRead.
	Duration time.Duration `json:"duration,omitempty"`
	Reads    int           `json:"reads,omitempty"`
}

// Fault is a rule that spoils calls. Faults are tried in the order they were added; the first that matches acts.
type Fault struct {
	ID     string `json:"id,omitempty"`
	Match  Match  `json:"match"`
	Effect Effect `json:"effect"`
	// Times is how often the fault acts before it is spent; 0 means without end. A staleRead acts Reads times.
	Times int `json:"times,omitempty"`
}

// Check reports the first field of f that makes no sense.
func (f Fault) Check() error {
	for _, p := range []struct{ field, pattern string }{
		{"service", f.Match.Service}, {"action", f.Match.Action}, {"account", f.Match.Account},
		{"region", f.Match.Region}, {"principal", f.Match.Principal},
	} {
		if _, err := path.Match(p.pattern, ""); err != nil {
			return fmt.Errorf("match.%s: malformed pattern %q", p.field, p.pattern)
		}
	}
	switch {
	case f.Match.Nth < 0:
		return fmt.Errorf("match.nth: must not be negative")
	case f.Match.Probability < 0 || f.Match.Probability > 1:
		return fmt.Errorf("match.probability: must be from 0 to 1, not %v", f.Match.Probability)
	case f.Match.Reads && f.Match.Writes:
		return fmt.Errorf("match.reads: excludes match.writes")
	case f.Times < 0:
		return fmt.Errorf("times: must not be negative")
	case f.Effect.Reads < 0 || f.Effect.Duration < 0:
		return fmt.Errorf("effect: reads and duration must not be negative")
	case f.Effect.Status != 0 && (f.Effect.Status < 400 || f.Effect.Status > 599):
		return fmt.Errorf("effect.status: must be from 400 to 599, not %d", f.Effect.Status)
	}
	return f.Effect.check()
}

func (e Effect) check() error {
	switch e.Kind {
	case EffectThrottle, EffectError, EffectReset, EffectErrorAfter, EffectHang, EffectNoCapacity:
		return nil
	case EffectSlow:
		if e.Duration == 0 {
			return fmt.Errorf("effect.duration: slow needs one")
		}
		return nil
	case EffectStaleRead:
		if e.Reads == 0 && e.Duration == 0 {
			return fmt.Errorf("effect.reads: staleRead needs reads or a duration")
		}
		return nil
	default:
		return fmt.Errorf("effect.kind: unknown kind %q", e.Kind)
	}
}

// Call is a request that faults may spoil.
type Call struct {
	Service, Action, Account, Region, Principal string
	Write                                       bool
}

// Outcome tells the server of a call how to treat it. The zero value means normally.
type Outcome struct {
	// Fault is the id of the fault that acted, empty when none did.
	Fault  string
	Effect Effect
}

// Is tells whether the outcome is of this kind.
func (o Outcome) Is(kind EffectKind) bool { return o.Effect.Kind == kind }

// Faults decides which calls fail. The same seed, faults and calls in the same order give the same outcomes.
type Faults struct {
	clock *Clock

	mu     sync.Mutex
	random *rand.Rand
	serial int
	rules  []*faultRule
}

type faultRule struct {
	Fault
	seen  int // calls that matched all but Nth and Probability
	acted int
	since time.Time // when a staleRead first acted
}

// NewFaults returns an empty set of faults.
func NewFaults(clock *Clock, seed int64) *Faults {
	return &Faults{clock: clock, random: rand.New(rand.NewPCG(uint64(seed), 1))}
}

// Add puts a fault at the end of the list. An empty ID is filled in; one in use is refused.
func (f *Faults) Add(fault Fault) (Fault, error) {
	if err := fault.Check(); err != nil {
		return Fault{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.serial++
	if fault.ID == "" {
		fault.ID = "fault-" + strconv.Itoa(f.serial)
	}
	for _, rule := range f.rules {
		if rule.ID == fault.ID {
			return Fault{}, fmt.Errorf("id: fault %q exists", fault.ID)
		}
	}
	f.rules = append(f.rules, &faultRule{Fault: fault})
	return fault, nil
}

// Remove takes away the fault with this id and reports whether there was one.
func (f *Faults) Remove(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, rule := range f.rules {
		if rule.ID == id {
			f.rules = append(f.rules[:i:i], f.rules[i+1:]...)
			return true
		}
	}
	return false
}

// Clear takes away all faults.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

// FaultStatus is a fault and how often it has acted.
type FaultStatus struct {
	Fault
	Acted int `json:"acted"`
}

// List returns the faults in order.
func (f *Faults) List() []FaultStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]FaultStatus, len(f.rules))
	for i, rule := range f.rules {
		list[i] = FaultStatus{Fault: rule.Fault, Acted: rule.acted}
	}
	return list
}

// Decide says what happens to a call. It counts the call: ask once for each.
func (f *Faults) Decide(call Call) Outcome {
	f.mu.Lock()
	defer f.mu.Unlock()
	var outcome Outcome
	for _, rule := range f.rules {
		if !rule.selects(call) {
			continue
		}
		rule.seen++
		if outcome.Fault == "" && rule.acts(f) {
			rule.acted++
			outcome = Outcome{Fault: rule.ID, Effect: rule.Effect}
		}
	}
	return outcome
}

// selects tells whether the call is of the kind that the rule is about.
func (r *faultRule) selects(call Call) bool {
	m := r.Match
	return (!m.Writes || call.Write) && (!m.Reads || !call.Write) &&
		(r.Effect.Kind != EffectStaleRead || !call.Write) &&
		like(m.Service, call.Service) && like(m.Action, call.Action) && like(m.Account, call.Account) &&
		like(m.Region, call.Region) && like(m.Principal, call.Principal)
}

// acts tells whether the rule acts on the call just counted in seen.
func (r *faultRule) acts(f *Faults) bool {
	if r.Times > 0 && r.acted >= r.Times {
		return false
	}
	now := f.clock.Now()
	if r.Effect.Kind == EffectStaleRead && r.acted > 0 {
		if r.Effect.Reads > 0 {
			return r.acted < r.Effect.Reads
		}
		return now.Sub(r.since) < r.Effect.Duration
	}
	if r.Match.Nth > 0 && r.seen != r.Match.Nth {
		return false
	}
	if p := r.Match.Probability; p > 0 && f.random.Float64() >= p {
		return false
	}
	r.since = now
	return true
}

func like(pattern, s string) bool {
	if pattern == "" {
		return true
	}
	ok, err := path.Match(pattern, s)
	return err == nil && ok
}
