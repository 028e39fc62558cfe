package wirefaults

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"

	"github.com/slipway-cd/slipway/delivery"
)

// mortal numbers the calls of the cloud and the commits of one deployment, and lets
// the process die at one of them. It stands where lossy does.
type mortal struct {
	cloud cloud
	api   http.Handler
	// dieAt is the number at which the process dies; 0 for never. It dies before the
	// call or commit has its effect, or after.
	dieAt int
	after bool

	mu     sync.Mutex
	counts pointCounts
	// steps has for each number whether it has an effect.
	steps []bool
	// made is what the process died at; empty while it did not.
	made string
	kill context.CancelFunc
}

// pointCounts count the calls that read, those that write, and the commits.
type pointCounts struct{ reads, writes, commits int }

// process returns the context of a new process.
func (m *mortal) process(ctx context.Context) context.Context {
	m.mu.Lock()
	defer m.mu.Unlock()
	ctx, m.kill = context.WithCancel(ctx)
	return ctx
}

// point counts one call or commit, and tells whether the process dies at it.
func (m *mortal) point(name string, count *int, effect bool) (dies bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*count++
	m.steps = append(m.steps, effect)
	if len(m.steps) != m.dieAt {
		return false
	}
	m.made = name
	return true
}

// die ends the process: it hears of nothing more, and nothing more that it asks for
// is begun.
func (m *mortal) die() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kill()
}

func (m *mortal) diedAt() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.made
}

// numbered returns what was counted so far, and for each number whether it has an effect.
func (m *mortal) numbered() (pointCounts, []bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts, slices.Clone(m.steps)
}

func (m *mortal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	action, write := m.cloud.action(r, string(body))
	count := &m.counts.reads
	if write {
		count = &m.counts.writes
	}
	dies := m.point(action, count, write)
	if dies && !m.after {
		m.die()
		panic(http.ErrAbortHandler) // closes the connection without an answer
	}
	answer := httptest.NewRecorder()
	m.api.ServeHTTP(answer, r.WithContext(context.WithoutCancel(r.Context())))
	if dies {
		m.die()
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// commit makes one write to the store.
func (m *mortal) commit(ctx context.Context, name string, do func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	dies := m.point(name, &m.counts.commits, true)
	if dies && !m.after {
		m.die()
		return ctx.Err()
	}
	err := do(context.WithoutCancel(ctx))
	if dies {
		m.die()
		return ctx.Err()
	}
	return err
}

// mortalMetrics is a source of metrics. What is asked over HTTP is numbered there;
// Cloud Monitoring speaks gRPC.
type mortalMetrics struct {
	delivery.Metrics
	*mortal
}

func (m mortalMetrics) Measure(ctx context.Context, r delivery.MetricRequest) (delivery.Series, error) {
	if m.cloud.name != google().name {
		return m.Metrics.Measure(ctx, r)
	}
	if err := ctx.Err(); err != nil {
		return delivery.Series{}, err
	}
	if m.point("measure", &m.counts.reads, false) {
		m.die()
	}
	return m.Metrics.Measure(ctx, r)
}
