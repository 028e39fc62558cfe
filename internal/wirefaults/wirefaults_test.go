package wirefaults

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
	"github.com/slipway-cd/slipway/internal/loadgen"
	"github.com/slipway-cd/slipway/providers"
	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/simulator"
)

const (
	// scale makes a health check's 5 s pass in 250 ms.
	scale = 20
	// propagation is the most that a weight takes to reach every proxy, settle
	// what is waited for it. It takes longer than a look, so that who does not wait
	// is found out. The difference is 300 ms of real time: on a busy machine timers
	// are late.
	propagation = 16 * time.Second
	settle      = 22 * time.Second
	// boot plus up to as much again is how long a machine takes to start: longer
	// than a look too.
	boot = 12 * time.Second
	// drain is longer than what a rollback waits for and does before it destroys.
	drain = 40 * time.Second
	// metricDelay is longer than the simulated sources of metrics need.
	metricDelay = 10 * time.Second
	loadRate    = 50
	// realTime bounds one schedule.
	realTime = 3 * time.Minute
)

// TestFaultSchedulesOverTheWire carries out rolling deployments of random
// strategies and sizes under random faults, on each target kind in turn. A few
// schedules run always; SLIPWAY_SCHEDULES is another number, SLIPWAY_SEED the seed
// of the first, and SLIPWAY_KIND the only kind.
func TestFaultSchedulesOverTheWire(t *testing.T) {
	places := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	var total totals
	for _, s := range drawn(t) {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			t.Run(fmt.Sprintf("%s,seed=%d", s.kind.name, s.seed), func(t *testing.T) { total.add(s.kind, carryOut(t, s)) })
		})
	}
	all.Wait()
	for _, line := range total.lines() {
		t.Log(line)
	}
}

// drawn are the schedules that are asked for.
func drawn(t *testing.T) []schedule {
	t.Helper()
	only := os.Getenv("SLIPWAY_KIND")
	if only != "" && !slices.ContainsFunc(kinds(), func(k kind) bool { return k.name == only }) {
		t.Fatalf("SLIPWAY_KIND=%q is no target kind", only)
	}
	var out []schedule
	for seed, n := int64(number(t, "SLIPWAY_SEED", 1)), number(t, "SLIPWAY_SCHEDULES", schedules); len(out) < n; seed++ {
		if s := newSchedule(seed); only == "" || s.kind.name == only {
			out = append(out, s)
		}
	}
	return out
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is not a number from 1", name, text)
	}
	return n
}

// trial is one schedule being carried out.
type trial struct {
	*testing.T
	schedule
	driver *driver
	sim    *simulator.Simulator
	// since is the last event before the deployment.
	since  int64
	wire   *lossy
	random *rand.Rand
	// rollbackAfter is the last event before the rollback began; 0 without one.
	rollbackAfter int64
	// canceledIn is the phase in which a cancel had its effect; empty without one.
	canceledIn rollout.Phase
	killed     int
}

// result is what a schedule adds to the totals.
type result struct {
	status delivery.DeploymentStatus
	looks  int
	wire   wireStats
	load   loadgen.Result
	judged bool // the load's failures count
	took   time.Duration
	cancel bool
	killed int
}

// carryOut runs one schedule and judges it.
func carryOut(t *testing.T, s schedule) result {
	began := time.Now()
	x := newTrial(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), realTime)
	defer cancel()
	before := x.truth(ctx)
	load, err := loadgen.Start(ctx, loadgen.Config{URL: s.kind.cloud.entrance(x.sim, s.kind.loadBalancer, s.kind.region), Rate: loadRate})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range s.faults() {
		x.control(http.MethodPost, "/faults", faultJSON(f))
	}
	outcome, err := x.driver.run(ctx)
	x.control(http.MethodDelete, "/faults", nil)
	traffic := load.Stop()
	if err != nil {
		x.Errorf("not carried out: %v", err)
	} else {
		x.control(http.MethodPost, "/audit/terminal", map[string]string{"deployment": string(x.driver.state.Input.Deployment), "state": string(outcome.Status)})
		x.judge(ctx, outcome, before)
	}
	if len(s.killAt) == 0 && traffic.Failed > 0 {
		x.Errorf("%s, the first: %+v", traffic, traffic.Failures[0])
	}
	if t.Failed() {
		t.Logf("run it again, on %s: SLIPWAY_SEED=%d SLIPWAY_SCHEDULES=1\n%s\n%v\n%s", s.kind.name, s.seed, s, outcome, strings.Join(x.driver.trace, "\n"))
	}
	return result{status: outcome.Status, looks: x.driver.looks, wire: x.wire.counted(), load: traffic,
		judged: len(s.killAt) == 0, took: time.Since(began), cancel: x.canceledIn != "", killed: x.killed}
}

func newTrial(t *testing.T, s schedule) *trial {
	t.Helper()
	options := simulator.Options{Scale: scale, Seed: s.seed, Capacity: s.old, Clouds: []string{s.kind.cloud.name}, PropagationMax: propagation, Drain: drain,
		BootDelay: boot, BootJitter: boot, Logger: slog.New(slog.DiscardHandler)}
	options.Cloud.PageSize, options.Google.PageSize = s.pageSize, s.pageSize
	sim, err := simulator.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	x := &trial{T: t, schedule: s, sim: sim, since: sim.Seeded(), wire: newLossy(s.kind.cloud.api(sim), s), random: rand.New(rand.NewPCG(uint64(s.seed), 0xdead))}
	endpoint := httptest.NewServer(x.wire)
	t.Cleanup(endpoint.Close)
	endpoint.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	x.driver = &driver{schedule: s, clock: sim.World.Clock, target: x.open(endpoint.URL), wanted: parse(t, s),
		random: rand.New(rand.NewPCG(uint64(s.seed), 0x2)), beforeLook: x.happen, onPhase: x.entered}
	return x
}

// open returns the target of the cluster as the product makes it.
func (x *trial) open(endpoint string) delivery.Target {
	x.Helper()
	target, err := x.registry(endpoint).Target(parse(x.T, x.schedule).want.Cluster)
	if err != nil {
		x.Fatal(err)
	}
	return target
}

func (x *trial) registry(endpoint string) *providers.Registry {
	x.Helper()
	account := x.kind.account
	account.Regions, account.Endpoint, account.Settle, account.Drain = []string{x.kind.region}, endpoint, settle, drain
	account.CallsPerSecond, account.Burst = 10_000, 10_000 // of real time
	account.MetricDelay = metricDelay
	if account.Project != "" {
		account.MonitoringEndpoint = x.sim.Endpoints().GCP.GRPC
	}
	registry, err := providers.Open(x.Context(), []providers.AccountConfig{account})
	if err != nil {
		x.Fatal(err)
	}
	return registry
}

// happen does what the schedule has for a look.
func (x *trial) happen(look int) error {
	if look == x.cancelAt {
		x.cancel()
	}
	for _, at := range x.killAt {
		if at == look {
			x.kill()
		}
	}
	return nil
}

// cancel cancels the deployment as it stands.
func (x *trial) cancel() {
	d := x.driver
	was := d.state
	d.state = d.state.Cancel(delivery.Principal{Name: "joe"}, "a test")
	if d.state.CancelRequested && !was.CancelRequested || was.Phase == rollout.Cleaning {
		x.canceledIn = was.Phase
		if was.Phase == rollout.Operating && !was.Changing {
			x.canceledIn = rollout.Preparing // nothing was written
		}
		d.note("canceled while %s", was.Phase)
	}
}

// entered notes where the rollback began: from there on both server groups may
// have their full size.
func (x *trial) entered(_, to rollout.Phase) {
	if to == rollout.RollingBack && x.rollbackAfter == 0 {
		x.rollbackAfter = x.sim.World.Log.Last()
	}
}

// kill ends a machine. It takes none of the last two that serve in a server
// group: no deployment could keep a group alive that loses all it has.
func (x *trial) kill() {
	var victims []string
	for _, g := range x.sim.World.TargetGroups() {
		var healthy []string
		for _, h := range g.Health() {
			machine, ok := x.sim.World.Fleet.Instance(h.Instance)
			if ok && x.kind.owns(machine.Launched()) && h.State == simcloud.TargetHealthy {
				healthy = append(healthy, h.Instance)
			}
		}
		if len(healthy) > 2 {
			victims = append(victims, healthy...)
		}
	}
	if len(victims) == 0 {
		return
	}
	victim := victims[x.random.IntN(len(victims))]
	x.control(http.MethodPost, "/instances/"+victim+"/kill", nil)
	x.driver.note("killed %s", victim)
	x.killed++
}

// truth observes the cluster without faults.
func (x *trial) truth(ctx context.Context) delivery.Snapshot {
	x.Helper()
	seen, err := x.open(x.kind.cloud.endpoint(x.sim)).Observe(ctx, x.driver.want.Cluster, x.kind.loadBalancer)
	if err != nil {
		x.Fatalf("observe the truth: %v", err)
	}
	return seen
}
