package main

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestOrderlyEnd: Ctrl-C ends the simulated clouds with slipwayd, except while a
// deploy is open, which the next start carries on.
func TestOrderlyEnd(t *testing.T) {
	d := simulated(t, "SLIPWAY_SIMULATOR_INSTANCES=1")
	s := asgSite()
	d.savePipeline(s, "slow", 1, map[string]any{"strategy": "rolling", "maxSurge": 1})
	id := d.trigger("slow", map[string]any{"image": s.good})
	d.until(time.Minute, "the new server group", func() bool { return len(d.groups(s)) == 2 })
	clouds := d.sim.PID
	d.interrupt()
	d.start()
	if d.sim.PID != clouds {
		t.Fatalf("the deploy %s was open, and its clouds ended with slipwayd", id)
	}
	if e := d.await(id, 5*time.Minute); e.Status != "SUCCEEDED" {
		t.Errorf("execution %s is %s after the restart", id, e.Status)
	}
	d.interrupt()
	d.until(20*time.Second, "the simulator to end", func() bool {
		answer, err := http.Get(d.sim.Control + "/state")
		return err != nil || answer.Body.Close() != nil
	})
}

// interrupt ends the process as Ctrl-C does.
func (d *daemon) interrupt() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGINT); err != nil {
		d.t.Fatal(err)
	}
	if <-d.done; d.exit != nil {
		d.t.Fatalf("slipwayd ended with %v\n%s", d.exit, d.log())
	}
	if _, err := os.Stat(filepath.Join(d.dir, addressFile)); !errors.Is(err, os.ErrNotExist) {
		d.t.Errorf("%s outlives the process that it names: %v", addressFile, err)
	}
}

// TestStartsThatFail: what stands in the way is named, nothing is started, and
// the exit status tells a wrong command line from a machine in the wrong state.
func TestStartsThatFail(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	for name, test := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"unknown flag":         {[]string{"--simulat"}, 2, "--simulat"},
		"unknown command":      {[]string{"serve"}, 2, "serve"},
		"argument of simulate": {[]string{"simulator", "here"}, 2, "here"},
		"port in use":          {[]string{"--simulate", "--listen", taken.Addr().String()}, 1, "address already in use"},
		"no such port":         {[]string{"--simulate", "--listen", "127.0.0.1:99999"}, 1, "99999"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cmd := exec.CommandContext(t.Context(), path, append(test.args, "--data", dir)...)
			var output bytes.Buffer
			cmd.Stdout, cmd.Stderr = &output, &output
			err := cmd.Run()
			var ended *exec.ExitError
			if !errors.As(err, &ended) || ended.ExitCode() != test.status || !strings.Contains(output.String(), test.says) {
				t.Errorf("%v, want status %d and %q in\n%s", err, test.status, test.says, output.String())
			}
			if lines := strings.Count(strings.TrimSpace(output.String()), "\n") + 1; lines != 1 {
				t.Errorf("%d lines for one mistake:\n%s", lines, output.String())
			}
			if _, err := os.Stat(filepath.Join(dir, "simulator.log")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a simulator was started: %v", err)
			}
		})
	}
}
