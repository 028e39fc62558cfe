package api_test

import (
	"strings"
	"testing"
)

// TestWebhookStage is refused with the field that is wrong, and shown without its
// credentials.
func TestWebhookStage(t *testing.T) {
	h := newHarness(t)
	wrong := h.do("POST", "/pipelines", `{"application":"storefront","name":"wrong","stages":[{"refId":"1","type":"webhook","url":"file:///etc/passwd","customHeaders":{"Host":"x"}}]}`).want(400).fields()
	if !strings.Contains(wrong["/stages/0/url"], "must be http or https") || !strings.Contains(wrong["/stages/0/customHeaders/Host"], "may not be set") {
		t.Errorf("findings %v", wrong)
	}

	h.save("p", `[{"refId":"1","type":"webhook","url":"https://ci.example/build","customHeaders":{"Authorization":"Bearer hunter2","Accept":"text/plain"}}]`)
	id := string(h.startOf("p", ``))
	for _, path := range []string{"/pipelines/" + id, "/applications/storefront/pipelines?expand=true", "/executions?executionIds=" + id} {
		a := h.do("GET", path, "").want(200)
		if strings.Contains(string(a.body), "hunter2") {
			t.Errorf("%s tells the credential: %s", path, a.body)
		}
	}
	if a := h.do("GET", "/pipelines/"+id, ""); !strings.Contains(string(a.body), `"Authorization":"***"`) || !strings.Contains(string(a.body), `"Accept":"text/plain"`) {
		t.Errorf("shown: %s", a.body)
	}
	if a := h.do("POST", "/pipelines/storefront/p/plan", ``).want(200); !strings.Contains(string(a.body), "stages of type webhook change no cluster") {
		t.Errorf("planned: %s", a.body)
	}
}
