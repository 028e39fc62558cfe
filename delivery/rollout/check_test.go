package rollout_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// reading is an answer that a check of errorRate with max 1 and minSamples 10
// gives the verdict to.
func reading(q rollout.Question, verdict rollout.Verdict) rollout.Reading {
	r := rollout.Reading{Question: q}
	point := delivery.MetricPoint{At: q.Request.From, Value: 0.5, Samples: 100}
	switch verdict {
	case rollout.VerdictNoData:
		return r
	case rollout.VerdictError:
		r.Failure = &delivery.Failure{Kind: "transient", Message: "no answer"}
		return r
	case rollout.VerdictFail:
		point.Value = 50
	case rollout.VerdictInconclusive:
		point.Samples = 1
	}
	r.Series.Points = []delivery.MetricPoint{point}
	return r
}

var verdicts = []rollout.Verdict{rollout.VerdictPass, rollout.VerdictFail, rollout.VerdictInconclusive, rollout.VerdictNoData, rollout.VerdictError}

// checked is a canary at 5 % that bakes for ten minutes, with fields of its check.
func checked(fields string) string {
	return `{"strategy":"canary","steps":[{"weight":5,"bake":600}],"checks":[{"name":"errors","query":"errorRate","max":1,"minSamples":10` + fields + `}]}`
}

func newCanary(t fataler, fields string) *drive {
	t.Helper()
	config := calm()
	config.MetricDelay = 2 * time.Minute
	return newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(4)},
		Strategy: strategy(t, checked(fields))}, config, v000(4))
}

// TestAFailEndsTheBake: the canary is rolled back as soon as the check failed
// once more than it may, with the reason, and long before its bake is over.
func TestAFailEndsTheBake(t *testing.T) {
	d := newCanary(t, `,"failureLimit":1`)
	was := d.cloud.Truth()
	var failed time.Time
	d.answer = func(q rollout.Question) rollout.Reading { failed = d.now; return reading(q, rollout.VerdictFail) }
	got := d.run(t)
	if got.Status != delivery.DeploymentRolledBack || got.Failure.Kind != "check" {
		t.Fatalf("outcome %+v %v", got, got.Failure)
	}
	want := "check errors: errorRate of shop-prod-v001 was 50 % from 00:02 to 00:03 UTC, above 1 %; it failed 2 times, the limit is 1"
	if got.Failure.Message != want {
		t.Errorf("reason %q, want %q", got.Failure.Message, want)
	}
	if len(d.took) != 2 || failed.Sub(d.state.On) > 6*time.Minute {
		t.Errorf("%d measurements, the last %s after the weight was on", len(d.took), failed.Sub(d.state.On))
	}
	if diff := cmp.Diff(settled(was), settled(d.cloud.Truth())); diff != "" {
		t.Errorf("cluster after the rollback (-before +after):\n%s", diff)
	}
}

// TestAFailEndsAPause: what a person paused is rolled back all the same.
func TestAFailEndsAPause(t *testing.T) {
	d := newCanary(t, "")
	d.at = func(d *drive) {
		if !d.state.On.IsZero() {
			d.state = d.state.Pause(d.now)
		}
	}
	d.answer = func(q rollout.Question) rollout.Reading { return reading(q, rollout.VerdictFail) }
	if got := d.run(t); got.Status != delivery.DeploymentRolledBack || got.Failure.Kind != "check" {
		t.Errorf("outcome %+v %v", got, got.Failure)
	}
}

// TestWhenChecksAreDue: only while the group has weight and there is something to
// go back to, and a paused deployment looks again when one is due.
func TestWhenChecksAreDue(t *testing.T) {
	d := newCanary(t, "")
	on := d.now
	s := d.state
	s.Phase, s.On = rollout.Moving, on
	late := on.Add(time.Hour)
	for name, spoil := range map[string]func(*rollout.State){
		"no weight":    func(s *rollout.State) { s.On = time.Time{} },
		"creating":     func(s *rollout.State) { s.Phase = rollout.Creating },
		"cleaning":     func(s *rollout.State) { s.Phase = rollout.Cleaning },
		"rolling back": func(s *rollout.State) { s.Phase = rollout.RollingBack },
		"canceled":     func(s *rollout.State) { s.CancelRequested = true },
		"finished":     func(s *rollout.State) { s.Outcome = &rollout.Outcome{} },
	} {
		idle := s
		spoil(&idle)
		if due := idle.Due(late); len(due) > 0 || !idle.NextCheck().IsZero() {
			t.Errorf("%s: due %+v", name, due)
		}
		if next, took := idle.Measured([]rollout.Reading{reading(rollout.Question{}, rollout.VerdictFail)}, late); len(took) > 0 || next.Cause != nil {
			t.Errorf("%s: a late answer counts: %+v", name, took)
		}
	}
	if due := s.Due(late); len(due) != 1 {
		t.Errorf("due %+v", due)
	}
	if want := on.Add(3 * time.Minute); !s.NextCheck().Equal(want) || len(s.Due(want.Add(-time.Second))) > 0 {
		t.Errorf("the first is due at %s, want %s", s.NextCheck(), want)
	}
	_, decision := rollout.Next(s.Pause(on), d.cloud.Truth(), on)
	if decision.Await == nil || !decision.Await.Until.Equal(s.NextCheck()) || !decision.Await.Deadline.IsZero() {
		t.Errorf("paused: %+v", decision)
	}
}

// TestNoDataIsNotAPass: without a single measurement the bake never ends well.
func TestNoDataIsNotAPass(t *testing.T) {
	for _, verdict := range []rollout.Verdict{rollout.VerdictNoData, rollout.VerdictInconclusive, rollout.VerdictError} {
		field := map[rollout.Verdict]string{rollout.VerdictNoData: "onNoData", rollout.VerdictInconclusive: "onInconclusive", rollout.VerdictError: "onError"}[verdict]
		for action, want := range map[string]struct {
			status delivery.DeploymentStatus
			kind   string
		}{
			"wait":     {delivery.DeploymentRolledBack, "deadline"},
			"rollback": {delivery.DeploymentRolledBack, "check"},
			"continue": {delivery.DeploymentSucceeded, ""},
		} {
			d := newCanary(t, fmt.Sprintf(`,%q:%q`, field, action))
			d.state.Input.Strategy.Deadline = time.Hour
			d.answer = func(q rollout.Question) rollout.Reading { return reading(q, verdict) }
			got := d.run(t)
			if got.Status != want.status || got.Failure != nil && got.Failure.Kind != want.kind {
				t.Errorf("%s, %s: outcome %+v %v", verdict, action, got, got.Failure)
			}
		}
	}
}

// TestChecks draws verdicts at random for whole deployments. A check is measured
// only while the new group has weight, only of that group, and never about a time
// before. A step with a bake ends only on a pass that speaks of it alone. Errors,
// silence and values that say too little count for themselves.
func TestChecks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limit := func(name string) int { return rapid.IntRange(0, 3).Draw(rt, name) }
		limits := map[rollout.Verdict]int{rollout.VerdictFail: limit("fail"), rollout.VerdictError: limit("error"),
			rollout.VerdictNoData: limit("noData"), rollout.VerdictInconclusive: limit("inconclusive")}
		action := func(name string) string {
			return rapid.SampledFrom([]string{"wait", "rollback"}).Draw(rt, name)
		}
		actions := map[rollout.Verdict]string{rollout.VerdictFail: "rollback", rollout.VerdictError: action("onError"),
			rollout.VerdictNoData: action("onNoData"), rollout.VerdictInconclusive: action("onInconclusive")}
		bad := rapid.Float64Range(0, 0.6).Draw(rt, "bad")
		d := newCanary(rt, fmt.Sprintf(`,"failureLimit":%d,"errorLimit":%d,"noDataLimit":%d,"inconclusiveLimit":%d,"onError":%q,"onNoData":%q,"onInconclusive":%q`,
			limits[rollout.VerdictFail], limits[rollout.VerdictError], limits[rollout.VerdictNoData], limits[rollout.VerdictInconclusive],
			actions[rollout.VerdictError], actions[rollout.VerdictNoData], actions[rollout.VerdictInconclusive]))
		fails, row, last := 0, 0, rollout.VerdictPass
		ended := false
		var from time.Time // of the last measurement
		d.answer = func(q rollout.Question) rollout.Reading {
			if ended {
				rt.Fatalf("measured after the limit was exceeded")
			}
			if p := d.cloud.Truth().Routing.Percent("shop-prod-v001"); p == 0 || q.Request.Group != "shop-prod-v001" {
				rt.Fatalf("%s was measured at %d %%", q.Request.Group, p)
			}
			if q.Request.From.Before(d.state.On) || q.Request.To.After(d.now.Add(-2*time.Minute)) {
				rt.Fatalf("measured from %s to %s, on since %s, now %s", q.Request.From, q.Request.To, d.state.On, d.now)
			}
			verdict := rollout.VerdictPass
			if rapid.Float64Range(0, 1).Draw(rt, "chance") < bad {
				verdict = rapid.SampledFrom(verdicts).Draw(rt, "verdict")
			}
			if row++; verdict != last {
				row = 1
			}
			count := row
			if verdict == rollout.VerdictFail {
				fails++
				count = fails
			}
			last, from = verdict, q.Request.From
			ended = verdict != rollout.VerdictPass && actions[verdict] == "rollback" && count > limits[verdict]
			return reading(q, verdict)
		}
		baked := time.Time{}
		d.at = func(d *drive) {
			if d.state.Step == 0 && !d.state.StepDone.IsZero() {
				baked = d.state.StepDone
			}
			if d.state.Step == 1 && !baked.IsZero() {
				if last != rollout.VerdictPass || from.Before(baked) {
					rt.Fatalf("the step ended on %s of %s, its weights had settled at %s", last, from, baked)
				}
				baked = time.Time{}
			}
			if ended != (d.state.Cause != nil && d.state.Cause.Kind == "check") {
				rt.Fatalf("a limit is exceeded: %t; cause %v", ended, d.state.Cause)
			}
		}
		d.state.Input.Strategy.Deadline = 2 * time.Hour
		got := d.run(rt)
		if ended != (got.Failure != nil && got.Failure.Kind == "check") {
			rt.Errorf("a limit is exceeded: %t; outcome %+v %v", ended, got, got.Failure)
		}
		for i, m := range d.took {
			if i > 0 && m.At.Sub(d.took[i-1].At) < time.Minute {
				rt.Errorf("measured at %s and %s", d.took[i-1].At, m.At)
			}
			if (m.Verdict == rollout.VerdictPass || m.Verdict == rollout.VerdictFail) && m.Value == nil {
				rt.Errorf("%s without a value", m.Verdict)
			}
		}
	})
}

// TestJudge: what one reading means.
func TestJudge(t *testing.T) {
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	point := func(minute int, value, samples float64) delivery.MetricPoint {
		return delivery.MetricPoint{At: at.Add(time.Duration(minute) * time.Minute), Value: value, Samples: samples}
	}
	for _, test := range []struct {
		name, check string
		points      []delivery.MetricPoint
		want        rollout.Verdict
		value       float64
	}{
		{"the mean of an error rate is that of the requests", `"query":"errorRate","max":1`, []delivery.MetricPoint{point(0, 10, 10), point(1, 0, 990)}, rollout.VerdictPass, 0.1},
		{"the worst minute counts for a latency", `"query":"latencyP99","max":100`, []delivery.MetricPoint{point(0, 90, 10), point(1, 110, 990)}, rollout.VerdictFail, 110},
		{"requests are added", `"query":"requests","min":100`, []delivery.MetricPoint{point(0, 60, 0), point(1, 60, 0)}, rollout.VerdictPass, 120},
		{"a bound is included", `"query":"errorRate","max":1`, []delivery.MetricPoint{point(0, 1, 10)}, rollout.VerdictPass, 1},
		{"below", `"query":"requests","min":100`, []delivery.MetricPoint{point(0, 60, 0)}, rollout.VerdictFail, 60},
		{"too few", `"query":"errorRate","max":1,"minSamples":11`, []delivery.MetricPoint{point(0, 50, 10)}, rollout.VerdictInconclusive, 50},
		{"outside of the window", `"query":"errorRate","max":1`, []delivery.MetricPoint{point(-1, 50, 10), point(2, 50, 10)}, rollout.VerdictNoData, 0},
		{"a fold of one's own", `"query":{"cloudWatch":{"namespace":"N","metric":"M","statistic":"Sum"}},"fold":"max","max":1`, []delivery.MetricPoint{point(0, 3, 0), point(1, 2, 0)}, rollout.VerdictFail, 3},
		{"the mean by itself", `"query":{"cloudWatch":{"namespace":"N","metric":"M","statistic":"Sum"}},"max":3`, []delivery.MetricPoint{point(0, 3, 0), point(1, 2, 0)}, rollout.VerdictPass, 2.5},
		{"no number", `"query":"errorRate","max":1`, []delivery.MetricPoint{point(0, math.NaN(), 0)}, rollout.VerdictInconclusive, 0},
		{"beyond all bounds", `"query":"errorRate","max":1`, []delivery.MetricPoint{point(0, math.Inf(1), 0)}, rollout.VerdictFail, math.MaxFloat64},
	} {
		t.Run(test.name, func(t *testing.T) {
			st := strategy(t, `{"strategy":"canary","steps":[{"weight":5,"bake":60}],"checks":[{"name":"c","window":120,`+test.check+`}]}`)
			s := rollout.Start(rollout.Input{Strategy: st, Group: "g"})
			s.Phase, s.On = rollout.Moving, at.Add(-time.Hour)
			now := at.Add(2 * time.Minute)
			questions := s.Due(now)
			if len(questions) != 1 {
				t.Fatalf("questions %+v", questions)
			}
			next, took := s.Measured([]rollout.Reading{{Question: questions[0], Series: delivery.Series{Points: test.points}}}, now)
			if len(took) != 1 || took[0].Verdict != test.want {
				t.Fatalf("measurements %+v", took)
			}
			if v := took[0].Value; v != nil && math.Abs(*v-test.value) > 1e-9 || v == nil && test.value != 0 {
				t.Errorf("value %v, want %v", v, test.value)
			}
			reread(t, next)
		})
	}
}

// TestCheckFindings: a mistake names its field.
func TestCheckFindings(t *testing.T) {
	const good = `"name":"c","query":"errorRate","max":1`
	for _, test := range []struct{ check, pointer, says string }{
		{`"query":"errorRate","max":1`, "/checks/0/name", "required"},
		{`"name":"c","max":1`, "/checks/0/query", "errorRate, latencyP99, requests"},
		{`"name":"c","query":"errors","max":1`, "/checks/0/query", `"errors"`},
		{`"name":"c","query":7,"max":1`, "/checks/0/query", "number"},
		{`"name":"c","query":{},"max":1`, "/checks/0/query", "one of"},
		{`"name":"c","query":{"cloudwatch ":{}},"max":1`, "/checks/0/query/cloudwatch ", "not known"},
		{`"name":"c","query":{"cloudWatch":{"namespace":"N","statistic":"Sum"}},"max":1`, "/checks/0/query/cloudWatch/metric", "required"},
		{`"name":"c","query":"errorRate"`, "/checks/0/max", "min"},
		{`"name":"c","query":"errorRate","max":1,"min":2`, "/checks/0/min", "more than max"},
		{good + `,"max":"1"`, "/checks/0/max", "string"},
		{good + `,"interval":59`, "/checks/0/interval", "60"},
		{good + `,"window":90`, "/checks/0/window", "whole minutes"},
		{good + `,"window":0`, "/checks/0/window", "60"},
		{good + `,"initialDelay":-1`, "/checks/0/initialDelay", "0 s"},
		{good + `,"failureLimit":-1`, "/checks/0/failureLimit", "-1"},
		{good + `,"errorLimit":-1`, "/checks/0/errorLimit", "-1"},
		{good + `,"noDataLimit":1.5`, "/checks/0/noDataLimit", "number"},
		{good + `,"inconclusiveLimit":5000`, "/checks/0/inconclusiveLimit", "1000"},
		{good + `,"onNoData":"pass"`, "/checks/0/onNoData", "continue"},
		{good + `,"faliureLimit":1`, "/checks/0/faliureLimit", "not known"},
		{good + `,"minSamples":-1`, "/checks/0/minSamples", "negative"},
		{`"name":"c","query":"requests","max":1,"minSamples":1`, "/checks/0/minSamples", "errorRate"},
		{good + `,"fold":"mean"`, "/checks/0/fold", "has its own"},
		{`"name":"c","query":{"cloudWatch":{"namespace":"N","metric":"M","statistic":"Sum"}},"max":1,"fold":"median"`, "/checks/0/fold", "mean"},
		{good + `},{` + good, "/checks/1/name", "another"},
	} {
		text := `{"strategy":"canary","steps":[{"weight":5,"bake":60}],"checks":[{` + test.check + `}]}`
		_, findings := rollout.ParseStrategy(json.RawMessage(text))
		if len(findings) != 1 || findings[0].Pointer != test.pointer || !strings.Contains(findings[0].Message, test.says) {
			t.Errorf("%s: findings %+v, want one at %s that says %q", test.check, findings, test.pointer, test.says)
		}
	}
	for kind, says := range map[string]string{
		`"canary","steps":[{"weight":5}]`: "bake", `"rolling"`: "pauseBetweenBatches", `"bluegreen"`: "delayBeforeDisableSec", `"none"`: "steps",
	} {
		_, findings := rollout.ParseStrategy(json.RawMessage(`{"strategy":` + kind + `,"checks":[{` + good + `}]}`))
		if len(findings) != 1 || findings[0].Pointer != "/checks" || !strings.Contains(findings[0].Message, says) {
			t.Errorf("%s: findings %+v", kind, findings)
		}
	}
}

// TestChecksNeedASource: what a target cannot measure is refused before anything
// is written.
func TestChecksNeedASource(t *testing.T) {
	for name, spoil := range map[string]func(*rollout.Input){
		"nothing measures": func(in *rollout.Input) { in.Capabilities.Metrics = "" },
		"another source": func(in *rollout.Input) {
			in.Strategy.Checks[0].Query = delivery.MetricQuery{CloudMonitoring: &delivery.CloudMonitoringQuery{Filter: "f"}}
		},
	} {
		d := newCanary(t, "")
		spoil(&d.state.Input)
		if got := d.run(t); got.Status != delivery.DeploymentFailed || got.Failure.Kind != "invalid" || len(d.cloud.Writes()) != 0 {
			t.Errorf("%s: outcome %+v %v", name, got, got.Failure)
		}
	}
}
