package wirefaults

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// totals are the figures of a run.
type totals struct {
	mu                                     sync.Mutex
	took                                   []time.Duration
	byStatus                               map[string]int
	calls, writes, lost, deep              int
	byAction                               map[string]int
	looks, canceled, killed                int
	requests, failed, judged, failedJudged int
}

func (t *totals) add(r result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byStatus == nil {
		t.byStatus, t.byAction = map[string]int{}, map[string]int{}
	}
	t.took = append(t.took, r.took)
	t.byStatus[string(r.status)]++
	t.calls, t.writes, t.lost, t.deep = t.calls+r.wire.calls, t.writes+r.wire.writes, t.lost+r.wire.lost, t.deep+r.wire.deep
	for action, n := range r.wire.byAction {
		t.byAction[action] += n
	}
	t.looks, t.killed = t.looks+r.looks, t.killed+r.killed
	if r.cancel {
		t.canceled++
	}
	t.requests, t.failed = t.requests+r.load.Sent, t.failed+r.load.Failed
	if r.judged {
		t.judged, t.failedJudged = t.judged+r.load.Sent, t.failedJudged+r.load.Failed
	}
}

func (t *totals) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.took) == 0 {
		return "no schedule ended"
	}
	slices.Sort(t.took)
	return fmt.Sprintf("%d deployments %v, %d canceled, %d instances killed; %d looks, %d calls, %d writes, the first answer of %d lost, all answers of %d %v; %d requests without kills, %d failed (%d and %d in all); median %s, longest %s",
		len(t.took), t.byStatus, t.canceled, t.killed, t.looks, t.calls, t.writes, t.lost, t.deep, t.byAction,
		t.judged, t.failedJudged, t.requests, t.failed, t.took[len(t.took)/2].Round(time.Millisecond), t.took[len(t.took)-1].Round(time.Millisecond))
}
