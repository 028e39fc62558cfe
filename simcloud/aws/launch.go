package aws

import (
	"fmt"
	"slices"
	"time"

	"github.com/slipway-cd/slipway/simcloud"
)

// maxActivities is how many activities a region remembers. AWS keeps six weeks of them.
const maxActivities = 2000

// Retries of a failed launch: assumption. The user guide says only that the group keeps trying and that the time between
// attempts grows.
const (
	firstRetry = 15 * time.Second
	lastRetry  = 5 * time.Minute
)

// begin adds an activity to a group's history.
func (r *region) begin(g *group, description, cause string, now time.Time) *activity {
	r.cloud.serial++
	a := &activity{
		ID: r.cloud.newUUID(), Group: g.Name, GroupARN: g.ARN, Description: description, Cause: cause, Status: "InProgress",
		Start: now, Serial: int64(r.cloud.serial),
	}
	if len(g.Subnets) > 0 {
		a.Subnet = g.Subnets[0]
	}
	if len(r.data.Activities) >= maxActivities {
		r.data.Activities = slices.Clone(r.data.Activities[maxActivities/10:])
	}
	r.data.Activities = append(r.data.Activities, a)
	return a
}

func (r *region) activity(id string) *activity {
	for _, a := range slices.Backward(r.data.Activities) {
		if a.ID == id {
			return a
		}
	}
	return nil
}

func (r *region) finish(id, status, message string, now time.Time) {
	if a := r.activity(id); a != nil {
		a.Status, a.Message, a.End, a.Progress = status, message, now, 100
	}
}

func (r *region) progress(id, status string) {
	if a := r.activity(id); a != nil {
		a.Status, a.Message = status, ""
	}
}

// launchProblem says why instances cannot be launched from a template; empty when they can.
func (r *region) launchProblem(data templateData) string {
	if data.ImageId == nil {
		return "The request must contain the parameter ImageId"
	}
	if data.InstanceType == nil {
		return "The request must contain the parameter InstanceType"
	}
	if _, ok := r.image(*data.ImageId); !ok {
		return fmt.Sprintf("The image id '[%s]' does not exist", *data.ImageId)
	}
	for _, id := range data.SecurityGroupIds {
		if r.data.SecurityGroups[id] == nil {
			return fmt.Sprintf("The security group '%s' does not exist", id)
		}
	}
	return ""
}

func (r *region) image(id string) (simcloud.Image, bool) {
	image, ok := r.cloud.world.Images.Image(id)
	if !ok || !slices.ContainsFunc(r.images(), func(i simcloud.Image) bool { return i.ID == id }) {
		return simcloud.Image{}, false
	}
	return image, true
}

func (r *region) images() []simcloud.Image { return r.cloud.world.Images.List(r.account.Name, r.name) }

// launch starts one instance as an activity and reports whether that worked. have is the present capacity.
func (r *region) launch(g *group, have int, now time.Time) bool {
	cause := fmt.Sprintf("%s  At %s an instance was started in response to a difference between desired and actual capacity, increasing the capacity from %d to %d.",
		g.Cause, second(now), have, have+1)
	if g.replacing() {
		cause = fmt.Sprintf("At %s an instance was launched in response to an unhealthy instance needing to be replaced.", second(now))
	}
	a := r.begin(g, "Launching a new EC2 instance", cause, now)
	i, problem := r.newInstance(g, now)
	if problem != "" {
		a.Description += ".  Status Reason: " + problem + ". Launching EC2 instance failed."
		r.finish(a.ID, "Failed", problem+". Launching EC2 instance failed.", now)
		g.RetryAt = now.Add(min(firstRetry<<min(g.Failures, 8), lastRetry))
		g.Failures++
		return false
	}
	g.Failures, g.RetryAt = 0, time.Time{}
	a.Description += ": " + i.ID
	a.Subnet, a.Zone, a.Progress = i.Subnet, i.Zone, 30
	m := &member{
		ID: i.ID, Zone: i.Zone, Type: i.Type, Template: g.launchTemplate(), State: lifecyclePending, Health: healthy,
		Protected: g.Protect, Activity: a.ID,
	}
	g.Members = append(g.Members, m)
	r.lifecycle(g, m, "Pending", "")
	return true
}

// replacing tells whether the group lacks an instance because one was unhealthy.
func (g *group) replacing() bool {
	return slices.ContainsFunc(g.Members, func(m *member) bool { return m.ending() && m.Health == unhealthy })
}

// newInstance runs one machine from the group's template, in the subnet whose zone has the fewest instances.
func (r *region) newInstance(g *group, now time.Time) (*instance, string) {
	from := g.launchTemplate()
	t := r.data.Templates[from.ID]
	if t == nil {
		return nil, fmt.Sprintf("The specified launch template, with template ID %s, does not exist", from.ID)
	}
	v := t.version(from.Version)
	if v == nil {
		return nil, fmt.Sprintf("The specified launch template version %s does not exist", from.Version)
	}
	if problem := r.launchProblem(v.Data); problem != "" {
		return nil, problem
	}
	outcome := r.cloud.world.Faults.Decide(simcloud.Call{
		Service: "ec2", Action: "RunInstances", Account: r.account.Name, Region: r.name, Principal: "autoscaling.amazonaws.com", Write: true,
	})
	if outcome.Fault != "" && !outcome.Is(simcloud.EffectSlow) {
		return nil, r.noCapacity(g, *v.Data.InstanceType, outcome)
	}
	image, _ := r.image(*v.Data.ImageId)
	where := r.emptiestSubnet(g)
	i := &instance{
		ID: r.cloud.newID("i-", 17), Image: image.ID, Type: *v.Data.InstanceType, Subnet: where.ID, Zone: where.Zone,
		State: statePending, LaunchedAt: now, Group: g.Name, KeyName: valueOr(v.Data.KeyName, ""),
		Security: v.Data.SecurityGroupIds, Tags: instanceTags(g, v.Data),
	}
	_, err := r.cloud.world.Fleet.Launch(simcloud.Launch{
		ID: i.ID, Image: image, Account: r.account.Name, Region: r.name, Zone: i.Zone, Group: g.Name, ExtraBoot: outcome.Effect.Duration,
	})
	if err != nil {
		return nil, err.Error()
	}
	r.data.Instances[i.ID] = i
	return i, ""
}

// noCapacity is what a failed launch says. The text is EC2's for InsufficientInstanceCapacity ("Error codes").
func (r *region) noCapacity(g *group, kind string, outcome simcloud.Outcome) string {
	text := fmt.Sprintf("We currently do not have sufficient %s capacity in the Availability Zone you requested (%s)", kind, r.emptiestSubnet(g).Zone)
	if code := outcome.Effect.Code; code != "" && code != "InsufficientInstanceCapacity" {
		text = code
	}
	r.log(simcloud.Event{Kind: simcloud.FaultInjected, Fault: outcome.Fault, Resource: g.ARN, Reason: text})
	return text
}

func (r *region) emptiestSubnet(g *group) subnet {
	in := map[string]int{}
	for _, m := range g.alive() {
		in[m.Zone]++
	}
	var best *subnet
	for _, id := range g.Subnets {
		s := r.data.Subnets[id]
		if s != nil && (best == nil || in[s.Zone] < in[best.Zone]) {
			best = s
		}
	}
	if best == nil {
		return subnet{}
	}
	return *best
}

// instanceTags are the group's propagated tags over those of the template, and the tag that Auto Scaling adds.
func instanceTags(g *group, data templateData) []tag {
	var tags []tag
	for _, spec := range data.TagSpecification {
		if spec.ResourceType == "instance" {
			tags = mergeTags(tags, mapped(spec.Tag, func(t ec2Tag1) tag { return tag(t) }))
		}
	}
	for _, t := range g.Tags {
		if t.Propagate {
			tags = mergeTags(tags, []tag{{t.Key, t.Value}})
		}
	}
	return mergeTags(tags, []tag{{"aws:autoscaling:groupName", g.Name}})
}
