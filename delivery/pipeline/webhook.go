package pipeline

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/jsonpath"
)

// WebhookStageType is the stage type that calls another system and, where that is wanted,
// waits until the system is done.
const WebhookStageType = "webhook"

// Webhook is the input of a webhook stage.
type Webhook struct {
	Request WebhookRequest
	// FailFast are status codes after which the call is not repeated, and Retry those
	// after which it is, beside the usual ones.
	FailFast, Retry []int
	// Monitor is nil when the stage is over with the answer.
	Monitor *WebhookMonitor
	// Cancel is what a canceled stage calls; nil for nothing.
	Cancel *WebhookRequest
	// Within is how long the other system may take until it is done, from the answer on.
	Within time.Duration
}

// WebhookRequest is one call that a stage makes.
type WebhookRequest struct {
	Method, URL string
	Header      map[string][]string
	// Body is sent as it is.
	Body []byte
}

// WebhookMonitor says how to find out when the other system is done.
type WebhookMonitor struct {
	Where StatusURLResolution
	// URLPath leads to the URL in the answer, for StatusURLFromAnswer.
	URLPath jsonpath.Path
	// Before is how long to wait before the first look.
	Before time.Duration
	// StatusPath leads to the status; nil when any answer with success is the end.
	StatusPath *jsonpath.Path
	// ProgressPath leads to a text for people; nil for none.
	ProgressPath *jsonpath.Path
	// Success, Canceled and Terminal are words in upper case; all others mean that the
	// system is at work.
	Success, Canceled, Terminal []string
}

// StatusURLResolution says where the URL comes from that tells the status.
type StatusURLResolution string

// The sources of the URL, with Spinnaker's words.
const (
	// StatusURLSame is the URL that was called.
	StatusURLSame StatusURLResolution = "getMethod"
	// StatusURLFromLocation is the answer's header Location.
	StatusURLFromLocation StatusURLResolution = "locationHeader"
	// StatusURLFromAnswer is a place in the answer's body.
	StatusURLFromAnswer StatusURLResolution = "webhookResponse"
)

// defaultWithin is how long a stage waits for the other system unless it says so.
const defaultWithin = 24 * time.Hour

// webhookMethods are the methods that a webhook may have.
var webhookMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// ParseWebhook reads an evaluated webhook stage. An Invalid error carries findings with
// pointers relative to the stage.
func ParseWebhook(context json.RawMessage) (Webhook, error) {
	r := &reader{}
	var w Webhook
	if o, ok := r.document(context); ok {
		w = readWebhook(o)
	}
	if err := delivery.InvalidError("webhook stage is not valid", r.findings); err != nil {
		return Webhook{}, err
	}
	return w, nil
}

func readWebhook(o object) Webhook {
	w := Webhook{FailFast: o.statusCodes("failFastStatusCodes"), Retry: o.statusCodes("retryStatusCodes")}
	w.Within = o.webhookTimeout()
	header := o.httpHeader("customHeaders")
	w.Request = o.webhookRequest("url", "method", "payload", header)
	for _, code := range w.Retry {
		if slices.Contains(w.FailFast, code) {
			o.refuse("retryStatusCodes", "has %d, which failFastStatusCodes has too", code)
		}
	}
	if o.flag("waitForCompletion", false) {
		w.Monitor = readMonitor(o)
	}
	if o.flag("signalCancellation", false) {
		cancel := o.webhookRequest("cancelEndpoint", "cancelMethod", "cancelPayload", header)
		w.Cancel = &cancel
	}
	return w
}

// webhookTimeout reads how long the stage waits for the other system.
func (o object) webhookTimeout() time.Duration {
	ms, ok := o.whole("stageTimeoutMs")
	if !ok {
		return defaultWithin
	}
	within := time.Duration(ms) * time.Millisecond
	if within < time.Second {
		o.refuse("stageTimeoutMs", "is %d; must be at least 1000, a second", ms)
	}
	return within
}

// webhookRequest reads one call from the three fields that have it.
func (o object) webhookRequest(urlField, methodField, payloadField string, header map[string][]string) WebhookRequest {
	r := WebhookRequest{Method: strings.ToUpper(o.text(methodField)), URL: strings.TrimSpace(o.requiredText(urlField)), Header: header}
	if r.Method == "" {
		r.Method = "POST"
	}
	if !slices.Contains(webhookMethods, r.Method) {
		o.refuse(methodField, "is %q; must be one of %s", r.Method, strings.Join(webhookMethods, ", "))
	}
	if r.URL != "" {
		if _, err := delivery.ParseHTTPURL(r.URL); err != nil {
			o.refuse(urlField, "is not valid: %v", err)
		}
	}
	if r.Method != "GET" && r.Method != "HEAD" {
		r.Header, r.Body = o.payload(payloadField, header)
	}
	return r
}

const (
	contentType = "Content-Type"
	formType    = "application/x-www-form-urlencoded"
)

// payload returns the body of a request and its header with the body's type: that of
// customHeaders, else text for a text and JSON for everything else. Forms are made of an
// object's texts, numbers and booleans.
func (o object) payload(name string, header map[string][]string) (map[string][]string, []byte) {
	if !o.given(name) || o.dynamic(name) {
		return header, nil
	}
	raw := o.fields[name]
	var body []byte
	kind, given := "application/json", firstOf(header, contentType)
	switch {
	case delivery.JSONKind(raw) == "string":
		kind, body = "text/plain; charset=utf-8", []byte(unquote(raw))
	case delivery.JSONKind(raw) == "object" && strings.HasPrefix(strings.ToLower(given), formType):
		body = o.form(name)
	default:
		var compact bytes.Buffer
		if err := json.Compact(&compact, raw); err != nil {
			o.refuse(name, "is not JSON: %v", err)
		}
		body = compact.Bytes()
	}
	if given != "" {
		return header, body
	}
	out := map[string][]string{contentType: {kind}}
	for key, values := range header {
		out[key] = values
	}
	return out, body
}

func (o object) form(name string) []byte {
	fields, ok := o.child(name)
	if !ok {
		return nil
	}
	form := url.Values{}
	for _, key := range fields.names() {
		switch raw := fields.fields[key]; delivery.JSONKind(raw) {
		case "string":
			form.Set(key, unquote(raw))
		case "number", "boolean":
			form.Set(key, string(bytes.TrimSpace(raw)))
		case "null":
			form.Set(key, "")
		default:
			fields.refuse(key, "must be a string in a form, not %s", delivery.WithArticle(delivery.JSONKind(raw)))
		}
	}
	return []byte(form.Encode())
}

func firstOf(header map[string][]string, name string) string {
	for key, values := range header {
		if strings.EqualFold(key, name) && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

// httpHeader reads an object of headers: each with one text or several.
func (o object) httpHeader(name string) map[string][]string {
	fields, ok := o.child(name)
	if !ok {
		return nil
	}
	out := map[string][]string{}
	for _, header := range fields.names() {
		var values []string
		switch raw := fields.fields[header]; delivery.JSONKind(raw) {
		case "list":
			values = fields.texts(header)
		case "number", "boolean":
			values = []string{string(bytes.TrimSpace(raw))}
		case "null":
			continue
		default:
			values = []string{fields.text(header)}
		}
		for _, value := range values {
			if err := delivery.CheckHeader(header, value); err != nil {
				fields.refuse(header, "is not valid: %v", err)
			}
		}
		out[header] = values
	}
	return out
}

// statusCodes reads a list of HTTP status codes, written as numbers or as digits.
func (o object) statusCodes(name string) []int {
	var out []int
	for i, raw := range o.list(name) {
		key := strconv.Itoa(i)
		element := object{r: o.r, at: o.pointer(name), fields: map[string]json.RawMessage{key: raw}}
		code, ok := element.whole(key)
		if ok && (code < 100 || code > 599) {
			element.refuse(key, "is %d; a status code is between 100 and 599", code)
		}
		if ok {
			out = append(out, code)
		}
	}
	return out
}
