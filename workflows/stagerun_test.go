package workflows

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// stageAction sends an action on a stage after a time.
func (w *world) stageAction(after time.Duration, c pipeline.StageCommand) *answer {
	a := &answer{name: string(c.Action), now: w.env.Now}
	if c.By.Name == "" {
		c.By.Name = "joe"
	}
	w.env.RegisterDelayedCallback(func() {
		a.sent = w.env.Now()
		w.env.UpdateWorkflow(updateStage, fmt.Sprintf("%s-%s-%s", c.Stage, c.By.Name, after), a, c)
	}, after)
	return a
}

func judge(stage string, status delivery.JudgmentStatus, input string) pipeline.StageCommand {
	return pipeline.StageCommand{Stage: stage, Action: pipeline.Judge, Status: status, Input: input}
}

func (a *answer) ok() bool { return a.accepted && a.done && a.err == nil }

func each(e delivery.Execution) string {
	var out []string
	for _, s := range e.Stages {
		out = append(out, string(s.Status))
	}
	return strings.Join(out, " ")
}

const askStages = `{"refId":"ask","requisiteStageRefIds":[],"type":"manualJudgment","name":"Ask","instructions":"look","judgmentInputs":[{"value":"all"},{"value":"half"}]%s},
	{"refId":"next","requisiteStageRefIds":["ask"],"type":"wait","waitTime":"${ #judgment('Ask') == 'half' ? 5 : 10 }"}`

// TestManualJudgment: the stage ends as it was answered, the answer stands in its
// outputs and is there for the stages after it.
func TestManualJudgment(t *testing.T) {
	for _, test := range []struct {
		name, more string
		status     delivery.JudgmentStatus
		input      string
		want, each string
		took       time.Duration
	}{
		{"continue", "", "continue", "half", "SUCCEEDED", "SUCCEEDED SUCCEEDED", time.Hour + 5*time.Second},
		{"stop", "", "stop", "", "TERMINAL", "TERMINAL NOT_STARTED", time.Hour},
		{"stop halts the branch", `,"failPipeline":false`, "stop", "", "SUCCEEDED", "STOPPED NOT_STARTED", time.Hour},
		{"stop is ignored", `,"failPipeline":false,"continuePipeline":true`, "stop", "all", "SUCCEEDED", "FAILED_CONTINUE SUCCEEDED", time.Hour + 10*time.Second},
		{"silence", "", "", "", "TERMINAL", "TERMINAL NOT_STARTED", 72 * time.Hour},
		{"silence for its own time", `,"stageTimeoutMs":60000`, "", "", "TERMINAL", "TERMINAL NOT_STARTED", time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, fmt.Sprintf(`{"stages":[`+askStages+`]}`, test.more), calm())
			var open delivery.Stage
			w.env.RegisterDelayedCallback(func() { open = w.store.executions[testExecution].Stages[0] }, 30*time.Second)
			var first, second *answer
			if test.status != "" {
				w.stageAction(59*time.Minute, judge("ask", "continue", "a third"))
				first = w.stageAction(time.Hour, judge("ask", test.status, test.input))
				second = w.stageAction(time.Hour+time.Millisecond, judge("ask", "continue", "all"))
			}
			e := w.run(t)
			if string(e.Status) != test.want || each(e) != test.each || e.EndTime.Sub(e.StartTime).Round(time.Second) != test.took {
				t.Fatalf("%s after %s: %s (%+v)", e.Status, e.EndTime.Sub(e.StartTime), each(e), e.Stages[0].Failure)
			}
			if open.Status != delivery.StatusRunning || open.Deadline.IsZero() || !e.Stages[0].Deadline.IsZero() {
				t.Errorf("while open %+v, then %+v", open, e.Stages[0])
			}
			if test.status == "" {
				if f := e.Stages[0].Failure; f == nil || f.Kind != kindTimeout || !strings.HasPrefix(f.Message, "nobody answered within ") {
					t.Errorf("failure %+v", f)
				}
				return
			}
			if !first.ok() || second.ok() {
				t.Errorf("answered %+v, then %+v", first, second)
			}
			var judged pipeline.Judged
			if err := json.Unmarshal(e.Stages[0].Outputs, &judged); err != nil || judged.JudgmentStatus != test.status || judged.JudgmentInput != test.input ||
				judged.JudgedBy != "joe" || judged.JudgedAt != first.sent.Add(keepTime).UnixMilli() {
				t.Errorf("outputs %s", e.Stages[0].Outputs)
			}
		})
	}
}

// TestOneAnswerCounts: of many who answer at once one is told that it counts, and that
// is the answer.
func TestOneAnswerCounts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, fmt.Sprintf(`{"stages":[`+askStages+`]}`, `,"stageTimeoutMs":5000`), calm())
		var answers []*answer
		for i := range rapid.IntRange(1, 6).Draw(rt, "people") {
			c := judge("ask", rapid.SampledFrom([]delivery.JudgmentStatus{"continue", "stop"}).Draw(rt, "status"), "")
			c.By.Name = fmt.Sprintf("p%d", i)
			answers = append(answers, w.stageAction(time.Duration(rapid.IntRange(1, 6000).Draw(rt, "ms"))*time.Millisecond, c))
		}
		e := w.run(rt)
		counted := ""
		for i, a := range answers {
			if a.ok() {
				counted += fmt.Sprintf("p%d", i)
			}
		}
		var judged pipeline.Judged
		if len(e.Stages[0].Outputs) > 0 {
			if err := json.Unmarshal(e.Stages[0].Outputs, &judged); err != nil {
				rt.Fatal(err)
			}
		}
		if judged.JudgedBy != counted {
			rt.Errorf("%q was told to count, %q is recorded; stage %+v", counted, judged.JudgedBy, e.Stages[0])
		}
		if judged.JudgmentStatus == delivery.JudgmentContinue != (e.Stages[0].Status == delivery.StatusSucceeded) {
			rt.Errorf("answered %q, stage %s", judged.JudgmentStatus, e.Stages[0].Status)
		}
	})
}

// TestStageTimeout: the stage fails by its mode when its time is over; time that is
// paused does not count.
func TestStageTimeout(t *testing.T) {
	wait := func(more string) string {
		return `{"stages":[{"refId":"a","type":"wait","requisiteStageRefIds":[],"waitTime":100,"stageTimeoutMs":20000` + more + `},
			{"refId":"b","type":"wait","requisiteStageRefIds":["a"],"waitTime":1}]}`
	}
	for _, test := range []struct {
		name, more, want, each string
		pause                  time.Duration
		took                   time.Duration
	}{
		{"fails", "", "TERMINAL", "TERMINAL NOT_STARTED", 0, 20 * time.Second},
		{"goes on", `,"continuePipeline":true`, "SUCCEEDED", "FAILED_CONTINUE SUCCEEDED", 0, 21 * time.Second},
		{"halts", `,"failPipeline":false`, "SUCCEEDED", "STOPPED NOT_STARTED", 0, 20 * time.Second},
		{"paused", "", "TERMINAL", "TERMINAL NOT_STARTED", 30 * time.Second, 50 * time.Second},
		{"paused until it was done", "", "SUCCEEDED", "SUCCEEDED SUCCEEDED", 95 * time.Second, 106 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, wait(test.more), calm())
			if test.pause > 0 {
				w.send(updatePause, 10*time.Second)
				w.send(updateResume, 10*time.Second+test.pause)
			}
			e := w.run(t)
			if took := e.EndTime.Sub(e.StartTime).Round(time.Second); string(e.Status) != test.want || each(e) != test.each || took != test.took {
				t.Errorf("%s after %s: %s", e.Status, took, each(e))
			}
			if f := e.Stages[0].Failure; e.Stages[0].Status != delivery.StatusSucceeded && (f.Kind != kindTimeout || f.Message != "the stage did not end within 20s") {
				t.Errorf("failure %+v", f)
			}
		})
	}
}

// TestStageTimeoutRollsBack: the deployments of an overdue stage go back, and the stage
// waits for it.
func TestStageTimeoutRollsBack(t *testing.T) {
	document := strings.Replace(deployDocument("good", "lb", rolling, 4), `"name":"Deploy",`, `"name":"Deploy","stageTimeoutMs":45000,`, 1)
	w := newWorld(t, document, calm(), v000(4))
	was := settled(w.cloud.Truth())
	e := w.run(t)
	if f := e.Stages[0].Failure; e.Status != delivery.StatusTerminal || f == nil || f.Kind != kindTimeout {
		t.Fatalf("%s, stage %+v", e.Status, e.Stages[0])
	}
	d := w.deployment()
	if d.Status != delivery.DeploymentRolledBack || d.EndTime.After(e.Stages[0].EndTime) || d.Failure == nil || !strings.Contains(d.Failure.Message, outOfTime) {
		t.Errorf("deployment %s, %+v", d.Status, d.Failure)
	}
	if now := settled(w.cloud.Truth()); now["shop-prod-v000"] != was["shop-prod-v000"] {
		t.Errorf("was %v, is %v", was, now)
	}
	if !strings.Contains(string(e.Stages[0].Outputs), string(d.ID)) {
		t.Errorf("outputs %s", e.Stages[0].Outputs)
	}
}

// TestSkips: a wait ends early, a stage is left out, and what cannot be skipped says so.
func TestSkips(t *testing.T) {
	w := newWorld(t, `{"stages":[]}`, calm())
	until := w.env.Now().Add(time.Hour).UnixMilli()
	w.add(t, testExecution, fmt.Sprintf(`{"stages":[{"refId":"a","requisiteStageRefIds":[],"type":"wait","waitTime":1000},
		{"refId":"b","requisiteStageRefIds":["a"],"type":"waitUntil","epochMillis":%d},
		{"refId":"c","requisiteStageRefIds":["b"],"type":"wait","waitTime":1000},
		{"refId":"d","requisiteStageRefIds":["c"],"type":"manualJudgment"}]}`, until))
	act := func(after int, stage string, action pipeline.StageAction) *answer {
		return w.stageAction(time.Duration(after)*time.Second, pipeline.StageCommand{Stage: stage, Action: action})
	}
	good := []*answer{act(10, "a", pipeline.SkipRemainingWait), act(20, "b", pipeline.SkipRemainingWait),
		w.stageAction(30*time.Second, pipeline.StageCommand{Stage: "c", Action: pipeline.ManualSkip, Input: "known to work"}),
		w.stageAction(50*time.Second, judge("d", "continue", ""))}
	bad := []*answer{act(5, "b", pipeline.SkipRemainingWait), act(11, "a", pipeline.SkipRemainingWait), act(25, "nobody", pipeline.ManualSkip),
		act(35, "d", pipeline.ManualSkip), act(36, "d", pipeline.SkipRemainingWait)}
	e := w.run(t)
	if each(e) != "SUCCEEDED SUCCEEDED SKIPPED SUCCEEDED" || e.EndTime.Sub(e.StartTime).Round(time.Second) != 50*time.Second {
		t.Errorf("%s after %s", each(e), e.EndTime.Sub(e.StartTime))
	}
	if a, c := e.Stages[0].StatusReason, e.Stages[2].StatusReason; a != "joe skipped the remaining wait" || c != "joe skipped the stage: known to work" {
		t.Errorf("reasons %q, %q", a, c)
	}
	for _, a := range good {
		if !a.ok() {
			t.Errorf("%s: %+v", a.name, a)
		}
	}
	for _, a := range bad {
		if a.refused == nil {
			t.Errorf("%s was taken: %+v", a.name, a)
		}
	}
}

// TestWaitUntil waits for a time, and not for one that has passed.
func TestWaitUntil(t *testing.T) {
	for _, after := range []time.Duration{90 * time.Second, -time.Hour} {
		w := newWorld(t, `{"stages":[]}`, calm())
		w.add(t, testExecution, fmt.Sprintf(`{"stages":[{"type":"waitUntil","epochMillis":"%d"}]}`, w.env.Now().Add(after).UnixMilli()))
		e := w.run(t)
		if took := e.EndTime.Sub(e.StartTime).Round(time.Second); e.Status != delivery.StatusSucceeded || took != max(after, 0) {
			t.Errorf("%s after %s, want %s", e.Status, took, after)
		}
	}
}

// TestCancelEndsEveryWait: cancel goes before an answer that is not there.
func TestCancelEndsEveryWait(t *testing.T) {
	w := newWorld(t, fmt.Sprintf(`{"stages":[`+askStages+`]}`, ""), calm())
	canceled := w.send(updateCancel, time.Minute)
	late := w.stageAction(time.Minute, judge("ask", "continue", ""))
	e := w.run(t)
	if e.Status != delivery.StatusCanceled || each(e) != "CANCELED NOT_STARTED" || !canceled.ok() || late.ok() {
		t.Errorf("%s, %s, answers %+v %+v", e.Status, each(e), canceled, late)
	}
}

// TestAnswerAfterACrash: a judgment that the store shows as open, since a worker recorded
// it and died, takes an answer before its stage is begun once more.
func TestAnswerAfterACrash(t *testing.T) {
	w := newWorld(t, `{"stages":[{"refId":"1","requisiteStageRefIds":[],"type":"manualJudgment"},{"refId":"2","requisiteStageRefIds":["1"],"type":"noop"}]}`, calm())
	e := w.store.executions[testExecution]
	e.Status, e.StartTime, e.Version = delivery.StatusRunning, w.env.Now(), 2
	e.Stages[0].Status, e.Stages[0].StartTime = delivery.StatusRunning, w.env.Now()
	w.store.executions[testExecution] = e
	answered := w.stageAction(0, judge("1", delivery.JudgmentContinue, "go"))
	if e := w.run(t); !answered.ok() || each(e) != "SUCCEEDED SUCCEEDED" || e.EndTime.Sub(e.StartTime) > time.Minute {
		t.Errorf("the answer %+v, stages %s", answered, each(e))
	}
}
