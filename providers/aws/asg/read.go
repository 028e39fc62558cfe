package asg

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/aws"
)

// This file holds the reads of single resources and of lists, all paged.

// groupsByTag returns the Auto Scaling groups that carry the tag.
func (t *Target) groupsByTag(ctx context.Context, key, value string) ([]astypes.AutoScalingGroup, error) {
	return t.readGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{
		Filters: []astypes.Filter{{Name: ptr("tag:" + key), Values: []string{value}}},
	})
}

// groupsByName returns those of at most namesPerCall named groups that exist.
func (t *Target) groupsByName(ctx context.Context, names ...string) ([]astypes.AutoScalingGroup, error) {
	return t.readGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{
		AutoScalingGroupNames: names, MaxRecords: ptr(int32(namesPerCall)),
	})
}

func (t *Target) readGroups(ctx context.Context, in *autoscaling.DescribeAutoScalingGroupsInput) ([]astypes.AutoScalingGroup, error) {
	var out []astypes.AutoScalingGroup
	for pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(t.groups, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, aws.Classify(err, "describe Auto Scaling groups")
		}
		out = append(out, page.AutoScalingGroups...)
	}
	return out, nil
}

// group returns the named Auto Scaling group, or nil.
func (t *Target) group(ctx context.Context, name string) (*astypes.AutoScalingGroup, error) {
	found, err := t.groupsByName(ctx, name)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// templatesBy returns the launch templates that match one filter.
func (t *Target) templatesBy(ctx context.Context, filter, value string) ([]ec2types.LaunchTemplate, error) {
	var out []ec2types.LaunchTemplate
	pages := ec2.NewDescribeLaunchTemplatesPaginator(t.compute, &ec2.DescribeLaunchTemplatesInput{
		Filters: []ec2types.Filter{{Name: ptr(filter), Values: []string{value}}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, aws.Classify(err, "describe launch templates")
		}
		out = append(out, page.LaunchTemplates...)
	}
	return out, nil
}

// template returns the named launch template, or nil. A filter is used instead
// of a name because an unknown name is an error.
func (t *Target) template(ctx context.Context, name string) (*ec2types.LaunchTemplate, error) {
	found, err := t.templatesBy(ctx, "launch-template-name", name)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// targetGroupNamed returns the target group of that name, or nil.
func (t *Target) targetGroupNamed(ctx context.Context, name string) (*elbtypes.TargetGroup, error) {
	found, err := t.readTargetGroups(ctx, &elb.DescribeTargetGroupsInput{Names: []string{name}})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// targetGroupsByARN returns those of the target groups that exist. One that is
// missing makes AWS refuse the whole question, so then each is asked for alone.
func (t *Target) targetGroupsByARN(ctx context.Context, arns []string) ([]elbtypes.TargetGroup, error) {
	if len(arns) == 0 {
		return nil, nil
	}
	found, err := t.readTargetGroups(ctx, &elb.DescribeTargetGroupsInput{TargetGroupArns: arns})
	if err != nil || len(found) > 0 || len(arns) == 1 {
		return found, err
	}
	for _, arn := range arns {
		one, err := t.readTargetGroups(ctx, &elb.DescribeTargetGroupsInput{TargetGroupArns: []string{arn}})
		if err != nil {
			return nil, err
		}
		found = append(found, one...)
	}
	return found, nil
}

func (t *Target) readTargetGroups(ctx context.Context, in *elb.DescribeTargetGroupsInput) ([]elbtypes.TargetGroup, error) {
	var out []elbtypes.TargetGroup
	for pages := elb.NewDescribeTargetGroupsPaginator(t.balance, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if isA[*elbtypes.TargetGroupNotFoundException](err) {
			return nil, nil
		}
		if err != nil {
			return nil, aws.Classify(err, "describe target groups")
		}
		out = append(out, page.TargetGroups...)
	}
	return out, nil
}

// elbTagsOf returns the tags of each target group, or of each rule. At most 20 can be
// asked for in one call; a target group that is gone is left out.
func (t *Target) elbTagsOf(ctx context.Context, arns []string) (map[string]map[string]string, error) {
	out := map[string]map[string]string{}
	for chunk := range slices.Chunk(arns, 20) {
		answer, err := t.balance.DescribeTags(ctx, &elb.DescribeTagsInput{ResourceArns: chunk})
		if isA[*elbtypes.TargetGroupNotFoundException](err) && len(arns) == 1 {
			return out, nil
		}
		if err != nil {
			return nil, aws.Classify(err, "describe tags of the load balancer")
		}
		for _, d := range answer.TagDescriptions {
			tags := map[string]string{}
			for _, tag := range d.Tags {
				tags[deref(tag.Key)] = deref(tag.Value)
			}
			out[deref(d.ResourceArn)] = tags
		}
	}
	return out, nil
}

// loadBalancer returns the named load balancer; NotFound when there is none.
func (t *Target) loadBalancer(ctx context.Context, name string) (elbtypes.LoadBalancer, error) {
	answer, err := t.balance.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{Names: []string{name}})
	if err != nil {
		return elbtypes.LoadBalancer{}, aws.Classify(err, "describe load balancer %s", name)
	}
	if len(answer.LoadBalancers) == 0 {
		return elbtypes.LoadBalancer{}, delivery.Errorf(delivery.NotFound, "load balancer %s in %s", name, t.region)
	}
	return answer.LoadBalancers[0], nil
}

// targetHealth returns the targets of a target group; none when it is gone.
func (t *Target) targetHealth(ctx context.Context, arn string) ([]elbtypes.TargetHealthDescription, error) {
	answer, err := t.balance.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: ptr(arn)})
	if isA[*elbtypes.TargetGroupNotFoundException](err) {
		return nil, nil
	}
	if err != nil {
		return nil, aws.Classify(err, "describe target health of %s", nameOfTargetGroup(arn))
	}
	return answer.TargetHealthDescriptions, nil
}

// isA reports whether err's chain holds an error of the type.
func isA[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

func ptr[T any](v T) *T { return &v }

func groupTags(g *astypes.AutoScalingGroup) map[string]string {
	out := make(map[string]string, len(g.Tags))
	for _, tag := range g.Tags {
		out[deref(tag.Key)] = deref(tag.Value)
	}
	return out
}

func templateTags(l *ec2types.LaunchTemplate) map[string]string {
	out := make(map[string]string, len(l.Tags))
	for _, tag := range l.Tags {
		out[deref(tag.Key)] = deref(tag.Value)
	}
	return out
}
