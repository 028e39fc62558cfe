package pipeline

import (
	"encoding/json"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// WaitUntilType is the stage type that waits until epochMillis.
const WaitUntilType = "waitUntil"

// The times that a stage may wait until. One before the first is more likely in
// seconds than meant.
const (
	firstMillis = 1_000_000_000_000 // 2001-09-09
	lastMillis  = 4_102_444_800_000 // 2100-01-01
)

// ParseWaitUntil reads the time that an evaluated waitUntil stage waits for; one that
// has passed is right. The error is Invalid.
func ParseWaitUntil(context json.RawMessage) (time.Time, error) {
	r := &reader{}
	var until time.Time
	if o, ok := r.document(context); ok {
		until = readWaitUntil(o)
	}
	return until, delivery.InvalidError("waitUntil stage is not valid", r.findings)
}

func readWaitUntil(o object) time.Time {
	o.require("epochMillis")
	ms, ok := o.wholeWithin("epochMillis", lastMillis)
	if ok && ms < firstMillis {
		o.refuse("epochMillis", "is %d; must be milliseconds since 1970, at least %d", ms, firstMillis)
	}
	return time.UnixMilli(int64(ms)).UTC()
}
