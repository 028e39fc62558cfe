package aws

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// refresh is an instance refresh of a group.
type refresh struct {
	ID, Status, Reason string
	Target, Before     templateRef
	MinHealthy         int // percent
	Warmup             time.Duration
	SkipMatching       bool
	Start, End         time.Time
	Total, Left        int
}

// Statuses of an instance refresh (API reference of InstanceRefreshStatus).
const (
	refreshPending    = "Pending"
	refreshRunning    = "InProgress"
	refreshSuccess    = "Successful"
	refreshCancelling = "Cancelling"
	refreshCancelled  = "Cancelled"
	refreshRollback   = "RollbackInProgress"
	refreshRolledBack = "RollbackSuccessful"
)

func (f *refresh) running() bool {
	return f.Status == refreshPending || f.Status == refreshRunning || f.Status == refreshRollback || f.Status == refreshCancelling
}

// current is the refresh that is going on, or nil.
func (g *group) current() *refresh {
	if n := len(g.Refresh); n > 0 && g.Refresh[n-1].running() {
		return g.Refresh[n-1]
	}
	return nil
}

type refreshPreferences struct {
	MinHealthyPercentage      *int32
	InstanceWarmup            *int32
	SkipMatching              *bool
	AutoRollback              *bool
	MaxHealthyPercentage      ignored
	ScaleInProtectedInstances ignored
	StandbyInstances          ignored
	AlarmSpecification        refused
	BakeTime                  refused
	CheckpointDelay           refused
	CheckpointPercentages     refused
}

type desiredConfiguration struct {
	LaunchTemplate       *templateSpec
	MixedInstancesPolicy refused
}

type startRefreshInput struct {
	AutoScalingGroupName string `wire:",required"`
	DesiredConfiguration *desiredConfiguration
	Preferences          *refreshPreferences
	Strategy             string
}

type refreshID struct {
	InstanceRefreshId string
}

// startInstanceRefresh: one at a time, and automatic rollback only with a desired configuration (API reference; texts of
// hashicorp/terraform-provider-aws issue 29830).
func (c *call) startInstanceRefresh(in *startRefreshInput) (*refreshID, error) {
	g, refusal := c.group(in.AutoScalingGroupName)
	if refusal != nil {
		return nil, refusal
	}
	if in.Strategy != "" && in.Strategy != "Rolling" {
		return nil, unsimulated(c.action, "Strategy "+in.Strategy)
	}
	if g.current() != nil {
		return nil, refuse("InstanceRefreshInProgress", "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.")
	}
	p := valueOr(in.Preferences, refreshPreferences{})
	f := &refresh{
		ID: c.cloud.newUUID(), Status: refreshPending, Target: g.Template, Before: g.Template, Start: c.now,
		MinHealthy: int(valueOr(p.MinHealthyPercentage, 90)), SkipMatching: valueOr(p.SkipMatching, false),
		Warmup: time.Duration(valueOr(p.InstanceWarmup, int32(valueOr(g.Warmup, g.Grace)))) * time.Second,
	}
	if f.MinHealthy < 0 || f.MinHealthy > 100 {
		return nil, refuse("ValidationError", "MinHealthyPercentage must be between 0 and 100")
	}
	wanted := in.DesiredConfiguration != nil && in.DesiredConfiguration.LaunchTemplate != nil
	if valueOr(p.AutoRollback, false) && !wanted {
		return nil, refuse("ValidationError", "AutoRollback cannot be set to true when DesiredConfiguration is empty")
	}
	if wanted {
		n := copyOf(g)
		if refusal := c.setTemplate(n, in.DesiredConfiguration.LaunchTemplate); refusal != nil {
			return nil, refusal
		}
		f.Target = n.Template
	}
	g.Refresh = append(g.Refresh, f)
	return &refreshID{f.ID}, nil
}

type cancelRefreshInput struct {
	AutoScalingGroupName          string `wire:",required"`
	WaitForTransitioningInstances ignored
}

func (c *call) activeRefresh(name string) (*group, *refresh, *apiError) {
	g, refusal := c.group(name)
	if refusal != nil {
		return nil, nil, refusal
	}
	f := g.current()
	if f == nil {
		return nil, nil, refuse("ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found for Auto Scaling group %s", name)
	}
	return g, f, nil
}

func (c *call) cancelInstanceRefresh(in *cancelRefreshInput) (*refreshID, error) {
	_, f, refusal := c.activeRefresh(in.AutoScalingGroupName)
	if refusal != nil {
		return nil, refusal
	}
	f.Status, f.Reason = refreshCancelling, "Cancelled due to user request."
	return &refreshID{f.ID}, nil
}

type rollbackRefreshInput struct {
	AutoScalingGroupName string `wire:",required"`
}

// rollbackInstanceRefresh needs a desired configuration with a fixed template version (API reference).
func (c *call) rollbackInstanceRefresh(in *rollbackRefreshInput) (*refreshID, error) {
	_, f, refusal := c.activeRefresh(in.AutoScalingGroupName)
	if refusal != nil {
		return nil, refusal
	}
	if f.Target == f.Before || strings.HasPrefix(f.Before.Version, "$") {
		return nil, refuse("IrreversibleInstanceRefresh", "The Instance Refresh cannot be rolled back: it has no desired configuration, or the group uses $Latest or $Default")
	}
	f.Status, f.Reason = refreshRollback, "Rolled back due to user request."
	return &refreshID{f.ID}, nil
}

type describeRefreshesInput struct {
	AutoScalingGroupName string `wire:",required"`
	InstanceRefreshIds   []string
	MaxRecords           *int32
	NextToken            string
}

type refreshXML struct {
	InstanceRefreshId    string
	AutoScalingGroupName string
	Status               string
	StatusReason         *string
	StartTime            *stamp
	EndTime              *stamp
	PercentageComplete   int
	InstancesToUpdate    int
}

type describeRefreshesOutput struct {
	InstanceRefreshes members[refreshXML]
	NextToken         *string
}

func (c *call) describeInstanceRefreshes(in *describeRefreshesInput) (*describeRefreshesOutput, error) {
	g := c.data.Groups[in.AutoScalingGroupName]
	if g == nil {
		return nil, refuse("ValidationError", "AutoScalingGroup name not found - AutoScalingGroup '%s' not found", in.AutoScalingGroupName)
	}
	var found []refreshXML
	keys := map[string]string{}
	for i, f := range slices.Backward(g.Refresh) {
		if len(in.InstanceRefreshIds) > 0 && !slices.Contains(in.InstanceRefreshIds, f.ID) {
			continue
		}
		x := refreshXML{
			InstanceRefreshId: f.ID, AutoScalingGroupName: g.Name, Status: f.Status, StatusReason: optional(f.Reason),
			StartTime: stampOf(f.Start), EndTime: stampOf(f.End), InstancesToUpdate: f.Left, PercentageComplete: 100,
		}
		if f.Total > 0 {
			x.PercentageComplete = 100 * (f.Total - f.Left) / f.Total
		}
		keys[f.ID] = fmt.Sprintf("%06d", 999999-i)
		found = append(found, x)
	}
	part, next, ok := page(found, func(f refreshXML) string { return keys[f.InstanceRefreshId] }, in.NextToken, c.size(valueOr(in.MaxRecords, 0)))
	if !ok {
		return nil, invalidToken(in.NextToken)
	}
	return &describeRefreshesOutput{listOf(part), optional(next)}, nil
}

// stepRefresh replaces instances that are not of the target template, as many at a time as the minimum healthy percentage
// allows, and at least one (user guide, "How an instance refresh works").
func (r *region) stepRefresh(g *group, now time.Time) {
	f := g.current()
	if f == nil || g.suspended(processRefresh) {
		return
	}
	if f.Status == refreshCancelling {
		f.Status, f.End = refreshCancelled, now
		return
	}
	goal := f.Target
	if f.Status == refreshRollback {
		goal = f.Before
	}
	if f.Status == refreshPending {
		f.Status = refreshRunning
		f.Total = len(g.outdated(goal, f.SkipMatching, f.Start, r.data))
	}
	g.Template = goal
	old := g.outdated(goal, f.SkipMatching || f.Status == refreshRollback, f.Start, r.data)
	f.Left = len(old)
	ready := 0
	for _, m := range g.alive() {
		if m.State == lifecycleInService && m.Health == healthy && (slices.Contains(old, m) || !now.Before(m.InServiceAt.Add(f.Warmup))) {
			ready++
		}
	}
	if len(old) == 0 && ready >= g.Desired {
		f.End = now
		f.Status = map[string]string{refreshRunning: refreshSuccess, refreshRollback: refreshRolledBack}[f.Status]
		return
	}
	floor := min((g.Desired*f.MinHealthy+99)/100, g.Desired-1)
	for _, m := range old {
		if ready <= floor {
			return
		}
		r.terminate(g, m, ending{fmt.Sprintf("At %s an instance was taken out of service in response to an instance refresh.", second(now)), true}, now)
		ready--
	}
}

// outdated returns the members that a refresh has to replace: those of another template, or without skipping all that
// were launched before it began.
func (g *group) outdated(goal templateRef, skip bool, start time.Time, d *regionData) []*member {
	var old []*member
	for _, m := range g.alive() {
		if m.Template != goal || !skip && d.launched(m).Before(start) {
			old = append(old, m)
		}
	}
	return old
}
