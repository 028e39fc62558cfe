package gcp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// runLoad sends requests without pause and counts answers by version.
type runLoad struct {
	stop   context.CancelFunc
	done   sync.WaitGroup
	failed atomic.Int64
	first  atomic.Value // text of the first failure
	mu     sync.Mutex
	seen   map[string]int
}

// load begins to send requests. No one of them may fail until the test ends.
func (r *runRig) load(url string) *runLoad { return startLoad(r.t, url) }

func startLoad(t *testing.T, url string) *runLoad {
	ctx, stop := context.WithCancel(t.Context())
	l := &runLoad{stop: stop, seen: map[string]int{}}
	for range 3 {
		l.done.Go(func() { l.run(ctx, url) })
	}
	t.Cleanup(func() {
		l.end()
		if n := l.failed.Load(); n > 0 {
			t.Errorf("%d requests failed, the first: %v", n, l.first.Load())
		}
	})
	return l
}

func (l *runLoad) end() {
	l.stop()
	l.done.Wait()
}

func (l *runLoad) run(ctx context.Context, url string) {
	client := &http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	ticker := time.NewTicker(4 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		version, err := askVersion(client, url, "")
		if err != nil {
			l.failed.Add(1)
			l.first.CompareAndSwap(nil, err.Error())
			continue
		}
		l.mu.Lock()
		l.seen[version]++
		l.mu.Unlock()
	}
}

// askVersion asks a URL for its version, by the default client when none is given, and under another host name when one is.
func askVersion(client *http.Client, url, host string) (string, error) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	if host != "" {
		request.Host = host
	}
	if client == nil {
		client = http.DefaultClient
	}
	answer, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", answer.StatusCode)
	}
	var body struct{ Version string }
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		return "", err
	}
	return body.Version, nil
}

func (l *runLoad) count(version string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen[version]
}

// only waits until requests reach one version alone.
func (l *runLoad) only(t *testing.T, version string) {
	t.Helper()
	eventually(t, "traffic on "+version+" only", func() bool {
		l.mu.Lock()
		l.seen = map[string]int{}
		l.mu.Unlock()
		eventually(t, "some traffic on "+version, func() bool { return l.count(version) > 50 })
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.seen) == 1
	})
}
