package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/simcloud/simulator"
)

// binDir is where the tests' binary is built.
var binDir string

// binary builds slipwayd once for all tests of the process.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binDir, "slipwayd")
	out, err := exec.Command("go", "build", "-tags", "disable_grpc_modules", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build slipwayd: %w\n%s", err, out)
	}
	return path, nil
})

// sideBySide is how many live tests run at once, unless -parallel says it: they wait
// for the clock more than they compute.
const sideBySide = "4"

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	var err error
	if !given {
		err = flag.Set("test.parallel", sideBySide)
	}
	if err != nil {
		panic(err)
	}
	if binDir, err = os.MkdirTemp("", "slipwayd"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(binDir)
	os.Exit(code)
}

// daemon is a slipwayd of its own data folder, run as a user would.
type daemon struct {
	t   *testing.T
	dir string
	env []string
	cmd *exec.Cmd
	url string
	// done is closed when the process has ended, with exit as its result.
	done chan struct{}
	exit error
	sim  simulator.Endpoints
}

// simulated starts slipwayd --simulate in a new folder. env is added to the
// environment. The process and its simulator are ended with the test.
func simulated(t *testing.T, env ...string) *daemon {
	t.Helper()
	d := &daemon{t: t, dir: t.TempDir(), env: env}
	d.start()
	t.Cleanup(d.stop)
	return d
}

// start starts the process and waits until it serves.
func (d *daemon) start() {
	d.t.Helper()
	path, err := binary()
	if err != nil {
		d.t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(d.dir, addressFile))
	log, err := os.OpenFile(filepath.Join(d.dir, "test.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close()
	d.cmd = exec.Command(path, "--simulate", "--data", d.dir, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0")
	d.cmd.Env = append(os.Environ(), d.env...)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan<- struct{}) {
		d.exit = cmd.Wait()
		close(done)
	}(d.cmd, d.done)
	d.until(time.Minute, "slipwayd to serve", func() bool {
		select {
		case <-d.done:
			d.t.Fatalf("slipwayd ended: %v\n%s", d.exit, d.log())
		default:
		}
		raw, err := os.ReadFile(filepath.Join(d.dir, addressFile))
		if err != nil {
			return false
		}
		var at addresses
		if json.Unmarshal(raw, &at) != nil || at.PID != d.cmd.Process.Pid {
			return false
		}
		d.url = at.API
		answer, err := http.Get(d.url + "/health")
		if err != nil {
			return false
		}
		return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
	})
	raw, err := os.ReadFile(filepath.Join(d.dir, simulator.EndpointsFile))
	if err != nil {
		d.t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &d.sim); err != nil {
		d.t.Fatal(err)
	}
}

// kill ends the process as a crash does.
func (d *daemon) kill() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		d.t.Fatal(err)
	}
	<-d.done
}

// stop ends the process in an orderly way, and the simulator with it.
func (d *daemon) stop() {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(30 * time.Second):
		_ = d.cmd.Process.Kill()
		<-d.done
		d.t.Errorf("slipwayd did not end within 30 s of SIGTERM\n%s", d.log())
	}
	// The orderly end should have stopped the simulator; a killed process could not. Once
	// its file is gone the port may be another one's.
	if _, err := os.Stat(filepath.Join(d.dir, simulator.EndpointsFile)); err == nil {
		if answer, err := http.Post(d.sim.Control+"/stop", "application/json", nil); err == nil {
			_ = answer.Body.Close()
		}
	}
	if d.t.Failed() {
		d.t.Logf("slipwayd's log:\n%s", d.log())
	}
}

func (d *daemon) log() string {
	out := ""
	for _, name := range []string{"test.log", "simulator.log"} {
		raw, err := os.ReadFile(filepath.Join(d.dir, name))
		if err != nil {
			continue
		}
		if len(raw) > 8000 {
			raw = raw[len(raw)-8000:]
		}
		out += "--- " + name + "\n" + string(raw)
	}
	return out
}

// until waits for a condition.
func (d *daemon) until(limit time.Duration, what string, holds func() bool) {
	d.t.Helper()
	d.untilEvery(50*time.Millisecond, limit, what, holds)
}

// untilGroups waits for a condition on the server groups. It looks once a
// second: each look reads the cloud.
func (d *daemon) untilGroups(s site, limit time.Duration, what string, holds func(map[string]groupView) bool) {
	d.t.Helper()
	d.untilEvery(time.Second, limit, what, func() bool { return holds(d.groups(s)) })
}

func (d *daemon) untilEvery(interval, limit time.Duration, what string, holds func() bool) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), limit)
	defer cancel()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			d.t.Fatalf("waited %s for %s\n%s", limit, what, d.log())
		case <-ticker.C:
		}
	}
}

// call makes a request and decodes the answer's JSON when into is not nil.
func (d *daemon) call(method, url string, body, into any) (status int, raw []byte) {
	d.t.Helper()
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			d.t.Fatal(err)
		}
		reader = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(d.t.Context(), method, url, reader)
	if err != nil {
		d.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Cache-Control", "no-cache")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		d.t.Fatalf("%s %s: %v", method, url, err)
	}
	raw, err = io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		d.t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(raw, into); err != nil {
			d.t.Fatalf("%s %s: %v in %s", method, url, err, raw)
		}
	}
	return answer.StatusCode, raw
}

// getJSON is call for goroutines, which must not end the test.
func getJSON(url string, into any) bool {
	answer, err := http.Get(url)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK && json.NewDecoder(answer.Body).Decode(into) == nil
}

// execution is what the tests read of an execution.
type execution struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Stages []struct {
		Type    string          `json:"type"`
		Status  string          `json:"status"`
		Context json.RawMessage `json:"context"`
	} `json:"stages"`
}

// trigger starts a pipeline of the application storefront and returns the execution's id.
func (d *daemon) trigger(pipeline string, parameters map[string]any) string {
	d.t.Helper()
	return d.startWith(pipeline, map[string]any{"type": "manual", "parameters": parameters})
}

// startWith does the same with any body.
func (d *daemon) startWith(pipeline string, body map[string]any) string {
	d.t.Helper()
	var ref struct{ Ref string }
	status, raw := d.call(http.MethodPost, d.url+"/pipelines/storefront/"+pipeline, body, &ref)
	if status != http.StatusAccepted {
		d.t.Fatalf("trigger %s: %d %s", pipeline, status, raw)
	}
	return ref.Ref[strings.LastIndex(ref.Ref, "/")+1:]
}

// execution reads an execution.
func (d *daemon) execution(id string) execution {
	d.t.Helper()
	var e execution
	if status, raw := d.call(http.MethodGet, d.url+"/pipelines/"+id, nil, &e); status != http.StatusOK {
		d.t.Fatalf("read execution %s: %d %s", id, status, raw)
	}
	return e
}

// await waits until an execution is over and returns it.
func (d *daemon) await(id string, limit time.Duration) (e execution) {
	d.t.Helper()
	d.until(limit, "execution "+id+" to end", func() bool {
		e = d.execution(id)
		switch e.Status {
		case "NOT_STARTED", "RUNNING", "PAUSED":
			return false
		}
		return true
	})
	d.tellEnds(id)
	return e
}

// tellEnds waits until an execution's deployments are over and tells the
// simulator's auditor: no write of theirs may follow.
func (d *daemon) tellEnds(id string) {
	d.t.Helper()
	type deployment struct{ ID, Status string }
	var all []deployment
	d.until(5*time.Minute, "the deployments of "+id+" to end", func() bool {
		d.call(http.MethodGet, d.url+"/executions/"+id+"/deployments", nil, &all)
		return !slices.ContainsFunc(all, func(x deployment) bool {
			return slices.Contains([]string{"QUEUED", "RUNNING", "PAUSED", "ROLLING_BACK"}, x.Status)
		})
	})
	for _, x := range all {
		if status, raw := d.call(http.MethodPost, d.sim.Control+"/audit/terminal", map[string]string{"deployment": x.ID}, nil); status/100 != 2 {
			d.t.Fatalf("tell the auditor: %d %s", status, raw)
		}
	}
}

// violation is one finding of the simulator's auditor.
type violation struct {
	Invariant string `json:"invariant"`
	Seq       int64  `json:"seq"`
	Message   string `json:"message"`
}

// simulatorEvent is what the tests read of the simulator's log.
type simulatorEvent struct {
	Seq        int64             `json:"seq"`
	Kind       string            `json:"kind"`
	Type       string            `json:"type"`
	Name       string            `json:"name"`
	Action     string            `json:"action"`
	Tags       map[string]string `json:"tags"`
	Deployment string            `json:"deployment"`
}

// events returns the simulator's events after a sequence number.
func (d *daemon) events(after int64) []simulatorEvent {
	d.t.Helper()
	var all []simulatorEvent
	for {
		var page struct {
			Events []simulatorEvent `json:"events"`
		}
		if status, raw := d.call(http.MethodGet, fmt.Sprintf("%s/log?after=%d", d.sim.Control, after), nil, &page); status != http.StatusOK {
			d.t.Fatalf("read log: %d %s", status, raw)
		}
		if len(page.Events) == 0 {
			return all
		}
		all = append(all, page.Events...)
		after = page.Events[len(page.Events)-1].Seq
	}
}

// groupView is a server group as the API shows it.
type groupView struct {
	Name     string         `json:"name"`
	Account  string         `json:"account"`
	Region   string         `json:"region"`
	Capacity map[string]int `json:"capacity"`
	Disabled bool           `json:"isDisabled"`
	Counts   map[string]int `json:"instanceCounts"`
	Build    struct {
		Images []string `json:"images"`
	} `json:"buildInfo"`
}

// groups returns the server groups of a site's cluster, by name. It asks again while the
// cloud refuses: its request limits are as tight as real ones, and the deploy goes first.
func (d *daemon) groups(s site) map[string]groupView {
	d.t.Helper()
	var status int
	var raw []byte
	d.untilEvery(time.Second, time.Minute, "the cloud to list its server groups", func() bool {
		status, raw = d.call(http.MethodGet, d.url+"/applications/storefront/serverGroups", nil, nil)
		return status != http.StatusTooManyRequests
	})
	var list []groupView
	if err := json.Unmarshal(raw, &list); err != nil || status != http.StatusOK {
		d.t.Fatalf("list server groups: %d %s", status, raw)
	}
	out := map[string]groupView{}
	for _, g := range list {
		if g.Region == s.region && g.Account == s.account && strings.HasPrefix(g.Name, s.cluster+"-v") {
			out[g.Name] = g
		}
	}
	return out
}
