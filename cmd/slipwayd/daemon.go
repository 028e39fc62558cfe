package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/slipway-cd/slipway/api"
	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/integrations/egress"
	"github.com/slipway-cd/slipway/providers"
	"github.com/slipway-cd/slipway/store"
	"github.com/slipway-cd/slipway/workflows"
	"github.com/slipway-cd/slipway/workflows/embedded"
)

// What lies in the data folder.
const (
	lockFile       = "slipwayd.lock"
	addressFile    = "slipwayd.json"
	storeFile      = "slipway.db"
	temporalFolder = "temporal"
)

// shutdownTimeout is how long open requests may take to end. Deploys need none:
// they go on with the next start.
const shutdownTimeout = 5 * time.Second

// addresses is slipwayd.json: where this process listens.
type addresses struct {
	PID     int    `json:"pid"`
	API     string `json:"api"`
	Metrics string `json:"metrics"`
}

// closers ends the parts of a process in the reverse order of their start.
type closers struct{ parts []func() error }

func (c *closers) add(f func() error) { c.parts = append(c.parts, f) }

func (c *closers) close() error {
	var err error
	for i := len(c.parts) - 1; i >= 0; i-- {
		err = errors.Join(err, c.parts[i]())
	}
	c.parts = nil
	return err
}

// serve runs the process until ctx ends.
func serve(ctx context.Context, s settings, logger *slog.Logger) (err error) {
	var open closers
	defer func() { err = errors.Join(err, open.close()) }()
	if err := lockData(s.Data, &open); err != nil {
		return err
	}
	// Before anything is started: a port in use is told at once and stops nothing
	// that others use. Who connects meanwhile waits in the listener's queue.
	listeners, err := bind(s, &open)
	if err != nil {
		return err
	}
	var demo *simulation
	if s.Simulate {
		if demo, err = joinSimulator(ctx, &s, logger, &open); err != nil {
			return err
		}
	}
	targets, err := providers.Open(ctx, s.Accounts)
	if err != nil {
		return err
	}
	outside, err := egress.New(s.Egress)
	if err != nil {
		return err
	}
	records, err := store.Open(ctx, store.Config{Path: filepath.Join(s.Data, storeFile)})
	if err != nil {
		return err
	}
	open.add(records.Close)
	background(&open, func(ctx context.Context) { forgetAnswers(ctx, records, logger) })
	if s.Simulate {
		if err := seed(ctx, records); err != nil {
			return err
		}
	}
	client, err := dialEngine(ctx, s, records, logger, &open)
	if err != nil {
		return err
	}
	ready := func(ctx context.Context) error { _, err := records.Applications(ctx); return err }
	server := api.New(api.Dependencies{Store: records, Engine: client, Targets: targets, Version: version, Logger: logger, Ready: ready})
	deps := workflows.Dependencies{Targets: targets, Metrics: targets, Store: measuredStore{plannedStore{records, logger}, server}, HTTP: outside, Logger: logger,
		Poll: workflows.Poll{Min: min(s.Poll, time.Second), Max: s.Poll}, OnCall: func(c workflows.Call) { server.TargetCalled(c.Operation, c.Cluster, c.Err, c.Took) }}
	if err := startWorker(ctx, client, records, deps, &open); err != nil {
		return err
	}
	failed := listeners.serve(server, &open)
	at := listeners.addresses()
	if err := writeAddresses(s.Data, at, &open); err != nil {
		return err
	}
	greet(os.Stdout, at, demo)
	select {
	case <-ctx.Done():
		logger.Info("stopping; open deploys go on with the next start")
		if demo != nil {
			demo.decideStay(ctx, records)
		}
		return nil
	case err := <-failed:
		return err
	}
}

// lockData makes the data folder and keeps other processes out of it.
func lockData(dir string, open *closers) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return delivery.Errorf(delivery.Unavailable, "data folder %s cannot be made: %w", dir, err)
	}
	lock := flock.New(filepath.Join(dir, lockFile))
	held, err := lock.TryLock()
	if err != nil {
		return delivery.Errorf(delivery.Unavailable, "data folder %s cannot be used: %w", dir, err)
	}
	if !held {
		return delivery.Errorf(delivery.Unavailable, "data folder %s is in use by another slipwayd; stop it or choose another folder with --data", dir)
	}
	open.add(lock.Unlock)
	return nil
}

// Answers to requests with an Idempotency-Key are kept for answersKept: longer
// than any client repeats a request.
const (
	answersKept    = 7 * 24 * time.Hour
	forgetInterval = time.Hour
)

// forgetAnswers removes old answers until ctx ends.
func forgetAnswers(ctx context.Context, records *store.Store, logger *slog.Logger) {
	ticker := time.NewTicker(forgetInterval)
	defer ticker.Stop()
	for {
		if _, err := records.ForgetResponses(ctx, time.Now().Add(-answersKept)); err != nil && ctx.Err() == nil {
			logger.Warn("old answers were not removed", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// measuredStore counts the executions that end.
type measuredStore struct {
	plannedStore
	server *api.Server
}

// ProjectExecution records a projection, as the store does.
func (m measuredStore) ProjectExecution(ctx context.Context, e delivery.Execution, events []delivery.Event) (bool, error) {
	stored, err := m.Store.ProjectExecution(ctx, e, events)
	if stored && e.Status.Complete() {
		m.server.ExecutionEnded(e.Status)
	}
	return stored, err
}

// dialEngine starts the Temporal server and connects to it.
func dialEngine(ctx context.Context, s settings, records *store.Store, logger *slog.Logger, open *closers) (*workflows.Client, error) {
	server, err := embedded.Start(ctx, embedded.Config{Dir: filepath.Join(s.Data, temporalFolder), Logger: logger})
	if err != nil {
		return nil, err
	}
	open.add(server.Stop)
	client, err := workflows.Dial(ctx, server.ClientOptions(), records, logger)
	if err != nil {
		return nil, err
	}
	open.add(func() error { client.Close(); return nil })
	return client, nil
}

// schedulesLook is how often pipelines that were saved get their schedules.
const schedulesLook = time.Second

// startWorker lets the worker and what starts executions work.
func startWorker(ctx context.Context, client *workflows.Client, records *store.Store, deps workflows.Dependencies, open *closers) error {
	worker := workflows.NewWorker(client, deps)
	if err := worker.Start(ctx); err != nil {
		return err
	}
	open.add(func() error { worker.Stop(); return nil })
	starter := workflows.NewStarter(client, records, workflows.StarterOptions{Logger: deps.Logger})
	background(open, starter.Run)
	follower := workflows.NewFollower(plannedStore{records, deps.Logger}, 0, deps.Logger)
	background(open, follower.Run)
	background(open, workflows.NewScheduler(client, records, schedulesLook, deps.Logger).Run)
	background(open, func(ctx context.Context) {
		changes, cancel := records.Subscribe()
		defer cancel()
		for {
			select {
			case <-changes:
				starter.Notify()
				follower.Notify()
			case <-ctx.Done():
				return
			}
		}
	})
	return nil
}

// background runs f until the process closes.
func background(open *closers, f func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { f(ctx) })
	open.add(func() error {
		cancel()
		done.Wait()
		return nil
	})
}

// listeners are the two that a process has.
type listeners struct{ api, metrics net.Listener }

func bind(s settings, open *closers) (listeners, error) {
	var bound listeners
	for _, l := range []struct {
		flag, address string
		to            *net.Listener
	}{{"--listen", s.Listen, &bound.api}, {"--metrics-listen", s.MetricsListen, &bound.metrics}} {
		listener, err := net.Listen("tcp", l.address)
		if err != nil {
			return bound, delivery.Errorf(delivery.Unavailable, "%s %s: %w", l.flag, l.address, err)
		}
		*l.to = listener
		open.add(func() error { // a server that serves it closes it earlier
			if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
				return err
			}
			return nil
		})
	}
	return bound, nil
}

func (l listeners) addresses() addresses {
	return addresses{PID: os.Getpid(), API: "http://" + l.api.Addr().String(), Metrics: "http://" + l.metrics.Addr().String()}
}

// serve answers on both listeners; what ends one of them comes out of failed.
func (l listeners) serve(server *api.Server, open *closers) (failed <-chan error) {
	ended := make(chan error, 2)
	for _, one := range []struct {
		listener net.Listener
		handler  http.Handler
	}{{l.metrics, server.AdminHandler()}, {l.api, server.Handler()}} {
		srv := server.HTTPServer(one.handler)
		go func() {
			if err := srv.Serve(one.listener); !errors.Is(err, http.ErrServerClosed) {
				ended <- fmt.Errorf("serve %s: %w", one.listener.Addr(), err)
			}
		}()
		open.add(func() error {
			ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
			defer cancel()
			if err := srv.Shutdown(ctx); err != nil {
				return srv.Close()
			}
			return nil
		})
	}
	open.add(func() error { server.Stop(); return nil }) // ends the event streams first
	return ended
}

// writeAddresses replaces slipwayd.json in one step, so that no reader sees half
// of it. An orderly end removes it: its process id may be another's by then.
func writeAddresses(dir string, at addresses, open *closers) error {
	data, err := json.Marshal(at)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, addressFile)
	if err := os.WriteFile(path+".next", append(data, '\n'), 0o600); err != nil {
		return delivery.Errorf(delivery.Unavailable, "write %s: %w", path, err)
	}
	if err := os.Rename(path+".next", path); err != nil {
		return delivery.Errorf(delivery.Unavailable, "write %s: %w", path, err)
	}
	open.add(func() error { return os.Remove(path) })
	return nil
}

// greet says where the process is and, in the demo, what to do next.
func greet(w io.Writer, at addresses, demo *simulation) {
	fmt.Fprintf(w, "Slipway %s serves %s (metrics and health: %s)\n", version, at.API, at.Metrics)
	if demo == nil {
		return
	}
	fmt.Fprintf(w, `
Paste these into another terminal:

  # trigger a rolling deploy
  ID=$(curl -s -X POST %[1]s/pipelines/storefront/rolling-aws -d '{"parameters":{"image":"storefront-1.1"}}' | grep -oE '[0-9A-Z]{26}'); echo $ID

  # watch it
  curl -sN %[1]s/executions/$ID/events

  # see the traffic move
  for i in $(seq 300); do curl -s %[2]s/; echo; sleep 0.2; done

Other images: storefront-2.0-crash never becomes healthy, storefront-2.0-broken fails one request in ten.
Other pipelines: rolling-gcp, rolling-run and both-clouds deploy to Google Cloud; canary-aws, canary-gcp, canary-run,
bluegreen-aws and dark-aws release in other ways (docs/tutorial.md).
The clouds are simulated; their control API is %[3]s (docs/simulator.md).
`, at.API, demo.loadBalancer(), demo.file.Control)
}
