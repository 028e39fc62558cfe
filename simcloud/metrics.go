package simcloud

import (
	"time"
)

const (
	// metricsKept is the number of simulated minutes that a target group remembers: three hours, the retention of
	// one-minute data being longer in a real cloud.
	metricsKept = 180
	// samplesKept bounds the response times kept for one minute.
	samplesKept = 512
)

// Metrics are a target group's counters of one simulated minute.
type Metrics struct {
	Minute time.Time
	// Requests is RequestCount: the requests that a target was chosen for.
	Requests int
	// Target2XX .. Target5XX count answers of targets.
	Target2XX, Target3XX, Target4XX, Target5XX int
	// ELB5XX counts 5xx answers that the load balancer gave itself.
	ELB5XX int
	// ResponseTimes are TargetResponseTime samples in seconds, in no order: all, or some hundred, of the requests.
	ResponseTimes []float64
	// ResponseTimeSum is the sum over all requests, in seconds.
	ResponseTimeSum float64
	// HealthyHosts and UnHealthyHosts are the least and greatest counts seen in the minute.
	HealthyHostsMin, HealthyHostsMax, UnHealthyHostsMin, UnHealthyHostsMax int
}

// Metrics returns the counters of the simulated minutes in [from, to), as far as they are known and have begun.
func (g *TargetGroup) Metrics(from, to time.Time) []Metrics {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.counters.now(g.world.Clock.Now())
	var list []Metrics
	for _, m := range g.counters.minutes {
		if !m.Minute.Before(from) && m.Minute.Before(to) {
			copied := *m
			copied.ResponseTimes = append([]float64(nil), m.ResponseTimes...)
			list = append(list, copied)
		}
	}
	return list
}

// counters are the metrics of the latest minutes, oldest first and without gaps. The target group's lock guards them.
type counters struct {
	minutes            []*Metrics
	healthy, unhealthy int
}

// now returns the counters of the minute that t lies in, which is not before the last one asked for.
func (c *counters) now(t time.Time) *Metrics {
	minute := t.Truncate(time.Minute)
	if n := len(c.minutes); n > 0 {
		last := c.minutes[n-1].Minute
		if !minute.After(last) {
			return c.minutes[n-1]
		}
		first := last.Add(time.Minute)
		if oldest := minute.Add(-metricsKept * time.Minute); first.Before(oldest) {
			first = oldest
		}
		for m := first; m.Before(minute); m = m.Add(time.Minute) {
			c.open(m)
		}
	}
	c.open(minute)
	if surplus := len(c.minutes) - metricsKept; surplus > 0 {
		c.minutes = append([]*Metrics(nil), c.minutes[surplus:]...)
	}
	return c.minutes[len(c.minutes)-1]
}

func (c *counters) open(minute time.Time) {
	c.minutes = append(c.minutes, &Metrics{
		Minute:          minute,
		HealthyHostsMin: c.healthy, HealthyHostsMax: c.healthy,
		UnHealthyHostsMin: c.unhealthy, UnHealthyHostsMax: c.unhealthy,
	})
}

// hosts records how many targets are healthy and unhealthy from now on.
func (c *counters) hosts(t time.Time, healthy, unhealthy int) {
	m := c.now(t)
	c.healthy, c.unhealthy = healthy, unhealthy
	m.HealthyHostsMin, m.HealthyHostsMax = min(m.HealthyHostsMin, healthy), max(m.HealthyHostsMax, healthy)
	m.UnHealthyHostsMin, m.UnHealthyHostsMax = min(m.UnHealthyHostsMin, unhealthy), max(m.UnHealthyHostsMax, unhealthy)
}

// answer records a target's answer.
func (c *counters) answer(t time.Time, status int, took time.Duration) {
	m := c.now(t)
	switch status / 100 {
	case 2:
		m.Target2XX++
	case 3:
		m.Target3XX++
	case 4:
		m.Target4XX++
	case 5:
		m.Target5XX++
	}
	m.ResponseTimeSum += took.Seconds()
	answers := m.Target2XX + m.Target3XX + m.Target4XX + m.Target5XX
	if len(m.ResponseTimes) < samplesKept {
		m.ResponseTimes = append(m.ResponseTimes, took.Seconds())
	} else {
		// Later answers replace earlier ones by a fixed stride, so that every part of the minute stays represented.
		m.ResponseTimes[answers*31%samplesKept] = took.Seconds()
	}
}
