package rollout

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// Defaults and bounds of checks.
const (
	// DefaultTolerance is how often in a row a check may have no answer.
	DefaultTolerance = 4
	// minInterval is the resolution of the sources: a minute measured twice would
	// count twice.
	minInterval = time.Minute
	maxInterval = 24 * time.Hour
	// maxChecks bounds the state of a deployment.
	maxChecks = 20
	maxLimit  = 1000
)

// checkJSON is a check as the cluster object has it; times are in seconds.
type checkJSON struct {
	Name              string          `json:"name"`
	Query             json.RawMessage `json:"query"`
	Fold              string          `json:"fold"`
	Max               *float64        `json:"max"`
	Min               *float64        `json:"min"`
	MaxOverBaseline   *float64        `json:"maxOverBaseline"`
	MinSamples        float64         `json:"minSamples"`
	Interval          *float64        `json:"interval"`
	Window            *float64        `json:"window"`
	InitialDelay      float64         `json:"initialDelay"`
	FailureLimit      int             `json:"failureLimit"`
	ErrorLimit        *int            `json:"errorLimit"`
	NoDataLimit       *int            `json:"noDataLimit"`
	InconclusiveLimit *int            `json:"inconclusiveLimit"`
	OnError           Action          `json:"onError"`
	OnNoData          Action          `json:"onNoData"`
	OnInconclusive    Action          `json:"onInconclusive"`
}

// parseChecks reads the checks of a strategy. Pointers are relative to the
// cluster object.
func (s *Strategy) parseChecks(in strategyJSON) []delivery.Finding {
	var out []delivery.Finding
	if len(in.Checks) > maxChecks {
		return []delivery.Finding{{Pointer: "/checks", Message: fmt.Sprintf("are %d; at most %d are possible", len(in.Checks), maxChecks)}}
	}
	for i, raw := range in.Checks {
		r := checkReader{pointer: fmt.Sprintf("/checks/%d", i)}
		c := r.read(raw)
		if c.Name != "" && slices.ContainsFunc(s.Checks, func(o Check) bool { return o.Name == c.Name }) {
			r.refuse("/name", "%q is the name of another check too", c.Name)
		}
		r.comparison(c, s.Baseline)
		s.Checks = append(s.Checks, c)
		out = append(out, r.findings...)
	}
	if len(in.Checks) > 0 && !s.pauses() {
		out = append(out, delivery.Finding{Pointer: "/checks", Message: "no step of the strategy pauses, so that nothing would wait for them; give " + pauseOf(s.Kind)})
	}
	return out
}

// pauses reports whether a step of the strategy lasts, for a time or for a gate.
func (s Strategy) pauses() bool {
	switch s.Kind {
	case Canary:
		return slices.ContainsFunc(s.Canary, CanaryStep.lasts)
	case BlueGreen, Highlander:
		return s.DelayBeforeDisable > 0
	case Rolling, RollingRedBlack:
		return s.PauseBetweenBatches > 0 || s.PipelineBeforeCleanup != nil
	default:
		return false
	}
}

func pauseOf(k Kind) string {
	switch k {
	case Canary:
		return "one of the steps a bake or a gate"
	case BlueGreen, Highlander:
		return "delayBeforeDisableSec"
	case Rolling, RollingRedBlack:
		return "pauseBetweenBatches"
	default:
		return "a strategy that moves the traffic in steps"
	}
}

// checkReader collects the findings of one check.
type checkReader struct {
	pointer  string
	findings []delivery.Finding
}

func (r *checkReader) refuse(field, format string, args ...any) {
	r.findings = append(r.findings, delivery.Finding{Pointer: r.pointer + field, Message: fmt.Sprintf(format, args...)})
}

func (r *checkReader) read(raw json.RawMessage) Check {
	var in checkJSON
	if !r.strict(raw, &in, "") {
		return Check{}
	}
	c := Check{Name: in.Name, Query: r.query(in.Query), Fold: in.Fold, Max: in.Max, Min: in.Min, MaxOverBaseline: in.MaxOverBaseline, MinSamples: in.MinSamples,
		Interval: r.seconds("/interval", in.Interval, minInterval, minInterval), InitialDelay: seconds(in.InitialDelay),
		FailureLimit: in.FailureLimit, ErrorLimit: r.limit("/errorLimit", in.ErrorLimit), NoDataLimit: r.limit("/noDataLimit", in.NoDataLimit),
		InconclusiveLimit: r.limit("/inconclusiveLimit", in.InconclusiveLimit),
		OnError:           r.action("/onError", in.OnError), OnNoData: r.action("/onNoData", in.OnNoData), OnInconclusive: r.action("/onInconclusive", in.OnInconclusive),
	}
	c.Window = r.seconds("/window", in.Window, c.Interval.Truncate(time.Minute), time.Minute)
	r.bounds(c)
	switch {
	case in.Name == "":
		r.refuse("/name", "is required")
	case len(in.Name) > 64:
		r.refuse("/name", "is %d characters long; 64 are the most", len(in.Name))
	}
	if in.FailureLimit < 0 || in.FailureLimit > maxLimit {
		r.refuse("/failureLimit", "is %d; must be 0 to %d", in.FailureLimit, maxLimit)
	}
	if c.Window%time.Minute != 0 {
		r.refuse("/window", "is %s; must be whole minutes, the resolution of the sources", c.Window)
	}
	if in.InitialDelay < 0 || in.InitialDelay > 365*24*3600 {
		r.refuse("/initialDelay", "is %v; must be 0 s to a year", in.InitialDelay)
	}
	if in.Fold != "" && !slices.Contains(Folds(), in.Fold) {
		r.refuse("/fold", "is %q; must be one of %s", in.Fold, strings.Join(Folds(), ", "))
	} else if in.Fold != "" && c.Query.Preset != "" {
		r.refuse("/fold", "is for queries of one's own; %s has its own", c.Query.Preset)
	}
	return c
}

func (r *checkReader) bounds(c Check) {
	switch {
	case c.Max == nil && c.Min == nil && c.MaxOverBaseline == nil:
		r.refuse("/max", "is missing, and so is min; one of them is required")
	case c.Max != nil && c.Min != nil && *c.Min > *c.Max:
		r.refuse("/min", "is %v, more than max, %v", *c.Min, *c.Max)
	}
	switch q := c.Query; {
	case c.MinSamples < 0:
		r.refuse("/minSamples", "is %v; must not be negative", c.MinSamples)
	case c.MinSamples > 0 && q.Preset != delivery.ErrorRate && q.Preset != delivery.LatencyP99:
		r.refuse("/minSamples", "is for %s and %s, which tell how many requests they speak of", delivery.ErrorRate, delivery.LatencyP99)
	}
}

func (r *checkReader) seconds(field string, given *float64, fallback, least time.Duration) time.Duration {
	if given == nil {
		return fallback
	}
	if d := seconds(*given); *given <= maxInterval.Seconds() && d >= least {
		return d
	}
	r.refuse(field, "is %v; must be %v to %v s", *given, least.Seconds(), maxInterval.Seconds())
	return fallback
}

func (r *checkReader) limit(field string, given *int) int {
	switch {
	case given == nil:
		return DefaultTolerance
	case *given < 0 || *given > maxLimit:
		r.refuse(field, "is %d; must be 0 to %d", *given, maxLimit)
	}
	return *given
}

func (r *checkReader) action(field string, given Action) Action {
	switch given {
	case "":
		return ActionWait
	case ActionWait, ActionRollback, ActionContinue:
		return given
	default:
		r.refuse(field, "is %q; must be %s, %s or %s", given, ActionWait, ActionRollback, ActionContinue)
		return ActionWait
	}
}

// query reads the name of a preset, or an object for one source.
func (r *checkReader) query(raw json.RawMessage) delivery.MetricQuery {
	var q delivery.MetricQuery
	if len(raw) == 0 {
		r.refuse("/query", "is required: %s, or a query of CloudWatch or Cloud Monitoring", presetNames())
		return q
	}
	if json.Unmarshal(raw, &q.Preset) == nil {
		if !slices.Contains(delivery.MetricPresets(), q.Preset) {
			r.refuse("/query", "is %q; must be %s, or an object", q.Preset, presetNames())
		}
		return q
	}
	var own struct {
		CloudWatch      *delivery.CloudWatchQuery      `json:"cloudWatch"`
		CloudMonitoring *delivery.CloudMonitoringQuery `json:"cloudMonitoring"`
	}
	if !r.strict(raw, &own, "/query") {
		return q
	}
	q.CloudWatch, q.CloudMonitoring = own.CloudWatch, own.CloudMonitoring
	if (q.CloudWatch == nil) == (q.CloudMonitoring == nil) {
		r.refuse("/query", "must have one of cloudWatch and cloudMonitoring")
		return q
	}
	for _, f := range required(q) {
		if f.value == "" {
			r.refuse("/query/"+q.Source()+"/"+f.name, "is required")
		}
	}
	return q
}

type requiredField struct{ name, value string }

func required(q delivery.MetricQuery) []requiredField {
	if w := q.CloudWatch; w != nil {
		return []requiredField{{"namespace", w.Namespace}, {"metric", w.Metric}, {"statistic", w.Statistic}}
	}
	m := q.CloudMonitoring
	return []requiredField{{"filter", m.Filter}, {"aligner", m.Aligner}, {"reducer", m.Reducer}}
}

func presetNames() string {
	var names []string
	for _, p := range delivery.MetricPresets() {
		names = append(names, string(p))
	}
	return strings.Join(names, ", ")
}

// strict decodes an object of which every field is known: one with a slip in its
// name would be a limit that does not hold. It reports whether the object is right.
func (r *checkReader) strict(raw json.RawMessage, into any, at string) bool {
	findings := decode(raw, r.pointer+at, into, reading{strict: true})
	r.findings = append(r.findings, findings...)
	return len(findings) == 0
}
