package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestStrategies carries every strategy out on each site under load: all traffic
// ends on the new version, no request fails, and the changes are those of the
// plan that was made before and that the start names. Without
// SLIPWAY_STRATEGIES=all it leaves out those that others have the steps of.
func TestStrategies(t *testing.T) {
	t.Parallel()
	strategies := []deployment{
		{"canary", map[string]any{"maxRemainingAsgs": 2,
			"steps": []map[string]int{{"weight": 10, "bake": 2}, {"weight": 50}, {"weight": 100, "bake": 2}}}},
		{"highlander", nil},
	}
	if os.Getenv("SLIPWAY_STRATEGIES") == "all" {
		strategies = append([]deployment{
			{"rollingredblack", map[string]any{"targetPercentages": []int{34, 100}, "maxRemainingAsgs": 2}},
			{"bluegreen", map[string]any{"delayBeforeDisableSec": 2, "maxRemainingAsgs": 3}},
			{"rolling", map[string]any{"maxSurge": 1}},
		}, strategies...)
	}
	onEach(t, func(t *testing.T, s site) {
		d := simulated(t)
		images := []string{s.old, s.good}
		for i, use := range strategies {
			fields := map[string]any{"strategy": use.strategy, "healthTimeoutSec": 120}
			maps.Copy(fields, use.fields)
			d.savePipeline(s, use.strategy, 3, fields)
			parameters := map[string]any{"image": images[(i+1)%2]}
			load := d.load(s, 50)
			plan := d.plan(use.strategy, parameters)
			id := d.startWith(use.strategy, map[string]any{"parameters": parameters, "planHash": plan.Hash})
			e := d.await(id, 5*time.Minute)
			result := load.Stop()
			t.Logf("%s: %s; %s", use.strategy, e.Status, result)
			if e.Status != "SUCCEEDED" || result.Failed > 0 {
				t.Fatalf("%s ended %s with %d failed requests %+v: %s", use.strategy, e.Status, result.Failed, result.Failures, stageContext(e))
			}
			if diff := cmp.Diff(plan.changes(), d.changes(id)); diff != "" {
				t.Errorf("%s (-planned +made):\n%s", use.strategy, diff)
			}
		}
		d.untilGroups(s, time.Minute, "one server group to be left", func(g map[string]groupView) bool { return len(g) == 1 })
		// Blue/green and the canary leave old groups with their instances: there is no ceiling for all of them.
		if violations := d.auditBounds(d.bounds(s, 3), map[string]int{}); len(violations) > 0 {
			t.Errorf("the auditor finds: %+v", violations)
		}
	})
}

// deployment is a strategy with its fields.
type deployment struct {
	strategy string
	fields   map[string]any
}

// plan is what the tests read of a plan.
type plan struct {
	Hash   string `json:"hash"`
	Stages []struct {
		Deployments []struct {
			Actions []struct {
				Type        string `json:"type"`
				Description string `json:"description"`
			} `json:"actions"`
		} `json:"deployments"`
	} `json:"stages"`
}

// plan asks what a start would do.
func (d *daemon) plan(pipeline string, parameters map[string]any) plan {
	d.t.Helper()
	var p plan
	status, raw := d.call(http.MethodPost, d.url+"/pipelines/storefront/"+pipeline+"/plan", map[string]any{"parameters": parameters}, &p)
	if status != http.StatusOK {
		d.t.Fatalf("plan %s: %d %s", pipeline, status, raw)
	}
	return p
}

// changes are the descriptions of the plan's changes. A change that takes more
// than one call stands once.
func (p plan) changes() []string {
	var out []string
	for _, stage := range p.Stages {
		for _, deployment := range stage.Deployments {
			for _, a := range deployment.Actions {
				if a.Type == "change" {
					out = append(out, a.Description)
				}
			}
		}
	}
	return slices.Compact(out)
}

// changes are the descriptions of the changes that an execution made.
func (d *daemon) changes(execution string) []string {
	d.t.Helper()
	status, raw := d.call(http.MethodGet, d.url+"/executions/"+execution+"/events?follow=false", nil, nil)
	if status != http.StatusOK {
		d.t.Fatalf("read events: %d %s", status, raw)
	}
	var out []string
	for line := range strings.Lines(string(raw)) {
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var event struct {
			Type string `json:"type"`
			Data struct {
				Change string `json:"change"`
			} `json:"data"`
		}
		if err := json.Unmarshal([]byte(data), &event); err != nil {
			d.t.Fatalf("event %s: %v", data, err)
		}
		if event.Type == "change" {
			out = append(out, event.Data.Change)
		}
	}
	return slices.Compact(out)
}
