package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers"
	"github.com/slipway-cd/slipway/simcloud/simulator"
)

// The simulator runs in a process of its own, so that the simulated clouds
// outlive a killed slipwayd, as real ones do. It ends with an orderly end of
// slipwayd when no deploy is open, or by itself when it hears nothing for a while.
const (
	simulatorStart    = 15 * time.Second // real time until simulator.json must be there
	simulatorInterval = 50 * time.Millisecond
	heartbeatInterval = 30 * time.Second // the simulator gives up after 10 minutes
)

func simulatorCommand() *cobra.Command {
	var data string
	var instances int
	var scale float64
	cmd := &cobra.Command{
		Use:   "simulator",
		Short: "Run the cloud simulator alone; slipwayd --simulate starts it by itself",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			logger, err := newLogger("info")
			if err != nil {
				return err
			}
			return simulator.Run(cmd.Context(), simulator.Options{Dir: data, Capacity: instances, Scale: scale, Logger: logger})
		},
	}
	cmd.Flags().StringVar(&data, "data", "./data", "folder for simulator.json")
	cmd.Flags().IntVar(&instances, "instances", 3, "instances of the seeded cluster in each region")
	cmd.Flags().Float64Var(&scale, "scale", 1, "simulated seconds in a real second")
	return cmd
}

// simulation is a running simulator.
type simulation struct {
	file   simulator.Endpoints
	logger *slog.Logger
	// stay leaves it running when slipwayd ends in an orderly way.
	stay bool
}

// startSimulator connects to the simulator of the data folder, or starts one.
func startSimulator(ctx context.Context, data string, logger *slog.Logger) (*simulation, error) {
	s := &simulation{logger: logger}
	if s.reachable(ctx, data) {
		return s, nil
	}
	ended, err := spawnSimulator(data)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, simulatorStart)
	defer cancel()
	ticker := time.NewTicker(simulatorInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, delivery.Errorf(delivery.Unavailable, "the simulator did not start within %s; see %s", simulatorStart, simulatorLog(data))
		case err := <-ended:
			return nil, delivery.Errorf(delivery.Unavailable, "the simulator ended when it started (%v); see %s", err, simulatorLog(data))
		case <-ticker.C:
			if s.reachable(ctx, data) {
				return s, nil
			}
		}
	}
}

func simulatorLog(data string) string { return filepath.Join(data, "simulator.log") }

// joinSimulator connects to the simulator and adds its accounts to the settings.
func joinSimulator(ctx context.Context, s *settings, logger *slog.Logger, open *closers) (*simulation, error) {
	demo, err := startSimulator(ctx, s.Data, logger)
	if err != nil {
		return nil, err
	}
	background(open, demo.beat)
	s.Accounts = append(s.Accounts, demo.accounts()...)
	s.Poll = min(s.Poll, simulatedPoll)
	s.Egress.Allow = append(s.Egress.Allow, demo.entrances()...)
	return demo, nil
}

// entrances are the hosts and ports of the demo's load balancers: the one site of this
// machine that webhooks may call without being told so.
func (s *simulation) entrances() []string {
	var out []string
	for _, lb := range slices.Concat(s.file.LoadBalancers, s.file.GCP.LoadBalancers) {
		if u, err := url.Parse(lb.URL); err == nil {
			out = append(out, u.Host)
		}
	}
	return out
}

// simulatedPoll suits clouds that do everything within seconds.
const simulatedPoll = time.Second

// accounts are the simulated accounts. The numbers fit the simulator's defaults:
// a weight reaches every proxy within 2 s, and a minute shows in the metrics
// within 5 s of its end.
func (s *simulation) accounts() []providers.AccountConfig {
	return []providers.AccountConfig{{
		Name: simulator.Account, Provider: "aws", AccountID: simulator.AccountID, Environment: "demo",
		Regions: simulator.Regions(), Endpoint: s.file.AWS,
		AccessKeyID: simulator.AccessKey, SecretAccessKey: "simulated",
		Settle: 3 * time.Second, DeregistrationDelay: 3 * time.Second, Drain: 3 * time.Second, MetricDelay: 10 * time.Second,
	}, {
		Name: simulator.GoogleAccount, Provider: "gce", Project: simulator.Project, Environment: "demo",
		Regions: slices.Sorted(maps.Keys(simulator.GoogleRegions())), Endpoint: s.file.GCP.REST, AccessToken: simulator.GoogleToken,
		Settle: 3 * time.Second, DrainingTimeout: 3 * time.Second, Drain: 3 * time.Second,
		MonitoringEndpoint: s.file.GCP.GRPC, MetricDelay: 10 * time.Second,
	}}
}

// loadBalancer is the URL of the demo's first load balancer.
func (s *simulation) loadBalancer() string {
	for _, lb := range s.file.LoadBalancers {
		if lb.Region == simulator.Regions()[0] {
			return lb.URL
		}
	}
	return ""
}

// spawnSimulator starts this binary's simulator in a session of its own: a
// signal to slipwayd's terminal must not reach it. ended receives when it ends.
func spawnSimulator(data string) (ended <-chan error, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own binary: %w", err)
	}
	if err := os.Remove(filepath.Join(data, simulator.EndpointsFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, delivery.Errorf(delivery.Unavailable, "remove the old simulator.json: %w", err)
	}
	log, err := os.OpenFile(simulatorLog(data), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, delivery.Errorf(delivery.Unavailable, "open the simulator's log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(self, "simulator", "--data", data)
	if n := os.Getenv("SLIPWAY_SIMULATOR_INSTANCES"); n != "" {
		cmd.Args = append(cmd.Args, "--instances", n)
	}
	if scale := os.Getenv("SLIPWAY_SIMULATOR_SCALE"); scale != "" {
		cmd.Args = append(cmd.Args, "--scale", scale)
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the simulator: %w", err)
	}
	died := make(chan error, 1)
	go func() { died <- cmd.Wait() }()
	return died, nil
}

// reachable reads simulator.json and asks whether who wrote it still lives.
func (s *simulation) reachable(ctx context.Context, data string) bool {
	raw, err := os.ReadFile(filepath.Join(data, simulator.EndpointsFile))
	if err != nil || json.Unmarshal(raw, &s.file) != nil {
		return false
	}
	return s.control(ctx, "/heartbeat") == nil
}

func (s *simulation) control(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.file.Control+path, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("simulator answers %s", answer.Status)
	}
	return nil
}

// work is what decideStay needs of the store.
type work interface {
	Executions(ctx context.Context, f delivery.ExecutionFilter) ([]delivery.Execution, error)
	Deployments(ctx context.Context, execution delivery.ExecutionID) ([]delivery.Deployment, error)
}

// decideStay leaves the simulated clouds running while work is open: a deploy
// that goes on with the next start must find the server groups it made.
func (s *simulation) decideStay(ctx context.Context, records work) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	open, err := openWork(ctx, records)
	if err != nil {
		s.logger.Warn("open deploys were not read", "error", err)
	}
	if s.stay = open || err != nil; s.stay {
		s.logger.Info("deploys are open; the simulated clouds stay for ten minutes", "stop", "curl -X POST "+s.file.Control+"/stop")
	}
}

// openWork reports whether an execution or a rollback that it left is not over.
// It looks at the newest executions; the demo has no more.
func openWork(ctx context.Context, records work) (bool, error) {
	recent, err := records.Executions(ctx, delivery.ExecutionFilter{Type: delivery.PipelineExecution, Limit: 200})
	if err != nil {
		return false, err
	}
	for _, e := range recent {
		if !e.Status.Complete() {
			return true, nil
		}
		deployments, err := records.Deployments(ctx, e.ID)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(deployments, func(d delivery.Deployment) bool { return !d.Status.Complete() }) {
			return true, nil
		}
	}
	return false, nil
}

// beat tells the simulator that somebody uses it until ctx ends, and then to stop
// unless it is to stay.
func (s *simulation) beat(ctx context.Context) {
	ticker := time.NewTicker(heartbeatInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := s.control(ctx, "/heartbeat"); err != nil && ctx.Err() == nil {
				s.logger.Warn("simulator does not answer", "error", err)
			}
		case <-ctx.Done():
			path := "/stop"
			if s.stay {
				path = "/heartbeat" // its ten minutes begin now
			}
			if err := s.control(context.WithoutCancel(ctx), path); err != nil {
				s.logger.Warn("simulator does not answer", "error", err)
			}
			return
		}
	}
}
