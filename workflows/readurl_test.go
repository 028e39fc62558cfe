package workflows

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// pages answers reads with what it has, after some failures.
type pages struct {
	mu      sync.Mutex
	has     map[string]string
	failing int
	reads   []string
}

func (p *pages) Call(_ context.Context, r delivery.HTTPRequest) (delivery.HTTPAnswer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reads = append(p.reads, r.Method+" "+r.URL)
	if p.failing--; p.failing >= 0 {
		return delivery.HTTPAnswer{StatusCode: http.StatusServiceUnavailable}, nil
	}
	page, ok := p.has[r.URL]
	switch {
	case strings.Contains(r.URL, "inside"):
		return delivery.HTTPAnswer{}, delivery.Errorf(delivery.Denied, "10.0.0.1 may not be called")
	case !ok:
		return delivery.HTTPAnswer{StatusCode: http.StatusNotFound}, nil
	case len(page) > r.MaxAnswer:
		return delivery.HTTPAnswer{}, delivery.Errorf(delivery.Invalid, "the answer has more than %d bytes", r.MaxAnswer)
	}
	return delivery.HTTPAnswer{StatusCode: http.StatusOK, Body: []byte(page)}, nil
}

// TestURLsOfExpressions are read once, before the stage begins.
func TestURLsOfExpressions(t *testing.T) {
	has := map[string]string{"https://x.example/good": `{"seconds":7}`, "https://x.example/joe": `{"seconds":8}`, "https://x.example/large": strings.Repeat("1", maxReads+1), "https://x.example/half": strings.Repeat(" ", maxReads/2) + "1"}
	for _, test := range []struct {
		name, wait string
		failing    int
		want       delivery.Status
		failure    string
		reads      int
	}{
		{"a number", `#jsonFromUrl('https://x.example/' + parameters.image).seconds`, 0, delivery.StatusSucceeded, "", 1},
		{"who asks", `#jsonFromUrl('https://x.example/' + trigger.user).seconds`, 0, delivery.StatusSucceeded, "", 1},
		{"twice", `#jsonFromUrl('https://x.example/good').seconds + #jsonFromUrl('https://x.example/good').seconds`, 0, delivery.StatusSucceeded, "", 1},
		{"after some failures", `#jsonFromUrl('https://x.example/good').seconds`, 3, delivery.StatusSucceeded, "", 4},
		{"nothing there", `#jsonFromUrl('https://x.example/none').seconds`, 0, delivery.StatusTerminal, "#jsonFromUrl: the URL answered 404", 1},
		{"forbidden", `#fromUrl('https://inside.example/')`, 0, delivery.StatusTerminal, "10.0.0.1 may not be called", 1},
		{"too large", `#fromUrl('https://x.example/large')`, 0, delivery.StatusTerminal, "has more than 65536 bytes", 1},
		{"too large together", `#fromUrl('https://x.example/half') + #fromUrl('https://x.example/good') + #fromUrl('https://x.example/half?')`, 0, delivery.StatusTerminal, "the URL answered 404", 3},
		{"never there", `#jsonFromUrl('https://x.example/good').seconds`, 1_000_000, delivery.StatusTerminal, "the URL answered 503", -1},
		{"wrong otherwise", `#jsonFromUrl('https://x.example/good').seconds + parameters.missing`, 0, delivery.StatusTerminal, "missing", 1},
	} {
		document := fmt.Sprintf(`{"name":"p","application":"shop","stages":[{"refId":"1","requisiteStageRefIds":[],"type":"wait","waitTime":"${%s}"},
			{"refId":"2","requisiteStageRefIds":[],"type":"wait","waitTime":1}]}`, test.wait)
		w := newWorld(t, document, calm())
		p := &pages{has: has, failing: test.failing}
		w.activities.deps.HTTP = p
		e := w.run(t)
		stage := e.Stage("1")
		text := ""
		if stage.Failure != nil {
			text = fmt.Sprint(stage.Failure.Message, stage.Failure.Findings)
		}
		if e.Status != test.want || !strings.Contains(text, test.failure) || test.reads >= 0 && len(p.reads) != test.reads {
			t.Errorf("%s: execution %s, %q, %d reads", test.name, e.Status, text, len(p.reads))
		}
		if took := stage.EndTime.Sub(stage.StartTime); took > 6*time.Minute || slices.ContainsFunc(p.reads, func(r string) bool { return !strings.HasPrefix(r, "GET https://") }) {
			t.Errorf("%s: took %s, reads %q", test.name, took, p.reads)
		}
	}
}

// TestURLsOfConditions: a condition may read a URL, and a stage that it leaves out reads
// none of its own.
func TestURLsOfConditions(t *testing.T) {
	for condition, want := range map[string]struct {
		status delivery.Status
		reads  string
	}{
		`#jsonFromUrl('https://x.example/flag').on`:         {delivery.StatusSucceeded, "[GET https://x.example/flag GET https://x.example/seconds]"},
		`!#jsonFromUrl('https://x.example/flag').on`:        {delivery.StatusSkipped, "[GET https://x.example/flag]"},
		`${#jsonFromUrl('https://x.example/flag').on == 1}`: {delivery.StatusSkipped, "[GET https://x.example/flag]"},
		`#jsonFromUrl('https://x.example/none').on`:         {delivery.StatusSkipped, "[GET https://x.example/none]"},
		`parameters.image == 'never'`:                       {delivery.StatusSkipped, "[]"},
	} {
		document := fmt.Sprintf(`{"name":"p","application":"shop","stages":[{"refId":"1","requisiteStageRefIds":[],"type":"wait",
			"stageEnabled":{"type":"expression","expression":%q},"waitTime":"${#fromUrl('https://x.example/seconds')}"}]}`, condition)
		w := newWorld(t, document, calm())
		p := &pages{has: map[string]string{"https://x.example/flag": `{"on":true}`, "https://x.example/seconds": "3"}}
		w.activities.deps.HTTP = p
		e := w.run(t)
		if got := e.Stage("1"); got.Status != want.status || fmt.Sprint(p.reads) != want.reads {
			t.Errorf("%s: stage %s (%s, %v), reads %q", condition, got.Status, got.StatusReason, got.Failure, p.reads)
		}
	}
}

// TestCommandsWhileReading: a stage that still reads takes no answer, and the commands
// behind it do not wait; it can be left out.
func TestCommandsWhileReading(t *testing.T) {
	const document = `{"name":"p","application":"shop","stages":[{"refId":"1","requisiteStageRefIds":[],"type":"KIND","waitTime":"${#fromUrl('https://x.example/')}"},
		{"refId":"2","requisiteStageRefIds":["1"],"type":"noop"}]}`
	judged := newWorld(t, strings.Replace(document, "KIND", "manualJudgment", 1), calm())
	judged.activities.deps.HTTP = &pages{failing: 1_000_000}
	early, cancel := judged.stageAction(10*time.Second, judge("1", delivery.JudgmentContinue, "")), judged.send(updateCancel, 20*time.Second)
	if e := judged.run(t); early.refused == nil || e.Status != delivery.StatusCanceled || e.EndTime.Sub(cancel.sent) > 5*time.Second {
		t.Errorf("the answer %+v, the execution %s %s after the cancel", early, e.Status, e.EndTime.Sub(cancel.sent))
	}
	skipped := newWorld(t, strings.Replace(document, "KIND", "wait", 1), calm())
	skipped.activities.deps.HTTP = &pages{failing: 1_000_000}
	skip := skipped.stageAction(10*time.Second, pipeline.StageCommand{Stage: "1", Action: pipeline.ManualSkip})
	if e := skipped.run(t); !skip.ok() || each(e) != "SKIPPED SUCCEEDED" {
		t.Errorf("the skip %+v, stages %s", skip, each(e))
	}
}

// TestCanceledRead is over at once although the URL does not answer.
func TestCanceledRead(t *testing.T) {
	w := newWorld(t, `{"name":"p","application":"shop","stages":[{"refId":"1","type":"wait","waitTime":"${#fromUrl('https://x.example/')}"}]}`, calm())
	w.activities.deps.HTTP = &pages{failing: 1_000_000}
	cancel := w.send(updateCancel, 20*time.Second)
	e := w.run(t)
	if took := e.EndTime.Sub(cancel.sent); e.Status != delivery.StatusCanceled || took > 5*time.Second {
		t.Errorf("execution %s %s after the cancel", e.Status, took)
	}
}
