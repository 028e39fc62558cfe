package api_test

import (
	"net/url"
	"strings"
	"testing"

	v1 "github.com/slipway-cd/slipway/api/v1"
)

func TestValidateCron(t *testing.T) {
	h := newHarness(t)
	ask := func(expression, zone string) (check v1.CronCheck) {
		h.do("GET", "/cron/validate?expression="+url.QueryEscape(expression)+"&timezone="+url.QueryEscape(zone), "").want(200).into(&check)
		return check
	}
	if got := ask("0 0 10 ? * MON-FRI", "Europe/Berlin"); !got.Valid || len(got.Next) != 5 || !strings.Contains(got.Description, "10:00:00 CE") {
		t.Errorf("%+v", got)
	}
	if got := ask("0 0 10 1 1 ? 2030", ""); !got.Valid || len(got.Next) != 1 || !strings.Contains(got.Description, "Tuesday, 2030-01-01 10:00:00 PST") {
		t.Errorf("%+v", got)
	}
	if got := ask("0 0 25 * * ?", ""); got.Valid || got.Message != `cronExpression hours "25" is no value of 0 to 23` {
		t.Errorf("%+v", got)
	}
	if got := ask("0 0 10 ? * *", "Mars/Olympus"); got.Valid || !strings.Contains(got.Message, "is no time zone") {
		t.Errorf("%+v", got)
	}
	h.do("GET", "/cron/validate", "").want(400)
}

func TestCronTriggersGetIDs(t *testing.T) {
	h := newHarness(t)
	h.do("POST", "/pipelines", `{"application":"storefront","name":"nightly","stages":[],"triggers":[
		{"type":"cron","cronExpression":"0 0 2 * * ?"},{"type":"cron","id":"mine","cronExpression":"0 0 3 * * ?"},{"type":"pubsub"}]}`).want(200)
	var saved struct {
		Triggers []struct{ ID, Type string } `json:"triggers"`
	}
	h.do("GET", "/applications/storefront/pipelineConfigs/nightly", "").want(200).into(&saved)
	if got := saved.Triggers; len(got) != 3 || len(got[0].ID) != 26 || got[1].ID != "mine" || got[2].ID != "" {
		t.Errorf("%+v", got)
	}
	for body, pointer := range map[string]string{
		`[{"type":"cron"}]`: "/triggers/0/cronExpression",
		`[{"type":"cron","cronExpression":"0 0 2 * *"}]`:                                                                    "/triggers/0/cronExpression",
		`[{"type":"cron","cronExpression":"0 0 2 * * ?","timezone":"Nowhere"}]`:                                             "/triggers/0/timezone",
		`[{"type":"cron","cronExpression":"0 0 2 * * ?","catchUp":{"policy":"some"}}]`:                                      "/triggers/0/catchUp/policy",
		`[{"type":"cron","cronExpression":"0 0 2 * * ?","catchUp":{"windowSec":-1}}]`:                                       "/triggers/0/catchUp/windowSec",
		`[{"type":"cron","cronExpression":"0 0 2 * * ?","catchUp":{"max":0}}]`:                                              "/triggers/0/catchUp/max",
		`[{"type":"cron","id":"a","cronExpression":"0 0 2 * * ?"},{"type":"cron","id":"a","cronExpression":"0 0 2 * * ?"}]`: "/triggers/1/id",
		`[{}]`: "/triggers/0/type",
		`[7]`:  "/triggers/0",
	} {
		fields := h.do("POST", "/pipelines", `{"application":"storefront","name":"bad","stages":[],"triggers":`+body+`}`).want(400).fields()
		if fields[pointer] == "" {
			t.Errorf("%s: %v", body, fields)
		}
	}
	fields := h.do("POST", "/pipelines", `{"application":"storefront","name":"bad","stages":[],"parameterConfig":[{"name":"image","required":true}],
		"triggers":[{"type":"cron","cronExpression":"0 0 2 * * ?"}]}`).want(400).fields()
	if fields["/triggers/0/parameters/image"] == "" {
		t.Errorf("%v", fields)
	}
}
