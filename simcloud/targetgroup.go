package simcloud

import (
	"sync"
	"time"
)

// TargetState is the health of a target, in the words of Elastic Load Balancing.
type TargetState string

// The states.
const (
	TargetInitial   TargetState = "initial"
	TargetHealthy   TargetState = "healthy"
	TargetUnhealthy TargetState = "unhealthy"
	TargetDraining  TargetState = "draining"
	TargetUnused    TargetState = "unused"
)

// Reason codes of Elastic Load Balancing. A healthy target has none.
const (
	ReasonNotInUse                 = "Target.NotInUse"
	ReasonNotRegistered            = "Target.NotRegistered"
	ReasonInvalidState             = "Target.InvalidState"
	ReasonRegistrationInProgress   = "Elb.RegistrationInProgress"
	ReasonInitialHealthChecking    = "Elb.InitialHealthChecking"
	ReasonFailedHealthChecks       = "Target.FailedHealthChecks"
	ReasonResponseCodeMismatch     = "Target.ResponseCodeMismatch"
	ReasonTimeout                  = "Target.Timeout"
	ReasonDeregistrationInProgress = "Target.DeregistrationInProgress"
)

// TargetGroupConfig describes a target group. Durations are simulated time.
type TargetGroupConfig struct {
	// ID is the cloud's unique name for it: the ARN. It appears as Resource in events.
	ID              string
	Name            string
	Account, Region string
	HealthCheck     HealthCheck
	// RegistrationDelay is the time from registration to the first health check.
	RegistrationDelay time.Duration
	// DeregistrationDelay is how long requests in flight may take to finish after deregistration.
	DeregistrationDelay time.Duration
	// MinimumHealthy is the number of healthy targets below which requests go to all targets; 1 when 0.
	MinimumHealthy int
}

// HealthCheck says how targets are probed, by GET requests.
type HealthCheck struct {
	Path               string
	Interval, Timeout  time.Duration
	HealthyThreshold   int
	UnhealthyThreshold int
	// Accept tells whether a status passes; 200 only when nil.
	Accept func(status int) bool
}

// TargetHealth is the load balancer's view of one target.
type TargetHealth struct {
	Instance string      `json:"instance"`
	State    TargetState `json:"state"`
	Reason   string      `json:"reason,omitempty"`
}

// TargetGroup is a set of instances that load balancers send requests to.
type TargetGroup struct {
	world *World
	id    string

	mu     sync.Mutex
	config TargetGroupConfig
}

// NewTargetGroup adds an empty target group to the world.
func NewTargetGroup(world *World, config TargetGroupConfig) *TargetGroup {
	group := &TargetGroup{world: world, id: config.ID, config: config}
	world.mu.Lock()
	defer world.mu.Unlock()
	world.targetGroups[group] = struct{}{}
	return group
}

// ID is the cloud's unique name for the group.
func (g *TargetGroup) ID() string { return g.id }

// Config returns how the group is set up.
func (g *TargetGroup) Config() TargetGroupConfig { return TargetGroupConfig{} }

// SetConfig changes everything but ID, Name, Account and Region.
func (g *TargetGroup) SetConfig(config TargetGroupConfig) {}

// Register adds an instance. It is a no-op for one that is registered; one that drains is registered anew.
func (g *TargetGroup) Register(instance *Instance) {}

// Deregister stops new requests to an instance at once; those in flight finish within the deregistration delay. It
// reports whether the instance was registered.
func (g *TargetGroup) Deregister(instanceID string) bool { return false }

// Drained tells whether an instance has no request in flight any more, or its deregistration delay is over, or it was
// never registered: stopping it breaks nothing.
func (g *TargetGroup) Drained(instanceID string) bool { return true }

// Health returns the state of every registered and draining target, by instance id.
func (g *TargetGroup) Health() []TargetHealth { return nil }

// InUse tells whether a rule of a load balancer names the group.
func (g *TargetGroup) InUse() bool { return false }

// Metrics returns the counters of the simulated minutes in [from, to).
func (g *TargetGroup) Metrics(from, to time.Time) []Metrics { return nil }

// Close takes the group out of the world. Rules that still name it answer 503.
func (g *TargetGroup) Close() {}

// Metrics are a target group's counters of one simulated minute.
type Metrics struct {
	Minute time.Time
	// Requests is RequestCount: the requests that a target was chosen for.
	Requests int
	// Target2XX .. Target5XX count answers of targets.
	Target2XX, Target3XX, Target4XX, Target5XX int
	// ELB5XX counts 5xx answers of the load balancer itself.
	ELB5XX int
	// ResponseTimes are TargetResponseTime samples in seconds, in no order; at most a few hundred of Requests.
	ResponseTimes []float64
	// ResponseTimeSum is the sum over all requests, in seconds.
	ResponseTimeSum float64
	// HealthyHosts and UnHealthyHosts are the least and greatest counts seen in the minute.
	HealthyHostsMin, HealthyHostsMax, UnHealthyHostsMin, UnHealthyHostsMax int
}
