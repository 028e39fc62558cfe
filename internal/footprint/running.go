package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	readyLimit = time.Minute
	stopLimit  = 30 * time.Second
)

// running is a subject that runs.
type running struct {
	subject subject
	// at is the last word of what it said when it was ready; the rest of the line
	// names what it serves.
	at, said string
	ready    time.Duration
	cmd      *exec.Cmd
	done     chan error
}

// launch starts a subject and returns when it is ready.
func launch(ctx context.Context, p place, s subject, temporal string) (r *running, err error) {
	log, err := os.OpenFile(p.log(s), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	r = &running{subject: s, cmd: exec.Command(p.binary(s), p.arguments(s, temporal)...), done: make(chan error, 1)}
	r.cmd.Stderr = log
	output, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.name, err)
	}
	line := make(chan string, 1)
	go func() {
		reader := bufio.NewReader(output)
		first, _ := reader.ReadString('\n') // an end before it shows in done
		line <- first
		_, copied := io.Copy(io.Discard, reader)
		r.done <- errors.Join(copied, r.cmd.Wait())
	}()
	select {
	case r.said = <-line:
		r.ready = time.Since(began)
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), r.stop())
	case <-time.After(readyLimit):
		return nil, errors.Join(fmt.Errorf("%s was not ready within %s; see %s", s.name, readyLimit, p.log(s)), r.stop())
	}
	if err := r.check(ctx); err != nil {
		tail, _ := os.ReadFile(p.log(s)) // what is there of it helps
		return nil, errors.Join(fmt.Errorf("start %s: %w\n%s", s.name, err, tail), r.stop())
	}
	return r, nil
}

// check finds the address in what was said, and asks for an answer where there
// is an HTTP server.
func (r *running) check(ctx context.Context) error {
	words := strings.Fields(r.said)
	if len(words) == 0 {
		return errors.New("it ended without a word")
	}
	r.at = words[len(words)-1]
	for _, word := range words {
		if !strings.HasPrefix(word, "http://") {
			continue
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, word+"/version", nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		if answer.StatusCode != http.StatusOK {
			err = fmt.Errorf("get %s: %s", request.URL, answer.Status)
		}
		return errors.Join(err, answer.Body.Close())
	}
	return nil
}

// stop ends a subject in an orderly way.
func (r *running) stop() error {
	err := r.cmd.Process.Signal(syscall.SIGTERM)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	select {
	case ended := <-r.done:
		return errors.Join(err, ended)
	case <-time.After(stopLimit):
		return errors.Join(err, fmt.Errorf("%s did not end within %s", r.subject.name, stopLimit), r.cmd.Process.Kill(), <-r.done)
	}
}
