package pipeline

import (
	"encoding/json"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// WaitType is the stage type that waits for waitTime seconds.
const WaitType = "wait"

// maxWait bounds a wait stage. A longer wait is more likely a mistake in the
// unit (milliseconds for seconds) than meant.
const maxWait = 366 * 24 * time.Hour

// ParseWait reads how long an evaluated wait stage waits. The error is Invalid.
func ParseWait(context json.RawMessage) (time.Duration, error) {
	r := &reader{}
	var wait time.Duration
	if o, ok := r.document(context); ok {
		wait = readWait(o)
	}
	return wait, delivery.InvalidError("wait stage is not valid", r.findings)
}

func readWait(o object) time.Duration {
	o.require("waitTime")
	seconds, _ := o.whole("waitTime")
	if seconds < 0 {
		o.refuse("waitTime", "is %d; must not be negative", seconds)
	}
	wait := time.Duration(seconds) * time.Second
	if wait > maxWait {
		o.refuse("waitTime", "is %d seconds; the longest wait is %d", seconds, int(maxWait/time.Second))
	}
	return wait
}
