package aws

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/simcloud"
)

type dimension struct {
	Name  string `wire:",required"`
	Value string `wire:",required"`
}

type metricName struct {
	Namespace  string
	MetricName string
	Dimensions []dimension
}

type metricStat struct {
	Metric metricName `wire:",required"`
	Period int32      `wire:",required"`
	Stat   string     `wire:",required"`
	Unit   string
}

type metricQuery struct {
	Id         string `wire:",required"`
	MetricStat *metricStat
	Label      string
	ReturnData *bool
	AccountId  ignored
	Expression refused
	Period     ignored
}

type getMetricDataInput struct {
	MetricDataQueries []metricQuery `wire:",required"`
	StartTime         time.Time     `wire:",required"`
	EndTime           time.Time     `wire:",required"`
	ScanBy            string
	MaxDatapoints     *int32
	NextToken         string
	LabelOptions      ignored
}

type metricMessage struct {
	Code  string
	Value string
}

type metricResult struct {
	Id         string
	Label      string
	StatusCode string
	Timestamps members[stamp]
	Values     members[float64]
	Messages   members[metricMessage]
}

type getMetricDataOutput struct {
	MetricDataResults members[metricResult]
	NextToken         *string
	Messages          members[metricMessage]
}

// point is the summary of what was measured in one period.
type point struct {
	at                   time.Time
	sum, count, min, max float64
	samples              []float64
}

// series is a custom metric, by simulated minute.
type series struct {
	name   metricName
	points map[time.Time]*point
}

func (p *point) add(value, times float64) {
	if p.count == 0 || value < p.min {
		p.min = value
	}
	if p.count == 0 || value > p.max {
		p.max = value
	}
	p.sum += value * times
	p.count += times
	if len(p.samples) < 1000 {
		p.samples = append(p.samples, value)
	}
}

func (p *point) merge(o point) {
	if p.count == 0 || o.min < p.min {
		p.min = o.min
	}
	if p.count == 0 || o.max > p.max {
		p.max = o.max
	}
	p.sum, p.count = p.sum+o.sum, p.count+o.count
	p.samples = append(p.samples, o.samples...)
}

// stat is one statistic of a period (user guide, "CloudWatch statistics definitions").
func (p *point) stat(name string) (float64, bool) {
	switch name {
	case "Sum":
		return p.sum, true
	case "Average":
		return p.sum / p.count, true
	case "Minimum":
		return p.min, true
	case "Maximum":
		return p.max, true
	case "SampleCount":
		return p.count, true
	}
	percent, err := strconv.ParseFloat(strings.TrimPrefix(name, "p"), 64)
	if !strings.HasPrefix(name, "p") || err != nil || percent < 0 || percent > 100 {
		return 0, false
	}
	if len(p.samples) == 0 {
		return 0, true
	}
	sortedSamples := slices.Sorted(slices.Values(p.samples))
	return sortedSamples[int(math.Ceil(percent/100*float64(len(sortedSamples))))-btoi(percent > 0)], true
}

// maxDatapoints: API reference of GetMetricData.
const maxDatapoints = 100800

// getMetricData returns data by periods of whole minutes, oldest first unless ScanBy says otherwise. It pages by query.
func (c *call) getMetricData(in *getMetricDataInput) (*getMetricDataOutput, error) {
	if !in.StartTime.Before(in.EndTime) {
		return nil, refuse("ValidationError", "The parameter StartTime must be less than the parameter EndTime.")
	}
	if n := valueOr(in.MaxDatapoints, maxDatapoints); n < 1 || n > maxDatapoints {
		return nil, refuse("ValidationError", "The value %d for parameter MaxDatapoints is not supported.", n)
	}
	keys := map[string]string{}
	for i, q := range in.MetricDataQueries {
		if keys[q.Id] != "" {
			return nil, refuse("ValidationError", "The value of parameter Id %s is used more than once.", q.Id)
		}
		if q.MetricStat == nil {
			return nil, refuse("ValidationError", "The query %s has neither MetricStat nor Expression.", q.Id)
		}
		keys[q.Id] = fmt.Sprintf("%06d", i)
	}
	part, next, ok := page(in.MetricDataQueries, func(q metricQuery) string { return keys[q.Id] }, in.NextToken, c.cloud.options.PageSize)
	if !ok {
		return nil, refuse("InvalidNextToken", "The token '%s' is invalid.", in.NextToken)
	}
	out := &getMetricDataOutput{NextToken: optional(next)}
	for _, q := range part {
		result, refusal := c.metricResult(q, in)
		if refusal != nil {
			return nil, refusal
		}
		if valueOr(q.ReturnData, true) {
			out.MetricDataResults.Items = append(out.MetricDataResults.Items, result)
		}
	}
	return out, nil
}

func (c *call) metricResult(q metricQuery, in *getMetricDataInput) (metricResult, *apiError) {
	stat := q.MetricStat
	if stat.Period < 60 || stat.Period%60 != 0 {
		return metricResult{}, refuse("ValidationError", "The value %d for parameter Period is not supported: it must be a multiple of 60.", stat.Period)
	}
	period := time.Duration(stat.Period) * time.Second
	periods := map[time.Time]*point{}
	for _, p := range c.measured(stat.Metric, in.StartTime.Truncate(time.Minute), in.EndTime) {
		at := p.at.Truncate(period)
		if periods[at] == nil {
			periods[at] = &point{at: at}
		}
		periods[at].merge(p)
	}
	result := metricResult{Id: q.Id, Label: stat.Metric.MetricName, StatusCode: "Complete"}
	if q.Label != "" {
		result.Label = q.Label
	}
	var found []*point
	for _, p := range periods {
		found = append(found, p)
	}
	slices.SortFunc(found, func(a, b *point) int { return a.at.Compare(b.at) })
	if in.ScanBy != "TimestampAscending" { // newest first is the default
		slices.Reverse(found)
	}
	for _, p := range found {
		value, ok := p.stat(stat.Stat)
		if !ok {
			return metricResult{}, refuse("ValidationError", "The value %s for parameter Stat is not supported.", stat.Stat)
		}
		result.Timestamps.Items = append(result.Timestamps.Items, stamp{p.at})
		result.Values.Items = append(result.Values.Items, value)
	}
	return result, nil
}

// measured returns the minutes of a metric: of a target group, or put by a client. A minute without data has no point.
func (c *call) measured(name metricName, from, to time.Time) []point {
	if name.Namespace != "AWS/ApplicationELB" {
		return c.region.custom(name, from, to)
	}
	var out []point
	for _, d := range name.Dimensions {
		for arn, live := range c.region.targets {
			if d.Name == "TargetGroup" && strings.HasSuffix(arn, ":"+d.Value) {
				for _, m := range live.Metrics(from, to) {
					if p, ok := balancerPoint(name.MetricName, m); ok {
						out = append(out, p)
					}
				}
			}
		}
	}
	return out
}

// balancerMetrics are the metrics of AWS/ApplicationELB by target group (user guide, "CloudWatch metrics for your
// Application Load Balancer"). Counters are reported only for minutes with a value other than 0.
var balancerMetrics = []string{
	"RequestCount", "HTTPCode_Target_2XX_Count", "HTTPCode_Target_3XX_Count", "HTTPCode_Target_4XX_Count",
	"HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count", "TargetResponseTime", "HealthyHostCount", "UnHealthyHostCount",
}

func balancerPoint(name string, m simcloud.Metrics) (point, bool) {
	counter := map[string]int{
		"RequestCount": m.Requests, "HTTPCode_Target_2XX_Count": m.Target2XX, "HTTPCode_Target_3XX_Count": m.Target3XX,
		"HTTPCode_Target_4XX_Count": m.Target4XX, "HTTPCode_Target_5XX_Count": m.Target5XX, "HTTPCode_ELB_5XX_Count": m.ELB5XX,
	}
	p := point{at: m.Minute}
	switch name {
	case "HealthyHostCount":
		p.add(float64(m.HealthyHostsMin), 1)
		p.add(float64(m.HealthyHostsMax), 1)
		return p, true
	case "UnHealthyHostCount":
		p.add(float64(m.UnHealthyHostsMin), 1)
		p.add(float64(m.UnHealthyHostsMax), 1)
		return p, true
	case "TargetResponseTime":
		for _, s := range m.ResponseTimes {
			p.add(s, 1)
		}
		p.sum, p.count = m.ResponseTimeSum, float64(m.Requests)
		return p, len(m.ResponseTimes) > 0
	}
	n, ok := counter[name]
	p.sum, p.count, p.min, p.max = float64(n), float64(n), 1, 1
	return p, ok && n > 0
}

func (r *region) custom(name metricName, from, to time.Time) []point {
	s := r.metrics[name.key()]
	if s == nil {
		return nil
	}
	var out []point
	for at, p := range s.points {
		if !at.Before(from) && at.Before(to) {
			out = append(out, *p)
		}
	}
	return out
}

func (m metricName) key() string {
	dims := mapped(m.Dimensions, func(d dimension) string { return d.Name + "=" + d.Value })
	slices.Sort(dims)
	return m.Namespace + "\x00" + m.MetricName + "\x00" + strings.Join(dims, "\x00")
}
