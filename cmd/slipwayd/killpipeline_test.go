package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The pipeline that is killed: one stage, then branches side by side, then a row of
// stages that begins where the branches meet; fifty stages in all.
const (
	killedBranches = 10
	killedBranch   = 4
	killedRow      = 9
	killedDepth    = 1 + killedBranch + killedRow
	killedStages   = 1 + killedBranches*killedBranch + killedRow
)

// killedPipeline is that pipeline; every stage waits as many seconds.
func killedPipeline(name string, wait int) map[string]any {
	var stages []any
	add := func(refID string, requisites ...string) string {
		stages = append(stages, map[string]any{"type": "wait", "refId": refID, "name": refID, "requisiteStageRefIds": requisites, "waitTime": wait})
		return refID
	}
	first := add("first")
	var ends []string
	for b := range killedBranches {
		before := first
		for i := range killedBranch {
			before = add(fmt.Sprintf("branch-%d-%d", b, i), before)
		}
		ends = append(ends, before)
	}
	before := add("meet", ends...)
	for i := range killedRow - 1 {
		before = add(fmt.Sprintf("row-%d", i), before)
	}
	return map[string]any{"application": "storefront", "name": name, "stages": stages}
}

// streamed is one event as the stream sends it.
type streamed struct {
	ID   int64  `json:"id"`
	Type string `json:"type"`
	Data struct {
		RefID  string `json:"refId"`
		Status string `json:"status"`
	} `json:"data"`
}

// follower reads an execution's events over all deaths of the process, as a browser
// does: it connects again with the id of the last event that it had.
type follower struct {
	t    *testing.T
	path string

	mu      sync.Mutex
	base    string
	events  []streamed
	over    bool
	resumed int
}

func (f *follower) at(url string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.base = url
}

// seen returns what was received so far, and whether the stream is over.
func (f *follower) seen() (events []streamed, resumed int, over bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.events), f.resumed, f.over
}

// run follows until the server says that there is no more.
func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		if f.connect(ctx) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// connect reads one stream to its end; over is true when nothing more will come.
func (f *follower) connect(ctx context.Context) (over bool) {
	f.mu.Lock()
	base, last := f.base, int64(0)
	if n := len(f.events); n > 0 {
		last = f.events[n-1].ID
	}
	f.mu.Unlock()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+f.path, nil)
	if err != nil {
		f.t.Error(err)
		return true
	}
	if last > 0 {
		request.Header.Set("Last-Event-ID", strconv.FormatInt(last, 10))
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false // it is dead just now
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusNoContent:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.over = true
		return true
	case http.StatusOK:
	default:
		return false
	}
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var event streamed
		if err := json.Unmarshal([]byte(data), &event); err != nil {
			f.t.Errorf("event %q: %v", data, err)
			return true
		}
		f.mu.Lock()
		if last > 0 && len(f.events) > 0 && f.events[len(f.events)-1].ID == last {
			f.resumed++
		}
		f.events = append(f.events, event)
		f.mu.Unlock()
	}
	return false
}

// statusOrder says which status comes before which in the life of a stage that
// succeeds.
var statusOrder = []string{"NOT_STARTED", "RUNNING", "SUCCEEDED"}

// TestKillsInAPipeline kills the process again and again while a pipeline of fifty
// stages runs, ten of them side by side. Every stage ends once, no status goes back,
// and the stream of events goes on where it was broken off.
func TestKillsInAPipeline(t *testing.T) {
	t.Parallel()
	kills := kills(t)
	d := simulated(t)
	// A kill with its restart takes up to eight seconds where much else goes on. The
	// stages last long enough that the last kill still finds one running.
	wait := max(2, (kills*8+killedDepth-1)/killedDepth)
	if status, raw := d.call(http.MethodPost, d.url+"/pipelines", killedPipeline("killed", wait), nil); status != http.StatusOK {
		t.Fatalf("save pipeline: %d %s", status, raw)
	}
	id := d.trigger("killed", nil)
	f := &follower{t: t, path: "/executions/" + id + "/events", base: d.url}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var following sync.WaitGroup
	following.Go(func() { f.run(ctx) })

	seed := time.Now().UnixNano()
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	statuses := map[string]int{}
	look := func() string {
		var e struct {
			Status string
			Stages []struct{ RefID, Status string }
		}
		if status, raw := d.call(http.MethodGet, d.url+"/pipelines/"+id, nil, &e); status != http.StatusOK {
			t.Fatalf("read execution: %d %s", status, raw)
		}
		if len(e.Stages) != killedStages {
			t.Fatalf("%d stages; want %d", len(e.Stages), killedStages)
		}
		for _, s := range e.Stages {
			at := slices.Index(statusOrder, s.Status)
			if at < statuses[s.RefID] {
				t.Errorf("stage %s went from %s back to %s", s.RefID, statusOrder[statuses[s.RefID]], s.Status)
			}
			statuses[s.RefID] = max(at, statuses[s.RefID])
		}
		return e.Status
	}
	done := 0
	for ; done < kills; done++ {
		until := time.Now().Add(time.Duration(random.IntN(1500)) * time.Millisecond)
		status := look()
		for status != "SUCCEEDED" && time.Now().Before(until) {
			time.Sleep(20 * time.Millisecond)
			status = look()
		}
		if status == "SUCCEEDED" {
			break
		}
		d.kill()
		d.start()
		f.at(d.url)
	}
	if done < kills {
		t.Errorf("it was over after %d kills of %d", done, kills)
	}
	d.until(5*time.Minute, "the execution to succeed", func() bool { return look() == "SUCCEEDED" })
	following.Wait()
	events, resumed, _ := f.seen()
	checkStream(t, events)
	whole := &follower{t: t, path: f.path + "?follow=false", base: d.url}
	whole.connect(ctx)
	all, _, _ := whole.seen()
	if diff := cmp.Diff(all, events); diff != "" {
		t.Errorf("the stream over %d kills differs from the whole one (-whole +followed):\n%s", done, diff)
	}
	t.Logf("seed %d: %d kills, %d stages, %d events, resumed %d times", seed, done, killedStages, len(events), resumed)
}

// checkStream checks that every stage began, and ended once, in this order.
func checkStream(t *testing.T, events []streamed) {
	t.Helper()
	ends, at := map[string]int{}, map[string]int{}
	last := int64(0)
	for _, e := range events {
		if e.ID <= last {
			t.Errorf("event %d comes after %d", e.ID, last)
		}
		last = e.ID
		if e.Type != "stage" {
			continue
		}
		now := slices.Index(statusOrder, e.Data.Status)
		if now < at[e.Data.RefID] {
			t.Errorf("event %d: stage %s went back to %s", e.ID, e.Data.RefID, e.Data.Status)
		}
		at[e.Data.RefID] = now
		if e.Data.Status == "SUCCEEDED" {
			ends[e.Data.RefID]++
		}
	}
	if len(ends) != killedStages {
		t.Errorf("%d stages ended; want %d", len(ends), killedStages)
	}
	for refID, n := range ends {
		if n != 1 {
			t.Errorf("stage %s ended %d times", refID, n)
		}
	}
}
