package api_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// memory is a store that keeps everything in maps. It behaves as the SQL store
// does as far as the API can see; store/storetest holds that one to its word.
type memory struct {
	mu           sync.Mutex
	applications map[string]delivery.Application
	pipelines    map[string]delivery.Pipeline
	history      []delivery.Pipeline
	// documents and documentHistory are those of documents_test.go.
	documents       map[documentKey]delivery.Document
	documentHistory []delivery.Document
	executions      map[delivery.ExecutionID]delivery.Execution
	order           []delivery.ExecutionID
	definitions     map[delivery.ExecutionID]json.RawMessage
	keys            map[string]delivery.NewExecution
	deployments     []delivery.Deployment
	events          []delivery.Event
	responses       map[string]delivery.StoredResponse
	listeners       map[chan struct{}]bool
	// failure is what every call returns when it is set.
	failure error
}

func newMemory() *memory {
	return &memory{
		applications: map[string]delivery.Application{}, pipelines: map[string]delivery.Pipeline{},
		documents:  map[documentKey]delivery.Document{},
		executions: map[delivery.ExecutionID]delivery.Execution{}, definitions: map[delivery.ExecutionID]json.RawMessage{}, keys: map[string]delivery.NewExecution{},
		responses: map[string]delivery.StoredResponse{}, listeners: map[chan struct{}]bool{},
	}
}

func (m *memory) SaveApplication(_ context.Context, app delivery.Application) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	app.Name = strings.ToLower(app.Name)
	m.applications[app.Name] = app
	m.documentHistory = append(m.documentHistory, delivery.Document{Kind: delivery.ApplicationDocument, ID: app.Name, Name: app.Name, Applications: []string{app.Name},
		Content: app.Attributes, CreatedAt: app.CreatedAt, UpdatedAt: app.UpdatedAt, LastModifiedBy: app.LastModifiedBy})
	return m.failure
}

func (m *memory) Application(_ context.Context, name string) (delivery.Application, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	app, ok := m.applications[strings.ToLower(name)]
	if !ok {
		return app, delivery.Errorf(delivery.NotFound, "application %s", name)
	}
	return app, m.failure
}

func (m *memory) Applications(context.Context) ([]delivery.Application, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []delivery.Application
	for _, app := range m.applications {
		out = append(out, app)
	}
	slices.SortFunc(out, func(a, b delivery.Application) int { return strings.Compare(a.Name, b.Name) })
	return out, m.failure
}

func (m *memory) DeleteApplication(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = strings.ToLower(name)
	if _, ok := m.applications[name]; !ok {
		return delivery.Errorf(delivery.NotFound, "application %s", name)
	}
	delete(m.applications, name)
	for id, p := range m.pipelines {
		if p.Application == name {
			delete(m.pipelines, id)
		}
	}
	return nil
}

func (m *memory) SavePipeline(_ context.Context, p delivery.Pipeline, expect delivery.PipelineExpectation) (delivery.Pipeline, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p.Application = strings.ToLower(p.Application)
	if p.ID == "" {
		p.ID = fmt.Sprintf("00000000-0000-4000-8000-%012d", len(m.history)+1)
	}
	stored, exists := m.pipelines[p.ID]
	if expect.Absent && exists || expect.Revision != 0 && expect.Revision != stored.Revision {
		return p, delivery.Errorf(delivery.Conflict, "the pipeline was changed by somebody else; read it again")
	}
	if !expect.UpdatedAt.IsZero() && (!exists || stored.UpdatedAt.UnixMilli() != expect.UpdatedAt.UnixMilli()) {
		return p, delivery.Errorf(delivery.Conflict, "the pipeline was changed by somebody else; read it again")
	}
	for _, other := range m.pipelines {
		if other.ID != p.ID && other.Application == p.Application && strings.EqualFold(other.Name, p.Name) {
			return p, delivery.Errorf(delivery.Invalid, "A pipeline with name %s already exists in application %s", p.Name, p.Application)
		}
	}
	p.Revision = 1
	for _, was := range m.history {
		if was.ID == p.ID {
			p.Revision = was.Revision + 1
		}
	}
	m.pipelines[p.ID] = p
	m.history = append(m.history, p)
	return p, m.failure
}

func (m *memory) Pipeline(_ context.Context, application, nameOrID string) (delivery.Pipeline, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.pipelines {
		if p.Application == strings.ToLower(application) && (p.ID == nameOrID || strings.EqualFold(p.Name, nameOrID)) {
			return p, m.failure
		}
	}
	return delivery.Pipeline{}, delivery.Errorf(delivery.NotFound, "pipeline %s of %s", nameOrID, application)
}

func (m *memory) PipelineByID(_ context.Context, id string) (delivery.Pipeline, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.pipelines[id]
	if !ok {
		return p, delivery.Errorf(delivery.NotFound, "pipeline %s", id)
	}
	return p, m.failure
}

func (m *memory) Pipelines(_ context.Context, application string) ([]delivery.Pipeline, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []delivery.Pipeline
	for _, p := range m.pipelines {
		if application == "" || p.Application == strings.ToLower(application) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b delivery.Pipeline) int {
		return cmp.Or(strings.Compare(a.Application, b.Application), cmp.Compare(a.Index, b.Index), strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)))
	})
	return out, m.failure
}

func (m *memory) DeletePipeline(_ context.Context, application, name, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for known, p := range m.pipelines {
		if (id == "" || id == known) && p.Application == strings.ToLower(application) && strings.EqualFold(p.Name, name) {
			delete(m.pipelines, known)
			return nil
		}
	}
	return delivery.Errorf(delivery.NotFound, "pipeline %s of %s", name, application)
}

func (m *memory) TriggeredPipelines(_ context.Context, kind, source, after string, limit int) ([]delivery.Pipeline, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []delivery.Pipeline
	for _, id := range slices.Sorted(maps.Keys(m.pipelines)) {
		p := m.pipelines[id]
		if id > after && len(out) < limit && !p.Disabled && slices.Contains(pipeline.TriggerSources(p.Document), pipeline.NewTriggerSource(kind, source)) {
			out = append(out, p)
		}
	}
	return out, m.failure
}

func (m *memory) PipelineHistory(_ context.Context, id string, limit int) ([]delivery.Pipeline, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []delivery.Pipeline
	for _, p := range slices.Backward(m.history) {
		if p.ID == id && (limit == 0 || len(out) < limit) {
			out = append(out, p)
		}
	}
	return out, m.failure
}

func (m *memory) CreateExecution(_ context.Context, n delivery.NewExecution) (delivery.Execution, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failure != nil {
		return n.Execution, false, m.failure
	}
	n.Execution.Application = strings.ToLower(n.Execution.Application)
	if e, err := m.earlier(n); delivery.KindOf(err) != delivery.NotFound {
		return e, false, err
	}
	for _, key := range keysOf(n) {
		m.keys[key] = n
	}
	m.executions[n.Execution.ID], m.definitions[n.Execution.ID] = n.Execution, n.Definition
	m.order = append(m.order, n.Execution.ID)
	return n.Execution, true, nil
}

// definition is what an execution was created with.
func (m *memory) definition(id delivery.ExecutionID) json.RawMessage {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.definitions[id]
}

func (m *memory) EarlierStart(_ context.Context, n delivery.NewExecution) (delivery.Execution, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failure != nil {
		return delivery.Execution{}, m.failure
	}
	n.Execution.Application = strings.ToLower(n.Execution.Application)
	return m.earlier(n)
}

func keysOf(n delivery.NewExecution) []string {
	var out []string
	scope := n.Execution.Application + "/" + n.Execution.PipelineConfigID
	if n.IdempotencyKey != "" {
		out = append(out, scope+"idempotency "+n.IdempotencyKey)
	}
	if n.CorrelationID != "" {
		out = append(out, scope+"correlation "+n.CorrelationID)
	}
	return out
}

func (m *memory) earlier(n delivery.NewExecution) (delivery.Execution, error) {
	for _, key := range keysOf(n) {
		first, ok := m.keys[key]
		if !ok {
			continue
		}
		if n.IdempotencyKey != "" && first.IdempotencyKey == n.IdempotencyKey && first.RequestHash != n.RequestHash {
			return n.Execution, delivery.Errorf(delivery.Invalid, "Idempotency-Key was used for another request")
		}
		return m.executions[first.Execution.ID], nil
	}
	return n.Execution, delivery.Errorf(delivery.NotFound, "no earlier start")
}

func (m *memory) NextSequence(_ context.Context, _ string, floor int, taken []int) (int, error) {
	next := floor + 1
	for slices.Contains(taken, next) {
		next++
	}
	return next, nil
}

func (m *memory) Execution(_ context.Context, id delivery.ExecutionID) (delivery.Execution, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.executions[id]
	if !ok {
		return e, delivery.Errorf(delivery.NotFound, "execution %s", id)
	}
	return e, m.failure
}

func (m *memory) Executions(_ context.Context, f delivery.ExecutionFilter) ([]delivery.Execution, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []delivery.Execution
	perPipeline := map[string]int{}
	for _, id := range slices.Backward(m.order) {
		e := m.executions[id]
		if len(f.IDs) > 0 && !slices.Contains(f.IDs, e.ID) ||
			len(f.PipelineConfigIDs) > 0 && !slices.Contains(f.PipelineConfigIDs, e.PipelineConfigID) ||
			len(f.Statuses) > 0 && !slices.Contains(f.Statuses, e.Status) ||
			f.Application != "" && e.Application != strings.ToLower(f.Application) ||
			f.Type != "" && e.Type != f.Type ||
			f.Name != "" && e.Name != f.Name ||
			len(f.TriggerTypes) > 0 && !slices.Contains(f.TriggerTypes, e.Trigger.Type) ||
			f.EventID != "" && e.Trigger.EventID() != f.EventID ||
			!f.From.IsZero() && e.BuildTime.Before(f.From) || !f.To.IsZero() && e.BuildTime.After(f.To) ||
			f.Trigger != nil && !f.Trigger(e.Trigger) || e.Deleted {
			continue
		}
		if perPipeline[e.PipelineConfigID]++; f.LimitPerPipeline > 0 && perPipeline[e.PipelineConfigID] > f.LimitPerPipeline {
			continue
		}
		out = append(out, e)
	}
	if f.OldestFirst {
		slices.Reverse(out)
	}
	out = out[min(f.Offset, len(out)):]
	if f.Limit > 0 && len(out) > f.Limit {
		out = out[:f.Limit]
	}
	return out, m.failure
}

func (m *memory) DeleteExecution(_ context.Context, id delivery.ExecutionID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.executions[id]
	switch {
	case !ok || e.Deleted:
		return delivery.Errorf(delivery.NotFound, "execution %s", id)
	case !e.Status.Complete():
		return delivery.Errorf(delivery.Conflict, "execution %s is not complete: %s", id, e.Status)
	}
	e.Deleted = true
	m.executions[id] = e
	return m.failure
}

func (m *memory) ProjectExecution(_ context.Context, e delivery.Execution, events []delivery.Event) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	stored, ok := m.executions[e.ID]
	if !ok {
		return false, delivery.Errorf(delivery.NotFound, "execution %s", e.ID)
	}
	for _, event := range events {
		m.addEvent(e.ID, event.Type, string(event.Data))
	}
	if e.Version <= stored.Version || stored.Status.Complete() {
		return false, m.failure
	}
	m.executions[e.ID] = e
	return true, m.failure
}

func (m *memory) Deployments(_ context.Context, execution delivery.ExecutionID) ([]delivery.Deployment, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []delivery.Deployment
	for _, d := range m.deployments {
		if d.Execution == execution {
			out = append(out, d)
		}
	}
	return out, m.failure
}

func (m *memory) Deployment(_ context.Context, id delivery.DeploymentID) (delivery.Deployment, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.deployments {
		if d.ID == id {
			return d, m.failure
		}
	}
	return delivery.Deployment{}, delivery.Errorf(delivery.NotFound, "deployment %s", id)
}

func (m *memory) ClusterDeployments(_ context.Context, cluster string, limit int) ([]delivery.Deployment, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []delivery.Deployment
	for _, d := range slices.Backward(m.deployments) {
		if d.Cluster.Key() == cluster && len(out) < limit {
			out = append(out, d)
		}
	}
	return out, m.failure
}

func (m *memory) Events(_ context.Context, execution delivery.ExecutionID, after int64, limit int) ([]delivery.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []delivery.Event
	for _, e := range m.events {
		if e.Execution == execution && e.ID > after && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, m.failure
}

func (m *memory) Subscribe() (<-chan struct{}, func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := make(chan struct{}, 1)
	m.listeners[c] = true
	return c, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.listeners, c)
	}
}

func (m *memory) Response(_ context.Context, scope, key, hash string) (delivery.StoredResponse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.responses[scope+"\x00"+key]
	switch {
	case !ok:
		return r, delivery.Errorf(delivery.NotFound, "response for %s", key)
	case r.RequestHash != hash:
		return r, delivery.Errorf(delivery.Invalid, "Idempotency-Key was used for another request")
	}
	return r, nil
}

func (m *memory) RememberResponse(_ context.Context, scope, key string, r delivery.StoredResponse) (delivery.StoredResponse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if kept, ok := m.responses[scope+"\x00"+key]; ok {
		return kept, nil
	}
	m.responses[scope+"\x00"+key] = r
	return r, nil
}

// fail makes every further call fail; nil ends it.
func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failure = err
}

// change applies what a workflow would project, with one event for it.
func (m *memory) change(id delivery.ExecutionID, apply func(e *delivery.Execution)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.executions[id]
	apply(&e)
	e.Version++
	m.executions[id] = e
	m.addEvent(id, delivery.EventExecution, fmt.Sprintf(`{"status":%q}`, e.Status))
}

// deploy records a deployment, with one event for it.
func (m *memory) deploy(d delivery.Deployment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deployments = slices.DeleteFunc(m.deployments, func(other delivery.Deployment) bool { return other.ID == d.ID })
	m.deployments = append(m.deployments, d)
	m.addEvent(d.Execution, delivery.EventDeployment, fmt.Sprintf(`{"status":%q}`, d.Status))
}

func (m *memory) addEvent(id delivery.ExecutionID, kind delivery.EventType, data string) {
	n := int64(len(m.events) + 1)
	m.events = append(m.events, delivery.Event{ID: n, Execution: id, Key: fmt.Sprint(n), At: start, Type: kind, Data: json.RawMessage(data)})
	for c := range m.listeners {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (m *memory) count() (applications, pipelines, executions int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.applications), len(m.pipelines), len(m.executions)
}
