package gcp

import (
	"errors"
	"math"
	"testing"
	"time"

	monitoring "cloud.google.com/go/monitoring/apiv3/v2"
	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-cd/slipway/simcloud"
)

func TestListMetricDescriptors(t *testing.T) {
	k := newKernel(t, Options{Latency: -1})
	client := k.metrics(k.monitor(), "secret")
	for filter, want := range map[string]int{
		"": len(metricTypes),
		`metric.type = "` + regional + `request_count"`:       1,
		`metric.type = starts_with("run.googleapis.com/")`:    3,
		`metric.type = starts_with("custom.googleapis.com/")`: 0,
	} {
		it := client.ListMetricDescriptors(t.Context(), &monitoringpb.ListMetricDescriptorsRequest{Name: "projects/shop", Filter: filter}, once)
		got := 0
		for {
			d, err := it.Next()
			if errors.Is(err, iterator.Done) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if d.Type == "" || d.MetricKind == 0 || d.ValueType == 0 || d.Metadata.IngestDelay.AsDuration() <= 0 {
				t.Errorf("%s is described as %v", d.Name, d)
			}
			got++
		}
		if got != want {
			t.Errorf("%q selects %d descriptors, want %d", filter, got, want)
		}
	}
}

// TestRefusedQueries asks what cannot be answered.
func TestRefusedQueries(t *testing.T) {
	k := newKernel(t, Options{Latency: -1})
	client := k.metrics(k.monitor(), "secret")
	now := k.world.Clock.Now()
	const count = `metric.type = "run.googleapis.com/request_count"`
	const latency = `metric.type = "run.googleapis.com/request_latencies"`
	aligned := func(a monitoringpb.Aggregation_Aligner, r monitoringpb.Aggregation_Reducer, seconds int64, by ...string) *monitoringpb.Aggregation {
		return &monitoringpb.Aggregation{AlignmentPeriod: &durationpb.Duration{Seconds: seconds}, PerSeriesAligner: a, CrossSeriesReducer: r, GroupByFields: by}
	}
	for name, row := range map[string]struct {
		in   *monitoringpb.ListTimeSeriesRequest
		code codes.Code
	}{
		"no filter":                 {&monitoringpb.ListTimeSeriesRequest{}, codes.InvalidArgument},
		"no metric":                 {&monitoringpb.ListTimeSeriesRequest{Filter: `resource.type = "x"`}, codes.InvalidArgument},
		"two metrics":               {&monitoringpb.ListTimeSeriesRequest{Filter: count + " AND " + latency}, codes.InvalidArgument},
		"or":                        {&monitoringpb.ListTimeSeriesRequest{Filter: count + ` OR resource.type = "x"`}, codes.InvalidArgument},
		"not equal":                 {&monitoringpb.ListTimeSeriesRequest{Filter: count + ` AND resource.type != "x"`}, codes.InvalidArgument},
		"no quotes":                 {&monitoringpb.ListTimeSeriesRequest{Filter: count + ` AND resource.type = x`}, codes.InvalidArgument},
		"unknown field":             {&monitoringpb.ListTimeSeriesRequest{Filter: count + ` AND zone = "x"`}, codes.InvalidArgument},
		"open bracket":              {&monitoringpb.ListTimeSeriesRequest{Filter: count + ` AND resource.type = starts_with("x"`}, codes.InvalidArgument},
		"unknown metric":            {&monitoringpb.ListTimeSeriesRequest{Filter: `metric.type = "custom.googleapis.com/x"`}, codes.NotFound},
		"no end":                    {&monitoringpb.ListTimeSeriesRequest{Filter: count, Interval: &monitoringpb.TimeInterval{}}, codes.InvalidArgument},
		"end before the start":      {&monitoringpb.ListTimeSeriesRequest{Filter: count, Interval: &monitoringpb.TimeInterval{StartTime: timestamppb.New(now), EndTime: timestamppb.New(now.Add(-time.Second))}}, codes.InvalidArgument},
		"order":                     {&monitoringpb.ListTimeSeriesRequest{Filter: count, OrderBy: "x"}, codes.InvalidArgument},
		"short period":              {&monitoringpb.ListTimeSeriesRequest{Filter: count, Aggregation: aligned(monitoringpb.Aggregation_ALIGN_SUM, 0, 59)}, codes.InvalidArgument},
		"reducer alone":             {&monitoringpb.ListTimeSeriesRequest{Filter: count, Aggregation: aligned(0, monitoringpb.Aggregation_REDUCE_SUM, 60)}, codes.InvalidArgument},
		"unsupported aligner":       {&monitoringpb.ListTimeSeriesRequest{Filter: count, Aggregation: aligned(monitoringpb.Aggregation_ALIGN_STDDEV, 0, 60)}, codes.InvalidArgument},
		"percentile of a number":    {&monitoringpb.ListTimeSeriesRequest{Filter: count, Aggregation: aligned(monitoringpb.Aggregation_ALIGN_PERCENTILE_99, 0, 60)}, codes.InvalidArgument},
		"rate of a distribution":    {&monitoringpb.ListTimeSeriesRequest{Filter: latency, Aggregation: aligned(monitoringpb.Aggregation_ALIGN_RATE, 0, 60)}, codes.InvalidArgument},
		"maximum of a distribution": {&monitoringpb.ListTimeSeriesRequest{Filter: latency, Aggregation: aligned(monitoringpb.Aggregation_ALIGN_SUM, monitoringpb.Aggregation_REDUCE_MAX, 60)}, codes.InvalidArgument},
		"rate of a gauge":           {&monitoringpb.ListTimeSeriesRequest{Filter: `metric.type = "run.googleapis.com/container/instance_count"`, Aggregation: aligned(monitoringpb.Aggregation_ALIGN_RATE, 0, 60)}, codes.InvalidArgument},
		"another project":           {&monitoringpb.ListTimeSeriesRequest{Name: "projects/other", Filter: count}, codes.PermissionDenied},
	} {
		if _, err := k.ask(client, row.in); status.Code(err) != row.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMonitoringMeetsTheSameExchange tries tokens, limits and faults.
func TestMonitoringMeetsTheSameExchange(t *testing.T) {
	k := newKernel(t, Options{Latency: -1, Limits: map[string]int{"monitoring:read": 4}})
	address := k.monitor()
	client := k.metrics(address, "secret")
	read := func(client *monitoring.MetricClient) error {
		_, err := k.ask(client, &monitoringpb.ListTimeSeriesRequest{Filter: `metric.type = "run.googleapis.com/request_count"`})
		return err
	}
	if err := read(k.metrics(address, "wrong")); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a bad token: %v", err)
	}
	for kind, want := range map[simcloud.EffectKind]codes.Code{
		simcloud.EffectThrottle: codes.ResourceExhausted, simcloud.EffectError: codes.Internal, simcloud.EffectReset: codes.Unavailable, simcloud.EffectErrorAfter: codes.Unavailable,
	} {
		if _, err := k.world.Faults.Add(simcloud.Fault{ID: string(kind), Match: simcloud.Match{Service: "monitoring", Action: "MetricService.List*"}, Effect: simcloud.Effect{Kind: kind}}); err != nil {
			t.Fatal(err)
		}
		if err := read(client); status.Code(err) != want {
			t.Errorf("%s: %v", kind, err)
		}
		if event := k.last(); event.Fault != string(kind) || event.Action != "MetricService.ListTimeSeries" {
			t.Errorf("%s is recorded as %+v", kind, event)
		}
		k.world.Faults.Clear()
	}
	k.minute()
	for range 4 {
		if err := read(client); err != nil {
			t.Fatal(err)
		}
	}
	err := read(client)
	var told *apierror.APIError
	if status.Code(err) != codes.ResourceExhausted || !errors.As(err, &told) || told.Reason() != "RATE_LIMIT_EXCEEDED" {
		t.Errorf("the fifth read of a minute: %v", err)
	}
	if event := k.last(); event.Error != "RESOURCE_EXHAUSTED" {
		t.Errorf("recorded as %+v", event)
	}
	_, err = client.GetMetricDescriptor(t.Context(), &monitoringpb.GetMetricDescriptorRequest{Name: "projects/shop/metricDescriptors/x"}, once)
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("a method that is not simulated: %v", err)
	}
}

func TestSpread(t *testing.T) {
	s := newSpread([]float64{0.0001, 0.010, 0.010, 0.010}, 400, 3.01)
	if s.count != 400 || s.counts[0] != 100 || s.counts[bucketOfValue(10)] != 300 {
		t.Errorf("the buckets are %v", s.counts)
	}
	low := lowerBound(bucketOfValue(10))
	for p, within := range map[float64][2]float64{10: {0, 1}, 50: {low, low * bucketGrowth}, 99: {low, low * bucketGrowth}} {
		if got := s.percentile(p); got < within[0] || got > within[1] {
			t.Errorf("percentile %v is %v, not in %v", p, got, within)
		}
	}
	if mean := s.message().Mean; math.Abs(mean-3010.0/400) > 1e-9 {
		t.Errorf("the mean is %v", mean)
	}
	if sum := newSpread([]float64{1e9}, 1, 1e9); sum.counts[buckets+1] != 1 || sum.percentile(50) != lowerBound(buckets+1) {
		t.Error("the last bucket is not open")
	}
}
