// Command api is the API role alone: it records and answers, and no cloud is
// linked into it. It is there to be measured, not to be used.
package main

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/slipway-cd/slipway/api"
	"github.com/slipway-cd/slipway/internal/footprint/process"
	"github.com/slipway-cd/slipway/internal/footprint/role"
)

// version is set by the linker.
var version = "dev"

func main() { process.Main("api", version, start) }

func start(ctx context.Context, p *process.Process) (string, error) {
	accounts, err := process.Accounts[role.Account](p)
	if err != nil {
		return "", err
	}
	targets, err := role.Elsewhere(accounts)
	if err != nil {
		return "", err
	}
	records, engine, err := role.Engine(ctx, p)
	if err != nil {
		return "", err
	}
	server := api.New(api.Dependencies{Store: records, Engine: engine, Targets: targets, Version: version, Logger: p.Logger,
		Ready: func(ctx context.Context) error { _, err := records.Applications(ctx); return err }})
	if _, err := serve(p, server.HTTPServer(server.AdminHandler())); err != nil {
		return "", err
	}
	return serve(p, server.HTTPServer(server.Handler()))
}

// serve serves on a free port of the loopback interface until the process ends.
func serve(p *process.Process, server *http.Server) (url string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	p.Add(func() error {
		err := server.Close()
		if reason := <-ended; !errors.Is(reason, http.ErrServerClosed) {
			err = errors.Join(err, reason)
		}
		return err
	})
	return "http://" + listener.Addr().String(), nil
}
