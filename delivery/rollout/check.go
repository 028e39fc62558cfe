package rollout

import (
	"fmt"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Check is a bound on a measurement of the new server group. It is measured in
// the background for as long as the group has weight and something is left to go
// back to. A step with a pause or a gate ends only after its latest measurement passed and
// spoke of that step alone.
type Check struct {
	// Name is unique in the strategy.
	Name  string               `json:"name"`
	Query delivery.MetricQuery `json:"query"`
	// Fold makes one value of the minutes of the window; see Folds. The presets
	// have their own.
	Fold string `json:"fold,omitempty"`
	// Max and Min are the bounds, both included; nil is none. The unit is that of
	// the query.
	Max *float64 `json:"max,omitempty"`
	Min *float64 `json:"min,omitempty"`
	// MaxOverBaseline is how much the value may be above the baseline's over the same
	// time; nil does not compare. Without a baseline in the step it says nothing.
	MaxOverBaseline *float64 `json:"maxOverBaseline,omitempty"`
	// MinSamples is how many requests a value must speak of; with fewer the
	// measurement is inconclusive.
	MinSamples float64 `json:"minSamples,omitempty"`
	// Interval is from one measurement to the next, Window how much time one of
	// them covers: whole minutes, and no time before the group had weight.
	Interval time.Duration `json:"interval"`
	Window   time.Duration `json:"window"`
	// InitialDelay is left out of the first window after the group got weight.
	InitialDelay time.Duration `json:"initialDelay,omitempty"`
	// FailureLimit is how many measurements may fail in the whole deployment; one
	// more rolls it back. The other limits count in a row, each for itself; one
	// more than them is followed by the action.
	FailureLimit      int    `json:"failureLimit"`
	ErrorLimit        int    `json:"errorLimit"`
	NoDataLimit       int    `json:"noDataLimit"`
	InconclusiveLimit int    `json:"inconclusiveLimit"`
	OnError           Action `json:"onError"`
	OnNoData          Action `json:"onNoData"`
	OnInconclusive    Action `json:"onInconclusive"`
}

// Action is what follows when a limit is exceeded.
type Action string

// The actions.
const (
	// ActionWait lets the step wait for a pass, until the deployment's deadline. What
	// the source refuses for good is not waited for: it fails the deployment.
	ActionWait Action = "wait"
	// ActionRollback fails the deployment.
	ActionRollback Action = "rollback"
	// ActionContinue lets the step end without a pass, for as long as the limit
	// stays exceeded.
	ActionContinue Action = "continue"
)

// Verdict is what one measurement says.
type Verdict string

// The verdicts.
const (
	VerdictPass Verdict = "pass"
	VerdictFail Verdict = "fail"
	// VerdictInconclusive is a value that says too little.
	VerdictInconclusive Verdict = "inconclusive"
	// VerdictNoData means that the source was asked and has nothing.
	VerdictNoData Verdict = "noData"
	// VerdictError means that the source could not be asked.
	VerdictError Verdict = "error"
)

// CheckState is what a deployment remembers of one check.
type CheckState struct {
	// Failures counts all of the deployment; the others the latest in a row.
	Failures     int `json:"failures,omitempty"`
	Errors       int `json:"errors,omitempty"`
	NoData       int `json:"noData,omitempty"`
	Inconclusive int `json:"inconclusive,omitempty"`
	// Last is the latest measurement; nil before the first.
	Last *Measurement `json:"last,omitempty"`
}

// Measurement is one verdict and what it rests on.
type Measurement struct {
	Check   string    `json:"check"`
	At      time.Time `json:"at"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Verdict Verdict   `json:"verdict"`
	// Value is nil without data.
	Value *float64 `json:"value,omitempty"`
	// Baseline is the baseline's value; nil when it was not compared with.
	Baseline *float64 `json:"baseline,omitempty"`
	// Samples is how many requests the value speaks of; zero when nobody knows.
	Samples float64 `json:"samples,omitempty"`
	// Query is what was asked in the source's own words.
	Query   string            `json:"query,omitempty"`
	Failure *delivery.Failure `json:"failure,omitempty"`
	// Message says the same for people.
	Message string `json:"message"`
}

// Question is a measurement that is due.
type Question struct {
	// Check is the index in Strategy.Checks. It means nothing when Counting: then the
	// requests of the present step are asked for.
	Check    int                    `json:"check"`
	Counting bool                   `json:"counting,omitempty"`
	Request  delivery.MetricRequest `json:"request"`
	// Baseline asks the same of the baseline; nil when it is not compared with.
	Baseline *delivery.MetricRequest `json:"baseline,omitempty"`
}

// Reading is what came of a question. Failure is nil when the source answered.
type Reading struct {
	Question
	Series delivery.Series `json:"series"`
	// Control is the answer about the baseline.
	Control delivery.Series   `json:"control,omitzero"`
	Failure *delivery.Failure `json:"failure,omitempty"`
}

// Due returns the measurements to take now. It is empty while the new group has
// no weight, and once the deployment rolls back or cleans up.
func (s State) Due(now time.Time) []Question {
	var out []Question
	if q := s.countDue(now); q != nil {
		out = append(out, *q)
	}
	for i, c := range s.Input.Strategy.Checks {
		at, ok := s.dueAt(i)
		if !ok || now.Before(at) {
			continue
		}
		to := now.Add(-s.Input.Capabilities.MetricDelay).UTC().Truncate(time.Minute)
		q := Question{Check: i, Request: delivery.MetricRequest{Query: c.Query, Cluster: s.Input.Cluster,
			Group: s.Input.Group, LoadBalancer: s.Input.Spec.LoadBalancer, From: to.Add(-c.Window), To: to}}
		out = append(out, s.compared(q))
	}
	return out
}

// NextCheck is when the next measurement is due; zero for none.
func (s State) NextCheck() time.Time {
	next := s.nextCount()
	for i := range s.Input.Strategy.Checks {
		if at, ok := s.dueAt(i); ok && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// dueAt is when a check is to be measured next; ok is false while nothing is.
func (s State) dueAt(i int) (at time.Time, ok bool) {
	if s.On.IsZero() || s.Outcome != nil || s.CancelRequested || s.Phase != Moving && s.Phase != Finishing {
		return time.Time{}, false
	}
	c := s.Input.Strategy.Checks[i]
	if c.onlyCompares() && !s.compares() {
		return time.Time{}, false
	}
	if last := s.check(i).Last; last != nil {
		return last.At.Add(c.Interval), true
	}
	return s.firstWindow(s.On.Add(c.InitialDelay), c), true
}

// firstWindow is when the first window that begins after a time can be measured.
func (s State) firstWindow(after time.Time, c Check) time.Time {
	return wholeMinute(after).Add(c.Window + s.Input.Capabilities.MetricDelay)
}

// wholeMinute is the first beginning of a minute that is not before the time.
func wholeMinute(t time.Time) time.Time {
	if down := t.UTC().Truncate(time.Minute); !down.Equal(t) {
		return down.Add(time.Minute)
	}
	return t.UTC()
}

func (s State) check(i int) CheckState {
	if i < len(s.Checks) {
		return s.Checks[i]
	}
	return CheckState{}
}

// Measured takes the answers to Due's questions. It returns what each of them
// means. A check that failed too often fails the deployment.
func (s State) Measured(readings []Reading, now time.Time) (State, []Measurement) {
	var out []Measurement
	for _, r := range readings {
		if r.Counting {
			var counted []Measurement
			s, counted = s.count(r, now)
			out = append(out, counted...)
			continue
		}
		if _, ok := s.dueAt(r.Check); !ok {
			continue
		}
		c := s.Input.Strategy.Checks[r.Check]
		m := c.judge(r, now)
		out = append(out, m)
		counted := s.check(r.Check).count(m)
		s = s.withCheck(r.Check, counted)
		if f := c.trouble(counted, s.stepName()); f != nil {
			s = s.fail(f)
		}
	}
	return s, out
}

func (s State) withCheck(i int, c CheckState) State {
	checks := make([]CheckState, len(s.Input.Strategy.Checks))
	copy(checks, s.Checks)
	checks[i] = c
	s.Checks = checks
	return s
}

// count adds a measurement. What could not be measured says nothing about
// failures, and what was measured ends the other rows.
func (c CheckState) count(m Measurement) CheckState {
	next := CheckState{Failures: c.Failures, Last: &m}
	switch m.Verdict {
	case VerdictFail:
		next.Failures++
	case VerdictError:
		next.Errors = c.Errors + 1
	case VerdictNoData:
		next.NoData = c.NoData + 1
	case VerdictInconclusive:
		next.Inconclusive = c.Inconclusive + 1
	}
	return next
}

// exceeded returns the action that the latest verdict is followed by; empty when
// no limit of it is exceeded.
func (c Check) exceeded(s CheckState) Action {
	switch {
	case s.Last == nil:
		return ""
	case s.Last.Verdict == VerdictFail && s.Failures > c.FailureLimit:
		return ActionRollback
	case s.Errors > c.ErrorLimit && c.OnError == ActionWait && refused(s.Last.Failure):
		return ActionRollback
	case s.Errors > c.ErrorLimit:
		return c.OnError
	case s.NoData > c.NoDataLimit:
		return c.OnNoData
	case s.Inconclusive > c.InconclusiveLimit:
		return c.OnInconclusive
	default:
		return ""
	}
}

// trouble is the failure of a deployment whose check ends it.
func (c Check) trouble(s CheckState, step string) *delivery.Failure {
	if c.exceeded(s) != ActionRollback {
		return nil
	}
	said, count, limit := "failed", s.Failures, c.FailureLimit
	switch s.Last.Verdict {
	case VerdictError:
		said, count, limit = "could not be measured", s.Errors, c.ErrorLimit
		if refused(s.Last.Failure) {
			said = "was refused by the source, which waiting does not mend,"
		}
	case VerdictNoData:
		said, count, limit = "had no data", s.NoData, c.NoDataLimit
	case VerdictInconclusive:
		said, count, limit = "was inconclusive", s.Inconclusive, c.InconclusiveLimit
	}
	return &delivery.Failure{Kind: kindCheck, Step: step, Message: fmt.Sprintf("check %s: %s; it %s %s, the limit is %d",
		c.Name, s.Last.Message, said, times(count), limit)}
}

// refused reports whether a source will go on refusing: waiting is no cure for a
// question that is wrong or not permitted.
func refused(f *delivery.Failure) bool {
	if f == nil {
		return false
	}
	kind := delivery.ParseKind(f.Kind)
	return kind == delivery.Denied || kind == delivery.Invalid || kind == delivery.NotFound
}

// Checked reports whether a check ended the forward movement.
func (s State) Checked() bool { return s.Cause != nil && s.Cause.Kind == kindCheck }

// kindCheck is the kind of the failure of a deployment that a check ended.
const kindCheck = "check"

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// proving begins what is waited for while a check has not passed yet.
const proving = "check "

// unproved returns the checks that keep the present step from ending; empty when all
// passed in it. What was measured partly before the step's weights had settled proves
// nothing.
func (s State) unproved() []string {
	if len(s.sources()) == 0 {
		return nil // nothing could take the traffic back
	}
	var out []string
	for i, c := range s.Input.Strategy.Checks {
		state := s.check(i)
		if c.exceeded(state) == ActionContinue || c.onlyCompares() && !s.compares() {
			continue
		}
		if last := state.Last; last == nil || last.Verdict != VerdictPass || last.From.Before(s.StepDone) {
			out = append(out, c.Name)
		}
	}
	return out
}
