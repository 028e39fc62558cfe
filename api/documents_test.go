package api_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

type documentKey struct {
	kind delivery.DocumentKind
	id   string
}

func (m *memory) ChangeDocuments(_ context.Context, changes ...delivery.DocumentChange) ([]delivery.Document, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failure != nil {
		return nil, m.failure
	}
	documents, history := maps.Clone(m.documents), slices.Clone(m.documentHistory)
	out := make([]delivery.Document, len(changes))
	for i, change := range changes {
		d, err := m.changeDocument(change)
		if err != nil {
			m.documents, m.documentHistory = documents, history
			return nil, err
		}
		out[i] = d
	}
	return out, nil
}

func (m *memory) changeDocument(change delivery.DocumentChange) (delivery.Document, error) {
	d := change.Document
	for i, name := range d.Applications {
		d.Applications[i] = strings.ToLower(name)
	}
	if d.ID == "" {
		d.ID = fmt.Sprintf("00000000-0000-4000-8000-%012d", len(m.documentHistory)+1)
	}
	key := documentKey{d.Kind, d.ID}
	stored, exists := m.documents[key]
	if change.Expect.Absent && exists || change.Expect.Revision != 0 && stored.Revision != change.Expect.Revision {
		return d, delivery.Errorf(delivery.Conflict, "%s %s was changed by somebody else", d.Kind, d.ID)
	}
	if change.Delete {
		if !exists {
			return d, delivery.Errorf(delivery.NotFound, "%s %s", d.Kind, d.ID)
		}
		stored.Revision, stored.Deleted = stored.Revision+1, true
		delete(m.documents, key)
		m.documentHistory = append(m.documentHistory, stored)
		return stored, nil
	}
	for _, other := range m.documents {
		if other.Kind == d.Kind && other.ID != d.ID && strings.EqualFold(other.Name, d.Name) && overlap(other.Applications, d.Applications) {
			return d, delivery.Errorf(delivery.Invalid, "A %s with name %s already exists", d.Kind, d.Name)
		}
	}
	if d.CreatedAt = d.UpdatedAt; exists {
		d.CreatedAt = stored.CreatedAt
	}
	for _, was := range m.documentHistory {
		if was.Kind == d.Kind && was.ID == d.ID {
			d.Revision = was.Revision
		}
	}
	d.Revision++
	m.documents[key] = d
	m.documentHistory = append(m.documentHistory, d)
	return d, nil
}

func overlap(a, b []string) bool {
	return len(a)+len(b) == 0 || slices.ContainsFunc(a, func(one string) bool { return slices.Contains(b, one) })
}

func (m *memory) Document(_ context.Context, kind delivery.DocumentKind, id string) (delivery.Document, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.documents[documentKey{kind, id}]
	if !ok {
		return d, delivery.Errorf(delivery.NotFound, "%s %s", kind, id)
	}
	return d, m.failure
}

func (m *memory) Documents(_ context.Context, kind delivery.DocumentKind, application string) ([]delivery.Document, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []delivery.Document
	for _, d := range m.documents {
		if d.Kind == kind && (application == "" || slices.Contains(d.Applications, strings.ToLower(application))) {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b delivery.Document) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.ID, b.ID))
	})
	return out, m.failure
}

func (m *memory) DocumentHistory(_ context.Context, kind delivery.DocumentKind, id string, limit int) ([]delivery.Document, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []delivery.Document
	for _, d := range slices.Backward(m.documentHistory) {
		if d.Kind == kind && d.ID == id && (limit == 0 || len(out) < limit) {
			out = append(out, d)
		}
	}
	return out, m.failure
}

func (m *memory) SavePipelines(ctx context.Context, saves []delivery.PipelineSave) ([]delivery.Pipeline, error) {
	m.mu.Lock()
	pipelines, history := maps.Clone(m.pipelines), slices.Clone(m.history)
	m.mu.Unlock()
	out := make([]delivery.Pipeline, len(saves))
	for i, one := range saves {
		var err error
		if out[i], err = m.SavePipeline(ctx, one.Pipeline, one.Expect); err != nil {
			m.mu.Lock()
			m.pipelines, m.history = pipelines, history
			m.mu.Unlock()
			return nil, err
		}
	}
	return out, nil
}

func (m *memory) PipelineRevision(_ context.Context, id string, revision int) (delivery.Pipeline, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.history {
		if p.ID == id && p.Revision == revision {
			return p, m.failure
		}
	}
	return delivery.Pipeline{}, delivery.Errorf(delivery.NotFound, "revision %d of pipeline %s", revision, id)
}
