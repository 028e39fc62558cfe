package aws

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/slipway-cd/slipway/simcloud"
)

// Options shape a cloud. Each zero value is useful.
type Options struct {
	// PageSize is how many values a list returns when the client asks for no size; 5 when 0. It is small so that a
	// client that does not follow the token is found out.
	PageSize int
	// Buckets are the request limits of each account and region by bucket name ("<service>:read",
	// "<service>:write"); see DefaultBuckets for what is not named.
	Buckets map[string]Bucket
	// TickInterval is the simulated time between two looks of the Auto Scaling groups at their instances; 1 s when 0.
	TickInterval time.Duration
	// RegistrationDelay is the simulated time from a target's registration to its first health check; 2 s when 0.
	RegistrationDelay time.Duration
	// Latency is the real time that passes between a request and its answer at the least; 2 ms when 0, none when
	// negative. An answer without any network in between meets a race in the Go SDK: it closes the request's body as
	// soon as it has the answer's header, and net/http, which may still look for the body's end, then breaks the
	// connection (smithy-go transport/http, ClientHandler.Handle and safeWriteToReadCloser.WriteTo).
	Latency time.Duration
	// DeploymentTag is the tag by which a request names the deployment that it belongs to, for the event log;
	// "slipway:deployment" when empty.
	DeploymentTag string
	// Logger receives what goes wrong inside the simulator itself; slog.Default() when nil.
	Logger *slog.Logger
}

// Cloud is the simulated AWS of one world: an http.Handler that AWS clients can be pointed at, for all accounts and
// regions. Create it with [New]; it is safe for concurrent use.
type Cloud struct {
	world    *simcloud.World
	options  Options
	services serviceTable
	started  time.Time

	// mu guards everything below, and all state of all regions. Nothing that waits runs under it.
	mu       sync.Mutex
	serial   uint64
	accounts map[string]*account // by account id
	keys     map[string]principal
	roles    map[string]string // external id that a role demands, by ARN
	regions  map[string]*region
}

// account is one AWS account.
type account struct {
	ID   string // twelve digits
	Name string // what the simulator's events call it
}

// principal is who signs requests with a key.
type principal struct {
	Account *account
	ARN     string
	UserID  string
	Token   string    // session token that must come along; empty for a user
	Expires time.Time // real time; zero for never
}

// region is one account's part of one region: its data, and the running things that belong to the data.
type region struct {
	cloud   *Cloud
	account *account
	name    string
	data    *regionData

	// before is a copy of data from before the last write, recent one from some seconds ago: what stale reads see.
	before, recent     *regionData
	written, refreshed time.Time

	buckets   map[string]*tokenBucket
	balancers map[string]*simcloud.LoadBalancer // by ARN
	targets   map[string]*simcloud.TargetGroup  // by ARN
	metrics   map[string]*series
}

// New returns an empty cloud whose Auto Scaling groups live by the world's clock until the world is closed.
func New(world *simcloud.World, options Options) *Cloud {
	if options.PageSize <= 0 {
		options.PageSize = 5
	}
	if options.TickInterval <= 0 {
		options.TickInterval = time.Second
	}
	if options.RegistrationDelay <= 0 {
		options.RegistrationDelay = 2 * time.Second
	}
	if options.Latency == 0 {
		options.Latency = 2 * time.Millisecond
	}
	if options.DeploymentTag == "" {
		options.DeploymentTag = "slipway:deployment"
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	c := &Cloud{
		world: world, options: options, services: newServices(), started: world.Clock.Now(),
		accounts: map[string]*account{}, keys: map[string]principal{}, roles: map[string]string{}, regions: map[string]*region{},
	}
	c.scheduleTick()
	return c
}

// scheduleTick keeps the groups going. At a high clock scale the interval grows, so that there are at most 200 ticks in
// a real second.
func (c *Cloud) scheduleTick() {
	interval := max(c.options.TickInterval, time.Duration(c.world.Clock.Scale()*float64(5*time.Millisecond)))
	c.world.Clock.AfterFunc(interval, func() {
		c.tick()
		c.scheduleTick()
	})
}

func (c *Cloud) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.world.Clock.Now()
	for _, key := range slices.Sorted(maps.Keys(c.regions)) {
		c.regions[key].reconcile(now)
	}
}

// newID returns a new resource id of n hexadecimal digits. Ids are the same in each run that makes the same calls.
func (c *Cloud) newID(prefix string, n int) string {
	c.serial++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", prefix, c.serial))
	return prefix + fmt.Sprintf("%x", sum)[:n]
}

// newUUID returns a new id in the form of activity and request ids.
func (c *Cloud) newUUID() string {
	id := c.newID("", 32)
	return id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
}

func (c *Cloud) regionOf(a *account, name string) *region {
	key := a.ID + "/" + name
	r := c.regions[key]
	if r == nil {
		r = &region{
			cloud: c, account: a, name: name, data: newRegionData(), before: newRegionData(), recent: newRegionData(),
			buckets: map[string]*tokenBucket{}, balancers: map[string]*simcloud.LoadBalancer{},
			targets: map[string]*simcloud.TargetGroup{}, metrics: map[string]*series{},
		}
		c.regions[key] = r
	}
	return r
}

func (r *region) log(e simcloud.Event) {
	e.Account, e.Region = r.account.Name, r.name
	r.cloud.world.Log.Append(e)
}

func (r *region) arn(service, resource string) string {
	return "arn:aws:" + service + ":" + r.name + ":" + r.account.ID + ":" + resource
}

// addressOf is the loopback address of a running instance.
func (c *Cloud) addressOf(id string) string {
	if i, ok := c.world.Fleet.Instance(id); ok {
		return i.Address()
	}
	return ""
}

func (c *Cloud) hasAccount(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.accounts {
		if a.Name == name {
			return true
		}
	}
	return false
}

// LoadBalancerInfo says where the traffic of a load balancer goes in.
type LoadBalancerInfo struct {
	Name    string `json:"name"`
	Account string `json:"account"`
	Region  string `json:"region"`
	// URL is the loopback URL of the listener with the lowest port.
	URL string `json:"url"`
}

// LoadBalancers returns the load balancers of the cloud's accounts that have a listener, by account, region and name.
func (c *Cloud) LoadBalancers() []LoadBalancerInfo {
	var infos []LoadBalancerInfo
	for _, lb := range c.world.LoadBalancers() {
		config := lb.Config()
		if ports := lb.Ports(); len(ports) > 0 && c.hasAccount(config.Account) {
			infos = append(infos, LoadBalancerInfo{config.Name, config.Account, config.Region, lb.URL(ports[0])})
		}
	}
	return infos
}
