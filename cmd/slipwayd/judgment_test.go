package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// asked is what the tests read of a stage that asks people.
type asked struct {
	ID        string `json:"id"`
	Judgments []struct {
		Deployment   string `json:"deployment"`
		Step         string `json:"step"`
		Instructions string `json:"instructions"`
		Until        int64  `json:"until"`
		OnTimeout    string `json:"onTimeout"`
	} `json:"judgments"`
}

// untilAsked waits until an execution's stage asks people.
func (d *daemon) untilAsked(id string, limit time.Duration) (stage asked) {
	d.t.Helper()
	d.until(limit, "the judgment of "+id, func() bool {
		var e struct{ Stages []asked }
		if status, raw := d.call(http.MethodGet, d.url+"/pipelines/"+id, nil, &e); status != http.StatusOK {
			d.t.Fatalf("read execution %s: %d %s", id, status, raw)
		}
		stage = e.Stages[0]
		return len(stage.Judgments) == 1
	})
	return stage
}

// judge answers the judgment of a stage and returns the status.
func (d *daemon) judge(id string, stage asked, answer string) int {
	d.t.Helper()
	status, raw := d.call(http.MethodPatch, d.url+"/pipelines/"+id+"/stages/"+stage.ID,
		map[string]string{"judgmentStatus": answer, "judgmentInput": "looked at the orders"}, nil)
	d.t.Logf("%s: %d", answer, status)
	if status != http.StatusOK && status != http.StatusConflict {
		d.t.Errorf("judge: %d %s", status, raw)
	}
	return status
}

// deploymentsOf are an execution's deployments as JSON.
func (d *daemon) deploymentsOf(id string) string {
	d.t.Helper()
	status, raw := d.call(http.MethodGet, d.url+"/executions/"+id+"/deployments", nil, nil)
	if status != http.StatusOK {
		d.t.Fatalf("read deployments: %d %s", status, raw)
	}
	return string(raw)
}

// TestManualJudgment stops a canary at its gate, after the process was killed while
// it waited, and lets another one through, under load.
func TestManualJudgment(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s site) {
		everySite(t, s)
		d := simulated(t)
		var before map[string]groupView
		d.untilGroups(s, time.Minute, "the seeded server group", func(g map[string]groupView) bool { before = g; return len(g) == 1 })
		d.savePipeline(s, "gated", 3, map[string]any{"strategy": "canary", "steps": []map[string]any{{"weight": 5, "bake": 5,
			"gate": map[string]any{"manualJudgment": map[string]any{"instructions": "look at the orders", "timeoutSec": 600}}}}})
		gate := 0
		for _, a := range d.plan("gated", map[string]any{"image": s.good}).Stages[0].Deployments[0].Actions {
			if a.Type == "gate" && a.Description == "somebody lets it go on within 10m0s, else rollback" {
				gate++
			}
		}
		if gate != 1 {
			t.Errorf("the plan has %d gates", gate)
		}
		load := d.load(s, 50)
		id := d.trigger("gated", map[string]any{"image": s.good})
		stage := d.untilAsked(id, 3*time.Minute)
		if j := stage.Judgments[0]; j.Instructions != "look at the orders" || j.OnTimeout != "rollback" || j.Until < time.Now().UnixMilli() {
			t.Errorf("judgment %+v", j)
		}
		status, raw := d.call(http.MethodPut, d.url+"/pipelines/"+id+"/advance?deployment="+url.QueryEscape(stage.Judgments[0].Deployment), nil, nil)
		if status != http.StatusConflict || !strings.Contains(string(raw), "the manual judgment of batch 1 of 2") {
			t.Errorf("advance: %d %s", status, raw)
		}
		d.kill()
		d.start() // nothing asks for the cloud while somebody thinks
		stage = d.untilAsked(id, time.Minute)
		d.until(time.Minute, "the answer", func() bool { return d.judge(id, stage, "stop") == http.StatusOK })
		if status := d.judge(id, stage, "continue"); status != http.StatusConflict {
			t.Errorf("a second answer: %d", status)
		}
		if e := d.await(id, 3*time.Minute); e.Status != "TERMINAL" || !strings.Contains(d.deploymentsOf(id), "anonymous stopped it at the manual judgment: looked at the orders") {
			t.Errorf("stopped, it ended %s: %s", e.Status, stageContext(e))
		}
		d.untilGroups(s, time.Minute, "the cluster to be as before", func(g map[string]groupView) bool { return cmp.Equal(before, g) })
		id = d.trigger("gated", map[string]any{"image": s.good})
		stage = d.untilAsked(id, 3*time.Minute)
		if status := d.judge(id, stage, "continue"); status != http.StatusOK {
			t.Errorf("the answer: %d", status)
		}
		e := d.await(id, 3*time.Minute)
		result := load.Stop()
		if e.Status != "SUCCEEDED" || result.Failed > 0 {
			t.Errorf("let through, it ended %s with %d failed requests: %s", e.Status, result.Failed, stageContext(e))
		}
		var detail []struct {
			Detail struct {
				Judgments []struct{ Status, By, Reason, At string }
			}
		}
		if err := json.Unmarshal([]byte(d.deploymentsOf(id)), &detail); err != nil || len(detail[0].Detail.Judgments) != 1 {
			t.Fatalf("deployments %s: %v", d.deploymentsOf(id), err)
		}
		if j := detail[0].Detail.Judgments[0]; j.Status != "continue" || j.By != "anonymous" || j.Reason != "looked at the orders" || j.At == "" {
			t.Errorf("recorded %+v", j)
		}
		if violations := d.audit(s, 3, 6); len(violations) > 0 {
			t.Errorf("the auditor finds: %+v", violations)
		}
	})
}

// TestCheckCutsAJudgmentShort: a canary whose users come while somebody is asked
// goes back although nobody answers.
func TestCheckCutsAJudgmentShort(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s site) {
		everySite(t, s)
		d := simulated(t)
		d.savePipeline(s, "gated", 3, map[string]any{"strategy": "canary", "steps": []map[string]any{{"weight": 5,
			"gate": map[string]any{"manualJudgment": map[string]any{}}}},
			"checks": []map[string]any{{"name": "errors", "query": "errorRate", "max": 1, "noDataLimit": 0, "onNoData": "continue"}}})
		id := d.trigger("gated", map[string]any{"image": s.broken})
		d.untilAsked(id, 5*time.Minute)
		load := d.load(s, 200)
		began := time.Now()
		e := d.await(id, 5*time.Minute)
		result := load.Stop()
		t.Logf("%s %s after the first request; %s", e.Status, time.Since(began).Round(time.Second), result)
		if all := d.deploymentsOf(id); e.Status != "TERMINAL" || !strings.Contains(all, "check errors: errorRate of "+s.next()) {
			t.Errorf("it ended %s: %s", e.Status, all)
		}
	})
}

// TestMinRequests: a step without a bake waits for its requests, which are counted
// by the site's own source of metrics.
func TestMinRequests(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s site) {
		everySite(t, s)
		d := simulated(t)
		d.savePipeline(s, "counted", 3, map[string]any{"strategy": "canary", "steps": []map[string]any{{"weight": 50, "minRequests": 300}}})
		load := d.load(s, 50)
		began := time.Now()
		id := d.trigger("counted", map[string]any{"image": s.good})
		e := d.await(id, 6*time.Minute)
		took, result := time.Since(began), load.Stop()
		t.Logf("%s after %s; %s", e.Status, took.Round(time.Second), result)
		if e.Status != "SUCCEEDED" || result.Failed > 0 || took < time.Minute {
			t.Errorf("ended %s after %s with %d failed requests: %s", e.Status, took, result.Failed, stageContext(e))
		}
		if status, raw := d.call(http.MethodGet, d.url+"/executions/"+id+"/events?follow=false", nil, nil); status != http.StatusOK ||
			!strings.Contains(string(raw), s.next()+" was given ") {
			t.Errorf("%d: no event of a count", status)
		}
	})
}
