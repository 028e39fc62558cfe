package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/slipway-cd/slipway/delivery"
)

// metrics are the server's own; nothing is registered globally.
type metrics struct {
	registry   *prometheus.Registry
	requests   *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	accepted   prometheus.Counter
	executions *prometheus.CounterVec
	streams    prometheus.Gauge
	calls      *prometheus.CounterVec
	callTime   *prometheus.HistogramVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "slipway_http_requests_total", Help: "HTTP requests by method, route and status.",
		}, []string{"method", "route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "slipway_http_request_duration_seconds", Help: "Time to answer, by method and route.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"method", "route"}),
		accepted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "slipway_executions_accepted_total", Help: "Pipeline starts that were accepted.",
		}),
		executions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "slipway_executions_ended_total", Help: "Executions that ended, by final status.",
		}, []string{"status"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "slipway_event_streams", Help: "Event streams open now.",
		}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "slipway_target_calls_total", Help: "Calls of deployment targets by operation, account, region and outcome: ok or the kind of the error.",
		}, []string{"operation", "account", "region", "outcome"}),
		callTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "slipway_target_call_duration_seconds", Help: "Time of a call of a deployment target, its requests' retries included.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"operation", "account", "region"}),
	}
	m.registry.MustRegister(m.requests, m.duration, m.accepted, m.executions, m.streams, m.calls, m.callTime,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// request counts one request. A path that no route has is one series, so that
// strangers cannot create series.
func (m *metrics) request(method, route string, status int, took time.Duration) {
	if route == "" {
		method, route = "other", "none"
	}
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	if route != eventsPath { // a stream lasts as long as its execution
		m.duration.WithLabelValues(method, route).Observe(took.Seconds())
	}
}

// TargetCalled counts one call of a deployment target, made by whoever.
func (s *Server) TargetCalled(operation string, cluster delivery.Cluster, err error, took time.Duration) {
	outcome := "ok"
	if err != nil {
		outcome = delivery.KindOf(err).String()
	}
	s.metrics.calls.WithLabelValues(operation, cluster.Account, cluster.Region, outcome).Inc()
	s.metrics.callTime.WithLabelValues(operation, cluster.Account, cluster.Region).Observe(took.Seconds())
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
