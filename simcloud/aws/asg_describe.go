package aws

import (
	"fmt"
	"slices"
	"strings"
)

type groupFilter struct {
	Name   string
	Values []string
}

type describeGroupsInput struct {
	AutoScalingGroupNames []string
	Filters               []groupFilter
	IncludeInstances      *bool
	MaxRecords            *int32
	NextToken             string
}

type templateSpecXML struct {
	LaunchTemplateId   string
	LaunchTemplateName string
	Version            string
}

type memberXML struct {
	InstanceId           string
	InstanceType         string
	AvailabilityZone     string
	LifecycleState       string
	HealthStatus         string
	LaunchTemplate       templateSpecXML
	ProtectedFromScaleIn bool
}

type tagXML struct {
	ResourceId        string
	ResourceType      string
	Key               string
	Value             string
	PropagateAtLaunch bool
}

type suspendedXML struct {
	ProcessName      string
	SuspensionReason string
}

type sourceXML struct {
	Identifier string
	Type       string
}

type groupXML struct {
	AutoScalingGroupName             string
	AutoScalingGroupARN              string
	LaunchTemplate                   templateSpecXML
	MinSize                          int
	MaxSize                          int
	DesiredCapacity                  int
	DefaultCooldown                  int
	DefaultInstanceWarmup            *int
	AvailabilityZones                members[string]
	LoadBalancerNames                members[string]
	TargetGroupARNs                  members[string]
	TrafficSources                   members[sourceXML]
	HealthCheckType                  string
	HealthCheckGracePeriod           int
	Instances                        members[memberXML]
	CreatedTime                      *stamp
	SuspendedProcesses               members[suspendedXML]
	VPCZoneIdentifier                string
	EnabledMetrics                   members[string]
	Status                           *string
	Tags                             members[tagXML]
	TerminationPolicies              members[string]
	NewInstancesProtectedFromScaleIn bool
	ServiceLinkedRoleARN             string
}

type describeGroupsOutput struct {
	AutoScalingGroups members[groupXML]
	NextToken         *string
}

func (c *call) renderGroup(g *group) groupXML {
	x := groupXML{
		AutoScalingGroupName: g.Name, AutoScalingGroupARN: g.ARN, LaunchTemplate: templateSpecXML{g.Template.ID, g.Template.Name, g.Template.Version},
		MinSize: g.Min, MaxSize: g.Max, DesiredCapacity: g.Desired, DefaultCooldown: g.Cooldown, DefaultInstanceWarmup: g.Warmup,
		AvailabilityZones: listOf(g.Zones), HealthCheckType: g.HealthCheckType, HealthCheckGracePeriod: g.Grace,
		CreatedTime: stampOf(g.CreatedAt), VPCZoneIdentifier: strings.Join(g.Subnets, ","), TerminationPolicies: listOf(g.Policies),
		NewInstancesProtectedFromScaleIn: g.Protect,
		ServiceLinkedRoleARN:             "arn:aws:iam::" + c.account.ID + ":role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
		TargetGroupARNs:                  listOf(g.targetGroups()),
		TrafficSources:                   listOf(mapped(g.targetGroups(), func(arn string) sourceXML { return sourceXML{arn, "elbv2"} })),
		Instances:                        listOf(mapped(g.Members, renderMember)),
		Tags:                             listOf(mapped(g.Tags, func(t groupTag) tagXML { return renderGroupTag(g.Name, t) })),
		SuspendedProcesses: listOf(mapped(g.Suspended, func(s suspension) suspendedXML {
			return suspendedXML{s.Process, "User suspended at " + second(s.At)}
		})),
	}
	if g.Deleting {
		x.Status = ptr("Delete in progress")
	}
	return x
}

func renderMember(m *member) memberXML {
	return memberXML{
		InstanceId: m.ID, InstanceType: m.Type, AvailabilityZone: m.Zone, LifecycleState: m.State, HealthStatus: m.Health,
		LaunchTemplate: templateSpecXML{m.Template.ID, m.Template.Name, m.Template.Version}, ProtectedFromScaleIn: m.Protected,
	}
}

func renderGroupTag(group string, t groupTag) tagXML {
	return tagXML{group, "auto-scaling-group", t.Key, t.Value, t.Propagate}
}

// describeAutoScalingGroups leaves out names that do not exist, without an error.
func (c *call) describeAutoScalingGroups(in *describeGroupsInput) (*describeGroupsOutput, error) {
	var found []*group
	for _, g := range sorted(c.data.Groups) {
		if len(in.AutoScalingGroupNames) > 0 && !slices.Contains(in.AutoScalingGroupNames, g.Name) {
			continue
		}
		match, refusal := g.matches(in.Filters)
		if refusal != nil {
			return nil, refusal
		}
		if match {
			found = append(found, g)
		}
	}
	part, next, ok := page(found, func(g *group) string { return g.Name }, in.NextToken, c.size(valueOr(in.MaxRecords, 0)))
	if !ok {
		return nil, invalidToken(in.NextToken)
	}
	out := mapped(part, c.renderGroup)
	if !valueOr(in.IncludeInstances, true) {
		for i := range out {
			out[i].Instances.Items = nil
		}
	}
	return &describeGroupsOutput{listOf(out), optional(next)}, nil
}

func invalidToken(token string) *apiError {
	return refuse("InvalidNextToken", "The token '%s' is invalid.", token)
}

// matches applies the filters tag-key, tag-value and tag:<key> (API reference of DescribeAutoScalingGroups).
func (g *group) matches(filters []groupFilter) (bool, *apiError) {
	for _, f := range filters {
		ok := false
		for _, t := range g.Tags {
			switch {
			case f.Name == "tag-key":
				ok = ok || slices.Contains(f.Values, t.Key)
			case f.Name == "tag-value":
				ok = ok || slices.Contains(f.Values, t.Value)
			case strings.HasPrefix(f.Name, "tag:"):
				ok = ok || f.Name == "tag:"+t.Key && slices.Contains(f.Values, t.Value)
			}
		}
		if f.Name != "tag-key" && f.Name != "tag-value" && !strings.HasPrefix(f.Name, "tag:") {
			return false, refuse("ValidationError", "Filter type %s is not correct. Allowed Filter types are: tag-key, tag-value, tag:<key>", f.Name)
		}
		if !ok {
			return false, nil
		}
	}
	return true, nil
}

type describeGroupInstancesInput struct {
	InstanceIds []string
	MaxRecords  *int32
	NextToken   string
}

type groupInstanceXML struct {
	InstanceId           string
	InstanceType         string
	AutoScalingGroupName string
	AvailabilityZone     string
	LifecycleState       string
	HealthStatus         string
	LaunchTemplate       templateSpecXML
	ProtectedFromScaleIn bool
}

type describeGroupInstancesOutput struct {
	AutoScalingInstances members[groupInstanceXML]
	NextToken            *string
}

func (c *call) describeAutoScalingInstances(in *describeGroupInstancesInput) (*describeGroupInstancesOutput, error) {
	var found []groupInstanceXML
	for _, g := range sorted(c.data.Groups) {
		for _, m := range g.Members {
			if len(in.InstanceIds) > 0 && !slices.Contains(in.InstanceIds, m.ID) {
				continue
			}
			found = append(found, groupInstanceXML{
				m.ID, m.Type, g.Name, m.Zone, m.State, strings.ToUpper(m.Health),
				templateSpecXML{m.Template.ID, m.Template.Name, m.Template.Version}, m.Protected,
			})
		}
	}
	slices.SortFunc(found, func(a, b groupInstanceXML) int { return strings.Compare(a.InstanceId, b.InstanceId) })
	part, next, ok := page(found, func(i groupInstanceXML) string { return i.InstanceId }, in.NextToken, c.size(valueOr(in.MaxRecords, 0)))
	if !ok {
		return nil, invalidToken(in.NextToken)
	}
	return &describeGroupInstancesOutput{listOf(part), optional(next)}, nil
}

type describeActivitiesInput struct {
	AutoScalingGroupName string
	ActivityIds          []string
	IncludeDeletedGroups *bool
	MaxRecords           *int32
	NextToken            string
	Filters              refused
}

type activityXML struct {
	ActivityId            string
	AutoScalingGroupName  string
	AutoScalingGroupARN   string
	AutoScalingGroupState *string
	Description           string
	Cause                 string
	StartTime             *stamp
	EndTime               *stamp
	StatusCode            string
	StatusMessage         *string
	Progress              int
	Details               string
}

type describeActivitiesOutput struct {
	Activities members[activityXML]
	NextToken  *string
}

// describeScalingActivities returns the newest first.
func (c *call) describeScalingActivities(in *describeActivitiesInput) (*describeActivitiesOutput, error) {
	deleted := valueOr(in.IncludeDeletedGroups, false)
	if name := in.AutoScalingGroupName; name != "" && c.data.Groups[name] == nil && !deleted {
		return nil, refuse("ValidationError", "AutoScalingGroup name not found - AutoScalingGroup '%s' not found", name)
	}
	var found []*activity
	for _, a := range slices.Backward(c.data.Activities) {
		if (in.AutoScalingGroupName == "" || a.Group == in.AutoScalingGroupName) && (deleted || !a.GroupGone) &&
			(len(in.ActivityIds) == 0 || slices.Contains(in.ActivityIds, a.ID)) {
			found = append(found, a)
		}
	}
	newestFirst := func(a *activity) string { return fmt.Sprintf("%019d", 1<<60-a.Serial) }
	part, next, ok := page(found, newestFirst, in.NextToken, c.size(valueOr(in.MaxRecords, 0)))
	if !ok {
		return nil, invalidToken(in.NextToken)
	}
	return &describeActivitiesOutput{listOf(mapped(part, renderActivity)), optional(next)}, nil
}

func renderActivity(a *activity) activityXML {
	x := activityXML{
		ActivityId: a.ID, AutoScalingGroupName: a.Group, AutoScalingGroupARN: a.GroupARN, Description: a.Description, Cause: a.Cause,
		StartTime: stampOf(a.Start), EndTime: stampOf(a.End), StatusCode: a.Status, StatusMessage: optional(a.Message),
		Progress: a.Progress, Details: fmt.Sprintf(`{"Subnet ID":"%s","Availability Zone":"%s"}`, a.Subnet, a.Zone),
	}
	if a.GroupGone {
		x.AutoScalingGroupState = ptr("Deleted")
	}
	return x
}
