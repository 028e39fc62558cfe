package storetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/store"
)

func executionStarts(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	n := delivery.NewExecution{
		Execution: execution(1), Definition: json.RawMessage(`{"stages":[{"refId":"1"}]}`),
		IdempotencyKey: "key", RequestHash: "h1", CorrelationID: "correlation",
	}
	first := must(s.CreateExecution(ctx, n)).created(t)
	same(t, first, n.Execution)
	got, err := s.Execution(ctx, first.ID)
	noError(t, err)
	same(t, got, first)
	definition, err := s.ExecutionDefinition(ctx, first.ID)
	noError(t, err)
	same(t, string(definition), string(n.Definition))

	again := n
	again.Execution = execution(2)
	t.Run("either key returns the first", func(t *testing.T) {
		same(t, must(s.CreateExecution(ctx, again)).repeated(t), first)
		byKey := again
		byKey.CorrelationID, byKey.RequestHash = "", ""
		same(t, must(s.CreateExecution(ctx, byKey)).repeated(t), first)
		byCorrelation := again
		byCorrelation.IdempotencyKey, byCorrelation.RequestHash = "", "h2"
		same(t, must(s.CreateExecution(ctx, byCorrelation)).repeated(t), first)
		_, err := s.Execution(ctx, again.Execution.ID)
		kind(t, delivery.NotFound, err)
		for _, n := range []delivery.NewExecution{again, byKey, byCorrelation} {
			earlier, err := s.EarlierStart(ctx, n)
			noError(t, err)
			same(t, earlier, first)
		}
	})
	t.Run("the first is returned as it stands now", func(t *testing.T) {
		now := first
		now.Status, now.Version = delivery.StatusRunning, 2
		if _, err := s.ProjectExecution(ctx, now, nil); err != nil {
			t.Fatal(err)
		}
		same(t, must(s.CreateExecution(ctx, again)).repeated(t), now)
	})
	t.Run("another request under the same key is refused", func(t *testing.T) {
		other := again
		other.RequestHash = "h2"
		_, _, err := s.CreateExecution(ctx, other)
		kind(t, delivery.Invalid, err)
		_, err = s.EarlierStart(ctx, other)
		kind(t, delivery.Invalid, err)
	})
	t.Run("keys of another pipeline are other keys", func(t *testing.T) {
		other := again
		other.Execution.PipelineConfigID = "5b8e0f52-3d8e-4a49-9d3c-0a0000000002"
		_, err := s.EarlierStart(ctx, other)
		kind(t, delivery.NotFound, err)
		must(s.CreateExecution(ctx, other)).created(t)
	})
	t.Run("an id is given once", func(t *testing.T) {
		_, _, err := s.CreateExecution(ctx, delivery.NewExecution{Execution: execution(1)})
		kind(t, delivery.Conflict, err)
	})
	t.Run("unknown", func(t *testing.T) {
		_, err := s.Execution(ctx, "01JD3Z8Q6V5T0H3W4M8N7K2RZZ")
		kind(t, delivery.NotFound, err)
		_, err = s.ExecutionDefinition(ctx, "01JD3Z8Q6V5T0H3W4M8N7K2RZZ")
		kind(t, delivery.NotFound, err)
	})
}

func executionStartsAtOnce(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	const calls = 400
	for _, row := range []struct {
		name string
		with func(n *delivery.NewExecution)
	}{
		{"idempotency key", func(n *delivery.NewExecution) { n.IdempotencyKey, n.RequestHash = "key", "h" }},
		{"correlation id", func(n *delivery.NewExecution) { n.CorrelationID = "correlation" }},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := pendingStarts(t, s, 0)
			results := atOnce(calls, func(i int) outcome {
				n := delivery.NewExecution{Execution: execution(len(before)*calls + i)}
				row.with(&n)
				return must(s.CreateExecution(ctx, n))
			})
			created := 0
			for _, r := range results {
				noError(t, r.err)
				if r.isNew {
					created++
				}
				same(t, r.execution.ID, results[0].execution.ID)
			}
			if created != 1 {
				t.Fatalf("%d calls created an execution, want 1", created)
			}
			same(t, pendingStarts(t, s, 0), append(before, results[0].execution.ID))
		})
	}
}

func executionProjection(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	e := create(t, s, execution(1))
	event := func(key string) delivery.Event {
		return delivery.Event{Key: key, At: base(), Type: delivery.EventExecution, Data: json.RawMessage(`{"k":"` + key + `"}`)}
	}
	project := func(version int64, status delivery.Status, keys ...string) bool {
		t.Helper()
		next := e
		next.Version, next.Status = version, status
		var es []delivery.Event
		for _, k := range keys {
			es = append(es, event(k))
		}
		stored, err := s.ProjectExecution(ctx, next, es)
		noError(t, err)
		return stored
	}
	for _, row := range []struct {
		name    string
		version int64
		status  delivery.Status
		keys    []string
		stored  bool
	}{
		{"newer", 3, delivery.StatusRunning, []string{"a", "b"}, true},
		{"repeated", 3, delivery.StatusRunning, []string{"a", "b"}, false},
		{"older, with an event nobody saw", 2, delivery.StatusPaused, []string{"a", "c"}, false},
		{"back to the start", 4, delivery.StatusNotStarted, nil, false},
		{"skipping versions", 9, delivery.StatusCanceled, []string{"d"}, true},
		{"complete, with more detail", 10, delivery.StatusCanceled, nil, true},
		{"complete, another word", 11, delivery.StatusTerminal, nil, false},
		{"out of complete", 12, delivery.StatusRunning, nil, false},
	} {
		if got := project(row.version, row.status, row.keys...); got != row.stored {
			t.Fatalf("%s: stored = %v, want %v", row.name, got, row.stored)
		}
	}
	got, err := s.Execution(ctx, e.ID)
	noError(t, err)
	want := e
	want.Version, want.Status = 10, delivery.StatusCanceled
	same(t, got, want)
	list, err := s.Executions(ctx, delivery.ExecutionFilter{Statuses: []delivery.Status{delivery.StatusCanceled}})
	noError(t, err)
	same(t, list, []delivery.Execution{want})
	stored, err := s.Events(ctx, e.ID, 0, 0)
	noError(t, err)
	keys := []string{}
	for _, x := range stored {
		keys = append(keys, x.Key)
	}
	same(t, keys, []string{"a", "b", "c", "d"})

	_, err = s.ProjectExecution(ctx, execution(2), nil)
	kind(t, delivery.NotFound, err)
}

// projectionConverges delivers the versions of one life in any order and with
// repeats, as crashes and retries do: the last version wins, and no reader ever
// sees a status go back.
func projectionConverges(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	next := 0
	rapid.Check(t, func(t *rapid.T) {
		next++
		e := execution(next)
		if _, _, err := s.CreateExecution(ctx, delivery.NewExecution{Execution: e}); err != nil {
			t.Fatal(err)
		}
		life := []delivery.Execution{e}
		for len(life) < 12 && !e.Status.Complete() {
			e.Version += rapid.Int64Range(1, 3).Draw(t, "step")
			e.Status = rapid.SampledFrom(append(e.Status.Next(), e.Status)).Draw(t, "status")
			life = append(life, e)
		}
		orders := append(rapid.Permutation(life).Draw(t, "order"), rapid.SliceOfN(rapid.SampledFrom(life), 0, 8).Draw(t, "repeats")...)
		seen := delivery.StatusNotStarted
		for i, version := range orders {
			event := delivery.Event{Key: fmt.Sprint(version.Version), At: base(), Type: delivery.EventExecution}
			if _, err := s.ProjectExecution(ctx, version, []delivery.Event{event}); err != nil {
				t.Fatal(err)
			}
			now, err := s.Execution(ctx, e.ID)
			if err != nil {
				t.Fatal(err)
			}
			if seen != now.Status && (seen.Complete() || now.Status == delivery.StatusNotStarted) {
				t.Fatalf("write %d: status went from %s to %s", i, seen, now.Status)
			}
			seen = now.Status
		}
		final, err := s.Execution(ctx, e.ID)
		if err != nil {
			t.Fatal(err)
		}
		if last := life[len(life)-1]; final.Version != last.Version || final.Status != last.Status {
			t.Fatalf("ended as version %d %s, want version %d %s", final.Version, final.Status, last.Version, last.Status)
		}
		events, err := s.Events(ctx, e.ID, 0, 0)
		if err != nil || len(events) != len(life) {
			t.Fatalf("%d events and error %v, want one of each of the %d versions", len(events), err, len(life))
		}
	})
}

// projectionNeverLeavesComplete holds for any writes at all, even those that no
// workflow would make.
func projectionNeverLeavesComplete(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	next := 0
	rapid.Check(t, func(t *rapid.T) {
		next++
		e := execution(next)
		if _, _, err := s.CreateExecution(ctx, delivery.NewExecution{Execution: e}); err != nil {
			t.Fatal(err)
		}
		ended, version := delivery.StatusUnknown, e.Version
		for range rapid.IntRange(1, 10).Draw(t, "writes") {
			e.Version = rapid.Int64Range(0, 12).Draw(t, "version")
			e.Status = rapid.SampledFrom(delivery.Statuses()).Draw(t, "status")
			if _, err := s.ProjectExecution(ctx, e, nil); err != nil {
				t.Fatal(err)
			}
			now, err := s.Execution(ctx, e.ID)
			if err != nil {
				t.Fatal(err)
			}
			if now.Version < version {
				t.Fatalf("version went from %d to %d", version, now.Version)
			}
			if ended != delivery.StatusUnknown && now.Status != ended {
				t.Fatalf("status went from %s to %s", ended, now.Status)
			}
			version = now.Version
			if now.Status.Complete() {
				ended = now.Status
			}
		}
	})
}

func executionLists(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	p1, p2 := execution(0).PipelineConfigID, "5b8e0f52-3d8e-4a49-9d3c-0a0000000002"
	all := []delivery.Execution{}
	for i := range 12 {
		e := execution(i)
		e.BuildTime = after(time.Duration(i/2) * time.Second) // pairs of one build time
		if i%3 == 0 {
			e.PipelineConfigID, e.Name = p2, "two-regions"
		}
		if i == 5 {
			e.Application, e.PipelineConfigID, e.Type, e.Name = "billing", "", delivery.Orchestration, ""
		}
		if i%4 == 0 {
			e.Status = delivery.StatusTerminal
		}
		if i == 7 || i == 2 {
			e.Trigger.Type, e.Trigger.Document = "webhook", json.RawMessage(fmt.Sprintf(`{"type":"webhook","eventId":"event-%d"}`, i))
		}
		all = append(all, create(t, s, e))
	}
	id := func(ns ...int) []delivery.ExecutionID {
		out := []delivery.ExecutionID{}
		for _, n := range ns {
			out = append(out, all[n].ID)
		}
		return out
	}
	for _, row := range []struct {
		name   string
		filter delivery.ExecutionFilter
		want   []delivery.ExecutionID
	}{
		{"all, newest first", delivery.ExecutionFilter{}, id(11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)},
		{"a page", delivery.ExecutionFilter{Offset: 2, Limit: 3}, id(9, 8, 7)},
		{"beyond the end", delivery.ExecutionFilter{Offset: 20, Limit: 3}, id()},
		{"ids, unknown ones left out", delivery.ExecutionFilter{IDs: append(id(1, 4), "unknown")}, id(4, 1)},
		{"application, ignoring case", delivery.ExecutionFilter{Application: "Billing"}, id(5)},
		{"type", delivery.ExecutionFilter{Type: delivery.Orchestration}, id(5)},
		{"name", delivery.ExecutionFilter{Name: "two-regions"}, id(9, 6, 3, 0)},
		{"statuses", delivery.ExecutionFilter{Statuses: []delivery.Status{delivery.StatusTerminal, delivery.StatusPaused}}, id(8, 4, 0)},
		{"build time", delivery.ExecutionFilter{From: after(time.Second), To: after(2 * time.Second)}, id(5, 4, 3, 2)},
		{"pipelines", delivery.ExecutionFilter{PipelineConfigIDs: []string{p2, "unknown"}}, id(9, 6, 3, 0)},
		{"newest of each named pipeline", delivery.ExecutionFilter{PipelineConfigIDs: []string{p1, p2, p2}, LimitPerPipeline: 1}, id(11, 9)},
		{"newest two of each pipeline of an application", delivery.ExecutionFilter{Application: "storefront", LimitPerPipeline: 2}, id(11, 10, 9, 6)},
		{"limit counts after the statuses", delivery.ExecutionFilter{Application: "storefront", LimitPerPipeline: 1,
			Statuses: []delivery.Status{delivery.StatusTerminal}}, id(8, 0)},
		{"oldest first", delivery.ExecutionFilter{OldestFirst: true, Offset: 1, Limit: 2}, id(1, 2)},
		{"types of triggers", delivery.ExecutionFilter{TriggerTypes: []string{"webhook", "cron"}}, id(7, 2)},
		{"event", delivery.ExecutionFilter{EventID: "event-2"}, id(2)},
		{"event that nobody had", delivery.ExecutionFilter{EventID: "event-3"}, id()},
		{"trigger", delivery.ExecutionFilter{Trigger: ofWebhook}, id(7, 2)},
		{"a page by trigger", delivery.ExecutionFilter{Trigger: ofWebhook, Offset: 1, Limit: 1}, id(2)},
		{"by trigger, oldest first", delivery.ExecutionFilter{Trigger: ofWebhook, OldestFirst: true, Limit: 1}, id(2)},
		{"trigger after the rest", delivery.ExecutionFilter{Trigger: ofWebhook, Name: "two-regions"}, id()},
		{"limit of each and in all", delivery.ExecutionFilter{Application: "storefront", LimitPerPipeline: 2, Offset: 1, Limit: 2}, id(10, 9)},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := s.Executions(ctx, row.filter)
			noError(t, err)
			same(t, ids(got), row.want)
		})
	}
	t.Run("whole executions", func(t *testing.T) {
		got, err := s.Executions(ctx, delivery.ExecutionFilter{})
		noError(t, err)
		slices.Reverse(got)
		same(t, got, all)
	})
}

func ofWebhook(t delivery.Trigger) bool { return t.Type == "webhook" && t.EventID() != "" }

// executionDeletion: what is deleted is in no list, and its keys are still taken.
func executionDeletion(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	n := delivery.NewExecution{Execution: execution(1), CorrelationID: "correlation"}
	e := must(s.CreateExecution(ctx, n)).created(t)
	other := create(t, s, execution(2))
	kind(t, delivery.NotFound, s.DeleteExecution(ctx, "unknown"))
	kind(t, delivery.Conflict, s.DeleteExecution(ctx, e.ID))
	e.Status, e.Version = delivery.StatusSucceeded, 2
	if _, err := s.ProjectExecution(ctx, e, nil); err != nil {
		t.Fatal(err)
	}
	noError(t, s.DeleteExecution(ctx, e.ID))
	kind(t, delivery.NotFound, s.DeleteExecution(ctx, e.ID))
	for name, filter := range map[string]delivery.ExecutionFilter{
		"all": {}, "ids": {IDs: []delivery.ExecutionID{e.ID, other.ID}}, "each pipeline": {Application: "storefront", LimitPerPipeline: 5},
		"trigger": {Trigger: func(delivery.Trigger) bool { return true }},
	} {
		got, err := s.Executions(ctx, filter)
		noError(t, err)
		if len(got) != 1 || got[0].ID != other.ID {
			t.Errorf("%s: %v, want the other alone", name, ids(got))
		}
	}
	got, err := s.Execution(ctx, e.ID)
	noError(t, err)
	if !got.Deleted {
		t.Error("the execution does not say that it is deleted")
	}
	again := n
	again.Execution = execution(3)
	same(t, must(s.CreateExecution(ctx, again)).repeated(t).ID, e.ID)
}

// pendingStarts are the executions that are to be started.
func pendingStarts(t *testing.T, s *store.Store, limit int) []delivery.ExecutionID {
	t.Helper()
	found, err := s.PendingStarts(t.Context(), limit)
	noError(t, err)
	out := []delivery.ExecutionID{}
	for _, p := range found {
		out = append(out, p.Execution)
	}
	return out
}

// markStarted marks the start of an execution, if it is to be started.
func markStarted(t *testing.T, s *store.Store, id delivery.ExecutionID) {
	t.Helper()
	found, err := s.PendingStarts(t.Context(), 0)
	noError(t, err)
	for _, p := range found {
		if p.Execution == id {
			noError(t, s.MarkStarted(t.Context(), p))
		}
	}
}

func outbox(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	for i := range 3 {
		create(t, s, execution(3-i))
	}
	failed := execution(9)
	failed.Status = delivery.StatusTerminal
	create(t, s, failed)
	pending := func(limit int, want ...int) {
		t.Helper()
		got := pendingStarts(t, s, limit)
		wanted := []delivery.ExecutionID{}
		for _, n := range want {
			wanted = append(wanted, execution(n).ID)
		}
		same(t, got, wanted)
	}
	pending(0, 3, 2, 1) // as they came; one that failed before its start is none
	pending(2, 3, 2)
	first, err := s.PendingStarts(ctx, 1)
	noError(t, err)
	for range 2 {
		noError(t, s.MarkStarted(ctx, first[0]))
	}
	pending(0, 2, 1)
}
