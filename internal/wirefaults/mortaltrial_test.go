package wirefaults

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
	"github.com/slipway-cd/slipway/simcloud/aws"
	"github.com/slipway-cd/slipway/simcloud/simulator"
	"github.com/slipway-cd/slipway/store"
)

// brokenVersion is what the image calls itself that fails a tenth of its requests.
const brokenVersion = "2.0-broken"

// restart is how long it takes until another process goes on.
const restart = 3 * time.Second

// keeper is the store of all deployments of a test.
type keeper struct {
	*store.Store
	runs atomic.Int64
}

func newKeeper(t *testing.T) *keeper {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "slipway.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &keeper{Store: s}
}

// newExecution records the execution of a deployment.
func (k *keeper) newExecution(ctx context.Context, seed int64) (delivery.ExecutionID, error) {
	e := delivery.Execution{ID: executionOf(seed), Type: delivery.PipelineExecution, Application: "storefront", Status: delivery.StatusRunning, Version: 1}
	_, _, err := k.CreateExecution(ctx, delivery.NewExecution{Definition: json.RawMessage(`{}`), Execution: e})
	return e.ID, err
}

// mortalTrial is a deployment whose process may die.
type mortalTrial struct {
	trial
	trouble trouble
	kept    *keeper
	wire    *mortal
	time    *stepper
	// endpoint is the address of the wire.
	endpoint string
	version  int64
	events   int
}

func newMortalTrial(t *testing.T, c *enumeration, w trouble) *mortalTrial {
	t.Helper()
	s := c.schedule
	s.seed = c.kept.runs.Add(1) // names the deployment
	options := simulator.Options{Scale: -1, Seed: 1, Capacity: s.old, Clouds: []string{s.kind.cloud.name}, PropagationMax: propagation, Drain: drain,
		BootDelay: boot, BootJitter: time.Nanosecond, Logger: slog.New(slog.DiscardHandler)}
	options.Cloud.PageSize, options.Google.PageSize = s.pageSize, s.pageSize
	options.Cloud.Buckets = unlimited()
	sim, err := simulator.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	x := &mortalTrial{trial: trial{T: t, schedule: s, sim: sim, since: sim.Seeded()}, trouble: w, kept: c.kept,
		wire: &mortal{cloud: s.kind.cloud, api: s.kind.cloud.api(sim), dieAt: w.dieAt, after: w.after},
		time: newStepper(sim.World, s.kind.cloud.entrance(sim, s.kind.loadBalancer, s.kind.region))}
	t.Cleanup(x.time.close)
	x.time.brokenVersion = brokenVersion
	endpoint := httptest.NewServer(x.wire)
	t.Cleanup(endpoint.Close)
	endpoint.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	x.endpoint = endpoint.URL
	x.driver = &driver{schedule: s, clock: x.time, wanted: parse(t, s), random: rand.New(rand.NewPCG(1, 2)), beforeLook: func(int) error { return nil }, onPhase: x.entered,
		fence: x.fence, number: x.number, records: x.records, record: x.record}
	if _, err = c.kept.newExecution(t.Context(), s.seed); err != nil {
		t.Fatal(err)
	}
	return x
}

// unlimited are request limits of AWS for a client whose time stands still.
func unlimited() map[string]aws.Bucket {
	out := map[string]aws.Bucket{}
	for name := range aws.DefaultBuckets() {
		out[name] = aws.Bucket{Rate: 1e6, Burst: 1e6}
	}
	return out
}

func (x *mortalTrial) execution() delivery.ExecutionID { return executionOf(x.seed) }

// run lets one process after the other carry the deployment on, until it has ended.
func (x *mortalTrial) run(ctx context.Context) (rollout.Outcome, error) {
	for {
		process := x.wire.process(ctx)
		registry := x.registry(x.endpoint)
		target, err := registry.Target(x.driver.want.Cluster)
		if err != nil {
			return rollout.Outcome{}, err
		}
		x.driver.target, x.driver.metrics = target, mortalMetrics{registry, x.wire}
		if err := x.remember(ctx); err != nil {
			return rollout.Outcome{}, err
		}
		outcome, err := x.driver.run(process)
		if process.Err() == nil || ctx.Err() != nil {
			return outcome, err
		}
		x.driver.note("died at %s (after its effect: %v)", x.wire.diedAt(), x.trouble.after)
		if err := x.time.Sleep(ctx, restart); err != nil {
			return outcome, err
		}
	}
}

// remember takes the deployment from the store as it was recorded last.
func (x *mortalTrial) remember(ctx context.Context) error {
	x.driver.state, x.driver.conflicts, x.version = rollout.State{}, 0, 0
	d, err := x.kept.Deployment(ctx, x.driver.deployment())
	if delivery.KindOf(err) == delivery.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	x.version = d.Version
	return json.Unmarshal(d.Detail, &x.driver.state)
}

// key is that of the cluster in the store, which many share.
func (x *mortalTrial) key() string {
	return fmt.Sprintf("%d/%s", x.seed, x.driver.want.Cluster.Key())
}

// fence takes the fence from the store.
func (x *mortalTrial) fence(ctx context.Context) (fence int64, err error) {
	err = x.wire.commit(ctx, "next fence", func(ctx context.Context) error {
		fence, err = x.kept.NextFence(ctx, x.key(), x.driver.deployment().WorkflowID())
		return err
	})
	return fence, err
}

// number takes the number of the server group from the store.
func (x *mortalTrial) number(ctx context.Context) (group string, err error) {
	d := x.driver
	seen, err := d.target.Observe(ctx, d.want.Cluster, d.want.Spec.LoadBalancer)
	if err != nil {
		return "", err
	}
	sequence := 0
	floor, taken := seen.Numbers()
	err = x.wire.commit(ctx, "allocate sequence", func(ctx context.Context) error {
		sequence, err = x.kept.AllocateSequence(ctx, x.key(), d.deployment(), floor, taken)
		return err
	})
	return d.want.Cluster.Moniker.ServerGroup(sequence), err
}

// records are those of the cluster's deployments.
func (x *mortalTrial) records(ctx context.Context) ([]delivery.Deployment, error) {
	return x.kept.ClusterDeployments(ctx, x.key(), rollout.MaxRecords)
}

// record commits the state with an event, and cancels at the event that is asked for.
func (x *mortalTrial) record(ctx context.Context, happened string) error {
	if err := x.save(ctx, happened); err != nil {
		return err
	}
	if x.events != x.trouble.cancelAt || x.canceledIn != "" {
		return nil
	}
	x.cancel()
	return x.save(ctx, "canceled")
}

func (x *mortalTrial) save(ctx context.Context, happened string) error {
	state := x.driver.state
	detail, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("marshal state: %w", err)
	}
	x.version++
	d := delivery.Deployment{ID: x.driver.deployment(), Execution: x.execution(), Stage: "1", Cluster: x.driver.want.Cluster,
		Status: state.Status(), ServerGroup: state.Input.Group, Version: x.version, Detail: detail}
	event := delivery.Event{Execution: d.Execution, Key: fmt.Sprintf("%s/%d", d.ID, d.Version), At: x.time.Now(), Type: delivery.EventDeployment, Data: json.RawMessage(`{}`)}
	err = x.wire.commit(ctx, "record "+happened, func(ctx context.Context) error {
		_, err := x.kept.RecordDeployment(ctx, d, []delivery.Event{event})
		return err
	})
	if err == nil {
		x.events++
	}
	return err
}
