package delivery

import (
	"fmt"
	"time"
)

// Capacity is the size of a server group in instances. Min <= Desired <= Max.
type Capacity struct {
	Min     int `json:"min"`
	Max     int `json:"max"`
	Desired int `json:"desired"`
}

// MaxInstances is the most instances that a server group may be asked to have. A
// regional managed instance group holds 4,000 at the most (Compute Engine's limit); of an
// Auto Scaling group AWS states none but the quotas of the account. More is likelier
// a mistake than meant, and every look at the group costs memory for each of them.
const MaxInstances = 10_000

// Pinned returns a capacity with min, max and desired all n.
func Pinned(n int) Capacity { return Capacity{Min: n, Max: n, Desired: n} }

// Validate returns findings with pointers relative to the capacity object.
func (c Capacity) Validate() []Finding {
	var out []Finding
	for _, f := range []struct {
		name  string
		value int
	}{{"min", c.Min}, {"max", c.Max}, {"desired", c.Desired}} {
		if f.value < 0 {
			out = append(out, Finding{Pointer: "/" + f.name, Message: fmt.Sprintf("is %d; must not be negative", f.value)})
		}
	}
	if c.Min > c.Max {
		out = append(out, Finding{Pointer: "/min", Message: fmt.Sprintf("is %d, more than max %d", c.Min, c.Max)})
	}
	if c.Desired < c.Min || c.Desired > c.Max {
		out = append(out, Finding{Pointer: "/desired", Message: fmt.Sprintf("is %d, outside min %d and max %d", c.Desired, c.Min, c.Max)})
	}
	return out
}

// TooLarge returns findings like Validate for what exceeds MaxInstances. It is asked of
// what people want, and not of what a server group has already: a rollback gives that back.
func (c Capacity) TooLarge() []Finding {
	var out []Finding
	for _, f := range []struct {
		name  string
		value int
	}{{"min", c.Min}, {"max", c.Max}, {"desired", c.Desired}} {
		if f.value > MaxInstances {
			out = append(out, Finding{Pointer: "/" + f.name, Message: fmt.Sprintf("is %d; a server group has at most %d instances", f.value, MaxInstances)})
		}
	}
	return out
}

// HealthState is what one health source says of one instance.
type HealthState string

// The health states. The zero value is Unknown, and unknown is never healthy.
const (
	HealthUnknown      HealthState = ""
	HealthStarting     HealthState = "Starting"
	HealthUp           HealthState = "Up"
	HealthDown         HealthState = "Down"
	HealthDraining     HealthState = "Draining"
	HealthOutOfService HealthState = "OutOfService"
)

// Health is one source's word on one instance.
type Health struct {
	// Source names who says so, for example "Amazon" (EC2 and the group itself)
	// or "TargetGroup".
	Source string      `json:"source"`
	State  HealthState `json:"state"`
	// Reason is the source's own text, for example "Target.FailedHealthChecks".
	Reason string `json:"reason,omitempty"`
}

// Instance is one machine of a server group.
type Instance struct {
	ID         string    `json:"id"`
	Zone       string    `json:"zone,omitempty"`
	LaunchedAt time.Time `json:"launchedAt,omitzero"`
	Health     []Health  `json:"health,omitempty"`
	// Version is what the instance was made of, in the terms of ServerGroup.Version;
	// empty when it is not known.
	Version string `json:"version,omitempty"`
}

// Healthy reports whether every one of the named sources says Up. With no
// sources named nothing is known, and unknown is not healthy.
func (i Instance) Healthy(sources []string) bool {
	if len(sources) == 0 {
		return false
	}
	for _, source := range sources {
		if i.state(source) != HealthUp {
			return false
		}
	}
	return true
}

func (i Instance) state(source string) HealthState {
	for _, h := range i.Health {
		if h.Source == source {
			return h.State
		}
	}
	return HealthUnknown
}

// Problem is something the cloud reported about a server group, for example a
// failed launch.
type Problem struct {
	// ID is the cloud's own id of the event, so that the same problem is counted once.
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	Code    string    `json:"code"`
	Message string    `json:"message"`
}

// ServerGroup is one deployed version of a cluster, as observed.
type ServerGroup struct {
	Name      string    `json:"name"`
	Sequence  int       `json:"sequence"`
	CreatedAt time.Time `json:"createdAt,omitzero"`
	// Image is the image's name where known, else its id.
	Image    string   `json:"image"`
	ImageID  string   `json:"imageId,omitempty"`
	Capacity Capacity `json:"capacity"`
	// HealthSources are the sources that must all say Up for an instance to
	// count as healthy. A group behind a load balancer has two of them.
	HealthSources []string   `json:"healthSources"`
	Instances     []Instance `json:"instances,omitempty"`
	// Complete is false while pieces of the group are missing: it is being
	// created, being deleted, or a creation or deletion was interrupted.
	Complete bool `json:"complete"`
	// Deleting is true once the deletion began; such a group cannot be changed.
	Deleting bool `json:"deleting,omitempty"`
	// Managed is true when the ownership tags say that Slipway created it. Only
	// a managed group may be destroyed.
	Managed bool `json:"managed"`
	// Deployment is the id in the ownership tags of the deployment that created it.
	Deployment DeploymentID `json:"deployment,omitempty"`
	Problems   []Problem    `json:"problems,omitempty"`
	// Version names what new instances are made of: an instance template, or a version
	// of a launch template. An update in place gives the group another one. Empty where
	// groups are not updated in place.
	Version string `json:"version,omitempty"`
	// VersionBy is the key of the change that made the version; empty when it is not known.
	VersionBy ChangeKey `json:"versionBy,omitempty"`
	// Rolling is true while the cloud replaces instances by those of the version.
	Rolling bool `json:"rolling,omitempty"`
	// RollUnit is the least number of instances, other than 0, by which the cloud lets
	// the group be larger or smaller while it replaces them; zero means 1.
	RollUnit int `json:"rollUnit,omitempty"`
	// RollWait is how long the cloud waits with instances that it has just replaced, before
	// it replaces the next; zero when it does not, or when that is not known.
	RollWait time.Duration `json:"rollWait,omitempty"`
	// NotInPlace says why the group must not be updated in place although its kind can
	// be; empty when nothing speaks against it.
	NotInPlace string `json:"notInPlace,omitempty"`
	// Spare are versions that were made for the group and that neither it nor one of
	// its instances uses.
	Spare []string `json:"spare,omitempty"`
}

// Rolled tells how far the instances are of the group's version: how many are and
// are healthy, and how many are not of it.
func (g ServerGroup) Rolled() (ready, outdated int) {
	for _, i := range g.Instances {
		switch {
		case i.Version != g.Version:
			outdated++
		case i.Healthy(g.HealthSources):
			ready++
		}
	}
	return ready, outdated
}

// Healthy returns how many instances are healthy by all of the group's sources.
func (g ServerGroup) Healthy() int {
	n := 0
	for _, i := range g.Instances {
		if i.Healthy(g.HealthSources) {
			n++
		}
	}
	return n
}
