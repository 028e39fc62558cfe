package aws

import (
	"slices"
	"time"
)

// Lifecycle states of an instance in a group (user guide, "instance lifecycle").
const (
	lifecyclePending     = "Pending"
	lifecycleInService   = "InService"
	lifecycleTerminating = "Terminating"
)

const (
	healthy   = "Healthy"
	unhealthy = "Unhealthy"
)

// Scaling processes (API reference of SuspendProcesses).
const (
	processLaunch    = "Launch"
	processTerminate = "Terminate"
	processBalancer  = "AddToLoadBalancer"
	processHealth    = "HealthCheck"
	processReplace   = "ReplaceUnhealthy"
	processRefresh   = "InstanceRefresh"
)

var processes = []string{
	processTerminate, processLaunch, processBalancer, "AZRebalance", processHealth, processReplace,
	"AlarmNotification", "ScheduledActions", processRefresh,
}

// group is an Auto Scaling group.
type group struct {
	Name, ARN         string
	Template          templateRef
	Min, Max, Desired int
	Subnets, Zones    []string
	HealthCheckType   string // EC2 or ELB
	Grace             int    // seconds
	Cooldown          int
	Warmup            *int
	Protect           bool // new instances are protected from scale in
	Policies          []string
	Tags              []groupTag
	Sources           []trafficSource
	Suspended         []suspension
	Members           []*member
	CreatedAt         time.Time
	// Deleting is set from the acceptance of a deletion until the group is gone.
	Deleting bool
	Force    bool
	// GoneAt is the earliest end of the deletion.
	GoneAt time.Time
	// Cause is the text that explains the present desired capacity in activities.
	Cause string
	// RetryAt is when a failed launch is tried again, Failures how many failed in a row.
	RetryAt  time.Time
	Failures int
	Refresh  []*refresh
}

type templateRef struct {
	ID, Name, Version string
}

type groupTag struct {
	Key, Value string
	Propagate  bool
}

// suspension is a scaling process that a user suspended.
type suspension struct {
	Process string
	At      time.Time
}

// trafficSource is a target group that the group registers its instances in.
type trafficSource struct {
	ARN string
	// Removing is set while its instances are being deregistered.
	Removing bool
}

// member is an instance of a group, in the group's view.
type member struct {
	ID, Zone, Type string
	Template       templateRef
	State          string
	Health         string
	Protected      bool
	InServiceAt    time.Time
	Activity       string // id of the launch or termination that is in progress
	// UnhealthyBy says who found the instance unhealthy, in the words of activities.
	UnhealthyBy string
	// Drain tells whether its termination waits for connections to end.
	Drain bool
	// Stopping is set when the machine was told to stop.
	Stopping bool
}

func (m *member) ending() bool { return m.State == lifecycleTerminating }

// activity is one entry of a group's history.
type activity struct {
	ID, Group, GroupARN, Description, Cause, Status, Message string
	Subnet, Zone                                             string
	Start, End                                               time.Time
	Progress                                                 int
	Serial                                                   int64
	GroupGone                                                bool
}

func (g *group) suspended(process string) bool {
	return slices.ContainsFunc(g.Suspended, func(s suspension) bool { return s.Process == process })
}

// alive returns the members that are not being terminated.
func (g *group) alive() []*member {
	var out []*member
	for _, m := range g.Members {
		if !m.ending() {
			out = append(out, m)
		}
	}
	return out
}

func (g *group) member(id string) *member {
	for _, m := range g.Members {
		if m.ID == id {
			return m
		}
	}
	return nil
}

func (g *group) plainTags() []tag {
	var out []tag
	for _, t := range g.Tags {
		out = append(out, tag{t.Key, t.Value})
	}
	return out
}

// targetGroups returns the target groups that take new instances.
func (g *group) targetGroups() []string {
	out := []string{}
	for _, s := range g.Sources {
		if !s.Removing {
			out = append(out, s.ARN)
		}
	}
	return out
}
