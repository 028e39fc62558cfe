package aws

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/simcloud"
)

type templateSpec struct {
	LaunchTemplateId   string
	LaunchTemplateName string
	Version            string
}

type tagInput struct {
	Key               string `wire:",required"`
	Value             string
	PropagateAtLaunch *bool
	ResourceId        string
	ResourceType      string
}

type sourceInput struct {
	Identifier string `wire:",required"`
	Type       string
}

// createGroupInput is all of CreateAutoScalingGroup; what stands below the blank line has no effect here or is refused.
type createGroupInput struct {
	AutoScalingGroupName             string `wire:",required"`
	MinSize                          *int32 `wire:",required"`
	MaxSize                          *int32 `wire:",required"`
	DesiredCapacity                  *int32
	LaunchTemplate                   *templateSpec
	VPCZoneIdentifier                string
	AvailabilityZones                []string
	TargetGroupARNs                  []string
	TrafficSources                   []sourceInput
	HealthCheckType                  string
	HealthCheckGracePeriod           *int32
	DefaultCooldown                  *int32
	DefaultInstanceWarmup            *int32
	NewInstancesProtectedFromScaleIn *bool
	TerminationPolicies              []string
	Tags                             []tagInput

	AvailabilityZoneDistribution     ignored
	AvailabilityZoneIds              refused
	AvailabilityZoneImpairmentPolicy ignored
	CapacityRebalance                ignored
	CapacityReservationSpecification refused
	Context                          ignored
	DeletionProtection               refused
	DesiredCapacityType              refused
	InstanceId                       refused
	InstanceLifecyclePolicy          refused
	InstanceMaintenancePolicy        ignored
	LaunchConfigurationName          refused
	LifecycleHookSpecificationList   refused
	LoadBalancerNames                refused
	MaxInstanceLifetime              refused
	MixedInstancesPolicy             refused
	Operator                         refused
	PlacementGroup                   refused
	ServiceLinkedRoleARN             ignored
	SkipZonalShiftValidation         ignored
}

func (c *call) createAutoScalingGroup(in *createGroupInput) (*nothing, error) {
	if g := c.data.Groups[in.AutoScalingGroupName]; g != nil {
		text := "AutoScalingGroup by this name already exists - A group with the name %s already exists"
		if g.Deleting {
			text = "AutoScalingGroup by this name already exists - A group with the name %s already exists and is pending delete"
		}
		return nil, refuse("AlreadyExists", text, in.AutoScalingGroupName)
	}
	g := &group{
		Name: in.AutoScalingGroupName, Min: int(*in.MinSize), Max: int(*in.MaxSize), CreatedAt: c.now,
		Desired: int(valueOr(in.DesiredCapacity, *in.MinSize)), HealthCheckType: cmp.Or(in.HealthCheckType, "EC2"),
		Grace: int(valueOr(in.HealthCheckGracePeriod, 0)), Cooldown: int(valueOr(in.DefaultCooldown, 300)),
		Protect: valueOr(in.NewInstancesProtectedFromScaleIn, false), Policies: in.TerminationPolicies,
	}
	if in.DefaultInstanceWarmup != nil {
		g.Warmup = ptr(int(*in.DefaultInstanceWarmup))
	}
	if len(g.Policies) == 0 {
		g.Policies = []string{"Default"}
	}
	if refusal := checkCapacity(g); refusal != nil {
		return nil, refusal
	}
	if refusal := c.setTemplate(g, in.LaunchTemplate); refusal != nil {
		return nil, refusal
	}
	if refusal := c.setSubnets(g, in.VPCZoneIdentifier, in.AvailabilityZones); refusal != nil {
		return nil, refusal
	}
	for _, arn := range in.TargetGroupARNs {
		in.TrafficSources = append(in.TrafficSources, sourceInput{Identifier: arn})
	}
	if refusal := c.addSources(g, in.TrafficSources); refusal != nil {
		return nil, refusal
	}
	for _, t := range in.Tags {
		g.setTag(groupTag{t.Key, t.Value, valueOr(t.PropagateAtLaunch, false)})
	}
	g.ARN = c.arn("autoscaling", "autoScalingGroup:"+c.cloud.newUUID()+":autoScalingGroupName/"+g.Name)
	g.Cause = fmt.Sprintf("At %s a user request created an AutoScalingGroup changing the desired capacity from 0 to %d.", second(c.now), g.Desired)
	c.data.Groups[g.Name] = g
	c.groupEvent(simcloud.ResourceCreated, g)
	return &nothing{}, nil
}

// second is a time as it stands in activities.
func second(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func (c *call) groupEvent(kind simcloud.Kind, g *group) {
	c.region.log(simcloud.Event{
		Kind: kind, Type: simcloud.TypeGroup, Resource: g.ARN, Name: g.Name, Tags: tagMap(g.plainTags()), Principal: c.principal.ARN,
		Capacity: &simcloud.Capacity{Min: g.Min, Max: g.Max, Desired: g.Desired}, TargetGroups: g.targetGroups(),
	})
}

func checkCapacity(g *group) *apiError {
	if g.Min < 0 || g.Max < g.Min {
		return refuse("ValidationError", "Max bound, %d, must be greater than or equal to min bound, %d", g.Max, g.Min)
	}
	if g.Desired < g.Min || g.Desired > g.Max {
		return refuse("ValidationError", "Desired capacity:%d must be between the specified min size:%d and max size:%d", g.Desired, g.Min, g.Max)
	}
	if g.HealthCheckType != "EC2" && g.HealthCheckType != "ELB" {
		return refuse("ValidationError", "Health check type %s is not supported: choose EC2 or ELB", g.HealthCheckType)
	}
	if g.Grace < 0 {
		return refuse("ValidationError", "Health check grace period must not be negative")
	}
	return nil
}

// badTemplate is the beginning of every complaint about a launch template (recorded in many Terraform issues, for
// example "You must use a valid fully-formed launch template. The image id '[ami-...]' does not exist").
const badTemplate = "You must use a valid fully-formed launch template. "

func (c *call) setTemplate(g *group, spec *templateSpec) *apiError {
	if spec == nil {
		return refuse("ValidationError", "Valid requests must contain either the InstanceID parameter or both the ImageId and InstanceType parameters.")
	}
	t, refusal := c.data.template(spec.LaunchTemplateId, spec.LaunchTemplateName)
	if refusal != nil {
		return refuse("ValidationError", badTemplate+"%s", refusal.message)
	}
	v := t.version(spec.Version)
	if v == nil {
		return refuse("ValidationError", badTemplate+"The launch template version %s does not exist", spec.Version)
	}
	if problem := c.region.launchProblem(v.Data); problem != "" {
		return refuse("ValidationError", badTemplate+"%s", problem)
	}
	g.Template = templateRef{t.ID, t.Name, cmp.Or(spec.Version, "$Default")}
	return nil
}

func (c *call) setSubnets(g *group, subnets string, zones []string) *apiError {
	if subnets == "" {
		if len(zones) == 0 {
			return refuse("ValidationError", "At least one Availability Zone or VPC Subnet is required.")
		}
		return unsimulated(c.action, "AvailabilityZones without VPCZoneIdentifier")
	}
	g.Subnets, g.Zones = nil, nil
	for id := range strings.SplitSeq(subnets, ",") {
		s := c.data.Subnets[strings.TrimSpace(id)]
		if s == nil {
			return refuse("ValidationError", "The subnet ID '%s' does not exist", strings.TrimSpace(id))
		}
		g.Subnets = append(g.Subnets, s.ID)
		if !slices.Contains(g.Zones, s.Zone) {
			g.Zones = append(g.Zones, s.Zone)
		}
	}
	slices.Sort(g.Zones)
	for _, zone := range zones {
		if !slices.Contains(g.Zones, zone) {
			return refuse("ValidationError", "The availability zones of the specified subnets and the Auto Scaling group do not match")
		}
	}
	return nil
}

type updateGroupInput struct {
	AutoScalingGroupName             string `wire:",required"`
	MinSize                          *int32
	MaxSize                          *int32
	DesiredCapacity                  *int32
	LaunchTemplate                   *templateSpec
	VPCZoneIdentifier                string
	AvailabilityZones                []string
	HealthCheckType                  string
	HealthCheckGracePeriod           *int32
	DefaultCooldown                  *int32
	DefaultInstanceWarmup            *int32
	NewInstancesProtectedFromScaleIn *bool
	TerminationPolicies              []string

	AvailabilityZoneDistribution     ignored
	AvailabilityZoneIds              refused
	AvailabilityZoneImpairmentPolicy ignored
	CapacityRebalance                ignored
	CapacityReservationSpecification refused
	Context                          ignored
	DeletionProtection               refused
	DesiredCapacityType              refused
	InstanceLifecyclePolicy          refused
	InstanceMaintenancePolicy        ignored
	LaunchConfigurationName          refused
	MaxInstanceLifetime              refused
	MixedInstancesPolicy             refused
	PlacementGroup                   refused
	ServiceLinkedRoleARN             ignored
	SkipZonalShiftValidation         ignored
}

// group finds a group that may be changed. The texts are recorded in kubernetes-retired/kube-deploy issue 99 and
// kubernetes/kops issue 1001.
func (c *call) group(name string) (*group, *apiError) {
	g := c.data.Groups[name]
	if g == nil {
		return nil, refuse("ValidationError", "AutoScalingGroup name not found - AutoScalingGroup '%s' not found", name)
	}
	if g.Deleting {
		return nil, refuse("ValidationError", "The AutoScaling group may not be modified while it is pending delete")
	}
	return g, nil
}

// updateAutoScalingGroup changes what is given. A new bound that the desired capacity violates moves it, when no desired
// capacity is given (API reference of UpdateAutoScalingGroup).
func (c *call) updateAutoScalingGroup(in *updateGroupInput) (*nothing, error) {
	g, refusal := c.group(in.AutoScalingGroupName)
	if refusal != nil {
		return nil, refusal
	}
	n := copyOf(g)
	n.Min, n.Max = int(valueOr(in.MinSize, int32(g.Min))), int(valueOr(in.MaxSize, int32(g.Max)))
	if in.DesiredCapacity != nil {
		n.Desired = int(*in.DesiredCapacity)
	} else {
		n.Desired = min(max(g.Desired, n.Min), n.Max)
	}
	n.HealthCheckType = cmp.Or(in.HealthCheckType, g.HealthCheckType)
	n.Grace = int(valueOr(in.HealthCheckGracePeriod, int32(g.Grace)))
	n.Cooldown = int(valueOr(in.DefaultCooldown, int32(g.Cooldown)))
	n.Protect = valueOr(in.NewInstancesProtectedFromScaleIn, g.Protect)
	if in.DefaultInstanceWarmup != nil {
		n.Warmup = ptr(int(*in.DefaultInstanceWarmup))
	}
	if len(in.TerminationPolicies) > 0 {
		n.Policies = in.TerminationPolicies
	}
	if refusal := checkCapacity(n); refusal != nil {
		return nil, refusal
	}
	if in.LaunchTemplate != nil {
		if refusal := c.setTemplate(n, in.LaunchTemplate); refusal != nil {
			return nil, refusal
		}
	}
	if in.VPCZoneIdentifier != "" || len(in.AvailabilityZones) > 0 {
		if refusal := c.setSubnets(n, in.VPCZoneIdentifier, in.AvailabilityZones); refusal != nil {
			return nil, refusal
		}
	}
	if n.Desired != g.Desired {
		n.Cause = fmt.Sprintf("At %s a user request update of AutoScalingGroup constraints to min: %d, max: %d, desired: %d changing the desired capacity from %d to %d.",
			second(c.now), n.Min, n.Max, n.Desired, g.Desired, n.Desired)
		n.RetryAt, n.Failures = time.Time{}, 0
	}
	*g = *n
	c.groupEvent(simcloud.ResourceUpdated, g)
	return &nothing{}, nil
}

type setDesiredCapacityInput struct {
	AutoScalingGroupName string `wire:",required"`
	DesiredCapacity      *int32 `wire:",required"`
	HonorCooldown        ignored
}

func (c *call) setDesiredCapacity(in *setDesiredCapacityInput) (*nothing, error) {
	g, refusal := c.group(in.AutoScalingGroupName)
	if refusal != nil {
		return nil, refusal
	}
	wanted := int(*in.DesiredCapacity)
	if wanted > g.Max {
		return nil, refuse("ValidationError", "New SetDesiredCapacity value %d is above max value %d for the AutoScalingGroup.", wanted, g.Max)
	}
	if wanted < g.Min {
		return nil, refuse("ValidationError", "New SetDesiredCapacity value %d is below min value %d for the AutoScalingGroup.", wanted, g.Min)
	}
	if wanted != g.Desired {
		g.Cause = fmt.Sprintf("At %s a user request explicitly set group desired capacity changing the desired capacity from %d to %d.", second(c.now), g.Desired, wanted)
		g.Desired, g.RetryAt, g.Failures = wanted, time.Time{}, 0
	}
	c.groupEvent(simcloud.ResourceUpdated, g)
	return &nothing{}, nil
}

type deleteGroupInput struct {
	AutoScalingGroupName string `wire:",required"`
	ForceDelete          *bool
}

// deleting is the least time that a deleted group is still described: assumption.
const deleting = 5 * time.Second

// deleteAutoScalingGroup starts the deletion. A group that is being deleted already is deleted again without an error:
// assumption. Texts: ansible/ansible pull request 8503 and cloud-custodian issue 1689.
func (c *call) deleteAutoScalingGroup(in *deleteGroupInput) (*nothing, error) {
	g := c.data.Groups[in.AutoScalingGroupName]
	if g == nil {
		_, refusal := c.group(in.AutoScalingGroupName)
		return nil, refusal
	}
	force := valueOr(in.ForceDelete, false)
	if g.Deleting {
		g.Force = g.Force || force
		return &nothing{}, nil
	}
	if !force && len(g.alive()) > 0 {
		return nil, refuse("ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")
	}
	if !force && len(g.Members) > 0 {
		return nil, refuse("ScalingActivityInProgress", "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.")
	}
	g.Deleting, g.Force, g.GoneAt = true, force, c.now.Add(deleting)
	c.groupEvent(simcloud.ResourceDeleted, g)
	return &nothing{}, nil
}
