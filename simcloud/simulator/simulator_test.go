package simulator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/simulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, options simulator.Options) *simulator.Simulator {
	t.Helper()
	s, err := simulator.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return s
}

// send makes a request, checks the status, and decodes the answer.
func send(t *testing.T, method, url, body string, status int, into any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != status {
		t.Fatalf("%s %s answered %d, want %d: %s", method, url, response.StatusCode, status, data)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
}

func TestSeedServesInBothRegions(t *testing.T) {
	dir := t.TempDir()
	s := start(t, simulator.Options{Dir: dir, Scale: 50, Capacity: 2})
	var told simulator.Endpoints
	data, err := os.ReadFile(filepath.Join(dir, simulator.EndpointsFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &told); err != nil {
		t.Fatal(err)
	}
	if told.PID != os.Getpid() || told.AWS == "" || len(told.LoadBalancers) != 2 {
		t.Errorf("simulator.json = %+v, want this process, an endpoint and two load balancers", told)
	}
	if told.GCP.REST == "" || told.GCP.GRPC == "" || len(told.GCP.LoadBalancers) != 4 {
		t.Errorf("simulator.json tells of Google Cloud %+v, want two endpoints and four load balancers", told.GCP)
	}
	for region := range simulator.GoogleRegions() {
		for _, name := range []string{simulator.LoadBalancer, simulator.Service} {
			var said struct{ Version, Instance, Image string }
			send(t, http.MethodGet, s.GoogleLoadBalancer(name, region), "", http.StatusOK, &said)
			if said.Version != "1.0" || said.Image != simulator.Image {
				t.Errorf("%s in %s answers %+v, want version 1.0", name, region, said)
			}
		}
	}
	for _, region := range simulator.Regions() {
		instances := map[string]bool{}
		for range 10 {
			var said struct{ Version, Instance, Image string }
			send(t, http.MethodGet, s.LoadBalancer(region), "", http.StatusOK, &said)
			if said.Version != "1.0" || said.Image != simulator.Image {
				t.Errorf("%s answers %+v, want version 1.0", region, said)
			}
			instances[said.Instance] = true
		}
		if len(instances) != 2 {
			t.Errorf("%s is served by %d instances, want 2", region, len(instances))
		}
	}
	var audit struct{ Violations []simcloud.Violation }
	send(t, http.MethodGet, told.Control+"/audit?final=true", "", http.StatusOK, &audit)
	if len(audit.Violations) > 0 {
		t.Errorf("the seed breaks invariants: %v", audit.Violations)
	}
	s.Close()
	if _, err := os.Stat(filepath.Join(dir, simulator.EndpointsFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("simulator.json after the end: %v, want it gone", err)
	}
}

func TestKilledInstanceIsReplaced(t *testing.T) {
	s := start(t, simulator.Options{Scale: 100, Capacity: 2, Clouds: []string{"aws"}})
	control := s.Endpoints().Control
	var instances []struct{ ID, Region, State string }
	send(t, http.MethodGet, control+"/instances", "", http.StatusOK, &instances)
	if len(instances) != 4 {
		t.Fatalf("instances = %+v, want 4", instances)
	}
	victim := instances[0]
	var killed struct{ State string }
	send(t, http.MethodPost, control+"/instances/"+victim.ID+"/kill", "", http.StatusOK, &killed)
	if killed.State != string(simcloud.StateTerminated) {
		t.Errorf("state = %s, want terminated", killed.State)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := s.World.Log.Await(ctx, s.Seeded(), func(e simcloud.Event) bool {
		return e.Kind == simcloud.TargetStateChanged && e.State == string(simcloud.TargetHealthy) && e.Region == victim.Region
	})
	if err != nil {
		t.Errorf("no replacement became healthy: %v", err)
	}
}

// TestClockIsNotAhead: who looks at the seeded clouds finds nothing made in the future.
func TestClockIsNotAhead(t *testing.T) {
	s := start(t, simulator.Options{})
	shown := s.World.Clock.Now()
	if ahead := time.Until(shown); ahead > 0 || ahead < -time.Minute {
		t.Errorf("the clouds' clock is %s ahead", ahead)
	}
	ready := 0
	for _, group := range s.World.TargetGroups() {
		for _, target := range group.Health() {
			if target.State != simcloud.TargetHealthy {
				t.Errorf("target %+v of %s at the start", target, group.Config().Name)
			}
			ready++
		}
	}
	if ready == 0 {
		t.Error("the seed has no targets")
	}
}

func TestControlAPI(t *testing.T) {
	s := start(t, simulator.Options{Scale: 100, Capacity: 1})
	control := s.Endpoints().Control

	var before, after struct{ Now time.Time }
	send(t, http.MethodGet, control+"/clock", "", http.StatusOK, &before)
	send(t, http.MethodPost, control+"/clock/advance", `{"by":"1h"}`, http.StatusOK, &after)
	if after.Now.Sub(before.Now) < time.Hour {
		t.Errorf("the clock moved by %v, want an hour", after.Now.Sub(before.Now))
	}

	var fault struct{ ID string }
	send(t, http.MethodPost, control+"/faults",
		`{"match":{"action":"Create*","nth":2},"effect":{"kind":"slow","duration":"250ms"}}`, http.StatusCreated, &fault)
	if got := s.World.Faults.List(); len(got) != 1 || got[0].Effect.Duration != 250*time.Millisecond {
		t.Errorf("faults = %+v, want one of 250ms", got)
	}
	send(t, http.MethodDelete, control+"/faults/"+fault.ID, "", http.StatusNoContent, nil)
	send(t, http.MethodDelete, control+"/faults/"+fault.ID, "", http.StatusNotFound, nil)
	send(t, http.MethodDelete, control+"/faults", "", http.StatusNoContent, nil)

	var published []struct{ ID, Region string }
	send(t, http.MethodPost, control+"/images", `{"name":"storefront-3.0","bootDelay":"1s","errorRate":0.5}`, http.StatusCreated, &published)
	ids := map[string]bool{}
	for _, image := range published {
		ids[image.ID] = true
	}
	if len(published) != 3 || len(ids) != 3 {
		t.Errorf("published = %+v, want one for each region of AWS and one for Google Cloud, each with its own id", published)
	}

	send(t, http.MethodPost, control+"/audit/terminal", `{"deployment":"d1","state":"SUCCEEDED"}`, http.StatusCreated, nil)
	var log struct{ Events []simcloud.Event }
	send(t, http.MethodGet, control+"/log?limit=5000", "", http.StatusOK, &log)
	ended := false
	for _, e := range log.Events {
		ended = ended || e.Kind == simcloud.DeploymentEnded && e.Deployment == "d1"
	}
	if !ended {
		t.Error("the log does not tell the end of the deployment")
	}

	var state struct {
		LoadBalancers []struct{ Listeners []simcloud.ListenerState }
		TargetGroups  []struct{ Targets []simcloud.TargetHealth }
	}
	send(t, http.MethodGet, control+"/state", "", http.StatusOK, &state)
	if len(state.LoadBalancers) != 6 || len(state.TargetGroups) != 6 || len(state.LoadBalancers[0].Listeners[0].Effective) != 4 {
		t.Errorf("state = %+v, want six load balancers with four workers and six target groups", state)
	}
	send(t, http.MethodPost, control+"/heartbeat", "", http.StatusNoContent, nil)
}

func TestControlAPINamesWhatIsWrong(t *testing.T) {
	s := start(t, simulator.Options{Scale: 100, Capacity: 1})
	control := s.Endpoints().Control
	for _, test := range []struct {
		method, path, body string
		status             int
		message            string
	}{
		{http.MethodPost, "/faults", `{"effect":{"kind":"meteor"}}`, 400, "effect.kind"},
		{http.MethodPost, "/faults", `{"effect":{"kind":"slow","duration":3}}`, 400, "a duration must be a string"},
		{http.MethodPost, "/faults", `{"match":{"probability":"high"},"effect":{"kind":"hang"}}`, 400, "match.probability"},
		{http.MethodPost, "/faults", `{"effekt":{}}`, 400, "effekt"},
		{http.MethodPost, "/faults", `{`, 400, "body"},
		{http.MethodPost, "/images", `{"errorRate":2,"name":"x"}`, 400, "errorRate"},
		{http.MethodPost, "/images", `{}`, 400, "name"},
		{http.MethodPost, "/clock/advance", `{"by":"soon"}`, 400, "soon"},
		{http.MethodPost, "/clock/advance", `{}`, 400, "by"},
		{http.MethodGet, "/log?after=x", ``, 400, "after"},
		{http.MethodGet, "/log?wait=x", ``, 400, "wait"},
		{http.MethodPost, "/audit/terminal", `{}`, 400, "deployment"},
		{http.MethodPost, "/audit", `{"floors":3}`, 400, "floors"},
		{http.MethodPost, "/instances/i-0/kill", ``, 404, "i-0"},
	} {
		var problem struct{ Message string }
		send(t, test.method, control+test.path, test.body, test.status, &problem)
		if !strings.Contains(problem.Message, test.message) {
			t.Errorf("%s %s %s: %q does not name %q", test.method, test.path, test.body, problem.Message, test.message)
		}
	}
}

func TestControlAPIRefusesWebPages(t *testing.T) {
	s := start(t, simulator.Options{Scale: 100, Capacity: 1})
	for name, spoil := range map[string]func(*http.Request){
		"of another origin":  func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"by another address": func(r *http.Request) { r.Host = "evil.example" },
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Endpoints().Control+"/stop", nil)
		if err != nil {
			t.Fatal(err)
		}
		spoil(request)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusForbidden {
			t.Errorf("a page %s got %d, want 403", name, response.StatusCode)
		}
	}
}

func TestRunEndsWhenAskedAndExcludesOthers(t *testing.T) {
	dir := t.TempDir()
	var logged bytes.Buffer
	options := simulator.Options{Dir: dir, Scale: 100, Capacity: 1, Logger: slog.New(slog.NewTextHandler(&logged, nil))}
	done := make(chan error, 1)
	go func() { done <- simulator.Run(t.Context(), options) }()
	endpoints := awaitEndpoints(t, dir)
	if err := simulator.Run(t.Context(), options); !errors.Is(err, simulator.ErrRunning) {
		t.Errorf("a second Run = %v, want ErrRunning", err)
	}
	send(t, http.MethodPost, endpoints.Control+"/stop", "", http.StatusAccepted, nil)
	http.DefaultClient.CloseIdleConnections()
	if err := <-done; err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	if !strings.Contains(logged.String(), "asked to stop") {
		t.Errorf("log = %s, want the reason of the end", &logged)
	}
}

func TestRunEndsWithoutHeartbeat(t *testing.T) {
	dir := t.TempDir()
	err := simulator.Run(t.Context(), simulator.Options{Dir: dir, Scale: 100, Capacity: 1, IdleTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

func TestStartNeedsItsFolder(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	if _, err := simulator.Start(t.Context(), simulator.Options{Dir: missing, Scale: 100, Capacity: 1}); err == nil {
		t.Error("Start in a folder that does not exist succeeded")
	}
	if err := simulator.Run(t.Context(), simulator.Options{Dir: missing}); err == nil {
		t.Error("Run in a folder that does not exist succeeded")
	}
}

func awaitEndpoints(t *testing.T, dir string) simulator.Endpoints {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		var endpoints simulator.Endpoints
		if data, err := os.ReadFile(filepath.Join(dir, simulator.EndpointsFile)); err == nil {
			if err := json.Unmarshal(data, &endpoints); err != nil {
				t.Fatal(err)
			}
			return endpoints
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("simulator.json does not come")
		}
	}
}
