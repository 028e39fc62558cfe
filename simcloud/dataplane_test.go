package simcloud_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/simcloud"
)

// site is a world with one load balancer to test on.
type site struct {
	*simcloud.World
	t      *testing.T
	lb     *simcloud.LoadBalancer
	url    string
	client *http.Client
	serial int
}

func newSite(t *testing.T, options simcloud.WorldOptions) *site {
	t.Helper()
	return newSiteWith(t, options, 10*time.Second)
}

// newSiteWith is newSite with the real time after which the load balancer gives a target up.
func newSiteWith(t *testing.T, options simcloud.WorldOptions, timeout time.Duration) *site {
	t.Helper()
	world := simcloud.NewWorld(options)
	lb := simcloud.NewLoadBalancer(world, simcloud.LoadBalancerConfig{ID: "lb", Name: "front", Timeout: timeout})
	url, err := lb.Listen(80)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		world.Close()
	})
	return &site{World: world, t: t, lb: lb, url: url, client: &http.Client{Transport: transport}}
}

func (s *site) group(id string) *simcloud.TargetGroup {
	return simcloud.NewTargetGroup(s.World, simcloud.TargetGroupConfig{
		ID: id, Name: id, RegistrationDelay: time.Second, DeregistrationDelay: 30 * time.Second,
		HealthCheck: simcloud.HealthCheck{Path: "/healthz", Interval: 5 * time.Second, Timeout: 2 * time.Second, HealthyThreshold: 2, UnhealthyThreshold: 2},
	})
}

func (s *site) launch(image simcloud.Image, groups ...*simcloud.TargetGroup) *simcloud.Instance {
	s.t.Helper()
	s.serial++
	i, err := s.Fleet.Launch(simcloud.Launch{ID: fmt.Sprintf("i-%d", s.serial), Image: image})
	if err != nil {
		s.t.Fatal(err)
	}
	s.await(func(e simcloud.Event) bool { return e.Resource == i.ID() && e.State == "running" })
	for _, g := range groups {
		g.Register(i)
	}
	return i
}

func (s *site) route(weights map[*simcloud.TargetGroup]int) {
	s.t.Helper()
	rule := simcloud.Rule{ID: "default", Priority: 1000}
	for g, w := range weights {
		rule.Forward = append(rule.Forward, simcloud.Destination{TargetGroup: g, Weight: w})
	}
	if err := s.lb.SetRules(80, []simcloud.Rule{rule}); err != nil {
		s.t.Fatal(err)
	}
}

// await waits for an event since the beginning.
func (s *site) await(match func(simcloud.Event) bool) simcloud.Event {
	s.t.Helper()
	return s.awaitAfter(0, match)
}

func (s *site) awaitAfter(seq int64, match func(simcloud.Event) bool) simcloud.Event {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	e, err := s.Log.Await(ctx, seq, match)
	if err != nil {
		s.t.Fatalf("the awaited event did not come: %v", err)
	}
	return e
}

func (s *site) awaitTarget(seq int64, i *simcloud.Instance, state simcloud.TargetState, reason string) simcloud.Event {
	s.t.Helper()
	return s.awaitAfter(seq, func(e simcloud.Event) bool {
		return e.Kind == simcloud.TargetStateChanged && e.Instance == i.ID() && e.State == string(state) && e.Reason == reason
	})
}

func (s *site) get(path string, headers ...string) (int, string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := s.client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	var said struct{ Version string }
	_ = json.Unmarshal(body, &said)
	return response.StatusCode, said.Version
}

var fast = simcloud.WorldOptions{Scale: 100, Seed: 1}

func image(version string) simcloud.Image { return simcloud.Image{Name: version, Version: version} }

func TestTargetsAreCheckedOnlyWhenUsed(t *testing.T) {
	s := newSite(t, fast)
	g := s.group("blue")
	i := s.launch(image("1"), g)
	want := simcloud.TargetHealth{Instance: i.ID(), State: simcloud.TargetUnused, Reason: simcloud.ReasonNotInUse}
	s.Clock.Advance(time.Hour)
	if health := g.Health(); len(health) != 1 || health[0] != want {
		t.Fatalf("health = %+v, want %+v", health, want)
	}
	if status, _ := s.get("/"); status != http.StatusServiceUnavailable {
		t.Errorf("a listener without rules answered %d, want 503", status)
	}
	s.route(map[*simcloud.TargetGroup]int{g: 100})
	first := s.awaitTarget(0, i, simcloud.TargetInitial, simcloud.ReasonRegistrationInProgress)
	second := s.awaitTarget(first.Seq, i, simcloud.TargetInitial, simcloud.ReasonInitialHealthChecking)
	s.awaitTarget(second.Seq, i, simcloud.TargetHealthy, "")
	if status, version := s.get("/"); status != http.StatusOK || version != "1" {
		t.Errorf("answer = %d from version %q, want 200 from 1", status, version)
	}
	last := s.Log.Last()
	s.route(map[*simcloud.TargetGroup]int{})
	s.awaitTarget(last, i, simcloud.TargetUnused, simcloud.ReasonNotInUse)
	if g.InUse() {
		t.Error("the group is in use by nobody")
	}
}

func TestHealthFollowsTheProgram(t *testing.T) {
	s := newSite(t, fast)
	g := s.group("blue")
	s.route(map[*simcloud.TargetGroup]int{g: 100})
	i := s.launch(image("1"), g)
	healthy := s.awaitTarget(0, i, simcloud.TargetHealthy, "")
	no, yes := false, true
	i.SetHealthy(&no)
	unhealthy := s.awaitTarget(healthy.Seq, i, simcloud.TargetUnhealthy, simcloud.ReasonResponseCodeMismatch)
	i.SetHealthy(&yes)
	healthy = s.awaitTarget(unhealthy.Seq, i, simcloud.TargetHealthy, "")
	i.Crash()
	crashed := s.awaitTarget(healthy.Seq, i, simcloud.TargetUnhealthy, simcloud.ReasonFailedHealthChecks)
	i.Kill("killed")
	s.awaitTarget(crashed.Seq, i, simcloud.TargetUnused, simcloud.ReasonInvalidState)
	if i.State() != simcloud.StateTerminated {
		t.Errorf("state = %s, want terminated", i.State())
	}
	sick := s.launch(simcloud.Image{Name: "crash", NeverHealthy: true}, g)
	s.awaitTarget(0, sick, simcloud.TargetUnhealthy, simcloud.ReasonResponseCodeMismatch)
}

func TestWeightsSplitTraffic(t *testing.T) {
	s := newSite(t, fast)
	blue, green := s.group("blue"), s.group("green")
	s.route(map[*simcloud.TargetGroup]int{blue: 80, green: 20})
	for _, i := range []*simcloud.Instance{s.launch(image("1"), blue), s.launch(image("2"), green)} {
		s.awaitTarget(0, i, simcloud.TargetHealthy, "")
	}
	count := map[string]int{}
	for range 1000 {
		_, version := s.get("/")
		count[version]++
	}
	if count["2"] < 140 || count["2"] > 260 || count["1"]+count["2"] != 1000 {
		t.Errorf("requests by version = %v, want about 800 and 200", count)
	}
	now := s.Clock.Now()
	requests := 0
	for _, m := range green.Metrics(now.Add(-time.Hour), now.Add(time.Minute)) {
		requests += m.Requests
		if m.Target2XX != len(m.ResponseTimes) || m.ELB5XX != 0 {
			t.Errorf("metrics = %+v, want a sample for each answer and no error", m)
		}
	}
	if requests != count["2"] {
		t.Errorf("RequestCount of green = %d, want %d", requests, count["2"])
	}
}

func TestWorkersLearnOneByOne(t *testing.T) {
	s := newSite(t, simcloud.WorldOptions{Seed: 3, PropagationMin: time.Second, PropagationMax: time.Minute, Workers: 4})
	fixed := func(body string) []simcloud.Rule {
		return []simcloud.Rule{{ID: "default", Fixed: &simcloud.FixedResponse{Status: 200, Body: `{"version":"` + body + `"}`}}}
	}
	views := func() map[string]int {
		count := map[string]int{}
		for range 4 {
			_, version := s.get("/")
			count[version]++
		}
		return count
	}
	for _, version := range []string{"old", "new"} {
		if err := s.lb.SetRules(80, fixed(version)); err != nil {
			t.Fatal(err)
		}
	}
	if got := views(); got["old"] != 4 {
		t.Errorf("right after the write workers see %v, want all old", got)
	}
	mixed, before := false, 0
	for range 60 {
		s.Clock.Advance(time.Second)
		got := views()
		if got["new"] < before {
			t.Errorf("a worker went back to the old rules: %v after %d", got, before)
		}
		before = got["new"]
		mixed = mixed || before > 0 && before < 4
	}
	if before != 4 || !mixed {
		t.Errorf("after the longest delay %d workers are new (mixed seen: %v), want all after a mixture", before, mixed)
	}
}

func TestWeightChangesAreLogged(t *testing.T) {
	s := newSite(t, simcloud.WorldOptions{PropagationMin: time.Second, PropagationMax: time.Second, Workers: 2})
	g := s.group("blue")
	s.route(map[*simcloud.TargetGroup]int{g: 100})
	before := s.Log.Last()
	s.route(map[*simcloud.TargetGroup]int{g: 50})
	s.route(map[*simcloud.TargetGroup]int{g: 50}) // no change, nothing to log
	s.Clock.Advance(time.Second)
	var kinds []simcloud.Kind
	for _, e := range s.Log.After(before, 0) {
		kinds = append(kinds, e.Kind)
		if e.Weights["blue"] != 50 || e.Resource != "default" {
			t.Errorf("event = %+v, want weight 50 of rule default", e)
		}
	}
	want := fmt.Sprint([]simcloud.Kind{simcloud.WeightsStored, simcloud.WeightsEffective, simcloud.WeightsEffective})
	if fmt.Sprint(kinds) != want {
		t.Errorf("events = %v, want %v", kinds, want)
	}
}

func TestPreviewsRouteUnseen(t *testing.T) {
	s := newSite(t, simcloud.WorldOptions{})
	old, dark := s.group("old"), s.group("dark")
	rules := []simcloud.Rule{
		{ID: "preview", Priority: 1, Preview: true, Conditions: []simcloud.Condition{{Field: simcloud.FieldHost, Values: []string{"dark.*"}}},
			Forward: []simcloud.Destination{{TargetGroup: dark, Weight: 100}}},
		{ID: "default", Priority: 1000, Forward: []simcloud.Destination{{TargetGroup: old, Weight: 100}}},
	}
	for range 2 { // there, and gone again
		if err := s.lb.SetRules(80, rules); err != nil {
			t.Fatal(err)
		}
		rules = rules[1:]
	}
	s.Clock.Advance(time.Minute)
	for _, e := range s.Log.Events() {
		if e.Resource == "preview" {
			t.Errorf("a preview is told of: %+v", e)
		}
	}
	if got := s.lb.Listeners()[0].Stored; len(got) != 1 || got["default"]["old"] != 100 {
		t.Errorf("stored are %v", got)
	}
	if dark.InUse() {
		t.Error("the group of the preview that is gone is in use")
	}
}

func TestRulesAreTriedByPriority(t *testing.T) {
	s := newSite(t, fast)
	answer := func(priority int, version string, conditions ...simcloud.Condition) simcloud.Rule {
		return simcloud.Rule{
			ID: version, Priority: priority, Conditions: conditions,
			Fixed: &simcloud.FixedResponse{Status: 200, Body: `{"version":"` + version + `"}`},
		}
	}
	err := s.lb.SetRules(80, []simcloud.Rule{
		answer(1000, "default"),
		answer(10, "header", simcloud.Condition{Field: simcloud.FieldHeader, Name: "X-Release", Values: []string{"can*y"}}),
		answer(20, "path", simcloud.Condition{Field: simcloud.FieldPath, Values: []string{"/api/?", "/v1/*"}}),
		answer(30, "query", simcloud.Condition{Field: simcloud.FieldQuery, Name: "preview", Values: []string{"yes"}},
			simcloud.Condition{Field: simcloud.FieldMethod, Values: []string{"GET"}}),
		answer(40, "host", simcloud.Condition{Field: simcloud.FieldHost, Values: []string{"*.example.com"}}),
		answer(50, "source", simcloud.Condition{Field: simcloud.FieldPath, Values: []string{"/local"}},
			simcloud.Condition{Field: simcloud.FieldSource, Values: []string{"127.0.0.0/8"}}),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		path    string
		headers []string
		want    string
	}{
		{"/", nil, "default"},
		{"/", []string{"x-release", "CANARY"}, "header"},
		{"/api/x", []string{"X-Release", "canary"}, "header"},
		{"/api/x", nil, "path"},
		{"/api/xy", nil, "default"},
		{"/v1/a/b", nil, "path"},
		{"/?preview=YES", nil, "query"},
		{"/?preview=no", nil, "default"},
		{"/local", nil, "source"},
	} {
		if _, version := s.get(test.path, test.headers...); version != test.want {
			t.Errorf("GET %s %v was answered by rule %q, want %q", test.path, test.headers, version, test.want)
		}
	}
}

func TestErrorsOfTheLoadBalancer(t *testing.T) {
	s := newSite(t, fast)
	g, other := s.group("blue"), s.group("green")
	s.awaitTarget(0, func() *simcloud.Instance {
		i := s.launch(image("1"), other)
		s.route(map[*simcloud.TargetGroup]int{g: 1, other: 0})
		return i
	}(), simcloud.TargetHealthy, "")
	if status, _ := s.get("/"); status != http.StatusServiceUnavailable {
		t.Errorf("an empty group answered %d, want 503: there is no failover", status)
	}
	dead := s.launch(image("1"), g)
	s.awaitTarget(0, dead, simcloud.TargetHealthy, "")
	dead.Crash()
	if status, _ := s.get("/"); status != http.StatusBadGateway {
		t.Errorf("a crashed target answered %d, want 502", status)
	}
	broken := s.launch(simcloud.Image{Name: "broken", ErrorRate: 1}, other)
	s.awaitTarget(0, broken, simcloud.TargetHealthy, "")
	s.route(map[*simcloud.TargetGroup]int{other: 1})
	s.await(func(e simcloud.Event) bool { return e.Kind == simcloud.WeightsEffective && e.Weights["green"] == 1 })
	statuses := map[int]bool{}
	for range 8 {
		status, _ := s.get("/")
		statuses[status] = true
	}
	if !statuses[200] || !statuses[500] {
		t.Errorf("statuses = %v, want 200 and 500", statuses)
	}
}

func TestTargetThatDoesNotAnswer(t *testing.T) {
	s := newSiteWith(t, fast, 200*time.Millisecond)
	g := s.group("blue")
	s.route(map[*simcloud.TargetGroup]int{g: 1})
	slow := s.launch(simcloud.Image{Name: "slow", Latency: time.Minute}, g)
	s.awaitTarget(0, slow, simcloud.TargetHealthy, "")
	if status, _ := s.get("/"); status != http.StatusGatewayTimeout {
		t.Errorf("a target that does not answer gave %d, want 504", status)
	}
}

func TestFailsOpenWhenAllAreUnhealthy(t *testing.T) {
	s := newSite(t, fast)
	g := s.group("blue")
	s.route(map[*simcloud.TargetGroup]int{g: 100})
	i := s.launch(simcloud.Image{Name: "sick", NeverHealthy: true}, g)
	s.awaitTarget(0, i, simcloud.TargetUnhealthy, simcloud.ReasonResponseCodeMismatch)
	if status, _ := s.get("/"); status != http.StatusOK {
		t.Errorf("answer = %d, want 200: the group fails open", status)
	}
	s.await(func(e simcloud.Event) bool { return e.Kind == simcloud.RoutedUnhealthy && e.Resource == "blue" })
}

func TestDrainingFinishesRequests(t *testing.T) {
	s := newSite(t, simcloud.WorldOptions{Scale: 100})
	g := s.group("blue")
	g.SetConfig(simcloud.TargetGroupConfig{HealthCheck: g.Config().HealthCheck, DeregistrationDelay: time.Hour})
	s.route(map[*simcloud.TargetGroup]int{g: 100})
	i := s.launch(simcloud.Image{Name: "slow", Latency: time.Second}, g)
	s.awaitTarget(0, i, simcloud.TargetHealthy, "")
	answered := make(chan int)
	go func() {
		status, _ := s.get("/")
		answered <- status
	}()
	eventually(t, func() bool { return i.Requests() == 1 })
	if !g.Deregister(i.ID()) || g.Drained(i.ID()) {
		t.Error("the target is drained with a request in flight")
	}
	if status, _ := s.get("/"); status != http.StatusServiceUnavailable {
		t.Errorf("a new request to a draining target got %d, want 503", status)
	}
	if status := <-answered; status != http.StatusOK {
		t.Errorf("the request in flight got %d, want 200", status)
	}
	eventually(t, func() bool { return g.Drained(i.ID()) })
	want := simcloud.TargetHealth{Instance: i.ID(), State: simcloud.TargetDraining, Reason: simcloud.ReasonDeregistrationInProgress}
	if health := g.Health(); len(health) != 1 || health[0] != want {
		t.Errorf("health = %+v, want %+v until the delay is over", health, want)
	}
	s.Clock.Advance(time.Hour)
	if health := g.Health(); len(health) != 0 {
		t.Errorf("health = %+v, want nothing after the delay", health)
	}
}

func TestDeregistrationDelayCutsRequests(t *testing.T) {
	world := simcloud.WorldOptions{Scale: 100}
	s := newSite(t, world)
	lb := simcloud.NewLoadBalancer(s.World, simcloud.LoadBalancerConfig{ID: "patient", Name: "patient"})
	s.lb = lb
	url, err := lb.Listen(80)
	if err != nil {
		t.Fatal(err)
	}
	s.url = url
	g := s.group("blue")
	s.route(map[*simcloud.TargetGroup]int{g: 100})
	i := s.launch(simcloud.Image{Name: "stuck", Latency: time.Hour}, g)
	s.awaitTarget(0, i, simcloud.TargetHealthy, "")
	answered := make(chan int)
	go func() {
		status, _ := s.get("/")
		answered <- status
	}()
	eventually(t, func() bool { return i.Requests() == 1 })
	g.Deregister(i.ID())
	s.Clock.Advance(time.Hour)
	if status := <-answered; status != http.StatusBadGateway {
		t.Errorf("the request got %d, want 502 when the delay is over", status)
	}
}

// TestReplacingInstancesFailsNoRequest takes instances out and puts others in under load, in the order that an Auto
// Scaling group does it.
func TestReplacingInstancesFailsNoRequest(t *testing.T) {
	s := newSite(t, fast)
	g := s.group("blue")
	s.route(map[*simcloud.TargetGroup]int{g: 100})
	var serving []*simcloud.Instance
	for range 3 {
		serving = append(serving, s.launch(simcloud.Image{Name: "1", Latency: 2 * time.Millisecond}, g))
	}
	for _, i := range serving {
		s.awaitTarget(0, i, simcloud.TargetHealthy, "")
	}
	var sent, failed atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if status, _ := s.get("/"); status != http.StatusOK {
					failed.Add(1)
				}
				sent.Add(1)
			}
		})
	}
	for round := range 9 {
		i := s.launch(simcloud.Image{Name: "2", Latency: 2 * time.Millisecond}, g)
		s.awaitTarget(0, i, simcloud.TargetHealthy, "")
		old := serving[round]
		serving = append(serving, i)
		g.Deregister(old.ID())
		eventually(t, func() bool { return g.Drained(old.ID()) })
		old.Stop("scaled in")
		s.await(func(e simcloud.Event) bool {
			return e.Resource == old.ID() && e.State == string(simcloud.StateTerminated)
		})
	}
	close(stop)
	clients.Wait()
	if failed.Load() > 0 || sent.Load() < 100 {
		t.Errorf("%d of %d requests failed, want none of at least 100", failed.Load(), sent.Load())
	}
}

func TestStopDoesNotWaitForUnusedConnections(t *testing.T) {
	s := newSite(t, fast)
	i := s.launch(image("1"))
	connection, err := net.Dial("tcp", i.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	response, err := s.client.Get("http://" + i.Address()) // once it is answered, the first connection was accepted too
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	began := time.Now()
	i.Stop("scaled in")
	s.await(func(e simcloud.Event) bool {
		return e.Resource == i.ID() && e.State == string(simcloud.StateTerminated)
	})
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("stopping took %v, want no wait for a connection without a request", took)
	}
}

// eventually waits for a condition that has no event, such as a request in flight.
func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the condition does not come true")
		}
	}
}

// TestQuiet: once the world is quiet, the health checks that were due have had their
// say, and those of a group that nobody checks any more are not waited for.
func TestQuiet(t *testing.T) {
	s := newSite(t, simcloud.WorldOptions{})
	quiet := func() {
		t.Helper()
		for deadline := time.Now().Add(5 * time.Second); !s.Quiet(); {
			if time.Now().After(deadline) {
				t.Fatal("the world is never quiet")
			}
			time.Sleep(100 * time.Microsecond)
		}
	}
	g := s.group("tg")
	s.route(map[*simcloud.TargetGroup]int{g: 1})
	i, err := s.Fleet.Launch(simcloud.Launch{ID: "i-1"})
	if err != nil {
		t.Fatal(err)
	}
	s.Clock.Advance(time.Second)
	g.Register(i)
	quiet()
	s.Clock.Advance(time.Second) // the registration's delay
	quiet()
	if h := g.Health(); len(h) != 1 || h[0].State != simcloud.TargetHealthy {
		t.Errorf("after the first check: %+v", h)
	}
	i.Crash()
	for range 2 {
		s.Clock.Advance(5 * time.Second)
		quiet()
	}
	if h := g.Health(); h[0].State != simcloud.TargetUnhealthy {
		t.Errorf("after two checks of a dead instance: %+v", h)
	}
	g.Close()
	quiet()
}
