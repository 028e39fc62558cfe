package mig_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/gcp"
	"github.com/slipway-cd/slipway/providers/gcp/monitoring"
	"github.com/slipway-cd/slipway/simcloud"
	simgcp "github.com/slipway-cd/slipway/simcloud/gcp"
)

// TestMetrics sends requests to two groups, one of which fails half of them, and
// reads of each group what it did, over gRPC.
func TestMetrics(t *testing.T) {
	c := newCloudWith(t, simgcp.Options{MetricDelay: -1})
	must(c.server.SeedImage(project, simcloud.Image{Name: "broken-1.0", BootDelay: time.Second, ErrorRate: 0.5, Latency: 20 * time.Millisecond}))
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	server := c.server.Monitoring()
	c.world.Go(func(context.Context) { _ = server.Serve(listener) })
	t.Cleanup(server.Stop)
	open := func(token gcp.Secret) *monitoring.Source {
		session := must(gcp.Open(t.Context(), gcp.Options{Account: account, Project: project, AccessToken: token}))
		return must(monitoring.New(t.Context(), session, listener.Addr().String(), c.target))
	}
	source := open("token")
	from := c.world.Clock.Now().Truncate(time.Minute)
	ask := func(source *monitoring.Source, group string, q delivery.MetricQuery) (delivery.Series, error) {
		to := c.world.Clock.Now().Truncate(time.Minute)
		return source.Measure(t.Context(), delivery.MetricRequest{Query: q, Cluster: c.Cluster(shop), Group: group, From: from, To: to})
	}
	read := func(group string, q delivery.MetricQuery) delivery.Series {
		t.Helper()
		series, err := ask(source, group, q)
		if err != nil {
			t.Fatal(err)
		}
		return series
	}
	preset := func(p delivery.MetricPreset) delivery.MetricQuery { return delivery.MetricQuery{Preset: p} }

	if got := read("shop-test-v001", preset(delivery.ErrorRate)); len(got.Points) != 0 {
		t.Errorf("a group that is not there: %+v", got)
	}
	for group, image := range map[string]string{"shop-test-v001": "shop-1-1", "shop-test-v002": "broken-1-0"} {
		c.apply(t, c.create(group, image, 1))
	}
	c.until(t, "healthy groups", func() bool {
		seen := c.observe(t, balancer)
		for _, g := range seen.Groups {
			if g.Healthy() != 1 {
				return false
			}
		}
		return len(seen.Groups) == 2
	})
	if got := read("shop-test-v002", preset(delivery.LatencyP99)); len(got.Points) != 0 {
		t.Errorf("a group without traffic: %+v", got)
	}
	c.apply(t, c.weigh(t, delivery.Weight{ServerGroup: "shop-test-v001", Percent: 50}, delivery.Weight{ServerGroup: "shop-test-v002", Percent: 50}))
	failed := 0
	c.until(t, "both groups to answer", func() bool {
		answer := must(http.Get(c.server.LoadBalancers()[0].URL))
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusInternalServerError {
			failed++
		}
		return failed >= 20
	})
	last := c.world.Clock.Now()
	c.until(t, "the minute to be over", func() bool { return c.world.Clock.Now().Sub(last) > time.Minute })

	sum := func(s delivery.Series) (value, samples float64) {
		for _, p := range s.Points {
			if p.At.Second() != 0 || p.At.Before(from) {
				t.Errorf("point at %s", p.At)
			}
			value, samples = value+p.Value*max(p.Samples, 1), samples+p.Samples
		}
		return value, samples
	}
	if value, samples := sum(read("shop-test-v001", preset(delivery.ErrorRate))); value != 0 || samples == 0 {
		t.Errorf("the good group failed %v %% of %v requests", value, samples)
	}
	errors := read("shop-test-v002", preset(delivery.ErrorRate))
	value, samples := sum(errors)
	if got := value / 100; got < float64(failed)-0.01 || got > float64(failed)+0.01 {
		t.Errorf("the bad group failed %v of %v requests, clients saw %d: %+v", got, samples, failed, errors)
	}
	if got := read("shop-test-v002", preset(delivery.LatencyP99)); len(got.Points) == 0 || got.Points[0].Value < 15 || got.Points[0].Samples == 0 {
		t.Errorf("latency %+v", got)
	}
	if requests := read("shop-test-v002", preset(delivery.Requests)); len(requests.Points) == 0 {
		t.Errorf("requests %+v", requests)
	}

	own := func(aligner, reducer string) delivery.MetricQuery {
		return delivery.MetricQuery{CloudMonitoring: &delivery.CloudMonitoringQuery{Aligner: aligner, Reducer: reducer,
			Filter: `metric.type = "loadbalancing.googleapis.com/https/external/regional/request_count" AND resource.labels.backend_target_name = "{serverGroup}"`}}
	}
	if _, n := sum(read("shop-test-v002", preset(delivery.Requests))); n == 0 {
		t.Error("no requests")
	} else if got, _ := sum(read("shop-test-v002", own("ALIGN_SUM", "REDUCE_SUM"))); got != n {
		t.Errorf("a query of one's own counts %v requests, the preset %v", got, n)
	}
	for _, wrong := range []delivery.MetricQuery{own("ALIGN_GUESS", "REDUCE_SUM"), own("ALIGN_SUM", "REDUCE_GUESS"), own("ALIGN_SUM", "REDUCE_NONE"),
		{CloudWatch: &delivery.CloudWatchQuery{}}, {Preset: "guess"}} {
		if _, err := ask(source, "shop-test-v002", wrong); delivery.KindOf(err) != delivery.Invalid {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
	if _, err := ask(open("another"), "shop-test-v002", preset(delivery.Requests)); delivery.KindOf(err) != delivery.Denied {
		t.Errorf("a wrong token: %v", err)
	}
	c.fault(simcloud.Fault{Match: simcloud.Match{Service: "monitoring"}, Effect: simcloud.Effect{Kind: simcloud.EffectThrottle}})
	if _, err := ask(source, "shop-test-v002", preset(delivery.Requests)); delivery.KindOf(err) != delivery.Throttled {
		t.Errorf("throttled: %v", err)
	}
}
