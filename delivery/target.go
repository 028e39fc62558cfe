package delivery

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Target is the port that one kind of deployment target in one account and
// region implements. Every method makes at most a few round trips, returns
// within 30 s and never waits for the cloud to settle; waiting is the workflow's.
//
// Errors carry a Kind: Invalid, NotFound, Conflict, Denied, Throttled,
// Transient, NotReady, Quota. Observe and Validate only read.
type Target interface {
	// Describe returns what the kind is and can do. It does no I/O.
	Describe() Descriptor
	// Validate checks a spec against the cloud: images, subnets, load balancer,
	// quotas, permissions; with From, that the source is there and can be copied.
	// Findings carry pointers into spec.Settings, those about the source AtSource.
	// The error is for what could not be checked, or Quota when nothing is wrong with
	// the spec and the cloud has no room for one more server group.
	Validate(ctx context.Context, cluster Cluster, spec GroupSpec) ([]Finding, error)
	// Observe returns the truth of the cluster as of now. A cluster without
	// groups is an empty snapshot, not an error. spec names the load balancer to
	// read; with an empty name routing is found from the groups' own attachments.
	Observe(ctx context.Context, cluster Cluster, loadBalancer string) (Snapshot, error)
	// Apply makes at most one write towards the change: read, compare, write.
	// The caller repeats it until Receipt.Done; the same key never has a second
	// effect, however often and from wherever it is applied.
	Apply(ctx context.Context, change Change) (Receipt, error)
}

// AtSource is the pointer of what Validate finds about GroupSpec.From.
const AtSource = "/source"

// Targets finds the target of a cluster.
type Targets interface {
	// Target returns Invalid when no account of that name, provider and region
	// is configured.
	Target(cluster Cluster) (Target, error)
	// Accounts returns the configured accounts sorted by name.
	Accounts() []Account
}

// ClusterLister finds what an application runs. Target kinds that can list
// implement it for their account and region, the registry for all of them.
type ClusterLister interface {
	// Clusters returns the clusters of the application that have at least one
	// managed server group, sorted by account, region and name. It only reads.
	Clusters(ctx context.Context, application string) ([]Cluster, error)
}

// InstanceFinder finds what an instance belongs to. Target kinds whose instances
// can be looked up one by one implement it for their account and region.
type InstanceFinder interface {
	// GroupOf returns the cluster and the name of the server group that an instance
	// of this id is in. It makes one call, whatever else there is, and only reads.
	// NotFound means that it is in none; a group does not mean that the instance is
	// still there, which Observe tells.
	GroupOf(ctx context.Context, instance string) (Cluster, string, error)
}

// MaxImages is how many images an ImageFinder returns at the most.
const MaxImages = 1000

// ImageFinder finds images that server groups can be made of. Target kinds whose
// cloud keeps a list of images implement it for their account and region.
type ImageFinder interface {
	// Images returns the images that a spec may name whose whole name matches the
	// pattern, the newest first. In it * stands for any characters and ? for one. A
	// pattern that is an id, where ids can be told from names, finds the image of
	// that id. Invalid with the pointer /pattern means that more than MaxImages match.
	// It only reads, as many pages as the matching images need.
	Images(ctx context.Context, pattern string) ([]Image, error)
}

// Image is what server groups are made of.
type Image struct {
	// ID is what ServerGroup.ImageID has, for example "ami-0a1b2c3d4e5f60718".
	ID   string `json:"id"`
	Name string `json:"name"`
	// CreatedAt is zero when the cloud does not say.
	CreatedAt time.Time         `json:"createdAt,omitzero"`
	Tags      map[string]string `json:"tags,omitempty"`
}

// TooManyImages is the error of an ImageFinder for a pattern that matches more
// than MaxImages.
func TooManyImages() error {
	return InvalidError("", []Finding{{Pointer: "/pattern", Message: fmt.Sprintf("matches more than %d images", MaxImages)}})
}

// Descriptor says what a target kind is.
type Descriptor struct {
	// Kind is "provider/kind", for example "aws/asg".
	Kind string `json:"kind"`
	// Schema is the JSON Schema of GroupSpec.Settings.
	Schema       json.RawMessage `json:"schema"`
	Capabilities Capabilities    `json:"capabilities"`
}

// Capabilities is what a target kind can do, as data.
type Capabilities struct {
	// Weighted is true when traffic can be split by percent.
	Weighted bool `json:"weighted"`
	// MaxDestinations is how many groups a router can know at once; zero means no limit.
	MaxDestinations int `json:"maxDestinations,omitempty"`
	// Settle is how long a routing write may take to reach every proxy after it
	// was read back.
	Settle time.Duration `json:"settle"`
	// Drain is how long connections to a removed target may still be served.
	Drain time.Duration `json:"drain"`
	// Resize is true when capacity can be changed without a new version. Without
	// it a group is created with the capacity of its spec, whatever the change says,
	// a ResizeGroup is refused with Invalid, and the group shows one instance that
	// stands for the whole of it: how many there really are follows the traffic and
	// is not to be seen.
	Resize bool `json:"resize"`
	// InPlace is true when the cloud can replace a group's instances by those of
	// another version, batch by batch.
	InPlace bool `json:"inPlace,omitempty"`
	// KeepsVersions is true when versions that were replaced in place are part of the
	// group and go with it; without it each is a resource of its own, which a
	// PruneGroup removes.
	KeepsVersions bool `json:"keepsVersions,omitempty"`
	// Previews are the ways in which a group that takes no public traffic can be
	// reached; empty when there is none. Groups of a kind with MatchTagURL have their
	// addresses from their creation to their end.
	Previews []MatchKind `json:"previews,omitempty"`
	// Metrics is the source that measures the groups' traffic: CloudWatch or
	// CloudMonitoring; empty when there is none.
	Metrics string `json:"metrics,omitempty"`
	// MetricDelay is how long after its end a minute may still be incomplete in
	// the source.
	MetricDelay time.Duration `json:"metricDelay,omitempty"`
}
