package wirefaults

import (
	"bytes"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
)

// lossy stands between the SDK and the cloud. Each write goes through, and its
// answer is lost: once, or so often that it is lost on the SDK's own attempts too
// and on the first of a caller whose SDK makes none. A write that was refused had
// no effect, so its answer is passed on.
type lossy struct {
	cloud cloud
	api   http.Handler
	deep  float64

	mu     sync.Mutex
	random *rand.Rand
	// calls are the writes whose caller never got an answer, by all that was asked.
	// Whoever asks the same again makes the same call.
	calls map[string]*lostCall
	stats wireStats
}

type lostCall struct {
	deep bool
	lost int
}

// wireStats count the writes that had an effect and the answers that were lost.
type wireStats struct {
	calls, writes, lost, deep int
	byAction                  map[string]int
}

func newLossy(api http.Handler, s schedule) *lossy {
	return &lossy{cloud: s.kind.cloud, api: api, deep: s.deep, random: rand.New(rand.NewPCG(uint64(s.seed), 0x1055)),
		calls: map[string]*lostCall{}, stats: wireStats{byAction: map[string]int{}}}
}

func (l *lossy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	action, write := l.cloud.action(r, string(body))
	if !write {
		l.count()
		l.api.ServeHTTP(w, r)
		return
	}
	answer := httptest.NewRecorder()
	l.api.ServeHTTP(answer, r)
	if answer.Code/100 == 2 && l.loses(action, r.Method+" "+r.URL.RequestURI()+"\n"+string(body)) {
		panic(http.ErrAbortHandler) // closes the connection without an answer
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

func (l *lossy) count() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.calls++
}

// loses decides about the answer of a write that had its effect.
func (l *lossy) loses(action, asked string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.calls++
	l.stats.writes++
	c := l.calls[asked]
	if c == nil {
		c = &lostCall{deep: l.random.Float64() < l.deep}
		l.calls[asked] = c
	}
	if c.lost == l.cloud.attempts || c.lost > 0 && !c.deep {
		delete(l.calls, asked)
		return false
	}
	switch c.lost++; c.lost {
	case 1:
		l.stats.lost++
		l.stats.byAction[action]++
	case 2:
		l.stats.deep++
	}
	return true
}

func (l *lossy) counted() wireStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.stats
	out.byAction = maps.Clone(out.byAction)
	return out
}
