package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the server's own; nothing is registered globally.
type metrics struct {
	registry   *prometheus.Registry
	requests   *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	accepted   prometheus.Counter
	executions *prometheus.CounterVec
	streams    prometheus.Gauge
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
	}
	m.registry.MustRegister(m.requests, m.duration, m.accepted, m.executions, m.streams,
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

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
