package asg

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/aws"
)

// GroupOf asks Auto Scaling for the instance. One that is in a group without a
// number in its name is in no server group.
func (t *Target) GroupOf(ctx context.Context, instance string) (delivery.Cluster, string, error) {
	none := delivery.Errorf(delivery.NotFound, "instance %s in %s", instance, t.region)
	if instance == "" { // AWS would describe all
		return delivery.Cluster{}, "", none
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := t.groups.DescribeAutoScalingInstances(ctx, &autoscaling.DescribeAutoScalingInstancesInput{InstanceIds: []string{instance}})
	if err != nil {
		return delivery.Cluster{}, "", aws.Classify(err, "describe instance %s of Auto Scaling", instance)
	}
	for _, found := range answer.AutoScalingInstances {
		group := deref(found.AutoScalingGroupName)
		if m, _, ok := delivery.ParseServerGroup(group); ok && deref(found.InstanceId) == instance {
			return delivery.Cluster{Provider: Provider, Account: t.account, Region: t.region, Moniker: m}, group, nil
		}
	}
	return delivery.Cluster{}, "", none
}
