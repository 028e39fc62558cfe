package gcp

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/slipway-cd/slipway/simcloud"
)

// Options shape a cloud. Each zero value is useful.
type Options struct {
	// PageSize is the most values that a list returns at once, whatever the client asks for; 5 when 0. It is small so
	// that a client that does not follow the token is found out.
	PageSize int
	// Limits are the requests that a project may make in a minute of the clock, by bucket; see DefaultLimits for what is
	// not named.
	Limits map[string]int
	// Quotas are how many resources of a kind a project may have, by the metric's name, such as "INSTANCES" or
	// "BACKEND_SERVICES"; without limit when not named.
	Quotas map[string]int
	// TickInterval is the simulated time between two looks of the groups at their instances; 1 s when 0.
	TickInterval time.Duration
	// OperationTime bounds how long the short operations take, in simulated time: between a third of it and all; 3 s when 0.
	OperationTime time.Duration
	// Latency is the real time that passes between a request and its answer at the least; 2 ms when 0, none when negative.
	Latency time.Duration
	// MetricDelay is the simulated time that passes from the end of a minute until its metrics of the services can be
	// read; for each metric what its description says when 0, none when negative.
	MetricDelay time.Duration
	// Logger receives what goes wrong inside the simulator itself; slog.Default() when nil.
	Logger *slog.Logger
}

// Cloud is a simulated Google Cloud with any number of projects. It is an HTTP handler for all services that speak REST.
type Cloud struct {
	world    *simcloud.World
	options  Options
	router   *router
	handlers map[string]handler // by service and method
	started  time.Time

	mu       sync.Mutex // guards everything below, and everything that it leads to
	serial   int
	projects map[string]*project // by id
	tokens   map[string]principal
	// serviceAccounts are those that may be impersonated, by e-mail, with the project that they act in.
	serviceAccounts map[string]*project
}

// principal is who calls.
type principal struct {
	project *project
	// email is what events call it.
	email string
	// expires is zero for a token without an end, in real time otherwise.
	expires time.Time
}

// project is one project: what exists in it, and what is on its way.
type project struct {
	cloud   *Cloud
	id      string
	account string // the name that events call it
	regions map[string][]string
	data    *data
	// before is a copy of data from before the last write, recent one from some seconds ago: what stale reads see.
	before, recent     *data
	written, refreshed time.Time
	pending            []*pending
	limits             map[string]*window
	sizes              []sizes                  // of the latest minutes, oldest first
	custom             map[string]*customMetric // by type
	compute            *computePlane
	run                *runPlane
}

// New returns an empty cloud that lives by the world's clock until the world is closed.
func New(world *simcloud.World, options Options) *Cloud {
	if options.PageSize <= 0 {
		options.PageSize = 5
	}
	if options.TickInterval <= 0 {
		options.TickInterval = time.Second
	}
	if options.OperationTime <= 0 {
		options.OperationTime = 3 * time.Second
	}
	if options.Latency == 0 {
		options.Latency = 2 * time.Millisecond
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	c := &Cloud{
		world: world, options: options, router: sharedRouter(), started: world.Clock.Now(),
		projects: map[string]*project{}, tokens: map[string]principal{}, serviceAccounts: map[string]*project{},
	}
	c.handlers = newHandlers()
	c.scheduleTick()
	return c
}

// scheduleTick keeps the projects going. At a high clock scale the interval grows, so that there are at most 200 ticks in
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
	for _, id := range slices.Sorted(maps.Keys(c.projects)) {
		c.projects[id].reconcile(now)
	}
}

// refreshEvery is how old the state may get that a stale read sees when nothing was written lately.
const refreshEvery = 10 * time.Second

// reconcile lets time act on a project. It runs at every tick and after every write.
func (p *project) reconcile(now time.Time) {
	p.finishOperations(now)
	p.compute.reconcile(now)
	p.run.reconcile(now)
	p.recordSizes(now)
	if now.Sub(p.refreshed) >= refreshEvery {
		p.recent, p.refreshed = p.data.copy(), now
	}
}

// newID returns a new number in the form of resource ids. Ids are the same in each run that makes the same calls.
func (c *Cloud) newID() uint64 {
	c.serial++
	sum := sha256.Sum256(fmt.Appendf(nil, "id %d", c.serial))
	var n uint64
	for _, b := range sum[:8] {
		n = n<<8 | uint64(b)
	}
	return n>>2 | 1<<61
}

// newSuffix returns n random letters and digits, as in the names of instances of a group.
func (c *Cloud) newSuffix(n int) string {
	return strconv.FormatUint(c.newID(), 36)[:n]
}

// newHash returns a new opaque text: a fingerprint or an etag.
func (c *Cloud) newHash() string {
	return strconv.FormatUint(c.newID(), 36)
}

func (p *project) log(region string, e simcloud.Event) {
	e.Account, e.Region = p.account, region
	p.cloud.world.Log.Append(e)
}

// zonesOf returns the zones of a region, sorted; none when the project has no such region.
func (p *project) zonesOf(region string) []string { return p.regions[region] }

// SeedProject describes a project that exists before anybody calls.
type SeedProject struct {
	// Account is the name that events call the project, Project its id.
	Account, Project string
	// Token is a bearer token of the project's user that never ends.
	Token string
	// Regions are the project's regions with their zones' letters: {"us-central1": {"a", "b", "c", "f"}}.
	Regions map[string][]string
}

// SeedProject makes a project with the network "default" and a subnetwork of that name in each region. Seeding a project
// again adds regions and a token.
func (c *Cloud) SeedProject(seed SeedProject) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.projects[seed.Project]
	if p == nil {
		p = &project{
			cloud: c, id: seed.Project, account: seed.Account, regions: map[string][]string{},
			data: newData(), before: newData(), limits: map[string]*window{}, custom: map[string]*customMetric{},
		}
		p.compute, p.run = newComputePlane(p), newRunPlane(p)
		c.projects[p.id] = p
	}
	for region, letters := range seed.Regions {
		var zones []string
		for _, letter := range letters {
			zones = append(zones, region+"-"+letter)
		}
		slices.Sort(zones)
		p.regions[region] = zones
		p.compute.seedRegion(region)
	}
	p.recent = p.data.copy()
	if seed.Token != "" {
		c.tokens[seed.Token] = principal{project: p, email: "user@" + p.id + ".iam.gserviceaccount.com"}
	}
}

// pathOf joins the parts of a resource's path: pathOf("p", "regions", "r", "urlMaps", "x") is "projects/p/regions/r/urlMaps/x".
func pathOf(project string, parts ...string) string {
	return "projects/" + project + "/" + strings.Join(parts, "/")
}

// nameOf is the last part of a path or URL.
func nameOf(path string) string { return path[strings.LastIndex(path, "/")+1:] }

// regionOfPath is the region of a path, that of its zone, or "global".
func regionOfPath(path string) string {
	parts := strings.Split(path, "/")
	for i := 0; i+1 < len(parts); i++ {
		switch parts[i] {
		case "regions", "locations":
			return parts[i+1]
		case "zones":
			if end := strings.LastIndex(parts[i+1], "-"); end > 0 {
				return parts[i+1][:end]
			}
		}
	}
	return "global"
}
