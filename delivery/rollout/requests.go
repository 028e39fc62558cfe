package rollout

import (
	"fmt"
	"math"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

const (
	// DefaultMinRequestsTimeout is how long the requests that a step asks for may
	// take after its bake. The sources show a minute only some minutes after it is
	// over, so it is well above that.
	DefaultMinRequestsTimeout = time.Hour
	// countName is the name of a count among the measurements of checks.
	countName = "minRequests"
	// maxCount bounds how much time one question covers: CloudWatch and Cloud
	// Monitoring answer in pages of at least as many minutes.
	maxCount = 24 * time.Hour
	// maxRequests is more than any step can wait for.
	maxRequests = 1_000_000_000
)

// RequestCount is what a deployment knows of the requests that the new group was
// given in the present step. Minutes that began before the step's weights had
// settled do not count.
type RequestCount struct {
	// Requests is the number so far: Base of the time before From, which is not
	// asked for again, and what the source told of the time since.
	Requests float64   `json:"requests"`
	Base     float64   `json:"base,omitempty"`
	From     time.Time `json:"from"`
	// At is when the source was asked; zero when there is more to ask at once.
	At time.Time `json:"at,omitzero"`
	// Refused counts the latest answers in a row that were refusals, and Failure is why
	// the latest question had no answer.
	Refused int               `json:"refused,omitempty"`
	Failure *delivery.Failure `json:"failure,omitempty"`
}

// requestFindings tells what is wrong with a step's minRequests.
func (c canaryJSON) requestFindings(pointer string) []delivery.Finding {
	var out []delivery.Finding
	if c.MinRequests < 0 || c.MinRequests > maxRequests {
		out = append(out, delivery.Finding{Pointer: pointer + "/minRequests", Message: fmt.Sprintf("is %d; must be 0 to %d", c.MinRequests, maxRequests)})
	}
	switch t := c.MinRequestsTimeout; {
	case t == nil:
	case c.MinRequests == 0:
		out = append(out, delivery.Finding{Pointer: pointer + "/minRequestsTimeoutSec", Message: "is for a step with minRequests"})
	case *t < 60 || *t > 365*24*3600:
		out = append(out, delivery.Finding{Pointer: pointer + "/minRequestsTimeoutSec", Message: fmt.Sprintf("is %v; must be 60 s to a year", *t)})
	}
	return out
}

// uncountable tells which steps ask for requests that nobody counts.
func (s Strategy) uncountable(c delivery.Capabilities, routed bool) []delivery.Finding {
	var out []delivery.Finding
	for i, step := range s.Canary {
		if step.MinRequests == 0 || c.Metrics != "" && routed {
			continue
		}
		why := "server groups of this kind have no source of metrics"
		if !routed {
			why = "there is no load balancer that would count the requests"
		}
		out = append(out, delivery.Finding{Pointer: fmt.Sprintf("/steps/%d/minRequests", i), Message: "cannot be counted: " + why})
	}
	return out
}

// enough reports whether the present step had the requests that it asks for.
func (s State) enough() bool {
	return s.Counted != nil && s.Counted.Requests >= float64(s.Steps[s.Step].MinRequests)
}

// counts reports whether the present step asks for more requests than were counted.
func (s State) counts() bool {
	return s.Outcome == nil && s.Phase == Moving && !s.CancelRequested && s.Paused.IsZero() && !s.StepDone.IsZero() &&
		s.Step < len(s.Steps) && s.Steps[s.Step].MinRequests > 0 && !s.enough() && !s.advanced()
}

// countBegin is the first minute that counts.
func (s State) countBegin() time.Time { return wholeMinute(s.StepDone) }

// countFrom is when the requests are first asked for: after the bake, and once the
// first minute shows in the source. The step's timeout begins here.
func (s State) countFrom() time.Time {
	baked, shown := s.restUntil(s.pause()), s.countBegin().Add(time.Minute+s.Input.Capabilities.MetricDelay)
	if shown.After(baked) {
		return shown
	}
	return baked
}

// nextCount is when the requests are to be asked for; zero for never.
func (s State) nextCount() time.Time {
	if !s.counts() {
		return time.Time{}
	}
	next := s.countFrom()
	if c := s.Counted; c != nil && !c.At.IsZero() {
		next = c.At.Add(minInterval)
	}
	return next
}

// countDue is the question for the requests of the present step; nil while it is
// not due.
func (s State) countDue(now time.Time) *Question {
	if next := s.nextCount(); next.IsZero() || now.Before(next) {
		return nil
	}
	from := s.countBegin()
	if s.Counted != nil {
		from = s.Counted.From
	}
	to := now.Add(-s.Input.Capabilities.MetricDelay).UTC().Truncate(time.Minute)
	if limit := from.Add(maxCount); to.After(limit) {
		to = limit
	}
	if !from.Before(to) {
		return nil
	}
	return &Question{Counting: true, Request: delivery.MetricRequest{Query: delivery.MetricQuery{Preset: delivery.Requests},
		Cluster: s.Input.Cluster, Group: s.Input.Group, LoadBalancer: s.Input.Spec.LoadBalancer, From: from, To: to}}
}

// count takes the answer to countDue's question.
func (s State) count(r Reading, now time.Time) (State, []Measurement) {
	if !s.counts() {
		return s, nil
	}
	c := RequestCount{From: r.Request.From, At: now, Failure: r.Failure}
	if s.Counted != nil {
		c.Requests, c.Base, c.Refused = s.Counted.Requests, s.Counted.Base, s.Counted.Refused
	}
	m := Measurement{Check: countName, At: now, From: s.countBegin(), To: r.Request.To, Query: r.Series.Query, Failure: r.Failure}
	if r.Failure != nil {
		if c.Refused++; !refused(r.Failure) {
			c.Refused = 0
		}
		m.Verdict, m.Message = VerdictError, "the requests could not be counted: "+r.Failure.Message
		s.Counted = &c
		return s, []Measurement{m}
	}
	c.Refused, c.Requests = 0, c.Base
	known := false
	for _, p := range r.Series.Points {
		if !p.At.Before(r.Request.From) && p.At.Before(r.Request.To) && !math.IsNaN(p.Value) && p.Value >= 0 {
			c.Requests, known = min(c.Requests+p.Value, math.MaxFloat64), true
		}
	}
	if r.Request.To.Sub(r.Request.From) == maxCount {
		c.Base, c.From, c.At = c.Requests, r.Request.To, time.Time{}
	}
	s.Counted = &c
	total := c.Requests
	m.Value, m.Verdict = &total, VerdictInconclusive
	switch {
	case s.enough():
		m.Verdict = VerdictPass
	case !known && total == 0:
		m.Verdict = VerdictNoData
	}
	m.Message = s.countText()
	return s, []Measurement{m}
}

// countText says for people how many requests there were.
func (s State) countText() string {
	return fmt.Sprintf("%s was given %.0f requests since %s, of at least %d",
		s.Input.Group, s.Counted.Requests, s.countBegin().Format("15:04 UTC"), s.Steps[s.Step].MinRequests)
}

// counting begins what is waited for while a step has too few requests.
const counting = "at least "

// countOut waits until the present step had its requests, and fails when it does
// not get them in time or nobody may count them.
func (s State) countOut(now time.Time) (State, *Decision) {
	step := s.Steps[s.Step]
	if step.MinRequests == 0 || s.enough() || s.advanced() {
		return s, nil
	}
	deadline := s.countFrom().Add(step.MinRequestsTimeout)
	if c := s.Counted; c != nil {
		switch {
		case c.Refused > DefaultTolerance:
			return s.fail(&delivery.Failure{Kind: countName, Step: s.stepName(),
				Message: fmt.Sprintf("the requests could not be counted: %s; the source refused %s, which waiting does not mend", c.Failure.Message, times(c.Refused))}), nil
		case !c.At.Before(deadline):
			return s.fail(&delivery.Failure{Kind: countName, Step: s.stepName(), Message: s.tooLittle(step)}), nil
		}
	}
	s.Waiting = fmt.Sprintf(counting+"%d requests to %s", step.MinRequests, s.Input.Group)
	return s, &Decision{Await: &Await{For: s.Waiting, Deadline: deadline, Limit: step.MinRequestsTimeout, OnTimeout: ActionRollback}}
}

// tooLittle says why the step did not get its requests.
func (s State) tooLittle(step Step) string {
	text := fmt.Sprintf("too little traffic: %s, and %s after the bake are over", s.countText(), step.MinRequestsTimeout)
	if f := s.Counted.Failure; f != nil {
		text += "; the latest count failed: " + f.Message
	}
	return text
}
