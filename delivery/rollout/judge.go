package rollout

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// judge gives the verdict of one reading.
func (c Check) judge(r Reading, now time.Time) Measurement {
	m := Measurement{Check: c.Name, At: now, From: r.Request.From, To: r.Request.To, Query: r.Series.Query, Failure: r.Failure}
	span := fmt.Sprintf("from %s to %s", m.From.UTC().Format("15:04"), m.To.UTC().Format("15:04 UTC"))
	points := slices.DeleteFunc(slices.Clone(r.Series.Points), func(p delivery.MetricPoint) bool {
		return p.At.Before(m.From) || !p.At.Before(m.To)
	})
	switch {
	case r.Failure != nil:
		m.Verdict, m.Message = VerdictError, fmt.Sprintf("%s of %s %s could not be read: %s", c.what(), r.Request.Group, span, r.Failure.Message)
		return m
	case len(points) == 0:
		m.Verdict, m.Message = VerdictNoData, fmt.Sprintf("%s of %s has no data %s", c.what(), r.Request.Group, span)
		return m
	}
	value := fold(c.fold(), points)
	for _, p := range points {
		m.Samples += p.Samples
	}
	if math.IsNaN(value) {
		m.Verdict, m.Message = VerdictInconclusive, fmt.Sprintf("%s of %s is no number %s", c.what(), r.Request.Group, span)
		return m
	}
	value = min(max(value, -math.MaxFloat64), math.MaxFloat64) // JSON has no infinities
	m.Value = &value
	said := fmt.Sprintf("%s of %s was %s %s", c.what(), r.Request.Group, c.text(value), span)
	over, silent := c.compare(r, &m, value)
	switch {
	case m.Samples < c.MinSamples:
		m.Verdict, m.Message = VerdictInconclusive, fmt.Sprintf("%s, of %s requests; %s are needed", said, number(m.Samples), number(c.MinSamples))
	case c.Max != nil && value > *c.Max:
		m.Verdict, m.Message = VerdictFail, fmt.Sprintf("%s, above %s", said, c.text(*c.Max))
	case c.Min != nil && value < *c.Min:
		m.Verdict, m.Message = VerdictFail, fmt.Sprintf("%s, below %s", said, c.text(*c.Min))
	case silent != "":
		m.Verdict, m.Message = VerdictInconclusive, said+"; "+silent
	case over != "":
		m.Verdict, m.Message = VerdictFail, said+", "+over
	default:
		m.Verdict, m.Message = VerdictPass, said
	}
	return m
}

// Describe says for people what the check asks for.
func (c Check) Describe() string {
	var bounds []string
	if c.Min != nil {
		bounds = append(bounds, "at least "+c.text(*c.Min))
	}
	if c.Max != nil {
		bounds = append(bounds, "at most "+c.text(*c.Max))
	}
	if c.MaxOverBaseline != nil {
		bounds = append(bounds, "at most "+c.text(*c.MaxOverBaseline)+" above the baseline's")
	}
	if c.MinSamples > 0 {
		bounds = append(bounds, "of at least "+number(c.MinSamples)+" requests")
	}
	return fmt.Sprintf("%s: %s %s in %s, every %s; more than %d failed: %s, %d errors: %s, %d without data: %s, %d inconclusive: %s",
		c.Name, c.what(), strings.Join(bounds, ", "), c.Window, c.Interval, c.FailureLimit, ActionRollback, c.ErrorLimit, c.OnError,
		c.NoDataLimit, c.OnNoData, c.InconclusiveLimit, c.OnInconclusive)
}

// what names the query for people.
func (c Check) what() string {
	switch q := c.Query; {
	case q.CloudWatch != nil:
		return q.CloudWatch.Statistic + " of " + q.CloudWatch.Namespace + "/" + q.CloudWatch.Metric
	case q.CloudMonitoring != nil:
		return "Cloud Monitoring's " + q.CloudMonitoring.Filter
	default:
		return string(q.Preset)
	}
}

func (c Check) text(value float64) string {
	if unit := c.Query.Unit(); unit != "" {
		return number(value) + " " + unit
	}
	return number(value)
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// The folds.
const (
	foldMean = "mean"
	foldMax  = "max"
	foldMin  = "min"
	foldSum  = "sum"
)

// Folds returns the ways to make one value of several minutes. The mean is
// weighted by the requests of each minute where they are known.
func Folds() []string { return []string{foldMean, foldMax, foldMin, foldSum} }

func (c Check) fold() string {
	switch c.Query.Preset {
	case delivery.LatencyP99:
		return foldMax // percentiles of minutes have no mean that means anything
	case delivery.Requests:
		return foldSum
	case delivery.ErrorRate:
		return foldMean
	}
	if c.Fold == "" {
		return foldMean
	}
	return c.Fold
}

func fold(how string, points []delivery.MetricPoint) float64 {
	sum, weights, weighted := 0.0, 0.0, 0.0
	least, most := math.Inf(1), math.Inf(-1)
	for _, p := range points {
		sum += p.Value
		weights += p.Samples
		weighted += p.Value * p.Samples
		least, most = min(least, p.Value), max(most, p.Value)
	}
	switch how {
	case foldMax:
		return most
	case foldMin:
		return least
	case foldSum:
		return sum
	}
	if weights > 0 {
		return weighted / weights
	}
	return sum / float64(len(points))
}
