package storetest

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/store"
)

// withTriggers is a pipeline with an id and triggers.
func withTriggers(id, triggers string) delivery.Pipeline {
	p := pipeline(id, 0)
	p.ID, p.Document = id, json.RawMessage(fmt.Sprintf(`{"triggers":[%s]}`, triggers))
	return p
}

func triggered(t *testing.T, s *store.Store, kind, source string) []string {
	t.Helper()
	found, err := s.TriggeredPipelines(t.Context(), kind, source, "", 0)
	noError(t, err)
	out := []string{}
	for _, p := range found {
		out = append(out, p.ID)
	}
	return out
}

func triggerIndex(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	const ci = `{"type":"webhook","source":"ci"}`
	save(t, s, withTriggers("a", ci+`,{"type":"webhook","source":"ci","payloadConstraints":{}},{"type":"git","source":"GitHub","project":"x"}`))
	save(t, s, withTriggers("b", ci+`,{"type":"webhook","source":"off","enabled":false},{"type":"cron"},3,{"type":7},{"type":"docker","account":"hub"}`))
	disabled := withTriggers("c", ci)
	disabled.Disabled = true
	save(t, s, disabled)
	same(t, triggered(t, s, "webhook", "ci"), []string{"a", "b"})
	same(t, triggered(t, s, "webhook", "CI"), []string{})
	same(t, triggered(t, s, "webhook", "off"), []string{})
	same(t, triggered(t, s, "git", "github"), []string{"a"})
	same(t, triggered(t, s, "docker", "hub"), []string{"b"})

	page, err := s.TriggeredPipelines(ctx, "webhook", "ci", "", 1)
	noError(t, err)
	same(t, len(page), 1)
	page, err = s.TriggeredPipelines(ctx, "webhook", "ci", page[0].ID, 1)
	noError(t, err)
	same(t, page[0].ID, "b")

	save(t, s, withTriggers("a", `{"type":"webhook","source":"other"}`))
	same(t, triggered(t, s, "webhook", "ci"), []string{"b"})
	same(t, triggered(t, s, "git", "github"), []string{})
	noError(t, s.DeletePipeline(ctx, "storefront", "b", ""))
	same(t, triggered(t, s, "webhook", "ci"), []string{})
}

func triggerCycles(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	on := func(id, more string) string {
		return fmt.Sprintf(`{"type":"pipeline","pipeline":%q,"status":["successful"]%s}`, id, more)
	}
	refused := func(p delivery.Pipeline) {
		t.Helper()
		_, err := s.SavePipeline(ctx, p, delivery.PipelineExpectation{})
		kind(t, delivery.Invalid, err)
		same(t, delivery.FindingsOf(err)[0].Pointer, "/triggers")
	}
	refused(withTriggers("a", on("a", "")))
	save(t, s, withTriggers("a", on("c", ""))) // c comes later
	save(t, s, withTriggers("b", on("a", "")+","+on("d", "")))
	save(t, s, withTriggers("d", on("a", "")))
	refused(withTriggers("c", on("x", "")+","+on("b", "")))
	_, err := s.PipelineByID(ctx, "c")
	kind(t, delivery.NotFound, err)
	save(t, s, withTriggers("c", on("b", `,"enabled":false`)))
	same(t, triggered(t, s, "pipeline", "c"), []string{"a"})
}

func ends(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	pending := func() (found []string) {
		t.Helper()
		ended, err := s.PendingEnds(ctx, 0, 0)
		noError(t, err)
		for i, e := range ended {
			later, err := s.PendingEnds(ctx, e.Place, 1)
			noError(t, err)
			same(t, later, ended[min(i+1, len(ended)):min(i+2, len(ended))])
			found = append(found, fmt.Sprintf("%s %d %s", e.ID, e.Restarts, e.Status))
		}
		return found
	}
	project := func(e delivery.Execution, status delivery.Status) delivery.Execution {
		t.Helper()
		e.Status, e.Version = status, e.Version+1
		_, err := s.ProjectExecution(ctx, e, nil)
		noError(t, err)
		return e
	}
	end := func(n int, config string) delivery.Execution {
		t.Helper()
		e := execution(n)
		e.PipelineConfigID = config
		before := len(pending())
		e = project(create(t, s, e), delivery.StatusRunning)
		same(t, len(pending()), before)
		return project(project(e, delivery.StatusTerminal), delivery.StatusTerminal)
	}
	save(t, s, withTriggers("child", `{"type":"pipeline","pipeline":"parent","status":["failed"]}`))
	first := end(1, "parent")
	end(2, "alone")
	second := end(3, "parent")
	a, b := string(first.ID)+" 0 TERMINAL", string(second.ID)+" 0 TERMINAL"
	same(t, pending(), []string{a, b})

	// A restart leaves the end that was, and leads to another one.
	markStarted(t, s, first.ID)
	first.Status, first.Version, first.Restarts = delivery.StatusNotStarted, first.Version+1, 1
	noError(t, s.ReopenExecution(ctx, first, delivery.Event{Execution: first.ID, Key: "restart", At: after(0), Type: delivery.EventExecution, Data: []byte(`{}`)}))
	same(t, pending(), []string{a, b})
	project(project(first, delivery.StatusRunning), delivery.StatusSucceeded)
	c := string(first.ID) + " 1 SUCCEEDED"
	same(t, pending(), []string{a, b, c})

	noError(t, s.MarkFollowed(ctx, first.ID, 0))
	noError(t, s.MarkFollowed(ctx, first.ID, 0))
	same(t, pending(), []string{b, c})
	noError(t, s.MarkFollowed(ctx, first.ID, 1))
	same(t, pending(), []string{b})
}
