// Command server is the Temporal server alone, as slipwayd embeds it, and the
// engine of the other processes while they are measured. It is there to be
// measured, not to be used.
package main

import (
	"context"
	"errors"
	"net"

	"go.temporal.io/api/proxy"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"

	"github.com/slipway-cd/slipway/internal/footprint/process"
	"github.com/slipway-cd/slipway/workflows/embedded"
)

// version is set by the linker.
var version = "dev"

func main() { process.Main("server", version, start) }

func start(ctx context.Context, p *process.Process) (string, error) {
	server, err := embedded.Start(ctx, embedded.Config{Dir: p.Data, Logger: p.Logger})
	if err != nil {
		return "", err
	}
	p.Add(server.Stop)
	c, err := client.DialContext(ctx, server.ClientOptions())
	if err != nil {
		return "", err
	}
	p.Add(func() error { c.Close(); return nil })
	address, err := relay(p, c)
	return address + "/" + embedded.Namespace, err
}

// relay lets other processes in, which the embedded server does not: what it
// asks of a client never leaves this process. The relay speaks plain text on a
// loopback port. Behind it are no workflows but those of the measurement.
func relay(p *process.Process, c client.Client) (address string, err error) {
	service, err := proxy.NewWorkflowServiceProxyServer(proxy.WorkflowServiceProxyOptions{Client: c.WorkflowService()})
	if err != nil {
		return "", err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := grpc.NewServer()
	workflowservice.RegisterWorkflowServiceServer(server, service)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	p.Add(func() error {
		server.Stop()
		if reason := <-ended; !errors.Is(reason, grpc.ErrServerStopped) {
			return reason
		}
		return nil
	})
	return listener.Addr().String(), nil
}
