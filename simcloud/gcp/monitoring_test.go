package gcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	monitoring "cloud.google.com/go/monitoring/apiv3/v2"
	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"github.com/google/go-cmp/cmp"
	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	metricpb "google.golang.org/genproto/googleapis/api/metric"
	"google.golang.org/genproto/googleapis/api/monitoredres"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-cd/slipway/simcloud"
)

// bearer sends a token over connections without TLS.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return false }

// monitor serves the cloud's Monitoring and returns its address.
func (k *kernel) monitor() string {
	k.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		k.t.Fatal(err)
	}
	server := k.cloud.Monitoring()
	k.world.Go(func(context.Context) { _ = server.Serve(listener) })
	k.t.Cleanup(server.Stop)
	return listener.Addr().String()
}

func (k *kernel) metrics(address, token string) *monitoring.MetricClient {
	k.t.Helper()
	client, err := monitoring.NewMetricClient(k.t.Context(), option.WithEndpoint(address), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
		option.WithGRPCDialOption(grpc.WithPerRPCCredentials(bearer(token))))
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { _ = client.Close() })
	return client
}

// ask lists series as lines: the labels that tell them apart, then the values from the latest.
func (k *kernel) ask(client *monitoring.MetricClient, in *monitoringpb.ListTimeSeriesRequest) ([]string, error) {
	k.t.Helper()
	if in.Name == "" {
		in.Name = "projects/shop"
	}
	if in.Interval == nil {
		now := k.world.Clock.Now()
		in.Interval = &monitoringpb.TimeInterval{StartTime: timestamppb.New(now.Add(-time.Hour)), EndTime: timestamppb.New(now)}
	}
	var out []string
	it := client.ListTimeSeries(k.t.Context(), in, once)
	for {
		s, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, line(s))
	}
}

func line(s *monitoringpb.TimeSeries) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", s.MetricKind, s.ValueType)
	for _, name := range []string{"backend_target_name", "revision_name", "instance_group_name"} {
		if v := s.Resource.Labels[name]; v != "" {
			b.WriteString(" " + v)
		}
	}
	for _, name := range []string{"response_code_class", "state", "color"} {
		if v := s.Metric.Labels[name]; v != "" {
			b.WriteString(" " + v)
		}
	}
	b.WriteString(":")
	for _, p := range s.Points {
		switch v := p.Value.Value.(type) {
		case *monitoringpb.TypedValue_Int64Value:
			fmt.Fprintf(&b, " %d", v.Int64Value)
		case *monitoringpb.TypedValue_DoubleValue:
			fmt.Fprintf(&b, " %.3g", v.DoubleValue)
		case *monitoringpb.TypedValue_DistributionValue:
			fmt.Fprintf(&b, " n=%d", v.DistributionValue.Count)
		}
	}
	return b.String()
}

// minute is the beginning of a minute from now on to which the clock is moved.
func (k *kernel) minute() time.Time {
	now := k.world.Clock.Now()
	next := now.Truncate(time.Minute).Add(time.Minute)
	k.world.Clock.Advance(next.Sub(now))
	return next
}

// serve makes a target group with one running instance behind a load balancer, and returns the address.
func (k *kernel) serve(id, group, zone string, image simcloud.Image) string {
	k.t.Helper()
	lb := simcloud.NewLoadBalancer(k.world, simcloud.LoadBalancerConfig{ID: "lb " + id, Name: "lb " + id, Timeout: 5 * time.Second})
	url, err := lb.Listen(80)
	if err != nil {
		k.t.Fatal(err)
	}
	targets := simcloud.NewTargetGroup(k.world, simcloud.TargetGroupConfig{
		ID: id, Name: nameOf(id), HealthCheck: simcloud.HealthCheck{Path: "/healthz", Interval: time.Second, HealthyThreshold: 1},
	})
	if err := lb.SetRules(80, []simcloud.Rule{{ID: "rule " + id, Priority: 1, Forward: []simcloud.Destination{{TargetGroup: targets, Weight: 1}}}}); err != nil {
		k.t.Fatal(err)
	}
	instance, err := k.world.Fleet.Launch(simcloud.Launch{ID: "vm-" + group, Image: image, Account: "gcp-sim", Region: "us-central1", Zone: zone, Group: group})
	if err != nil {
		k.t.Fatal(err)
	}
	k.world.Clock.Advance(time.Second)
	targets.Register(instance)
	k.settle(func() bool {
		k.world.Clock.Advance(time.Second)
		health := targets.Health()
		return len(health) == 1 && health[0].State == simcloud.TargetHealthy
	})
	return url
}

// settle waits for what real sockets bring about.
func (k *kernel) settle(done func() bool) {
	k.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			k.t.Fatal("waited too long")
		}
		timer := time.NewTimer(2 * time.Millisecond)
		<-timer.C
	}
}

func (k *kernel) visit(url string, times int) {
	k.t.Helper()
	for range times {
		response, err := http.Get(url)
		if err != nil {
			k.t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil {
			k.t.Fatal(err)
		}
	}
}

const (
	regional  = "loadbalancing.googleapis.com/https/external/regional/"
	webPath   = "projects/shop/regions/us-central1/backendServices/web"
	groupPath = "projects/shop/regions/us-central1/instanceGroupManagers/web"
	revPath   = "projects/shop/locations/us-central1/services/api/revisions/api-v001"
)

// TestMetricsOfTheDataPlane sends requests to a backend service and a revision, and reads them a while later.
func TestMetricsOfTheDataPlane(t *testing.T) {
	k := newKernel(t, Options{Latency: -1, TickInterval: 10 * time.Second})
	client := k.metrics(k.monitor(), "secret")
	resources := k.cloud.projects["shop"].data.resources
	resources[webPath] = &resource{path: webPath, message: &computepb.BackendService{
		LoadBalancingScheme: proto.String("EXTERNAL_MANAGED"), Backends: []*computepb.Backend{{Group: proto.String("https://x/projects/shop/regions/us-central1/instanceGroups/web")}},
	}}
	resources[groupPath] = &resource{path: groupPath, message: &computepb.InstanceGroupManager{}}
	web := k.serve(webPath, "web", "us-central1-a", simcloud.Image{Name: "good"})
	api := k.serve(revPath+"#containers", "api-v001", "", simcloud.Image{Name: "bad", ErrorRate: 1})

	k.minute()
	k.visit(web, 6)
	k.visit(api, 3)
	k.minute()
	k.visit(web, 12)
	third := k.minute()

	list := func(filter string, aggregation *monitoringpb.Aggregation) []string {
		t.Helper()
		got, err := k.ask(client, &monitoringpb.ListTimeSeriesRequest{
			Filter: filter, Aggregation: aggregation,
			Interval: &monitoringpb.TimeInterval{StartTime: timestamppb.New(third.Add(-2 * time.Minute)), EndTime: timestamppb.New(third)},
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	requests := `metric.type = "` + regional + `request_count"`
	if got := list(requests, nil); len(got) != 0 {
		t.Errorf("the metrics are published at once: %q", got)
	}
	k.world.Clock.Advance(90 * time.Second)
	if got := list(requests, nil); !cmp.Equal(got, []string{"DELTA INT64 web 200: 12 6"}) {
		t.Errorf("after 90 s there is %q", got)
	}
	if got := list(`metric.type = "`+regional+`backend_latencies"`, nil); len(got) != 0 {
		t.Errorf("latencies are published after 90 s: %q", got)
	}
	k.world.Clock.Advance(2 * time.Minute)

	align := func(a monitoringpb.Aggregation_Aligner, r monitoringpb.Aggregation_Reducer, seconds int64, by ...string) *monitoringpb.Aggregation {
		return &monitoringpb.Aggregation{AlignmentPeriod: &durationpb.Duration{Seconds: seconds}, PerSeriesAligner: a, CrossSeriesReducer: r, GroupByFields: by}
	}
	const none = monitoringpb.Aggregation_REDUCE_NONE
	for _, test := range []struct {
		name, filter string
		aggregation  *monitoringpb.Aggregation
		want         []string
	}{
		{"labels select", requests + ` AND resource.type = "http_external_regional_lb_rule" AND resource.labels.backend_target_name="web" AND metric.label.response_code_class="200"`, nil, []string{"DELTA INT64 web 200: 12 6"}},
		{"another class", requests + ` AND metric.labels.response_code_class="500"`, nil, nil},
		{"another service", requests + ` AND resource.labels.backend_target_name = "other"`, nil, nil},
		{"another kind of balancer", `metric.type = "loadbalancing.googleapis.com/https/internal/request_count"`, nil, nil},
		{"rate", requests, align(monitoringpb.Aggregation_ALIGN_RATE, none, 60), []string{"GAUGE DOUBLE web 200: 0.2 0.1"}},
		{"delta of two minutes", requests, align(monitoringpb.Aggregation_ALIGN_DELTA, none, 120), []string{"DELTA INT64 web 200: 18"}},
		{"mean of two minutes", requests, align(monitoringpb.Aggregation_ALIGN_MEAN, none, 120), []string{"GAUGE DOUBLE web 200: 9"}},
		{"latencies", `metric.type = "` + regional + `backend_latencies"`, nil, []string{"DELTA DISTRIBUTION web: n=12 n=6"}},
		{"summed by service", requests, align(monitoringpb.Aggregation_ALIGN_SUM, monitoringpb.Aggregation_REDUCE_SUM, 60, "resource.label.backend_target_name"), []string{"DELTA INT64 web: 12 6"}},
		{"summed over all", requests, align(monitoringpb.Aggregation_ALIGN_MAX, monitoringpb.Aggregation_REDUCE_SUM, 120), []string{"GAUGE INT64: 12"}},
		{"run", `metric.type = "run.googleapis.com/request_count" AND resource.labels.service_name = "api"`, nil, []string{"DELTA INT64 api-v001 5xx: 3"}},
		{"run latencies", `metric.type = "run.googleapis.com/request_latencies"`, align(monitoringpb.Aggregation_ALIGN_DELTA, none, 120), []string{"DELTA DISTRIBUTION api-v001: n=3"}},
		{"run instances", `metric.type = "run.googleapis.com/container/instance_count" AND metric.labels.state = "active"`, align(monitoringpb.Aggregation_ALIGN_MAX, monitoringpb.Aggregation_REDUCE_NONE, 120), []string{"GAUGE INT64 api-v001 active: 1"}},
		{"group size", `metric.type = "compute.googleapis.com/instance_group/size" AND resource.labels.instance_group_name = "web"`, nil, []string{"GAUGE INT64 web: 1 1"}},
	} {
		if got := list(test.filter, test.aggregation); !cmp.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	k.checkIntervals(client, requests, third)
	p99 := list(`metric.type = "`+regional+`backend_latencies"`, align(monitoringpb.Aggregation_ALIGN_PERCENTILE_99, none, 120))
	var value float64
	if _, err := fmt.Sscanf(strings.Join(p99, ""), "GAUGE DOUBLE web: %g", &value); err != nil || value <= 0 || value > 1000 {
		t.Errorf("the 99th percentile is %q", p99)
	}
}

// checkIntervals looks at the times of aligned points: those of a delta last from end to end.
func (k *kernel) checkIntervals(client *monitoring.MetricClient, filter string, end time.Time) {
	k.t.Helper()
	s, err := client.ListTimeSeries(k.t.Context(), &monitoringpb.ListTimeSeriesRequest{
		Name: "projects/shop", Filter: filter, Interval: &monitoringpb.TimeInterval{StartTime: timestamppb.New(end.Add(-2 * time.Minute)), EndTime: timestamppb.New(end)},
		Aggregation: &monitoringpb.Aggregation{AlignmentPeriod: durationpb.New(time.Minute), PerSeriesAligner: monitoringpb.Aggregation_ALIGN_DELTA},
	}, once).Next()
	if err != nil {
		k.t.Fatal(err)
	}
	for i, p := range s.Points {
		to := end.Add(-time.Duration(i) * time.Minute)
		if got := p.Interval; !got.EndTime.AsTime().Equal(to) || !got.StartTime.AsTime().Equal(to.Add(-time.Minute)) {
			k.t.Errorf("point %d is for %v to %v, not the minute up to %v", i, got.StartTime.AsTime(), got.EndTime.AsTime(), to)
		}
	}
	if len(s.Points) != 2 {
		k.t.Errorf("there are %d points", len(s.Points))
	}
}

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
