package asg

import (
	"context"
	"fmt"
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

// demolition is one DestroyGroup on its way.
type demolition struct {
	*Target
	change   delivery.Change
	group    *astypes.AutoScalingGroup
	template *ec2types.LaunchTemplate
	// targetGroups are those that were made for this group; a target group that
	// it shares with others is left alone.
	targetGroups []elbtypes.TargetGroup
}

// destroy removes the outermost piece that is left. Every piece is looked up by
// its own name, so that a crash between two pieces leaves nothing behind.
func (t *Target) destroy(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	d := &demolition{Target: t, change: c}
	if err := d.find(ctx); err != nil {
		return delivery.Receipt{}, err
	}
	if d.group == nil && d.template == nil && len(d.targetGroups) == 0 {
		return done(), nil
	}
	for _, step := range []func(context.Context) (delivery.Receipt, error){d.detach, d.deleteGroup, d.deleteTargetGroup, d.deleteTemplate} {
		if receipt, err := step(ctx); err != nil || receipt != (delivery.Receipt{}) {
			return receipt, err
		}
	}
	return done(), nil
}

// find reads the pieces and refuses those that Slipway did not make.
func (d *demolition) find(ctx context.Context) error {
	var err error
	if d.group, err = d.Target.group(ctx, d.change.Group); err != nil {
		return err
	}
	if d.group != nil && !owned(groupTags(d.group), d.change.Cluster, d.change.Group) {
		return d.refuse("its Auto Scaling group carries no ownership tag of Slipway")
	}
	if d.template, err = d.Target.template(ctx, d.change.Group); err != nil {
		return err
	}
	if d.template != nil && !owned(templateTags(d.template), d.change.Cluster, d.change.Group) {
		return d.refuse("its launch template carries no ownership tag of Slipway")
	}
	return d.findTargetGroups(ctx)
}

func (d *demolition) refuse(reason string) error {
	return delivery.Errorf(delivery.Guarded, "destroy of %s refused: %s", d.change.Group, reason)
}

func (d *demolition) findTargetGroups(ctx context.Context) error {
	var candidates []elbtypes.TargetGroup
	named, err := d.targetGroupNamed(ctx, targetGroupName(d.change.Cluster, d.change.Group))
	if err != nil {
		return err
	}
	if named != nil {
		candidates = append(candidates, *named)
	}
	if d.group != nil {
		others := slices.DeleteFunc(slices.Clone(d.group.TargetGroupARNs), func(arn string) bool {
			return named != nil && arn == deref(named.TargetGroupArn)
		})
		found, err := d.targetGroupsByARN(ctx, others)
		if err != nil {
			return err
		}
		candidates = append(candidates, found...)
	}
	if len(candidates) == 0 {
		return nil
	}
	arns := make([]string, len(candidates))
	for i, c := range candidates {
		arns[i] = deref(c.TargetGroupArn)
	}
	tags, err := d.elbTagsOf(ctx, arns)
	if err != nil {
		return err
	}
	for _, c := range candidates {
		if owned(tags[deref(c.TargetGroupArn)], d.change.Cluster, d.change.Group) {
			d.targetGroups = append(d.targetGroups, c)
		}
	}
	return nil
}

// detach takes the target groups out of the rules that forward to them, and removes
// the rules that lead testers there. One that still has weight is refused before
// anything is written.
func (d *demolition) detach(ctx context.Context) (delivery.Receipt, error) {
	using, err := d.rulesUsing(ctx, d.targetGroups)
	if err != nil {
		return delivery.Receipt{}, err
	}
	err = d.markPreviews(ctx, d.change.Cluster, using, func(arn string) string {
		if d.owns(elbtypes.TargetGroupTuple{TargetGroupArn: ptr(arn)}) {
			return d.change.Group
		}
		return ""
	})
	if err != nil {
		return delivery.Receipt{}, err
	}
	for _, r := range using {
		if r.preview == nil && d.serves(r) {
			return delivery.Receipt{}, d.refuse(fmt.Sprintf("it takes traffic of port %d", r.port))
		}
	}
	if len(using) == 0 {
		return delivery.Receipt{}, nil
	}
	if using[0].preview != nil {
		return d.deleteRule(ctx, using[0])
	}
	rest := slices.DeleteFunc(slices.Clone(using[0].destinations()), d.owns)
	action, err := d.writeRule(ctx, using[0], rest)
	if err != nil {
		return delivery.Receipt{}, err
	}
	return wrote(action), nil
}

func (d *demolition) owns(t elbtypes.TargetGroupTuple) bool {
	return slices.ContainsFunc(d.targetGroups, func(g elbtypes.TargetGroup) bool {
		return deref(g.TargetGroupArn) == deref(t.TargetGroupArn)
	})
}

func (d *demolition) serves(r rule) bool {
	return slices.ContainsFunc(r.destinations(), func(t elbtypes.TargetGroupTuple) bool {
		return d.owns(t) && weight(t) > 0
	})
}

func (d *demolition) deleteGroup(ctx context.Context) (delivery.Receipt, error) {
	if d.group == nil {
		return delivery.Receipt{}, nil
	}
	if d.group.Status != nil {
		return delivery.Receipt{Waiting: "Auto Scaling group " + d.change.Group + " to be deleted"}, nil
	}
	_, err := d.groups.DeleteAutoScalingGroup(ctx, &autoscaling.DeleteAutoScalingGroupInput{
		AutoScalingGroupName: ptr(d.change.Group), ForceDelete: ptr(true),
	})
	return d.receipt("DeleteAutoScalingGroup", aws.Classify(err, "delete Auto Scaling group %s", d.change.Group))
}

func (d *demolition) deleteTargetGroup(ctx context.Context) (delivery.Receipt, error) {
	if len(d.targetGroups) == 0 {
		return delivery.Receipt{}, nil
	}
	g := d.targetGroups[0]
	_, err := d.balance.DeleteTargetGroup(ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: g.TargetGroupArn})
	return d.receipt("DeleteTargetGroup", aws.Classify(err, "delete target group %s", deref(g.TargetGroupName)))
}

func (d *demolition) deleteTemplate(ctx context.Context) (delivery.Receipt, error) {
	if d.template == nil {
		return delivery.Receipt{}, nil
	}
	_, err := d.compute.deleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: d.template.LaunchTemplateId})
	return d.receipt("DeleteLaunchTemplate", aws.Classify(err, "delete launch template %s", d.change.Group))
}

// receipt makes "gone already" a success and "in use for a moment" a wait.
func (d *demolition) receipt(action string, err error) (delivery.Receipt, error) {
	switch {
	case err == nil, delivery.KindOf(err) == delivery.NotFound:
		return wrote(action), nil
	case delivery.KindOf(err) == delivery.NotReady:
		return delivery.Receipt{Waiting: err.Error()}, nil
	default:
		return delivery.Receipt{}, err
	}
}
