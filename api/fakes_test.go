package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// memoryEngine obeys orders at once.
type memoryEngine struct {
	store *memory
	// moves are those that were made; refusal, when it is set, is of all.
	moves   []string
	refusal error
	// abandoned are executions whose workflows ended without a word.
	abandoned []delivery.ExecutionID
}

func (m *memoryEngine) Move(_ context.Context, id delivery.DeploymentID, move rollout.Move, override bool, by delivery.Principal, reason string) error {
	if m.refusal != nil {
		return m.refusal
	}
	line := fmt.Sprintf("%s %s by %s: %s", move, id, by.Name, reason)
	if override {
		line += ", override"
	}
	m.moves = append(m.moves, line)
	return nil
}

func (m *memoryEngine) Judge(_ context.Context, id delivery.DeploymentID, a delivery.JudgmentAnswer) error {
	if m.refusal != nil {
		return m.refusal
	}
	m.moves = append(m.moves, fmt.Sprintf("%s %s of %s by %s: %s", a.Status, a.Gate, id, a.By.Name, a.Reason))
	return nil
}

// UpdateStage ends the stage as asked, once.
func (m *memoryEngine) UpdateStage(_ context.Context, id delivery.ExecutionID, c pipeline.StageCommand) error {
	if m.refusal != nil {
		return m.refusal
	}
	e, err := m.store.Execution(context.Background(), id)
	if err != nil {
		return err
	}
	if c.Action == pipeline.RestartStage {
		definition, err := pipeline.Parse(m.store.definition(id))
		if err != nil {
			return err
		}
		if e, err = pipeline.Reopen(definition, e, c.Stage, c.RestartReason()); err != nil {
			return err
		}
		m.store.change(id, func(was *delivery.Execution) { *was = e })
		return nil
	}
	if err := c.Action.Accepts(*e.Stage(c.Stage)); err != nil {
		return err
	}
	m.moves = append(m.moves, strings.TrimSpace(fmt.Sprintf("%s %s by %s %s %s", c.Action, c.Stage, c.By.Name, c.Status, c.Input)))
	m.store.change(id, func(e *delivery.Execution) {
		stage := e.Stage(c.Stage)
		stage.Status, stage.EndTime, stage.StatusReason = delivery.StatusSucceeded, start.Add(time.Minute), c.By.Name+" did it"
	})
	return nil
}

func (m *memoryEngine) order(id delivery.ExecutionID, next delivery.Status, apply func(e *delivery.Execution)) error {
	e, err := m.store.Execution(context.Background(), id)
	if err != nil {
		return err
	}
	if _, err := e.Status.Become(next); err != nil || e.Status == next {
		return delivery.Errorf(delivery.Conflict, "execution is %s", e.Status)
	}
	m.store.change(id, func(e *delivery.Execution) {
		e.Status = next
		apply(e)
	})
	return nil
}

func (m *memoryEngine) Cancel(_ context.Context, id delivery.ExecutionID, by delivery.Principal, reason string) error {
	if slices.Contains(m.abandoned, id) {
		return delivery.Errorf(delivery.Conflict, "execution %s has ended", id)
	}
	return m.order(id, delivery.StatusCanceled, func(e *delivery.Execution) {
		e.CanceledBy, e.CancellationReason, e.EndTime = by.Name, reason, start.Add(time.Minute)
	})
}

func (m *memoryEngine) Pause(_ context.Context, id delivery.ExecutionID, by delivery.Principal, reason string) error {
	return m.order(id, delivery.StatusPaused, func(e *delivery.Execution) {
		e.Paused = &delivery.Pause{PausedBy: by.Name, PausedAt: start, Reason: reason}
	})
}

func (m *memoryEngine) Resume(ctx context.Context, id delivery.ExecutionID, by delivery.Principal, reason string) error {
	if e, err := m.store.Execution(ctx, id); err == nil && e.Status != delivery.StatusPaused {
		return delivery.Errorf(delivery.Conflict, "execution is %s, not paused", e.Status)
	}
	return m.order(id, delivery.StatusRunning, func(e *delivery.Execution) {
		e.Paused.ResumedBy, e.Paused.ResumedAt, e.Paused.ResumeReason = by.Name, start.Add(time.Second), reason
	})
}

// Runs is false for executions that were abandoned.
func (m *memoryEngine) Runs(_ context.Context, id delivery.ExecutionID) (bool, error) {
	return !slices.Contains(m.abandoned, id), nil
}

// run lets an execution begin, with its first stage running.
func (m *memoryEngine) run(id delivery.ExecutionID) {
	m.store.change(id, func(e *delivery.Execution) {
		e.Status, e.StartTime = delivery.StatusRunning, start
		e.Stages[0].Status, e.Stages[0].StartTime = delivery.StatusRunning, start
	})
}

// end lets an execution end.
func (m *memoryEngine) end(id delivery.ExecutionID, status delivery.Status) {
	m.store.change(id, func(e *delivery.Execution) {
		e.Status, e.EndTime = status, start.Add(time.Minute)
		for i := range e.Stages {
			e.Stages[i].Status, e.Stages[i].StartTime, e.Stages[i].EndTime = status, start, start.Add(time.Minute)
		}
	})
}

// cloud is one account, aws-sim, with images and clusters.
type cloud struct {
	mu        sync.Mutex
	images    []string
	snapshots map[string]delivery.Snapshot
	failure   error
	// throttles is how many of the next looks are refused as too fast.
	throttles int
	lists     int
}

func newCloud() *cloud {
	return &cloud{images: []string{"storefront-1.0", "storefront-1.1"}, snapshots: map[string]delivery.Snapshot{}}
}

func (c *cloud) Accounts() []delivery.Account {
	return []delivery.Account{{Name: "aws-sim", Provider: "aws", AccountID: "123456789012", Environment: "test",
		Regions: []string{"us-east-1", "us-west-2"}}}
}

func (c *cloud) Target(cluster delivery.Cluster) (delivery.Target, error) {
	if cluster.Account != "aws-sim" || cluster.Provider != "aws" || !c.Accounts()[0].HasRegion(cluster.Region) {
		return nil, delivery.Errorf(delivery.Invalid, "no account %s of provider %s in %s", cluster.Account, cluster.Provider, cluster.Region)
	}
	return c, nil
}

// Clusters returns the clusters that were added, as tags would tell.
func (c *cloud) Clusters(_ context.Context, application string) ([]delivery.Cluster, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lists++
	var out []delivery.Cluster
	for _, seen := range c.snapshots {
		if seen.Cluster.Moniker.App == application {
			out = append(out, seen.Cluster)
		}
	}
	return out, c.failure
}

// GroupOf knows the instances of the snapshots, and i-gone, which went between two reads.
func (c *cloud) GroupOf(_ context.Context, instance string) (delivery.Cluster, string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, seen := range c.snapshots {
		for _, g := range seen.Groups {
			if instance == "i-gone" || slices.ContainsFunc(g.Instances, func(i delivery.Instance) bool { return i.ID == instance }) {
				return seen.Cluster, g.Name, c.failure
			}
		}
	}
	if c.failure != nil {
		return delivery.Cluster{}, "", c.failure
	}
	return delivery.Cluster{}, "", delivery.Errorf(delivery.NotFound, "instance %s", instance)
}

// Images has an image of every name, created a day after the one before it. Names
// with "many" are too many.
func (c *cloud) Images(_ context.Context, pattern string) ([]delivery.Image, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if strings.Contains(pattern, "many") {
		return nil, delivery.TooManyImages()
	}
	var out []delivery.Image
	for i, name := range c.images {
		if ok, err := path.Match(pattern, name); ok && err == nil {
			out = append(out, delivery.Image{ID: "ami-" + strconv.Itoa(i), Name: name, CreatedAt: start.AddDate(0, 0, i), Tags: map[string]string{"n": strconv.Itoa(i)}})
		}
	}
	return out, c.failure
}

// listed is how often clusters were listed.
func (c *cloud) listed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lists
}

func (c *cloud) Describe() delivery.Descriptor {
	return delivery.Descriptor{Kind: "aws/asg", Capabilities: delivery.Capabilities{Weighted: true, Resize: true, MaxDestinations: 5}}
}

func (c *cloud) Validate(_ context.Context, cluster delivery.Cluster, spec delivery.GroupSpec) ([]delivery.Finding, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure != nil {
		return nil, c.failure
	}
	if r := c.snapshots[cluster.Key()].Routing; r != nil && len(r.Weights) >= 5 {
		return nil, delivery.Errorf(delivery.Quota, "the rule forwards to %d target groups already", len(r.Weights))
	}
	var settings struct{ SubnetType string }
	if err := json.Unmarshal(spec.Settings, &settings); err != nil {
		return nil, err
	}
	var out []delivery.Finding
	if !slices.Contains(c.images, spec.Image) {
		out = append(out, delivery.Finding{Pointer: "/amiName", Message: "image " + spec.Image + " does not exist"})
	}
	if settings.SubnetType == "none" {
		out = append(out, delivery.Finding{Pointer: "/subnetType", Message: "no subnet of this type"})
	}
	return append(out, delivery.Finding{Pointer: "/capacity", Message: "is small", Warning: true}), nil
}

func (c *cloud) Observe(_ context.Context, cluster delivery.Cluster, _ string) (delivery.Snapshot, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen, ok := c.snapshots[cluster.Key()]
	if !ok {
		seen = delivery.Snapshot{Cluster: cluster}
	}
	if c.throttles > 0 {
		c.throttles--
		return seen, delivery.Errorf(delivery.Throttled, "Rate exceeded")
	}
	return seen, c.failure
}

func (c *cloud) Apply(context.Context, delivery.Change) (delivery.Receipt, error) {
	return delivery.Receipt{}, delivery.Errorf(delivery.Denied, "the API never writes to a cloud")
}

func (c *cloud) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failure = err
}

func (c *cloud) throttle(looks int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.throttles = looks
}

// scale gives a group of storefront-prod another size.
func (c *cloud) scale(region string, group, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, seen := range c.snapshots {
		if seen.Cluster.Region == region {
			seen.Groups = slices.Clone(seen.Groups)
			seen.Groups[group].Capacity = delivery.Pinned(size)
			c.snapshots[key] = seen
		}
	}
}

// add puts a snapshot of storefront-prod in a region: v000 with most of the
// traffic, and v001 with one healthy instance of two.
func (c *cloud) add(region string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	up := func(source string) delivery.Health { return delivery.Health{Source: source, State: delivery.HealthUp} }
	sources := []string{"Amazon", "TargetGroup"}
	cluster := delivery.Cluster{Provider: "aws", Account: "aws-sim", Region: region, Moniker: delivery.Moniker{App: "storefront", Stack: "prod"}}
	c.snapshots[cluster.Key()] = delivery.Snapshot{
		Cluster: cluster, ObservedAt: start,
		Groups: []delivery.ServerGroup{
			{Name: "storefront-prod-v000", Image: "storefront-1.0", ImageID: "ami-1", CreatedAt: start, Capacity: delivery.Pinned(1), HealthSources: sources, Complete: true,
				Instances: []delivery.Instance{{ID: "i-0", Zone: region + "a", LaunchedAt: start, Health: []delivery.Health{up("Amazon"), up("TargetGroup")}}}},
			{Name: "storefront-prod-v001", Sequence: 1, Image: "storefront-1.1", Capacity: delivery.Pinned(2), HealthSources: sources, Managed: true,
				Instances: []delivery.Instance{
					{ID: "i-1", Zone: region + "b", Health: []delivery.Health{up("Amazon"), up("TargetGroup")}},
					{ID: "i-2", Zone: region + "a", Health: []delivery.Health{up("Amazon"), {Source: "TargetGroup", State: delivery.HealthDown, Reason: "Target.FailedHealthChecks"}}}}},
		},
		Routing: &delivery.Routing{LoadBalancer: "storefront", Weights: []delivery.Weight{
			{ServerGroup: "storefront-prod-v000", Percent: 100}, {ServerGroup: "storefront-prod-v001", Percent: 0}}},
	}
}
