package workflows

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// windowed is a wait of 10 s whose window opens after a time, for an hour.
func windowed(w *world, after time.Duration, more string) string {
	opens := w.env.Now().UTC().Add(after)
	closes := opens.Add(time.Hour)
	return fmt.Sprintf(`{"timezone":"UTC","stages":[{"refId":"1","requisiteStageRefIds":[],"type":"wait","waitTime":10,"stageTimeoutMs":60000,"restrictExecutionDuringTimeWindow":true,
		"restrictedExecutionWindow":{"whitelist":[{"startHour":%d,"startMin":%d,"endHour":%d,"endMin":%d}]%s}}]}`,
		opens.Hour(), opens.Minute(), closes.Hour(), closes.Minute(), more)
}

// TestCommandsInTheWindow: what waits for its window takes no answer and no skip of a
// wait that has not begun, and nobody has to wait until it does. It can be left out.
func TestCommandsInTheWindow(t *testing.T) {
	for _, test := range []struct {
		name    string
		command pipeline.StageCommand
		kind    string
		refused bool
		each    string
	}{
		{"an answer", judge("1", delivery.JudgmentContinue, ""), `"type":"manualJudgment"`, true, "CANCELED CANCELED"},
		{"a skip of the wait", pipeline.StageCommand{Stage: "1", Action: pipeline.SkipRemainingWait}, `"type":"wait"`, true, "CANCELED CANCELED"},
		{"a skip of the stage", pipeline.StageCommand{Stage: "1", Action: pipeline.ManualSkip}, `"type":"wait"`, false, "SKIPPED SKIPPED"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, `{"stages":[]}`, calm())
			w.add(t, testExecution, strings.Replace(windowed(w, 3*time.Hour, ""), `"type":"wait"`, test.kind, 1))
			asked, cancel := w.stageAction(time.Minute, test.command), w.send(updateCancel, 2*time.Minute)
			e := w.run(t)
			if refused := asked.refused != nil; refused != test.refused || refused && !strings.Contains(asked.refused.Error(), "1<1") {
				t.Errorf("the command: %+v", asked)
			}
			if each(e) != test.each || e.EndTime.Sub(e.StartTime) > 3*time.Minute {
				t.Errorf("stages %s after %s, the cancel %+v", each(e), e.EndTime.Sub(e.StartTime), cancel)
			}
		})
	}
}

// TestWindow: the stage waits for its window, which counts towards no timeout, and the
// wait is shown, can be skipped and is canceled.
func TestWindow(t *testing.T) {
	for _, test := range []struct {
		name, each string
		after      time.Duration
		more       string
		skip       time.Duration
		cancel     time.Duration
		pause      [2]time.Duration
		least      time.Duration // until the stage began
		most       time.Duration
	}{
		{name: "open", after: -5 * time.Minute, each: "SUCCEEDED SUCCEEDED"},
		{name: "later", after: 3 * time.Hour, each: "SUCCEEDED SUCCEEDED", least: 2*time.Hour + 59*time.Minute, most: 3 * time.Hour},
		{name: "jitter", after: -5 * time.Minute, more: `,"jitter":{"enabled":true,"minDelay":60,"maxDelay":120}`, each: "SUCCEEDED SUCCEEDED", least: time.Minute, most: 2 * time.Minute},
		{name: "no jitter by hand", after: -5 * time.Minute, more: `,"jitter":{"enabled":true,"minDelay":60,"maxDelay":120,"skipManual":true}`, each: "SUCCEEDED SUCCEEDED"},
		{name: "skipped", after: 3 * time.Hour, skip: time.Minute, each: "SUCCEEDED SUCCEEDED", least: time.Minute, most: time.Minute},
		{name: "canceled", after: 3 * time.Hour, cancel: time.Minute, each: "CANCELED CANCELED", least: time.Minute, most: time.Minute},
		{name: "paused beyond the window", after: time.Hour, pause: [2]time.Duration{time.Minute, 4 * time.Hour}, each: "SUCCEEDED SUCCEEDED",
			least: 24*time.Hour + 59*time.Minute, most: 25 * time.Hour},
		{name: "paused into the window", after: time.Hour, pause: [2]time.Duration{time.Minute, 90 * time.Minute}, each: "SUCCEEDED SUCCEEDED",
			least: 90 * time.Minute, most: 90 * time.Minute},
		{name: "skipped in a pause", after: 3 * time.Hour, pause: [2]time.Duration{40 * time.Second, 20 * time.Minute}, skip: time.Minute, each: "SUCCEEDED SUCCEEDED",
			least: 20 * time.Minute, most: 20 * time.Minute},
		{name: "skipped in a pause beyond the window", after: time.Hour, pause: [2]time.Duration{40 * time.Second, 4 * time.Hour}, skip: time.Minute, each: "SUCCEEDED SUCCEEDED",
			least: 4 * time.Hour, most: 4 * time.Hour},
		{name: "canceled after a skip in a pause", after: 3 * time.Hour, pause: [2]time.Duration{40 * time.Second, 20 * time.Minute}, skip: time.Minute, cancel: 2 * time.Minute,
			each: "CANCELED CANCELED", least: 2 * time.Minute, most: 2 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, `{"stages":[]}`, calm())
			w.add(t, testExecution, windowed(w, test.after, test.more))
			var skipped *answer
			if test.skip > 0 {
				skipped = w.stageAction(test.skip, pipeline.StageCommand{Stage: "1<1", Action: pipeline.SkipRemainingWait})
			}
			if test.cancel > 0 {
				w.send(updateCancel, test.cancel)
			}
			if test.pause[0] > 0 {
				w.send(updatePause, test.pause[0])
				w.send(updateResume, test.pause[1])
			}
			var during delivery.Execution
			w.env.RegisterDelayedCallback(func() { during = w.store.executions[testExecution] }, 30*time.Second)
			e := w.run(t)
			if each(e) != test.each {
				t.Fatalf("stages %s: %+v", each(e), e.Stages)
			}
			before, ran := e.Stages[1], e.Stages[0]
			if began := before.EndTime.Sub(e.StartTime); began < test.least || began > test.most+time.Second {
				t.Errorf("began after %s", began)
			}
			if test.cancel == 0 && ran.EndTime.Sub(before.EndTime).Round(time.Second) != 10*time.Second {
				t.Errorf("ran for %s", ran.EndTime.Sub(before.EndTime))
			}
			if test.least > 0 && (during.Stages[1].Status != delivery.StatusRunning || during.Stages[0].Status != delivery.StatusRunning || !during.Stages[1].ScheduledTime.After(during.StartTime)) {
				t.Errorf("while it waited %+v", during.Stages)
			}
			if skipped != nil && (!skipped.ok() || skipped.took() > time.Second || (before.StatusReason == "joe skipped the remaining wait") != (test.cancel == 0)) {
				t.Errorf("skipped %+v: %q", skipped, before.StatusReason)
			}
		})
	}
}

// TestStageEnabled: what is false or cannot be evaluated is skipped with the reason, and
// what comes after runs.
func TestStageEnabled(t *testing.T) {
	for _, test := range []struct{ condition, status, reason string }{
		{`parameters.image == 'good'`, "SUCCEEDED", ""},
		{`${ parameters.image == 'good' }`, "SUCCEEDED", ""},
		{`'true'`, "SUCCEEDED", ""},
		{`true`, "SUCCEEDED", ""},
		{`parameters.image == 'bad'`, "SKIPPED", "stageEnabled is false: parameters.image == 'bad'"},
		{`${false}`, "SKIPPED", "stageEnabled is false: ${false}"},
		{`#nobody(1)`, "SKIPPED", "stageEnabled could not be evaluated: "},
		{`1 + 1`, "SKIPPED", "stageEnabled is neither true nor false but 2: 1 + 1"},
		{`parameters`, "SKIPPED", "stageEnabled is neither true nor false but "},
	} {
		w := newWorld(t, fmt.Sprintf(`{"stages":[{"refId":"1","requisiteStageRefIds":[],"type":"wait","waitTime":10,"stageEnabled":{"type":"expression","expression":%q}},
			{"refId":"2","requisiteStageRefIds":["1"],"type":"wait","waitTime":"${ 2 }"}]}`, test.condition), calm())
		e := w.run(t)
		if each(e) != test.status+" SUCCEEDED" || !strings.HasPrefix(e.Stages[0].StatusReason, test.reason) || test.reason == "" && e.Stages[0].StatusReason != "" {
			t.Errorf("%s: %s, %q", test.condition, each(e), e.Stages[0].StatusReason)
		}
	}
}

// TestSkippedStageNeedsNoWindow: the wait for the window of a stage that is left out is left
// out with it, and told so.
func TestSkippedStageNeedsNoWindow(t *testing.T) {
	w := newWorld(t, `{"stages":[]}`, calm())
	w.add(t, testExecution, strings.Replace(windowed(w, 3*time.Hour, ""), `"type":"wait"`, `"type":"wait","stageEnabled":{"type":"expression","expression":"false"}`, 1))
	e := w.run(t)
	if before := e.Stages[1]; e.Status != delivery.StatusSucceeded || each(e) != "SKIPPED SKIPPED" || before.StatusReason != "stageEnabled is false: false" || before.EndTime.IsZero() {
		t.Errorf("execution %s: %+v", e.Status, e.Stages)
	}
	told := 0
	for _, event := range w.store.events {
		var of StageEvent
		if event.Type == delivery.EventStage && json.Unmarshal(event.Data, &of) == nil && of.RefID == "1<1" && of.Status == delivery.StatusSkipped {
			told++
		}
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}

// TestSkippedInputIsNotRead: a condition keeps wrong input from failing the stage.
func TestSkippedInputIsNotRead(t *testing.T) {
	w := newWorld(t, `{"stages":[{"type":"wait","waitTime":"${nobody}","stageEnabled":{"type":"expression","expression":"false"}}]}`, calm())
	if e := w.run(t); each(e) != "SKIPPED" || e.Status != delivery.StatusSucceeded {
		t.Errorf("%s: %s", e.Status, each(e))
	}
}
