package pipeline

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/jsonpath"
)

func path(t *testing.T, text string) *jsonpath.Path {
	t.Helper()
	p, err := jsonpath.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return &p
}

func TestParseWebhook(t *testing.T) {
	for _, test := range []struct {
		name, stage string
		want        Webhook
	}{
		{"the least", `{"url":"https://x.example/y"}`, Webhook{Request: WebhookRequest{Method: "POST", URL: "https://x.example/y"}, Within: 24 * time.Hour}},
		{"all of it", `{"url":" https://x.example/y?z=1 ","method":"put","payload":{"a": [1, "b"]},"customHeaders":{"Authorization":"t","X-Two":["a","b"],"X-N":1,"X-Null":null},
			"failFastStatusCodes":[404,"410"],"retryStatusCodes":[500],"waitForCompletion":"true","statusUrlResolution":"webhookResponse","statusUrlJsonPath":"$.url","statusJsonPath":"$.status",
			"progressJsonPath":"$.pct","successStatuses":"success, Done","canceledStatuses":"CANCELED","terminalStatuses":"FAILED,,ERROR","waitBeforeMonitor":"10",
			"signalCancellation":true,"cancelEndpoint":"https://x.example/stop","cancelMethod":"DELETE","cancelPayload":"bye","stageTimeoutMs":60000}`,
			Webhook{
				Request: WebhookRequest{Method: "PUT", URL: "https://x.example/y?z=1", Body: []byte(`{"a":[1,"b"]}`),
					Header: map[string][]string{"Content-Type": {"application/json"}, "Authorization": {"t"}, "X-Two": {"a", "b"}, "X-N": {"1"}}},
				FailFast: []int{404, 410}, Retry: []int{500},
				Monitor: &WebhookMonitor{Where: StatusURLFromAnswer, URLPath: *path(t, "$.url"), StatusPath: path(t, "$.status"), ProgressPath: path(t, "$.pct"), Before: 10 * time.Second,
					Success: []string{"SUCCESS", "DONE"}, Canceled: []string{"CANCELED"}, Terminal: []string{"FAILED", "ERROR"}},
				Cancel: &WebhookRequest{Method: "DELETE", URL: "https://x.example/stop", Body: []byte("bye"),
					Header: map[string][]string{"Content-Type": {"text/plain; charset=utf-8"}, "Authorization": {"t"}, "X-Two": {"a", "b"}, "X-N": {"1"}}},
				Within: time.Minute,
			}},
		{"a form", `{"url":"http://x.example","customHeaders":{"content-type":"application/x-www-form-urlencoded"},"payload":{"b":"x y","a":1,"c":true,"d":null}}`,
			Webhook{Within: 24 * time.Hour, Request: WebhookRequest{Method: "POST", URL: "http://x.example", Body: []byte("a=1&b=x+y&c=true&d="),
				Header: map[string][]string{"content-type": {"application/x-www-form-urlencoded"}}}}},
		{"a read sends nothing", `{"url":"http://x.example","method":"GET","payload":{"a":1}}`, Webhook{Within: 24 * time.Hour, Request: WebhookRequest{Method: "GET", URL: "http://x.example"}}},
		{"no wait, no fields of it", `{"url":"http://x.example","statusUrlResolution":"whatever","signalCancellation":"false"}`,
			Webhook{Within: 24 * time.Hour, Request: WebhookRequest{Method: "POST", URL: "http://x.example"}}},
		{"a wait for any answer", `{"url":"http://x.example","waitForCompletion":true}`,
			Webhook{Within: 24 * time.Hour, Request: WebhookRequest{Method: "POST", URL: "http://x.example"}, Monitor: &WebhookMonitor{Where: StatusURLSame}}},
	} {
		got, err := ParseWebhook(json.RawMessage(test.stage))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(jsonpath.Path{}), cmp.Comparer(func(a, b jsonpath.Path) bool { return a.String() == b.String() })); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

// TestWrongWebhooks are refused when the pipeline is saved.
func TestWrongWebhooks(t *testing.T) {
	const waits = `"url":"http://x.example","waitForCompletion":true`
	for _, test := range []struct{ name, fields, pointer, message string }{
		{"no URL", ``, "/url", "is required"},
		{"another scheme", `"url":"ftp://x.example"`, "/url", "must be http or https"},
		{"a user in the URL", `"url":"http://a:hunter2@x.example"`, "/url", "put credentials into a header"},
		{"no URL at all", `"url":"x.example/y"`, "/url", "scheme"},
		{"a URL that is a number", `"url":7`, "/url", "must be a string"},
		{"another method", `"url":"http://x.example","method":"FETCH"`, "/method", "must be one of GET"},
		{"headers in a list", `"url":"http://x.example","customHeaders":["a"]`, "/customHeaders", "must be an object"},
		{"a header of the client's own", `"url":"http://x.example","customHeaders":{"Host":"y"}`, "/customHeaders/Host", "may not be set"},
		{"a header for metadata", `"url":"http://x.example","customHeaders":{"Metadata-Flavor":"Google"}`, "/customHeaders/Metadata-Flavor", "may not be set"},
		{"a header with a break", `"url":"http://x.example","customHeaders":{"X":"a\r\nHost: b"}`, "/customHeaders/X", "control character"},
		{"a header with an object", `"url":"http://x.example","customHeaders":{"X":{}}`, "/customHeaders/X", "must be a string"},
		{"a form in a form", `"url":"http://x.example","customHeaders":{"Content-Type":"application/x-www-form-urlencoded"},"payload":{"a":{}}`, "/payload/a", "must be a string in a form"},
		{"a code that is none", `"url":"http://x.example","failFastStatusCodes":[4040]`, "/failFastStatusCodes/0", "between 100 and 599"},
		{"codes in a text", `"url":"http://x.example","retryStatusCodes":"503"`, "/retryStatusCodes", "must be a list"},
		{"a code with two meanings", `"url":"http://x.example","failFastStatusCodes":[503],"retryStatusCodes":[503]`, "/retryStatusCodes", "failFastStatusCodes has too"},
		{"a flag in words", `"url":"http://x.example","waitForCompletion":"often"`, "/waitForCompletion", "boolean"},
		{"an unknown resolution", waits + `,"statusUrlResolution":"guess"`, "/statusUrlResolution", "must be getMethod"},
		{"no path to the URL", waits + `,"statusUrlResolution":"webhookResponse"`, "/statusUrlJsonPath", "is required"},
		{"a wrong path", waits + `,"statusJsonPath":"$..status"`, "/statusJsonPath", "any number of values"},
		{"a wrong path of progress", waits + `,"progressJsonPath":"$["`, "/progressJsonPath", "is no path"},
		{"words without a status", waits + `,"terminalStatuses":"FAILED"`, "/statusJsonPath", "is required"},
		{"a word with two meanings", waits + `,"statusJsonPath":"$.a","successStatuses":"done","terminalStatuses":"DONE"`, "/terminalStatuses", "successStatuses has too"},
		{"a wait before the start", waits + `,"waitBeforeMonitor":-1`, "/waitBeforeMonitor", "between 0"},
		{"no time at all", `"url":"http://x.example","stageTimeoutMs":0`, "/stageTimeoutMs", "at least 1000"},
		{"a cancel to nowhere", `"url":"http://x.example","signalCancellation":true`, "/cancelEndpoint", "is required"},
		{"a wrong cancel", `"url":"http://x.example","signalCancellation":true,"cancelEndpoint":"http://x.example","cancelMethod":"STOP"`, "/cancelMethod", "must be one of"},
	} {
		_, err := Parse(json.RawMessage(`{"stages":[{"type":"webhook",` + strings.TrimSuffix(`"refId":"1",`+test.fields, ",") + `}]}`))
		found := false
		for _, f := range delivery.FindingsOf(err) {
			found = found || f.Pointer == "/stages/0"+test.pointer && strings.Contains(f.Message, test.message)
		}
		if !found {
			t.Errorf("%s: %v", test.name, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s tells a password: %v", test.name, err)
		}
	}
}

// TestDeferredWebhook lets fields be expressions until the stage begins.
func TestDeferredWebhook(t *testing.T) {
	document := `{"stages":[{"refId":"1","type":"webhook","url":"${parameters.url}","method":"${parameters.method}","payload":"${parameters}","customHeaders":{"Authorization":"Bearer ${parameters.token}"},
		"failFastStatusCodes":["${1}"],"waitForCompletion":"${true}","signalCancellation":true,"cancelEndpoint":"https://${parameters.host}/stop","waitBeforeMonitor":"${1}","stageTimeoutMs":"${1}"}]}`
	if _, err := Parse(json.RawMessage(document)); err != nil {
		t.Error(err)
	}
}
