package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/server/temporal"

	"github.com/slipway-cd/slipway/delivery"
)

// Namespace is the one namespace of the embedded server.
const Namespace = "slipway"

const (
	// startAttempts bounds how often other ports are tried when one of those
	// chosen was taken before the server could listen on it.
	startAttempts = 5
	// readyTimeout is how long a started server may take to answer; it takes
	// well under a second on an idle machine.
	readyTimeout = 30 * time.Second
	// readyInterval is the pause between two questions whether it answers.
	readyInterval = 10 * time.Millisecond
)

// Config says where the server keeps its state.
type Config struct {
	// Dir holds the server's files. It is created (0700) when it is missing. It
	// may be the folder of everything that one process stores: the lock on it,
	// held from Start to Stop, then covers all of it.
	Dir string
	// Logger gets the server's warnings and errors, and its chatter when it is
	// enabled for debug. Nil logs nothing.
	Logger *slog.Logger
}

// Server is a running Temporal server.
type Server struct {
	server      temporal.Server
	folder      *folder
	credentials *credentials
	ports       ports
	log         *serverLog
}

// Start starts the server and returns when it answers. ctx bounds the start
// alone. Unavailable, naming the folder and what to do, when another process
// uses it, it cannot be written, its files are damaged, or they belong to
// another version of the server and hold open workflows.
func Start(ctx context.Context, config Config) (*Server, error) {
	logger := config.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	folder, err := openFolder(ctx, config.Dir, logger)
	if err != nil {
		return nil, fmt.Errorf("prepare workflow engine: %w", err)
	}
	s := &Server{folder: folder, log: newServerLog(logger)}
	if err := s.launch(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start workflow engine: %w", err), folder.close())
	}
	if err := s.awaitReady(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start workflow engine: %w", err), s.Stop())
	}
	s.log.serving.Store(true)
	return s, nil
}

// launch tries until the server has ports of its own.
func (s *Server) launch(ctx context.Context) error {
	var err error
	for range startAttempts {
		if err = ctx.Err(); err != nil {
			return err
		}
		if s.ports, err = freePorts(); err != nil {
			return err
		}
		if s.credentials, err = newCredentials(); err != nil {
			return err
		}
		if s.server, err = s.tryLaunch(); err == nil {
			return nil
		}
		var fatal *fatalError
		if !errors.As(err, &fatal) {
			return err
		}
	}
	return err
}

// tryLaunch makes an error of what the server would end the process for.
func (s *Server) tryLaunch() (server temporal.Server, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *fatalError:
			err = p
		default:
			panic(p)
		}
	}()
	server, err = temporal.NewServer(serverOptions(s.folder, s.ports, s.credentials, s.log)...)
	if err != nil {
		return nil, err
	}
	if err := server.Start(); err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	return server, nil
}

func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(readyInterval)
	defer tick.Stop()
	for {
		c, err := client.DialContext(ctx, s.ClientOptions())
		if err == nil {
			c.Close()
			return nil
		}
		select {
		case <-ctx.Done():
			return delivery.Errorf(delivery.Unavailable, "the workflow engine does not answer: %w", errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

// ClientOptions returns options with which a client of this process is let in.
// They hold secrets: do not print them. The logger in them is silent.
func (s *Server) ClientOptions() client.Options {
	return client.Options{
		HostPort:          s.ports.address(frontend),
		Namespace:         Namespace,
		Logger:            sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
		HeadersProvider:   s.credentials.bearer,
		ConnectionOptions: client.ConnectionOptions{TLS: s.credentials.clientTLS()},
	}
}

// Stop ends the server and gives the folder free; it takes about a second.
// Clients and workers should be closed before. Open workflows stay open and go
// on with the next Start.
func (s *Server) Stop() error {
	s.log.serving.Store(false)
	return errors.Join(s.server.Stop(), s.folder.close())
}

// service is one of the server's four services.
type service int

const (
	frontend service = iota
	history
	matching
	worker
	services
)

// ports are the loopback ports of the services.
type ports [services]int

func (p ports) address(s service) string {
	return net.JoinHostPort(loopback, fmt.Sprint(p[s]))
}

const loopback = "127.0.0.1"

// freePorts asks the system for unused ports. All are held until the last is
// known, so that they differ.
func freePorts() (ports, error) {
	var p ports
	for i := range p {
		l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
		if err != nil {
			return p, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		p[i] = l.Addr().(*net.TCPAddr).Port
	}
	return p, nil
}
