package rollout_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// gatedCanary asks for all that a step can ask for.
const gatedCanary = `{"strategy":"canary","steps":[{"weight":5,"bake":60,"minRequests":150,"gate":{"manualJudgment":{"instructions":"look","timeoutSec":300}}},
	{"weight":50,"gate":{"pipeline":{"application":"shop","pipelineId":"check"}}}]}`

func newGated(t fataler, steps string) *drive {
	t.Helper()
	return newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(4)},
		Strategy: strategy(t, `{"strategy":"canary","steps":[`+steps+`]}`)}, calm(), v000(4))
}

// ask gives a gate its answer, as a workflow does.
func (d *drive) ask(t fataler, g rollout.Gate) {
	t.Helper()
	switch {
	case g.Judgment == nil:
		d.state = d.state.Answer(g.ID, nil)
	case d.judge == nil:
		d.say(t, says(g, delivery.JudgmentContinue))
	default:
		if a := d.judge(g); a != nil {
			d.say(t, a)
			return
		}
		d.now = d.now.Add(2 * time.Second)
	}
}

func says(g rollout.Gate, status delivery.JudgmentStatus) *delivery.JudgmentAnswer {
	return &delivery.JudgmentAnswer{Gate: g.ID, Status: status, By: delivery.Principal{Name: "joe"}, Reason: "looked"}
}

func (d *drive) say(t fataler, a *delivery.JudgmentAnswer) {
	t.Helper()
	next, err := d.state.Judged(*a, d.now)
	if err != nil {
		t.Fatalf("judge %+v: %v", a, err)
	}
	d.state = next
}

// drawGate draws what the first step of a canary asks for beside its bake.
func drawGate(rt *rapid.T) string {
	out := ""
	if rapid.Bool().Draw(rt, "counts") {
		out = fmt.Sprintf(`,"minRequests":%d,"minRequestsTimeoutSec":%d`, rapid.IntRange(1, 250).Draw(rt, "minRequests"), rapid.IntRange(240, 900).Draw(rt, "minRequestsTimeout"))
	}
	switch rapid.SampledFrom([]string{"none", "none", "pipeline", "judgment", "judgment"}).Draw(rt, "gate") {
	case "pipeline":
		out += `,"gate":{"pipeline":{"application":"a","pipelineId":"p"}}`
	case "judgment":
		out += fmt.Sprintf(`,"gate":{"manualJudgment":{"timeoutSec":%d,"onTimeout":%q}}`, rapid.IntRange(1, 200).Draw(rt, "judgmentTimeout"),
			rapid.SampledFrom([]string{"rollback", "continue"}).Draw(rt, "onTimeout"))
	}
	return out
}

// drawAnswers draws how people answer, if they do, and how much traffic there is.
func drawAnswers(rt *rapid.T) (func(rollout.Gate) *delivery.JudgmentAnswer, func(rollout.Question) rollout.Reading) {
	status := rapid.SampledFrom([]delivery.JudgmentStatus{"", delivery.JudgmentContinue, delivery.JudgmentContinue, delivery.JudgmentStop}).Draw(rt, "judgment")
	wait := rapid.IntRange(0, 60).Draw(rt, "judgmentLooks")
	verdict := rapid.SampledFrom([]rollout.Verdict{rollout.VerdictPass, rollout.VerdictPass, rollout.VerdictNoData, rollout.VerdictError}).Draw(rt, "traffic")
	judge := func(g rollout.Gate) *delivery.JudgmentAnswer {
		if wait--; wait >= 0 || status == "" {
			return nil
		}
		return says(g, status)
	}
	return judge, func(q rollout.Question) rollout.Reading {
		r := reading(q, verdict)
		for i := range r.Series.Points {
			r.Series.Points[i].Value = 100
		}
		return r
	}
}

// TestJudgment: the answer is recorded with who, when and why; stop rolls back, also
// where failures leave everything as it stands, and silence ends as the strategy says.
func TestJudgment(t *testing.T) {
	never := func(rollout.Gate) *delivery.JudgmentAnswer { return nil }
	answer := func(status delivery.JudgmentStatus) func(g rollout.Gate) *delivery.JudgmentAnswer {
		return func(g rollout.Gate) *delivery.JudgmentAnswer { return says(g, status) }
	}
	for _, test := range []struct {
		name, gate string
		judge      func(rollout.Gate) *delivery.JudgmentAnswer
		want       delivery.DeploymentStatus
		status     delivery.JudgmentStatus
		by, reason string
	}{
		{"continue", `"timeoutSec":600`, answer(delivery.JudgmentContinue), delivery.DeploymentSucceeded, delivery.JudgmentContinue, "joe", "looked"},
		{"stop", `"timeoutSec":600`, answer(delivery.JudgmentStop), delivery.DeploymentRolledBack, delivery.JudgmentStop, "joe", "looked"},
		{"silence", `"timeoutSec":600`, never, delivery.DeploymentRolledBack, delivery.JudgmentStop, "system", "nobody answered within 10m0s"},
		{"silence that lets go on", `"timeoutSec":600,"onTimeout":"continue"`, never, delivery.DeploymentSucceeded, delivery.JudgmentContinue, "system", "nobody answered within 10m0s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newGated(t, `{"weight":5,"bake":60,"gate":{"manualJudgment":{"instructions":"look",`+test.gate+`}}}`)
			d.state.Input.Strategy.KeepOnFailure = true
			d.state.Input.Strategy.Deadline = 5 * time.Minute // the time for people does not count
			was := d.cloud.Truth()
			d.judge = test.judge
			got := d.run(t)
			if got.Status != test.want {
				t.Fatalf("outcome %+v %v", got, got.Failure)
			}
			if len(d.state.Judgments) != 1 {
				t.Fatalf("judgments %+v", d.state.Judgments)
			}
			j := d.state.Judgments[0]
			if j.Status != test.status || j.By != test.by || j.Reason != test.reason || j.At.IsZero() || j.Step != "batch 1 of 2" || j.Instructions != "look" {
				t.Errorf("judgment %+v", j)
			}
			if !j.Until.Equal(j.Since.Add(10 * time.Minute)) {
				t.Errorf("asked from %s to %s", j.Since, j.Until)
			}
			if got.Status == delivery.DeploymentSucceeded {
				return
			}
			if want := test.by + " stopped it at the manual judgment: " + test.reason; got.Failure.Kind != "judgment" || got.Failure.Message != want {
				t.Errorf("failure %+v, want %q", got.Failure, want)
			}
			if diff := cmp.Diff(settled(was), settled(d.cloud.Truth())); diff != "" {
				t.Errorf("cluster after the rollback (-before +after):\n%s", diff)
			}
		})
	}
}

// TestAFailEndsAJudgment: the checks go on while people think.
func TestAFailEndsAJudgment(t *testing.T) {
	d := newDrive(rollout.Input{Spec: delivery.GroupSpec{Image: "new", LoadBalancer: "lb", Capacity: delivery.Pinned(4)},
		Strategy: strategy(t, `{"strategy":"canary","steps":[{"weight":5,"bake":60,"gate":{"manualJudgment":{}}}],"checks":[{"name":"errors","query":"errorRate","max":1}]}`)}, calm(), v000(4))
	var open time.Time
	d.judge = func(rollout.Gate) *delivery.JudgmentAnswer {
		if open.IsZero() {
			open = d.now
		}
		return nil
	}
	var failed time.Time
	d.answer = func(q rollout.Question) rollout.Reading {
		if open.IsZero() || d.now.Sub(open) < 10*time.Minute {
			return reading(q, rollout.VerdictPass)
		}
		failed = d.now
		return reading(q, rollout.VerdictFail)
	}
	got := d.run(t)
	if got.Status != delivery.DeploymentRolledBack || got.Failure.Kind != "check" {
		t.Fatalf("outcome %+v %v", got, got.Failure)
	}
	if took := failed.Sub(open); open.IsZero() || took > 11*time.Minute+5*time.Second {
		t.Errorf("failed %s after it began to ask", took)
	}
	if j := d.state.Judgments[0]; j.Status != "" || d.state.Judgment() != nil {
		t.Errorf("judgment %+v", j)
	}
}

// TestASickGroupEndsAJudgment: so does the new group when its instances fail.
func TestASickGroupEndsAJudgment(t *testing.T) {
	d := newGated(t, `{"weight":50,"gate":{"manualJudgment":{}}}`)
	d.judge = func(g rollout.Gate) *delivery.JudgmentAnswer {
		seen := d.cloud.Truth()
		group := seen.Group(d.state.Input.Group)
		for i := range 3 {
			group.Problems = append(group.Problems, delivery.Problem{ID: fmt.Sprint("failed-", i), At: d.now, Message: "out of memory"})
		}
		next, _ := rollout.Next(d.state, seen, d.now)
		if next.Phase != rollout.RollingBack || next.Cause == nil || next.Cause.Kind != "unhealthy" || next.Judgment() != nil {
			t.Errorf("phase %s, cause %v", next.Phase, next.Cause)
		}
		return says(g, delivery.JudgmentContinue)
	}
	d.run(t)
}

// TestJudgmentsThatAreRefused: an answer counts once, for its step, in its time.
func TestJudgmentsThatAreRefused(t *testing.T) {
	d := newGated(t, `{"weight":5,"gate":{"manualJudgment":{"timeoutSec":300}}},{"weight":50,"gate":{"manualJudgment":{}}}`)
	refused := func(s rollout.State, a delivery.JudgmentAnswer, now time.Time, kind delivery.Kind, want string) {
		t.Helper()
		next, err := s.Judged(a, now)
		if delivery.KindOf(err) != kind || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		if diff := cmp.Diff(s, next); diff != "" {
			t.Errorf("the state changed: %s", diff)
		}
	}
	good := delivery.JudgmentAnswer{Gate: "step/0", Status: delivery.JudgmentContinue, By: delivery.Principal{Name: "joe"}}
	asked := 0
	d.judge = func(g rollout.Gate) *delivery.JudgmentAnswer {
		asked++
		switch g.ID {
		case "step/0":
			other, wrong := good, good
			other.Gate, wrong.Status = "step/1", "perhaps"
			refused(d.state, other, d.now, delivery.Conflict, "waits for the judgment of step/0, not of step/1")
			refused(d.state, wrong, d.now, delivery.Invalid, "perhaps")
			refused(d.state, good, d.now.Add(time.Hour), delivery.Conflict, "is over")
			refused(d.state.Cancel(delivery.System, ""), good, d.now, delivery.Conflict, "rolls back")
			if _, err := d.state.Pause(d.now).Judged(good, d.now.Add(time.Hour)); err != nil {
				t.Errorf("paused: %v", err)
			}
			return &good
		default:
			refused(d.state, good, d.now, delivery.Conflict, "joe has answered the judgment of batch 1 of 3: continue")
			return says(g, delivery.JudgmentContinue)
		}
	}
	d.at = func(d *drive) {
		if asked == 0 {
			refused(d.state, good, d.now, delivery.Conflict, "waits for no judgment")
		}
	}
	d.run(t)
	refused(d.state, delivery.JudgmentAnswer{Gate: "step/2", Status: delivery.JudgmentStop}, d.now, delivery.Conflict, "has ended SUCCEEDED")
	if asked != 2 {
		t.Errorf("%d judgments", asked)
	}
}

// TestAPauseGivesTimeBack: a judgment's time stands still while the deployment is paused.
func TestAPauseGivesTimeBack(t *testing.T) {
	d := newGated(t, `{"weight":5,"gate":{"manualJudgment":{"timeoutSec":600,"onTimeout":"continue"}}}`)
	d.judge = func(rollout.Gate) *delivery.JudgmentAnswer { return nil }
	paused := false
	d.at = func(d *drive) {
		if d.state.Judgment() != nil && !paused {
			d.state, paused = d.state.Pause(d.now), true
		}
		if p := d.state.Paused; !p.IsZero() && d.now.Sub(p) > time.Hour {
			d.state = d.state.Resume(d.now)
		}
	}
	began := d.now
	if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
		t.Fatalf("outcome %+v %v", got, got.Failure)
	}
	if took := d.now.Sub(began) - afterwards; took < 70*time.Minute {
		t.Errorf("it took %s", took)
	}
}

// TestAdvanceWithGates: advance ends the bake, and what else the step asks for
// holds; only an override leaves it out.
func TestAdvanceWithGates(t *testing.T) {
	d := newGated(t, `{"weight":5,"bake":3600,"gate":{"manualJudgment":{}}},{"weight":50,"bake":3600,"minRequests":50}`)
	began, judged := d.now, 0
	d.judge = func(g rollout.Gate) *delivery.JudgmentAnswer {
		judged++
		if _, err := d.state.Moved(rollout.Advance, false); delivery.KindOf(err) != delivery.Conflict ||
			!strings.Contains(err.Error(), "the manual judgment of batch 1 of 3 has not been given yet; override") {
			t.Errorf("advance: %v", err)
		}
		if next, err := d.state.Moved(rollout.Advance, true); err != nil || next.Judgment() != nil {
			t.Errorf("override: %v", err)
		}
		return says(g, delivery.JudgmentContinue)
	}
	d.at = func(d *drive) {
		if d.state.Phase == rollout.Creating || d.state.Phase == rollout.Moving && d.state.Step == 0 && d.state.Answered == "" {
			if _, err := d.state.Moved(rollout.Promote, false); err == nil || !strings.Contains(err.Error(), "the manual judgment of batch 1 of 3") {
				t.Errorf("promote in %s: %v", d.state.Phase, err)
			}
		}
		if !d.state.StepDone.IsZero() && strings.Contains(d.state.Waiting, "the bake at") {
			next, err := d.state.Moved(rollout.Advance, false)
			if err != nil {
				t.Fatal(err)
			}
			d.state = next
		}
		if strings.Contains(d.state.Waiting, "requests to") {
			if _, err := d.state.Moved(rollout.Advance, false); err == nil || !strings.Contains(err.Error(), "the 50 requests of batch 2 of 3") {
				t.Errorf("advance past the requests: %v", err)
			}
		}
	}
	if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
		t.Fatalf("outcome %+v %v", got, got.Failure)
	}
	if took := d.now.Sub(began) - afterwards; judged != 1 || took > 15*time.Minute || len(d.took) != 1 {
		t.Errorf("%d judgments and %d counts in %s", judged, len(d.took), took)
	}
}

// TestGateFindings: a mistake names its field.
func TestGateFindings(t *testing.T) {
	for _, test := range []struct{ step, pointer, says string }{
		{`"gate":{}`, "/steps/0/gate", "one of manualJudgment and pipeline"},
		{`"gate":{"manualJudgment":{},"pipeline":{"application":"a","pipelineId":"p"}}`, "/steps/0/gate", "one of"},
		{`"gate":{"manualJudgement":{}}`, "/steps/0/gate/manualJudgement", "not known"},
		{`"gate":{"manualJudgment":{"timeout":5}}`, "/steps/0/gate/manualJudgment/timeout", "is not known; did you mean timeoutSec or onTimeout?"},
		{`"gate":{"manualJudgment":{"timeoutSec":0}}`, "/steps/0/gate/manualJudgment/timeoutSec", "1 s"},
		{`"gate":{"manualJudgment":{"timeoutSec":"1h"}}`, "/steps/0/gate/manualJudgment/timeoutSec", "must be a number, not a string"},
		{`"gate":{"manualJudgment":{"onTimeout":"promote"}}`, "/steps/0/gate/manualJudgment/onTimeout", "rollback or continue"},
		{`"gate":{"manualJudgment":{"instructions":"` + strings.Repeat("x", 4001) + `"}}`, "/steps/0/gate/manualJudgment/instructions", "4000"},
		{`"gate":{"pipeline":{"application":"a"}}`, "/steps/0/gate/pipeline/pipelineId", "missing"},
		{`"gate":{"pipeline":{"pipelineId":"p"}}`, "/steps/0/gate/pipeline/application", "missing"},
		{`"gate":7`, "/steps/0/gate", "number"},
		{`"minRequests":-1`, "/steps/0/minRequests", "-1"},
		{`"minRequests":1,"minRequestsTimeoutSec":59`, "/steps/0/minRequestsTimeoutSec", "60 s"},
		{`"minRequestsTimeoutSec":600`, "/steps/0/minRequestsTimeoutSec", "with minRequests"},
	} {
		_, findings := rollout.ParseStrategy(json.RawMessage(`{"strategy":"canary","steps":[{"weight":5,` + test.step + `}]}`))
		if len(findings) != 1 || findings[0].Pointer != test.pointer || !strings.Contains(findings[0].Message, test.says) {
			t.Errorf("%s: findings %+v, want one at %s that says %q", test.step, findings, test.pointer, test.says)
		}
	}
	_, findings := rollout.ParseStrategy(json.RawMessage(`{"strategy":"canary","pipelineBeforeCleanup":{"application":"a","pipelineId":"p"},"steps":[{"weight":5,"gate":{"manualJudgment":{}}}]}`))
	if len(findings) != 1 || findings[0].Pointer != "/steps/0/gate" {
		t.Errorf("findings %+v", findings)
	}
	st := strategy(t, `{"strategy":"canary","steps":[{"weight":5,"minRequests":1,"gate":{"manualJudgment":{}}}],"checks":[{"name":"e","query":"errorRate","max":1}]}`)
	want := rollout.CanaryStep{Weight: 5, MinRequests: 1, MinRequestsTimeout: time.Hour,
		Gate: &rollout.StepGate{ManualJudgment: &rollout.ManualJudgment{Timeout: 72 * time.Hour, OnTimeout: rollout.ActionRollback}}}
	if diff := cmp.Diff(want, st.Canary[0]); diff != "" {
		t.Error(diff)
	}
}
