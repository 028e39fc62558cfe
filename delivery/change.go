package delivery

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
)

// ChangeKey identifies the intent of one change: it is derived from deployment
// and step, never from the attempt, so that the same key never has a second
// effect. Example: "01JD3Z8Q6V5T0H3W4M8N7K2RXA/1/aws-sim/us-east-1/storefront-prod#create".
type ChangeKey string

// Token returns 36 characters in the form of a UUID, the same for the same key:
// what clouds accept as ClientToken or requestId.
func (k ChangeKey) Token() string {
	sum := sha256.Sum256([]byte("slipway change\x00" + string(k)))
	b := sum[:16]
	b[6] = b[6]&0x0f | 0x80 // version 8: custom, RFC 9562 section 5.8
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// ChangeKind names what a change does.
type ChangeKind string

// The closed set of changes.
const (
	// CreateGroup makes the server group and makes it known to the router at weight 0.
	CreateGroup ChangeKind = "createServerGroup"
	// ResizeGroup sets the capacity of a group.
	ResizeGroup ChangeKind = "resizeServerGroup"
	// SetRouting sets the weights of the cluster's groups.
	SetRouting ChangeKind = "setRouting"
	// CreatePreview leads the requests that match to a group; DeletePreview takes
	// that away again. Neither touches the weights.
	CreatePreview ChangeKind = "createPreview"
	DeletePreview ChangeKind = "deletePreview"
	// DestroyGroup removes a managed group that takes no traffic, with every
	// piece that was created for it.
	DestroyGroup ChangeKind = "destroyServerGroup"
	// UpdateGroup gives a managed group another version in place: the cloud replaces
	// its instances, batch by batch. A target without Capabilities.InPlace refuses it
	// with Invalid. It is Done once the group has the version and the replacement is
	// under way; how far that is, Observe tells. A replacement that stopped before its
	// end is begun again by the same change.
	UpdateGroup ChangeKind = "updateServerGroup"
	// PruneGroup removes the versions of a group that nothing uses (ServerGroup.Spare).
	PruneGroup ChangeKind = "pruneServerGroup"
)

// Change is one intended write to a cloud. Which fields are set follows from Kind.
type Change struct {
	Key     ChangeKey  `json:"key"`
	Kind    ChangeKind `json:"kind"`
	Cluster Cluster    `json:"cluster"`
	// Deployment is who writes; it becomes an ownership tag.
	Deployment DeploymentID `json:"deployment"`
	// Fence is the lock's fencing token. A write with a token older than the
	// cluster's newest is refused with Fenced.
	Fence int64 `json:"fence"`
	// Group is the server group of all kinds but SetRouting.
	Group string `json:"group,omitempty"`
	// Spec is what to create, or what to make the new version of an update of.
	Spec *GroupSpec `json:"spec,omitempty"`
	// Update is how an update in place proceeds.
	Update *Update `json:"update,omitempty"`
	// Capacity is the wanted size of create and resize.
	Capacity *Capacity `json:"capacity,omitempty"`
	// Weights are the wanted shares of SetRouting; they add up to 100.
	Weights []Weight `json:"weights,omitempty"`
	// Match is what CreatePreview leads to the group.
	Match *Match `json:"match,omitempty"`
	// Fingerprint is the routing that SetRouting was decided on.
	Fingerprint string `json:"fingerprint,omitempty"`
}

// String describes the change in one line for logs and events.
func (c Change) String() string {
	switch c.Kind {
	case CreateGroup:
		if c.Spec != nil && c.Spec.From != "" {
			return fmt.Sprintf("create server group %s from %s", c.Group, c.Spec.From)
		}
		return fmt.Sprintf("create server group %s", c.Group)
	case ResizeGroup:
		return fmt.Sprintf("resize server group %s to min %d, desired %d, max %d", c.Group, c.Capacity.Min, c.Capacity.Desired, c.Capacity.Max)
	case DestroyGroup:
		return fmt.Sprintf("destroy server group %s", c.Group)
	case UpdateGroup:
		to := "to the version it had before"
		if c.Spec != nil {
			to = "to " + c.Spec.Image
		}
		return fmt.Sprintf("update server group %s in place %s, at most %d more and %d fewer instances at a time", c.Group, to, c.Update.Surge, c.Update.Unavailable)
	case PruneGroup:
		return fmt.Sprintf("remove the versions that server group %s no longer uses", c.Group)
	case CreatePreview:
		return fmt.Sprintf("lead %s to server group %s", c.Match, c.Group)
	case DeletePreview:
		return fmt.Sprintf("remove the rule that leads to server group %s", c.Group)
	case SetRouting:
		parts := make([]string, len(c.Weights))
		for i, w := range c.Weights {
			parts[i] = fmt.Sprintf("%s %d %%", w.ServerGroup, w.Percent)
		}
		return "set routing to " + strings.Join(parts, ", ")
	default:
		return string(c.Kind)
	}
}

// Update says how a group gets another version in place.
type Update struct {
	// Version is the one to go back to, as ServerGroup.Version had it; empty for a new
	// version that is made of the change's Spec.
	Version string `json:"version,omitempty"`
	// Surge is how many instances there may be beyond the group's size meanwhile,
	// Unavailable how many available ones may be missing. At least one is above 0.
	Surge       int `json:"surge"`
	Unavailable int `json:"unavailable"`
}

// GroupSpec says what a new server group is made of.
type GroupSpec struct {
	// From is the server group, in the same account and region, that the new one is
	// made like; empty for none. All that the rest of the spec does not say is the
	// source's, except its name, its owner and its capacity. The target reads the
	// source when it creates, so that what it holds, such as user data, is in no
	// record.
	From string `json:"from,omitempty"`
	// Image is a name or an id, as the pipeline gave it; with From, empty for the
	// source's.
	Image string `json:"image"`
	// LoadBalancer is the name of the router's load balancer; empty for none.
	LoadBalancer string   `json:"loadBalancer,omitempty"`
	Capacity     Capacity `json:"capacity"`
	// Match is how the group is to be reached while it takes no public traffic; nil
	// when it is not to be. Validate judges it.
	Match *Match `json:"match,omitempty"`
	// Settings is the deploy stage's cluster object as it stands in the
	// pipeline. The target kind reads the fields it knows (Descriptor.Schema).
	Settings json.RawMessage `json:"settings,omitempty"`
}

// Receipt is what a target answers to a change.
type Receipt struct {
	// Done is true when nothing is left to write or to wait for.
	Done bool `json:"done"`
	// Wrote is the foreign action that was called, for example
	// "CreateAutoScalingGroup"; empty when nothing had to be written.
	Wrote string `json:"wrote,omitempty"`
	// Waiting says what the change waits for when it is not done and wrote nothing.
	Waiting string `json:"waiting,omitempty"`
}
