package mig

import (
	"context"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/gcp/monitoring"
)

// balancerMetrics are the metrics of regional Application Load Balancers by the
// scheme of their backend services (cloud.google.com/monitoring/api/metrics_gcp).
var balancerMetrics = map[string]struct{ prefix, resource string }{
	"EXTERNAL_MANAGED": {"loadbalancing.googleapis.com/https/external/regional/", "http_external_regional_lb_rule"},
	"INTERNAL_MANAGED": {"loadbalancing.googleapis.com/https/internal/", "internal_http_lb_rule"},
}

// MetricTraffic says that the load balancer counts by backend service; nil when
// the group has none.
func (t *Target) MetricTraffic(ctx context.Context, _ delivery.Cluster, group string) (*monitoring.Traffic, error) {
	service, err := t.service(ctx, group)
	if err != nil || service == nil {
		return nil, err
	}
	m, known := balancerMetrics[service.GetLoadBalancingScheme()]
	if !known {
		return nil, delivery.Errorf(delivery.Invalid, "backend service %s is of scheme %q, which is not measured", group, service.GetLoadBalancingScheme())
	}
	return &monitoring.Traffic{Requests: m.prefix + "request_count", Latencies: m.prefix + "backend_latencies", Resource: m.resource,
		Labels: map[string]string{"region": t.region, "backend_target_name": group}}, nil
}
