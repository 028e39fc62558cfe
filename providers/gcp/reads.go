package gcp

import (
	"math/rand/v2"
	"time"

	"github.com/googleapis/gax-go/v2"

	"github.com/slipway-cd/slipway/delivery"
)

const (
	// attempts: a read that fails three times goes back to the caller, who knows
	// whether to go on.
	attempts = 3
	// firstBackoff bounds the random pause before the second attempt, twice as
	// much that before the third: 3 x 8 s + 0.6 s < 30 s.
	firstBackoff = 200 * time.Millisecond
)

// Reads returns the call options of a read: three quick attempts when no whole
// answer came or the other side is in trouble. The SDK's own options repeat a read
// until the deadline of its context, which a change would spend waiting. They are
// never for writes, which nobody but the caller may repeat.
func Reads() []gax.CallOption {
	return []gax.CallOption{gax.WithRetry(func() gax.Retryer { return new(quick) })}
}

// quick counts the attempts of one call.
type quick struct{ made int }

// Retry returns the pause before the next attempt.
func (q *quick) Retry(err error) (pause time.Duration, shouldRetry bool) {
	q.made++
	if q.made >= attempts || kindOf(err) != delivery.Transient {
		return 0, false
	}
	return rand.N(firstBackoff << (q.made - 1)), true
}
