// Package monitoring measures the traffic of server groups with Cloud
// Monitoring, which its SDK reaches over gRPC alone. Load balancers and Cloud Run
// are sampled once a minute, and the samples become visible minutes later: how
// much later stands in the description of each metric.
package monitoring
