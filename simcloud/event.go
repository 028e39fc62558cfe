package simcloud

import "time"

// Kind says what an [Event] tells. The comment of each kind names the fields it fills beside Seq, At, Account and Region.
type Kind string

// Events that control planes append.
const (
	// APICall is one answered or aborted request to a cloud API. Service, Action, Principal, Write; Resource is the name
	// or ARN the call was about (the first, when several); Error is the code answered; Fault the id of an injected
	// fault and Reason its [EffectKind]; Effect tells whether the call changed anything (true also when the answer was lost by a fault).
	// Deployment, when the caller named one.
	APICall Kind = "APICall"
	// ResourceCreated tells that something exists. Type, Resource, Name, Tags; for a group also Capacity and
	// TargetGroups; for what belongs to a group, Group. Principal of the call that caused it.
	ResourceCreated Kind = "ResourceCreated"
	// ResourceUpdated tells the new Tags, Capacity or TargetGroups of a resource: a nil field is unchanged.
	// Principal of the call that caused it, empty when the cloud itself did it.
	ResourceUpdated Kind = "ResourceUpdated"
	// ResourceDeleted tells that a resource does not exist any more, or, for a group, that its deletion was accepted.
	ResourceDeleted Kind = "ResourceDeleted"
	// InstanceLifecycle is a step of an instance in its group. Resource is the instance, Group its group, State one of
	// Pending, InService, Terminating, Terminated; Reason a cloud's words.
	InstanceLifecycle Kind = "InstanceLifecycle"
)

// Events that the kernel appends.
const (
	// InstanceStateChanged is a step of a machine. Resource is the instance, Group its group if any, State one of the
	// [InstanceState] values, Reason why ("killed" when a person or a fault did it).
	InstanceStateChanged Kind = "InstanceStateChanged"
	// TargetStateChanged is a new health state of a target. Resource is the target group, Instance the target, State
	// and Reason as in [TargetHealth]. A target that has left the group for good has state "gone".
	TargetStateChanged Kind = "TargetStateChanged"
	// WeightsStored tells what a routing rule holds in the control plane from now on. Resource is the rule, Weights
	// by target group; an empty map when the rule was deleted. LoadBalancer.
	WeightsStored Kind = "WeightsStored"
	// WeightsEffective tells that one proxy worker routes by these weights from now on. Fields of WeightsStored, and
	// Worker.
	WeightsEffective Kind = "WeightsEffective"
	// RoutedUnhealthy tells that a load balancer sent a request to a target that was not healthy (it failed open).
	// Resource is the target group, Instance the target, Count the requests since the last such event of the group.
	RoutedUnhealthy Kind = "RoutedUnhealthy"
	// RequestUnserved tells that a load balancer answered a request itself with a 5xx. Resource is the target group,
	// State the status, Reason, Count as in RoutedUnhealthy.
	RequestUnserved Kind = "RequestUnserved"
	// FaultInjected tells that a fault acted on something else than an API call. Fault, Resource, Reason.
	FaultInjected Kind = "FaultInjected"
	// DeploymentEnded is told through the control API: Deployment has reached its end and must not write any more.
	// Deployment, State.
	DeploymentEnded Kind = "DeploymentEnded"
)

// Types of resources in [ResourceCreated], [ResourceUpdated] and [ResourceDeleted].
const (
	TypeGroup          = "group"           // an auto-scaling group
	TypeTargetGroup    = "target-group"    // a target group
	TypeLaunchTemplate = "launch-template" // a launch template
	TypeRule           = "rule"            // a listener rule
)

// Event is one thing that happened in the world. Only the fields that its Kind names are filled.
type Event struct {
	// Seq counts events from 1 without gaps; set by [Log.Append].
	Seq int64 `json:"seq"`
	// At is simulated time; set by [Log.Append] when zero.
	At      time.Time `json:"at"`
	Kind    Kind      `json:"kind"`
	Account string    `json:"account,omitempty"`
	Region  string    `json:"region,omitempty"`
	// Resource is what the event is about: an ARN where the cloud has one, else an id or a name. The same thing has
	// the same Resource in every event.
	Resource string `json:"resource,omitempty"`
	// Type is one of the Type constants.
	Type string `json:"type,omitempty"`
	// Name is the resource's name as its owner gave it.
	Name string `json:"name,omitempty"`
	// Group is the name of the group that the resource belongs to.
	Group    string `json:"group,omitempty"`
	Instance string `json:"instance,omitempty"`
	// LoadBalancer is the name of a load balancer.
	LoadBalancer string            `json:"loadBalancer,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	Capacity     *Capacity         `json:"capacity,omitempty"`
	// TargetGroups are the Resource names of the target groups a group registers its instances in.
	TargetGroups []string `json:"targetGroups,omitempty"`
	// Weights by target group, as the cloud's integers.
	Weights map[string]int `json:"weights,omitempty"`
	// Worker is the number of a proxy worker, from 0.
	Worker     int    `json:"worker,omitempty"`
	State      string `json:"state,omitempty"`
	Reason     string `json:"reason,omitempty"`
	Service    string `json:"service,omitempty"`
	Action     string `json:"action,omitempty"`
	Principal  string `json:"principal,omitempty"`
	Write      bool   `json:"write,omitempty"`
	Effect     bool   `json:"effect,omitempty"`
	Error      string `json:"error,omitempty"`
	Fault      string `json:"fault,omitempty"`
	Deployment string `json:"deployment,omitempty"`
	Count      int    `json:"count,omitempty"`
}

// Capacity is the size of a group in instances.
type Capacity struct {
	Min     int `json:"min"`
	Max     int `json:"max"`
	Desired int `json:"desired"`
}
