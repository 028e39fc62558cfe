package simcloud

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// AuditConfig tells the auditor what it cannot know from the log. The zero value judges everything that needs no number.
type AuditConfig struct {
	// After is the Seq up to which events only build up the picture, such as those of the seed.
	After int64 `json:"after,omitempty"`
	// Final tells that the log is at its end: what is still unfinished is an orphan. Without it only the remains of
	// deployments that have ended are.
	Final bool `json:"final,omitempty"`
	// Floors are the least healthy instances in rotation, and Ceilings the most instances wanted, by cluster: either
	// "account/region/cluster", or "cluster" for every region. A cluster without an entry is not judged.
	Floors   map[string]int `json:"floors,omitempty"`
	Ceilings map[string]int `json:"ceilings,omitempty"`
	// Drain is the simulated time that must lie between a group's last request and its destruction.
	Drain time.Duration `json:"drain,omitempty"`
	// Reaction is the simulated time for which an instance that lost its health by itself still counts for the floor, and
	// its target group may be without a healthy target: nobody can react at once. 30 s when 0.
	Reaction time.Duration `json:"reaction,omitempty"`
	// Principals are those whose writes are judged for ownership; all when empty.
	Principals []string `json:"principals,omitempty"`
	// TagPrefix begins the names of ownership tags; "slipway:" when empty.
	TagPrefix string `json:"tagPrefix,omitempty"`
	// RoutingReads are the actions that read weights back; when empty those of listener rules, URL maps and Cloud Run
	// services.
	RoutingReads []string `json:"routingReads,omitempty"`
}

// Violation is an invariant that an event broke.
type Violation struct {
	// Invariant is its number, such as "I4".
	Invariant string    `json:"invariant"`
	Seq       int64     `json:"seq"`
	At        time.Time `json:"at"`
	Resource  string    `json:"resource,omitempty"`
	Message   string    `json:"message"`
}

func (v Violation) String() string {
	return fmt.Sprintf("%s at event %d (%s): %s", v.Invariant, v.Seq, v.Resource, v.Message)
}

// Invariants says in a line what each number means that [Audit] reports.
func Invariants() map[string]string {
	return map[string]string{
		"I1":  "no request is routed to a target that is not healthy; weight only after health",
		"I2":  "no write takes the healthy capacity in rotation below the floor",
		"I3":  "total capacity never above the ceiling",
		"I4":  "an old group is shrunk or destroyed only after its weight was read back, is effective and drained",
		"I5":  "weights are integers from 0 to 100 that add up to 100, never on a group without health, and monotonic",
		"I7":  "no write by a deployment after its end",
		"I11": "one server group per change of a deployment",
		"I12": "sequence numbers are unique and increasing",
		"I13": "no orphans",
		"I14": "nothing is touched that is not owned",
	}
}

// Audit reads a log from its beginning and returns every broken invariant, in the order of the events that broke it.
// It is a pure function.
func Audit(events []Event, config AuditConfig) []Violation {
	if config.TagPrefix == "" {
		config.TagPrefix = "slipway:"
	}
	if config.Reaction == 0 {
		config.Reaction = 30 * time.Second
	}
	if len(config.RoutingReads) == 0 {
		config.RoutingReads = []string{
			"DescribeRules", "DescribeListeners", "RegionUrlMaps.Get", "RegionUrlMaps.List", "Services.GetService", "Services.ListServices",
		}
	}
	a := &audit{
		config: config, resources: map[string]*resource{}, rules: map[string]*ruleView{},
		targets: map[string]map[string]string{}, groupOf: map[string]string{}, machines: map[string]string{},
		lost:  map[string]time.Time{},
		ended: map[string]int64{}, clusters: map[string]*cluster{},
	}
	for _, e := range events {
		a.event = e
		a.take(e)
	}
	a.finish()
	return a.violations
}

// audit is the picture of the world that the events so far have painted.
type audit struct {
	config     AuditConfig
	event      Event // the one being judged
	violations []Violation

	resources map[string]*resource         // by Resource of their events
	rules     map[string]*ruleView         // by rule
	targets   map[string]map[string]string // target group -> instance -> state
	groupOf   map[string]string            // instance -> account/region/group
	machines  map[string]string            // instance -> state of the machine; "died" when nobody ended it
	lost      map[string]time.Time         // target group -> when a target last lost its health by itself
	ended     map[string]int64             // deployment -> Seq of its end
	clusters  map[string]*cluster          // by account/region/cluster
}

// resource is a group, target group or launch template.
type resource struct {
	kind, id, name  string
	account, region string
	tags            map[string]string
	capacity        Capacity
	targetGroups    []string
	deleted         bool
}

// cluster is what the auditor knows of all groups of a cluster together.
type cluster struct {
	key         string
	deployments map[string]bool // those that created something
	numbers     map[int]bool    // sequence numbers seen
	highest     int
	lost        []time.Time // when instances lost their health by themselves
	below       bool        // the floor is broken and was reported
}

// ruleView is a routing rule as stored and as each worker sees it, in percents.
type ruleView struct {
	place   string // account/region/
	stored  map[string]int
	workers map[int]map[string]int
	read    map[string]bool      // target groups whose stored weight was read back
	zeroAt  map[string]time.Time // since when no worker gives a target group weight
	falling map[string]bool      // target groups of the newest deployment whose weight has begun to fall
	newest  string               // target group that was added last
}

func (a *audit) take(e Event) {
	switch e.Kind {
	case APICall:
		a.apiCall(e)
	case ResourceCreated:
		a.created(e)
	case ResourceUpdated:
		a.updated(e)
	case ResourceDeleted:
		a.deleted(e)
	case InstanceStateChanged, InstanceLifecycle:
		if e.Group != "" {
			a.groupOf[e.Resource] = place(e) + e.Group
		}
		a.machineMoved(e)
	case TargetStateChanged:
		a.targetMoved(e)
	case WeightsStored:
		a.weightsStored(e)
	case WeightsEffective:
		a.weightsEffective(e)
	case RoutedUnhealthy:
		if a.bereaved(e.Resource) {
			return
		}
		a.violate("I1", e.Resource, "%d requests to targets that are not healthy, the last to %s, which was %s", e.Count, e.Instance, e.State)
	case RequestUnserved:
		if e.State == "503" && !a.bereaved(e.Resource) && !a.placeholder(e.Resource) {
			a.violate("I1", e.Resource, "%d requests to a target group without usable targets", e.Count)
		}
	case DeploymentEnded:
		a.ended[e.Deployment] = e.Seq
	}
}

// violate reports the event being judged, unless it is only there to build up the picture.
func (a *audit) violate(invariant, resource, format string, args ...any) {
	if a.event.Seq <= a.config.After && a.event.Seq > 0 {
		return
	}
	a.violations = append(a.violations, Violation{
		Invariant: invariant, Seq: a.event.Seq, At: a.event.At, Resource: resource, Message: fmt.Sprintf(format, args...),
	})
}

func place(e Event) string { return e.Account + "/" + e.Region + "/" }

func (a *audit) tag(r *resource, name string) string {
	if r == nil {
		return ""
	}
	return r.tags[a.config.TagPrefix+name]
}

// cluster returns the cluster that owns a resource, nil when nobody does.
func (a *audit) cluster(r *resource) *cluster {
	name := a.tag(r, "cluster")
	if name == "" {
		return nil
	}
	key := r.account + "/" + r.region + "/" + name
	c := a.clusters[key]
	if c == nil {
		c = &cluster{key: key, deployments: map[string]bool{}, numbers: map[int]bool{}, highest: -1}
		a.clusters[key] = c
	}
	return c
}

// limit looks up a floor or ceiling of a cluster.
func limit(limits map[string]int, c *cluster, name string) (int, bool) {
	if n, ok := limits[c.key]; ok {
		return n, true
	}
	n, ok := limits[name]
	return n, ok
}

func (a *audit) floor(r *resource) (int, bool) {
	c := a.cluster(r)
	if c == nil {
		return 0, false
	}
	return limit(a.config.Floors, c, a.tag(r, "cluster"))
}

// existing returns the resources of a type in a cluster that are not deleted, by name.
func (a *audit) existing(c *cluster, kind string) []*resource {
	var found []*resource
	for _, id := range slices.Sorted(maps.Keys(a.resources)) {
		if r := a.resources[id]; !r.deleted && r.kind == kind && a.cluster(r) == c {
			found = append(found, r)
		}
	}
	return found
}

// healthy counts the healthy targets of a target group.
func (a *audit) healthy(targetGroup string) int {
	n := 0
	for _, state := range a.targets[targetGroup] {
		if state == string(TargetHealthy) {
			n++
		}
	}
	return n
}
