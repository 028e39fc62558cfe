package gcp

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	metricpb "google.golang.org/genproto/googleapis/api/metric"
	"google.golang.org/protobuf/types/known/emptypb"
)

// customMetric is a metric that clients write.
type customMetric struct {
	metricType
	series map[string]*series // by their keys
}

const (
	// customPrefix is what the names of clients' metrics begin with.
	customPrefix = "custom.googleapis.com/"
	// customKept bounds the points of a series, customSeriesMost the series of one request (CreateTimeSeriesRequest).
	customKept, customSeriesMost = 1000, 200
	// customAhead and customBehind are how far a point may lie from now ("User-defined metrics": 5 minutes in the future,
	// 25 hours in the past).
	customAhead, customBehind = 5 * time.Minute, 25 * time.Hour
)

// createTimeSeries stores one point of each series. It writes all or nothing; Cloud Monitoring writes those that are
// right: simulator's limit.
func (c *call) createTimeSeries(in *monitoringpb.CreateTimeSeriesRequest) (*emptypb.Empty, error) {
	if len(in.GetTimeSeries()) > customSeriesMost {
		return nil, badRequest("Field timeSeries had an invalid value: at most %d series may be written at once.", customSeriesMost)
	}
	seen := map[string]bool{}
	for i, s := range in.GetTimeSeries() {
		at := fmt.Sprintf("timeSeries[%d]", i)
		key := s.GetMetric().GetType() + customSeriesOf(s).key()
		if seen[key] {
			return nil, badRequest("Field %s had an invalid value: Duplicate TimeSeries encountered. Only one point can be written per TimeSeries per request.", at)
		}
		seen[key] = true
		if refusal := c.checkCustom(at, s); refusal != nil {
			return nil, refusal
		}
	}
	for _, s := range in.GetTimeSeries() {
		c.writeCustom(s)
	}
	return &emptypb.Empty{}, nil
}

func customSeriesOf(s *monitoringpb.TimeSeries) *series {
	return &series{metric: s.GetMetric().GetLabels(), resource: s.GetResource().GetLabels()}
}

// checkCustom refuses what is no point of a gauge, or contradicts what was written before.
func (c *call) checkCustom(at string, s *monitoringpb.TimeSeries) *apiError {
	name := s.GetMetric().GetType()
	value, _, ok := numberIn(s)
	switch {
	case !strings.HasPrefix(name, customPrefix):
		return badRequest("Field %s.metric.type had an invalid value of %q: must begin with %s", at, name, customPrefix)
	case len(s.GetPoints()) != 1:
		return badRequest("Field %s.points had an invalid value: exactly one point must be written.", at)
	case s.GetMetricKind() == delta:
		return badRequest("Field %s.metricKind had an invalid value of DELTA: clients write GAUGE and CUMULATIVE.", at)
	case !ok || s.GetMetricKind() == metricpb.MetricDescriptor_CUMULATIVE:
		return &apiError{status: http.StatusNotImplemented, message: "The simulator stores gauges of whole numbers and doubles."}
	}
	if known := c.project.custom[name]; known != nil && known.value != value {
		return badRequest("Field %s.valueType had an invalid value of %s: metric %s has the type %s.", at, value, name, known.value)
	} else if known != nil && known.resource != resourceTypeOf(s) {
		return &apiError{status: http.StatusNotImplemented, message: "The simulator stores a metric for one type of resource."}
	}
	end := s.GetPoints()[0].GetInterval().GetEndTime().AsTime()
	if end.After(c.now.Add(customAhead)) || end.Before(c.now.Add(-customBehind)) {
		return badRequest("Field %s.points[0].interval.endTime had an invalid value of %q: Data points cannot be written more than %s in the future or %s in the past.", at, stamp(end), customAhead, customBehind)
	}
	if last := c.project.lastCustom(s); !end.After(last) {
		return badRequest("Field %s.points[0].interval had an invalid value: Points must be written in order. One or more of the points specified had an older start time than the most recent point.", at)
	}
	return nil
}

// numberIn is the value of the one point.
func numberIn(s *monitoringpb.TimeSeries) (metricpb.MetricDescriptor_ValueType, float64, bool) {
	if len(s.GetPoints()) == 0 {
		return 0, 0, true // refused for another reason
	}
	switch v := s.GetPoints()[0].GetValue().GetValue().(type) {
	case *monitoringpb.TypedValue_Int64Value:
		return int64s, float64(v.Int64Value), true
	case *monitoringpb.TypedValue_DoubleValue:
		return doubles, v.DoubleValue, true
	default:
		return 0, 0, false
	}
}

// resourceTypeOf is the type of the monitored resource, "global" when none is named (TimeSeries).
func resourceTypeOf(s *monitoringpb.TimeSeries) string {
	if typ := s.GetResource().GetType(); typ != "" {
		return typ
	}
	return "global"
}

func (p *project) lastCustom(s *monitoringpb.TimeSeries) time.Time {
	if known := p.custom[s.GetMetric().GetType()]; known != nil {
		if old := known.series[customSeriesOf(s).key()]; old != nil {
			return old.points[len(old.points)-1].to
		}
	}
	return time.Time{}
}

// writeCustom stores a point that was checked. The metric's descriptor comes to be with the first one.
func (c *call) writeCustom(s *monitoringpb.TimeSeries) {
	name := s.GetMetric().GetType()
	value, number, _ := numberIn(s)
	known := c.project.custom[name]
	if known == nil {
		known = &customMetric{metricType: metricType{name: name, kind: gauge, value: value, unit: s.GetUnit(), resource: resourceTypeOf(s)}, series: map[string]*series{}}
		c.project.custom[name] = known
	}
	fresh := customSeriesOf(s)
	old := known.series[fresh.key()]
	if old == nil {
		old = &series{metric: maps.Clone(fresh.metric), resource: maps.Clone(fresh.resource)}
		known.series[fresh.key()] = old
	}
	end := s.GetPoints()[0].GetInterval().GetEndTime().AsTime()
	old.points = append(old.points, point{from: end, to: end, number: number})
	if surplus := len(old.points) - customKept; surplus > 0 {
		old.points = append([]point(nil), old.points[surplus:]...)
	}
}

// customSeries are the series of a client's metric.
func (p *project) customSeries(name string) []*series {
	known := p.custom[name]
	if known == nil {
		return nil
	}
	return slices.Collect(maps.Values(known.series))
}
