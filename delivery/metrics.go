package delivery

import (
	"context"
	"time"
)

// MetricPreset names a measurement that every target kind can take of one
// server group.
type MetricPreset string

// The presets.
const (
	// ErrorRate is the share of the group's answers that are 5xx, in percent.
	ErrorRate MetricPreset = "errorRate"
	// LatencyP99 is the 99th percentile of the group's response times, in
	// milliseconds.
	LatencyP99 MetricPreset = "latencyP99"
	// Requests is the number of requests that the group was given.
	Requests MetricPreset = "requests"
)

// MetricPresets returns the presets.
func MetricPresets() []MetricPreset { return []MetricPreset{ErrorRate, LatencyP99, Requests} }

// The metric sources by the names that capabilities and queries have.
const (
	CloudWatch      = "cloudWatch"
	CloudMonitoring = "cloudMonitoring"
)

// MetricQuery says what is measured. Exactly one field is set.
type MetricQuery struct {
	Preset          MetricPreset          `json:"preset,omitempty"`
	CloudWatch      *CloudWatchQuery      `json:"cloudWatch,omitempty"`
	CloudMonitoring *CloudMonitoringQuery `json:"cloudMonitoring,omitempty"`
}

// CloudWatchQuery is one metric of CloudWatch.
type CloudWatchQuery struct {
	// Namespace is, for example, "AWS/ApplicationELB" or "Shop".
	Namespace string `json:"namespace"`
	Metric    string `json:"metric"`
	// Statistic is "Sum", "Average", "Minimum", "Maximum", "SampleCount" or a
	// percentile such as "p99".
	Statistic string `json:"statistic"`
	// Dimensions are all of the metric's; "{serverGroup}" in a value stands for the
	// name of the new server group.
	Dimensions map[string]string `json:"dimensions,omitempty"`
}

// CloudMonitoringQuery is one question to Cloud Monitoring's ListTimeSeries. All
// time series that match are reduced to one.
type CloudMonitoringQuery struct {
	// Filter is in the API's language; "{serverGroup}" in it stands for the name of
	// the new server group.
	Filter string `json:"filter"`
	// Aligner, of the minutes of a series, and Reducer, of the series, are the
	// API's names, for example "ALIGN_RATE" and "REDUCE_SUM".
	Aligner string `json:"aligner"`
	Reducer string `json:"reducer"`
}

// Source returns the source that a raw query is for; empty for a preset.
func (q MetricQuery) Source() string {
	switch {
	case q.CloudWatch != nil:
		return CloudWatch
	case q.CloudMonitoring != nil:
		return CloudMonitoring
	default:
		return ""
	}
}

// Unit is that of a preset's values; empty where it has none or nobody knows.
func (q MetricQuery) Unit() string {
	switch q.Preset {
	case ErrorRate:
		return "%"
	case LatencyP99:
		return "ms"
	default:
		return ""
	}
}

// MetricRequest asks what one server group's traffic was like.
type MetricRequest struct {
	Query   MetricQuery `json:"query"`
	Cluster Cluster     `json:"cluster"`
	// Group is the server group, and LoadBalancer the router that GroupSpec names.
	Group        string `json:"group"`
	LoadBalancer string `json:"loadBalancer,omitempty"`
	// From and To bound the time, From included and To not. Both are whole minutes.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// MetricPoint is what was measured in one minute.
type MetricPoint struct {
	// At is the beginning of the minute.
	At    time.Time `json:"at"`
	Value float64   `json:"value"`
	// Samples is how many requests the value speaks of; zero when nobody knows.
	Samples float64 `json:"samples,omitempty"`
}

// Series is the answer to a MetricRequest.
type Series struct {
	// Query is what was asked in the source's own words, for people.
	Query string `json:"query"`
	// Points are in order of time. A minute without data has none.
	Points []MetricPoint `json:"points,omitempty"`
}

// Metrics reads measurements. Measure blocks for one exchange with the source,
// with the SDK's own short retries, under 30 s, and writes nothing. Having no
// data is no error: the series is empty. A group or a metric that the source does
// not know is the same. Invalid means that the query is wrong; Denied that it is
// not permitted; what may pass is Throttled, Transient or Internal.
type Metrics interface {
	Measure(ctx context.Context, request MetricRequest) (Series, error)
}
