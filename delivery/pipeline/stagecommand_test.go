package pipeline

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
)

// TestStageActions: only stages in progress of the right type take an action, and what
// waits for its next attempt can be skipped unless it asks or checks.
func TestStageActions(t *testing.T) {
	takers := map[StageAction][]string{
		Judge: {ManualJudgmentType}, SkipRemainingWait: {WaitType, WaitUntilType}, ManualSkip: {WaitType, WaitUntilType}, "other": nil,
	}
	rapid.Check(t, func(rt *rapid.T) {
		action := rapid.SampledFrom([]StageAction{Judge, SkipRemainingWait, ManualSkip, "other"}).Draw(rt, "action")
		stage := delivery.Stage{RefID: "1", Type: rapid.SampledFrom(JobTypes()).Draw(rt, "type"), Status: rapid.SampledFrom(delivery.Statuses()).Draw(rt, "status")}
		if rapid.Bool().Draw(rt, "failed before") {
			stage.Attempts = []delivery.Attempt{{Number: 1}}
			if rapid.Bool().Draw(rt, "waits") {
				stage.ScheduledTime = time.Unix(1, 0)
			}
		}
		waits := stage.Status == delivery.StatusRunning && len(stage.Attempts) > 0 && !stage.ScheduledTime.IsZero()
		takes := waits && (action == SkipRemainingWait || action == ManualSkip && stage.Type != ManualJudgmentType && stage.Type != PreconditionsType)
		for _, name := range takers[action] {
			takes = takes || name == stage.Type
		}
		want := "none"
		switch {
		case !takes:
			want = delivery.Invalid.String()
		case stage.Status != delivery.StatusRunning && stage.Status != delivery.StatusPaused, waits && action == Judge:
			want = delivery.Conflict.String()
		}
		got := "none"
		if err := action.Accepts(stage); err != nil {
			got = delivery.KindOf(err).String()
		}
		if got != want || action.Takes(stage) != takes {
			rt.Errorf("%s to a stage of type %s that is %s: %s, want %s", action, stage.Type, stage.Status, got, want)
		}
	})
}

// TestSkipReason: a skipped stage says by whom and why.
func TestSkipReason(t *testing.T) {
	by := delivery.Principal{Name: "joe"}
	for input, want := range map[string]string{"": "joe skipped the stage", "known to work": "joe skipped the stage: known to work"} {
		if got := (StageCommand{Action: ManualSkip, By: by, Input: input}).SkipReason(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestManualJudgmentAnswers(t *testing.T) {
	at := time.UnixMilli(1_795_000_000_000)
	judgment, err := ParseManualJudgment(json.RawMessage(`{"instructions":"look","judgmentInputs":[{"value":"a"},{"value":"b"},{"value":7},{"value":true}],"selectedStageRoles":["ops"]}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ManualJudgment{Instructions: "look", Inputs: []string{"a", "b", "7", "true"}, Roles: []string{"ops"}}, judgment); diff != "" {
		t.Error(diff)
	}
	for _, test := range []struct {
		status, input, refused, failure string
	}{
		{"continue", "a", "", ""},
		{"continue", "", "", ""},
		{"stop", "b", "", "joe answered stop: b"},
		{"stop", "", "", "joe answered stop"},
		{"stop", "c", "/judgmentInput", ""},
		{"perhaps", "a", "/judgmentStatus", ""},
		{"", "", "/judgmentStatus", ""},
	} {
		judged, err := judgment.Answer(StageCommand{By: delivery.Principal{Name: "joe"}, Status: delivery.JudgmentStatus(test.status), Input: test.input}, at)
		if test.refused != "" {
			if f := delivery.FindingsOf(err); len(f) != 1 || f[0].Pointer != test.refused {
				t.Errorf("%+v: %v", test, err)
			}
			continue
		}
		want := Judged{JudgmentStatus: delivery.JudgmentStatus(test.status), JudgmentInput: test.input, JudgedBy: "joe", JudgedAt: at.UnixMilli()}
		if diff := cmp.Diff(want, judged); diff != "" || err != nil {
			t.Errorf("%+v: %v %s", test, err, diff)
		}
		got := ""
		if f := judged.Failure(); f != nil {
			got = f.Message
		}
		if got != test.failure {
			t.Errorf("%+v: failure %q", test, got)
		}
	}
}

func TestWithAnswer(t *testing.T) {
	got := WithAnswer(json.RawMessage(`{"instructions":"look"}`), json.RawMessage(`{"judgmentInput":"a"}`))
	if string(got) != `{"instructions":"look","judgmentInput":"a"}` {
		t.Errorf("context %s", got)
	}
	if again := WithAnswer(got, json.RawMessage(`{"judgmentInput":"a"}`)); string(again) != string(got) {
		t.Errorf("repeated: %s", again)
	}
}

// TestWaitingStages reads what stages that wait, and any stage, can have.
func TestWaitingStages(t *testing.T) {
	for _, test := range []struct {
		document string
		findings []delivery.Finding
	}{
		{`{"type":"waitUntil","epochMillis":1795000000000,"stageTimeoutMs":"60000"}`, nil},
		{`{"type":"waitUntil","epochMillis":"${trigger.at}","stageTimeoutMs":"${1}"}`, nil},
		{`{"type":"waitUntil"}`, []delivery.Finding{{Pointer: "/stages/0/epochMillis", Message: "is required"}}},
		{`{"type":"waitUntil","epochMillis":1795000000}`, []delivery.Finding{{Pointer: "/stages/0/epochMillis", Message: "is 1795000000; must be milliseconds since 1970, at least 1000000000000"}}},
		{`{"type":"waitUntil","epochMillis":1795000000000000}`, []delivery.Finding{{Pointer: "/stages/0/epochMillis", Message: "is 1795000000000000; must be within 4102444800000"}}},
		{`{"type":"wait","waitTime":1,"stageTimeoutMs":0}`, []delivery.Finding{{Pointer: "/stages/0/stageTimeoutMs", Message: "is 0; must be at least 1"}}},
		{`{"type":"wait","waitTime":1,"stageTimeoutMs":99999999999}`, []delivery.Finding{{Pointer: "/stages/0/stageTimeoutMs", Message: "is 99999999999; must be within 31622400000"}}},
		{`{"type":"manualJudgment","judgmentInputs":[{"value":""}],"selectedStageRoles":[1],"instructions":{}}`, []delivery.Finding{
			{Pointer: "/stages/0/instructions", Message: "must be a string, not an object"},
			{Pointer: "/stages/0/selectedStageRoles/0", Message: "must be a string, not a number"},
			{Pointer: "/stages/0/judgmentInputs/0/value", Message: "is required"}}},
		{`{"type":"manualJudgment"}`, nil},
	} {
		_, err := Parse(stages(test.document))
		if diff := cmp.Diff(test.findings, delivery.FindingsOf(err)); diff != "" {
			t.Errorf("%s: %s", test.document, diff)
		}
	}
	options, err := ParseOptions(json.RawMessage(`{"stageTimeoutMs":90000}`))
	if err != nil || options.Timeout != 90*time.Second {
		t.Errorf("options %+v, %v", options, err)
	}
	until, err := ParseWaitUntil(json.RawMessage(`{"epochMillis":1795000000000}`))
	if err != nil || until.UnixMilli() != 1795000000000 {
		t.Errorf("until %s, %v", until, err)
	}
}
