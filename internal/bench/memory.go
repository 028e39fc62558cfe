package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// settleStep is the pause between two readings of the memory, and it has
	// settled when settleReadings of them lie within settleSpan KiB.
	settleStep     = 500 * time.Millisecond
	settleReadings = 20
	settleSpan     = 1024
	settleLimit    = 2 * time.Minute
)

// benchMemory measures the real binary: idle, and with executions that wait.
func benchMemory(ctx context.Context, s settings, out io.Writer) (err error) {
	d, err := startDaemon(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	idle, err := d.settled(ctx)
	if err != nil {
		return err
	}
	document := waits("parked", 1, 3600)
	if _, err := post(ctx, http.DefaultClient, d.url+"/pipelines", string(document)); err != nil {
		return err
	}
	began := time.Now()
	for range s.parked {
		if _, err := post(ctx, http.DefaultClient, d.url+"/pipelines/"+application+"/parked", "{}"); err != nil {
			return err
		}
	}
	accepted := time.Since(began)
	if err := d.awaitRunning(ctx, s.parked); err != nil {
		return err
	}
	running := time.Since(began)
	parked, err := d.settled(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Memory of slipwayd (VmRSS; in parentheses without the mapped binary, RssAnon)\n")
	t := newTable(out)
	t.row("idle", idle.String())
	t.row(fmt.Sprintf("%d executions in a wait stage", s.parked), parked.String())
	t.row("each execution", fmt.Sprintf("%.0f KiB", float64(parked.rss-idle.rss)/float64(s.parked)))
	t.row("accepted one by one", fmt.Sprintf("%.1f s; all running after %.1f s", accepted.Seconds(), running.Seconds()))
	return t.flush()
}

// memory is resident memory in KiB.
type memory struct{ rss, anonymous int }

func (m memory) String() string {
	return fmt.Sprintf("%.0f MiB (%.0f)", float64(m.rss)/1024, float64(m.anonymous)/1024)
}

// daemon is a running slipwayd in a folder of its own.
type daemon struct {
	dir, url, control string
	cmd               *exec.Cmd
	done              chan error
}

// startDaemon builds slipwayd as the Makefile does and starts it.
func startDaemon(ctx context.Context) (*daemon, error) {
	dir, err := os.MkdirTemp("", "slipway-bench")
	if err != nil {
		return nil, err
	}
	d := &daemon{dir: dir, done: make(chan error, 1)}
	binary := filepath.Join(dir, "slipwayd")
	build := exec.CommandContext(ctx, "go", "build", "-tags", "disable_grpc_modules", "-ldflags", "-s -w", "-o", binary, "./cmd/slipwayd")
	if output, err := build.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("build slipwayd: %w\n%s", err, output), os.RemoveAll(dir))
	}
	log, err := os.Create(filepath.Join(dir, "slipwayd.log"))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	d.cmd = exec.Command(binary, "--simulate", "--data", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0")
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := errors.Join(d.cmd.Start(), log.Close()); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	go func() { d.done <- d.cmd.Wait() }()
	if err := d.ready(ctx); err != nil {
		tail, _ := os.ReadFile(log.Name()) // what is there of it helps
		return nil, errors.Join(fmt.Errorf("%w\n%s", err, tail), d.stop())
	}
	return d, nil
}

// ready waits until the API answers.
func (d *daemon) ready(ctx context.Context) error {
	return poll(ctx, time.Minute, "slipwayd to serve", func() (bool, error) {
		select {
		case err := <-d.done:
			d.done <- err
			return false, fmt.Errorf("slipwayd ended: %w", err)
		default:
		}
		var at struct{ API string }
		var simulator struct{ Control string }
		if !readJSON(filepath.Join(d.dir, "data", "slipwayd.json"), &at) || !readJSON(filepath.Join(d.dir, "data", "simulator.json"), &simulator) {
			return false, nil
		}
		d.url, d.control = at.API, simulator.Control
		answer, err := http.Get(d.url + "/health")
		if err != nil {
			return false, nil
		}
		return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK, nil
	})
}

func readJSON(path string, into any) bool {
	raw, err := os.ReadFile(path)
	return err == nil && json.Unmarshal(raw, into) == nil
}

// awaitRunning waits until so many executions run.
func (d *daemon) awaitRunning(ctx context.Context, n int) error {
	return poll(ctx, 5*time.Minute, "the executions to run", func() (bool, error) {
		answer, err := http.Get(d.url + "/applications/" + application + "/pipelines?expand=false&limit=1000&statuses=RUNNING")
		if err != nil {
			return false, err
		}
		defer answer.Body.Close()
		var list []struct {
			Stages []struct{ Status string }
		}
		if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
			return false, fmt.Errorf("read executions: %w", err)
		}
		return len(list) >= n, nil
	})
}

// settled reads the memory once it has stopped to change.
func (d *daemon) settled(ctx context.Context) (memory, error) {
	var last []int
	var now memory
	deadline := time.Now().Add(settleLimit)
	err := poll(ctx, 2*settleLimit, "the memory to settle", func() (bool, error) {
		status := fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid)
		var err error
		if now.rss, err = kibibytes(procLine(status, "VmRSS")); err != nil {
			return false, err
		}
		if now.anonymous, err = kibibytes(procLine(status, "RssAnon")); err != nil {
			return false, err
		}
		if last = append(last, now.rss); len(last) > settleReadings {
			last = last[1:]
		}
		still := len(last) == settleReadings && slices.Max(last)-slices.Min(last) <= settleSpan
		return still || time.Now().After(deadline), nil
	})
	return now, err
}

// kibibytes reads "1234 kB".
func kibibytes(text string) (int, error) {
	return strconv.Atoi(strings.TrimSuffix(text, " kB"))
}

// poll asks again and again until it holds.
func poll(ctx context.Context, limit time.Duration, what string, holds func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(settleStep)
	defer ticker.Stop()
	for {
		if ok, err := holds(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited for %s: %w", what, ctx.Err())
		case <-ticker.C:
		}
	}
}

// stop ends slipwayd, the simulator it started, and removes the folder.
func (d *daemon) stop() error {
	err := d.cmd.Process.Signal(syscall.SIGTERM)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	select {
	case ended := <-d.done:
		err = errors.Join(err, ended)
	case <-time.After(30 * time.Second):
		err = errors.Join(err, fmt.Errorf("slipwayd did not end within 30 s"), d.cmd.Process.Kill(), <-d.done)
	}
	if d.control != "" {
		// The orderly end has stopped the simulator; after another end it still runs.
		if answer, stopErr := http.Post(d.control+"/stop", "application/json", nil); stopErr == nil {
			err = errors.Join(err, answer.Body.Close())
		}
	}
	return errors.Join(err, os.RemoveAll(d.dir))
}
