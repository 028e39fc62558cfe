package workflows

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/testsuite"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
)

// clockwork is one schedule in virtual time with its store.
type clockwork struct {
	env   *testsuite.TestWorkflowEnvironment
	store *memory
	locks *locks
}

func newClockwork(start time.Time, document string) *clockwork {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet())
	c := &clockwork{env: suite.NewTestWorkflowEnvironment(), store: newMemory(1)}
	c.locks = &locks{env: c.env, store: c.store}
	c.env.SetStartTime(start)
	c.env.SetWorkerOptions(patient)
	registerWorkflows(c.env)
	c.env.RegisterActivity(newActivities(Dependencies{Store: c.store, Now: c.env.Now, Logger: slog.New(slog.DiscardHandler)}, c.locks))
	c.save(document, start)
	return c
}

func (c *clockwork) save(document string, at time.Time) {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	c.store.pipelines["p"] = delivery.Pipeline{ID: "p", Application: "shop", Name: "nightly", Document: json.RawMessage(document), UpdatedAt: at}
}

// nominal are the nominal times of the executions that were started, in order.
func (c *clockwork) nominal(t interface{ Fatal(...any) }) []string {
	var out []string
	for _, e := range c.store.executions {
		var trigger struct {
			Type        string `json:"type"`
			NominalTime string `json:"nominalTime"`
		}
		if err := json.Unmarshal(e.Trigger.Document, &trigger); err != nil || trigger.Type != "cron" || e.Trigger.Type != "cron" {
			t.Fatal("trigger", string(e.Trigger.Document), err)
		}
		out = append(out, strings.TrimPrefix(trigger.NominalTime, "2026-"))
	}
	slices.Sort(out)
	return out
}

func cronPipeline(expression, more string) string {
	return fmt.Sprintf(`{"application":"shop","name":"nightly","parameterConfig":[{"name":"image","required":true}],"stages":[{"refId":"1","type":"wait","waitTime":1}],
		"triggers":[{"type":"cron","id":"t","enabled":true,"cronExpression":%q,"timezone":"America/New_York","parameters":{"image":"good"}%s}]}`, expression, more)
}

// march8 is 2026-03-07 20:00 in New York, the evening before the clocks go forward.
var march8 = time.Date(2026, 3, 8, 1, 0, 0, 0, time.UTC)

func TestSchedule(t *testing.T) {
	c := newClockwork(march8, cronPipeline("0 30 2 * * ?", ""))
	c.env.RegisterDelayedCallback(func() { c.save(cronPipeline("0 30 2 * * ?", `,"enabled":false`), c.env.Now()) }, 70*time.Hour)
	c.env.ExecuteWorkflow(scheduleType, ScheduleState{Pipeline: "p", Trigger: "t"})
	if err := c.env.GetWorkflowError(); err != nil || !c.env.IsWorkflowCompleted() {
		t.Fatalf("a schedule whose trigger is disabled goes on, or fails: %v", err)
	}
	want := []string{"03-08T02:30:00", "03-09T02:30:00", "03-10T02:30:00"} // the first one at 03:00
	if got := c.nominal(t); !slices.Equal(got, want) {
		t.Errorf("started at %s, want %s", got, want)
	}
	for _, e := range c.store.executions {
		if string(e.Trigger.Parameters) != `{"image":"good"}` || e.Trigger.User != delivery.System.Name {
			t.Errorf("trigger %+v", e.Trigger)
		}
	}
}

// TestScheduleLooksBackToTheSave: what comes about between the save and the first look,
// because nothing ran meanwhile, is made up for; what was before the save is not.
func TestScheduleLooksBackToTheSave(t *testing.T) {
	for policy, want := range map[string]string{"latest": "03-07T20:00:00", "all": "03-07T19:50:00 03-07T20:00:00", "skip": "03-07T20:00:00"} {
		c := newClockwork(march8.Add(10*time.Second), cronPipeline("0 0/10 * * * ?", fmt.Sprintf(`,"catchUp":{"policy":%q,"windowSec":86400}`, policy)))
		c.save(string(c.store.pipelines["p"].Document), march8.Add(-15*time.Minute))
		c.env.RegisterDelayedCallback(func() { delete(c.store.pipelines, "p") }, time.Minute)
		c.env.ExecuteWorkflow(scheduleType, ScheduleState{Pipeline: "p", Trigger: "t"})
		if got := strings.Join(c.nominal(t), " "); got != want || c.env.GetWorkflowError() != nil {
			t.Errorf("%s: started at %s, want %s (%v)", policy, got, want, c.env.GetWorkflowError())
		}
	}
}

// TestScheduleChanges: a new expression counts from its save on, and not for the
// time before.
func TestScheduleChanges(t *testing.T) {
	c := newClockwork(march8, cronPipeline("0 0 12 1 1 ?", ""))
	c.env.RegisterDelayedCallback(func() {
		c.save(cronPipeline("0 0/30 * * * ?", ""), c.env.Now())
		c.env.SignalWorkflow(signalChanged, nil)
	}, 24*time.Hour+10*time.Minute)
	c.env.RegisterDelayedCallback(func() { delete(c.store.pipelines, "p") }, 25*time.Hour+20*time.Minute)
	c.env.ExecuteWorkflow(scheduleType, ScheduleState{Pipeline: "p", Trigger: "t"})
	if err := c.env.GetWorkflowError(); err != nil || !c.env.IsWorkflowCompleted() {
		t.Fatalf("a schedule whose pipeline is gone goes on, or fails: %v", err)
	}
	want := []string{"03-08T21:30:00", "03-08T22:00:00"} // daylight saving time by now
	if got := c.nominal(t); !slices.Equal(got, want) {
		t.Errorf("started at %s, want %s", got, want)
	}
}

// TestScheduleUnderFaults: whatever the store does, each nominal time starts one
// execution.
func TestScheduleUnderFaults(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newClockwork(march8, cronPipeline("0 0/20 * * * ?", ""))
		c.store.failing = rapid.Float64Range(0, 0.4).Draw(rt, "failing")
		for range rapid.IntRange(0, 5).Draw(rt, "saves") {
			c.env.RegisterDelayedCallback(func() { c.env.SignalWorkflow(signalChanged, nil) }, time.Duration(rapid.IntRange(0, 36000).Draw(rt, "at"))*time.Second)
		}
		c.env.RegisterDelayedCallback(func() { c.store.pipelines["p"] = delivery.Pipeline{ID: "p", Disabled: true} }, 10*time.Hour+10*time.Minute)
		c.env.ExecuteWorkflow(scheduleType, ScheduleState{Pipeline: "p", Trigger: "t"})
		if err := c.env.GetWorkflowError(); err != nil {
			rt.Fatal(err)
		}
		// Of the 10 hours one is left out; what it would have had is one start.
		got := c.nominal(rt)
		if n := len(slices.Compact(slices.Clone(got))); len(got) != 30 || n != len(got) {
			rt.Errorf("%d starts, %d of them of times of their own: %s", len(got), n, got)
		}
	})
}

// savedList is a store of pipelines for the scheduler.
type savedList struct {
	saved []delivery.Pipeline
	asked map[string]int
	fails bool
	read  int // by the last look
}

func (s *savedList) PipelinesSavedSince(_ context.Context, since time.Time) ([]delivery.Pipeline, error) {
	var out []delivery.Pipeline
	for _, p := range s.saved {
		if !p.UpdatedAt.Before(since) {
			out = append(out, p)
		}
	}
	s.read = len(out)
	return out, nil
}

func (s *savedList) ensureSchedule(_ context.Context, pipeline, trigger string) error {
	if s.fails {
		return delivery.Errorf(delivery.Unavailable, "no engine")
	}
	s.asked[pipeline+"/"+trigger]++
	return nil
}

func TestScheduler(t *testing.T) {
	ctx := t.Context()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	saved := func(id string, revision int, after time.Duration, more string) delivery.Pipeline {
		return delivery.Pipeline{ID: id, Revision: revision, UpdatedAt: at.Add(after), Document: json.RawMessage(cronPipeline("0 0 0 * * ?", more))}
	}
	list := &savedList{asked: map[string]int{}, saved: []delivery.Pipeline{saved("a", 1, 0, ""), saved("b", 1, time.Hour, ""), saved("off", 1, time.Hour, `,"enabled":false`)}}
	s := newScheduler(list, list, 0, slog.New(slog.DiscardHandler))
	now := at.Add(time.Hour)
	s.now = func() time.Time { return now }
	look := func(want string) {
		t.Helper()
		clear(list.asked)
		err := s.look(ctx)
		if (err != nil) != list.fails {
			t.Fatal(err)
		}
		var got []string
		for asked, n := range list.asked {
			got = append(got, fmt.Sprintf("%s:%d", asked, n))
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("asked for %s, want %s", got, want)
		}
	}
	look("a/t:1 b/t:1")
	look("")
	list.saved = append(list.saved, saved("c", 1, time.Hour-time.Second, "")) // by a process whose clock is a second late
	look("c/t:1")
	look("")
	list.fails = true
	list.saved[0] = saved("a", 2, 2*time.Hour, "")
	now = at.Add(2 * time.Hour)
	look("")
	now = at.Add(4 * time.Hour) // the look that failed is made up for
	list.fails = false
	look("a/t:1")
	list.saved[0] = delivery.Pipeline{ID: "a", Revision: 3, UpdatedAt: now, Document: json.RawMessage(`{`)}
	look("")
	now = now.Add(time.Hour)
	look("")
	look("") // nothing was saved lately, so nothing is read
	if list.read > 0 {
		t.Errorf("%d pipelines were read again", list.read)
	}
}
