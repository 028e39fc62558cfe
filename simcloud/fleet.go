package simcloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// InstanceState is where a machine is in its life.
type InstanceState string

// The states, in order. A machine never goes back.
const (
	StatePending      InstanceState = "pending"
	StateRunning      InstanceState = "running"
	StateShuttingDown InstanceState = "shutting-down"
	StateTerminated   InstanceState = "terminated"
)

// stopGrace is the real time that a graceful stop waits for requests in flight; a target is drained before it is
// stopped, so nothing should be left.
const stopGrace = 5 * time.Second

// Launch describes a machine to start.
type Launch struct {
	// ID is the cloud's name for it, such as "i-0a1b2c3d4e5f60718"; unique in the world.
	ID                    string
	Image                 Image
	Account, Region, Zone string
	// Group is the name of the auto-scaling group it belongs to; may be empty.
	Group string
	// ExtraBoot is added to the boot delay of the image, in simulated time.
	ExtraBoot time.Duration
	// OnChange, when set, is called after every change of state, one call at a time, on a goroutine of its own.
	OnChange func(*Instance)
}

// Fleet is all machines of a world.
type Fleet struct {
	world *World

	mu        sync.RWMutex
	instances map[string]*Instance
}

func newFleet(world *World) *Fleet {
	return &Fleet{world: world, instances: map[string]*Instance{}}
}

// Launch starts a machine. It is pending until its image has booted, and serves from then on.
func (f *Fleet) Launch(launch Launch) (*Instance, error) {
	i := &Instance{world: f.world, launch: launch, state: StatePending, launched: f.world.Clock.Now()}
	f.mu.Lock()
	if _, exists := f.instances[launch.ID]; exists || launch.ID == "" {
		f.mu.Unlock()
		return nil, fmt.Errorf("launch instance %q: the id is empty or taken", launch.ID)
	}
	i.record(StatePending, "")
	f.instances[launch.ID] = i
	f.mu.Unlock()
	i.notify()
	boot := f.world.Between(launch.Image.BootDelay, launch.Image.BootDelay+launch.Image.BootJitter) + launch.ExtraBoot
	f.world.Clock.AfterFunc(boot, i.boot)
	return i, nil
}

// Instance returns the machine with this id. Terminated machines stay known until they are forgotten.
func (f *Fleet) Instance(id string) (*Instance, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	i, ok := f.instances[id]
	return i, ok
}

// Instances returns all machines, in the order of their ids.
func (f *Fleet) Instances() []*Instance {
	f.mu.RLock()
	defer f.mu.RUnlock()
	list := make([]*Instance, 0, len(f.instances))
	for _, i := range f.instances {
		list = append(list, i)
	}
	sort.Slice(list, func(a, b int) bool { return list[a].launch.ID < list[b].launch.ID })
	return list
}

// Forget drops a terminated machine from the fleet. Clouds show terminated machines for about an hour.
func (f *Fleet) Forget(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i, ok := f.instances[id]; ok && i.State() == StateTerminated {
		delete(f.instances, id)
	}
}

func (f *Fleet) close() {
	for _, i := range f.Instances() {
		i.Kill("the world ended")
	}
}

// Instance is one machine: a real HTTP server on loopback while it runs.
type Instance struct {
	world  *World
	launch Launch

	launched time.Time
	requests atomic.Int64
	health   atomic.Pointer[bool] // set by [Instance.SetHealthy]

	mu       sync.Mutex
	state    InstanceState
	reason   string
	running  time.Time // when it became running, simulated
	address  string
	server   *http.Server
	crashed  bool
	notices  []func()
	noticing bool
}

// ID is the cloud's name for the machine.
func (i *Instance) ID() string { return i.launch.ID }

// Launched tells how the machine was started.
func (i *Instance) Launched() Launch { return i.launch }

// LaunchTime is the simulated time of the launch.
func (i *Instance) LaunchTime() time.Time { return i.launched }

// State is where the machine is in its life.
func (i *Instance) State() InstanceState {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.state
}

// Reason says why the machine is in its state; may be empty.
func (i *Instance) Reason() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.reason
}

// Address is the host and port of the server. It is empty before the machine runs, and stays after its end.
func (i *Instance) Address() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.address
}

// reachable is the address to connect to. When nothing serves there, it is one that refuses connections: the port may
// belong to somebody else by now.
func (i *Instance) reachable() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.state != StateRunning || i.crashed {
		return "127.0.0.1:0"
	}
	return i.address
}

// Requests is the number of requests to / so far.
func (i *Instance) Requests() int64 { return i.requests.Load() }

// SetHealthy overrides what /healthz answers; nil leaves it to the image again.
func (i *Instance) SetHealthy(healthy *bool) { i.health.Store(healthy) }

// boot opens the server when the boot delay is over.
func (i *Instance) boot() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		i.world.logger.Error("open instance port", "instance", i.launch.ID, "error", err)
		i.Kill("Server.InternalError")
		return
	}
	server := &http.Server{Handler: i, ReadHeaderTimeout: 10 * time.Second}
	closeUnused(server)
	i.mu.Lock()
	if i.state != StatePending {
		i.mu.Unlock()
		_ = listener.Close()
		return
	}
	i.state, i.running = StateRunning, i.world.Clock.Now()
	i.address, i.server = listener.Addr().String(), server
	i.record(StateRunning, "")
	i.mu.Unlock()
	serving := i.world.Go(func(context.Context) {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			i.world.logger.Error("serve instance", "instance", i.launch.ID, "error", err)
		}
	})
	if !serving {
		_ = listener.Close()
	}
	if i.launch.Image.CrashAfter > 0 {
		i.world.Clock.AfterFunc(i.launch.Image.CrashAfter, i.Crash)
	}
	i.notify()
}

// closeUnused makes a graceful end close connections that never carried a request: a proxy may have opened one too many,
// and [http.Server.Shutdown] would wait five seconds for its first request.
func closeUnused(server *http.Server) {
	var unused sync.Map
	server.ConnState = func(connection net.Conn, state http.ConnState) {
		if state == http.StateNew {
			unused.Store(connection, nil)
		} else {
			unused.Delete(connection)
		}
	}
	server.RegisterOnShutdown(func() {
		unused.Range(func(connection, _ any) bool {
			_ = connection.(net.Conn).Close()
			return true
		})
	})
}

// Crash ends the program abruptly. The machine keeps running: only health checks can tell.
func (i *Instance) Crash() {
	i.mu.Lock()
	server := i.server
	already := i.crashed || i.state != StateRunning
	i.crashed = true
	i.mu.Unlock()
	if already || server == nil {
		return
	}
	_ = server.Close()
	i.world.Log.Append(Event{
		Kind: FaultInjected, Account: i.launch.Account, Region: i.launch.Region, Resource: i.launch.ID,
		Group: i.launch.Group, Reason: "the program crashed",
	})
}

// Kill ends the machine abruptly, with its open connections. It does nothing to a terminated machine.
func (i *Instance) Kill(reason string) {
	i.mu.Lock()
	if i.state == StateTerminated {
		i.mu.Unlock()
		return
	}
	server := i.server
	i.state, i.reason = StateTerminated, reason
	i.record(StateTerminated, reason)
	i.mu.Unlock()
	if server != nil {
		_ = server.Close()
	}
	i.notify()
}

// Stop begins to end the machine in good order: it takes no new connections and finishes the requests in flight. It
// returns at once; the state is shutting-down, then terminated.
func (i *Instance) Stop(reason string) {
	i.mu.Lock()
	if i.state == StateShuttingDown || i.state == StateTerminated {
		i.mu.Unlock()
		return
	}
	server := i.server
	i.state, i.reason = StateShuttingDown, reason
	i.record(StateShuttingDown, reason)
	i.mu.Unlock()
	i.notify()
	i.world.Go(func(ctx context.Context) {
		if server != nil {
			grace, cancel := context.WithTimeout(ctx, stopGrace)
			_ = server.Shutdown(grace)
			cancel()
		}
		i.Kill(reason)
	})
}

// record logs a change of state before anybody can see it: the lock is held, or nobody knows the machine yet.
func (i *Instance) record(state InstanceState, reason string) {
	i.world.Log.Append(Event{
		Kind: InstanceStateChanged, Account: i.launch.Account, Region: i.launch.Region, Resource: i.launch.ID,
		Group: i.launch.Group, State: string(state), Reason: reason,
	})
}

// notify tells the launcher about a change of state, in order.
func (i *Instance) notify() {
	if i.launch.OnChange == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.notices = append(i.notices, func() { i.launch.OnChange(i) })
	if i.noticing {
		return
	}
	i.noticing = true
	i.world.Go(func(context.Context) { i.deliver() })
}

func (i *Instance) deliver() {
	for {
		i.mu.Lock()
		if len(i.notices) == 0 {
			i.noticing = false
			i.mu.Unlock()
			return
		}
		next := i.notices[0]
		i.notices = i.notices[1:]
		i.mu.Unlock()
		next()
	}
}

// answer is what an instance says about itself.
type answer struct {
	Version  string `json:"version"`
	Instance string `json:"instance"`
	Image    string `json:"image"`
	Healthy  *bool  `json:"healthy,omitempty"`
	Error    string `json:"error,omitempty"`
}

// ServeHTTP is the program of the image: /healthz is the health check, everything else is the application.
func (i *Instance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	image := i.launch.Image
	reply := answer{Version: image.Version, Instance: i.launch.ID, Image: image.Name}
	status := http.StatusOK
	if r.URL.Path == "/healthz" {
		healthy := i.healthy()
		reply.Healthy = &healthy
		if !healthy {
			status = http.StatusServiceUnavailable
		}
	} else {
		i.requests.Add(1)
		if image.Latency > 0 {
			timer := time.NewTimer(image.Latency)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-r.Context().Done():
				return
			}
		}
		if image.ErrorRate > 0 && i.world.Chance() < image.ErrorRate {
			status, reply.Error = http.StatusInternalServerError, "simulated failure"
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Version", image.Version)
	w.Header().Set("X-Instance", i.launch.ID)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(reply)
}

func (i *Instance) healthy() bool {
	if override := i.health.Load(); override != nil {
		return *override
	}
	if i.launch.Image.NeverHealthy {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return !i.world.Clock.Now().Before(i.running.Add(i.launch.Image.HealthAfter))
}
