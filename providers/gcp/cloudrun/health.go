package cloudrun

import (
	"cmp"
	"slices"

	"cloud.google.com/go/run/apiv2/runpb"

	"github.com/slipway-cd/slipway/delivery"
)

// The health sources: the revision's own word, and the service's that it sends
// requests there as stored.
const (
	sourceRevision = "Revision"
	sourceService  = "Service"
)

// The types of conditions that are read.
const (
	conditionReady  = "Ready"
	conditionRoutes = "RoutesReady"
)

func condition(of []*runpb.Condition, kind string) *runpb.Condition {
	if i := slices.IndexFunc(of, func(c *runpb.Condition) bool { return c.GetType() == kind }); i >= 0 {
		return of[i]
	}
	return nil
}

// ready reports whether the revision says so itself.
func ready(r *runpb.Revision) bool {
	return condition(r.GetConditions(), conditionReady).GetState() == runpb.Condition_CONDITION_SUCCEEDED
}

// revisionHealth is Up only on a positive word: a container that listens.
func revisionHealth(r *runpb.Revision) delivery.Health {
	c := condition(r.GetConditions(), conditionReady)
	h := delivery.Health{Source: sourceRevision, Reason: reasonOf(c)}
	switch c.GetState() {
	case runpb.Condition_CONDITION_SUCCEEDED:
		h.State, h.Reason = delivery.HealthUp, ""
	case runpb.Condition_CONDITION_FAILED:
		h.State = delivery.HealthDown
	case runpb.Condition_CONDITION_PENDING, runpb.Condition_CONDITION_RECONCILING:
		h.State = delivery.HealthStarting
	}
	return h
}

// serviceHealth is Up when the service says that it applies the revision's entry.
// While its routes fail it must be as it is stored: the service stays with what it
// applied before, and another revision's trouble is not this one's.
func (s *survey) serviceHealth(revision string) delivery.Health {
	h := delivery.Health{Source: sourceService}
	stored, known := sum(pinned(s.service))[revision]
	share, sent := sum(observed(s.service))[revision]
	routes := condition(s.service.GetConditions(), conditionRoutes)
	failed := routes.GetState() == runpb.Condition_CONDITION_FAILED
	switch {
	case !known:
		h.State, h.Reason = delivery.HealthOutOfService, "the service has no traffic entry for it"
	case sent && (!failed || share == stored):
		h.State = delivery.HealthUp
	case s.service.GetReconciling():
		h.State = delivery.HealthStarting
	default:
		h.State, h.Reason = delivery.HealthDown, cmp.Or(reasonOf(routes), "the service does not apply its traffic entry")
	}
	return h
}

// problems returns what Cloud Run reports about the group. Where the revision is
// missing it is the service that tells why.
func (s *survey) problems(p *pieces) []delivery.Problem {
	failed, id := []*runpb.Condition{s.service.GetTerminalCondition()}, s.service.GetUid()+"/"+p.name
	if p.revision != nil {
		failed, id = p.revision.GetConditions(), p.revision.GetUid()
		// The revision's readiness repeats what the other conditions say.
		if c := condition(failed, conditionReady); c.GetState() == runpb.Condition_CONDITION_FAILED {
			failed = []*runpb.Condition{c}
		}
	}
	var out []delivery.Problem
	for _, c := range failed {
		if c.GetState() != runpb.Condition_CONDITION_FAILED || c.GetSeverity() == runpb.Condition_WARNING || c.GetSeverity() == runpb.Condition_INFO {
			continue
		}
		code, at := reasonOf(c), c.GetLastTransitionTime()
		if at == nil {
			at = p.revision.GetCreateTime()
		}
		out = append(out, delivery.Problem{
			ID: id + "/" + c.GetType() + "/" + code, At: at.AsTime(), Code: code, Message: cmp.Or(c.GetMessage(), c.GetType()+" failed"),
		})
	}
	return out
}

// reasonOf returns the name of a condition's reason, for example
// "HEALTH_CHECK_CONTAINER_ERROR"; for none its state; "" without a condition.
func reasonOf(c *runpb.Condition) string {
	switch reason := c.GetReasons().(type) {
	case *runpb.Condition_RevisionReason_:
		return reason.RevisionReason.String()
	case *runpb.Condition_Reason:
		return reason.Reason.String()
	}
	if c == nil {
		return ""
	}
	return c.GetState().String()
}

// because returns what the service says of a failure, to stand after what is
// waited for; "" when it says nothing.
func because(service *runpb.Service) string {
	c := service.GetTerminalCondition()
	if c.GetState() != runpb.Condition_CONDITION_FAILED {
		return ""
	}
	return ": " + reasonOf(c) + ": " + c.GetMessage()
}
