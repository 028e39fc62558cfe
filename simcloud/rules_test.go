package simcloud_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/simcloud"
)

// TestConditionTests lets a function decide on what a request has at each place.
func TestConditionTests(t *testing.T) {
	s := newSite(t, fast)
	var rules []simcloud.Rule
	add := func(field simcloud.ConditionField, name, want string) {
		rules = append(rules, simcloud.Rule{
			ID: fmt.Sprintf("rule %d", len(rules)), Priority: len(rules), Fixed: &simcloud.FixedResponse{Status: 200 + len(rules)},
			Conditions: []simcloud.Condition{{Field: field, Name: name, Test: func(values []string) bool { return strings.Join(values, "|") == want }}},
		})
	}
	add(simcloud.FieldPath, "", "/Path")
	add(simcloud.FieldHeader, "X-Two", "a|b")
	add(simcloud.FieldQuery, "Key", "1|2")
	add(simcloud.FieldMethod, "", "DELETE")
	add(simcloud.FieldHost, "", "shop.example.com")
	add(simcloud.FieldHeader, "X-Absent", "")
	if err := s.lb.SetRules(80, rules); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"path":                {func(r *http.Request) { r.URL.Path = "/Path" }, 200},
		"two values":          {func(r *http.Request) { r.Header["X-Two"] = []string{"a", "b"} }, 201},
		"query":               {func(r *http.Request) { r.URL.RawQuery = "Key=1&Key=2&key=3" }, 202},
		"method":              {func(r *http.Request) { r.Method = http.MethodDelete }, 203},
		"host without port":   {func(r *http.Request) { r.Host = "shop.example.com:80" }, 204},
		"nothing":             {func(*http.Request) {}, 205},
		"none of all of them": {func(r *http.Request) { r.Header.Set("X-Absent", "x") }, 503},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		row.change(request)
		answer, err := s.client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != row.want {
			t.Errorf("%s: status %d, want %d", name, answer.StatusCode, row.want)
		}
	}
}

// TestRulesOfOneID are several ways to the same destinations: their weights are told once.
func TestRulesOfOneID(t *testing.T) {
	s := newSite(t, fast)
	g := s.group("blue")
	route := func(weight int) {
		to := []simcloud.Destination{{TargetGroup: g, Weight: weight}}
		a := simcloud.Rule{ID: "place", Priority: 1, Forward: to, Conditions: []simcloud.Condition{{Field: simcloud.FieldPath, Values: []string{"/a"}}}}
		b := simcloud.Rule{ID: "place", Priority: 2, Forward: to}
		if err := s.lb.SetRules(80, []simcloud.Rule{a, b}); err != nil {
			t.Fatal(err)
		}
	}
	route(1)
	route(2)
	if err := s.lb.SetRules(80, nil); err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, e := range s.Log.Events() {
		if e.Kind == simcloud.WeightsStored {
			told = append(told, fmt.Sprint(e.Resource, e.Weights))
		}
	}
	if want := "placemap[blue:1] placemap[blue:2] placemap[]"; strings.Join(told, " ") != want {
		t.Errorf("told %v, want %s", told, want)
	}
}

// TestOwnAnswers: a load balancer may have words and redirects of its own, and a target group may not fail open.
func TestOwnAnswers(t *testing.T) {
	world := simcloud.NewWorld(fast)
	t.Cleanup(world.Close)
	lb := simcloud.NewLoadBalancer(world, simcloud.LoadBalancerConfig{ID: "lb", Name: "front", Unavailable: func(status int) (string, string) {
		return "text/plain", fmt.Sprint("own words ", status)
	}})
	url, err := lb.Listen(80)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{World: world, t: t, lb: lb, url: url, client: &http.Client{Transport: &http.Transport{}}}
	g := simcloud.NewTargetGroup(world, simcloud.TargetGroupConfig{ID: "closed", MinimumHealthy: -1, HealthCheck: simcloud.HealthCheck{Path: "/healthz"}})
	away := simcloud.Rule{ID: "away", Priority: 1, Conditions: []simcloud.Condition{{Field: simcloud.FieldPath, Values: []string{"/away"}}},
		Fixed: &simcloud.FixedResponse{Status: http.StatusFound, Location: func(r *http.Request) string { return "http://example.org" + r.URL.Path }}}
	if err := lb.SetRules(80, []simcloud.Rule{away, {ID: "default", Priority: 2, Forward: []simcloud.Destination{{TargetGroup: g, Weight: 1}}}}); err != nil {
		t.Fatal(err)
	}
	s.launch(simcloud.Image{Name: "sick", NeverHealthy: true}, g)
	for path, want := range map[string]string{"/": "503 own words 503", "/away": "302 "} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := s.client.Transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if got := fmt.Sprintf("%d %s", answer.StatusCode, body); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
		if to := answer.Header.Get("Location"); path == "/away" && to != "http://example.org/away" {
			t.Errorf("redirected to %q", to)
		}
	}
	for _, e := range world.Log.Events() {
		if e.Kind == simcloud.RoutedUnhealthy {
			t.Errorf("failed open: %+v", e)
		}
	}
}

// TestAlwaysChecked judges the targets of a group that no load balancer uses, and wants several passes from a new one.
func TestAlwaysChecked(t *testing.T) {
	s := newSite(t, fast)
	g := simcloud.NewTargetGroup(s.World, simcloud.TargetGroupConfig{ID: "checked", AlwaysCheck: true, HealthCheck: simcloud.HealthCheck{
		Path: "/healthz", Interval: 10 * time.Second, Timeout: time.Second, NewThreshold: 3,
	}})
	i := s.launch(image("1"), g)
	began := s.awaitTarget(0, i, simcloud.TargetInitial, simcloud.ReasonInitialHealthChecking)
	healthy := s.awaitTarget(began.Seq, i, simcloud.TargetHealthy, "")
	if took := healthy.At.Sub(began.At); took < 19*time.Second {
		t.Errorf("healthy %s after the first check, three passes take 20 s", took)
	}
}

// TestImageSerials order images by their first publication.
func TestImageSerials(t *testing.T) {
	images := &simcloud.Images{}
	var ids []string
	for _, name := range []string{"b", "a", "b"} {
		published, err := images.Publish(simcloud.Image{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, published.ID)
	}
	if b, a := images.Serial(ids[0]), images.Serial(ids[1]); b != 1 || a != 2 || images.Serial("nobody") != 0 {
		t.Errorf("serials %d, %d and %d", b, a, images.Serial("nobody"))
	}
}
