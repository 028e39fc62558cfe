package workflows

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// memory is a store with the rules of the real one: versions grow, complete
// states stay, allocations are idempotent. It notes every breach of the rules
// that a caller can commit.
type memory struct {
	mu           sync.Mutex
	rng          *rand.Rand
	failing      float64 // probability that a call fails, before or after its effect
	executions   map[delivery.ExecutionID]delivery.Execution
	definitions  map[delivery.ExecutionID]json.RawMessage
	correlated   map[string]delivery.ExecutionID
	pipelines    map[string]delivery.Pipeline
	saves        map[string]delivery.Pipeline // by their keys
	documents    []delivery.Document
	applications map[string]delivery.Application
	deployments  map[delivery.DeploymentID]delivery.Deployment
	keys         map[string]bool
	events       []delivery.Event
	sequences    map[delivery.DeploymentID]int
	fences       map[string]int64
	newest       map[string]int64
	outbox       []delivery.PendingStart
	places       int64 // of the outbox, so far
	breaches     []string
	// now is the clock by which failures are dated; without it they are not.
	now      func() time.Time
	failures []time.Time
	// onDeployment is told of every stored deployment.
	onDeployment func(delivery.Deployment)
	// onCreate is told of every new execution; nil for nobody.
	onCreate func(delivery.Execution)
	// onProject is told of every progress of an execution; nil for nobody.
	onProject func(delivery.Execution)
	// onEvent is told of every new event; nil for nobody.
	onEvent func(delivery.Event)
}

func newMemory(seed int64) *memory {
	return &memory{rng: rand.New(rand.NewSource(seed)),
		executions: map[delivery.ExecutionID]delivery.Execution{}, definitions: map[delivery.ExecutionID]json.RawMessage{},
		correlated: map[string]delivery.ExecutionID{}, pipelines: map[string]delivery.Pipeline{}, saves: map[string]delivery.Pipeline{},
		deployments: map[delivery.DeploymentID]delivery.Deployment{}, keys: map[string]bool{},
		sequences: map[delivery.DeploymentID]int{}, fences: map[string]int64{}, newest: map[string]int64{},
		onDeployment: func(delivery.Deployment) {}}
}

// do runs a call under the lock, with a fault before or after it.
func (m *memory) do(call func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fails() {
		return delivery.Errorf(delivery.Unavailable, "the store is busy")
	}
	err := call()
	if m.fails() {
		return delivery.Errorf(delivery.Unavailable, "the store's answer was lost")
	}
	return err
}

func (m *memory) fails() bool {
	if m.rng.Float64() >= m.failing/2 {
		return false
	}
	if m.now != nil {
		m.failures = append(m.failures, m.now())
	}
	return true
}

// held is the longest that the failures between two times can have held up what
// is recorded: they came in a row, and each doubled the pause before the next try.
func (m *memory) held(from, to time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	total, pause := time.Duration(0), recordOptions.RetryPolicy.InitialInterval
	for _, at := range m.failures {
		if !at.Before(from) && !at.After(to) {
			total, pause = total+pause, pause*2
		}
	}
	return total
}

func (m *memory) breach(format string, args ...any) {
	m.breaches = append(m.breaches, fmt.Sprintf(format, args...))
}

func (m *memory) Execution(_ context.Context, id delivery.ExecutionID) (e delivery.Execution, err error) {
	return e, m.do(func() error {
		found, ok := m.executions[id]
		if !ok {
			return delivery.Errorf(delivery.NotFound, "execution %s", id)
		}
		e = found
		e.Stages = slices.Clone(found.Stages)
		return nil
	})
}

func (m *memory) ExecutionDefinition(_ context.Context, id delivery.ExecutionID) (d json.RawMessage, err error) {
	return d, m.do(func() error { d = m.definitions[id]; return nil })
}

func (m *memory) Executions(_ context.Context, f delivery.ExecutionFilter) (found []delivery.Execution, err error) {
	return found, m.do(func() error {
		for _, e := range m.executions {
			if (len(f.PipelineConfigIDs) == 0 || slices.Contains(f.PipelineConfigIDs, e.PipelineConfigID)) && (len(f.Statuses) == 0 || slices.Contains(f.Statuses, e.Status)) {
				found = append(found, e)
			}
		}
		slices.SortFunc(found, func(a, b delivery.Execution) int {
			return cmp.Or(b.BuildTime.Compare(a.BuildTime), cmp.Compare(b.ID, a.ID))
		})
		if f.Limit > 0 {
			found = found[:min(f.Limit, len(found))]
		}
		return nil
	})
}

func (m *memory) CreateExecution(_ context.Context, n delivery.NewExecution) (e delivery.Execution, created bool, err error) {
	err = m.do(func() error {
		key := n.Execution.Application + "/" + n.Execution.PipelineConfigID + " " + n.CorrelationID
		if id, ok := m.correlated[key]; ok && n.CorrelationID != "" {
			e = m.executions[id]
			return nil
		}
		m.correlated[key] = n.Execution.ID
		m.executions[n.Execution.ID], m.definitions[n.Execution.ID] = n.Execution, n.Definition
		if !n.Execution.Status.Complete() {
			m.enqueue(n.Execution.ID)
		}
		e, created = n.Execution, true
		if m.onCreate != nil {
			m.onCreate(e)
		}
		return nil
	})
	return e, created, err
}

func (m *memory) ProjectExecution(_ context.Context, e delivery.Execution, events []delivery.Event) (stored bool, err error) {
	return stored, m.do(func() error {
		was := m.executions[e.ID]
		m.add(events)
		if e.Version <= was.Version {
			return nil
		}
		if !was.Status.CanBecome(e.Status) {
			m.breach("execution %s: %s became %s", e.ID, was.Status, e.Status)
		}
		for i, s := range e.Stages {
			if !was.Stages[i].Status.CanBecome(s.Status) && s.Attempt <= was.Stages[i].Attempt {
				m.breach("stage %s: %s became %s", s.RefID, was.Stages[i].Status, s.Status)
			}
		}
		if e.Status.Complete() && slices.ContainsFunc(e.Stages, func(s delivery.Stage) bool { return s.Status == delivery.StatusRunning }) {
			m.breach("execution %s ended %s with a running stage", e.ID, e.Status)
		}
		m.executions[e.ID], stored = e, true
		if m.onProject != nil {
			m.onProject(e)
		}
		return nil
	})
}

func (m *memory) RecordDeployment(_ context.Context, d delivery.Deployment, events []delivery.Event) (stored bool, err error) {
	return stored, m.do(func() error {
		was := m.deployments[d.ID]
		m.add(events)
		if d.Version <= was.Version {
			return nil
		}
		if was.Status.Complete() && was.Status != d.Status {
			m.breach("deployment %s: %s became %s", d.ID, was.Status, d.Status)
		}
		if was.Status == delivery.DeploymentRollingBack && !d.Status.Complete() && d.Status != was.Status {
			m.breach("deployment %s: a rollback became %s", d.ID, d.Status)
		}
		if len(d.ServerGroup) < len(was.ServerGroup) {
			m.breach("deployment %s lost its server group", d.ID)
		}
		m.deployments[d.ID], stored = d, true
		m.onDeployment(d)
		return nil
	})
}

func (m *memory) add(events []delivery.Event) {
	for _, e := range events {
		if key := string(e.Execution) + " " + e.Key; !m.keys[key] {
			m.keys[key] = true
			m.events = append(m.events, e)
			if m.onEvent != nil {
				m.onEvent(e)
			}
		}
	}
}

func (m *memory) Deployment(_ context.Context, id delivery.DeploymentID) (d delivery.Deployment, err error) {
	return d, m.do(func() error {
		var ok bool
		if d, ok = m.deployments[id]; !ok {
			return delivery.Errorf(delivery.NotFound, "deployment %s", id)
		}
		return nil
	})
}

func (m *memory) ClusterDeployments(_ context.Context, cluster string, limit int) (found []delivery.Deployment, err error) {
	return found, m.do(func() error {
		fence := func(d delivery.Deployment) int64 { return m.fences[cluster+" "+d.ID.WorkflowID()] }
		for _, d := range m.deployments {
			if fence(d) > 0 {
				found = append(found, d)
			}
		}
		slices.SortFunc(found, func(a, b delivery.Deployment) int { return int(fence(b) - fence(a)) })
		found = found[:min(limit, len(found))]
		return nil
	})
}

func (m *memory) PipelineByID(_ context.Context, id string) (p delivery.Pipeline, err error) {
	return p, m.do(func() error {
		var ok bool
		if p, ok = m.pipelines[id]; !ok {
			return delivery.Errorf(delivery.NotFound, "pipeline %s", id)
		}
		return nil
	})
}

func (m *memory) Pipeline(_ context.Context, application, nameOrID string) (p delivery.Pipeline, err error) {
	return p, m.do(func() error {
		for _, one := range m.pipelines {
			if one.Application == application && (one.ID == nameOrID || strings.EqualFold(one.Name, nameOrID)) {
				p = one
				return nil
			}
		}
		return delivery.Errorf(delivery.NotFound, "pipeline %s", nameOrID)
	})
}

func (m *memory) SavePipeline(_ context.Context, p delivery.Pipeline, expect delivery.PipelineExpectation) (saved delivery.Pipeline, err error) {
	return saved, m.do(func() error {
		if earlier, ok := m.saves[expect.Key]; ok {
			saved = earlier
			return nil
		}
		stored, exists := m.pipelines[p.ID]
		if !expect.UpdatedAt.IsZero() && (!exists || stored.UpdatedAt.UnixMilli() != expect.UpdatedAt.UnixMilli()) {
			return delivery.Errorf(delivery.Conflict, "the pipeline was changed by somebody else; read it again")
		}
		for id, other := range m.pipelines {
			if id != p.ID && other.Application == p.Application && strings.EqualFold(other.Name, p.Name) {
				return delivery.Errorf(delivery.Invalid, "A pipeline with name %s already exists in application %s", p.Name, p.Application)
			}
		}
		p.ID, p.Revision = cmp.Or(p.ID, fmt.Sprintf("P%d", len(m.saves)+1)), stored.Revision+1
		m.pipelines[p.ID], m.saves[expect.Key], saved = p, p, p
		return nil
	})
}

func (m *memory) PipelineOfSave(_ context.Context, key string) (p delivery.Pipeline, err error) {
	return p, m.do(func() error {
		var ok bool
		if p, ok = m.saves[key]; !ok {
			return delivery.Errorf(delivery.NotFound, "save %s", key)
		}
		return nil
	})
}

func (m *memory) DeletePipeline(_ context.Context, application, name, id string) error {
	return m.do(func() error {
		for known, p := range m.pipelines {
			if (id == "" || id == known) && p.Application == application && strings.EqualFold(p.Name, name) {
				delete(m.pipelines, known)
				return nil
			}
		}
		return delivery.Errorf(delivery.NotFound, "pipeline %s", name)
	})
}

func (m *memory) Document(_ context.Context, kind delivery.DocumentKind, id string) (d delivery.Document, err error) {
	return d, m.do(func() error {
		for _, one := range m.documents {
			if one.Kind == kind && one.ID == id {
				d = one
				return nil
			}
		}
		return delivery.Errorf(delivery.NotFound, "document %s", id)
	})
}

func (m *memory) Application(_ context.Context, name string) (a delivery.Application, err error) {
	return a, m.do(func() error {
		found, ok := m.applications[name]
		if !ok {
			return delivery.Errorf(delivery.NotFound, "application %s", name)
		}
		a = found
		return nil
	})
}

func (m *memory) AllocateSequence(_ context.Context, _ string, d delivery.DeploymentID, floor int, taken []int) (n int, err error) {
	return n, m.do(func() error {
		var ok bool
		if n, ok = m.sequences[d]; ok {
			return nil
		}
		n = floor + 1
		for _, other := range m.sequences {
			n = max(n, other+1)
		}
		for slices.Contains(taken, n) {
			n++
		}
		m.sequences[d] = n
		return nil
	})
}

func (m *memory) NextFence(_ context.Context, cluster, holder string) (fence int64, err error) {
	return fence, m.do(func() error {
		key := cluster + " " + holder
		if m.fences[key] == 0 {
			m.newest[cluster]++
			m.fences[key] = m.newest[cluster]
		}
		fence = m.fences[key]
		return nil
	})
}

func (m *memory) Fence(_ context.Context, cluster string) (fence int64, err error) {
	return fence, m.do(func() error { fence = m.newest[cluster]; return nil })
}

func (m *memory) enqueue(id delivery.ExecutionID) {
	m.places++
	m.outbox = append(m.outbox, delivery.PendingStart{Execution: id, Place: m.places})
}

func (m *memory) PendingStarts(_ context.Context, limit int) (starts []delivery.PendingStart, err error) {
	return starts, m.do(func() error { starts = slices.Clone(m.outbox[:min(limit, len(m.outbox))]); return nil })
}

func (m *memory) MarkStarted(_ context.Context, p delivery.PendingStart) error {
	return m.do(func() error {
		m.outbox = slices.DeleteFunc(m.outbox, func(x delivery.PendingStart) bool { return x == p })
		return nil
	})
}

// Waits is false: nothing in these tests has limits.
func (m *memory) Waits(context.Context, delivery.ExecutionID) (bool, error) { return false, nil }

func (m *memory) CancelWaiting(context.Context, delivery.ExecutionID, delivery.Principal, string, time.Time) (bool, error) {
	return false, nil
}

func (m *memory) ReopenExecution(_ context.Context, e delivery.Execution, event delivery.Event) error {
	return m.do(func() error {
		if was := m.executions[e.ID]; was.Version != e.Version-1 || !was.Status.Complete() {
			return delivery.Errorf(delivery.Conflict, "execution %s has changed", e.ID)
		}
		m.executions[e.ID] = e
		m.outbox = slices.DeleteFunc(m.outbox, func(p delivery.PendingStart) bool { return p.Execution == e.ID })
		m.enqueue(e.ID)
		m.add([]delivery.Event{event})
		return nil
	})
}

// calm makes the store faultless, for assertions.
func (m *memory) calm() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failing = 0
}
