package workflows

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/expression"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// endings is a store with executions that have ended.
type endings struct {
	*memory
	pending []delivery.PendingEnd
	ends    int64 // so many there were
}

func (e *endings) PendingEnds(_ context.Context, after int64, limit int) (ends []delivery.PendingEnd, err error) {
	return ends, e.do(func() error {
		for _, end := range e.pending {
			if end.Place > after && len(ends) < limit {
				ends = append(ends, end)
			}
		}
		return nil
	})
}

func (e *endings) MarkFollowed(_ context.Context, id delivery.ExecutionID, restarts int) error {
	return e.do(func() error {
		e.pending = slices.DeleteFunc(e.pending, func(x delivery.PendingEnd) bool { return x.ID == id && x.Restarts == restarts })
		return nil
	})
}

func (e *endings) TriggeredPipelines(_ context.Context, kind, source, after string, limit int) (found []delivery.Pipeline, err error) {
	return found, e.do(func() error {
		for _, id := range slices.Sorted(maps.Keys(e.pipelines)) {
			if id > after && len(found) < limit && slices.Contains(pipeline.TriggerSources(e.pipelines[id].Document), pipeline.NewTriggerSource(kind, source)) {
				found = append(found, e.pipelines[id])
			}
		}
		return nil
	})
}

func newEndings(seed int64) *endings { return &endings{memory: newMemory(seed)} }

// end records an execution of pipeline "parent" that has ended.
func (e *endings) end(id delivery.ExecutionID, status delivery.Status, depth int) delivery.Execution {
	ended := delivery.Execution{ID: id, Application: "shop", Name: "build", PipelineConfigID: "parent", Status: status,
		Trigger: delivery.Trigger{Type: "manual", Depth: depth, Parameters: json.RawMessage(`{"v":"7"}`)},
		Stages:  []delivery.Stage{{RefID: "1", Name: "Bake", Type: "wait", Status: status, Outputs: json.RawMessage(`{"image":"shop-7"}`)}}}
	e.executions[id] = ended
	e.ends++
	e.pending = append(e.pending, delivery.PendingEnd{Execution: ended, Place: e.ends})
	return ended
}

// waits saves a pipeline that waits for an end of "parent", with more fields.
func (e *endings) waits(id, status, more string) {
	e.pipelines[id] = delivery.Pipeline{ID: id, Application: "shop", Name: id, Document: json.RawMessage(fmt.Sprintf(
		`{"stages":[{"refId":"1","type":"wait","waitTime":1}],"triggers":[{"type":"pipeline","pipeline":"parent","status":[%q]}]%s}`, status, more))}
}

// startedBy are the executions that the end of one started, by pipeline.
func (e *endings) startedBy(parent delivery.ExecutionID) map[string]int {
	out := map[string]int{}
	for _, x := range e.executions {
		if x.Trigger.ParentExecution == parent {
			out[x.PipelineConfigID]++
		}
	}
	return out
}

func quietFollower(store endRecords) *Follower {
	f := NewFollower(store, time.Hour, slog.New(slog.DiscardHandler))
	f.now = func() time.Time { return march8 }
	return f
}

func TestFollower(t *testing.T) {
	s := newEndings(1)
	s.waits("good", "successful", "")
	s.waits("bad", "failed", "")
	s.waits("needs", "successful", `,"parameterConfig":[{"name":"image","required":true}]`)
	s.end("E1", delivery.StatusSucceeded, 0)
	s.end("E2", delivery.StatusTerminal, pipeline.MaxChain)
	quietFollower(s).drain(t.Context())
	if len(s.pending) != 0 {
		t.Errorf("not followed: %v", s.pending)
	}
	if got := s.startedBy("E1"); !maps.Equal(got, map[string]int{"good": 1, "needs": 1}) {
		t.Errorf("success started %v", got)
	}
	if got := s.startedBy("E2"); !maps.Equal(got, map[string]int{"bad": 1}) {
		t.Errorf("failure started %v", got)
	}
	for _, e := range s.executions {
		reason := ""
		switch e.PipelineConfigID {
		case "needs":
			reason = "Required parameter image is missing"
		case "bad":
			reason = "21 pipelines have started one another in a row"
		case "good":
			if e.Trigger.Type != "pipeline" || e.Trigger.Depth != 1 || e.Status != delivery.StatusNotStarted || !strings.Contains(string(e.Trigger.Document), `"parentPipelineName":"build"`) {
				t.Errorf("execution %+v", e)
			}
		}
		if reason != "" && (e.Status != delivery.StatusTerminal || !strings.Contains(e.CancellationReason, reason)) {
			t.Errorf("%s ended %s: %s", e.PipelineConfigID, e.Status, e.CancellationReason)
		}
	}
	if len(s.outbox) != 1 {
		t.Errorf("%d are to be started, want 1", len(s.outbox))
	}
}

// TestFollowerOfRestarts: each end of an execution that was restarted starts what waits
// for it, as the execution was then, and once.
func TestFollowerOfRestarts(t *testing.T) {
	s := newEndings(1)
	s.waits("good", "successful", "")
	s.waits("bad", "failed", "")
	first := s.end("E1", delivery.StatusTerminal, 0)
	again := s.end("E1", delivery.StatusSucceeded, 0) // before anybody followed the first
	s.pending[1].Restarts = 1
	again.Restarts = 1
	quietFollower(s).drain(t.Context())
	if got := s.startedBy("E1"); !maps.Equal(got, map[string]int{"good": 1, "bad": 1}) {
		t.Errorf("the ends started %v", got)
	}
	third := again
	third.Restarts = 2
	s.pending = []delivery.PendingEnd{{Execution: first, Place: 3}, {Execution: again, Place: 4}, {Execution: third, Place: 5}} // two of them repeated
	quietFollower(s).drain(t.Context())
	if got := s.startedBy("E1"); !maps.Equal(got, map[string]int{"good": 2, "bad": 1}) || len(s.pending) != 0 {
		t.Errorf("after another restart the ends started %v; %d stay", got, len(s.pending))
	}
}

// TestFollowersUnderFaults: whatever the store does and however many follow, each end
// starts each pipeline that waits for it once.
func TestFollowersUnderFaults(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newEndings(rapid.Int64().Draw(t, "seed"))
		s.failing = rapid.Float64Range(0, 0.3).Draw(t, "failing") // one end takes nine calls that all succeed
		children, ends := rapid.IntRange(1, 5).Draw(t, "children"), rapid.IntRange(1, 8).Draw(t, "ends")
		want := map[string]int{}
		for i := range children {
			s.waits(fmt.Sprint("c", i), "successful", "")
			want[fmt.Sprint("c", i)] = 1
		}
		for i := range ends {
			s.end(delivery.ExecutionID(fmt.Sprint("E", i)), delivery.StatusSucceeded, 0)
		}
		for tries := 0; len(s.pending) > 0; tries++ {
			if tries > 1000 {
				t.Fatal("ends stay")
			}
			quietFollower(s).drain(context.Background()) // a new process each time
		}
		for i := range ends {
			if got := s.startedBy(delivery.ExecutionID(fmt.Sprint("E", i))); !maps.Equal(got, want) {
				t.Fatalf("end %d started %v, want %v", i, got, want)
			}
		}
	})
}

// TestArtifactsInExpressions: what a start was bound to is read by Spinnaker's functions.
func TestArtifactsInExpressions(t *testing.T) {
	p := delivery.Pipeline{ID: "p", Document: json.RawMessage(`{"stages":[{"type":"wait","waitTime":1}],"expectedArtifacts":[{"id":"x","matchArtifact":{"type":"docker/image"}}]}`)}
	d, err := pipeline.Parse(p.Document)
	if err != nil {
		t.Fatal(err)
	}
	n, err := pipeline.Start(p, d, delivery.Trigger{Type: "webhook", Document: json.RawMessage(`{"artifacts":[{"type":"docker/image","name":"shop","reference":"shop:7"}]}`)}, newID, march8, nil)
	if err != nil {
		t.Fatal(err)
	}
	env, _, err := newActivities(Dependencies{Store: newMemory(1)}, nil).environment(t.Context(), n.Execution, "", march8)
	if err != nil {
		t.Fatal(err)
	}
	out, err := expression.Evaluate(json.RawMessage(`{"v":"${#triggerResolvedArtifactByType('docker/image')['reference']} ${#triggerResolvedArtifact('shop').reference} ${trigger['artifacts'][0]['reference']}"}`), env)
	if err != nil || string(out) != `{"v":"shop:7 shop:7 shop:7"}` {
		t.Errorf("%s, %v", out, err)
	}
}

// TestParentInExpressions: expressions see the execution that started one whole, those
// before it without stages, and of one that is gone the id.
func TestParentInExpressions(t *testing.T) {
	s := newEndings(1)
	parent := s.end("E1", delivery.StatusSucceeded, 1)
	parent.Trigger.ParentExecution = "E0"
	s.executions["E1"] = parent
	top := s.end("E0", delivery.StatusSucceeded, 0)
	top.Name = "top"
	s.executions["E0"] = top
	a := newActivities(Dependencies{Store: s.memory}, nil)
	child := delivery.Execution{ID: "E2", Trigger: delivery.Trigger{Type: "pipeline", ParentExecution: "E1", Depth: 2}}
	evaluate := func(text string) string {
		t.Helper()
		env, _, err := a.environment(t.Context(), child, "", march8)
		if err != nil {
			t.Fatal(err)
		}
		document, err := json.Marshal(map[string]string{"v": text})
		if err != nil {
			t.Fatal(err)
		}
		out, err := expression.Evaluate(document, env)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	for text, want := range map[string]string{
		"${trigger.parentExecution.stages.?[name == 'Bake'][0].outputs.image}":                                                     `{"v":"shop-7"}`,
		"${trigger['parentExecution']['trigger']['parameters']['v']}":                                                              `{"v":"7"}`,
		"${trigger.parentExecution.trigger.parentExecution.name} ${trigger.parentExecution.trigger.parentExecution.stages.size()}": `{"v":"top 0"}`,
	} {
		if got := evaluate(text); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
	delete(s.executions, "E1")
	if got := evaluate("${trigger.parentExecution.id}"); got != `{"v":"E1"}` {
		t.Errorf("of a parent that is gone %s is left", got)
	}
}

// unread is a store that cannot tell what waits for some of the ends.
type unread struct{ *endings }

func (u unread) TriggeredPipelines(ctx context.Context, kind, source, after string, limit int) ([]delivery.Pipeline, error) {
	if source == "unread" {
		return nil, delivery.Errorf(delivery.Unavailable, "no answer")
	}
	return u.endings.TriggeredPipelines(ctx, kind, source, after, limit)
}

// TestFollowerIsNotHeldUp by any number of ends that cannot be followed now.
func TestFollowerIsNotHeldUp(t *testing.T) {
	s := newEndings(1)
	s.waits("waiting", "successful", "")
	const before = 2*endsPage + 1
	for i := range before + 1 {
		s.end(delivery.ExecutionID(fmt.Sprint("E", i)), delivery.StatusSucceeded, 0)
	}
	for i := range before {
		s.pending[i].PipelineConfigID = "unread"
	}
	NewFollower(unread{s}, time.Hour, slog.New(slog.DiscardHandler)).drain(t.Context())
	if got := s.startedBy(delivery.ExecutionID(fmt.Sprint("E", before))); len(got) != 1 || len(s.pending) != before {
		t.Errorf("started %v; %d stay, want %d", got, len(s.pending), before)
	}
}
