package asg

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/aws"
)

// The health sources.
const (
	sourceAmazon      = "Amazon"
	sourceTargetGroup = "TargetGroup"
)

// recentActivities is how many of a group's newest activities are read for
// problems: a launch that fails again and again makes one every few minutes.
const recentActivities = 20

// Observe reads the cluster. With n server groups behind a load balancer of l
// listeners it makes 4 + l + n calls while all is well, and one more for each
// group that has fewer healthy instances than it wants, for each that was updated in
// place, and for all rules that look like previews; two more while one is being updated.
func (t *Target) Observe(ctx context.Context, cluster delivery.Cluster, loadBalancer string) (delivery.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s, err := t.survey(ctx, cluster, loadBalancer)
	if err != nil {
		return delivery.Snapshot{}, err
	}
	out := delivery.Snapshot{Cluster: cluster, ObservedAt: time.Now().UTC(), Groups: []delivery.ServerGroup{}}
	for _, name := range s.names() {
		g, err := t.observeGroup(ctx, s, s.groups[name])
		if err != nil {
			return delivery.Snapshot{}, err
		}
		out.Groups = append(out.Groups, g)
	}
	slices.SortFunc(out.Groups, func(a, b delivery.ServerGroup) int { return cmp.Compare(a.Sequence, b.Sequence) })
	out.Routing = s.routing()
	return out, nil
}

// routing renders the cluster's rule. Target groups of others are not part of it.
func (s *survey) routing() *delivery.Routing {
	if s.rule == nil {
		return nil
	}
	var names []string
	var stored []int32
	for _, d := range s.rule.destinations() {
		owner := s.ownerOf(deref(d.TargetGroupArn))
		if owner == nil {
			continue
		}
		if i := slices.Index(names, owner.name); i >= 0 {
			stored[i] += weight(d)
			continue
		}
		names = append(names, owner.name)
		stored = append(stored, weight(d))
	}
	out := &delivery.Routing{
		Router: s.rule.arn, LoadBalancer: nameOfLoadBalancer(s.balancer),
		Fingerprint: s.rule.fingerprint(), Weights: make([]delivery.Weight, len(names)), Previews: s.previews(),
	}
	for i, percent := range delivery.Percents(stored) {
		out.Weights[i] = delivery.Weight{ServerGroup: names[i], Percent: percent}
	}
	slices.SortFunc(out.Weights, func(a, b delivery.Weight) int { return strings.Compare(a.ServerGroup, b.ServerGroup) })
	return out
}

func (t *Target) observeGroup(ctx context.Context, s *survey, p *pieces) (delivery.ServerGroup, error) {
	_, sequence, _ := delivery.ParseServerGroup(p.name)
	out := delivery.ServerGroup{Name: p.name, Sequence: sequence, HealthSources: []string{sourceAmazon}}
	if len(p.targetGroups) > 0 {
		out.HealthSources = append(out.HealthSources, sourceTargetGroup)
	}
	tags, err := t.tagsOf(ctx, p)
	if err != nil {
		return out, err
	}
	out.Managed = owned(tags, s.cluster, p.name)
	out.Deployment = delivery.DeploymentID(decodeTag(tags[tagDeployment]))
	out.Image, out.ImageID = cmp.Or(tags[tagImage], tags[tagImageID]), tags[tagImageID]
	if p.template != nil {
		out.CreatedAt = deref(p.template.CreateTime)
	}
	if p.group == nil {
		return out, nil
	}
	g := p.group
	out.CreatedAt = deref(g.CreatedTime)
	out.Capacity = delivery.Capacity{Min: int(deref(g.MinSize)), Max: int(deref(g.MaxSize)), Desired: int(deref(g.DesiredCapacity))}
	out.Deleting = g.Status != nil
	out.Complete = !out.Deleting && (p.template != nil || !out.Managed) && s.attached(p)
	if out.ImageID == "" {
		if out.ImageID, err = t.imageOf(ctx, g); err != nil {
			return out, err
		}
		out.Image = cmp.Or(out.Image, out.ImageID)
	}
	if out.Instances, err = t.instances(ctx, p); err != nil {
		return out, err
	}
	if err := t.presentVersion(ctx, p, &out); err != nil {
		return out, err
	}
	if out.Healthy() < out.Capacity.Desired || out.Deleting || out.Rolling {
		out.Problems, err = t.problems(ctx, p.name)
	}
	return out, err
}

// attached reports whether the load balancer knows every target group of the
// group. One without target groups needs none.
func (s *survey) attached(p *pieces) bool {
	for _, arn := range p.targetGroups {
		if !slices.ContainsFunc(s.rules, func(r rule) bool { return r.has(arn) }) {
			return false
		}
	}
	return true
}

// tagsOf returns the ownership tags from whichever piece is there.
func (t *Target) tagsOf(ctx context.Context, p *pieces) (map[string]string, error) {
	switch {
	case p.group != nil:
		return groupTags(p.group), nil
	case p.template != nil:
		return templateTags(p.template), nil
	}
	all, err := t.elbTagsOf(ctx, p.targetGroups)
	for _, arn := range p.targetGroups {
		if len(all[arn]) > 0 {
			return all[arn], err
		}
	}
	return nil, err
}

// imageOf looks up the image of a group that carries no image tag; "" when its
// launch template does not tell.
func (t *Target) imageOf(ctx context.Context, g *astypes.AutoScalingGroup) (string, error) {
	if g.LaunchTemplate == nil || g.LaunchTemplate.LaunchTemplateId == nil {
		return "", nil
	}
	answer, err := t.compute.describeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{
		LaunchTemplateId: g.LaunchTemplate.LaunchTemplateId, Versions: []string{cmp.Or(deref(g.LaunchTemplate.Version), "$Default")},
	})
	if err != nil {
		err = aws.Classify(err, "describe launch template of %s", deref(g.AutoScalingGroupName))
		if delivery.KindOf(err) == delivery.NotFound {
			return "", nil // deleted under the group
		}
		return "", err
	}
	for _, v := range answer.LaunchTemplateVersions {
		if v.LaunchTemplateData != nil {
			return deref(v.LaunchTemplateData.ImageId), nil
		}
	}
	return "", nil
}

// problems returns what went wrong in the group's newest activities.
func (t *Target) problems(ctx context.Context, group string) ([]delivery.Problem, error) {
	answer, err := t.groups.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{
		AutoScalingGroupName: ptr(group), MaxRecords: ptr(int32(recentActivities)),
	})
	if err != nil {
		classified := aws.Classify(err, "describe scaling activities of %s", group)
		if delivery.KindOf(classified) == delivery.NotFound || aws.Code(err) == "ValidationError" {
			return nil, nil // it went between two reads
		}
		return nil, classified
	}
	var out []delivery.Problem
	for _, a := range answer.Activities {
		if code, message, ok := problemOf(a); ok {
			out = append(out, delivery.Problem{ID: deref(a.ActivityId), At: deref(a.StartTime), Code: code, Message: message})
		}
	}
	return out, nil
}

// problemOf tells whether an activity is a problem. A replacement of an
// unhealthy instance succeeds as an activity and is one all the same.
func problemOf(a astypes.Activity) (code, message string, ok bool) {
	switch a.StatusCode {
	case astypes.ScalingActivityStatusCodeFailed, astypes.ScalingActivityStatusCodeCancelled:
		return failureCode(a), cmp.Or(deref(a.StatusMessage), deref(a.Description)), true
	}
	cause := deref(a.Cause)
	if strings.Contains(cause, "taken out of service in response to") && strings.Contains(cause, "health") {
		return "InstanceUnhealthy", cause, true
	}
	return "", "", false
}

// failureCode is the EC2 error code that a failed launch quotes, else the
// activity's status.
func failureCode(a astypes.Activity) string {
	for _, code := range []string{"InsufficientInstanceCapacity", "InstanceLimitExceeded", "VcpuLimitExceeded", "MaxSpotInstanceCountExceeded"} {
		if strings.Contains(deref(a.StatusMessage), code) {
			return code
		}
	}
	return string(a.StatusCode)
}
