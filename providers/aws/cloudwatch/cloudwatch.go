package cloudwatch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/aws"
)

const (
	// DefaultDelay is how long a minute may stay incomplete. The load balancer
	// "measures and sends its metrics in 60-second intervals" (CloudWatch metrics for
	// your Application Load Balancer), and the same time again is left for CloudWatch
	// to store them, of which AWS promises nothing.
	DefaultDelay = 2 * time.Minute
	// period is the resolution of the load balancer's metrics in seconds.
	period = 60
	// callTimeout keeps a measurement within the 30 s of the port.
	callTimeout = 28 * time.Second

	balancerNamespace = "AWS/ApplicationELB"
)

// groups tells where the traffic of a server group is counted.
type groups interface {
	// MetricDimensions returns the dimensions that the load balancer's metrics of a
	// server group have; nil when the group, or its load balancer, is not there.
	MetricDimensions(ctx context.Context, cluster delivery.Cluster, group string) (map[string]string, error)
}

// Source is CloudWatch in one region of an account.
type Source struct {
	client *cloudwatch.Client
	groups groups
}

var _ delivery.Metrics = (*Source)(nil)

// New makes the source of one region. It does no I/O.
func New(session *aws.Session, region string, g groups) *Source {
	return &Source{client: cloudwatch.NewFromConfig(session.Config(region)), groups: g}
}

// metric is one question: a statistic of a metric, by minute.
type metric struct {
	namespace, name, statistic string
	dimensions                 map[string]string
}

func (m metric) String() string {
	var dimensions []string
	for _, name := range slices.Sorted(maps.Keys(m.dimensions)) {
		dimensions = append(dimensions, name+"="+m.dimensions[name])
	}
	return fmt.Sprintf("%s %s %s {%s}", m.statistic, m.namespace, m.name, strings.Join(dimensions, ", "))
}

// Measure asks for the minutes of one metric, or of the two that a preset needs.
func (s *Source) Measure(ctx context.Context, r delivery.MetricRequest) (delivery.Series, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if q := r.Query.CloudWatch; q != nil {
		own := metric{q.Namespace, q.Metric, q.Statistic, map[string]string{}}
		for name, value := range q.Dimensions {
			own.dimensions[name] = strings.ReplaceAll(value, "{serverGroup}", r.Group)
		}
		found, err := s.read(ctx, r, own)
		if err != nil {
			return delivery.Series{}, err
		}
		return series(own.String(), found[0], func(at time.Time, value float64) delivery.MetricPoint {
			return delivery.MetricPoint{At: at, Value: value}
		}), nil
	}
	if r.Query.Preset == "" {
		return delivery.Series{}, delivery.Errorf(delivery.Invalid, "CloudWatch cannot be asked %s", r.Query.Source())
	}
	dimensions, err := s.groups.MetricDimensions(ctx, r.Cluster, r.Group)
	if err != nil || dimensions == nil {
		return delivery.Series{}, err
	}
	return s.preset(ctx, r, dimensions)
}

// preset reads the metrics of a target group ("CloudWatch metrics for your
// Application Load Balancer").
func (s *Source) preset(ctx context.Context, r delivery.MetricRequest, dimensions map[string]string) (delivery.Series, error) {
	requests := metric{balancerNamespace, "RequestCount", "Sum", dimensions}
	switch r.Query.Preset {
	case delivery.ErrorRate:
		errors := metric{balancerNamespace, "HTTPCode_Target_5XX_Count", "Sum", dimensions}
		found, err := s.read(ctx, r, requests, errors)
		if err != nil {
			return delivery.Series{}, err
		}
		counts, failed := found[0], found[1]
		for at, n := range failed { // one of the two counters may be late
			counts[at] = max(counts[at], n)
		}
		return series(fmt.Sprintf("100 * %s / %s", errors, requests), counts, func(at time.Time, n float64) delivery.MetricPoint {
			return delivery.MetricPoint{At: at, Value: 100 * failed[at] / n, Samples: n}
		}), nil
	case delivery.LatencyP99:
		latency := metric{balancerNamespace, "TargetResponseTime", "p99", dimensions}
		found, err := s.read(ctx, r, latency, requests)
		if err != nil {
			return delivery.Series{}, err
		}
		return series("1000 * "+latency.String(), found[0], func(at time.Time, seconds float64) delivery.MetricPoint {
			return delivery.MetricPoint{At: at, Value: 1000 * seconds, Samples: found[1][at]}
		}), nil
	case delivery.Requests:
		found, err := s.read(ctx, r, requests)
		if err != nil {
			return delivery.Series{}, err
		}
		return series(requests.String(), found[0], func(at time.Time, n float64) delivery.MetricPoint {
			return delivery.MetricPoint{At: at, Value: n, Samples: n}
		}), nil
	default:
		return delivery.Series{}, delivery.Errorf(delivery.Invalid, "CloudWatch cannot be asked %s", r.Query.Preset)
	}
}

// series makes points of minutes, in order of time.
func series(query string, minutes map[time.Time]float64, point func(time.Time, float64) delivery.MetricPoint) delivery.Series {
	out := delivery.Series{Query: query}
	for _, at := range slices.SortedFunc(maps.Keys(minutes), time.Time.Compare) {
		out.Points = append(out.Points, point(at, minutes[at]))
	}
	return out
}

// read returns the minutes of each metric that have data.
func (s *Source) read(ctx context.Context, r delivery.MetricRequest, metrics ...metric) ([]map[time.Time]float64, error) {
	in := &cloudwatch.GetMetricDataInput{StartTime: sdk.Time(r.From), EndTime: sdk.Time(r.To), ScanBy: types.ScanByTimestampAscending}
	found, at := make([]map[time.Time]float64, len(metrics)), map[string]int{}
	for i, m := range metrics {
		id := fmt.Sprintf("m%d", i)
		found[i], at[id] = map[time.Time]float64{}, i
		query := types.MetricDataQuery{Id: sdk.String(id), MetricStat: &types.MetricStat{
			Metric: &types.Metric{Namespace: sdk.String(m.namespace), MetricName: sdk.String(m.name)},
			Period: sdk.Int32(period), Stat: sdk.String(m.statistic),
		}}
		for _, name := range slices.Sorted(maps.Keys(m.dimensions)) {
			query.MetricStat.Metric.Dimensions = append(query.MetricStat.Metric.Dimensions, types.Dimension{Name: sdk.String(name), Value: sdk.String(m.dimensions[name])})
		}
		in.MetricDataQueries = append(in.MetricDataQueries, query)
	}
	for pages := cloudwatch.NewGetMetricDataPaginator(s.client, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, aws.Classify(err, "get metric data of %s", metrics[0])
		}
		for _, result := range page.MetricDataResults {
			i, asked := at[sdk.ToString(result.Id)]
			if !asked || len(result.Timestamps) != len(result.Values) {
				return nil, delivery.Errorf(delivery.Internal, "CloudWatch answers what was not asked: %s", sdk.ToString(result.Id))
			}
			if err := complete(result, metrics[i]); err != nil {
				return nil, err
			}
			for j, minute := range result.Timestamps {
				found[i][minute.UTC()] = result.Values[j]
			}
		}
	}
	return found, nil
}

// complete returns an error for a result that does not stand for all there is.
// PartialData means that another page has the rest.
func complete(result types.MetricDataResult, m metric) error {
	kind := delivery.Transient
	switch result.StatusCode {
	case types.StatusCodeComplete, types.StatusCodePartialData, "":
		return nil
	case types.StatusCodeForbidden:
		kind = delivery.Denied
	}
	said := string(result.StatusCode)
	for _, message := range result.Messages {
		said += ": " + sdk.ToString(message.Value)
	}
	return delivery.Errorf(kind, "get metric data of %s: %s", m, said)
}
