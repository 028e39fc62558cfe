package gcp

import (
	"slices"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
)

// idleFor is how long containers stay when none is wanted any more, in simulated time: assumption, "About instance
// autoscaling" says up to 15 minutes.
const idleFor = 30 * time.Second

// scale starts and ends containers until a revision has as many as it should.
func (p *runPlane) scale(r *liveRevision, now time.Time) {
	p.showActive(r, now)
	want, active := p.wanted(r), r.active()
	if want == 0 {
		if p.rests(r, now) {
			r.reached = false
			for _, c := range active {
				p.drain(r, c, "scaled to zero")
			}
		}
		return
	}
	r.idle = time.Time{}
	for n := len(active); n < want; n++ {
		p.launch(r)
	}
	if extra := len(active) - want; extra > 0 {
		slices.SortStableFunc(active, func(a, b *container) int { return rank(a) - rank(b) })
		for _, c := range active[:extra] {
			p.drain(r, c, "scaled in")
		}
	}
}

// rank orders containers by how little they are missed.
func rank(c *container) int {
	if c.healthy {
		return 1
	}
	return 0
}

// rests tells whether the containers of a revision that wants none may end: no proxy sends it requests any more, and did
// not for a while. Requests are sent in real time, so the while lasts some of that at any speed of the clock.
func (p *runPlane) rests(r *liveRevision, now time.Time) bool {
	if r.failure != nil {
		return true
	}
	if f := p.services[r.service]; f != nil && f.reaches(r.path) {
		r.idle = time.Time{}
		return false
	}
	if r.idle.IsZero() {
		r.idle = now
	}
	return now.Sub(r.idle) >= max(idleFor, time.Duration(p.project.cloud.world.Clock.Scale()*float64(50*time.Millisecond)))
}

// wanted is how many containers a revision should have. Load does not count: simulator's limit.
func (p *runPlane) wanted(r *liveRevision) int {
	s := lookup[*runpb.Service](p.project.data, r.service)
	switch {
	case s == nil || r.failure != nil:
		return 0
	case r.starting():
		return 1 // every new revision is tried out once ("Container runtime contract": startup check of a deployment)
	}
	return max(p.wantedBy(r, present(s)), p.wantedBy(r, p.services[r.service].wanted))
}

// wantedBy is how many containers a revision should have for a part of the traffic. Its own minimum holds while traffic
// names it, if with 0 percent, or a tag does ("Set minimum instances", Revisions and minimum instances). Those of the service
// are divided by percent (runpb.ServiceScaling), rounded up: assumption. One is the least for a part of the traffic or a
// tag: simulator's limit, Cloud Run starts it with the first request.
func (p *runPlane) wantedBy(r *liveRevision, shares []*share) int {
	percent, named, tagged := part(shares, r.path)
	if !named {
		return 0
	}
	all := lookup[*runpb.Service](p.project.data, r.service).GetScaling()
	divided := func(n int32) int { return (int(n)*percent + 99) / 100 }
	n := 0
	if percent > 0 || tagged {
		n = 1
	}
	if all.GetScalingMode() == runpb.ServiceScaling_MANUAL {
		return max(n, divided(all.GetManualInstanceCount())) // "ignore max instances" (runpb.ServiceScaling)
	}
	n = max(n, int(r.template.GetScaling().GetMinInstanceCount()), divided(all.GetMinInstanceCount()))
	if limit := divided(all.GetMaxInstanceCount()); limit > 0 {
		n = min(n, limit)
	}
	return min(n, int(r.template.GetScaling().GetMaxInstanceCount()))
}

// showActive tells in a ready revision's conditions whether it is in use. One that is not is "retired", and still ready
// (mishrasanjeev/agentic-org pull request 606).
func (p *runPlane) showActive(r *liveRevision, now time.Time) {
	m := lookup[*runpb.Revision](p.project.data, r.path)
	if m == nil || !r.ready {
		return
	}
	c := condition(conditionActive, succeeded, now)
	if p.wanted(r) == 0 {
		c.State, c.Severity, c.Message = failed, runpb.Condition_INFO, "Revision retired."
		revisionReason(runpb.Condition_RETIRED)(c)
	}
	m.Conditions = setCondition(m.Conditions, c)
	m.ScalingStatus = &runpb.RevisionScalingStatus{DesiredMinInstanceCount: int32(p.wanted(r))}
}

// removeRevision lets a deleted revision's containers come to their end.
func (p *runPlane) removeRevision(path string) {
	r := p.revisions[path]
	delete(p.revisions, path)
	if f := p.services[r.service]; f != nil {
		delete(f.listed, path)
	}
	for _, c := range r.active() {
		p.drain(r, c, "deleted")
	}
	p.leaving = append(p.leaving, r)
}

// endLeaving forgets deleted revisions whose containers have ended.
func (p *runPlane) endLeaving(now time.Time) {
	p.leaving = slices.DeleteFunc(p.leaving, func(r *liveRevision) bool {
		p.follow(r, now)
		if len(r.containers) > 0 || r.targets.InUse() {
			return false
		}
		r.targets.Close()
		return true
	})
}
