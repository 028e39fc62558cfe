package rollout

import (
	"fmt"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// waitFor describes a wait whose condition must hold at consecutive looks.
type waitFor struct {
	what  string        // what is waited for, for people; it identifies the wait
	have  string        // what there is instead, for the failure
	limit time.Duration // how long it may take
}

// wait begins or continues a wait. late is the failure once the limit is over.
func (s State) wait(what string, limit time.Duration, now time.Time) (_ State, late *delivery.Failure) {
	if s.Waiting != what || s.Since.IsZero() {
		s.Waiting, s.Since = what, now
	}
	if now.Sub(s.Since) > limit {
		return s, &delivery.Failure{Kind: "deadline", Step: what, Message: fmt.Sprintf("not done within %s", limit)}
	}
	return s, nil
}

// apply decides on a change, bounded by the health timeout: a change that is
// accepted again and again without being seen is a failure too.
func (s State) apply(c delivery.Change, what string, now time.Time) (State, *Decision) {
	s.Streak = 0
	s, late := s.wait(what, s.Input.Strategy.HealthTimeout, now)
	if late != nil {
		return s.fail(late), nil
	}
	return s, &Decision{Apply: &c}
}

// awaitStreak waits until a condition held at lookTwice consecutive looks. It
// returns a nil decision and the unchanged phase once it did.
func (s State) awaitStreak(holds bool, w waitFor, now time.Time) (State, *Decision) {
	if holds {
		s.Streak = min(s.Streak+1, lookTwice)
	} else {
		s.Streak = 0
	}
	if s.Streak >= lookTwice {
		return s, nil
	}
	s, late := s.wait(w.what, w.limit, now)
	if late != nil {
		late.Message += "; " + w.have
		return s.fail(late), nil
	}
	return s, &Decision{Await: &Await{For: w.what, Deadline: s.Since.Add(w.limit)}}
}

// awaitStreak1 waits for something that the next look shows by itself.
func (s State) awaitStreak1(what string, now time.Time) (State, *Decision) {
	s, late := s.wait(what, s.Input.Strategy.HealthTimeout, now)
	if late != nil {
		return s.fail(late), nil
	}
	return s, &Decision{Await: &Await{For: what, Deadline: s.Since.Add(s.Input.Strategy.HealthTimeout)}}
}

func (s State) cleanTimeout() time.Duration {
	return s.Input.Strategy.HealthTimeout + s.Input.Capabilities.Drain
}
