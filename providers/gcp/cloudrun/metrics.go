package cloudrun

import (
	"context"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/gcp/monitoring"
)

// MetricTraffic says that Cloud Run counts by revision. It does no I/O.
func (t *Target) MetricTraffic(_ context.Context, cluster delivery.Cluster, group string) (*monitoring.Traffic, error) {
	return &monitoring.Traffic{Requests: "run.googleapis.com/request_count", Latencies: "run.googleapis.com/request_latencies",
		Resource: "cloud_run_revision",
		Labels:   map[string]string{"location": t.region, "service_name": cluster.Name(), "revision_name": group}}, nil
}
