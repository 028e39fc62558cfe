package gcp

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	metricpb "google.golang.org/genproto/googleapis/api/metric"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Kinds and types of metrics, under shorter names.
const (
	gauge        = metricpb.MetricDescriptor_GAUGE
	delta        = metricpb.MetricDescriptor_DELTA
	int64s       = metricpb.MetricDescriptor_INT64
	doubles      = metricpb.MetricDescriptor_DOUBLE
	distribution = metricpb.MetricDescriptor_DISTRIBUTION
)

// metricType is what can be measured.
type metricType struct {
	name string
	kind metricpb.MetricDescriptor_MetricKind
	// value is the type of the points' values.
	value metricpb.MetricDescriptor_ValueType
	unit  string
	// resource is the type of the monitored resource.
	resource string
	// delay is how long after its minute a point stays invisible: "after sampling, data is not visible for up to 210
	// seconds" of the metric's description.
	delay time.Duration
	// measure returns the series with the points that end in (from, to], and perhaps some more; nil for a client's metric.
	measure func(p *project, m *metricType, from, to time.Time) []*series
}

// metricTypes are the metrics of the simulated services (cloud.google.com/monitoring/api/metrics_gcp). The delays of the
// instance counts: assumption, as those of the other metrics of Cloud Run.
var metricTypes = slices.Concat(
	balancerMetrics("loadbalancing.googleapis.com/https/external/regional/", "http_external_regional_lb_rule", 90*time.Second),
	balancerMetrics("loadbalancing.googleapis.com/https/internal/", "internal_http_lb_rule", 90*time.Second),
	balancerMetrics("loadbalancing.googleapis.com/https/", "https_lb_rule", 210*time.Second),
	[]*metricType{
		{"run.googleapis.com/request_count", delta, int64s, "1", "cloud_run_revision", 180 * time.Second, revisionRequests},
		{"run.googleapis.com/request_latencies", delta, distribution, "ms", "cloud_run_revision", 180 * time.Second, revisionLatencies},
		{"run.googleapis.com/container/instance_count", gauge, int64s, "1", "cloud_run_revision", 180 * time.Second, revisionSizes},
		{"compute.googleapis.com/instance_group/size", gauge, int64s, "1", "instance_group", 180 * time.Second, groupSizes},
	},
)

func balancerMetrics(prefix, resource string, countDelay time.Duration) []*metricType {
	return []*metricType{
		{prefix + "request_count", delta, int64s, "1", resource, countDelay, balancerRequests},
		{prefix + "backend_latencies", delta, distribution, "ms", resource, 210 * time.Second, balancerLatencies},
	}
}

// visible is the end of the time whose points can be read.
func (p *project) visible(m *metricType, now time.Time) time.Time {
	switch delay := p.cloud.options.MetricDelay; {
	case delay < 0:
		return now
	case delay > 0:
		return now.Add(-delay)
	default:
		return now.Add(-m.delay)
	}
}

// metricType finds a metric by its name: one of the services, or one that a client wrote.
func (p *project) metricType(name string) *metricType {
	for _, m := range metricTypes {
		if m.name == name {
			return m
		}
	}
	if custom := p.custom[name]; custom != nil {
		return &custom.metricType
	}
	return nil
}

// descriptor describes a metric, with the labels that its series have now.
func (m *metricType) descriptor(p *project) *metricpb.MetricDescriptor {
	return &metricpb.MetricDescriptor{
		Name: "projects/" + p.id + "/metricDescriptors/" + m.name, Type: m.name, MetricKind: m.kind, ValueType: m.value, Unit: m.unit,
		MonitoredResourceTypes: []string{m.resource}, Metadata: &metricpb.MetricDescriptor_MetricDescriptorMetadata{
			SamplePeriod: durationpb.New(time.Minute), IngestDelay: durationpb.New(m.delay),
		},
	}
}

func (c *call) listMetricDescriptors(in *monitoringpb.ListMetricDescriptorsRequest) (*monitoringpb.ListMetricDescriptorsResponse, error) {
	wanted := func(string) bool { return true }
	if in.GetFilter() != "" {
		terms, refusal := parseMetricFilter(in.GetFilter())
		if refusal != nil {
			return nil, refusal
		}
		if len(terms) != 1 || terms[0].field != "metric.type" {
			return nil, badMetricFilter(in.GetFilter(), "only metric.type selects descriptors here")
		}
		wanted = terms[0].matches
	}
	var out []*metricpb.MetricDescriptor
	known := slices.Clone(metricTypes)
	for _, name := range slices.Sorted(maps.Keys(c.project.custom)) {
		known = append(known, &c.project.custom[name].metricType)
	}
	slices.SortFunc(known, func(a, b *metricType) int { return cmp.Compare(a.name, b.name) })
	for _, m := range known {
		if wanted(m.name) {
			out = append(out, m.descriptor(c.project))
		}
	}
	part, next, refusal := page(out, in.GetPageToken(), int(in.GetPageSize()), c.cloud.options.PageSize)
	if refusal != nil {
		return nil, refusal
	}
	return &monitoringpb.ListMetricDescriptorsResponse{MetricDescriptors: part, NextPageToken: next}, nil
}
