package gcp

import (
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
)

// settle moves a service's change in progress on: it waits for the latest revision, finds where the traffic is to go, waits
// until containers are there for it, and moves it ("See comments in `reconciling`", runpb.Service).
func (p *runPlane) settle(f *frontEnd, now time.Time) {
	s := lookup[*runpb.Service](p.project.data, f.service)
	created := p.revisions[s.LatestCreatedRevision]
	if !s.Reconciling || now.Before(f.earliest) || created.starting() {
		return
	}
	if created.failure == nil {
		s.LatestReadyRevision = created.path
	}
	shares, why := p.resolve(f, s)
	if created.failure != nil && created.generation == s.Generation || why != nil {
		p.settleFailed(f, s, created.failure, why, now)
		return
	}
	f.wanted = shares
	if !p.warm(shares) {
		return
	}
	s.TrafficStatuses = nil
	for _, share := range shares {
		s.TrafficStatuses = append(s.TrafficStatuses, share.status)
	}
	p.route(f)
	// The first traffic of a service has nothing to fall back to: its URL works when the change is over.
	if !f.routed && !f.everywhere() {
		return
	}
	f.routed = true
	p.settleDone(f, s, created.failure, now)
}

// warm tells whether every revision that is to get a part of the traffic has its containers: the front end keeps sending
// requests the old way until then ("MIN_INSTANCES_WARMING: ... waiting for enough instances to begin a traffic migration",
// runpb.Condition). That a single container is waited for also without a minimum stands for the front end holding requests
// back while an instance starts ("About instance autoscaling").
func (p *runPlane) warm(shares []*share) bool {
	for _, share := range shares {
		if percent, _, _ := part(shares, share.revision); percent > 0 {
			r := p.revisions[share.revision]
			if r.starting() || r.healthy() < p.wantedBy(r, shares) {
				return false
			}
		}
	}
	return true
}

// settleDone ends a change that worked. When traffic was moved away from a latest revision that has failed, the service is
// still not ready, because its configuration is not: assumption, after Knative's conditions.
func (p *runPlane) settleDone(f *frontEnd, s *runpb.Service, revision *failure, now time.Time) {
	s.Reconciling, f.wanted = false, nil
	s.ObservedGeneration = s.Generation
	s.Uri, s.Urls = f.url, []string{f.url, f.host(nameOf(s.Name))}
	s.Conditions = setCondition(s.Conditions, condition(conditionRoutes, succeeded, now))
	configurations, ready := condition(conditionConfigurations, succeeded, now), condition(conditionReady, succeeded, now)
	if revision != nil {
		configurations, ready = failedCondition(conditionConfigurations, revision, now), failedCondition(conditionReady, revision, now)
	}
	s.Conditions = setCondition(s.Conditions, configurations)
	s.TerminalCondition = changed(s.TerminalCondition, ready)
	p.endChange(s, nil)
}

// settleFailed ends a change that did not work: traffic stays as it is, and so does the generation that is served ("If
// reconciliation failed, `traffic_statuses`, `observed_generation`, and `latest_ready_revision` will have the state of the
// last serving revision", runpb.Service). Routes that do not depend on the failed revision stay ready: assumption.
func (p *runPlane) settleFailed(f *frontEnd, s *runpb.Service, revision, routes *failure, now time.Time) {
	s.Reconciling, f.wanted = false, nil
	route, configurations := condition(conditionRoutes, succeeded, now), condition(conditionConfigurations, succeeded, now)
	if routes != nil {
		route = failedCondition(conditionRoutes, routes, now)
	}
	why := routes
	if revision != nil {
		configurations, why = failedCondition(conditionConfigurations, revision, now), revision
	}
	s.Conditions = setCondition(setCondition(s.Conditions, route), configurations)
	s.TerminalCondition = changed(s.TerminalCondition, failedCondition(conditionReady, why, now))
	p.endChange(s, why)
}
