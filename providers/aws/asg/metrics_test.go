package asg_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	sdkcloudwatch "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/aws"
	"github.com/slipway-cd/slipway/providers/aws/cloudwatch"
	"github.com/slipway-cd/slipway/simcloud"
)

// TestMetrics sends requests to two groups, one of which fails half of them, and
// reads of each group what it did, over the wire.
func TestMetrics(t *testing.T) {
	c := newCloud(t)
	if _, err := c.server.SeedImage(simcloud.Image{Name: "shop-broken", BootDelay: time.Second, ErrorRate: 0.5, Latency: 20 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	session, err := aws.Open(t.Context(), aws.Options{Account: account, Endpoint: c.endpoint, AccessKeyID: "AKIATEST", SecretAccessKey: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	source := cloudwatch.New(session, region, c.target)
	from := c.world.Clock.Now().Truncate(time.Minute)
	measure := func(group string, q delivery.MetricQuery) (delivery.Series, error) {
		to := c.world.Clock.Now().Truncate(time.Minute).Add(time.Minute)
		return source.Measure(t.Context(), delivery.MetricRequest{Query: q, Cluster: c.Cluster(shop), Group: group, From: from, To: to})
	}
	read := func(group string, q delivery.MetricQuery) delivery.Series {
		t.Helper()
		series, err := measure(group, q)
		if err != nil {
			t.Fatal(err)
		}
		return series
	}
	preset := func(p delivery.MetricPreset) delivery.MetricQuery { return delivery.MetricQuery{Preset: p} }

	if got := read("shop-test-v001", preset(delivery.ErrorRate)); len(got.Points) != 0 {
		t.Errorf("a group that is not there: %+v", got)
	}
	for group, image := range map[string]string{"shop-test-v001": "shop-1.1", "shop-test-v002": "shop-broken"} {
		c.apply(t, c.create(group, image, 1))
	}
	if got := read("shop-test-v002", preset(delivery.ErrorRate)); len(got.Points) != 0 {
		t.Errorf("a group without traffic: %+v", got)
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
	if got := read("shop-test-v002", preset(delivery.LatencyP99)); len(got.Points) == 0 || got.Points[0].Value < 20 || got.Points[0].Samples == 0 {
		t.Errorf("latency %+v", got)
	}
	if requests := read("shop-test-v002", preset(delivery.Requests)); len(requests.Points) == 0 {
		t.Errorf("requests %+v", requests)
	}

	client := sdkcloudwatch.NewFromConfig(session.Config(region))
	must(client.PutMetricData(t.Context(), &sdkcloudwatch.PutMetricDataInput{Namespace: sdk.String("Shop"), MetricData: []types.MetricDatum{{
		MetricName: sdk.String("Orders"), Value: sdk.Float64(7), Timestamp: sdk.Time(from),
		Dimensions: []types.Dimension{{Name: sdk.String("Group"), Value: sdk.String("shop-test-v002")}}}}}))
	own := delivery.MetricQuery{CloudWatch: &delivery.CloudWatchQuery{Namespace: "Shop", Metric: "Orders", Statistic: "Sum", Dimensions: map[string]string{"Group": "{serverGroup}"}}}
	if got := read("shop-test-v002", own); len(got.Points) != 1 || got.Points[0].Value != 7 || got.Query != "Sum Shop Orders {Group=shop-test-v002}" {
		t.Errorf("a query of one's own: %+v", got)
	}
	if got := read("shop-test-v001", own); len(got.Points) != 0 {
		t.Errorf("of another group: %+v", got)
	}
	own.CloudWatch.Statistic = "Guess"
	if _, err := measure("shop-test-v002", own); delivery.KindOf(err) != delivery.Invalid {
		t.Errorf("an unknown statistic: %v", err)
	}
	if _, err := measure("shop-test-v002", delivery.MetricQuery{CloudMonitoring: &delivery.CloudMonitoringQuery{}}); delivery.KindOf(err) != delivery.Invalid {
		t.Errorf("a query of another cloud: %v", err)
	}
	c.fault(simcloud.Fault{Match: simcloud.Match{Service: "cloudwatch"}, Effect: simcloud.Effect{Kind: simcloud.EffectThrottle}})
	if _, err := measure("shop-test-v002", preset(delivery.Requests)); delivery.KindOf(err) != delivery.Throttled {
		t.Errorf("throttled: %v", err)
	}
}
