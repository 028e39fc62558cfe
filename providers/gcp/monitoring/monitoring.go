package monitoring

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	monitoring "cloud.google.com/go/monitoring/apiv3/v2"
	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"google.golang.org/api/iterator"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/gcp"
)

const (
	// DefaultDelay is how long a minute may stay incomplete: "sampled every 60
	// seconds. After sampling, data is not visible for up to 210 seconds", the
	// longest of the metrics that are read (cloud.google.com/monitoring/api/metrics_gcp),
	// up to whole minutes.
	DefaultDelay = 4 * time.Minute
	// callTimeout keeps a measurement within the 30 s of the port.
	callTimeout = 28 * time.Second
)

// Traffic says where the traffic of a server group is counted.
type Traffic struct {
	// Requests is a metric of type DELTA and INT64 with the label
	// response_code_class, Latencies one of milliseconds of type DELTA and
	// DISTRIBUTION.
	Requests, Latencies string
	// Resource is the type of the monitored resource, Labels those that tell the
	// group's from all others.
	Resource string
	Labels   map[string]string
}

// Groups tells where the traffic of a server group is counted.
type Groups interface {
	// MetricTraffic returns nil when the group is not there.
	MetricTraffic(ctx context.Context, cluster delivery.Cluster, group string) (*Traffic, error)
}

// Source is Cloud Monitoring of one project.
type Source struct {
	project string
	client  *monitoring.MetricClient
	groups  Groups
}

var _ delivery.Metrics = (*Source)(nil)

// New makes the source of a project. It does no I/O. endpoint is host and port of
// a simulated service; empty is the real one.
func New(ctx context.Context, session *gcp.Session, endpoint string, g Groups) (*Source, error) {
	client, err := monitoring.NewMetricClient(ctx, session.GRPCOptions(endpoint)...)
	if err != nil {
		return nil, fmt.Errorf("make a client of Cloud Monitoring: %w", err)
	}
	return &Source{project: session.Project(), client: client, groups: g}, nil
}

// question is what is asked of one metric, by minute.
type question struct {
	filter  string
	aligner monitoringpb.Aggregation_Aligner
	reducer monitoringpb.Aggregation_Reducer
	by      []string
}

func (q question) String() string {
	return fmt.Sprintf("%s %s of %s", q.aligner, q.reducer, q.filter)
}

// Measure asks for the minutes of one metric, or of the two that a preset needs.
func (s *Source) Measure(ctx context.Context, r delivery.MetricRequest) (delivery.Series, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if r.Query.CloudMonitoring != nil {
		return s.own(ctx, r)
	}
	if r.Query.Preset == "" {
		return delivery.Series{}, delivery.Errorf(delivery.Invalid, "Cloud Monitoring cannot be asked %s", r.Query.Source())
	}
	traffic, err := s.groups.MetricTraffic(ctx, r.Cluster, r.Group)
	if err != nil || traffic == nil {
		return delivery.Series{}, err
	}
	return s.preset(ctx, r, *traffic)
}

func (s *Source) own(ctx context.Context, r delivery.MetricRequest) (delivery.Series, error) {
	raw := r.Query.CloudMonitoring
	aligner, ok := monitoringpb.Aggregation_Aligner_value[raw.Aligner]
	if !ok {
		return delivery.Series{}, delivery.Errorf(delivery.Invalid, "%q is no aligner of Cloud Monitoring", raw.Aligner)
	}
	reducer, ok := monitoringpb.Aggregation_Reducer_value[raw.Reducer]
	if !ok {
		return delivery.Series{}, delivery.Errorf(delivery.Invalid, "%q is no reducer of Cloud Monitoring", raw.Reducer)
	}
	q := question{filter: strings.ReplaceAll(raw.Filter, "{serverGroup}", r.Group),
		aligner: monitoringpb.Aggregation_Aligner(aligner), reducer: monitoringpb.Aggregation_Reducer(reducer)}
	found, err := s.read(ctx, r, q)
	if err != nil {
		return delivery.Series{}, err
	}
	if len(found) > 1 {
		return delivery.Series{}, delivery.Errorf(delivery.Invalid, "%s answers with %d time series; it must be one", q, len(found))
	}
	out := delivery.Series{Query: q.String()}
	for _, minutes := range found {
		out.Points = points(minutes, func(at time.Time, value float64) delivery.MetricPoint {
			return delivery.MetricPoint{At: at, Value: value}
		})
	}
	return out, nil
}

func (s *Source) preset(ctx context.Context, r delivery.MetricRequest, t Traffic) (delivery.Series, error) {
	count := question{filter: t.filter(t.Requests), aligner: monitoringpb.Aggregation_ALIGN_SUM, reducer: monitoringpb.Aggregation_REDUCE_SUM,
		by: []string{"metric.labels.response_code_class"}}
	classes, err := s.read(ctx, r, count)
	if err != nil {
		return delivery.Series{}, err
	}
	requests, failed := map[time.Time]float64{}, map[time.Time]float64{}
	for class, minutes := range classes {
		for at, n := range minutes {
			if n > 0 {
				requests[at] += n
			}
			if strings.HasPrefix(class, "5") { // "500" at load balancers, "5xx" at Cloud Run
				failed[at] += n
			}
		}
	}
	switch r.Query.Preset {
	case delivery.ErrorRate:
		return delivery.Series{Query: "share of class 5xx in " + count.String(), Points: points(requests, func(at time.Time, n float64) delivery.MetricPoint {
			return delivery.MetricPoint{At: at, Value: 100 * failed[at] / n, Samples: n}
		})}, nil
	case delivery.Requests:
		return delivery.Series{Query: count.String(), Points: points(requests, func(at time.Time, n float64) delivery.MetricPoint {
			return delivery.MetricPoint{At: at, Value: n, Samples: n}
		})}, nil
	case delivery.LatencyP99:
		spread := question{filter: t.filter(t.Latencies), aligner: monitoringpb.Aggregation_ALIGN_SUM, reducer: monitoringpb.Aggregation_REDUCE_PERCENTILE_99}
		found, err := s.read(ctx, r, spread)
		if err != nil {
			return delivery.Series{}, err
		}
		return delivery.Series{Query: spread.String(), Points: points(found[""], func(at time.Time, ms float64) delivery.MetricPoint {
			return delivery.MetricPoint{At: at, Value: ms, Samples: requests[at]}
		})}, nil
	default:
		return delivery.Series{}, delivery.Errorf(delivery.Invalid, "Cloud Monitoring cannot be asked %s", r.Query.Preset)
	}
}

// filter selects one metric of the group.
func (t Traffic) filter(metric string) string {
	terms := []string{"metric.type = " + strconv.Quote(metric), "resource.type = " + strconv.Quote(t.Resource)}
	for _, name := range slices.Sorted(maps.Keys(t.Labels)) {
		terms = append(terms, "resource.labels."+name+" = "+strconv.Quote(t.Labels[name]))
	}
	return strings.Join(terms, " AND ")
}

// points makes points of minutes, in order of time.
func points(minutes map[time.Time]float64, point func(time.Time, float64) delivery.MetricPoint) []delivery.MetricPoint {
	var out []delivery.MetricPoint
	for _, at := range slices.SortedFunc(maps.Keys(minutes), time.Time.Compare) {
		out = append(out, point(at, minutes[at]))
	}
	return out
}

// read returns the minutes of each series by the value of its label; of several
// series of the same, the sum.
func (s *Source) read(ctx context.Context, r delivery.MetricRequest, q question) (map[string]map[time.Time]float64, error) {
	series := s.client.ListTimeSeries(ctx, &monitoringpb.ListTimeSeriesRequest{
		Name: "projects/" + s.project, Filter: q.filter,
		// The start is not included, the end is: periods end on the minute.
		Interval: &monitoringpb.TimeInterval{StartTime: timestamppb.New(r.From), EndTime: timestamppb.New(r.To)},
		Aggregation: &monitoringpb.Aggregation{AlignmentPeriod: durationpb.New(time.Minute),
			PerSeriesAligner: q.aligner, CrossSeriesReducer: q.reducer, GroupByFields: q.by},
	}, gcp.Reads()...)
	out := map[string]map[time.Time]float64{}
	for {
		one, err := series.Next()
		switch {
		case errors.Is(err, iterator.Done):
			return out, nil
		case err != nil:
			err = gcp.Classify(err, "list time series of %s", q.filter)
			if delivery.KindOf(err) == delivery.NotFound {
				return out, nil // a metric that nothing was written to yet
			}
			return nil, err
		}
		class := one.GetMetric().GetLabels()["response_code_class"]
		if out[class] == nil {
			out[class] = map[time.Time]float64{}
		}
		for _, p := range one.GetPoints() {
			value, err := valueOf(p.GetValue())
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", q, err)
			}
			out[class][p.GetInterval().GetEndTime().AsTime().Add(-time.Minute)] += value
		}
	}
}

func valueOf(v *monitoringpb.TypedValue) (float64, error) {
	switch v := v.GetValue().(type) {
	case *monitoringpb.TypedValue_DoubleValue:
		return v.DoubleValue, nil
	case *monitoringpb.TypedValue_Int64Value:
		return float64(v.Int64Value), nil
	default:
		return 0, delivery.Errorf(delivery.Invalid, "the values are no numbers; the aligner and the reducer must make some of them")
	}
}
