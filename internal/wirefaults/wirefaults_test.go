package wirefaults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/rollout"
	"github.com/slipway-cd/slipway/internal/loadgen"
	"github.com/slipway-cd/slipway/providers"
	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/simulator"
)

const (
	region = "us-east-1"
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
	drain    = 40 * time.Second
	loadRate = 50
	// realTime bounds one schedule.
	realTime = 3 * time.Minute
)

// TestFaultSchedulesOverTheWire carries out rolling deployments of random
// strategies and sizes under random faults. A few schedules run always;
// SLIPWAY_SCHEDULES is another number, and SLIPWAY_SEED the seed of the first.
func TestFaultSchedulesOverTheWire(t *testing.T) {
	first, n := int64(number(t, "SLIPWAY_SEED", 1)), number(t, "SLIPWAY_SCHEDULES", schedules)
	places := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	var total totals
	for i := range n {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			s := newSchedule(first + int64(i))
			t.Run(fmt.Sprintf("seed=%d", s.seed), func(t *testing.T) { total.add(carryOut(t, s)) })
		})
	}
	all.Wait()
	t.Log(total.String())
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
	load, err := loadgen.Start(ctx, loadgen.Config{URL: x.sim.LoadBalancer(region), Rate: loadRate})
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
		t.Logf("run it again: SLIPWAY_SEED=%d SLIPWAY_SCHEDULES=1\n%s\n%v\n%s", s.seed, s, outcome, strings.Join(x.driver.trace, "\n"))
	}
	return result{status: outcome.Status, looks: x.driver.looks, wire: x.wire.counted(), load: traffic,
		judged: len(s.killAt) == 0, took: time.Since(began), cancel: x.canceledIn != "", killed: x.killed}
}

func newTrial(t *testing.T, s schedule) *trial {
	t.Helper()
	options := simulator.Options{Scale: scale, Seed: s.seed, Capacity: s.old, PropagationMax: propagation, Drain: drain,
		BootDelay: boot, BootJitter: boot, Logger: slog.New(slog.DiscardHandler)}
	options.Cloud.PageSize = s.pageSize
	sim, err := simulator.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	x := &trial{T: t, schedule: s, sim: sim, wire: newLossy(sim.AWS, s), random: rand.New(rand.NewPCG(uint64(s.seed), 0xdead))}
	endpoint := httptest.NewServer(x.wire)
	t.Cleanup(endpoint.Close)
	endpoint.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	x.driver = &driver{schedule: s, clock: sim.World.Clock, target: x.open(endpoint.URL), want: parse(t, s),
		random: rand.New(rand.NewPCG(uint64(s.seed), 0x2)), beforeLook: x.happen, onPhase: x.entered}
	return x
}

// open returns the target of the cluster as the product makes it.
func (x *trial) open(endpoint string) delivery.Target {
	x.Helper()
	registry, err := providers.Open(x.Context(), []providers.AccountConfig{{
		Name: simulator.Account, Provider: "aws", AccountID: simulator.AccountID, Regions: []string{region},
		Endpoint: endpoint, AccessKeyID: simulator.AccessKey, SecretAccessKey: "simulated",
		Settle: settle, DeregistrationDelay: drain, Drain: drain, CallsPerSecond: 200, Burst: 400,
	}})
	if err != nil {
		x.Fatal(err)
	}
	target, err := registry.Target(parse(x.T, x.schedule).Cluster)
	if err != nil {
		x.Fatal(err)
	}
	return target
}

func parse(t *testing.T, s schedule) pipeline.DeployCluster {
	t.Helper()
	stage, err := pipeline.ParseDeploy(pipeline.DeployType, json.RawMessage(s.stage()))
	if err != nil {
		t.Fatal(err)
	}
	return stage.Clusters[0]
}

// happen does what the schedule has for a look.
func (x *trial) happen(look int) error {
	d := x.driver
	if look == x.cancelAt {
		was := d.state
		d.state = d.state.Cancel(delivery.Principal{Name: "joe"}, "a test")
		if d.state.CancelRequested && !was.CancelRequested || was.Phase == rollout.Cleaning {
			x.canceledIn = was.Phase
			d.note("canceled while %s", was.Phase)
		}
	}
	for _, at := range x.killAt {
		if at == look {
			x.kill()
		}
	}
	return nil
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
		if g.Config().Region != region {
			continue
		}
		var healthy []string
		for _, h := range g.Health() {
			if h.State == simcloud.TargetHealthy {
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
	seen, err := x.open(x.sim.Endpoints().AWS).Observe(ctx, x.driver.want.Cluster, simulator.LoadBalancer)
	if err != nil {
		x.Fatalf("observe the truth: %v", err)
	}
	return seen
}

// control makes a call of the simulator's control API.
func (x *trial) control(method, path string, body any) {
	x.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		x.Fatal(err)
	}
	if body == nil {
		data = nil
	}
	request, err := http.NewRequestWithContext(x.Context(), method, x.sim.Endpoints().Control+path, bytes.NewReader(data))
	if err != nil {
		x.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		x.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		text, _ := io.ReadAll(answer.Body)
		x.Fatalf("%s %s: %s %s", method, path, answer.Status, text)
	}
}

// faultBody is a fault as the control API reads it: durations are strings.
type faultBody struct {
	ID     string         `json:"id,omitempty"`
	Match  simcloud.Match `json:"match"`
	Effect effectBody     `json:"effect"`
	Times  int            `json:"times,omitempty"`
}

type effectBody struct {
	Kind     simcloud.EffectKind `json:"kind"`
	Status   int                 `json:"status,omitempty"`
	Duration string              `json:"duration,omitempty"`
	Reads    int                 `json:"reads,omitempty"`
}

func faultJSON(f simcloud.Fault) faultBody {
	out := faultBody{ID: f.ID, Match: f.Match, Times: f.Times,
		Effect: effectBody{Kind: f.Effect.Kind, Status: f.Effect.Status, Reads: f.Effect.Reads}}
	if f.Effect.Duration > 0 {
		out.Effect.Duration = f.Effect.Duration.String()
	}
	return out
}
