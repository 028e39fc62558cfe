package rollout

import (
	"fmt"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// matchJSON is the match of a dark release as the cluster object has it.
type matchJSON struct {
	Header string `json:"header"`
	Cookie string `json:"cookie"`
	Value  string `json:"value"`
}

// match returns what leads to a dark server group; nil for other strategies.
func (s Strategy) match(in strategyJSON) *delivery.Match {
	switch {
	case s.Kind != Dark:
		return nil
	case in.Match == nil:
		return &delivery.Match{}
	default:
		return &delivery.Match{Header: in.Match.Header, Cookie: in.Match.Cookie, Value: in.Match.Value}
	}
}

// darkFindings tells what is wrong with the fields of a dark release.
func (s Strategy) darkFindings(in strategyJSON) []delivery.Finding {
	var out []delivery.Finding
	add := func(pointer, format string, args ...any) {
		out = append(out, delivery.Finding{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
	}
	if s.Kind != Dark {
		if in.Match != nil {
			add("/match", "is that of strategy dark, not of %s", s.Kind)
		}
		if in.Size != 0 {
			add("/size", "is that of strategy dark, not of %s", s.Kind)
		}
		return out
	}
	if in.Match != nil && s.Match.Kind() == delivery.MatchTagURL {
		add("/match", "names neither a header nor a cookie")
	}
	for _, f := range s.Match.Validate() {
		add("/match"+f.Pointer, "%s", f.Message)
	}
	if in.Size < 0 {
		add("/size", "is %d; must not be negative", in.Size)
	}
	if in.ScaleDown {
		add("/scaleDown", "cannot be used: the old server groups go on serving beside a dark one")
	}
	if len(in.Checks) > 0 {
		add("/checks", "cannot be measured: a dark server group takes no public traffic")
	}
	return out
}

// unsuitedDark tells what stands against a dark release on a target kind.
func (s Strategy) unsuitedDark(c delivery.Capabilities, routed bool) []delivery.Finding {
	refuse := func(pointer, format string, args ...any) []delivery.Finding {
		return []delivery.Finding{{Pointer: pointer, Message: fmt.Sprintf(format, args...)}}
	}
	if s.Kind != Dark {
		return nil
	}
	if !routed {
		return refuse("/strategy", "dark cannot be carried out without a load balancer: nothing could keep the public away from the new instances")
	}
	var out []delivery.Finding
	switch kind := s.Match.Kind(); {
	case previewable(c, kind):
	case kind == delivery.MatchTagURL:
		out = refuse("/match", "is required: server groups of this kind have no address of their own; name a header or a cookie")
	case previewable(c, delivery.MatchTagURL):
		out = refuse("/match/"+string(kind), "cannot be used: server groups of this kind are reached by an address of their own; leave match out")
	default:
		out = refuse("/match/"+string(kind), "cannot be used: the load balancer of this kind cannot tell requests apart by their %ss", kind)
	}
	if s.Size > 0 && !c.Resize {
		out = append(out, refuse("/size", "cannot be set: a server group of this kind has no size")...)
	}
	return out
}

func previewable(c delivery.Capabilities, kind delivery.MatchKind) bool {
	for _, k := range c.Previews {
		if k == kind {
			return true
		}
	}
	return false
}

// darkSteps compiles the one step of a dark release: the old groups keep what they
// have, and no weight moves.
func darkSteps(st Strategy, wanted int, full []int) []Step {
	size := wanted
	if st.Size > 0 {
		size = min(st.Size, wanted)
	}
	return []Step{{New: size, Old: full}}
}

// impossibleDark tells what of the cluster stands against a dark release.
func (s State) impossibleDark(seen delivery.Snapshot) error {
	if s.Input.Strategy.Kind != Dark {
		return nil
	}
	if len(s.sources()) == 0 {
		return delivery.Errorf(delivery.Conflict, "no server group of %s takes traffic; the first one cannot be dark", s.Input.Cluster.Key())
	}
	if taken := seen.Routing.Matched(*s.Input.Strategy.Match); taken != nil {
		return delivery.Errorf(delivery.Conflict, "%s leads to %s already; promote or abandon that one first", taken.Match, taken.ServerGroup)
	}
	return nil
}

// bounds are what the new group has at the end of the deployment. Before it is
// promoted, a smaller dark one must not be held at the wanted size.
func (s State) bounds() delivery.Capacity {
	want := s.Input.Spec.Capacity
	if st := s.Input.Strategy; st.Kind == Dark && st.Size > 0 {
		want.Min = min(want.Min, st.Size)
	}
	return want
}

// openPreview leads the requests that match to the new group, until that is read
// back and has settled.
func (s State) openPreview(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	match := *s.Input.Strategy.Match
	found := seen.Routing.PreviewBy(s.Input.Group, match)
	if found == nil {
		s.Routed = time.Time{}
		c := s.change(delivery.CreatePreview, s.stepKey("preview"))
		c.Group, c.Match = s.Input.Group, &match
		return s.apply(c, "lead "+match.String()+" to "+s.Input.Group, now)
	}
	preview := *found
	s.Preview = &preview
	if s.Routed.IsZero() {
		s.Routed, s.Since, s.Waiting = now, time.Time{}, ""
	}
	// An address is as new as its group: it has to settle too.
	if until := s.Routed.Add(s.Input.Capabilities.Settle); now.Before(until) {
		s.Waiting = match.String() + " to reach every proxy"
		return s, &Decision{Await: &Await{For: s.Waiting, Until: until, Deadline: until}}
	}
	s = s.fresh()
	s.StepDone = now
	return s, nil
}

// withdraw takes away the rules that lead to groups whose place is elsewhere now:
// the new one has the public traffic, and those that it replaced have lost it.
func (s State) withdraw(seen delivery.Snapshot, now time.Time) (State, *Decision) {
	if s.Input.Strategy.Kind == Dark {
		return s, nil
	}
	names := []string{s.Input.Group}
	for _, src := range s.sources() {
		if seen.Routing.Percent(src.Name) == 0 {
			names = append(names, src.Name)
		}
	}
	for _, name := range names {
		if seen.Routing.Preview(name) != nil {
			return s.apply(s.deletePreview(name, "finish/preview/"+name), "remove the rule that leads to "+name, now)
		}
	}
	return s, nil
}

func (s State) deletePreview(group, step string) delivery.Change {
	c := s.change(delivery.DeletePreview, step)
	c.Group = group
	return c
}

// unled tells what is left to do before a group that testers may be led to can be
// destroyed: a change that takes the rule away, then a time to wait for. Both are
// zero when nothing is.
func (s State) unled(seen delivery.Snapshot, group, step string, now time.Time) (State, *delivery.Change, time.Time) {
	if seen.Routing.Preview(group) != nil {
		s.Unled, s.UnledAt = group, time.Time{}
		c := s.deletePreview(group, step)
		return s, &c, time.Time{}
	}
	if s.Unled != group {
		return s, nil, time.Time{}
	}
	if s.UnledAt.IsZero() {
		s.UnledAt = now
	}
	if until := s.UnledAt.Add(s.Input.Capabilities.Settle + s.Input.Capabilities.Drain); now.Before(until) {
		return s, nil, until
	}
	return s, nil, time.Time{}
}

// drained waits for connections that may still be served.
func (s State) drained(until time.Time) (State, *Decision) {
	s.Waiting = "connections to drain"
	return s, &Decision{Await: &Await{For: s.Waiting, Until: until, Deadline: until}}
}
