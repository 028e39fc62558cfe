package pipeline

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
)

func TestWindowFindings(t *testing.T) {
	at := "/stages/0/restrictedExecutionWindow"
	for _, test := range []struct {
		window string
		want   []delivery.Finding
	}{
		{`{"days":[2,3,4,5,6],"whitelist":[{"startHour":9,"startMin":30,"endHour":17,"endMin":0},{"startHour":22,"endHour":2}],"jitter":{"enabled":true,"minDelay":0,"maxDelay":60}}`, nil},
		{`{"whitelist":[{"startHour":0,"endHour":24}],"timezone":"Europe/Berlin"}`, nil},
		{`{}`, nil},
		{`{"days":["2","7"],"whitelist":[{"startHour":"9","endHour":"17"}]}`, nil},
		{`{"days":["${parameters.day}"],"whitelist":[{"startHour":"${parameters.hour}","endHour":0}]}`, nil},
		{`{"whitelist":[{"startHour":9,"startMin":0,"endHour":9,"endMin":0}]}`, []delivery.Finding{
			{Pointer: at + "/whitelist/0", Message: "never opens: it ends where it begins; leave the whitelist out for whole days"}}},
		{`{"days":[0,8,"x"],"whitelist":[{"startHour":24,"endHour":25,"endMin":60}],"timezone":"PST8"}`, []delivery.Finding{
			{Pointer: at + "/timezone", Message: `"PST8" is no time zone of the tz database, such as Europe/Berlin`},
			{Pointer: at + "/days/0", Message: "must be a day from 1 (Sunday) to 7 (Saturday)"},
			{Pointer: at + "/days/1", Message: "must be a day from 1 (Sunday) to 7 (Saturday)"},
			{Pointer: at + "/days/2", Message: "must be a day from 1 (Sunday) to 7 (Saturday)"},
			{Pointer: at + "/whitelist/0/startHour", Message: "is 24; must be an hour of the day"},
			{Pointer: at + "/whitelist/0/endHour", Message: "is 25; must be an hour of the day"},
			{Pointer: at + "/whitelist/0/endMin", Message: "is 60; must be from 0 to 59"}}},
		{`{"jitter":{"enabled":true,"minDelay":9,"maxDelay":3}}`, []delivery.Finding{{Pointer: at + "/jitter/maxDelay", Message: "is 3; must not be below minDelay, 9"}}},
		{`{"whitelist":[{}]}`, []delivery.Finding{{Pointer: at + "/whitelist/0/startHour", Message: "is required"}, {Pointer: at + "/whitelist/0/endHour", Message: "is required"}}},
	} {
		_, err := Parse(stages(`{"type":"wait","waitTime":1,"restrictExecutionDuringTimeWindow":true,"restrictedExecutionWindow":` + test.window + `}`))
		if diff := cmp.Diff(test.want, delivery.FindingsOf(err)); diff != "" {
			t.Errorf("%s: %s", test.window, diff)
		}
		if _, err := Parse(stages(`{"type":"wait","waitTime":1,"restrictedExecutionWindow":` + test.window + `}`)); err != nil {
			t.Errorf("%s is not asked for and refused: %v", test.window, err)
		}
	}
	_, err := Parse(stages(`{"type":"wait","waitTime":1,"restrictExecutionDuringTimeWindow":"${x}"}`))
	if f := delivery.FindingsOf(err); len(f) != 1 || f[0].Pointer != "/stages/0/restrictExecutionDuringTimeWindow" {
		t.Errorf("an expression: %v", err)
	}
}

// TestWindowBegins: never before now, in the window, the same when asked again, and
// within the jitter after the opening.
func TestWindowBegins(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		least := rapid.IntRange(0, 600).Draw(rt, "least")
		most := least + rapid.IntRange(0, 7200).Draw(rt, "more")
		hour := rapid.IntRange(0, 23).Draw(rt, "hour")
		manual := rapid.Bool().Draw(rt, "manual")
		context := fmt.Sprintf(`{"restrictExecutionDuringTimeWindow":true,"restrictedExecutionWindow":{"timezone":"Europe/Berlin","days":[%d],
			"whitelist":[{"startHour":%d,"endHour":%d,"endMin":30}],"jitter":{"enabled":true,"minDelay":%d,"maxDelay":%d,"skipManual":true}}}`,
			rapid.IntRange(1, 7).Draw(rt, "day"), hour, hour, least, most)
		w, err := ParseWindow(json.RawMessage(context), "")
		if err != nil {
			rt.Fatal(err)
		}
		e := delivery.Execution{ID: delivery.ExecutionID(rapid.StringMatching(`[A-Z]{8}`).Draw(rt, "id")), Trigger: delivery.Trigger{Type: "cron"}}
		if manual {
			e.Trigger.Type = "manual"
		}
		now := time.Unix(rapid.Int64Range(1_700_000_000, 1_900_000_000).Draw(rt, "now"), 0)
		begin, err := w.Begin(now, e, "1", false)
		again, _ := w.Begin(now, e, "1", false)
		opens, _ := w.Begin(now, e, "1", true)
		if err != nil || !begin.Equal(again) || begin.Before(now) || !w.Weekly.Open(begin, w.Zone) {
			rt.Fatalf("at %s it begins %s, again %s, %v", now, begin, again, err)
		}
		late := begin.Sub(opens)
		_, closes, _ := w.Weekly.Next(now, w.Zone)
		cut := begin.Equal(closes.Add(-time.Second)) || closes.Sub(opens) <= time.Second
		if manual && late != 0 || late < 0 || late > time.Duration(most)*time.Second || !manual && late < time.Duration(least)*time.Second && !cut {
			rt.Errorf("%s after the opening, jitter from %d to %d, manual %v", late, least, most, manual)
		}
	})
}

// TestWindowStages: what waits for a window stands behind the definition's stages.
func TestWindowStages(t *testing.T) {
	d, err := Parse(json.RawMessage(`{"timezone":"Europe/Berlin","stages":[{"refId":"1","requisiteStageRefIds":[],"type":"wait","waitTime":1,
		"restrictExecutionDuringTimeWindow":true,"restrictedExecutionWindow":{"days":[1]}},{"refId":"2","requisiteStageRefIds":["1"],"type":"wait","waitTime":1}]}`))
	if err != nil || d.Timezone != "Europe/Berlin" {
		t.Fatal(d, err)
	}
	n := 0
	list := NewStages(d, func() string { n++; return fmt.Sprint("s", n) })
	want := delivery.Stage{ID: "s3", RefID: "1<1", Type: WindowType, Name: windowName, Status: delivery.StatusNotStarted, RequisiteStageRefIDs: []string{},
		Context: json.RawMessage(`{"restrictedExecutionWindow":{"days":[1]}}`), ParentStageID: "s1", SyntheticStageOwner: "STAGE_BEFORE"}
	if len(list) != 3 {
		t.Fatalf("stages %+v", list)
	}
	if diff := cmp.Diff(want, list[2]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"1"}, Ready(d, list)); diff != "" {
		t.Error(diff)
	}
	list[0].Status, list[1].Status = delivery.StatusSkipped, delivery.StatusSucceeded
	if status, over := Final(d, list); status != delivery.StatusSucceeded || !over {
		t.Errorf("over %v: %s", over, status)
	}
}

func TestConditions(t *testing.T) {
	for _, test := range []struct{ enabled, want, refused string }{
		{`{"type":"expression","expression":" parameters.env == 'prod' "}`, "parameters.env == 'prod'", ""},
		{`{"expression":"${ true }"}`, "${ true }", ""},
		{`{"type":"expression","expression":""}`, "", ""},
		{`{"type":"expression","expression":false}`, "false", ""},
		{`{}`, "", ""},
		{`null`, "", ""},
		{`{"type":"script","expression":"x"}`, "", "/stages/0/stageEnabled/type"},
		{`{"expression":3}`, "", "/stages/0/stageEnabled/expression"},
		{`true`, "", "/stages/0/stageEnabled"},
	} {
		d, err := Parse(stages(`{"type":"wait","waitTime":1,"stageEnabled":` + test.enabled + `}`))
		if test.refused != "" {
			if f := delivery.FindingsOf(err); len(f) != 1 || f[0].Pointer != test.refused {
				t.Errorf("%s: %v", test.enabled, err)
			}
			continue
		}
		if err != nil || d.Stages[0].Condition != test.want {
			t.Errorf("%s: %q, %v", test.enabled, d.Stages[0].Condition, err)
		}
		if string(d.Stages[0].Context()) != `{"waitTime":1}` {
			t.Errorf("context %s", d.Stages[0].Context())
		}
	}
}
