package wirefaults

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// totals are the figures of a run, by target kind.
type totals struct {
	mu     sync.Mutex
	byKind map[string]*figures
}

// figures are those of all deployments of a kind.
type figures struct {
	took                                   []time.Duration
	byStatus                               map[string]int
	wire                                   wireStats
	looks, canceled, killed                int
	requests, failed, judged, failedJudged int
}

func (t *totals) add(k kind, r result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byKind == nil {
		t.byKind = map[string]*figures{}
	}
	f := t.byKind[k.name]
	if f == nil {
		f = &figures{byStatus: map[string]int{}, wire: wireStats{byAction: map[string]int{}}}
		t.byKind[k.name] = f
	}
	f.add(r)
}

func (f *figures) add(r result) {
	f.took = append(f.took, r.took)
	f.byStatus[string(r.status)]++
	f.wire.add(r.wire)
	f.looks, f.killed = f.looks+r.looks, f.killed+r.killed
	if r.cancel {
		f.canceled++
	}
	f.requests, f.failed = f.requests+r.load.Sent, f.failed+r.load.Failed
	if r.judged {
		f.judged, f.failedJudged = f.judged+r.load.Sent, f.failedJudged+r.load.Failed
	}
}

func (w *wireStats) add(o wireStats) {
	w.calls, w.writes, w.lost, w.deep = w.calls+o.calls, w.writes+o.writes, w.lost+o.lost, w.deep+o.deep
	for action, n := range o.byAction {
		w.byAction[action] += n
	}
}

// lines has one for each kind.
func (t *totals) lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for _, k := range kinds() {
		if f := t.byKind[k.name]; f != nil {
			out = append(out, k.name+": "+f.String())
		}
	}
	return out
}

func (f *figures) String() string {
	slices.Sort(f.took)
	return fmt.Sprintf("%d deployments %v, %d canceled, %d instances killed; %d looks, %d calls, %d writes, the first answer of %d lost, more answers of %d %v; %d requests without kills, %d failed (%d and %d in all); median %s, longest %s",
		len(f.took), f.byStatus, f.canceled, f.killed, f.looks, f.wire.calls, f.wire.writes, f.wire.lost, f.wire.deep, f.wire.byAction,
		f.judged, f.failedJudged, f.requests, f.failed, f.took[len(f.took)/2].Round(time.Millisecond), f.took[len(f.took)-1].Round(time.Millisecond))
}
