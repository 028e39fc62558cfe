package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/slipway-cd/slipway/api"
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers"
	"github.com/slipway-cd/slipway/store"
	"github.com/slipway-cd/slipway/workflows"
	"github.com/slipway-cd/slipway/workflows/embedded"
)

// application is the application of all pipelines here.
const application = "storefront"

// system is one process's worth of Slipway, wired as cmd/slipwayd does it, with
// a connection to its Temporal server beside it.
type system struct {
	dir      string
	url      string
	temporal client.Client
	records  *store.Store
	ends     *ends
	http     *http.Client
	open     []func() error
}

// start starts a system in a new folder. poll is the worker's.
func start(ctx context.Context, targets *providers.Registry, poll workflows.Poll) (s *system, err error) {
	s = &system{ends: &ends{waiting: map[delivery.ExecutionID]chan struct{}{}},
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.dir, err = os.MkdirTemp("", "slipway-bench"); err != nil {
		return s, err
	}
	s.add(func() error { return os.RemoveAll(s.dir) })
	if s.records, err = store.Open(ctx, store.Config{Path: filepath.Join(s.dir, "slipway.db")}); err != nil {
		return s, err
	}
	s.add(s.records.Close)
	if err := s.startEngine(ctx, targets, poll); err != nil {
		return s, err
	}
	now := time.Now()
	return s, s.records.SaveApplication(ctx, delivery.Application{Name: application, CreatedAt: now, UpdatedAt: now,
		Attributes: json.RawMessage(`{"name":"` + application + `"}`)})
}

func (s *system) startEngine(ctx context.Context, targets *providers.Registry, poll workflows.Poll) error {
	quiet := slog.New(slog.DiscardHandler)
	server, err := embedded.Start(ctx, embedded.Config{Dir: filepath.Join(s.dir, "temporal"), Logger: quiet})
	if err != nil {
		return err
	}
	s.add(server.Stop)
	options := server.ClientOptions()
	options.Logger = sdklog.NewStructuredLogger(quiet)
	if s.temporal, err = client.DialContext(ctx, options); err != nil {
		return err
	}
	s.add(func() error { s.temporal.Close(); return nil })
	engine := workflows.NewClient(s.temporal, s.records)
	worker := workflows.NewWorker(engine, workflows.Dependencies{Targets: targets, Logger: quiet, Poll: poll,
		Store: watchedStore{s.records, s.ends}})
	if err := worker.Start(ctx); err != nil {
		return err
	}
	s.add(func() error { worker.Stop(); return nil })
	s.startOutbox(engine)
	answers := api.New(api.Dependencies{Store: s.records, Engine: engine, Targets: targets, Logger: quiet})
	s.url, err = s.serve(answers.HTTPServer(answers.Handler()))
	return err
}

func (s *system) startOutbox(engine *workflows.Client) {
	starter := workflows.NewStarter(engine, s.records, workflows.StarterOptions{Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	changes, unsubscribe := s.records.Subscribe()
	var done sync.WaitGroup
	done.Go(func() { starter.Run(ctx) })
	done.Go(func() {
		for {
			select {
			case <-changes:
				starter.Notify()
			case <-ctx.Done():
				return
			}
		}
	})
	s.add(func() error {
		cancel()
		unsubscribe()
		done.Wait()
		return nil
	})
}

// serve serves on a loopback port until the system closes.
func (s *system) serve(server *http.Server) (url string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	s.add(func() error {
		err := server.Close()
		if ended := <-failed; !errors.Is(ended, http.ErrServerClosed) {
			err = errors.Join(err, ended)
		}
		return err
	})
	return "http://" + listener.Addr().String(), nil
}

func (s *system) add(end func() error) { s.open = append(s.open, end) }

func (s *system) close() error {
	var err error
	for i := len(s.open) - 1; i >= 0; i-- {
		err = errors.Join(err, s.open[i]())
	}
	s.open = nil
	return err
}

// savePipeline saves a pipeline of the application.
func (s *system) savePipeline(ctx context.Context, name string, document json.RawMessage) error {
	_, err := s.records.SavePipeline(ctx, delivery.Pipeline{Application: application, Name: name, Document: document,
		UpdatedAt: time.Now()}, delivery.PipelineExpectation{})
	return err
}

// trigger triggers a pipeline over HTTP and returns how long the 202 took.
func (s *system) trigger(ctx context.Context, pipeline, body string) (delivery.ExecutionID, time.Duration, error) {
	began := time.Now()
	raw, err := post(ctx, s.http, s.url+"/pipelines/"+application+"/"+pipeline, body)
	took := time.Since(began)
	if err != nil {
		return "", took, err
	}
	var answer struct{ Ref string }
	if err := json.Unmarshal(raw, &answer); err != nil {
		return "", took, fmt.Errorf("read answer %s: %w", raw, err)
	}
	return delivery.ExecutionID(path.Base(answer.Ref)), took, nil
}

// post posts JSON and returns the body of a 2xx answer.
func post(ctx context.Context, c *http.Client, url, body string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := c.Do(request)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return nil, err
	}
	if answer.StatusCode/100 != 2 {
		return nil, fmt.Errorf("post %s: %s: %s", url, answer.Status, raw)
	}
	return raw, nil
}

// finish waits until the execution is recorded as complete and its workflow has
// closed, and fails when it did not succeed.
func (s *system) finish(ctx context.Context, id delivery.ExecutionID) error {
	if err := s.ends.wait(ctx, id); err != nil {
		return fmt.Errorf("wait for execution %s: %w", id, err)
	}
	if err := s.temporal.GetWorkflow(ctx, id.WorkflowID(), "").Get(ctx, nil); err != nil {
		return fmt.Errorf("wait for workflow of execution %s: %w", id, err)
	}
	return nil
}

// ends knows which executions have succeeded. It costs nothing while they run,
// where asking the API again and again would be part of what is measured.
type ends struct {
	mu      sync.Mutex
	waiting map[delivery.ExecutionID]chan struct{}
}

// of returns the channel that is closed at the execution's end.
func (e *ends) of(id delivery.ExecutionID) chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	c, ok := e.waiting[id]
	if !ok {
		c = make(chan struct{})
		e.waiting[id] = c
	}
	return c
}

func (e *ends) wait(ctx context.Context, id delivery.ExecutionID) error {
	select {
	case <-e.of(id):
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.waiting, id)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watchedStore is the store, telling which executions have succeeded.
type watchedStore struct {
	*store.Store
	ends *ends
}

// ProjectExecution is the store's.
func (w watchedStore) ProjectExecution(ctx context.Context, e delivery.Execution, events []delivery.Event) (bool, error) {
	stored, err := w.Store.ProjectExecution(ctx, e, events)
	if stored && e.Status == delivery.StatusSucceeded {
		close(w.ends.of(e.ID))
	}
	return stored, err
}
