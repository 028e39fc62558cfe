package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// address is where a process answers that dies and comes back elsewhere; empty while it
// is dead, for its port may be another one's then.
type address struct {
	mu  sync.Mutex
	url string
}

func (a *address) set(url string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.url = url
}

// send makes one request for goroutines, which must not end the test. err is set when
// there was no whole answer, so that nobody knows what became of the request.
func (a *address) send(ctx context.Context, method, path string, header http.Header, body any) (status int, raw []byte, err error) {
	a.mu.Lock()
	url := a.url
	a.mu.Unlock()
	if url == "" {
		return 0, nil, errors.New("the process is dead")
	}
	data, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, url+path, bytes.NewReader(data))
	if err != nil {
		return 0, nil, err
	}
	request.Header = header.Clone()
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	raw, err = io.ReadAll(answer.Body)
	return answer.StatusCode, raw, err
}

// startOnce starts a pipeline under a key, again and again until the start is
// acknowledged, and returns the execution's id; empty when ctx ends or the start is refused.
func (a *address) startOnce(ctx context.Context, t *testing.T, pipeline, key string) string {
	for ctx.Err() == nil {
		status, raw, err := a.send(ctx, http.MethodPost, "/pipelines/storefront/"+pipeline, http.Header{"Idempotency-Key": {key}}, map[string]any{"type": "manual"})
		switch {
		case err != nil || status >= http.StatusInternalServerError:
			time.Sleep(50 * time.Millisecond) // it is dead just now
		case status == http.StatusAccepted:
			var ref struct{ Ref string }
			if err := json.Unmarshal(raw, &ref); err != nil {
				t.Errorf("start %s: %v in %s", key, err, raw)
			}
			return ref.Ref[strings.LastIndex(ref.Ref, "/")+1:]
		default:
			t.Errorf("start %s: %d %s", key, status, raw)
			return ""
		}
	}
	return ""
}

// killWhile kills the process and starts it again so many times, each at a random moment
// of the time for which it may live.
func (d *daemon) killWhile(at *address, random *rand.Rand, kills int, life time.Duration) {
	d.t.Helper()
	for range kills {
		time.Sleep(time.Duration(random.Int64N(int64(life))))
		at.set("")
		d.kill()
		d.start()
		at.set(d.url)
	}
}

// told are the events of an execution, as the stream sends them.
func (d *daemon) told(id string) []streamed {
	d.t.Helper()
	f := &follower{t: d.t, path: "/executions/" + id + "/events?follow=false", base: d.url}
	f.connect(d.t.Context())
	events, _, _ := f.seen()
	return events
}

// limited is a pipeline of which only so many executions run at once.
type limited struct {
	name   string
	fields map[string]any
	limit  int
	// keeps is set where those that wait begin in their order; else the newest does and
	// the others are canceled.
	keeps bool
}

// TestKillsWhileExecutionsWait starts executions of pipelines with limits while the
// process is killed again and again. Every start that was acknowledged ends once, those
// that wait begin in their order, and there are never more at once than the limit.
func TestKillsWhileExecutionsWait(t *testing.T) {
	t.Parallel()
	kills := kills(t)
	d := simulated(t)
	pipelines := []limited{
		{"one", map[string]any{"limitConcurrent": true, "keepWaitingPipelines": true}, 1, true},
		{"two", map[string]any{"limitConcurrent": false, "maxConcurrentExecutions": 2, "keepWaitingPipelines": true}, 2, true},
		{"newest", map[string]any{"limitConcurrent": true}, 1, false},
	}
	for _, p := range pipelines {
		document := map[string]any{"application": "storefront", "name": p.name, "stages": []any{map[string]any{"type": "wait", "refId": "1", "waitTime": 1}}}
		for field, value := range p.fields {
			document[field] = value
		}
		if status, raw := d.call(http.MethodPost, d.url+"/pipelines", document, nil); status != http.StatusOK {
			t.Fatalf("save pipeline: %d %s", status, raw)
		}
	}
	seed := uint64(time.Now().UnixNano())
	at := &address{url: d.url}
	accepted := make([][]string, len(pipelines))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	var senders sync.WaitGroup
	for i, p := range pipelines {
		senders.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(i)))
			for n := range 5 * kills {
				if id := at.startOnce(ctx, t, p.name, fmt.Sprint(p.name, "-", n)); id != "" {
					accepted[i] = append(accepted[i], id)
				}
				time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
			}
		})
	}
	d.killWhile(at, rand.New(rand.NewPCG(seed, 100)), kills, 2500*time.Millisecond)
	senders.Wait()
	for i, p := range pipelines {
		if len(accepted[i]) != 5*kills {
			t.Fatalf("%s: %d starts were acknowledged; want %d", p.name, len(accepted[i]), 5*kills)
		}
		d.until(5*time.Minute, "the executions of "+p.name+" to end", func() bool {
			return !slices.ContainsFunc(d.records(p.name), func(e queued) bool { return e.EndTime == 0 })
		})
		d.checkAdmission(p, accepted[i])
	}
	t.Logf("seed %d: %d kills, %d starts of each of %d pipelines", seed, kills, 5*kills, len(pipelines))
}

// queued is what the test reads of an execution.
type queued struct {
	ID                 string `json:"id"`
	Name               string `json:"name"`
	Status             string `json:"status"`
	StartTime          int64  `json:"startTime"`
	EndTime            int64  `json:"endTime"`
	CancellationReason string `json:"cancellationReason"`
}

// records returns all executions of a pipeline of storefront.
func (d *daemon) records(name string) []queued {
	d.t.Helper()
	var all []queued
	if status, raw := d.call(http.MethodGet, d.url+"/applications/storefront/pipelines?limit=1000&expand=false", nil, &all); status != http.StatusOK {
		d.t.Fatalf("list executions: %d %s", status, raw)
	}
	return slices.DeleteFunc(all, func(e queued) bool { return e.Name != name })
}

// checkAdmission judges the executions of a pipeline by their events, whose ids say
// what came before what in the whole store. accepted are in the order of their starts.
func (d *daemon) checkAdmission(p limited, accepted []string) {
	t := d.t
	t.Helper()
	if distinct := slices.Compact(slices.Sorted(slices.Values(accepted))); len(distinct) != len(accepted) {
		t.Errorf("%s: %d starts have %d executions", p.name, len(accepted), len(distinct))
	}
	records := d.records(p.name)
	if len(records) != len(accepted) {
		t.Errorf("%s: %d executions are recorded, %d starts were acknowledged", p.name, len(records), len(accepted))
	}
	type change struct {
		at    int64
		by    int
		place int
	}
	var changes []change
	canceled := 0
	for _, e := range records {
		place := slices.Index(accepted, e.ID)
		if place < 0 {
			t.Errorf("%s: nobody started execution %s", p.name, e.ID)
		}
		began, ended, stageEnds := int64(0), int64(0), 0
		for _, event := range d.told(e.ID) {
			switch over := event.Data.Status != "NOT_STARTED" && event.Data.Status != "RUNNING"; {
			case event.Type == "stage" && over:
				stageEnds++
			case event.Type != "execution":
			case over && ended > 0:
				t.Errorf("%s: execution %s ended twice", p.name, e.ID)
			case over:
				ended = event.ID
			case began == 0 && event.Data.Status == "RUNNING":
				began = event.ID
			}
		}
		switch {
		case e.Status == "SUCCEEDED" && began > 0 && ended > began && stageEnds == 1:
			changes = append(changes, change{began, 1, place}, change{ended, -1, place})
		case e.Status == "CANCELED" && !p.keeps && began == 0 && ended > 0 && stageEnds == 0 && e.StartTime == 0 && strings.Contains(e.CancellationReason, "a newer execution of the pipeline began"):
			canceled++
		default:
			t.Errorf("%s: execution %s is %s (%s); event %d began it, event %d ended it, %d stages ended", p.name, e.ID, e.Status, e.CancellationReason, began, ended, stageEnds)
		}
	}
	slices.SortFunc(changes, func(a, b change) int { return int(a.at - b.at) })
	running, most := 0, 0
	begun := map[int]bool{}
	for _, c := range changes {
		if running += c.by; c.by > 0 {
			// One that was let in may begin late, when the process dies just then; meanwhile
			// it takes a place, and the others go on in the rest.
			passed := 0
			for earlier := range c.place {
				if !begun[earlier] {
					passed++
				}
			}
			if p.keeps && passed >= p.limit {
				t.Errorf("%s: start %d began before %d earlier ones", p.name, c.place, passed)
			}
			begun[c.place] = true
		}
		most = max(most, running)
	}
	if most != p.limit {
		t.Errorf("%s: up to %d ran at once; the limit is %d", p.name, most, p.limit)
	}
	if last := records[slices.IndexFunc(records, func(e queued) bool { return e.ID == accepted[len(accepted)-1] })]; last.Status != "SUCCEEDED" {
		t.Errorf("%s: the newest is %s", p.name, last.Status)
	}
	t.Logf("%s: %d began, %d canceled by newer ones, up to %d at once", p.name, len(begun), canceled, most)
}
