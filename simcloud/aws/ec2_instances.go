package aws

import (
	"slices"
	"time"
)

// EC2 instance states and their codes (API reference, InstanceState).
const (
	statePending      = "pending"
	stateRunning      = "running"
	stateShuttingDown = "shutting-down"
	stateTerminated   = "terminated"
)

var stateCodes = map[string]int{statePending: 0, stateRunning: 16, stateShuttingDown: 32, stateTerminated: 48}

// terminatedVisible is how long a terminated instance is still described: "about
// one hour" (EC2 user guide, Terminate your instance).
const terminatedVisible = time.Hour

type instanceState struct {
	Code int    `xml:"code"`
	Name string `xml:"name"`
}

type placementXML struct {
	AvailabilityZone string `xml:"availabilityZone"`
	Tenancy          string `xml:"tenancy"`
}

type instanceXML struct {
	InstanceId       string         `xml:"instanceId"`
	ImageId          string         `xml:"imageId"`
	InstanceState    instanceState  `xml:"instanceState"`
	InstanceType     string         `xml:"instanceType"`
	LaunchTime       *stamp         `xml:"launchTime"`
	Placement        placementXML   `xml:"placement"`
	PrivateIpAddress *string        `xml:"privateIpAddress"`
	SubnetId         *string        `xml:"subnetId"`
	VpcId            *string        `xml:"vpcId"`
	KeyName          *string        `xml:"keyName"`
	Architecture     string         `xml:"architecture"`
	Groups           items[groupID] `xml:"groupSet"`
	Tags             items[ec2Tag1] `xml:"tagSet"`
}

type groupID struct {
	GroupId   string `xml:"groupId"`
	GroupName string `xml:"groupName"`
}

type reservationXML struct {
	ReservationId string             `xml:"reservationId"`
	OwnerId       string             `xml:"ownerId"`
	Instances     items[instanceXML] `xml:"instancesSet"`
}

type describeInstancesInput struct {
	DryRun                  bool
	InstanceId              []string
	Filter                  []filter
	MaxResults              int32
	NextToken               string
	IncludeManagedResources ignored
}

type describeInstancesOutput struct {
	Reservations items[reservationXML] `xml:"reservationSet"`
	NextToken    *string               `xml:"nextToken"`
}

func (c *call) instancesFor(ids []string, filters []filter) ([]*instance, *apiError) {
	found, refusal := pick(c.data.Instances, ids, func(id string) *apiError {
		return refuse("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
	})
	if refusal != nil {
		return nil, refusal
	}
	return filtered(found, filters, func(i *instance) attributes {
		return attributes{
			"instance-id": {i.ID}, "image-id": {i.Image}, "instance-type": {i.Type}, "instance-state-name": {i.State},
			"availability-zone": {i.Zone}, "subnet-id": {i.Subnet}, "vpc-id": {c.vpcOf(i.Subnet)}, "key-name": {i.KeyName},
		}.tagged(i.Tags)
	})
}

func (c *call) vpcOf(subnet string) string {
	if s := c.data.Subnets[subnet]; s != nil {
		return s.VPC
	}
	return ""
}

func (c *call) describeInstances(in *describeInstancesInput) (*describeInstancesOutput, error) {
	found, refusal := c.instancesFor(in.InstanceId, in.Filter)
	if refusal != nil {
		return nil, refusal
	}
	part, next, ok := page(found, func(i *instance) string { return i.ID }, in.NextToken, c.sizeUnless(in.InstanceId, in.MaxResults))
	if !ok {
		return nil, invalidNextToken(in.NextToken)
	}
	return &describeInstancesOutput{setOf(mapped(part, func(i *instance) reservationXML {
		return reservationXML{ReservationId: "r-" + i.ID[2:], OwnerId: c.account.ID, Instances: setOf([]instanceXML{c.renderInstance(i)})}
	})), optional(next)}, nil
}

func (c *call) renderInstance(i *instance) instanceXML {
	x := instanceXML{
		InstanceId: i.ID, ImageId: i.Image, InstanceState: instanceState{stateCodes[i.State], i.State}, InstanceType: i.Type,
		LaunchTime: stampOf(i.LaunchedAt), Placement: placementXML{i.Zone, "default"}, KeyName: optional(i.KeyName),
		Architecture: "x86_64", Tags: setOf(renderTags(i.Tags)),
	}
	if i.State == statePending || i.State == stateRunning {
		x.SubnetId, x.VpcId = optional(i.Subnet), optional(c.vpcOf(i.Subnet))
		x.PrivateIpAddress = optional(c.cloud.addressOf(i.ID))
		for _, id := range i.Security {
			if g := c.data.SecurityGroups[id]; g != nil {
				x.Groups.Items = append(x.Groups.Items, groupID{g.ID, g.Name})
			}
		}
	}
	return x
}

type describeInstanceStatusInput struct {
	DryRun                  bool
	InstanceId              []string
	Filter                  []filter
	IncludeAllInstances     bool
	MaxResults              int32
	NextToken               string
	IncludeManagedResources ignored
}

type statusSummary struct {
	Status string `xml:"status"`
}

type instanceStatusXML struct {
	InstanceId       string        `xml:"instanceId"`
	AvailabilityZone string        `xml:"availabilityZone"`
	InstanceState    instanceState `xml:"instanceState"`
	SystemStatus     statusSummary `xml:"systemStatus"`
	InstanceStatus   statusSummary `xml:"instanceStatus"`
}

type describeInstanceStatusOutput struct {
	Statuses  items[instanceStatusXML] `xml:"instanceStatusSet"`
	NextToken *string                  `xml:"nextToken"`
}

// describeInstanceStatus returns running instances only, unless all are asked
// for (API reference, IncludeAllInstances).
func (c *call) describeInstanceStatus(in *describeInstanceStatusInput) (*describeInstanceStatusOutput, error) {
	found, refusal := c.instancesFor(in.InstanceId, in.Filter)
	if refusal != nil {
		return nil, refusal
	}
	if !in.IncludeAllInstances {
		found = slices.DeleteFunc(slices.Clone(found), func(i *instance) bool { return i.State != stateRunning })
	}
	part, next, ok := page(found, func(i *instance) string { return i.ID }, in.NextToken, c.sizeUnless(in.InstanceId, in.MaxResults))
	if !ok {
		return nil, invalidNextToken(in.NextToken)
	}
	return &describeInstanceStatusOutput{setOf(mapped(part, func(i *instance) instanceStatusXML {
		status := "not-applicable"
		if i.State == stateRunning {
			status = "ok"
		}
		return instanceStatusXML{i.ID, i.Zone, instanceState{stateCodes[i.State], i.State}, statusSummary{status}, statusSummary{status}}
	})), optional(next)}, nil
}

type terminateInstancesInput struct {
	DryRun         bool
	InstanceId     []string `wire:",required"`
	Force          ignored
	SkipOsShutdown ignored
}

type stateChangeXML struct {
	InstanceId    string        `xml:"instanceId"`
	CurrentState  instanceState `xml:"currentState"`
	PreviousState instanceState `xml:"previousState"`
}

type terminateInstancesOutput struct {
	Instances items[stateChangeXML] `xml:"instancesSet"`
}

// terminateInstances ends instances at once: EC2 knows nothing of a load
// balancer's draining. An Auto Scaling group replaces what it lost.
func (c *call) terminateInstances(in *terminateInstancesInput) (*terminateInstancesOutput, error) {
	found, refusal := c.instancesFor(in.InstanceId, nil)
	if refusal != nil {
		return nil, refusal
	}
	out := &terminateInstancesOutput{}
	for _, i := range found {
		before := i.State
		if before != stateTerminated {
			i.State = stateShuttingDown
			c.region.stopInstance(i.ID)
		}
		out.Instances.Items = append(out.Instances.Items, stateChangeXML{i.ID, instanceState{stateCodes[i.State], i.State}, instanceState{stateCodes[before], before}})
	}
	return out, nil
}

type createTagsInput struct {
	DryRun     bool
	ResourceId []string  `wire:",required"`
	Tag        []ec2Tag1 `wire:",required"`
}

type ec2Done struct {
	Return bool `xml:"return"`
}

func (c *call) createTags(in *createTagsInput) (*ec2Done, error) {
	var targets []*[]tag
	for _, id := range in.ResourceId {
		t := c.data.ec2Tags(id)
		if t == nil {
			return nil, refuse("InvalidID", "The ID '%s' is not valid", id)
		}
		targets = append(targets, t)
	}
	for _, target := range targets {
		for _, t := range in.Tag {
			*target = mergeTags(*target, []tag{tag(t)})
		}
	}
	return &ec2Done{Return: true}, nil
}

func (d *regionData) ec2Tags(id string) *[]tag {
	if v := d.VPCs[id]; v != nil {
		return &v.Tags
	}
	if s := d.Subnets[id]; s != nil {
		return &s.Tags
	}
	if g := d.SecurityGroups[id]; g != nil {
		return &g.Tags
	}
	if t := d.Templates[id]; t != nil {
		return &t.Tags
	}
	if i := d.Instances[id]; i != nil {
		return &i.Tags
	}
	return nil
}
