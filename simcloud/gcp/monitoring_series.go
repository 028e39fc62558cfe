package gcp

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	metricpb "google.golang.org/genproto/googleapis/api/metric"
	"google.golang.org/genproto/googleapis/api/monitoredres"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func (c *call) listTimeSeries(in *monitoringpb.ListTimeSeriesRequest) (*monitoringpb.ListTimeSeriesResponse, error) {
	terms, refusal := parseMetricFilter(in.GetFilter())
	if refusal != nil {
		return nil, refusal
	}
	if in.GetOrderBy() != "" || in.GetSecondaryAggregation() != nil {
		return nil, badRequest("Fields orderBy and secondaryAggregation are not supported.")
	}
	m, refusal := c.metricOf(in.GetFilter(), terms)
	if refusal != nil {
		return nil, refusal
	}
	interval, refusal := intervalOf(in.GetInterval())
	if refusal != nil {
		return nil, refusal
	}
	t := c.read(m, terms, interval)
	if refusal := t.aggregate(in.GetAggregation(), interval); refusal != nil {
		return nil, refusal
	}
	slices.SortFunc(t.series, func(a, b *series) int { return cmp.Compare(a.key(), b.key()) })
	part, next, refusal := page(t.series, in.GetPageToken(), int(in.GetPageSize()), c.cloud.options.PageSize)
	if refusal != nil {
		return nil, refusal
	}
	out := &monitoringpb.ListTimeSeriesResponse{NextPageToken: next, Unit: t.unit}
	for _, s := range part {
		out.TimeSeries = append(out.TimeSeries, t.message(m, s, in.GetView()))
	}
	return out, nil
}

// metricOf is the one metric that a filter names: "the filter must specify a single metric type" (ListTimeSeriesRequest).
func (c *call) metricOf(filter string, terms []term) (*metricType, *apiError) {
	var name string
	for _, t := range terms {
		if t.field == "metric.type" {
			if name != "" || t.prefix {
				return nil, badMetricFilter(filter, "The filter must specify a single metric type.")
			}
			name = t.value
		}
	}
	if name == "" {
		return nil, badMetricFilter(filter, "The filter must specify a metric type.")
	}
	m := c.project.metricType(name)
	if m == nil {
		return nil, &apiError{status: http.StatusNotFound, message: fmt.Sprintf("Cannot find metric(s) that match type = %q.", name)}
	}
	return m, nil
}

// intervalOf is the time (start, end]; the start is the end when there is none (google.monitoring.v3.TimeInterval).
func intervalOf(in *monitoringpb.TimeInterval) ([2]time.Time, *apiError) {
	if in.GetEndTime() == nil {
		return [2]time.Time{}, badRequest("Field interval.endTime had an invalid value: The end time is required.")
	}
	end := in.GetEndTime().AsTime()
	start := end
	if in.GetStartTime() != nil {
		start = in.GetStartTime().AsTime()
	}
	if start.After(end) {
		return [2]time.Time{}, badRequest("Field interval.startTime had an invalid value of %q: The start time must be before the end time (%s).", stamp(start), stamp(end))
	}
	return [2]time.Time{start, end}, nil
}

// read returns the series that a filter selects, with the points that can be seen yet.
func (c *call) read(m *metricType, terms []term, interval [2]time.Time) *table {
	t := &table{kind: m.kind, value: m.value, unit: m.unit}
	until := interval[1]
	if seen := c.project.visible(m, c.now); m.measure != nil && seen.Before(until) {
		until = seen
	}
	measured := c.project.customSeries(m.name)
	if m.measure != nil {
		measured = m.measure(c.project, m, interval[0], until)
	}
	for _, s := range measured {
		s = &series{metric: s.metric, resource: s.resource, points: slices.DeleteFunc(slices.Clone(s.points), func(p point) bool {
			return p.to.After(until) || !p.to.After(interval[0]) && !p.to.Equal(interval[1])
		})}
		if len(s.points) > 0 && s.selected(m, terms) {
			t.series = append(t.series, s)
		}
	}
	return t
}

func (s *series) selected(m *metricType, terms []term) bool {
	for _, t := range terms {
		var value string
		if name, ok := strings.CutPrefix(t.field, "metric.labels."); ok {
			value = s.metric[name]
		} else if name, ok := strings.CutPrefix(t.field, "resource.labels."); ok {
			value = s.resource[name]
		} else if t.field == "resource.type" {
			value = m.resource
		} else {
			value = m.name
		}
		if !t.matches(value) {
			return false
		}
	}
	return true
}

// key tells series of one metric apart.
func (s *series) key() string {
	var b strings.Builder
	for _, labels := range []map[string]string{s.resource, s.metric} {
		for _, name := range slices.Sorted(maps.Keys(labels)) {
			fmt.Fprintf(&b, "%s=%q,", name, labels[name])
		}
		b.WriteByte(';')
	}
	return b.String()
}

// message is a series as it is answered: the latest point first, without points when only headers are asked for.
func (t *table) message(m *metricType, s *series, view monitoringpb.ListTimeSeriesRequest_TimeSeriesView) *monitoringpb.TimeSeries {
	out := &monitoringpb.TimeSeries{
		Metric: &metricpb.Metric{Type: m.name, Labels: s.metric}, Resource: &monitoredres.MonitoredResource{Type: m.resource, Labels: s.resource},
		MetricKind: t.kind, ValueType: t.value,
	}
	if view == monitoringpb.ListTimeSeriesRequest_HEADERS {
		return out
	}
	for _, p := range slices.Backward(s.points) {
		out.Points = append(out.Points, &monitoringpb.Point{
			Interval: &monitoringpb.TimeInterval{StartTime: timestamppb.New(p.from), EndTime: timestamppb.New(p.to)}, Value: t.typed(p),
		})
	}
	return out
}

func (t *table) typed(p point) *monitoringpb.TypedValue {
	switch t.value {
	case distribution:
		return &monitoringpb.TypedValue{Value: &monitoringpb.TypedValue_DistributionValue{DistributionValue: p.spread.message()}}
	case int64s:
		return &monitoringpb.TypedValue{Value: &monitoringpb.TypedValue_Int64Value{Int64Value: int64(math.Round(p.number))}}
	default:
		return &monitoringpb.TypedValue{Value: &monitoringpb.TypedValue_DoubleValue{DoubleValue: p.number}}
	}
}
