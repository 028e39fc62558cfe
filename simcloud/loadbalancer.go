package simcloud

import "sync"

// LoadBalancerConfig names a load balancer.
type LoadBalancerConfig struct {
	// ID is the cloud's unique name for it: the ARN.
	ID              string
	Name            string
	Account, Region string
}

// Rule routes the requests that meet all its conditions.
type Rule struct {
	// ID is the cloud's unique name for it: the ARN. It appears as Resource in events.
	ID string
	// Priority orders rules, lowest first. The rule that applies when no other does has the highest.
	Priority   int
	Conditions []Condition
	// Forward is where requests go, by weight. All weights 0 means nowhere: 503. Empty when Fixed is set.
	Forward []Destination
	Fixed   *FixedResponse
}

// Destination is a share of a rule's requests.
type Destination struct {
	TargetGroup *TargetGroup
	Weight      int
}

// FixedResponse is an answer that the load balancer gives itself.
type FixedResponse struct {
	Status            int
	ContentType, Body string
}

// Condition is met when the named part of a request matches one of Values, which may hold the wildcards * and ?.
type Condition struct {
	Field ConditionField
	// Name is the header's name for FieldHeader, and the key for FieldQuery, where it may be empty for any key.
	Name   string
	Values []string
}

// ConditionField names a part of a request.
type ConditionField string

// The parts.
const (
	FieldPath   ConditionField = "path"
	FieldHost   ConditionField = "host"
	FieldHeader ConditionField = "header"
	FieldQuery  ConditionField = "query"
	FieldMethod ConditionField = "method"
	FieldSource ConditionField = "source" // Values are CIDR blocks
)

// LoadBalancer is a real reverse proxy on loopback. Its workers take over a new routing one by one.
type LoadBalancer struct {
	world  *World
	config LoadBalancerConfig

	mu sync.Mutex
}

// NewLoadBalancer adds a load balancer without listeners to the world.
func NewLoadBalancer(world *World, config LoadBalancerConfig) *LoadBalancer {
	lb := &LoadBalancer{world: world, config: config}
	world.mu.Lock()
	defer world.mu.Unlock()
	world.loadBalancers[lb] = struct{}{}
	return lb
}

// Config returns the load balancer's names.
func (l *LoadBalancer) Config() LoadBalancerConfig { return l.config }

// Listen opens a listener for a port of the simulated cloud, on a free loopback port, and returns its URL.
func (l *LoadBalancer) Listen(port int) (string, error) { return "", nil }

// URL is the loopback URL of the listener of a port, empty when there is none.
func (l *LoadBalancer) URL(port int) string { return "" }

// Ports returns the ports that have a listener, ascending.
func (l *LoadBalancer) Ports() []int { return nil }

// CloseListener ends the listener of a port.
func (l *LoadBalancer) CloseListener(port int) {}

// SetRules replaces all rules of a listener. Each proxy worker takes them over after its own propagation delay; the
// first rules of a listener apply at once. Target groups named are in use from now on, others of the listener are not.
// Changed weights are logged as WeightsStored now and WeightsEffective later: callers need not.
func (l *LoadBalancer) SetRules(port int, rules []Rule) error { return nil }

// Close ends all listeners and takes the load balancer out of the world.
func (l *LoadBalancer) Close() {}
