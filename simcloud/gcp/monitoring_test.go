package gcp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	monitoring "cloud.google.com/go/monitoring/apiv3/v2"
	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-cd/slipway/simcloud"
)

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
