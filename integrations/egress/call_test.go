package egress

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
)

// site serves a handler on loopback and returns its URL and its port.
func site(t *testing.T, handler http.HandlerFunc) (base, port string) {
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return s.URL, u.Port()
}

// client allows the places and knows the names.
func client(t *testing.T, known map[string][]string, allow ...string) *Client {
	c, err := New(Config{Allow: allow})
	if err != nil {
		t.Fatal(err)
	}
	c.resolver = (&names{answers: known}).resolver(t)
	return c
}

func get(t *testing.T, c *Client, r delivery.HTTPRequest) (delivery.HTTPAnswer, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return c.Call(ctx, r)
}

func TestCall(t *testing.T) {
	base, port := site(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, "%s %s %s %s %s %s", r.Method, r.URL, r.Header.Get("X-Token"), r.Header.Get("User-Agent"), body, r.Header.Get("Accept-Encoding"))
	})
	answer, err := get(t, client(t, nil, "127.0.0.1:"+port), delivery.HTTPRequest{
		Method: "PUT", URL: base + "/a%2fb?q=1#f", Header: map[string][]string{"x-token": {"secret"}}, Body: []byte("payload")})
	if err != nil {
		t.Fatal(err)
	}
	if want := "PUT /a%2fb?q=1 secret Slipway payload identity"; string(answer.Body) != want {
		t.Errorf("sent %q; want %q", answer.Body, want)
	}
	if answer.StatusCode != 503 || answer.RetryAfter != 7*time.Second {
		t.Errorf("answered %d, after %s", answer.StatusCode, answer.RetryAfter)
	}
}

// TestClosed tries to reach a server of this machine in every way that has worked
// elsewhere.
func TestClosed(t *testing.T) {
	called := false
	_, port := site(t, func(http.ResponseWriter, *http.Request) { called = true })
	c := client(t, map[string][]string{
		"metadata.google.internal": {"169.254.169.254"}, "a_b.internal": {"127.0.0.1"}, "inside.example": {"10.1.2.3"},
		"self.example": {"127.0.0.1"}, "zero.example": {"0.0.0.0"},
	})
	for _, text := range []string{
		"http://127.0.0.1", "http://localhost", "http://localhost.", "http://0.0.0.0", "http://[::1]", "http://[::]", "http://[::ffff:127.0.0.1]", "http://[::127.0.0.1]",
		"http://2130706433", "http://0x7f.1", "http://017700000001", "http://0177.0.0.1", "http://127.1", "http://[64:ff9b::7f00:1]", "http://[2002:7f00:1::]",
		"http://[0:0:0:0:0:ffff:7f00:1]", "http://ok@127.0.0.1", "http://self.example", "http://SELF.example.", "http://a_b.internal", "http://zero.example", "http://inside.example",
		"http://169.254.169.254", "http://[fd00:ec2::254]", "http://metadata.google.internal", "http://[fe80::1%25lo]", "http://[127.0.0.1]",
	} {
		_, err := get(t, c, delivery.HTTPRequest{URL: text + ":" + port + "/"})
		if kind := delivery.KindOf(err); err == nil || kind != delivery.Denied && kind != delivery.Invalid {
			t.Errorf("%s: %v (%s)", text, err, kind)
		}
	}
	if called {
		t.Error("the server was called")
	}
}

// TestRebinding has a name that leads to an open address at first and to a closed one
// after that.
func TestRebinding(t *testing.T) {
	called := 0
	_, port := site(t, func(http.ResponseWriter, *http.Request) { called++ })
	c := client(t, map[string][]string{"moving.example": {"127.0.0.1", "127.0.0.2"}}, "127.0.0.1:"+port)
	if _, err := get(t, c, delivery.HTTPRequest{URL: "http://moving.example:" + port}); err != nil {
		t.Fatal(err)
	}
	_, err := get(t, c, delivery.HTTPRequest{URL: "http://moving.example:" + port})
	if delivery.KindOf(err) != delivery.Denied || !strings.Contains(err.Error(), "moving.example (127.0.0.2)") {
		t.Errorf("the second call: %v", err)
	}
	if called != 1 {
		t.Errorf("%d calls arrived", called)
	}
}

func TestRedirects(t *testing.T) {
	var seen http.Header
	_, other := site(t, func(w http.ResponseWriter, r *http.Request) { seen = r.Header; fmt.Fprint(w, "other") })
	var port string
	base, port := site(t, func(w http.ResponseWriter, r *http.Request) {
		to := map[string]string{
			"/own": "/end", "/other": "http://127.0.0.1:" + other + "/", "/inside": "http://127.0.0.1:1/", "/metadata": "http://169.254.169.254/latest/",
			"/scheme": "https://127.0.0.1:" + port + "/", "/file": "file:///etc/passwd", "/user": "http://a:b@127.0.0.1:" + port + "/", "/loop": "/loop", "/empty": "", "/odd": "http://%zz/",
		}[r.URL.Path]
		if r.URL.Path == "/end" {
			seen = r.Header
			fmt.Fprint(w, "end")
			return
		}
		if to != "" {
			w.Header().Set("Location", to)
		}
		w.WriteHeader(http.StatusFound)
	})
	c := client(t, nil, "127.0.0.1:"+port, "127.0.0.1:"+other)
	credentials := map[string][]string{"Authorization": {"Bearer secret"}, "X-Api-Key": {"secret"}, "Cookie": {"s=secret"}, "Accept": {"text/plain"}}
	for path, want := range map[string]string{
		"/own": "200 end", "/other": "200 other", "/loop": "302 ",
		"/inside": "denied: 127.0.0.1 may not be called: it is an address of this machine", "/metadata": "denied: 169.254.169.254 may not be called: it is a link-local address",
		"/scheme": "it leads from http to https", "/file": `scheme is "file"`, "/user": "user name or password", "/empty": "its Location cannot be read", "/odd": "its Location cannot be read",
	} {
		seen = nil
		answer, err := get(t, c, delivery.HTTPRequest{URL: base + path, Header: credentials, Redirects: 3})
		got := fmt.Sprintf("%d %s", answer.StatusCode, answer.Body)
		if err != nil {
			got = fmt.Sprintf("%s: %v", delivery.KindOf(err), err)
		}
		if !strings.Contains(strings.Replace(got, "follow the redirect of 127.0.0.1: ", "", 1), want) {
			t.Errorf("%s: %s; want %s", path, got, want)
		}
		if strings.Contains(got, "secret") {
			t.Errorf("%s tells the credentials: %s", path, got)
		}
		switch path {
		case "/own":
			if seen.Get("Authorization") == "" || seen.Get("X-Api-Key") == "" {
				t.Errorf("the host that was asked got %v", seen)
			}
		case "/other":
			if want := (http.Header{"Accept": {"text/plain"}, "Accept-Encoding": {"identity"}, "Connection": {"close"}, "User-Agent": {"Slipway"}}); !cmp.Equal(seen, want) {
				t.Errorf("another host got %v", seen)
			}
		}
	}
	for _, r := range []delivery.HTTPRequest{{URL: base + "/own"}, {Method: "POST", URL: base + "/own", Redirects: 3, Body: []byte("x")}} {
		if answer, err := get(t, c, r); err != nil || answer.StatusCode != http.StatusFound {
			t.Errorf("%s with %d redirects: %d, %v", r.Method, r.Redirects, answer.StatusCode, err)
		}
	}
}

func TestBounds(t *testing.T) {
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	base, port := site(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/endless":
			block := make([]byte, 64<<10)
			for {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		case "/silent":
			select {
			case <-ended:
			case <-r.Context().Done():
			}
		case "/slow":
			w.WriteHeader(http.StatusOK)
			for r.Context().Err() == nil {
				fmt.Fprint(w, ".")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(10 * time.Millisecond)
			}
		case "/cut":
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "short")
		case "/header":
			w.Header().Set("X-Long", strings.Repeat("a", 2*maxAnswerHeader))
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write(make([]byte, 64<<20))
			_ = z.Close()
		}
	})
	c := client(t, nil, "127.0.0.1:"+port)
	for path, want := range map[string]string{
		"/endless": "the answer of 127.0.0.1 has more than 1048576 bytes", "/silent": "127.0.0.1 did not answer: context deadline exceeded", "/slow": "127.0.0.1 did not answer: context deadline exceeded",
		"/cut": "127.0.0.1 did not answer: unexpected EOF", "/header": "127.0.0.1 did not answer",
	} {
		limit := 20 * time.Second
		if strings.Contains(want, "deadline") {
			limit = 300 * time.Millisecond
		}
		answer, err := get(t, c, delivery.HTTPRequest{URL: base + path, Timeout: limit})
		e, ok := err.(*delivery.Error)
		kind := delivery.Transient
		if path == "/endless" {
			kind = delivery.Invalid
		}
		if !ok || e.Kind != kind || e.Code != "" || !strings.Contains(err.Error(), want) || answer.StatusCode != 0 {
			t.Errorf("%s: %d, %v; want %q", path, answer.StatusCode, err, want)
		}
	}
	answer, err := get(t, c, delivery.HTTPRequest{URL: base + "/bomb"})
	if err != nil || len(answer.Body) > 1<<20 {
		t.Errorf("a packed answer has %d bytes: %v", len(answer.Body), err)
	}
	if _, err := get(t, c, delivery.HTTPRequest{URL: base + "/bomb", MaxAnswer: 10}); err == nil {
		t.Error("an answer is larger than was wanted")
	}
}

// TestNotSent tells calls that had no effect for sure from those that may have had one.
func TestNotSent(t *testing.T) {
	base, port := site(t, nil)
	gone := httptest.NewServer(nil)
	gone.Close()
	u, _ := url.Parse(gone.URL)
	c := client(t, nil, "127.0.0.1:"+port, "127.0.0.1:"+u.Port())
	for _, text := range []string{gone.URL, "http://missing.example", strings.Replace(base, "http:", "https:", 1)} {
		_, err := get(t, c, delivery.HTTPRequest{URL: text + "/?token=secret"})
		e, ok := err.(*delivery.Error)
		if !ok || e.Kind != delivery.Transient || e.Code != delivery.CodeNotSent || !strings.Contains(err.Error(), "could not be reached") {
			t.Errorf("%s: %v", text, err)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s tells the query: %v", text, err)
		}
	}
}

func TestRequestRefused(t *testing.T) {
	c := client(t, nil)
	for _, r := range []delivery.HTTPRequest{
		{Method: "CONNECT"}, {Method: "A B"}, {Header: map[string][]string{"Host": {"x"}}}, {Header: map[string][]string{"content-length": {"1"}}},
		{Header: map[string][]string{"proxy-authorization": {"x"}}}, {Header: map[string][]string{"Metadata-Flavor": {"Google"}}}, {Header: map[string][]string{"A B": {"x"}}},
		{Header: map[string][]string{"": {"x"}}}, {Header: map[string][]string{"X": {"a\r\nHost: b"}}}, {Header: map[string][]string{"X": {"a\x00"}}},
		{Header: map[string][]string{"X": {strings.Repeat("a", maxHeaders)}}},
	} {
		r.URL = "http://a.example"
		if _, err := get(t, c, r); delivery.KindOf(err) != delivery.Invalid {
			t.Errorf("%v: %v", r, err)
		}
	}
}

// TestEnvironment sets a proxy that would be used by a client that reads the environment.
func TestEnvironment(t *testing.T) {
	asked := false
	proxy, _ := site(t, func(http.ResponseWriter, *http.Request) { asked = true })
	t.Setenv("HTTP_PROXY", proxy)
	t.Setenv("http_proxy", proxy)
	if _, err := get(t, client(t, nil), delivery.HTTPRequest{URL: "http://missing.example"}); err == nil || asked {
		t.Errorf("the proxy was asked: %v, %v", asked, err)
	}
}
