package gcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	monitoring "cloud.google.com/go/monitoring/apiv3/v2"
	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
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
