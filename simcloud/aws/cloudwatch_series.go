package aws

import (
	"slices"
	"strings"
	"time"
)

type statisticSet struct {
	SampleCount *float64 `wire:",required"`
	Sum         *float64 `wire:",required"`
	Minimum     *float64 `wire:",required"`
	Maximum     *float64 `wire:",required"`
}

type metricDatum struct {
	MetricName        string `wire:",required"`
	Dimensions        []dimension
	Timestamp         time.Time
	Value             *float64
	Values            []float64
	Counts            []float64
	StatisticValues   *statisticSet
	StorageResolution ignored
	Unit              ignored
}

type putMetricDataInput struct {
	Namespace              string `wire:",required"`
	MetricData             []metricDatum
	EntityMetricData       refused
	StrictEntityValidation ignored
}

func (c *call) putMetricData(in *putMetricDataInput) (*nothing, error) {
	if strings.HasPrefix(in.Namespace, "AWS/") {
		return nil, refuse("InvalidParameterValue", "The value AWS/ for parameter Namespace is invalid.")
	}
	for _, d := range in.MetricData {
		if len(d.Counts) > 0 && len(d.Counts) != len(d.Values) {
			return nil, refuse("InvalidParameterValue", "The parameters MetricData.member.Values and MetricData.member.Counts must be of the same size.")
		}
	}
	for _, d := range in.MetricData {
		c.put(in.Namespace, d)
	}
	return &nothing{}, nil
}

func (c *call) put(namespace string, d metricDatum) {
	name := metricName{namespace, d.MetricName, d.Dimensions}
	s := c.region.metrics[name.key()]
	if s == nil {
		s = &series{name: name, points: map[time.Time]*point{}}
		c.region.metrics[name.key()] = s
	}
	at := d.Timestamp
	if at.IsZero() {
		at = c.now
	}
	at = at.UTC().Truncate(time.Minute)
	p := s.points[at]
	if p == nil {
		p = &point{at: at}
		s.points[at] = p
	}
	if d.Value != nil {
		p.add(*d.Value, 1)
	}
	for i, v := range d.Values {
		times := 1.0
		if len(d.Counts) > 0 {
			times = d.Counts[i]
		}
		p.add(v, times)
	}
	if v := d.StatisticValues; v != nil {
		p.merge(point{sum: *v.Sum, count: *v.SampleCount, min: *v.Minimum, max: *v.Maximum})
	}
}

type dimensionFilter struct {
	Name  string `wire:",required"`
	Value string
}

type listMetricsInput struct {
	Namespace             string
	MetricName            string
	Dimensions            []dimensionFilter
	NextToken             string
	RecentlyActive        ignored
	IncludeLinkedAccounts ignored
	OwningAccount         ignored
}

type dimensionXML struct {
	Name  string
	Value string
}

type metricXML struct {
	Namespace  string
	MetricName string
	Dimensions members[dimensionXML]
}

type listMetricsOutput struct {
	Metrics        members[metricXML]
	NextToken      *string
	OwningAccounts members[string]
}

func (c *call) listMetrics(in *listMetricsInput) (*listMetricsOutput, error) {
	var known []metricName
	for _, s := range sorted(c.region.metrics) {
		known = append(known, s.name)
	}
	for _, g := range sorted(c.data.TargetGroups) {
		for _, b := range c.data.balancersOf(g.ARN) {
			dims := []dimension{{"TargetGroup", g.ARN[strings.LastIndex(g.ARN, ":")+1:]}, {"LoadBalancer", strings.SplitN(b, ":loadbalancer/", 2)[1]}}
			for _, name := range balancerMetrics {
				known = append(known, metricName{"AWS/ApplicationELB", name, dims})
			}
		}
	}
	known = slices.DeleteFunc(known, func(m metricName) bool { return !in.matches(m) })
	slices.SortFunc(known, func(a, b metricName) int { return strings.Compare(a.key(), b.key()) })
	part, next, ok := page(known, metricName.key, in.NextToken, c.cloud.options.PageSize)
	if !ok {
		return nil, refuse("InvalidParameterValue", "Invalid nextToken")
	}
	return &listMetricsOutput{Metrics: listOf(mapped(part, func(m metricName) metricXML {
		return metricXML{m.Namespace, m.MetricName, listOf(mapped(m.Dimensions, func(d dimension) dimensionXML { return dimensionXML(d) }))}
	})), NextToken: optional(next)}, nil
}

func (in *listMetricsInput) matches(m metricName) bool {
	if in.Namespace != "" && in.Namespace != m.Namespace || in.MetricName != "" && in.MetricName != m.MetricName {
		return false
	}
	for _, f := range in.Dimensions {
		if !slices.ContainsFunc(m.Dimensions, func(d dimension) bool { return d.Name == f.Name && (f.Value == "" || f.Value == d.Value) }) {
			return false
		}
	}
	return true
}
