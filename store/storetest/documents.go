package storetest

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/store"
)

func strategy(id, name string) delivery.Document {
	return delivery.Document{Kind: delivery.StrategyDocument, ID: id, Name: name, Applications: []string{"Storefront"},
		Content: json.RawMessage(`{"x":{"unknown":true}}`), UpdatedAt: base(), LastModifiedBy: "joe@example.com"}
}

func put(t *testing.T, s *store.Store, d delivery.Document, expect delivery.DocumentExpectation) delivery.Document {
	t.Helper()
	out, err := s.ChangeDocuments(t.Context(), delivery.DocumentChange{Document: d, Expect: expect})
	noError(t, err)
	return out[0]
}

func documentLife(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	one := put(t, s, strategy("", " Careful "), delivery.DocumentExpectation{Absent: true})
	want := strategy(one.ID, "Careful")
	want.Applications, want.Revision, want.CreatedAt = []string{"storefront"}, 1, base()
	same(t, one, want)
	if len(one.ID) != 36 {
		t.Fatalf("id %q is no UUID", one.ID)
	}
	changed := one
	changed.Name, changed.UpdatedAt, changed.CreatedAt = "bold", after(time.Hour), after(time.Hour)
	changed = put(t, s, changed, delivery.DocumentExpectation{Revision: 1})
	want = one
	want.Name, want.UpdatedAt, want.Revision = "bold", after(time.Hour), 2
	same(t, changed, want)
	got, err := s.Document(ctx, delivery.StrategyDocument, one.ID)
	noError(t, err)
	same(t, got, changed)
	_, err = s.Document(ctx, delivery.ProjectDocument, one.ID)
	kind(t, delivery.NotFound, err)

	end := delivery.Document{Kind: delivery.StrategyDocument, ID: one.ID, UpdatedAt: after(2 * time.Hour), LastModifiedBy: "ann"}
	gone, err := s.ChangeDocuments(ctx, delivery.DocumentChange{Document: end, Delete: true})
	noError(t, err)
	want = changed
	want.Revision, want.UpdatedAt, want.LastModifiedBy, want.Deleted = 3, after(2*time.Hour), "ann", true
	same(t, gone[0], want)
	_, err = s.Document(ctx, delivery.StrategyDocument, one.ID)
	kind(t, delivery.NotFound, err)
	_, err = s.ChangeDocuments(ctx, delivery.DocumentChange{Document: end, Delete: true})
	kind(t, delivery.NotFound, err)

	// A document that comes back goes on counting.
	if back := put(t, s, one, delivery.DocumentExpectation{Absent: true}); back.Revision != 4 {
		t.Fatalf("revision = %d, want 4", back.Revision)
	}
	history, err := s.DocumentHistory(ctx, delivery.StrategyDocument, one.ID, 3)
	noError(t, err)
	same(t, history[1:], []delivery.Document{gone[0], changed})
}

func documentNames(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	canary := func(id, name string, applications ...string) delivery.Document {
		d := strategy(id, name)
		d.Kind, d.Applications = delivery.CanaryConfigDocument, applications
		return d
	}
	put(t, s, canary("1", "latency", "storefront", "billing"), delivery.DocumentExpectation{})
	put(t, s, canary("2", "Latency", "search"), delivery.DocumentExpectation{})
	put(t, s, canary("3", "latency"), delivery.DocumentExpectation{})
	for _, taken := range []delivery.Document{canary("4", "LATENCY", "billing"), canary("4", "latency", "other", "Storefront"), canary("4", "latency")} {
		_, err := s.ChangeDocuments(ctx, delivery.DocumentChange{Document: taken})
		kind(t, delivery.Invalid, err)
	}
	if history, err := s.DocumentHistory(ctx, delivery.CanaryConfigDocument, "4", 0); err != nil || len(history) != 0 {
		t.Fatalf("refused saves left %d revisions: %v", len(history), err)
	}
	put(t, s, canary("1", "latency", "storefront"), delivery.DocumentExpectation{}) // gives billing's name free
	put(t, s, canary("4", "latency", "billing"), delivery.DocumentExpectation{})
	for application, want := range map[string][]string{"": {"1", "2", "3", "4"}, "Billing": {"4"}, "storefront": {"1"}, "nothing": nil} {
		found, err := s.Documents(ctx, delivery.CanaryConfigDocument, application)
		noError(t, err)
		var ids []string
		for _, d := range found {
			ids = append(ids, d.ID)
		}
		if slices.Sort(ids); !slices.Equal(ids, want) {
			t.Errorf("documents of %q: %v, want %v", application, ids, want)
		}
	}
}

// documentsTogether: of several changes all are made or none, and only one of many
// who saw the same revision wins.
func documentsTogether(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	one := put(t, s, strategy("1", "one"), delivery.DocumentExpectation{})
	for name, second := range map[string]delivery.DocumentChange{
		"stale":    {Document: strategy("1", "uno"), Expect: delivery.DocumentExpectation{Revision: 7}},
		"missing":  {Document: strategy("3", "three"), Expect: delivery.DocumentExpectation{Revision: 1}},
		"existing": {Document: strategy("1", "uno"), Expect: delivery.DocumentExpectation{Absent: true}},
	} {
		_, err := s.ChangeDocuments(ctx, delivery.DocumentChange{Document: strategy("2", "two")}, second)
		if delivery.KindOf(err) != delivery.Conflict {
			t.Errorf("%s: %v, want Conflict", name, err)
		}
	}
	found, err := s.Documents(ctx, delivery.StrategyDocument, "")
	noError(t, err)
	same(t, found, []delivery.Document{one})

	winners := 0
	for _, err := range atOnce(20, func(int) error {
		_, err := s.ChangeDocuments(ctx, delivery.DocumentChange{Document: strategy("1", "one"), Expect: delivery.DocumentExpectation{Revision: 1}})
		return err
	}) {
		if err == nil {
			winners++
			continue
		}
		kind(t, delivery.Conflict, err)
	}
	if winners != 1 {
		t.Fatalf("%d of 20 changes that expected one revision were made, want 1", winners)
	}
}

func documentsOfADeletedApplication(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	noError(t, s.SaveApplication(ctx, delivery.Application{Name: "storefront"}))
	put(t, s, strategy("1", "one"), delivery.DocumentExpectation{})
	other := strategy("2", "one")
	other.Applications = []string{"billing"}
	put(t, s, other, delivery.DocumentExpectation{})
	config := strategy("3", "shared")
	config.Kind = delivery.CanaryConfigDocument
	put(t, s, config, delivery.DocumentExpectation{})
	noError(t, s.DeleteApplication(ctx, "Storefront"))
	_, err := s.Document(ctx, delivery.StrategyDocument, "1")
	kind(t, delivery.NotFound, err)
	for kind, id := range map[delivery.DocumentKind]string{delivery.StrategyDocument: "2", delivery.CanaryConfigDocument: "3"} {
		_, err := s.Document(ctx, kind, id)
		noError(t, err)
	}
}
