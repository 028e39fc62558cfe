package gcp

import (
	"testing"
	"time"

	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"github.com/google/go-cmp/cmp"
	metricpb "google.golang.org/genproto/googleapis/api/metric"
	"google.golang.org/genproto/googleapis/api/monitoredres"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// TestCustomMetrics writes and reads a client's own metric.
func TestCustomMetrics(t *testing.T) {
	k := newKernel(t, Options{Latency: -1})
	k.cloud.SeedProject(SeedProject{Account: "other", Project: "other", Token: "other"})
	address := k.monitor()
	client := k.metrics(address, "secret")
	write := func(color string, at time.Time, value float64, change func(*monitoringpb.TimeSeries)) error {
		s := &monitoringpb.TimeSeries{
			Metric: &metricpb.Metric{Type: "custom.googleapis.com/queue", Labels: map[string]string{"color": color}}, Resource: &monitoredres.MonitoredResource{Type: "global"},
			Points: []*monitoringpb.Point{{Interval: &monitoringpb.TimeInterval{EndTime: timestamppb.New(at)}, Value: &monitoringpb.TypedValue{Value: &monitoringpb.TypedValue_DoubleValue{DoubleValue: value}}}},
		}
		if change != nil {
			change(s)
		}
		return client.CreateTimeSeries(t.Context(), &monitoringpb.CreateTimeSeriesRequest{Name: "projects/shop", TimeSeries: []*monitoringpb.TimeSeries{s}}, once)
	}
	at := k.minute()
	for i, color := range []string{"red", "blue", "green", "black", "white", "grey"} {
		for minute := range 2 {
			if err := write(color, at.Add(time.Duration(minute)*time.Minute), float64(i+minute), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if event := k.last(); event.Service != "monitoring" || event.Action != "MetricService.CreateTimeSeries" || !event.Write || !event.Effect || event.Resource != "projects/shop" {
		t.Errorf("recorded as %+v", event)
	}
	k.world.Clock.Advance(time.Minute)
	whole := &monitoringpb.TimeInterval{StartTime: timestamppb.New(at.Add(-time.Second)), EndTime: timestamppb.New(at.Add(time.Minute))}
	const filter = `metric.type = "custom.googleapis.com/queue"`
	list := func(in *monitoringpb.ListTimeSeriesRequest) []string {
		t.Helper()
		in.Filter, in.Interval = filter, whole
		got, err := k.ask(client, in)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	want := []string{
		"GAUGE DOUBLE black: 4 3", "GAUGE DOUBLE blue: 2 1", "GAUGE DOUBLE green: 3 2", "GAUGE DOUBLE grey: 6 5", "GAUGE DOUBLE red: 1 0", "GAUGE DOUBLE white: 5 4",
	}
	if diff := cmp.Diff(want, list(&monitoringpb.ListTimeSeriesRequest{})); diff != "" {
		t.Errorf("over several pages (-want +got):\n%s", diff)
	}
	if got := list(&monitoringpb.ListTimeSeriesRequest{View: monitoringpb.ListTimeSeriesRequest_HEADERS}); len(got) != 6 || got[0] != "GAUGE DOUBLE black:" {
		t.Errorf("headers are %q", got)
	}
	for reducer, want := range map[monitoringpb.Aggregation_Reducer]string{
		monitoringpb.Aggregation_REDUCE_SUM: "GAUGE DOUBLE: 21", monitoringpb.Aggregation_REDUCE_MEAN: "GAUGE DOUBLE: 3.5", monitoringpb.Aggregation_REDUCE_MAX: "GAUGE DOUBLE: 6",
		monitoringpb.Aggregation_REDUCE_MIN: "GAUGE DOUBLE: 1", monitoringpb.Aggregation_REDUCE_COUNT: "GAUGE INT64: 6", monitoringpb.Aggregation_REDUCE_PERCENTILE_50: "GAUGE DOUBLE: 3.5",
	} {
		got := list(&monitoringpb.ListTimeSeriesRequest{Aggregation: &monitoringpb.Aggregation{
			AlignmentPeriod: durationpb.New(2 * time.Minute), PerSeriesAligner: monitoringpb.Aggregation_ALIGN_MAX, CrossSeriesReducer: reducer,
		}})
		if !cmp.Equal(got, []string{want}) {
			t.Errorf("%s gives %q, want %q", reducer, got, want)
		}
	}
	short, err := k.ask(client, &monitoringpb.ListTimeSeriesRequest{
		Filter: filter + ` AND metric.labels.color = "red"`, Interval: &monitoringpb.TimeInterval{StartTime: timestamppb.New(at.Add(-time.Second)), EndTime: timestamppb.New(at.Add(59 * time.Second))},
	})
	if err != nil || !cmp.Equal(short, []string{"GAUGE DOUBLE red: 0"}) {
		t.Errorf("up to the second point there is %q, %v", short, err)
	}
	later := at.Add(90 * time.Second)
	for name, err := range map[string]error{
		"older":        write("red", at, 1, nil),
		"the same":     write("red", at.Add(time.Minute), 1, nil),
		"future":       write("red", k.world.Clock.Now().Add(6*time.Minute), 1, nil),
		"past":         write("new", k.world.Clock.Now().Add(-26*time.Hour), 1, nil),
		"two points":   write("red", later, 1, func(s *monitoringpb.TimeSeries) { s.Points = append(s.Points, s.Points[0]) }),
		"no points":    write("red", later, 1, func(s *monitoringpb.TimeSeries) { s.Points = nil }),
		"other prefix": write("red", later, 1, func(s *monitoringpb.TimeSeries) { s.Metric.Type = "run.googleapis.com/request_count" }),
		"delta":        write("red", later, 1, func(s *monitoringpb.TimeSeries) { s.MetricKind = metricpb.MetricDescriptor_DELTA }),
		"other type": write("red", later, 1, func(s *monitoringpb.TimeSeries) {
			s.Points[0].Value.Value = &monitoringpb.TypedValue_Int64Value{Int64Value: 1}
		}),
		"no series": client.CreateTimeSeries(t.Context(), &monitoringpb.CreateTimeSeriesRequest{Name: "projects/shop"}, once),
	} {
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := write("red", later, 1, func(s *monitoringpb.TimeSeries) {
		s.Points[0].Value.Value = &monitoringpb.TypedValue_StringValue{StringValue: "x"}
	}); status.Code(err) != codes.Unimplemented {
		t.Errorf("a text: %v", err)
	}
	if _, err := k.ask(k.metrics(address, "other"), &monitoringpb.ListTimeSeriesRequest{Name: "projects/other", Filter: filter}); status.Code(err) != codes.NotFound {
		t.Errorf("another project reads the metric: %v", err)
	}
}
