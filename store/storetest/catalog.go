package storetest

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/store"
)

func applications(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	first := delivery.Application{
		Name: "StoreFront", Attributes: json.RawMessage(`{"email":"a@example.com","unknown":[1]}`),
		CreatedAt: base(), UpdatedAt: base(), LastModifiedBy: "a@example.com",
	}
	noError(t, s.SaveApplication(ctx, first))
	noError(t, s.SaveApplication(ctx, delivery.Application{Name: "billing", CreatedAt: base(), UpdatedAt: base()}))
	second := first
	second.Attributes, second.CreatedAt, second.UpdatedAt = json.RawMessage(`{"email":"b@example.com"}`), after(time.Hour), after(time.Hour)
	noError(t, s.SaveApplication(ctx, second))

	want := second
	want.Name, want.CreatedAt = "storefront", base()
	got, err := s.Application(ctx, "STOREFRONT")
	noError(t, err)
	same(t, got, want)
	all, err := s.Applications(ctx)
	noError(t, err)
	same(t, all, []delivery.Application{
		{Name: "billing", Attributes: json.RawMessage(`{}`), CreatedAt: base(), UpdatedAt: base()}, want})

	history, err := s.DocumentHistory(ctx, delivery.ApplicationDocument, "storefront", 0)
	noError(t, err)
	if len(history) != 2 || string(history[0].Content) != string(second.Attributes) || history[0].Revision != 2 || !history[0].CreatedAt.Equal(base()) {
		t.Fatalf("history %+v", history)
	}

	kind(t, delivery.Invalid, s.SaveApplication(ctx, delivery.Application{Name: "bad", Attributes: json.RawMessage(`{`)}))
	_, err = s.Application(ctx, "bad")
	kind(t, delivery.NotFound, err)

	saved, err := s.SavePipeline(ctx, delivery.Pipeline{Application: "storefront", Name: "p"}, delivery.PipelineExpectation{})
	noError(t, err)
	noError(t, s.DeleteApplication(ctx, "Storefront"))
	kind(t, delivery.NotFound, s.DeleteApplication(ctx, "storefront"))
	_, err = s.PipelineByID(ctx, saved.ID)
	kind(t, delivery.NotFound, err)
}

func pipeline(name string, index int) delivery.Pipeline {
	return delivery.Pipeline{
		Application: "storefront", Name: name, Index: index,
		Document:  json.RawMessage(`{"name":"` + name + `","keepWaitingPipelines":false,"x":{"unknown":true}}`),
		UpdatedAt: base(), LastModifiedBy: "joe@example.com",
	}
}

func save(t *testing.T, s *store.Store, p delivery.Pipeline) delivery.Pipeline {
	t.Helper()
	saved, err := s.SavePipeline(t.Context(), p, delivery.PipelineExpectation{})
	noError(t, err)
	return saved
}

func pipelineLife(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	one := save(t, s, pipeline("Rolling", 1))
	want := pipeline("Rolling", 1)
	want.ID, want.Revision = one.ID, 1
	same(t, one, want)
	if len(one.ID) != 36 {
		t.Fatalf("id %q is no UUID", one.ID)
	}
	zero := save(t, s, pipeline("two-regions", 0))
	other := pipeline("elsewhere", 0)
	other.Application = "billing"
	elsewhere := save(t, s, other)

	changed := one
	changed.Name, changed.Disabled, changed.UpdatedAt = "Renamed", true, after(time.Minute)
	changed = save(t, s, changed)
	if changed.Revision != 2 {
		t.Fatalf("revision = %d, want 2", changed.Revision)
	}
	for _, nameOrID := range []string{"renamed", one.ID} {
		got, err := s.Pipeline(ctx, "StoreFront", nameOrID)
		noError(t, err)
		same(t, got, changed)
	}
	_, err := s.Pipeline(ctx, "storefront", "Rolling")
	kind(t, delivery.NotFound, err)
	_, err = s.Pipeline(ctx, "billing", one.ID)
	kind(t, delivery.NotFound, err)
	of, err := s.Pipelines(ctx, "storefront")
	noError(t, err)
	same(t, of, []delivery.Pipeline{zero, changed})
	all, err := s.Pipelines(ctx, "")
	noError(t, err)
	same(t, all, []delivery.Pipeline{elsewhere, zero, changed})

	kind(t, delivery.NotFound, s.DeletePipeline(ctx, "storefront", "renamed", "another"))
	noError(t, s.DeletePipeline(ctx, "storefront", "RENAMED", ""))
	kind(t, delivery.NotFound, s.DeletePipeline(ctx, "storefront", "renamed", ""))
	history, err := s.PipelineHistory(ctx, one.ID, 0)
	noError(t, err)
	same(t, history, []delivery.Pipeline{changed, one})
	earlier, err := s.PipelineRevision(ctx, one.ID, 1)
	noError(t, err)
	same(t, earlier, one)
	_, err = s.PipelineRevision(ctx, one.ID, 3)
	kind(t, delivery.NotFound, err)

	// A pipeline that comes back goes on counting.
	back := save(t, s, one)
	if back.Revision != 3 {
		t.Fatalf("revision = %d, want 3", back.Revision)
	}
	history, err = s.PipelineHistory(ctx, one.ID, 2)
	noError(t, err)
	same(t, history, []delivery.Pipeline{back, changed})
}

func pipelineNames(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	one := save(t, s, pipeline("Rolling", 1))
	two := save(t, s, pipeline("other", 2))

	_, err := s.SavePipeline(ctx, pipeline(" rolling ", 3), delivery.PipelineExpectation{})
	kind(t, delivery.Invalid, err)
	two.Name = "ROLLING"
	_, err = s.SavePipeline(ctx, two, delivery.PipelineExpectation{})
	kind(t, delivery.Invalid, err)
	history, err := s.PipelineHistory(ctx, two.ID, 0)
	noError(t, err)
	if len(history) != 1 {
		t.Fatalf("a refused save left %d revisions, want 1", len(history))
	}
	elsewhere := pipeline("Rolling", 1)
	elsewhere.Application = "billing"
	save(t, s, elsewhere)
	one.Name = "rolling" // its own name in another case
	save(t, s, one)

	created := atOnce(50, func(int) error {
		_, err := s.SavePipeline(ctx, pipeline("raced", 9), delivery.PipelineExpectation{})
		return err
	})
	winners := 0
	for _, err := range created {
		if err == nil {
			winners++
			continue
		}
		kind(t, delivery.Invalid, err)
	}
	if winners != 1 {
		t.Fatalf("%d of 50 saves of one name were accepted, want 1", winners)
	}
}

// saveKeys: a save with a key is made once, and what it saved is found by the key
// whatever becomes of the pipeline.
func saveKeys(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	_, err := s.PipelineOfSave(ctx, "e/1")
	kind(t, delivery.NotFound, err)
	_, err = s.PipelineOfSave(ctx, "")
	kind(t, delivery.NotFound, err)
	var all sync.WaitGroup
	results := make([]delivery.Pipeline, 8)
	for i := range results {
		all.Go(func() {
			saved, err := s.SavePipeline(ctx, pipeline("keyed", 1), delivery.PipelineExpectation{Key: "e/1"})
			if err != nil {
				t.Error(err)
			}
			results[i] = saved
		})
	}
	all.Wait()
	first := results[0]
	for _, r := range results {
		same(t, r, first)
	}
	same(t, first.Revision, 1)

	changed := first
	changed.Index = 7
	changed = save(t, s, changed)
	stale := delivery.PipelineExpectation{Key: "e/1", Revision: 99, UpdatedAt: after(time.Hour)}
	again, err := s.SavePipeline(ctx, first, stale)
	noError(t, err)
	same(t, again, first)
	stored, err := s.PipelineByID(ctx, first.ID)
	noError(t, err)
	same(t, stored, changed)
	stale.Key = "e/2" // another save
	_, err = s.SavePipeline(ctx, first, stale)
	kind(t, delivery.Conflict, err)

	noError(t, s.DeletePipeline(ctx, "storefront", "keyed", ""))
	again, err = s.SavePipeline(ctx, first, delivery.PipelineExpectation{Key: "e/1"})
	noError(t, err)
	same(t, again, first)
	again, err = s.PipelineOfSave(ctx, "e/1")
	noError(t, err)
	same(t, again, first)
	_, err = s.PipelineByID(ctx, first.ID)
	kind(t, delivery.NotFound, err)
}

func pipelineExpectations(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	stored := save(t, s, pipeline("Rolling", 1))
	for _, row := range []struct {
		name   string
		expect delivery.PipelineExpectation
		id     string
		want   delivery.Kind // Internal stands for no error
	}{
		{"stale revision", delivery.PipelineExpectation{Revision: 7}, stored.ID, delivery.Conflict},
		{"stale time", delivery.PipelineExpectation{UpdatedAt: after(-time.Second)}, stored.ID, delivery.Conflict},
		{"unknown pipeline", delivery.PipelineExpectation{Revision: 1}, "5b8e0f52-3d8e-4a49-9d3c-0a0000000009", delivery.Conflict},
		{"same revision", delivery.PipelineExpectation{Revision: 1}, stored.ID, delivery.Internal},
		{"same millisecond", delivery.PipelineExpectation{UpdatedAt: base().Truncate(time.Millisecond)}, stored.ID, delivery.Internal},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := pipeline("Rolling", 1)
			p.ID = row.id
			_, err := s.SavePipeline(ctx, p, row.expect)
			if row.want == delivery.Internal {
				noError(t, err)
				return
			}
			kind(t, row.want, err)
		})
	}
	winners := 0
	for _, err := range atOnce(20, func(int) error {
		p := pipeline("Rolling", 1)
		p.ID = stored.ID
		_, err := s.SavePipeline(ctx, p, delivery.PipelineExpectation{Revision: 3})
		return err
	}) {
		if err == nil {
			winners++
			continue
		}
		kind(t, delivery.Conflict, err)
	}
	if winners != 1 {
		t.Fatalf("%d of 20 saves that expected one revision were accepted, want 1", winners)
	}
}

func pipelinesSavedSince(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, name := range []string{"second", "first", "third"} {
		p := pipeline(name, i)
		p.UpdatedAt = at.Add(time.Duration([]int{1, 0, 2}[i]) * time.Hour)
		save(t, s, p)
	}
	for _, tt := range []struct {
		since time.Time
		want  string
	}{{time.Time{}, "[first second third]"}, {at.Add(time.Hour), "[second third]"}, {at.Add(3 * time.Hour), "[]"}} {
		found, err := s.PipelinesSavedSince(ctx, tt.since)
		noError(t, err)
		names := []string{}
		for _, p := range found {
			names = append(names, p.Name)
		}
		if fmt.Sprint(names) != tt.want {
			t.Errorf("since %s: %s, want %s", tt.since, names, tt.want)
		}
	}
}

// pipelinesTogether: of several saves all are made or none.
func pipelinesTogether(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	one, two := save(t, s, pipeline("one", 0)), save(t, s, pipeline("two", 1))
	one.Index, two.Index = 1, 0
	_, err := s.SavePipelines(ctx, []delivery.PipelineSave{
		{Pipeline: one, Expect: delivery.PipelineExpectation{Revision: 1}}, {Pipeline: two, Expect: delivery.PipelineExpectation{Revision: 9}}})
	kind(t, delivery.Conflict, err)
	_, err = s.SavePipeline(ctx, one, delivery.PipelineExpectation{Absent: true})
	kind(t, delivery.Conflict, err)
	stored, err := s.PipelineByID(ctx, one.ID)
	noError(t, err)
	if stored.Revision != 1 || stored.Index != 0 {
		t.Fatalf("a refused save left revision %d and index %d", stored.Revision, stored.Index)
	}
	saved, err := s.SavePipelines(ctx, []delivery.PipelineSave{
		{Pipeline: one, Expect: delivery.PipelineExpectation{Revision: 1}}, {Pipeline: two, Expect: delivery.PipelineExpectation{Revision: 1}}})
	noError(t, err)
	of, err := s.Pipelines(ctx, "storefront")
	noError(t, err)
	same(t, of, []delivery.Pipeline{saved[1], saved[0]})
}
