package pipeline

import (
	"encoding/json"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// StageOptions are what a stage of any type can have beside the input of its type.
type StageOptions struct {
	// Timeout is how long the stage may take; zero is no limit but its type's own. What
	// the execution is paused meanwhile does not count.
	Timeout time.Duration
}

// maxTimeout bounds stageTimeoutMs. A longer limit is more likely a mistake in the
// unit than meant.
const maxTimeout = 366 * 24 * time.Hour

// ParseOptions reads the options of an evaluated stage. The error is Invalid.
func ParseOptions(context json.RawMessage) (StageOptions, error) {
	r := &reader{}
	var options StageOptions
	if o, ok := r.document(context); ok {
		options = readStageOptions(o)
	}
	return options, delivery.InvalidError("stage is not valid", r.findings)
}

func readStageOptions(o object) StageOptions {
	return StageOptions{Timeout: readTimeout(o)}
}

func readTimeout(o object) time.Duration {
	limit := int(maxTimeout / time.Millisecond)
	ms, given := o.wholeWithin("stageTimeoutMs", limit)
	if given && ms <= 0 {
		o.refuse("stageTimeoutMs", "is %d; must be at least 1", ms)
	}
	return time.Duration(ms) * time.Millisecond
}
