package asg

import (
	"context"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// MetricDimensions returns the dimensions that the load balancer's metrics of a
// server group have, those of its target group; nil when there is none, or when
// it is attached to no load balancer.
func (t *Target) MetricDimensions(ctx context.Context, cluster delivery.Cluster, group string) (map[string]string, error) {
	found, err := t.targetGroupNamed(ctx, targetGroupName(cluster, group))
	if err != nil || found == nil || len(found.LoadBalancerArns) == 0 {
		return nil, err
	}
	// arn:aws:elasticloadbalancing:REGION:ACCOUNT:targetgroup/NAME/ID and
	// ...:loadbalancer/app/NAME/ID: the dimensions are what follows the last colon,
	// without "loadbalancer/".
	arn := deref(found.TargetGroupArn)
	_, balancer, _ := strings.Cut(found.LoadBalancerArns[0], ":loadbalancer/")
	return map[string]string{"TargetGroup": arn[strings.LastIndex(arn, ":")+1:], "LoadBalancer": balancer}, nil
}
