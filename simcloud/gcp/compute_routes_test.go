package gcp_test

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"
)

// routeRow is a request and the version that it must reach by the rules of TestComputeRoutes. X-Not: old keeps a request from
// the last rule, which matches every request without it.
type routeRow struct {
	path, host   string
	header, text string
	want         string
}

var routeRows = []routeRow{
	{"/", "", "X-Not", "old", "1.0"}, {"/", "", "X-Not", "new", "1.1"}, {"/", "", "", "", "1.1"},
	{"/", "", "X-Release", "canary", "1.1"}, {"/", "", "X-Release", "Canary", "1.0"},
	{"/", "", "X-Pre", "canary", "1.1"}, {"/", "", "X-Pre", "xcan", "1.0"},
	{"/", "", "X-Suf", "canary", "1.1"}, {"/", "", "X-Suf", "canaryx", "1.0"},
	{"/", "", "X-Re", "canary", "1.1"}, {"/", "", "X-Re", "a canary", "1.0"},
	{"/", "", "X-There", "", "1.1"}, {"/", "", "X-There", "anything", "1.1"},
	{"/", "", "X-Range", "-3", "1.1"}, {"/", "", "X-Range", "0", "1.0"}, {"/", "", "X-Range", "-3s", "1.0"},
	{"/exact", "", "X-Not", "old", "1.1"}, {"/exact/not", "", "X-Not", "old", "1.0"},
	{"/v2/x", "", "X-Not", "old", "1.1"}, {"/vx/x", "", "X-Not", "old", "1.0"},
	{"/q?Canary=yes", "", "X-Not", "old", "1.1"}, {"/q?canary=yes", "", "X-Not", "old", "1.0"}, {"/q?Canary=no", "", "X-Not", "old", "1.0"},
	{"/", "", "X-First", "1", "1.0"},
	{"/", "paths.example.com", "", "", "1.0"}, {"/new", "paths.example.com", "", "", "1.1"}, {"/new/x", "a.paths.example.com", "", "", "1.1"},
	{"/new/old/x", "paths.example.com", "", "", "1.0"}, {"/newer", "paths.example.com", "", "", "1.0"},
}

// routeWalker sends requests by hand.
type routeWalker struct {
	t   *testing.T
	url string
}

func (w *routeWalker) ask(row routeRow) (version, location string) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.url+row.path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if row.host != "" {
		request.Host = row.host
	}
	if row.header != "" {
		request.Header.Set(row.header, row.text)
		if row.header != "X-Not" {
			request.Header.Set("X-Not", "old")
		}
	}
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	var said struct{ Version string }
	if answer.StatusCode == http.StatusOK {
		if err := json.Unmarshal(body, &said); err != nil {
			w.t.Fatal(err)
		}
	}
	return said.Version, answer.Header.Get("Location")
}

// steady tells whether as many requests as there are workers, and more, reach a version.
func (w *routeWalker) steady(path, host, want string) bool {
	for range 8 {
		if got, _ := w.ask(routeRow{path: path, host: host}); got != want {
			return false
		}
	}
	return true
}

func (w *routeWalker) check(row routeRow) {
	w.t.Helper()
	if got, _ := w.ask(row); got != row.want {
		w.t.Errorf("%s %s with %s=%q reached %q, want %q", row.host, row.path, row.header, row.text, got, row.want)
	}
}

func (w *routeWalker) location(path, host string) string {
	_, to := w.ask(routeRow{path: path, host: host})
	return to
}
