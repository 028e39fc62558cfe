package cloudrun

import (
	"testing"

	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/google/go-cmp/cmp"
)

func to(revision string, percent int32, tag string) *runpb.TrafficTarget {
	return &runpb.TrafficTarget{Type: byRevision, Revision: revision, Percent: percent, Tag: tag}
}

func status(revision string, percent int32) *runpb.TrafficTargetStatus {
	return &runpb.TrafficTargetStatus{Type: byRevision, Revision: revision, Percent: percent}
}

func terminal(state runpb.Condition_State) *runpb.Condition {
	return &runpb.Condition{Type: conditionReady, State: state}
}

func TestPinned(t *testing.T) {
	const path = "projects/p/locations/r/services/shop/revisions/"
	for name, test := range map[string]struct {
		service *runpb.Service
		want    []entry
	}{
		"by name": {&runpb.Service{Traffic: []*runpb.TrafficTarget{to("shop-v001", 90, ""), to("shop-v002", 10, "v002")}},
			[]entry{{"shop-v001", 90, ""}, {"shop-v002", 10, "v002"}}},
		"the latest": {&runpb.Service{LatestReadyRevision: path + "shop-v001", LatestCreatedRevision: path + "shop-v002",
			Traffic: []*runpb.TrafficTarget{{Type: byLatest, Percent: 100, Tag: "live"}}}, []entry{{"shop-v001", 100, "live"}}},
		"no entries":   {&runpb.Service{LatestReadyRevision: path + "shop-v001"}, []entry{{"shop-v001", 100, ""}}},
		"never ready":  {&runpb.Service{LatestCreatedRevision: path + "shop-v001"}, []entry{{"shop-v001", 100, ""}}},
		"no revision":  {&runpb.Service{}, []entry{}},
		"without kind": {&runpb.Service{Traffic: []*runpb.TrafficTarget{{Revision: path + "shop-v001", Percent: 100}}}, []entry{{"shop-v001", 100, ""}}},
	} {
		if diff := cmp.Diff(test.want, pinned(test.service), cmp.AllowUnexported(entry{})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestPercentsAreThoseApplied: what is stored counts only when the service says
// that it applies it.
func TestPercentsAreThoseApplied(t *testing.T) {
	service := func(change func(*runpb.Service)) *runpb.Service {
		s := &runpb.Service{
			Generation: 3, ObservedGeneration: 3, TerminalCondition: terminal(runpb.Condition_CONDITION_SUCCEEDED),
			Traffic:         []*runpb.TrafficTarget{to("a", 20, ""), to("b", 80, "")},
			TrafficStatuses: []*runpb.TrafficTargetStatus{status("a", 100)},
		}
		change(s)
		return s
	}
	stored, applied := map[string]int{"a": 20, "b": 80}, map[string]int{"a": 100}
	for name, test := range map[string]struct {
		change func(*runpb.Service)
		want   map[string]int
	}{
		"settled":        {func(*runpb.Service) {}, stored},
		"reconciling":    {func(s *runpb.Service) { s.Reconciling = true }, applied},
		"not seen yet":   {func(s *runpb.Service) { s.Generation++ }, applied},
		"failed":         {func(s *runpb.Service) { s.TerminalCondition = terminal(runpb.Condition_CONDITION_FAILED) }, applied},
		"says nothing":   {func(s *runpb.Service) { s.TerminalCondition = nil }, applied},
		"never reported": {func(s *runpb.Service) { s.TerminalCondition, s.TrafficStatuses = nil, nil }, map[string]int{}},
	} {
		if diff := cmp.Diff(test.want, percents(service(test.change))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestFingerprint(t *testing.T) {
	base := &runpb.Service{Name: "s", Traffic: []*runpb.TrafficTarget{to("a", 50, "v001"), to("b", 50, "v002")}}
	same := &runpb.Service{Name: "s", Etag: "other", Generation: 7, Traffic: []*runpb.TrafficTarget{to("b", 50, "v002"), to("a", 50, "v001")}}
	if fingerprint(base) != fingerprint(same) {
		t.Error("order or etag changes the fingerprint")
	}
	seen := map[string]bool{fingerprint(base): true}
	for name, other := range map[string]*runpb.Service{
		"weights":        {Name: "s", Traffic: []*runpb.TrafficTarget{to("a", 40, "v001"), to("b", 60, "v002")}},
		"tag":            {Name: "s", Traffic: []*runpb.TrafficTarget{to("a", 50, "v001"), to("b", 50, "")}},
		"another entry":  {Name: "s", Traffic: []*runpb.TrafficTarget{to("a", 50, "v001"), to("b", 50, "v002"), to("c", 0, "v003")}},
		"latest":         {Name: "s", LatestReadyRevision: "b", Traffic: []*runpb.TrafficTarget{to("a", 50, "v001"), {Type: byLatest, Percent: 50, Tag: "v002"}}},
		"another latest": {Name: "s", LatestReadyRevision: "c", Traffic: []*runpb.TrafficTarget{to("a", 50, "v001"), {Type: byLatest, Percent: 50, Tag: "v002"}}},
		"service":        {Name: "s2", Traffic: base.Traffic},
	} {
		if seen[fingerprint(other)] {
			t.Errorf("%s: the fingerprint is one of another routing", name)
		}
		seen[fingerprint(other)] = true
	}
}

// TestIsStored: an entry for the latest revision is never what is wanted, though
// it means the same now.
func TestIsStored(t *testing.T) {
	wanted := []entry{{"b", 0, "v002"}, {"a", 100, "v001"}}
	for name, test := range map[string]struct {
		traffic []*runpb.TrafficTarget
		want    bool
	}{
		"the same":      {[]*runpb.TrafficTarget{to("a", 100, "v001"), to("b", 0, "v002")}, true},
		"by latest":     {[]*runpb.TrafficTarget{{Type: byLatest, Percent: 100, Tag: "v001"}, to("b", 0, "v002")}, false},
		"fewer":         {[]*runpb.TrafficTarget{to("a", 100, "v001")}, false},
		"other weights": {[]*runpb.TrafficTarget{to("a", 99, "v001"), to("b", 1, "v002")}, false},
	} {
		service := &runpb.Service{LatestReadyRevision: "a", Traffic: test.traffic}
		if got := isStored(service, wanted); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestTagsNameOneRevision(t *testing.T) {
	got := dropLostTags([]entry{{"old", 0, "v001"}, {"b", 30, "v002"}, {"a", 70, "v001"}})
	if diff := cmp.Diff([]entry{{"b", 30, "v002"}, {"a", 70, "v001"}}, got, cmp.AllowUnexported(entry{})); diff != "" {
		t.Error(diff)
	}
}

// TestServiceHealth: an entry counts when the service says that it applies it, and
// another revision's failure is not held against it.
func TestServiceHealth(t *testing.T) {
	routes := func(state runpb.Condition_State) []*runpb.Condition {
		return []*runpb.Condition{{Type: conditionRoutes, State: state}}
	}
	for name, test := range map[string]struct {
		service *runpb.Service
		want    string
	}{
		"applied":        {&runpb.Service{Traffic: []*runpb.TrafficTarget{to("a", 100, "")}, TrafficStatuses: []*runpb.TrafficTargetStatus{status("a", 100)}}, "Up"},
		"no entry":       {&runpb.Service{Traffic: []*runpb.TrafficTarget{to("b", 100, "")}}, "OutOfService"},
		"on its way":     {&runpb.Service{Reconciling: true, Traffic: []*runpb.TrafficTarget{to("b", 100, ""), to("a", 0, "v001")}}, "Starting"},
		"not applied":    {&runpb.Service{Traffic: []*runpb.TrafficTarget{to("b", 100, ""), to("a", 0, "v001")}}, "Down"},
		"routes failed":  {&runpb.Service{Conditions: routes(runpb.Condition_CONDITION_FAILED), Traffic: []*runpb.TrafficTarget{to("a", 50, "")}, TrafficStatuses: []*runpb.TrafficTargetStatus{status("a", 100)}}, "Down"},
		"another failed": {&runpb.Service{Conditions: routes(runpb.Condition_CONDITION_FAILED), Traffic: []*runpb.TrafficTarget{to("a", 100, ""), to("b", 0, "v002")}, TrafficStatuses: []*runpb.TrafficTargetStatus{status("a", 100)}}, "Up"},
	} {
		s := &survey{service: test.service}
		if got := s.serviceHealth("a"); string(got.State) != test.want {
			t.Errorf("%s: %+v; want %s", name, got, test.want)
		}
	}
}

// TestRevisionHealth: only a positive word counts.
func TestRevisionHealth(t *testing.T) {
	for state, want := range map[runpb.Condition_State]string{
		runpb.Condition_CONDITION_SUCCEEDED: "Up", runpb.Condition_CONDITION_FAILED: "Down", runpb.Condition_CONDITION_PENDING: "Starting",
		runpb.Condition_CONDITION_RECONCILING: "Starting", runpb.Condition_STATE_UNSPECIFIED: "",
	} {
		r := &runpb.Revision{Conditions: []*runpb.Condition{{Type: "Active", State: runpb.Condition_CONDITION_SUCCEEDED}, terminal(state)}}
		if got := revisionHealth(r); string(got.State) != want {
			t.Errorf("%v: %+v; want %q", state, got, want)
		}
	}
	if got := revisionHealth(&runpb.Revision{}); got.State != "" {
		t.Errorf("without conditions: %+v", got)
	}
}
