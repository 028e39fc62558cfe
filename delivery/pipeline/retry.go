package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Retry is how often a stage that fails is tried, and how long it waits in between. The
// zero value is once.
type Retry struct {
	// MaxAttempts counts the first one, too: 2 to 10, or zero.
	MaxAttempts int `json:"maxAttempts,omitempty"`
	// Backoff is the pause after the first failure. After each later one it is Multiplier
	// times as long, but never longer than MaxBackoff.
	Backoff    time.Duration `json:"backoff,omitempty"`
	Multiplier int           `json:"multiplier,omitempty"`
	MaxBackoff time.Duration `json:"maxBackoff,omitempty"`
}

// The bounds of a Retry.
const (
	maxAttempts = 10
	// maxBackoff is in seconds, and defaultBackoff for a retry that names none.
	maxBackoff     = 24 * 60 * 60
	defaultBackoff = 30
	maxMultiplier  = 10
)

// readRetry reads the retry of a stage. It decides what a failure does, like the failure
// mode, and like that it is no expression.
func readRetry(o object) Retry {
	if o.dynamic("retry") {
		o.refuse("retry", "must not be an expression")
	}
	retry, ok := o.child("retry")
	if !ok {
		return Retry{}
	}
	known := []string{"maxAttempts", "backoffSec", "backoffMultiplier", "maxBackoffSec"}
	for _, name := range retry.names() {
		switch {
		case !slices.Contains(known, name):
			retry.refuse(name, "is not known; known are %s", strings.Join(known, ", "))
		case retry.dynamic(name):
			retry.refuse(name, "must not be an expression")
		}
	}
	retry.require("maxAttempts")
	r := Retry{
		MaxAttempts: wholeFrom(retry, "maxAttempts", 2, maxAttempts, 0),
		Backoff:     time.Duration(wholeFrom(retry, "backoffSec", 0, maxBackoff, defaultBackoff)) * time.Second,
		Multiplier:  wholeFrom(retry, "backoffMultiplier", 1, maxMultiplier, 1),
		MaxBackoff:  time.Duration(wholeFrom(retry, "maxBackoffSec", 1, maxBackoff, maxBackoff)) * time.Second,
	}
	if r.MaxBackoff < r.Backoff {
		retry.refuse("maxBackoffSec", "is %d; must not be below backoffSec, %d", int(r.MaxBackoff.Seconds()), int(r.Backoff.Seconds()))
	}
	return r
}

// wholeFrom is a whole number within bounds, or otherwise when it is not given.
func wholeFrom(o object, name string, least, most, otherwise int) int {
	n, given := o.whole(name)
	switch {
	case !given:
		return otherwise
	case n < least || n > most:
		o.refuse(name, "is %d; must be from %d to %d", n, least, most)
		return otherwise
	default:
		return n
	}
}

// Again is a stage whose attempt failed as it waits for the next one: it still runs, and
// its ScheduledTime is when it goes on. ok is false when it is over: it had all its
// attempts, or another one would end in the same way.
func (r Retry) Again(s delivery.Stage, f delivery.Failure, now time.Time) (waiting delivery.Stage, ok bool) {
	tries := len(s.Attempts) + 1
	if tries >= r.MaxAttempts || !curable(f.Kind) {
		return s, false
	}
	failed := delivery.Attempt{Number: max(s.Attempt, 1), StartTime: s.StartTime, EndTime: now, Failure: f, Deployments: s.Deployments}
	s.Attempts = append(slices.Clone(s.Attempts), failed)
	s.Deployments, s.Deadline = nil, time.Time{}
	s.ScheduledTime = now.Add(r.pause(tries))
	s.StatusReason = fmt.Sprintf("try %d of %d failed: %s", tries, r.MaxAttempts, f.Error())
	return s, true
}

// pause is how long a stage waits after so many failures.
func (r Retry) pause(failures int) time.Duration {
	pause := r.Backoff
	for range failures - 1 {
		if pause >= r.MaxBackoff { // further on it might overflow
			break
		}
		pause *= time.Duration(r.Multiplier)
	}
	return min(pause, r.MaxBackoff)
}

// curable reports whether what failed may go well another time. A wrong input, a refusal
// by credentials or policy, and what people or newer work have decided stay as they are.
func curable(kind string) bool {
	switch kind {
	case delivery.Invalid.String(), delivery.Denied.String(), delivery.Fenced.String(), delivery.FailureCanceled, delivery.FailureJudgment:
		return false
	default:
		return true
	}
}

// Postponed is a stage that waits for its next attempt, after a pause of its execution:
// what of the wait was paused does not count.
func Postponed(s delivery.Stage, from, to time.Time) delivery.Stage {
	if failed := s.Attempts[len(s.Attempts)-1].EndTime; failed.After(from) {
		from = failed
	}
	s.ScheduledTime = s.ScheduledTime.Add(to.Sub(from))
	return s
}

// NextAttempt is a stage that was tried, as its next attempt begins.
func NextAttempt(s delivery.Stage, now time.Time) delivery.Stage {
	next := reset(s)
	next.Status, next.StartTime, next.Attempts = delivery.StatusRunning, now, s.Attempts
	return next
}
