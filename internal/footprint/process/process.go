// Package process is what the measured mains have in common: flags, accounts, a
// line that says when they are ready, and an orderly end.
package process

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"gopkg.in/yaml.v3"
)

// Process is one running main. What is added to it is closed in the reverse order.
type Process struct {
	// Name is what it calls itself, with its version.
	Name string
	// Data is the folder of its files.
	Data string
	// Temporal is "address/namespace" of a frontend that speaks plain text.
	Temporal string
	Logger   *slog.Logger

	config string
	open   []func() error
}

// Start wires a process and returns when it is ready, with the address that it
// serves; empty when it serves none. ctx ends with the process.
type Start func(ctx context.Context, p *Process) (at string, err error)

// Main runs a process until it is told to end. Its first line on the standard
// output comes when it is ready, and ends with the address.
func Main(name, version string, start Start) {
	p := &Process{Name: name + " " + version, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	flag.StringVar(&p.Data, "data", "", "folder of the files")
	flag.StringVar(&p.config, "config", "", "configuration file of slipwayd, for its accounts")
	flag.StringVar(&p.Temporal, "temporal", "", "address/namespace of a Temporal frontend")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := p.run(ctx, start)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", p.Name, err)
		os.Exit(1)
	}
}

func (p *Process) run(ctx context.Context, start Start) (err error) {
	defer func() {
		for i := len(p.open) - 1; i >= 0; i-- {
			err = errors.Join(err, p.open[i]())
		}
	}()
	at, err := start(ctx, p)
	if err != nil {
		return err
	}
	if at != "" {
		at = " and serves " + at
	}
	fmt.Printf("%s is ready%s\n", p.Name, at)
	<-ctx.Done()
	return nil
}

// Add lets end run when the process ends.
func (p *Process) Add(end func() error) { p.open = append(p.open, end) }

// Background runs f until the process ends.
func (p *Process) Background(f func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { f(ctx) })
	p.Add(func() error {
		cancel()
		done.Wait()
		return nil
	})
}

// Accounts reads the accounts of the configuration file. A is what the caller
// knows of an account; the rest of it is passed over.
func Accounts[A any](p *Process) ([]A, error) {
	raw, err := os.ReadFile(p.config)
	if err != nil {
		return nil, fmt.Errorf("read -config: %w", err)
	}
	var file struct {
		Accounts []A `yaml:"accounts"`
	}
	if err := yaml.Unmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("read %s: %w", p.config, err)
	}
	return file.Accounts, nil
}
