package workflows

import (
	"context"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// queue is a store in which one execution waits for others of its pipeline.
type queue struct {
	*memory
	canceledBy string
}

func (q *queue) Waits(context.Context, delivery.ExecutionID) (bool, error) {
	return q.canceledBy == "", nil
}

func (q *queue) CancelWaiting(_ context.Context, _ delivery.ExecutionID, by delivery.Principal, _ string, _ time.Time) (bool, error) {
	q.canceledBy = by.Name
	return true, nil
}

// TestWaitingHasNoWorkflow: what waits for its turn is neither started nor asked, and a
// cancel ends it where it stands. The client has no connection that it could use.
func TestWaitingHasNoWorkflow(t *testing.T) {
	q := &queue{memory: newMemory(1)}
	c := NewClient(nil, q)
	if err := c.StartExecution(t.Context(), testExecution); err != nil {
		t.Errorf("start: %v", err)
	}
	if err := c.absent(t.Context(), testExecution); delivery.KindOf(err) != delivery.Conflict {
		t.Errorf("a command: %v", err)
	}
	if err := c.Cancel(t.Context(), testExecution, delivery.Principal{Name: "joe"}, "enough"); err != nil || q.canceledBy != "joe" {
		t.Errorf("canceled by %q, %v", q.canceledBy, err)
	}
}
