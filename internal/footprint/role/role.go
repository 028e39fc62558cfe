// Package role wires the two roles as they would be wired if slipwayd had them:
// as cmd/slipwayd does it, with the Temporal server elsewhere. The store is a
// file of their own, where real roles would share a database.
package role

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"go.temporal.io/sdk/client"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/internal/footprint/process"
	"github.com/slipway-cd/slipway/store"
	"github.com/slipway-cd/slipway/workflows"
)

// Engine opens the store and connects to Temporal, which both roles need.
func Engine(ctx context.Context, p *process.Process) (*store.Store, *workflows.Client, error) {
	address, namespace, ok := strings.Cut(p.Temporal, "/")
	if !ok {
		return nil, nil, fmt.Errorf("-temporal %q is not address/namespace", p.Temporal)
	}
	records, err := store.Open(ctx, store.Config{Path: filepath.Join(p.Data, "slipway.db")})
	if err != nil {
		return nil, nil, err
	}
	p.Add(records.Close)
	engine, err := workflows.Dial(ctx, client.Options{HostPort: address, Namespace: namespace}, records, p.Logger)
	if err != nil {
		return nil, nil, err
	}
	p.Add(func() error { engine.Close(); return nil })
	return records, engine, nil
}

// Work is the worker role: it lets the worker and the outbox work. metrics is nil
// where nothing is measured.
func Work(ctx context.Context, p *process.Process, targets delivery.Targets, metrics delivery.Metrics) error {
	records, engine, err := Engine(ctx, p)
	if err != nil {
		return err
	}
	worker := workflows.NewWorker(engine, workflows.Dependencies{Targets: targets, Metrics: metrics, Store: records, Logger: p.Logger})
	if err := worker.Start(ctx); err != nil {
		return err
	}
	p.Add(func() error { worker.Stop(); return nil })
	p.Background(workflows.NewStarter(engine, records, workflows.StarterOptions{Logger: p.Logger}).Run)
	return nil
}
