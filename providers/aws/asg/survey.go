package asg

import (
	"context"
	"maps"
	"slices"

	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/aws"
)

// pieces is what exists of one server group.
type pieces struct {
	name     string
	group    *astypes.AutoScalingGroup
	template *ec2types.LaunchTemplate
	// targetGroups are the ARNs: of the Auto Scaling group's target groups, and
	// of the one that was made for this server group.
	targetGroups []string
}

// survey is what exists of a cluster, without health.
type survey struct {
	cluster delivery.Cluster
	groups  map[string]*pieces
	// balancer is the load balancer's ARN; empty when the cluster is behind none.
	balancer string
	// rules are all rules of the load balancer; rule is the cluster's own.
	rules []rule
	rule  *rule
}

func (s *survey) piece(name string) *pieces {
	p := s.groups[name]
	if p == nil {
		p = &pieces{name: name}
		s.groups[name] = p
	}
	return p
}

func (p *pieces) addTargetGroup(arn string) {
	if !slices.Contains(p.targetGroups, arn) {
		p.targetGroups = append(p.targetGroups, arn)
	}
}

// names returns the server groups in a stable order.
func (s *survey) names() []string { return slices.Sorted(maps.Keys(s.groups)) }

// ownerOf returns the server group that the target group belongs to, or nil.
func (s *survey) ownerOf(targetGroup string) *pieces {
	for _, p := range s.groups {
		if slices.Contains(p.targetGroups, targetGroup) {
			return p
		}
	}
	for _, p := range s.groups {
		if targetGroupName(s.cluster, p.name) == nameOfTargetGroup(targetGroup) {
			return p
		}
	}
	return nil
}

// survey reads what exists. loadBalancer may be empty: then the groups' own
// target groups lead to it.
func (t *Target) survey(ctx context.Context, cluster delivery.Cluster, loadBalancer string) (*survey, error) {
	s := &survey{cluster: cluster, groups: map[string]*pieces{}}
	groups, err := t.groupsByTag(ctx, tagCluster, cluster.Name())
	if err != nil {
		return nil, err
	}
	for i := range groups {
		s.add(&groups[i])
	}
	templates, err := t.templatesBy(ctx, "tag:"+tagCluster, cluster.Name())
	if err != nil {
		return nil, err
	}
	for i := range templates {
		if name := deref(templates[i].LaunchTemplateName); cluster.Owns(name) {
			s.piece(name).template = &templates[i]
		}
	}
	if err := t.findLooseTargetGroups(ctx, s); err != nil {
		return nil, err
	}
	if err := t.findRule(ctx, s, loadBalancer); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *survey) add(g *astypes.AutoScalingGroup) {
	name := deref(g.AutoScalingGroupName)
	if !s.cluster.Owns(name) {
		return
	}
	p := s.piece(name)
	p.group = g
	for _, arn := range g.TargetGroupARNs {
		p.addTargetGroup(arn)
	}
}

// findLooseTargetGroups looks up the target groups of server groups whose Auto
// Scaling group is missing or going: it is not there to name them any more.
func (t *Target) findLooseTargetGroups(ctx context.Context, s *survey) error {
	for _, name := range s.names() {
		p := s.groups[name]
		if p.group != nil && p.group.Status == nil {
			continue
		}
		found, err := t.targetGroupNamed(ctx, targetGroupName(s.cluster, name))
		if err != nil {
			return err
		}
		if found != nil {
			p.addTargetGroup(deref(found.TargetGroupArn))
		}
	}
	return nil
}

// findRule reads the load balancer's rules and picks the cluster's: one that
// forwards to groups of the cluster, else the default rule of the lowest port.
func (t *Target) findRule(ctx context.Context, s *survey, loadBalancer string) error {
	balancer, err := t.balancerOf(ctx, s, loadBalancer)
	if err != nil || balancer == "" {
		return err
	}
	s.balancer = balancer
	if s.rules, err = t.rules(ctx, balancer); err != nil {
		return err
	}
	if err = t.findPreviews(ctx, s); err != nil {
		return err
	}
	s.rule = s.pickRule(0)
	if s.rule == nil {
		return nil
	}
	unknown := slices.DeleteFunc(slices.Clone(s.rule.destinations()), func(d elbtypes.TargetGroupTuple) bool {
		return s.ownerOf(deref(d.TargetGroupArn)) != nil
	})
	if len(unknown) == 0 {
		return nil
	}
	return t.resolveUnknown(ctx, s, unknown)
}

func (t *Target) balancerOf(ctx context.Context, s *survey, loadBalancer string) (string, error) {
	if loadBalancer != "" {
		found, err := t.loadBalancer(ctx, loadBalancer)
		return deref(found.LoadBalancerArn), err
	}
	var arns []string
	for _, name := range s.names() {
		arns = append(arns, s.groups[name].targetGroups...)
	}
	found, err := t.targetGroupsByARN(ctx, arns)
	if err != nil {
		return "", err
	}
	var balancers []string
	for _, g := range found {
		balancers = append(balancers, g.LoadBalancerArns...)
	}
	if len(balancers) == 0 {
		return "", nil
	}
	return slices.Min(balancers), nil
}

// pickRule returns the cluster's rule: of those that forward to a group of the
// cluster one that gives it weight is preferred. Without any it is the default
// rule of the port, or of the lowest port when port is 0; nil when there is none.
func (s *survey) pickRule(port int32) *rule {
	var known, fallback *rule
	for i := range s.rules {
		r := &s.rules[i]
		if r.preview != nil {
			continue
		}
		for _, d := range r.destinations() {
			if s.ownerOf(deref(d.TargetGroupArn)) == nil {
				continue
			}
			if weight(d) > 0 {
				return r
			}
			if known == nil {
				known = r
			}
		}
		if r.isDefault && fallback == nil && (port == 0 || r.port == port) {
			fallback = r
		}
	}
	if known != nil {
		return known
	}
	return fallback
}

// second returns a rule besides the chosen one that gives weight to a group of
// the cluster, or nil. Weights are moved in one rule; the other would go on
// sending requests to groups that are scaled down.
func (s *survey) second(chosen *rule) *rule {
	for i := range s.rules {
		r := &s.rules[i]
		if r.arn != chosen.arn && r.preview == nil && r.weighs(func(arn string) bool { return s.ownerOf(arn) != nil }) {
			return r
		}
	}
	return nil
}

// resolveUnknown finds out whether target groups of the cluster's rule that no
// known group names belong to the cluster all the same: by their own tags, or,
// for groups that Spinnaker made, by the Auto Scaling group of their instances,
// or, when those have none, by the groups' names.
func (t *Target) resolveUnknown(ctx context.Context, s *survey, unknown []elbtypes.TargetGroupTuple) error {
	arns := make([]string, len(unknown))
	for i, d := range unknown {
		arns[i] = deref(d.TargetGroupArn)
	}
	tags, err := t.elbTagsOf(ctx, arns)
	if err != nil {
		return err
	}
	var empty []string
	for _, arn := range arns {
		if tags[arn][tagCluster] == s.cluster.Name() && s.cluster.Owns(tags[arn][tagServerGroup]) {
			s.piece(tags[arn][tagServerGroup]).addTargetGroup(arn)
			continue
		}
		if tags[arn][tagCluster] != "" {
			continue
		}
		group, err := t.groupBehind(ctx, arn)
		if err != nil {
			return err
		}
		if group == nil {
			empty = append(empty, arn)
			continue
		}
		s.add(group)
	}
	return t.findByName(ctx, s, empty)
}

// namesPerCall is how many groups may be asked for by name at once, with
// MaxRecords as high (API reference of DescribeAutoScalingGroups).
const namesPerCall = 100

// findByName looks for the groups of target groups without instances: an untagged
// group that was scaled to 0 leaves no other trace. All names that the cluster
// can have are asked for, those before the newest known group first, until every
// target group has its owner.
func (t *Target) findByName(ctx context.Context, s *survey, targetGroups []string) error {
	const all = delivery.MaxSequence + 1
	newest := all
	if names := s.names(); len(names) > 0 {
		_, newest, _ = delivery.ParseServerGroup(names[len(names)-1])
	}
	for asked := 0; asked < all && len(targetGroups) > 0; asked += namesPerCall {
		names := make([]string, namesPerCall)
		for i := range names {
			names[i] = s.cluster.Moniker.ServerGroup(newest - 1 - asked - i + 2*all)
		}
		found, err := t.groupsByName(ctx, names...)
		if err != nil {
			return err
		}
		for i := range found {
			s.addOwnerOf(&found[i], targetGroups)
		}
		targetGroups = slices.DeleteFunc(targetGroups, func(arn string) bool { return s.ownerOf(arn) != nil })
	}
	return nil
}

// addOwnerOf adds the group if one of the target groups is its own.
func (s *survey) addOwnerOf(g *astypes.AutoScalingGroup, targetGroups []string) {
	if slices.ContainsFunc(g.TargetGroupARNs, func(arn string) bool { return slices.Contains(targetGroups, arn) }) {
		s.add(g)
	}
}

// groupBehind returns the Auto Scaling group whose instances are registered in
// the target group, or nil. AWS has no question for that; instances carry the
// group's name as a tag.
func (t *Target) groupBehind(ctx context.Context, targetGroup string) (*astypes.AutoScalingGroup, error) {
	targets, err := t.targetHealth(ctx, targetGroup)
	if err != nil || len(targets) == 0 || targets[0].Target == nil {
		return nil, err
	}
	answer, err := t.compute.describeInstances(ctx, &ec2.DescribeInstancesInput{
		Filters: []ec2types.Filter{{Name: ptr("instance-id"), Values: []string{deref(targets[0].Target.Id)}}},
	})
	if err != nil {
		return nil, aws.Classify(err, "describe instances of %s", nameOfTargetGroup(targetGroup))
	}
	for _, reservation := range answer.Reservations {
		for _, instance := range reservation.Instances {
			for _, tag := range instance.Tags {
				if deref(tag.Key) == "aws:autoscaling:groupName" {
					return t.group(ctx, deref(tag.Value))
				}
			}
		}
	}
	return nil, nil
}
