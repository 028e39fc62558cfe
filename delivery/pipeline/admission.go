package pipeline

import (
	"fmt"

	"github.com/slipway-cd/slipway/delivery"
)

// Limits are how many executions of a pipeline run at once. The zero value is no limit.
type Limits struct {
	// Concurrent is the number; zero is no limit.
	Concurrent int
	// KeepWaiting lets executions that wait begin in the order in which they came.
	// Without it the newest begins and the others are canceled.
	KeepWaiting bool
}

// LimitsOf are the limits that an execution was accepted with. As in Spinnaker,
// limitConcurrent is a limit of one and goes before maxConcurrentExecutions.
func LimitsOf(e delivery.Execution) Limits {
	l := Limits{Concurrent: e.MaxConcurrentExecutions, KeepWaiting: e.KeepWaitingPipelines}
	if e.LimitConcurrent {
		l.Concurrent = 1
	}
	return l
}

// Begins reports whether an execution that comes now begins, given how many run and
// how many wait. Nobody overtakes those that wait.
func (l Limits) Begins(running, waiting int) bool {
	return l.Concurrent <= 0 || waiting == 0 && running < l.Concurrent
}

// Admit decides what becomes of the executions that wait, the oldest first, while so
// many run: which begin, and which are canceled for them. Without a free place nothing
// changes.
func (l Limits) Admit(running int, waiting []delivery.ExecutionID) (begin, cancel []delivery.ExecutionID) {
	free := len(waiting)
	if l.Concurrent > 0 {
		free = min(free, l.Concurrent-running)
	}
	switch {
	case free <= 0:
		return nil, nil
	case l.Concurrent <= 0 || l.KeepWaiting:
		return waiting[:free], nil
	default:
		rest := len(waiting) - free
		return waiting[rest:], waiting[:rest]
	}
}

// Overtaken is why an execution that waited was canceled for one that came after it and
// began. A restart comes when it is asked for, however old its execution is.
func Overtaken(by delivery.Execution) string {
	if by.Restarts > 0 {
		return fmt.Sprintf("an execution of the pipeline that was restarted later began in its place: %s", by.ID)
	}
	return fmt.Sprintf("a newer execution of the pipeline began in its place: %s", by.ID)
}

// limits reads the limits of a pipeline document.
func (d *Definition) limits(doc object) {
	d.LimitConcurrent = doc.flag("limitConcurrent", false)
	d.KeepWaitingPipelines = doc.flag("keepWaitingPipelines", false)
	d.MaxConcurrentExecutions, _ = doc.whole("maxConcurrentExecutions")
	if d.MaxConcurrentExecutions < 0 {
		doc.refuse("maxConcurrentExecutions", "is %d; must not be negative", d.MaxConcurrentExecutions)
	}
	for _, name := range [...]string{"limitConcurrent", "keepWaitingPipelines", "maxConcurrentExecutions"} {
		if doc.dynamic(name) {
			doc.refuse(name, "must not be an expression")
		}
	}
}
