package rollout_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

func newMoved(t *testing.T, strategyText string) *drive {
	t.Helper()
	spec := delivery.GroupSpec{Image: "good", LoadBalancer: "lb", Capacity: delivery.Capacity{Min: 4, Max: 6, Desired: 4}}
	return newDrive(rollout.Input{Spec: spec, Strategy: strategy(t, strategyText)}, calm(), v000(4))
}

// afterwards is how much longer a drive looks at the cloud when it is over.
const afterwards = time.Hour

func weightsOf(d *drive) []int {
	var out []int
	for _, w := range d.cloud.Writes() {
		if w.Change.Kind == delivery.SetRouting {
			out = append(out, percentOf(w.Change.Weights, d.state.Input.Group))
		}
	}
	return out
}

const slowCanary = `{"strategy":"canary","steps":[{"weight":5,"bake":3600},{"weight":30,"bake":3600},{"weight":60,"bake":3600},{"weight":100,"bake":60}],"keepOldFor":7200}`

// TestAdvance ends every pause of a canary as soon as it begins.
func TestAdvance(t *testing.T) {
	d := newMoved(t, slowCanary)
	began, advanced := d.now, 0
	d.at = func(d *drive) {
		if next, err := d.state.Moved(rollout.Advance, false); err == nil {
			d.state = next
			advanced++
		}
	}
	if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
		t.Fatalf("outcome %+v", got)
	}
	if took := d.now.Add(-afterwards).Sub(began); advanced != 5 || took > 10*time.Minute {
		t.Errorf("%d pauses were ended, and it took %s", advanced, took)
	}
	if got := weightsOf(d); len(got) != 4 {
		t.Errorf("weights %v", got)
	}
}

// TestPromote leaves the steps between the present one and the last out, whether
// the present one holds already or not. The last one still holds for its bake.
func TestPromote(t *testing.T) {
	for name, when := range map[string]func(s rollout.State) bool{
		"in a bake":         func(s rollout.State) bool { return s.Step == 0 && !s.StepDone.IsZero() },
		"before the step":   func(s rollout.State) bool { return s.Phase == rollout.Moving && s.StepDone.IsZero() },
		"before the weight": func(s rollout.State) bool { return strings.Contains(s.Waiting, "healthy instances") },
		"before the group":  func(s rollout.State) bool { return s.Phase == rollout.Creating },
	} {
		t.Run(name, func(t *testing.T) {
			d := newMoved(t, strings.Replace(slowCanary, `"keepOldFor":7200`, `"keepOldFor":0`, 1))
			began, promoted := d.now, false
			d.at = func(d *drive) {
				if promoted || !when(d.state) {
					return
				}
				next, err := d.state.Moved(rollout.Promote, false)
				if err != nil {
					t.Fatal(err)
				}
				d.state, promoted = next, true
			}
			if got := d.run(t); got.Status != delivery.DeploymentSucceeded {
				t.Fatalf("outcome %+v", got)
			}
			if took := d.now.Add(-afterwards).Sub(began); took < time.Minute || took > 10*time.Minute {
				t.Errorf("it took %s", took)
			}
			meant := map[delivery.ChangeKey]string{}
			for _, w := range d.cloud.Writes() {
				if first, known := meant[w.Change.Key]; known && first != w.Change.String() {
					t.Errorf("key %s stands for %q and for %q", w.Change.Key, first, w.Change)
				}
				meant[w.Change.Key] = w.Change.String()
			}
			if got := weightsOf(d); len(got) == 0 || len(got) > 2 || got[len(got)-1] != 100 {
				t.Errorf("weights %v", got)
			}
		})
	}
}

// TestMovesThatAreRefused: the answer says why, and nothing changes.
func TestMovesThatAreRefused(t *testing.T) {
	at := func(strategyText string, when func(s rollout.State) bool, then func(rollout.State) rollout.State) rollout.State {
		d := newMoved(t, strategyText)
		var found *rollout.State
		d.at = func(d *drive) {
			if found == nil && when(d.state) {
				s := d.state
				found = &s
			}
		}
		d.run(t)
		if found == nil {
			t.Fatalf("%s never came there", strategyText)
		}
		return then(*found)
	}
	baking := func(s rollout.State) bool { return s.Phase == rollout.Moving && !s.StepDone.IsZero() }
	growing := func(s rollout.State) bool { return s.Phase == rollout.Moving && s.StepDone.IsZero() && s.Waiting != "" }
	same := func(s rollout.State) rollout.State { return s }
	gated := `{"strategy":"rollingredblack","targetPercentages":[50],"pipelineBeforeCleanup":{"application":"a","pipelineId":"p"}}`
	for _, test := range []struct {
		name  string
		state rollout.State
		move  rollout.Move
		want  string
	}{
		{"no pause", at(slowCanary, growing, same), rollout.Advance, "in no pause"},
		{"already advanced", at(slowCanary, baking, func(s rollout.State) rollout.State {
			next, err := s.Moved(rollout.Advance, false)
			if err != nil {
				t.Fatal(err)
			}
			return next
		}), rollout.Advance, "the pause of batch 1 of 4 was advanced already"},
		{"paused", at(slowCanary, baking, func(s rollout.State) rollout.State { return s.Pause(time.Now()) }), rollout.Advance, "resume it first"},
		{"canceled", at(slowCanary, baking, func(s rollout.State) rollout.State {
			return s.Cancel(delivery.Principal{Name: "joe"}, "")
		}), rollout.Promote, "rolls back"},
		{"rolling", at(`{"strategy":"rolling","maxSurge":1,"pauseBetweenBatches":60}`, baking, same), rollout.Promote, "bounds"},
		{"last step", at(`{"strategy":"highlander"}`, growing, same), rollout.Promote, "last step"},
		{"gate", at(gated, baking, func(s rollout.State) rollout.State { s.Answered = ""; return s }), rollout.Advance, "pipeline p has not succeeded yet; override"},
		{"ended", at(slowCanary, func(s rollout.State) bool { return true }, func(s rollout.State) rollout.State {
			return s.GiveUp(delivery.Failure{Kind: "x"})
		}), rollout.Advance, "has ended"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := test.state.Moved(test.move, false)
			if delivery.KindOf(err) != delivery.Conflict || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// TestOverride: a check that has not passed is left out by override alone, for
// the present step alone.
func TestOverride(t *testing.T) {
	d := newCanary(t, "")
	d.at = func(d *drive) {
		if d.state.Phase != rollout.Moving || d.state.StepDone.IsZero() || d.state.Advanced != "" {
			return
		}
		if _, err := d.state.Moved(rollout.Advance, false); delivery.KindOf(err) != delivery.Conflict || !strings.Contains(err.Error(), "check errors has not passed yet") {
			t.Fatalf("without override: %v", err)
		}
		next, err := d.state.Moved(rollout.Advance, true)
		if err != nil {
			t.Fatal(err)
		}
		d.state = next
	}
	early := newCanary(t, "")
	early.at = func(d *drive) {
		if d.state.Phase == rollout.Creating || d.state.Phase == rollout.Moving && d.state.Step == 0 {
			if _, err := d.state.Moved(rollout.Promote, false); delivery.KindOf(err) != delivery.Conflict || !strings.Contains(err.Error(), "check errors has not passed yet") {
				t.Fatalf("promote in phase %s without override: %v", d.state.Phase, err)
			}
		}
	}
	early.answer = func(q rollout.Question) rollout.Reading { return reading(q, rollout.VerdictFail) }
	early.run(t)
	d.run(t)
	if d.state.Advanced != "step/0" || d.state.Outcome.Status != delivery.DeploymentSucceeded {
		t.Errorf("advanced %q, %+v", d.state.Advanced, d.state.Outcome)
	}
}

// TestLeftOut: a refusal names all that a move would leave out, and so does what an
// override records.
func TestLeftOut(t *testing.T) {
	const text = `{"strategy":"canary","steps":[{"weight":5,"bake":600,"minRequests":150,"gate":{"pipeline":{"application":"shop","pipelineId":"p"}}},
		{"weight":50,"bake":600,"gate":{"manualJudgment":{}}}],"checks":[
		{"name":"errors","query":"errorRate","max":1,"minSamples":10},{"name":"speed","query":"latencyP99","max":300,"minSamples":10}]}`
	d := newMoved(t, text)
	var here *rollout.State
	d.at = func(d *drive) {
		if here == nil && d.state.Phase == rollout.Moving && !d.state.StepDone.IsZero() {
			s := d.state
			here = &s
		}
	}
	d.run(t)
	step := []string{"pipeline p of batch 1 of 3 has not succeeded yet", "the 150 requests of batch 1 of 3 have not been counted yet",
		"check errors has not passed yet", "check speed has not passed yet"}
	later := append([]string{step[0], "the manual judgment of batch 2 of 3 has not been given yet"}, step[1:]...)
	rested, err := here.Moved(rollout.Advance, false) // the bake alone
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		state rollout.State
		move  rollout.Move
		want  []string
	}{{rested, rollout.Advance, step}, {*here, rollout.Promote, later}} {
		if diff := cmp.Diff(test.want, test.state.LeftOut(test.move)); diff != "" {
			t.Errorf("%s leaves out (-want +got):\n%s", test.move, diff)
		}
		_, err := test.state.Moved(test.move, false)
		if want := strings.Join(test.want, ", ") + "; override, with a reason, to go on without them"; delivery.KindOf(err) != delivery.Conflict || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", test.move, err, want)
		}
		next, err := test.state.Moved(test.move, true)
		if err != nil {
			t.Fatal(err)
		}
		if left := next.LeftOut(rollout.Advance); len(left) != 0 {
			t.Errorf("after %s, a move that cannot be made leaves out %q", test.move, left)
		}
	}
}
