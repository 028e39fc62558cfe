package simcloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"sort"
	"sync"
	"time"
)

// LoadBalancerConfig names a load balancer.
type LoadBalancerConfig struct {
	// ID is the cloud's unique name for it: the ARN.
	ID              string
	Name            string
	Account, Region string
	// Timeout is the real time that a target may take to begin its answer, after which the client gets 504; 60 s
	// when 0.
	Timeout time.Duration
	// Unavailable is what the load balancer answers in place of a target, with a status from 500; a page in the manner of an
	// Application Load Balancer when nil.
	Unavailable func(status int) (contentType, body string)
}

// Rule routes the requests that meet all its conditions.
type Rule struct {
	// ID is the cloud's unique name for it: the ARN. It appears as Resource in events. Rules with the same ID are several ways
	// to the same destinations.
	ID string
	// Priority orders rules, lowest first. The rule that applies when no other does has the highest.
	Priority   int
	Conditions []Condition
	// Forward is where requests go, by weight. All weights 0 means nowhere: 503. Empty when Fixed is set.
	Forward []Destination
	Fixed   *FixedResponse
	// Preview marks a rule that leads to one target group on purpose, such as the URL of a tag of Cloud Run, or a
	// header that a listener rule asks for. It divides nobody's traffic, so its weights are told in no event.
	Preview bool
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
	// Location, when set, makes the answer a redirect to where it says.
	Location func(*http.Request) string
}

// Condition is met when the named part of a request matches one of Values, which may hold the wildcards * and ?.
type Condition struct {
	Field ConditionField
	// Name is the header's name for FieldHeader, and the key for FieldQuery, where it may be empty for any key.
	Name   string
	Values []string
	// Test, when set, decides in place of Values. It is given what the request has at this place, none when it has nothing.
	// Keys of FieldQuery are compared with case then.
	Test func(values []string) bool
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
	world     *World
	config    LoadBalancerConfig
	transport *http.Transport
	proxy     *httputil.ReverseProxy

	mu        sync.Mutex
	listeners map[int]*listener
}

// NewLoadBalancer adds a load balancer without listeners to the world.
func NewLoadBalancer(world *World, config LoadBalancerConfig) *LoadBalancer {
	if config.Timeout == 0 {
		config.Timeout = time.Minute
	}
	l := &LoadBalancer{world: world, config: config, listeners: map[int]*listener{}}
	l.transport = &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		MaxIdleConnsPerHost:   1024,
		IdleConnTimeout:       time.Minute,
		ResponseHeaderTimeout: config.Timeout,
		DisableCompression:    true,
	}
	l.proxy = &httputil.ReverseProxy{
		Rewrite:        rewrite,
		Transport:      l.transport,
		BufferPool:     &buffers{},
		ModifyResponse: countAnswer,
		ErrorHandler:   l.fail,
		ErrorLog:       log.New(io.Discard, "", 0),
	}
	world.mu.Lock()
	defer world.mu.Unlock()
	world.loadBalancers[l] = struct{}{}
	return l
}

// Config returns the load balancer's names.
func (l *LoadBalancer) Config() LoadBalancerConfig { return l.config }

// Listen opens a listener for a port of the simulated cloud, on a free loopback port, and returns its URL. Until it has
// rules it answers 503.
func (l *LoadBalancer) Listen(port int) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, exists := l.listeners[port]; exists {
		return "", fmt.Errorf("listen on port %d of %s: there is a listener", port, l.config.Name)
	}
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen on port %d of %s: %w", port, l.config.Name, err)
	}
	opened := newListener(l, port, "http://"+socket.Addr().String())
	serving := l.world.Go(func(context.Context) {
		if err := opened.server.Serve(socket); !errors.Is(err, http.ErrServerClosed) {
			l.world.logger.Error("serve load balancer", "loadBalancer", l.config.Name, "error", err)
		}
	})
	if !serving {
		_ = socket.Close()
		return "", fmt.Errorf("listen on port %d of %s: the world has ended", port, l.config.Name)
	}
	l.listeners[port] = opened
	return opened.url, nil
}

// URL is the loopback URL of the listener of a port, empty when there is none.
func (l *LoadBalancer) URL(port int) string {
	if found := l.listener(port); found != nil {
		return found.url
	}
	return ""
}

// Ports returns the ports that have a listener, ascending.
func (l *LoadBalancer) Ports() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	ports := make([]int, 0, len(l.listeners))
	for port := range l.listeners {
		ports = append(ports, port)
	}
	sort.Ints(ports)
	return ports
}

// CloseListener ends the listener of a port, with the connections it has.
func (l *LoadBalancer) CloseListener(port int) {
	l.mu.Lock()
	found := l.listeners[port]
	delete(l.listeners, port)
	l.mu.Unlock()
	if found != nil {
		found.close()
	}
}

// SetRules replaces all rules of a listener. Each proxy worker takes them over after its own propagation delay; the
// first rules of a listener apply at once. Target groups that they name are in use from now on; those that they do not
// name any more are in use until the last worker has dropped them. Changed weights are logged as WeightsStored now and
// WeightsEffective later: callers need not.
func (l *LoadBalancer) SetRules(port int, rules []Rule) error {
	found := l.listener(port)
	if found == nil {
		return fmt.Errorf("set rules of port %d of %s: there is no listener", port, l.config.Name)
	}
	found.setRules(rules)
	return nil
}

// ListenerState is what a listener was told and what its workers do.
type ListenerState struct {
	Port int    `json:"port"`
	URL  string `json:"url"`
	// Stored are the weights by rule and target group that the control plane holds.
	Stored map[string]map[string]int `json:"stored"`
	// Effective is the same as each worker sees it.
	Effective []map[string]map[string]int `json:"effective"`
}

// Listeners tells the state of every listener, by port.
func (l *LoadBalancer) Listeners() []ListenerState {
	var states []ListenerState
	for _, port := range l.Ports() {
		if found := l.listener(port); found != nil {
			states = append(states, found.state())
		}
	}
	return states
}

// Close ends all listeners and takes the load balancer out of the world.
func (l *LoadBalancer) Close() {
	for _, port := range l.Ports() {
		l.CloseListener(port)
	}
	l.world.mu.Lock()
	delete(l.world.loadBalancers, l)
	l.world.mu.Unlock()
	l.transport.CloseIdleConnections()
}

func (l *LoadBalancer) listener(port int) *listener {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.listeners[port]
}
