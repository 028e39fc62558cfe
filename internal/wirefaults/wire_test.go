package wirefaults

import (
	"bytes"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
)

// lossy stands between the SDK and the cloud. Each write goes through, and its
// answer is lost: that of the first attempt alone, or those of all attempts that
// the SDK makes by itself. A write that was refused had no effect, so its answer
// is passed on.
type lossy struct {
	cloud http.Handler
	deep  float64

	mu     sync.Mutex
	random *rand.Rand
	// calls are the writes under way by the id that the SDK gives to all attempts
	// of one call.
	calls map[string]*lostCall
	// pending is the last write whose caller never got an answer: when the caller
	// comes back with the same, that one is answered.
	pending string
	stats   wireStats
}

type lostCall struct {
	deep, answer bool
	lost         int
}

// wireStats count the writes that had an effect and the answers that were lost.
type wireStats struct {
	calls, writes, lost, deep int
	byAction                  map[string]int
}

func newLossy(cloud http.Handler, s schedule) *lossy {
	return &lossy{cloud: cloud, deep: s.deep, random: rand.New(rand.NewPCG(uint64(s.seed), 0x1055)),
		calls: map[string]*lostCall{}, stats: wireStats{byAction: map[string]int{}}}
}

func (l *lossy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	action := actionOf(body)
	if !writes(action) {
		l.count()
		l.cloud.ServeHTTP(w, r)
		return
	}
	answer := httptest.NewRecorder()
	l.cloud.ServeHTTP(answer, r)
	if answer.Code/100 == 2 && l.loses(r.Header.Get("Amz-Sdk-Invocation-Id"), action, string(body)) {
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
func (l *lossy) loses(call, action, body string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.calls++
	l.stats.writes++
	c := l.calls[call]
	if c == nil {
		c = &lostCall{deep: l.random.Float64() < l.deep, answer: body == l.pending}
		l.calls[call], l.pending = c, ""
	}
	if c.answer || c.lost > 0 && !c.deep {
		return false
	}
	if c.lost++; c.lost == 1 {
		l.stats.lost++
		l.stats.byAction[action]++
	}
	if c.deep {
		l.pending = body
		if c.lost == 2 {
			l.stats.deep++
		}
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

// actionOf reads the action of a call in one of AWS's query protocols.
func actionOf(body []byte) string {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return ""
	}
	return form.Get("Action")
}

func writes(action string) bool {
	return action != "" && !strings.HasPrefix(action, "Describe") && !strings.HasPrefix(action, "Get")
}
