package cloudrun

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"cloud.google.com/go/run/apiv2/runpb"

	"github.com/slipway-cd/slipway/delivery"
)

const (
	byLatest   = runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
	byRevision = runpb.TrafficTargetAllocationType_TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
)

// entry is one traffic entry by the name of its revision. Several may name the
// same revision, with different tags.
type entry struct {
	revision string
	percent  int32
	tag      string
}

// pinned returns the stored traffic with "the latest revision" replaced by the one
// that it means now. A service without entries sends everything there.
func pinned(service *runpb.Service) []entry {
	stored := service.GetTraffic()
	if len(stored) == 0 {
		stored = []*runpb.TrafficTarget{{Type: byLatest, Percent: 100}}
	}
	out := make([]entry, 0, len(stored)+1)
	for _, s := range stored {
		e := entry{revision: meant(service, s.GetType(), s.GetRevision()), percent: s.GetPercent(), tag: s.GetTag()}
		if e.revision != "" {
			out = append(out, e)
		}
	}
	return out
}

// meant returns the revision that a traffic entry or its status means; "" when the
// service has none yet.
func meant(service *runpb.Service, kind runpb.TrafficTargetAllocationType, revision string) string {
	if kind != byLatest && revision != "" {
		return base(revision)
	}
	return base(cmp.Or(service.GetLatestReadyRevision(), service.GetLatestCreatedRevision()))
}

// observed returns the traffic as the service says that it applies it.
func observed(service *runpb.Service) []entry {
	out := make([]entry, 0, len(service.GetTrafficStatuses()))
	for _, s := range service.GetTrafficStatuses() {
		out = append(out, entry{revision: meant(service, s.GetType(), s.GetRevision()), percent: s.GetPercent(), tag: s.GetTag()})
	}
	return out
}

// steady reports whether the service applied everything that is stored. After a
// failure it stays with what it applied before.
func steady(service *runpb.Service) bool {
	return !service.GetReconciling() && service.GetObservedGeneration() == service.GetGeneration() &&
		service.GetTerminalCondition().GetState() == runpb.Condition_CONDITION_SUCCEEDED
}

// percents returns the share of each revision, of others too. What is stored
// counts only when the service says that it applies it.
func percents(service *runpb.Service) map[string]int {
	if steady(service) {
		return sum(pinned(service))
	}
	return sum(observed(service))
}

// sum adds up the entries of each revision; one at 0 is listed.
func sum(entries []entry) map[string]int {
	out := map[string]int{}
	for _, e := range entries {
		out[e.revision] += int(e.percent)
	}
	return out
}

// routed reports whether any entry, stored or applied, names the revision.
func routed(service *runpb.Service, revision string) bool {
	is := func(e entry) bool { return e.revision == revision }
	return slices.ContainsFunc(pinned(service), is) || slices.ContainsFunc(observed(service), is)
}

// applied reports whether the service says that it splits requests by the entries.
func applied(service *runpb.Service, entries []entry) bool {
	failed := service.GetTerminalCondition().GetState() == runpb.Condition_CONDITION_FAILED
	if service.GetReconciling() || service.GetObservedGeneration() != service.GetGeneration() && !failed {
		return false
	}
	return samePercents(sum(observed(service)), sum(entries))
}

func samePercents(a, b map[string]int) bool {
	for _, pair := range [][2]map[string]int{{a, b}, {b, a}} {
		for revision, percent := range pair[0] {
			if pair[1][revision] != percent {
				return false
			}
		}
	}
	return true
}

// isStored reports whether the service's traffic is these entries, each pinned to
// its revision. The order has no meaning.
func isStored(service *runpb.Service, entries []entry) bool {
	if slices.ContainsFunc(service.GetTraffic(), func(s *runpb.TrafficTarget) bool { return s.GetType() != byRevision }) {
		return false
	}
	return len(service.GetTraffic()) == len(entries) && slices.Equal(sorted(pinned(service)), sorted(entries))
}

func sorted(entries []entry) []entry {
	return slices.SortedFunc(slices.Values(entries), func(a, b entry) int {
		return cmp.Or(strings.Compare(a.revision, b.revision), strings.Compare(a.tag, b.tag), cmp.Compare(a.percent, b.percent))
	})
}

// targets makes entries what Cloud Run stores.
func targets(entries []entry) []*runpb.TrafficTarget {
	out := make([]*runpb.TrafficTarget, len(entries))
	for i, e := range entries {
		out[i] = &runpb.TrafficTarget{Type: byRevision, Revision: e.revision, Percent: e.percent, Tag: e.tag}
	}
	return out
}

// tagOf is the tag of a server group's entry, for example "v001". It gives a
// revision without traffic an address, and keeps an entry of 0 % in the list.
func tagOf(group string) string {
	_, sequence, _ := delivery.ParseServerGroup(group)
	return fmt.Sprintf("v%03d", sequence)
}

// fingerprint is a hash over everything that decides where requests go.
func fingerprint(service *runpb.Service) string {
	stored := struct {
		Service string
		Latest  bool
		Entries []string
	}{Service: service.GetName()}
	for _, s := range service.GetTraffic() {
		stored.Latest = stored.Latest || s.GetType() != byRevision
	}
	for _, e := range sorted(pinned(service)) {
		stored.Entries = append(stored.Entries, fmt.Sprintf("%s %d %s", e.revision, e.percent, e.tag))
	}
	text, err := json.Marshal(stored)
	if err != nil {
		return "" // plain strings always marshal
	}
	hash := sha256.Sum256(text)
	return fmt.Sprintf("%x", hash[:16])
}
