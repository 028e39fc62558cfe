package api_test

import (
	"strings"
	"testing"
)

const canaryConfig = `{"id":"c1","name":"latency_v1","description":"d","configVersion":"1","applications":["Storefront"],"judge":{"name":"NetflixACAJudge-v1.0","judgeConfigurations":{}},
	"metrics":[{"name":"errors","groups":["G"],"scopeName":"default"},{"name":"latency","groups":["G"],"scopeName":"default"}],"templates":{},"classifier":{"groupWeights":{"G":100}}}`

// TestCanaryConfigLife goes through what spin does: look, create or update, delete.
func TestCanaryConfigLife(t *testing.T) {
	h := newHarness(t)
	h.do("GET", "/v2/canaryConfig/c1", "").want(404)
	h.do("PUT", "/v2/canaryConfig/c1", canaryConfig).want(400)
	if id := h.do("POST", "/v2/canaryConfig", canaryConfig).want(200).get("canaryConfigId"); id != "c1" {
		t.Errorf("id %v", id)
	}
	if fields := h.do("POST", "/v2/canaryConfig", canaryConfig).want(400).fields(); fields["/id"] == "" {
		t.Errorf("fields %v", fields)
	}
	stored := h.do("GET", "/v2/canaryConfig/c1", "").want(200)
	if stored.get("classifier.groupWeights.G") != 100.0 || stored.get("createdTimestamp") != stored.get("updatedTimestamp") {
		t.Errorf("stored %s", stored.body)
	}
	h.do("PUT", "/v2/canaryConfig/c1", strings.Replace(string(stored.body), `"d"`, `"changed"`, 1), "If-Match", stored.header.Get("ETag")).want(200)
	h.do("PUT", "/v2/canaryConfig/c1", string(stored.body), "If-Match", stored.header.Get("ETag")).want(412)
	h.do("PUT", "/v2/canaryConfig/c1", strings.Replace(canaryConfig, `"c1"`, `"c2"`, 1)).want(400)
	changed := h.do("GET", "/v2/canaryConfig/c1", "").want(200)
	if changed.get("description") != "changed" || changed.get("createdTimestamp") != stored.get("createdTimestamp") || changed.get("updatedTimestamp") == stored.get("updatedTimestamp") {
		t.Errorf("changed %s", changed.body)
	}
	other := strings.NewReplacer(`"id":"c1",`, ``, `"Storefront"`, `"billing"`).Replace(canaryConfig)
	if id, _ := h.do("POST", "/v2/canaryConfig", other).want(200).get("canaryConfigId").(string); len(id) != 36 {
		t.Errorf("id %q", id)
	}
	h.do("POST", "/v2/canaryConfig", strings.Replace(other, `"billing"`, `"search","storefront"`, 1)).want(400)
	var list []map[string]any
	for path, want := range map[string]int{"/v2/canaryConfig": 2, "/v2/canaryConfig?application=": 2, "/v2/canaryConfig?application=storefront": 1, "/v2/canaryConfig?application=nothing": 0} {
		if h.do("GET", path, "").want(200).into(&list); len(list) != want {
			t.Errorf("%s: %d, want %d", path, len(list), want)
		}
	}
	h.do("DELETE", "/v2/canaryConfig/c1", "").want(200).void()
	h.do("DELETE", "/v2/canaryConfig/c1", "").want(200).void()
	h.do("GET", "/v2/canaryConfig/c1", "").want(404)
}

func TestCanaryConfigsThatAreRefused(t *testing.T) {
	h := newHarness(t)
	for _, tt := range []struct{ old, now, pointer string }{
		{`"latency_v1"`, `"with space"`, "/name"},
		{`"latency_v1"`, `""`, "/name"},
		{`"latency_v1"`, `7`, "/name"},
		{`["Storefront"]`, `[]`, "/applications"},
		{`["Storefront"]`, `"storefront"`, "/applications"},
		{`["Storefront"]`, `["a/b"]`, "/applications/0"},
		{`"name":"latency",`, `"name":"errors",`, "/metrics/1/name"},
		{`"name":"latency",`, ``, "/metrics/1/name"},
		{`"templates":{}`, `"templates":[]`, "/templates"},
		{`"id":"c1"`, `"id":7`, "/id"},
	} {
		if fields := h.do("POST", "/v2/canaryConfig", strings.Replace(canaryConfig, tt.old, tt.now, 1)).want(400).fields(); fields[tt.pointer] == "" {
			t.Errorf("%s: fields %v, want %s", tt.now, fields, tt.pointer)
		}
	}
}

func TestNotificationSettings(t *testing.T) {
	h := newHarness(t)
	var types []struct{ NotificationType string }
	if h.do("GET", "/notifications/metadata", "").want(200).into(&types); len(types) == 0 {
		t.Error("no types of notifications")
	}
	if got := string(h.do("GET", "/notifications/application/storefront", "").want(200).body); got != "{}" {
		t.Errorf("settings %s", got)
	}
	const settings = `{"application":"storefront","slack":[{"address":"#deploys","when":["pipeline.failed"],"level":"application"}],"email":[]}`
	h.do("POST", "/notifications/application/Storefront", settings).want(200).void()
	stored := h.do("GET", "/notifications/application/storefront", "").want(200)
	if stored.get("application") != "storefront" || !strings.Contains(string(stored.body), "#deploys") {
		t.Errorf("settings %s", stored.body)
	}
	h.do("POST", "/notifications/application/storefront", string(stored.body)).want(200)
	h.do("POST", "/notifications/application/storefront", `{"githubStatus":[{"type":"githubStatus","level":"application","when":["pipeline.failed"]}],
		"pubsub":[{"type":"pubsub","publisherName":"p","when":["pipeline.failed"]}],"cdevents":[{"type":"cdevents","address":"http://broker","cdEventsType":"dev.cdevents.pipelinerun.finished","when":["pipeline.failed"]}]}`).want(200).void()
	for body, pointer := range map[string]string{`{"cdevents":[{"when":[]}]}`: "/cdevents/0/address", `{"pubsub":[{"when":[]}]}`: "/pubsub/0/publisherName", `{"githubStatus":[{}]}`: "/githubStatus/0/when", `{"slak":[]}`: "/slak", `{"slack":{}}`: "/slack", `{"slack":[{"when":[]}]}`: "/slack/0/address", `{"slack":[{"address":"#a"}]}`: "/slack/0/when",
		`{"application":"other"}`: "/application"} {
		if fields := h.do("POST", "/notifications/application/storefront", body).want(400).fields(); fields[pointer] == "" {
			t.Errorf("%s: fields %v, want %s", body, fields, pointer)
		}
	}
	h.do("GET", "/notifications/pipeline/storefront", "").want(400)
	h.do("DELETE", "/notifications/application/storefront", "").want(200).void()
	h.do("DELETE", "/notifications/application/storefront", "").want(200).void()
	if got := string(h.do("GET", "/notifications/application/storefront", "").want(200).body); got != "{}" {
		t.Errorf("settings %s", got)
	}
}
