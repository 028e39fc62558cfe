package pipeline

import (
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// IdempotencyHeader carries the same value in every repetition of a stage's call
// (draft-ietf-httpapi-idempotency-key-header).
const IdempotencyHeader = "Idempotency-Key"

// Call returns the stage's call. The key tells the other side that a repetition is one.
func (w Webhook) Call(key string) delivery.HTTPRequest {
	out := w.Request.call(key)
	if w.Monitor == nil || w.Monitor.Where != StatusURLFromLocation {
		out.Redirects = webhookRedirects
	}
	return out
}

// CancelCall returns the call of a canceled stage that has one.
func (w Webhook) CancelCall(key string) delivery.HTTPRequest { return w.Cancel.call(key) }

// call adds the key unless the stage has one of its own.
func (r WebhookRequest) call(key string) delivery.HTTPRequest {
	out := delivery.HTTPRequest{Method: r.Method, URL: r.URL, Body: r.Body, Header: maps.Clone(r.Header)}
	if firstOf(r.Header, IdempotencyHeader) == "" {
		if out.Header == nil {
			out.Header = map[string][]string{}
		}
		out.Header[IdempotencyHeader] = []string{key}
	}
	return out
}

// Look returns the look at the status, with the headers of the stage's call when it is
// to the same place: they may be credentials for that one.
func (w Webhook) Look(statusURL string) delivery.HTTPRequest {
	out := delivery.HTTPRequest{Method: http.MethodGet, URL: statusURL, Redirects: webhookRedirects}
	called, err := url.Parse(w.Request.URL)
	to, badURL := url.Parse(statusURL)
	if err == nil && badURL == nil && called.Scheme == to.Scheme && strings.EqualFold(called.Host, to.Host) {
		out.Header = without(w.Request.Header, contentType)
	}
	return out
}

// webhookRedirects is how many redirects a read follows.
const webhookRedirects = 5

func without(header map[string][]string, name string) map[string][]string {
	out := map[string][]string{}
	for key, values := range header {
		if !strings.EqualFold(key, name) {
			out[key] = values
		}
	}
	return out
}
