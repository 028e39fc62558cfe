package main

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/internal/loadgen"
	"github.com/slipway-cd/slipway/simcloud/simulator"
)

// darkness is how a dark release of a site is reached.
type darkness struct {
	// fields are those of the strategy.
	fields map[string]any
	// header is what testers send; nil where each version has an address of its own.
	header http.Header
}

// ways are the darknesses that a site has.
func (s site) ways() map[string]darkness {
	if !s.sized {
		return map[string]darkness{"address": {}}
	}
	if s.kind == "mig" {
		return map[string]darkness{"header": {map[string]any{"match": map[string]string{"header": "X-Canary", "value": "always"}, "pathMatcher": "everything"},
			http.Header{"X-Canary": {"always"}}}}
	}
	return map[string]darkness{
		"header": {map[string]any{"match": map[string]string{"header": "X-Canary", "value": "always"}}, http.Header{"X-Canary": {"always"}}},
		"cookie": {map[string]any{"match": map[string]string{"cookie": "canary", "value": "always"}, "size": 1}, http.Header{"Cookie": {"session=1; canary=always"}}},
	}
}

// TestDark keeps a new version in the dark under load, promotes it, and abandons
// another one: the public never sees what is dark, testers see it and nothing else,
// no request of either fails, and the changes are the planned ones.
func TestDark(t *testing.T) {
	t.Parallel()
	for _, s := range sites() {
		for name, way := range s.ways() {
			t.Run(s.kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				d := simulated(t)
				if s.kind == "mig" {
					d.intoPathMatcher(s, "everything")
				}
				d.saveDark(s, way)
				public := d.load(s, 50)
				testers := d.darkens(s, way, s.good, "1.1", public)
				d.carry("promote", nil, public)
				d.sees("testers of a promoted version", testers, "1.1")
				d.sees("the public after the promotion", public, "1.1")
				d.unfailing("testers", testers)

				before := d.groups(s)
				testers = d.darkens(s, way, s.old, "1.0", public)
				if way.header == nil {
					d.unfailing("testers", testers) // the address goes with the version
				}
				d.carry("abandon", nil, public)
				if way.header != nil {
					d.sees("testers of an abandoned version", testers, "1.1")
					d.unfailing("testers", testers)
				}
				if diff := cmp.Diff(before, d.groups(s)); diff != "" {
					t.Errorf("after the abandonment (-before +after):\n%s", diff)
				}
				d.unfailing("the public", public)
				if violations := d.auditBounds(d.bounds(s, 3), map[string]int{}); len(violations) > 0 {
					t.Errorf("the auditor finds: %+v", violations)
				}
			})
		}
	}
}

// intoPathMatcher moves what the default of the site's URL map does into a path
// matcher for all hosts, where rules can stand beside it.
func (d *daemon) intoPathMatcher(s site, name string) {
	d.t.Helper()
	path := d.sim.GCP.REST + "/compute/v1/projects/" + simulator.Project + "/regions/" + s.region + "/urlMaps/" + s.loadBalancer
	as := func(method string, body []byte) []byte {
		request, err := http.NewRequestWithContext(d.t.Context(), method, path, bytes.NewReader(body))
		if err != nil {
			d.t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+simulator.GoogleToken)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			d.t.Fatal(err)
		}
		defer answer.Body.Close()
		raw, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			d.t.Fatalf("%s %s: %d %s %v", method, path, answer.StatusCode, raw, err)
		}
		return raw
	}
	var m map[string]any
	if err := json.Unmarshal(as(http.MethodGet, nil), &m); err != nil {
		d.t.Fatal(err)
	}
	m["hostRules"] = []any{map[string]any{"hosts": []string{"*"}, "pathMatcher": name}}
	m["pathMatchers"] = []any{map[string]any{"name": name, "defaultRouteAction": m["defaultRouteAction"]}}
	m["defaultUrlRedirect"] = map[string]any{"hostRedirect": "example.org"}
	delete(m, "defaultRouteAction")
	delete(m, "defaultService")
	changed, err := json.Marshal(m)
	if err != nil {
		d.t.Fatal(err)
	}
	as(http.MethodPut, changed)
	time.Sleep(5 * time.Second) // until every proxy knows it
}

// unfailing ends a load that must not have seen a failure.
func (d *daemon) unfailing(who string, load *loadgen.Load) {
	d.t.Helper()
	if r := load.Stop(); r.Failed > 0 {
		d.t.Errorf("%s: %s: %+v", who, r, r.Failures)
	}
}

// saveDark saves the pipelines "dark", "promote" and "abandon" for the site.
func (d *daemon) saveDark(s site, way darkness) {
	d.t.Helper()
	fields := map[string]any{"strategy": "dark", "healthTimeoutSec": 120}
	maps.Copy(fields, way.fields)
	d.savePipeline(s, "dark", 3, fields)
	d.saveOperations(s, "promote", map[string]any{"type": "promoteServerGroup", "target": "current_asg_dynamic",
		"strategy": "canary", "steps": []map[string]int{{"weight": 20, "bake": 2}, {"weight": 100, "bake": 2}}, "maxRemainingAsgs": 1})
	d.saveOperations(s, "abandon", map[string]any{"type": "abandonServerGroup", "target": "current_asg_dynamic"})
}

// darkens deploys an image in the dark, and returns the testers that are led to it.
func (d *daemon) darkens(s site, way darkness, image, version string, public *loadgen.Load) *loadgen.Load {
	d.t.Helper()
	var early *loadgen.Load
	if way.header != nil { // they are there before the version is
		early = d.loadWith(s, loadgen.Config{Rate: 20, Header: way.header})
	}
	before := public.Snapshot().ByVersion[version]
	e := d.carry("dark", map[string]any{"image": image}, public)
	var context struct {
		Deployments []struct {
			ServerGroup string `json:"serverGroup"`
			Preview     struct {
				ServerGroup string            `json:"serverGroup"`
				Match       map[string]string `json:"match"`
				URL         string            `json:"url"`
			} `json:"preview"`
		} `json:"deployments"`
	}
	if err := json.Unmarshal(e.Stages[0].Context, &context); err != nil || len(context.Deployments) != 1 {
		d.t.Fatalf("the stage's context: %v in %s", err, e.Stages[0].Context)
	}
	one := context.Deployments[0]
	address, err := url.Parse(one.Preview.URL)
	if err != nil || one.Preview.ServerGroup != one.ServerGroup || (len(one.Preview.Match) > 0) != (way.header != nil) || (address.Host != "") != (way.header == nil) {
		d.t.Fatalf("the stage does not say how to reach the version: %s", e.Stages[0].Context)
	}
	testers := early
	if testers == nil {
		testers = d.loadWith(s, loadgen.Config{Rate: 20, Header: http.Header{"Host": {address.Host}}})
	}
	d.sees("testers of a dark version", testers, version)
	if now := public.Snapshot().ByVersion[version]; now != before {
		d.t.Fatalf("the public saw %s %d times while it was dark", version, now-before)
	}
	return testers
}

// carry runs a pipeline to its success, as it was planned.
func (d *daemon) carry(pipeline string, parameters map[string]any, public *loadgen.Load) execution {
	d.t.Helper()
	plan := d.plan(pipeline, parameters)
	id := d.startWith(pipeline, map[string]any{"parameters": parameters, "planHash": plan.Hash})
	e := d.ended(id)
	d.t.Logf("%s: %s; %s", pipeline, e.Status, public.Snapshot())
	if e.Status != "SUCCEEDED" {
		d.t.Fatalf("%s ended %s: %s", pipeline, e.Status, stageContext(e))
	}
	if diff := cmp.Diff(plan.changes(), d.changes(id)); diff != "" {
		d.t.Errorf("%s (-planned +made):\n%s", pipeline, diff)
	}
	return e
}

// sees wants all answers of the next second to be of one version.
func (d *daemon) sees(who string, load *loadgen.Load, version string) {
	d.t.Helper()
	before := load.Snapshot().ByVersion
	time.Sleep(time.Second)
	after := load.Snapshot().ByVersion
	var seen []string
	for v, n := range after {
		if n > before[v] {
			seen = append(seen, v)
		}
	}
	if !slices.Equal(seen, []string{version}) {
		d.t.Errorf("%s see %v, want %s alone", who, seen, version)
	}
}
