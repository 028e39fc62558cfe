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
	MaxHealthy         int // percent; 0 when it was not asked for
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
	MaxHealthyPercentage      *int32
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
	if refusal := f.checkBounds(p); refusal != nil {
		return nil, refusal
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
	DesiredConfiguration *desiredConfigurationXML
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
			DesiredConfiguration: f.configuration(), StartTime: stampOf(f.Start), EndTime: stampOf(f.End), InstancesToUpdate: f.Left, PercentageComplete: 100,
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
	goal := f.goal()
	if f.Status == refreshPending {
		f.Status = refreshRunning
		f.Total = len(g.outdated(goal, f.SkipMatching, f.Start, r.data))
	}
	old := g.outdated(goal, f.SkipMatching || f.Status == refreshRollback, f.Start, r.data)
	f.Left = len(old)
	ready := 0
	for _, m := range g.alive() {
		if m.State == lifecycleInService && m.Health == healthy && (slices.Contains(old, m) || !now.Before(m.InServiceAt.Add(f.Warmup))) {
			ready++
		}
	}
	if len(old) == 0 && ready >= g.Desired {
		f.End, g.Template = now, goal
		f.Status = map[string]string{refreshRunning: refreshSuccess, refreshRollback: refreshRolledBack}[f.Status]
		return
	}
	r.replaceOld(g, old, ready, now)
}

// replaceOld ends instances that are to be replaced, as far as enough ready ones stay. Those that are not in service go
// first: assumption.
func (r *region) replaceOld(g *group, old []*member, ready int, now time.Time) {
	f := g.current()
	least := (g.Desired*f.MinHealthy + 99) / 100
	if f.MaxHealthy == 0 {
		least = min(least, g.Desired-1)
	}
	for _, serving := range []bool{false, true} {
		for _, m := range old {
			if (m.State == lifecycleInService && m.Health == healthy) != serving || serving && ready <= least {
				continue
			}
			r.terminate(g, m, ending{fmt.Sprintf("At %s an instance was taken out of service in response to an instance refresh.", second(now)), true}, now)
			f.Left--
			if serving {
				ready--
			}
		}
	}
}

// goal is the template whose instances stay.
func (f *refresh) goal() templateRef {
	if f.Status == refreshRollback {
		return f.Before
	}
	return f.Target
}

// launchTemplate is what new instances are launched from. "Once the instance refresh succeeds, Amazon EC2 Auto Scaling updates
// the settings of the Auto Scaling group to reflect the new desired configuration" (API reference of StartInstanceRefresh): until
// then the group keeps its own.
func (g *group) launchTemplate() templateRef {
	if f := g.current(); f != nil && f.Status != refreshCancelling {
		return f.goal()
	}
	return g.Template
}

// surplus is how many instances a refresh has beyond the desired capacity now, and no more than are left to replace. With an
// explicit MaxHealthyPercentage that leaves no room an instance is launched before one is terminated (API reference of
// RefreshPreferences). That the number is rounded down: assumption.
func (g *group) surplus() int {
	f := g.current()
	if f == nil || f.MaxHealthy == 0 || f.Status == refreshPending || f.Status == refreshCancelling {
		return 0
	}
	room := g.Desired*f.MaxHealthy/100 - g.Desired
	if room == 0 && (g.Desired*f.MinHealthy+99)/100 >= g.Desired {
		room = 1
	}
	return min(room, f.Left)
}

// checkBounds holds the percentages within what the API reference of RefreshPreferences allows. The texts: assumption.
func (f *refresh) checkBounds(p refreshPreferences) *apiError {
	if f.MinHealthy < 0 || f.MinHealthy > 100 {
		return refuse("ValidationError", "MinHealthyPercentage must be between 0 and 100")
	}
	if p.MaxHealthyPercentage == nil {
		return nil
	}
	f.MaxHealthy = int(*p.MaxHealthyPercentage)
	switch {
	case f.MaxHealthy < 100 || f.MaxHealthy > 200:
		return refuse("ValidationError", "MaxHealthyPercentage must be between 100 and 200")
	case p.MinHealthyPercentage == nil:
		return refuse("ValidationError", "MinHealthyPercentage must be specified when MaxHealthyPercentage is specified")
	case f.MaxHealthy-f.MinHealthy > 100:
		return refuse("ValidationError", "The difference between MaxHealthyPercentage and MinHealthyPercentage cannot be greater than 100")
	}
	return nil
}

type desiredConfigurationXML struct {
	LaunchTemplate templateSpecXML
}

// configuration is what the refresh was started for; nil when nothing was asked for.
func (f *refresh) configuration() *desiredConfigurationXML {
	if f.Target == f.Before {
		return nil
	}
	return &desiredConfigurationXML{templateSpecXML{f.Target.ID, f.Target.Name, f.Target.Version}}
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
