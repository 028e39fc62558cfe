package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/slipway-cd/slipway/simcloud"
	"github.com/slipway-cd/slipway/simcloud/aws"
	"github.com/slipway-cd/slipway/simcloud/gcp"
)

// Options shape a simulator. The zero value is the demo: it runs in real time, and a rolling deploy of three instances
// takes about a minute.
type Options struct {
	// Dir is where simulator.json is written; nowhere when empty.
	Dir string
	// Scale is the number of simulated seconds in a real second; 1 when 0.
	Scale float64
	// Seed makes faults and delays repeatable.
	Seed int64
	// Capacity is the number of instances of the seeded server group in each region; 3 when 0.
	Capacity int
	// BootDelay plus a random part of BootJitter is how long instances boot, in simulated time; 2 s plus up to 2 s when
	// both are 0.
	BootDelay, BootJitter time.Duration
	// PropagationMax bounds the simulated time until a proxy worker routes by new weights; 2 s when 0, and none when
	// negative.
	PropagationMax time.Duration
	// Drain is the deregistration delay of the seeded target groups, in whole simulated seconds; 10 s when 0.
	Drain time.Duration
	// Cloud are the options of the AWS endpoint, Google those of the Google Cloud endpoint, such as their page sizes and
	// their request limits. Metrics of Google Cloud show after 5 s when Google.MetricDelay is 0: the real 90 s to 210 s would
	// make up most of a canary's time.
	Cloud  aws.Options
	Google gcp.Options
	// Clouds are the clouds that are seeded, of "aws" and "gcp"; both when nil.
	Clouds []string
	// Audit is what GET /audit judges by. Its After is set to the end of the seed.
	Audit simcloud.AuditConfig
	// IdleTimeout is the real time after which [Run] ends without a heartbeat; 10 minutes when 0.
	IdleTimeout time.Duration
	// Logger receives what a person should see; slog.Default() when nil.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Scale == 0 {
		o.Scale = 1
	}
	if o.Capacity == 0 {
		o.Capacity = 3
	}
	if o.BootDelay == 0 && o.BootJitter == 0 {
		o.BootDelay, o.BootJitter = 2*time.Second, 2*time.Second
	}
	if o.PropagationMax == 0 {
		o.PropagationMax = 2 * time.Second
	}
	if o.Drain == 0 {
		o.Drain = 10 * time.Second
	}
	if o.Google.MetricDelay == 0 {
		o.Google.MetricDelay = 5 * time.Second
	}
	if o.Clouds == nil {
		o.Clouds = []string{cloudAWS, cloudGoogle}
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = 10 * time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// Endpoints is what simulator.json tells.
type Endpoints struct {
	PID int `json:"pid"`
	// AWS is the endpoint for AWS clients of all services, regions and accounts.
	AWS string `json:"aws"`
	// Control is the control API.
	Control string `json:"control"`
	// LoadBalancers are where traffic of AWS goes in.
	LoadBalancers []Entrance `json:"loadBalancers"`
	// GCP is the other half.
	GCP GoogleEndpoints `json:"gcp"`
}

// GoogleEndpoints is what simulator.json tells of Google Cloud.
type GoogleEndpoints struct {
	// REST is the endpoint of Compute Engine, Cloud Run and the IAM credentials, for all projects.
	REST string `json:"rest"`
	// GRPC is the host and port of Monitoring.
	GRPC string `json:"grpc"`
	// LoadBalancers are where traffic goes in: URL maps and Cloud Run services.
	LoadBalancers []Entrance `json:"loadBalancers"`
}

// Entrance is where the traffic of a load balancer goes in.
type Entrance struct {
	Name    string `json:"name"`
	Account string `json:"account"`
	Region  string `json:"region"`
	// URL is a loopback URL.
	URL string `json:"url"`
}

// EndpointsFile is the name of the file in [Options].Dir that holds [Endpoints].
const EndpointsFile = "simulator.json"

// Simulator is a running simulation.
type Simulator struct {
	World  *simcloud.World
	AWS    *aws.Cloud
	Google *gcp.Cloud

	options    Options
	endpoints  Endpoints
	servers    []*http.Server
	monitoring *grpc.Server
	seeded     int64        // Seq of the last event of the seed
	beat       atomic.Int64 // real time of the last heartbeat in nanoseconds since 1970
	stop       chan struct{}
	stopOnce   sync.Once
	closeOnce  sync.Once
}

// Start seeds a world, waits until its instances are healthy (in simulated time, which it moves forward for that, up to
// the real time), and serves it. ctx bounds the start only; [Simulator.Close] ends the simulator.
func Start(ctx context.Context, options Options) (*Simulator, error) {
	options = options.withDefaults()
	world := simcloud.NewWorld(simcloud.WorldOptions{
		Scale: options.Scale, Start: time.Now().Add(-settleTime), Seed: options.Seed, PropagationMax: options.PropagationMax, Logger: options.Logger,
	})
	s := &Simulator{World: world, AWS: aws.New(world, options.Cloud), Google: gcp.New(world, options.Google), options: options, stop: make(chan struct{})}
	s.beat.Store(time.Now().UnixNano())
	if err := s.open(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("start simulator: %w", err)
	}
	return s, nil
}

func (s *Simulator) open(ctx context.Context) error {
	if err := s.seed(); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return fmt.Errorf("wait for the seeded instances: %w", err)
	}
	s.seeded = s.World.Log.Last()
	audit := s.options.Audit
	audit.After = s.seeded
	control := simcloud.Control(s.World, simcloud.ControlOptions{
		Audit:     audit,
		Heartbeat: func() { s.beat.Store(time.Now().UnixNano()) },
		Stop:      func() { s.stopOnce.Do(func() { close(s.stop) }) },
	})
	var err error
	s.endpoints = Endpoints{PID: os.Getpid(), LoadBalancers: []Entrance{}, GCP: GoogleEndpoints{LoadBalancers: []Entrance{}}}
	for _, lb := range s.AWS.LoadBalancers() {
		s.endpoints.LoadBalancers = append(s.endpoints.LoadBalancers, Entrance(lb))
	}
	for _, lb := range slices.Concat(s.Google.LoadBalancers(), s.Google.RunServices()) {
		s.endpoints.GCP.LoadBalancers = append(s.endpoints.GCP.LoadBalancers, Entrance(lb))
	}
	if s.endpoints.AWS, err = s.serve(s.AWS); err != nil {
		return err
	}
	if s.endpoints.GCP.REST, err = s.serve(s.Google); err != nil {
		return err
	}
	if s.endpoints.GCP.GRPC, err = s.serveMonitoring(); err != nil {
		return err
	}
	if s.endpoints.Control, err = s.serve(control); err != nil {
		return err
	}
	if s.options.Dir == "" {
		return nil
	}
	return writeEndpoints(s.options.Dir, s.endpoints)
}

// settleStep and settlePause: the clock is moved by one at most for each of the other in real time, while no health check
// is under way.
const (
	settleStep  = 500 * time.Millisecond
	settlePause = 2 * time.Millisecond
	// settleTime is how far the clock is behind at first. It is for some seconds of health checks on a slow machine: real
	// clouds' clocks are not ahead of those that look at them.
	settleTime = 20 * time.Minute
)

// settle moves the clock until every instance of the seed is in service and its traffic reaches them, and then to the
// real time.
func (s *Simulator) settle(ctx context.Context) error {
	tick := time.NewTicker(settlePause)
	defer tick.Stop()
	for caughtUp := false; ; {
		switch {
		case !s.World.Quiet(): // a health check is under way, in real time
		case !s.settled():
			s.World.Clock.Advance(settleStep)
		case !caughtUp:
			caughtUp = true
			s.World.Clock.Advance(time.Since(s.World.Clock.Now()))
		default:
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (s *Simulator) settled() bool {
	for _, group := range s.World.TargetGroups() {
		ready := 0
		for _, target := range group.Health() {
			if target.State == simcloud.TargetHealthy {
				ready++
			}
		}
		if ready < s.seededSize(group.Config()) {
			return false
		}
	}
	return s.Google.Settled()
}

// serve answers on a free loopback port and returns its URL.
func (s *Simulator) serve(handler http.Handler) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	s.servers = append(s.servers, server)
	s.World.Go(func(context.Context) {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.options.Logger.Error("serve simulator", "error", err)
		}
	})
	return "http://" + listener.Addr().String(), nil
}

// serveMonitoring answers on a free loopback port and returns its host and port.
func (s *Simulator) serveMonitoring() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen: %w", err)
	}
	s.monitoring = s.Google.Monitoring()
	s.World.Go(func(context.Context) {
		if err := s.monitoring.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			s.options.Logger.Error("serve Monitoring", "error", err)
		}
	})
	return listener.Addr().String(), nil
}

// Endpoints tells where the simulator can be reached.
func (s *Simulator) Endpoints() Endpoints { return s.endpoints }

// Seeded is the Seq of the last event of the seed: the After of an audit of what came later.
func (s *Simulator) Seeded() int64 { return s.seeded }

// LoadBalancer returns the URL of the load balancer of a seeded region of AWS, empty for any other.
func (s *Simulator) LoadBalancer(region string) string {
	return entrance(s.endpoints.LoadBalancers, LoadBalancer, region)
}

// GoogleLoadBalancer returns the URL of a URL map or Cloud Run service of a seeded region, empty for any other.
func (s *Simulator) GoogleLoadBalancer(name, region string) string {
	return entrance(s.endpoints.GCP.LoadBalancers, name, region)
}

func entrance(all []Entrance, name, region string) string {
	for _, lb := range all {
		if lb.Name == name && lb.Region == region {
			return lb.URL
		}
	}
	return ""
}

// closeGrace is the real time in which answers that are on their way, such as that of POST /stop, may be finished.
const closeGrace = 300 * time.Millisecond

// Close ends everything and removes simulator.json.
func (s *Simulator) Close() {
	s.closeOnce.Do(func() {
		if s.options.Dir != "" && s.endpoints.AWS != "" {
			if err := os.Remove(filepath.Join(s.options.Dir, EndpointsFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				s.options.Logger.Warn("remove endpoints file", "error", err)
			}
		}
		grace, cancel := context.WithTimeout(context.Background(), closeGrace)
		defer cancel()
		for _, server := range s.servers {
			_ = server.Shutdown(grace)
			_ = server.Close()
		}
		if s.monitoring != nil {
			s.monitoring.Stop()
		}
		s.World.Close()
	})
}

// writeEndpoints puts simulator.json in place at once, so that nobody reads half of it.
func writeEndpoints(dir string, endpoints Endpoints) error {
	data, err := json.MarshalIndent(endpoints, "", "  ")
	if err != nil {
		return fmt.Errorf("encode endpoints: %w", err)
	}
	file, err := os.CreateTemp(dir, EndpointsFile+".*")
	if err != nil {
		return fmt.Errorf("write endpoints: %w", err)
	}
	_, err = file.Write(append(data, '\n'))
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), filepath.Join(dir, EndpointsFile))
	}
	if err != nil {
		_ = os.Remove(file.Name())
		return fmt.Errorf("write endpoints: %w", err)
	}
	return nil
}
