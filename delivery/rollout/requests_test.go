package rollout_test

import (
	"strings"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// counted is what the source says of a step's requests: 100 in each minute, unless
// the test says otherwise.
func (d *drive) counted(q rollout.Question) rollout.Reading {
	if d.requests != nil {
		return d.requests(q)
	}
	return minutely(q, 100)
}

// minutely has so many requests in each minute that is asked for.
func minutely(q rollout.Question, requests float64) rollout.Reading {
	r := rollout.Reading{Question: q}
	for at := q.Request.From; at.Before(q.Request.To); at = at.Add(time.Minute) {
		r.Series.Points = append(r.Series.Points, delivery.MetricPoint{At: at, Value: requests})
	}
	return r
}

// TestMinRequests: a step ends once its requests were counted, each minute once
// and none from before its weights had settled, or goes back with the reason.
func TestMinRequests(t *testing.T) {
	refusal := func(kind delivery.Kind) func(q rollout.Question) rollout.Reading {
		return func(q rollout.Question) rollout.Reading {
			return rollout.Reading{Question: q, Failure: &delivery.Failure{Kind: kind.String(), Message: "no"}}
		}
	}
	rate := func(n float64) func(q rollout.Question) rollout.Reading {
		return func(q rollout.Question) rollout.Reading { return minutely(q, n) }
	}
	for _, test := range []struct {
		name, step  string
		requests    func(q rollout.Question) rollout.Reading
		least, most time.Duration // from the step's weights to its end
		says        string        // empty for success
	}{
		{"the bake had enough", `"bake":600,"minRequests":500`, rate(100), 10 * time.Minute, 11 * time.Minute, ""},
		{"they come after the bake", `"bake":60,"minRequests":1000`, rate(100), 12 * time.Minute, 14 * time.Minute, ""},
		{"without a bake", `"minRequests":1`, rate(1), 3 * time.Minute, 5 * time.Minute, ""},
		{"a bake of days", `"bake":250000,"minRequests":41000`, rate(10), 250000 * time.Second, 251000 * time.Second, ""},
		{"too few", `"bake":60,"minRequests":1000,"minRequestsTimeoutSec":300`, rate(10), 8 * time.Minute, 10 * time.Minute, "too little traffic: shop-prod-v001 was given "},
		{"none", `"minRequests":1,"minRequestsTimeoutSec":300`, rate(0), 7 * time.Minute, 10 * time.Minute, "was given 0 requests since"},
		{"no data", `"minRequests":1,"minRequestsTimeoutSec":300`, func(q rollout.Question) rollout.Reading { return rollout.Reading{Question: q} },
			7 * time.Minute, 10 * time.Minute, "was given 0 requests since"},
		{"not allowed", `"minRequests":1`, refusal(delivery.Denied), 6 * time.Minute, 9 * time.Minute, "the source refused 5 times, which waiting does not mend"},
		{"no answer", `"minRequests":1,"minRequestsTimeoutSec":1200`, refusal(delivery.Transient), 20 * time.Minute, 25 * time.Minute, "the latest count failed: no"},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := calm()
			config.MetricDelay = 2 * time.Minute
			d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(4)},
				Strategy: strategy(t, `{"strategy":"canary","deadlineSec":86400,"steps":[{"weight":5,`+test.step+`}]}`)}, config, v000(4))
			var begun, ended time.Time
			d.requests = func(q rollout.Question) rollout.Reading {
				r := q.Request
				if r.From.Before(d.state.StepDone) || r.To.After(d.now.Add(-2*time.Minute)) || r.To.Sub(r.From) > 24*time.Hour || r.Query.Preset != delivery.Requests {
					t.Errorf("asked for %+v at %s, the step holds since %s", r, d.now, d.state.StepDone)
				}
				return test.requests(q)
			}
			d.at = func(d *drive) {
				if begun.IsZero() {
					begun = d.state.StepDone
				} else if ended.IsZero() && (d.state.Step > 0 || d.state.Cause != nil) {
					ended = d.now
				}
				if strings.HasPrefix(d.state.Waiting, "the bake") && d.now.Add(10*time.Minute).Before(begun.Add(d.state.Steps[0].Pause)) {
					d.now = d.now.Add(5 * time.Minute)
				}
			}
			got := d.run(t)
			if took := ended.Sub(begun); took < test.least || took > test.most {
				t.Errorf("the step took %s", took)
			}
			switch {
			case test.says == "" && got.Status != delivery.DeploymentSucceeded:
				t.Errorf("outcome %+v %v", got, got.Failure)
			case test.says != "" && (got.Status != delivery.DeploymentRolledBack || got.Failure.Kind != "minRequests" || !strings.Contains(got.Failure.Message, test.says)):
				t.Errorf("outcome %+v %v", got, got.Failure)
			}
		})
	}
}

// TestMinRequestsNeedASource: what nobody counts is refused before anything is written.
func TestMinRequestsNeedASource(t *testing.T) {
	st := strategy(t, `{"strategy":"canary","steps":[{"weight":5,"minRequests":1}]}`)
	able := delivery.Capabilities{Weighted: true, Resize: true, Metrics: delivery.CloudWatch}
	if findings := st.Unsuited(able, true); len(findings) > 0 {
		t.Errorf("findings %+v", findings)
	}
	able.Metrics = ""
	if findings := st.Unsuited(able, true); len(findings) != 1 || findings[0].Pointer != "/steps/0/minRequests" {
		t.Errorf("findings %+v", findings)
	}
	st = strategy(t, `{"strategy":"canary","steps":[{"weight":100,"minRequests":1}]}`)
	if findings := st.Unsuited(delivery.Capabilities{Resize: true, Metrics: delivery.CloudWatch}, false); len(findings) != 1 || findings[0].Pointer != "/steps/0/minRequests" {
		t.Errorf("findings %+v", findings)
	}
}

// TestARefusedCheckFailsFast: a question that the source refuses is not waited for
// until the deadline of the deployment.
func TestARefusedCheckFailsFast(t *testing.T) {
	for kind, want := range map[delivery.Kind]string{delivery.Denied: "check", delivery.Invalid: "check", delivery.NotFound: "check",
		delivery.Transient: "deadline", delivery.Throttled: "deadline"} {
		d := newCanary(t, "")
		d.state.Input.Strategy.Deadline = time.Hour
		d.answer = func(q rollout.Question) rollout.Reading {
			return rollout.Reading{Question: q, Failure: &delivery.Failure{Kind: kind.String(), Message: "cloudwatch:GetMetricData is not allowed"}}
		}
		got := d.run(t)
		if got.Status != delivery.DeploymentRolledBack || got.Failure.Kind != want {
			t.Errorf("%s: outcome %+v %v", kind, got, got.Failure)
		}
		if want == "check" && (!strings.Contains(got.Failure.Message, "GetMetricData is not allowed; it was refused by the source, which waiting does not mend, 5 times, the limit is 4") || len(d.took) != 5) {
			t.Errorf("%s: %s after %d measurements", kind, got.Failure.Message, len(d.took))
		}
	}
	d := newCanary(t, `,"onError":"continue"`)
	d.answer = func(q rollout.Question) rollout.Reading {
		return rollout.Reading{Question: q, Failure: &delivery.Failure{Kind: delivery.Denied.String()}}
	}
	if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
		t.Errorf("continue: outcome %+v %v", got, got.Failure)
	}
}

// TestPlanShowsWhatAStepAsksFor: with its deadline and what follows then, and the
// hash covers both.
func TestPlanShowsWhatAStepAsksFor(t *testing.T) {
	plan := func(steps string) rollout.Plan {
		d := newGated(t, steps)
		p, _ := rollout.PlanOf(d.state.Input, d.cloud.Truth(), rollout.Estimates{})
		if p.Failure != nil {
			t.Fatalf("plan of %s: %v", steps, p.Failure)
		}
		return p
	}
	const step = `{"weight":5,"bake":600,"minRequests":100,"gate":{"manualJudgment":{"timeoutSec":60}}}`
	p := plan(step)
	var wait *rollout.PlannedWait
	var gate *rollout.Gate
	for _, a := range p.Actions {
		if a.Wait != nil && a.Wait.Limit > 0 {
			wait = a.Wait
		}
		if a.Gate != nil {
			gate = a.Gate
		}
	}
	if wait == nil || wait.For != "at least 100 requests to shop-prod-v001" || wait.Limit != time.Hour || wait.OnTimeout != rollout.ActionRollback || wait.Exact {
		t.Errorf("wait %+v", wait)
	}
	if gate == nil || gate.Judgment == nil || gate.Judgment.Timeout != time.Minute || gate.Judgment.OnTimeout != rollout.ActionRollback || !gate.Until.IsZero() {
		t.Errorf("gate %+v", gate)
	}
	for _, other := range []string{strings.Replace(step, "100", "101", 1), strings.Replace(step, `"minRequests":100`, `"minRequests":100,"minRequestsTimeoutSec":60`, 1),
		strings.Replace(step, "60}", "61}", 1), strings.Replace(step, `"timeoutSec":60`, `"timeoutSec":60,"onTimeout":"continue"`, 1)} {
		if plan(other).Hash == p.Hash {
			t.Errorf("%s has the same hash", other)
		}
	}
}
