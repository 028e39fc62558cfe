// Package loadgen sends open-loop load to a loopback address and counts what a
// user would call a failure. Open loop means that a request is sent when it is
// due, whether or not earlier ones were answered: a closed loop would hide the
// very stalls it should find.
package loadgen

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// Config says what to send.
type Config struct {
	// URL must point to a loopback address.
	URL string
	// Rate is requests per second.
	Rate int
	// Header is sent with each request; nil sends none. Its Host is asked for at URL.
	Header http.Header
	// Timeout is how long an answer may take before it counts as failed; 10 s when 0:
	// a machine that many tests share stalls for seconds, which drops nothing.
	Timeout time.Duration
}

// maxInFlight bounds the requests that wait for an answer; one more is counted
// as failed without being sent.
const maxInFlight = 4096

// Failure is one request that a user would complain about.
type Failure struct {
	At   time.Time
	What string
}

// Result is what happened so far.
type Result struct {
	Sent, Failed int
	// Failures are the first hundred.
	Failures []Failure
	// ByVersion counts the answers by the version that gave them.
	ByVersion map[string]int
	// P50 and P99 are latencies of answered requests.
	P50, P99 time.Duration
}

// String is one line for people.
func (r Result) String() string {
	return fmt.Sprintf("%d requests, %d failed, by version %v, p50 %s, p99 %s", r.Sent, r.Failed, r.ByVersion,
		r.P50.Round(100*time.Microsecond), r.P99.Round(100*time.Microsecond))
}

// Load is running load.
type Load struct {
	config Config
	stop   context.CancelFunc
	done   sync.WaitGroup
	// every second request reuses connections, every other one opens its own
	reusing, fresh *http.Client

	mu        sync.Mutex
	result    Result
	inFlight  int
	latencies []time.Duration
}

// Start begins to send until Stop is called or ctx ends.
func Start(ctx context.Context, config Config) (*Load, error) {
	if err := loopbackOnly(config.URL); err != nil {
		return nil, err
	}
	if config.Timeout == 0 {
		config.Timeout = 10 * time.Second
	}
	ctx, stop := context.WithCancel(ctx)
	l := &Load{config: config, stop: stop, result: Result{ByVersion: map[string]int{}},
		reusing: &http.Client{Timeout: config.Timeout, Transport: &http.Transport{MaxIdleConnsPerHost: 256}},
		fresh:   &http.Client{Timeout: config.Timeout, Transport: &http.Transport{DisableKeepAlives: true}}}
	l.done.Add(1)
	go l.send(ctx)
	return l, nil
}

func loopbackOnly(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return fmt.Errorf("parse load URL: %w", err)
	}
	if ip := net.ParseIP(u.Hostname()); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("load goes to loopback addresses only, not to %s", u.Hostname())
	}
	return nil
}

// Stop ends the load, waits for the answers that are due and returns the result.
func (l *Load) Stop() Result {
	l.stop()
	l.done.Wait()
	l.reusing.CloseIdleConnections()
	return l.Snapshot()
}

// Snapshot returns the result so far.
func (l *Load) Snapshot() Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.result
	r.Failures = slices.Clone(r.Failures)
	r.ByVersion = make(map[string]int, len(l.result.ByVersion))
	for v, n := range l.result.ByVersion {
		r.ByVersion[v] = n
	}
	if n := len(l.latencies); n > 0 {
		sorted := slices.Sorted(slices.Values(l.latencies))
		r.P50, r.P99 = sorted[n/2], sorted[n*99/100]
	}
	return r
}

// send starts each request when it is due, several at once after a stall of
// this process, so that the rate holds.
func (l *Load) send(ctx context.Context) {
	defer l.done.Done()
	began, sent := time.Now(), 0
	ticker := time.NewTicker(max(time.Millisecond, time.Second/time.Duration(l.config.Rate)))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for due := int(time.Since(began).Seconds() * float64(l.config.Rate)); sent < due; sent++ {
			l.one(sent)
		}
	}
}

func (l *Load) one(n int) {
	l.mu.Lock()
	l.result.Sent++
	full := l.inFlight >= maxInFlight
	if !full {
		l.inFlight++
	}
	l.mu.Unlock()
	if full {
		l.fail("not sent: too many requests wait for an answer")
		return
	}
	client := l.reusing
	if n%2 == 1 {
		client = l.fresh
	}
	l.done.Add(1)
	go func() {
		defer l.done.Done()
		began := time.Now()
		version, err := get(client, l.config)
		took := time.Since(began)
		l.mu.Lock()
		l.inFlight--
		if err == nil {
			l.result.ByVersion[version]++
			l.latencies = append(l.latencies, took)
		}
		l.mu.Unlock()
		if err != nil {
			l.fail(err.Error())
		}
	}()
}

func (l *Load) fail(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.result.Failed++
	if len(l.result.Failures) < 100 {
		l.result.Failures = append(l.result.Failures, Failure{At: time.Now(), What: what})
	}
}

// get returns the version that answered.
func get(client *http.Client, config Config) (version string, err error) {
	request, err := http.NewRequest(http.MethodGet, config.URL, nil)
	if err != nil {
		return "", err
	}
	if config.Header != nil {
		request.Header, request.Host = config.Header, config.Header.Get("Host")
	}
	answer, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<16))
	if err != nil {
		return "", fmt.Errorf("read answer: %w", err)
	}
	if answer.StatusCode/100 != 2 {
		return "", fmt.Errorf("status %s: %s", answer.Status, body)
	}
	var who struct{ Version string }
	if err := json.Unmarshal(body, &who); err != nil {
		return "", fmt.Errorf("decode answer: %w", err)
	}
	return who.Version, nil
}
