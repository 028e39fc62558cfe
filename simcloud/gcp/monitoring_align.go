package gcp

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	metricpb "google.golang.org/genproto/googleapis/api/metric"
)

// table is a set of series of one metric on its way through aggregation.
type table struct {
	kind   metricpb.MetricDescriptor_MetricKind
	value  metricpb.MetricDescriptor_ValueType
	unit   string
	series []*series
}

// series is one time series. Its points are in the order of time.
type series struct {
	metric, resource map[string]string // labels
	points           []point
}

// point is a value for the time (from, to]; of a gauge, both are the same.
type point struct {
	from, to time.Time
	number   float64
	spread   *spread // of a distribution, else nil
}

// summary is what an aligner or reducer makes of several points.
type summary func(points []point, period time.Duration) point

// step is an aligner or a reducer. Which kinds and types it takes and gives stands in the comments of
// google.monitoring.v3.Aggregation.
type step struct {
	kinds   []metricpb.MetricDescriptor_MetricKind
	numbers bool // takes numbers
	spreads bool // takes distributions
	// kind and value are what it gives; those of the input when 0.
	kind  metricpb.MetricDescriptor_MetricKind
	value metricpb.MetricDescriptor_ValueType
	run   summary
}

var (
	both     = []metricpb.MetricDescriptor_MetricKind{gauge, delta}
	aligners = map[monitoringpb.Aggregation_Aligner]step{
		monitoringpb.Aggregation_ALIGN_DELTA:         {kinds: both[1:], numbers: true, spreads: true, run: sum},
		monitoringpb.Aggregation_ALIGN_RATE:          {kinds: both[1:], numbers: true, kind: gauge, value: doubles, run: rate},
		monitoringpb.Aggregation_ALIGN_SUM:           {kinds: both, numbers: true, spreads: true, run: sum},
		monitoringpb.Aggregation_ALIGN_MEAN:          {kinds: both, numbers: true, kind: gauge, value: doubles, run: mean},
		monitoringpb.Aggregation_ALIGN_MIN:           {kinds: both, numbers: true, kind: gauge, run: least},
		monitoringpb.Aggregation_ALIGN_MAX:           {kinds: both, numbers: true, kind: gauge, run: greatest},
		monitoringpb.Aggregation_ALIGN_COUNT:         {kinds: both, numbers: true, kind: gauge, value: int64s, run: count},
		monitoringpb.Aggregation_ALIGN_PERCENTILE_99: {kinds: both, spreads: true, kind: gauge, value: doubles, run: percentile(99)},
		monitoringpb.Aggregation_ALIGN_PERCENTILE_95: {kinds: both, spreads: true, kind: gauge, value: doubles, run: percentile(95)},
		monitoringpb.Aggregation_ALIGN_PERCENTILE_50: {kinds: both, spreads: true, kind: gauge, value: doubles, run: percentile(50)},
	}
	reducers = map[monitoringpb.Aggregation_Reducer]step{
		monitoringpb.Aggregation_REDUCE_SUM:           {kinds: both, numbers: true, spreads: true, run: sum},
		monitoringpb.Aggregation_REDUCE_MEAN:          {kinds: both, numbers: true, spreads: true, kind: gauge, value: doubles, run: mean},
		monitoringpb.Aggregation_REDUCE_MIN:           {kinds: both, numbers: true, kind: gauge, run: least},
		monitoringpb.Aggregation_REDUCE_MAX:           {kinds: both, numbers: true, kind: gauge, run: greatest},
		monitoringpb.Aggregation_REDUCE_COUNT:         {kinds: both, numbers: true, spreads: true, kind: gauge, value: int64s, run: count},
		monitoringpb.Aggregation_REDUCE_PERCENTILE_99: {kinds: both, numbers: true, spreads: true, kind: gauge, value: doubles, run: percentile(99)},
		monitoringpb.Aggregation_REDUCE_PERCENTILE_95: {kinds: both, numbers: true, spreads: true, kind: gauge, value: doubles, run: percentile(95)},
		monitoringpb.Aggregation_REDUCE_PERCENTILE_50: {kinds: both, numbers: true, spreads: true, kind: gauge, value: doubles, run: percentile(50)},
	}
)

// takes tells whether the step is valid for a table.
func (s step) takes(t *table) bool {
	if t.value == distribution {
		return s.spreads && slices.Contains(s.kinds, t.kind)
	}
	return s.numbers && slices.Contains(s.kinds, t.kind)
}

// turn gives a table the kind and type of the step's output.
func (s step) turn(t *table) {
	t.kind, t.value = cmp.Or(s.kind, t.kind), cmp.Or(s.value, t.value)
}

// aggregate aligns and reduces a table.
func (t *table) aggregate(in *monitoringpb.Aggregation, interval [2]time.Time) *apiError {
	if in.GetPerSeriesAligner() == monitoringpb.Aggregation_ALIGN_NONE {
		if in.GetCrossSeriesReducer() != monitoringpb.Aggregation_REDUCE_NONE {
			return badRequest("Field aggregation.perSeriesAligner must be specified, and not ALIGN_NONE, when a crossSeriesReducer is.")
		}
		return nil
	}
	period := in.GetAlignmentPeriod().AsDuration()
	if period < time.Minute {
		return badRequest("Field aggregation.alignmentPeriod had an invalid value of %q: must be at least 60 seconds.", period)
	}
	aligner, known := aligners[in.GetPerSeriesAligner()]
	if !known || !aligner.takes(t) {
		return badRequest("Field aggregation.perSeriesAligner had an invalid value of %q: The aligner cannot be applied to metrics with kind %s and value type %s.", in.GetPerSeriesAligner(), t.kind, t.value)
	}
	aligner.turn(t)
	if in.GetPerSeriesAligner() == monitoringpb.Aggregation_ALIGN_RATE {
		t.unit += "/s"
	}
	for _, s := range t.series {
		s.align(aligner.run, t.kind, period, interval)
	}
	return t.reduce(in, period)
}

// align divides the time into periods and gives each that has points one of its own. The last period ends with the
// interval: assumption.
func (s *series) align(run summary, kind metricpb.MetricDescriptor_MetricKind, period time.Duration, interval [2]time.Time) {
	var out []point
	points := s.points
	for len(points) > 0 {
		// The period that the first of the points lies in.
		back := interval[1].Sub(points[0].to) / period
		end := interval[1].Add(-back * period)
		n := 0
		for n < len(points) && !points[n].to.After(end) {
			n++
		}
		p := run(points[:n], period)
		p.from, p.to = end.Add(-period), end
		if kind == gauge {
			p.from = end
		}
		out, points = append(out, p), points[n:]
	}
	s.points = out
}

// reduce joins series that have the same values of some labels, point by point.
func (t *table) reduce(in *monitoringpb.Aggregation, period time.Duration) *apiError {
	if in.GetCrossSeriesReducer() == monitoringpb.Aggregation_REDUCE_NONE {
		return nil
	}
	reducer, known := reducers[in.GetCrossSeriesReducer()]
	if !known || !reducer.takes(t) {
		return badRequest("Field aggregation.crossSeriesReducer had an invalid value of %q: The reducer cannot be applied to metrics with kind %s and value type %s.", in.GetCrossSeriesReducer(), t.kind, t.value)
	}
	reducer.turn(t)
	groups := map[string][]*series{}
	for _, s := range t.series {
		short := &series{metric: map[string]string{}, resource: map[string]string{}, points: s.points}
		if refusal := short.keep(s, in.GetGroupByFields()); refusal != nil {
			return refusal
		}
		groups[short.key()] = append(groups[short.key()], short)
	}
	t.series = nil
	for _, members := range groups {
		t.series = append(t.series, join(members, reducer.run, t.kind, period))
	}
	return nil
}

// keep takes over the labels that series are grouped by.
func (s *series) keep(from *series, fields []string) *apiError {
	for _, field := range fields {
		path := labelPath(field)
		if path == "project" {
			path = "resource.labels.project_id"
		}
		name, ofMetric := strings.CutPrefix(path, "metric.labels.")
		labels, source := s.metric, from.metric
		if !ofMetric {
			var ofResource bool
			if name, ofResource = strings.CutPrefix(path, "resource.labels."); !ofResource {
				return badRequest("Field aggregation.groupByFields had an invalid value of %q.", field)
			}
			labels, source = s.resource, from.resource
		}
		if value, has := source[name]; has {
			labels[name] = value
		}
	}
	return nil
}

// join reduces the points that end at the same time.
func join(members []*series, run summary, kind metricpb.MetricDescriptor_MetricKind, period time.Duration) *series {
	out := &series{metric: members[0].metric, resource: members[0].resource}
	at := map[time.Time][]point{}
	for _, s := range members {
		for _, p := range s.points {
			at[p.to] = append(at[p.to], p)
		}
	}
	for to, points := range at {
		p := run(points, period)
		p.from, p.to = points[0].from, to
		if kind == gauge {
			p.from = to
		}
		out.points = append(out.points, p)
	}
	slices.SortFunc(out.points, func(a, b point) int { return a.to.Compare(b.to) })
	return out
}
