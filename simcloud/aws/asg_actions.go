package aws

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/simcloud"
)

type processesInput struct {
	AutoScalingGroupName string `wire:",required"`
	ScalingProcesses     []string
}

// named returns the processes asked for: all when none is named.
func (in *processesInput) named() ([]string, *apiError) {
	for _, p := range in.ScalingProcesses {
		if !slices.Contains(processes, p) {
			return nil, refuse("ValidationError", "%s is not a recognized scaling process", p)
		}
	}
	if len(in.ScalingProcesses) == 0 {
		return processes, nil
	}
	return in.ScalingProcesses, nil
}

func (c *call) suspendProcesses(in *processesInput) (*nothing, error) {
	g, refusal := c.group(in.AutoScalingGroupName)
	if refusal != nil {
		return nil, refusal
	}
	named, refusal := in.named()
	if refusal != nil {
		return nil, refusal
	}
	for _, p := range named {
		if !g.suspended(p) {
			g.Suspended = append(g.Suspended, suspension{p, c.now})
		}
	}
	return &nothing{}, nil
}

func (c *call) resumeProcesses(in *processesInput) (*nothing, error) {
	g, refusal := c.group(in.AutoScalingGroupName)
	if refusal != nil {
		return nil, refusal
	}
	named, refusal := in.named()
	if refusal != nil {
		return nil, refusal
	}
	g.Suspended = slices.DeleteFunc(g.Suspended, func(s suspension) bool { return slices.Contains(named, s.Process) })
	return &nothing{}, nil
}

// addSources attaches target groups. The text for one that does not exist is recorded in many Terraform issues.
func (c *call) addSources(g *group, sources []sourceInput) *apiError {
	for _, s := range sources {
		if s.Type != "" && s.Type != "elbv2" {
			return unsimulated(c.action, "traffic source type "+s.Type)
		}
		if c.data.TargetGroups[s.Identifier] == nil {
			return refuse("ValidationError", "Provided Target Groups may not be valid. Please ensure they exist and try again.")
		}
	}
	for _, s := range sources {
		g.Sources = slices.DeleteFunc(g.Sources, func(have trafficSource) bool { return have.ARN == s.Identifier })
		g.Sources = append(g.Sources, trafficSource{ARN: s.Identifier})
		if g.suspended(processBalancer) {
			continue
		}
		for _, m := range g.Members {
			if m.State == lifecycleInService {
				c.region.register(s.Identifier, m.ID)
			}
		}
	}
	return nil
}

// removeSources detaches target groups: their targets drain, and the source is gone when none is left.
func (c *call) removeSources(g *group, sources []sourceInput) *apiError {
	for _, s := range sources {
		if !slices.ContainsFunc(g.Sources, func(have trafficSource) bool { return have.ARN == s.Identifier }) {
			return refuse("ValidationError", "Trying to remove Target Groups that are not part of the group")
		}
	}
	for _, s := range sources {
		for i := range g.Sources {
			if g.Sources[i].ARN != s.Identifier {
				continue
			}
			g.Sources[i].Removing = true
			for _, m := range g.Members {
				c.region.deregister(s.Identifier, m.ID)
			}
		}
	}
	return nil
}

type trafficSourcesInput struct {
	AutoScalingGroupName     string        `wire:",required"`
	TrafficSources           []sourceInput `wire:",required"`
	SkipZonalShiftValidation ignored
}

type detachTrafficSourcesInput struct {
	AutoScalingGroupName string        `wire:",required"`
	TrafficSources       []sourceInput `wire:",required"`
}

type groupTargetGroupsInput struct {
	AutoScalingGroupName string   `wire:",required"`
	TargetGroupARNs      []string `wire:",required"`
}

func (in *groupTargetGroupsInput) sources() []sourceInput {
	return mapped(in.TargetGroupARNs, func(arn string) sourceInput { return sourceInput{Identifier: arn} })
}

// changeSources runs a change of a group's sources.
func (c *call) changeSources(name string, sources []sourceInput, change func(*group, []sourceInput) *apiError) (*nothing, error) {
	g, refusal := c.group(name)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := change(g, sources); refusal != nil {
		return nil, refusal
	}
	c.groupEvent(simcloud.ResourceUpdated, g)
	return &nothing{}, nil
}

func (c *call) attachTrafficSources(in *trafficSourcesInput) (*nothing, error) {
	return c.changeSources(in.AutoScalingGroupName, in.TrafficSources, c.addSources)
}

func (c *call) detachTrafficSources(in *detachTrafficSourcesInput) (*nothing, error) {
	return c.changeSources(in.AutoScalingGroupName, in.TrafficSources, c.removeSources)
}

func (c *call) attachTargetGroups(in *groupTargetGroupsInput) (*nothing, error) {
	return c.changeSources(in.AutoScalingGroupName, in.sources(), c.addSources)
}

func (c *call) detachTargetGroups(in *groupTargetGroupsInput) (*nothing, error) {
	return c.changeSources(in.AutoScalingGroupName, in.sources(), c.removeSources)
}

type describeSourcesInput struct {
	AutoScalingGroupName string `wire:",required"`
	TrafficSourceType    string
	MaxRecords           *int32
	NextToken            string
}

type sourceStateXML struct {
	Identifier string
	State      string
	Type       string
}

type describeSourcesOutput struct {
	TrafficSources members[sourceStateXML]
	NextToken      *string
}

func (c *call) sourcesOf(in *describeSourcesInput) ([]sourceStateXML, *string, *apiError) {
	g := c.data.Groups[in.AutoScalingGroupName]
	if g == nil {
		return nil, nil, refuse("ValidationError", "AutoScalingGroup name not found - AutoScalingGroup '%s' not found", in.AutoScalingGroupName)
	}
	var found []sourceStateXML
	for _, s := range g.Sources {
		if in.TrafficSourceType == "" || in.TrafficSourceType == "elbv2" {
			found = append(found, sourceStateXML{s.ARN, c.data.sourceState(g, s), "elbv2"})
		}
	}
	slices.SortFunc(found, func(a, b sourceStateXML) int { return strings.Compare(a.Identifier, b.Identifier) })
	part, next, ok := page(found, func(s sourceStateXML) string { return s.Identifier }, in.NextToken, c.size(valueOr(in.MaxRecords, 0)))
	if !ok {
		return nil, nil, invalidToken(in.NextToken)
	}
	return part, optional(next), nil
}

// sourceState: API reference of TrafficSourceState. Adding: instances are being registered; Added: all are; InService: at
// least one is healthy; Removing: they are being deregistered.
func (d *regionData) sourceState(g *group, s trafficSource) string {
	if s.Removing {
		return "Removing"
	}
	known := map[string]simcloud.TargetState{}
	if tg := d.TargetGroups[s.ARN]; tg != nil {
		for _, h := range tg.Health {
			known[h.Instance] = h.State
		}
	}
	state := "Added"
	for _, m := range g.alive() {
		switch health, ok := known[m.ID]; {
		case health == simcloud.TargetHealthy:
			return "InService"
		case !ok:
			state = "Adding"
		}
	}
	return state
}

func (c *call) describeTrafficSources(in *describeSourcesInput) (*describeSourcesOutput, error) {
	found, next, refusal := c.sourcesOf(in)
	if refusal != nil {
		return nil, refusal
	}
	return &describeSourcesOutput{listOf(found), next}, nil
}

type describeGroupTargetGroupsInput struct {
	AutoScalingGroupName string `wire:",required"`
	MaxRecords           *int32
	NextToken            string
}

type targetGroupStateXML struct {
	LoadBalancerTargetGroupARN string
	State                      string
}

type describeGroupTargetGroupsOutput struct {
	LoadBalancerTargetGroups members[targetGroupStateXML]
	NextToken                *string
}

func (c *call) describeGroupTargetGroups(in *describeGroupTargetGroupsInput) (*describeGroupTargetGroupsOutput, error) {
	found, next, refusal := c.sourcesOf(&describeSourcesInput{
		AutoScalingGroupName: in.AutoScalingGroupName, MaxRecords: in.MaxRecords, NextToken: in.NextToken,
	})
	if refusal != nil {
		return nil, refusal
	}
	return &describeGroupTargetGroupsOutput{listOf(mapped(found, func(s sourceStateXML) targetGroupStateXML {
		return targetGroupStateXML{s.Identifier, s.State}
	})), next}, nil
}

type terminateInGroupInput struct {
	InstanceId                     string
	AutoScalingGroupName           string
	InstanceIds                    []string
	ShouldDecrementDesiredCapacity *bool `wire:",required"`
}

type terminateInGroupOutput struct {
	Activity activityXML
}

func (c *call) memberByID(id string) (*group, *member, *apiError) {
	for _, g := range sorted(c.data.Groups) {
		if m := g.member(id); m != nil {
			return g, m, nil
		}
	}
	return nil, nil, refuse("ValidationError", "Instance Id not found - No managed instance found for instance ID %s", id)
}

func (c *call) terminateInstanceInGroup(in *terminateInGroupInput) (*terminateInGroupOutput, error) {
	if len(in.InstanceIds) > 0 {
		return nil, unsimulated(c.action, "InstanceIds")
	}
	g, m, refusal := c.memberByID(in.InstanceId)
	if refusal != nil {
		return nil, refusal
	}
	if m.ending() {
		return nil, refuse("ScalingActivityInProgress", "Activity already in progress for instance %s", m.ID)
	}
	if *in.ShouldDecrementDesiredCapacity {
		if g.Desired-1 < g.Min {
			return nil, refuse("ValidationError", "Currently, desiredSize equals minSize (%d). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.", g.Min)
		}
		g.Desired--
	}
	cause := fmt.Sprintf("At %s instance %s was taken out of service in response to a user request.", second(c.now), m.ID)
	a := c.region.terminate(g, m, ending{cause, true}, c.now)
	c.groupEvent(simcloud.ResourceUpdated, g)
	return &terminateInGroupOutput{renderActivity(a)}, nil
}

type setProtectionInput struct {
	AutoScalingGroupName string   `wire:",required"`
	InstanceIds          []string `wire:",required"`
	ProtectedFromScaleIn *bool    `wire:",required"`
}

func (c *call) setInstanceProtection(in *setProtectionInput) (*nothing, error) {
	g, refusal := c.group(in.AutoScalingGroupName)
	if refusal != nil {
		return nil, refusal
	}
	for _, id := range in.InstanceIds {
		m := g.member(id)
		if m == nil {
			return nil, refuse("ValidationError", "Instance Id not found - No managed instance found for instance ID %s", id)
		}
		if m.State != lifecycleInService {
			return nil, refuse("ValidationError", "The instance %s is not in InService or EnteringStandby or Standby.", id)
		}
	}
	for _, id := range in.InstanceIds {
		g.member(id).Protected = *in.ProtectedFromScaleIn
	}
	return &nothing{}, nil
}

type setHealthInput struct {
	InstanceId               string `wire:",required"`
	HealthStatus             string `wire:",required"`
	ShouldRespectGracePeriod *bool
}

func (c *call) setInstanceHealth(in *setHealthInput) (*nothing, error) {
	g, m, refusal := c.memberByID(in.InstanceId)
	if refusal != nil {
		return nil, refusal
	}
	if in.HealthStatus != healthy && in.HealthStatus != unhealthy {
		return nil, refuse("ValidationError", "%s is not a valid health status", in.HealthStatus)
	}
	if in.HealthStatus == unhealthy && valueOr(in.ShouldRespectGracePeriod, true) && g.inGrace(m, c.now) {
		return &nothing{}, nil
	}
	m.Health, m.UnhealthyBy = in.HealthStatus, "a user health-check"
	return &nothing{}, nil
}
