package asg

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/providers/aws"
)

// Apply makes the next write of a change. A receipt that is Done was read back:
// no write says so of itself.
func (t *Target) Apply(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if c.Kind != delivery.SetRouting && !c.Cluster.Owns(c.Group) {
		return delivery.Receipt{}, delivery.Errorf(delivery.Invalid, "server group %q is not of cluster %s", c.Group, c.Cluster.Name())
	}
	if err := t.session.Verify(ctx, t.region); err != nil {
		return delivery.Receipt{}, err
	}
	switch c.Kind {
	case delivery.CreateGroup:
		return t.create(ctx, c)
	case delivery.ResizeGroup:
		return t.resize(ctx, c)
	case delivery.SetRouting:
		return t.setRouting(ctx, c)
	case delivery.CreatePreview:
		return t.createPreview(ctx, c)
	case delivery.DeletePreview:
		return t.deletePreview(ctx, c)
	case delivery.DestroyGroup:
		return t.destroy(ctx, c)
	case delivery.UpdateGroup:
		return t.update(ctx, c)
	case delivery.PruneGroup:
		return done(), nil // versions are part of the launch template and go with it
	default:
		return delivery.Receipt{}, delivery.Errorf(delivery.Invalid, "unknown change %q", c.Kind)
	}
}

func done() delivery.Receipt { return delivery.Receipt{Done: true} }

func wrote(action string) delivery.Receipt { return delivery.Receipt{Wrote: action} }

func (t *Target) resize(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	if c.Capacity == nil {
		return delivery.Receipt{}, delivery.Errorf(delivery.Invalid, "resize of %s without a capacity", c.Group)
	}
	if err := delivery.InvalidError("capacity of "+c.Group, c.Capacity.Validate()); err != nil {
		return delivery.Receipt{}, err
	}
	group, err := t.group(ctx, c.Group)
	if err != nil {
		return delivery.Receipt{}, err
	}
	if group == nil {
		return delivery.Receipt{}, delivery.Errorf(delivery.NotFound, "Auto Scaling group %s in %s", c.Group, t.region)
	}
	if group.Status != nil {
		return delivery.Receipt{}, delivery.Errorf(delivery.Conflict, "Auto Scaling group %s is being deleted", c.Group)
	}
	stored := delivery.Capacity{Min: int(deref(group.MinSize)), Max: int(deref(group.MaxSize)), Desired: int(deref(group.DesiredCapacity))}
	if stored == *c.Capacity {
		return done(), nil
	}
	if c.Capacity.Desired == 0 {
		if err := t.refuseEmptying(ctx, c.Group, group.TargetGroupARNs); err != nil {
			return delivery.Receipt{}, err
		}
	}
	_, err = t.groups.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{
		AutoScalingGroupName: ptr(c.Group),
		MinSize:              ptr(int32(c.Capacity.Min)),
		MaxSize:              ptr(int32(c.Capacity.Max)),
		DesiredCapacity:      ptr(int32(c.Capacity.Desired)),
	})
	if err != nil {
		return delivery.Receipt{}, aws.Classify(err, "resize Auto Scaling group %s", c.Group)
	}
	return wrote("UpdateAutoScalingGroup"), nil
}

// refuseEmptying returns Guarded while any rule of any load balancer sends
// requests to the group: the traffic guard sees the cluster's own rule only.
func (t *Target) refuseEmptying(ctx context.Context, group string, arns []string) error {
	targetGroups, err := t.targetGroupsByARN(ctx, arns)
	if err != nil {
		return err
	}
	using, err := t.rulesUsing(ctx, targetGroups)
	if err != nil {
		return err
	}
	for _, r := range using {
		if r.weighs(func(arn string) bool { return slices.Contains(arns, arn) }) {
			return delivery.Errorf(delivery.Guarded, "resize of %s to 0 refused: it takes traffic of port %d", group, r.port)
		}
	}
	return nil
}

// setRouting writes the weights of all the cluster's target groups in one call.
// Groups that the change does not name get 0; target groups of others keep theirs.
func (t *Target) setRouting(ctx context.Context, c delivery.Change) (delivery.Receipt, error) {
	s, err := t.survey(ctx, c.Cluster, "")
	if err != nil {
		return delivery.Receipt{}, err
	}
	if s.rule == nil {
		return delivery.Receipt{}, delivery.Errorf(delivery.NotFound, "load balancer rule of cluster %s", c.Cluster.Name())
	}
	wanted, err := s.weighted(c.Weights)
	if err != nil {
		return delivery.Receipt{}, err
	}
	if equivalent(s.rule.destinations(), wanted) {
		return done(), nil
	}
	if c.Fingerprint != "" && c.Fingerprint != s.rule.fingerprint() {
		return delivery.Receipt{}, delivery.Errorf(delivery.Conflict, "the routing of cluster %s was changed by somebody else", c.Cluster.Name())
	}
	if len(wanted) > maxDestinations {
		return delivery.Receipt{}, delivery.Errorf(delivery.Quota, "the rule would forward to %d target groups; AWS allows %d", len(wanted), maxDestinations)
	}
	action, err := t.writeRule(ctx, *s.rule, wanted)
	if err != nil {
		return delivery.Receipt{}, err
	}
	return wrote(action), nil
}

// weighted returns the rule's destinations with the wanted weights. A wanted
// group whose target group the rule lost is put back.
func (s *survey) weighted(weights []delivery.Weight) ([]elbtypes.TargetGroupTuple, error) {
	wanted := map[string]int32{}
	for _, w := range weights {
		if s.groups[w.ServerGroup] == nil && w.Percent > 0 {
			return nil, delivery.Errorf(delivery.NotFound, "server group %s", w.ServerGroup)
		}
		wanted[w.ServerGroup] = int32(w.Percent)
	}
	var out []elbtypes.TargetGroupTuple
	known := map[string]bool{}
	for _, d := range s.rule.destinations() {
		share := weight(d)
		if owner := s.ownerOf(deref(d.TargetGroupArn)); owner != nil {
			share = wanted[owner.name]
			known[owner.name] = true
		}
		out = append(out, elbtypes.TargetGroupTuple{TargetGroupArn: d.TargetGroupArn, Weight: ptr(share)})
	}
	for _, group := range sortedKeys(wanted) {
		if known[group] || wanted[group] == 0 {
			continue
		}
		if len(s.groups[group].targetGroups) == 0 {
			return nil, delivery.Errorf(delivery.Conflict, "server group %s has no target group", group)
		}
		out = append(out, elbtypes.TargetGroupTuple{
			TargetGroupArn: ptr(s.groups[group].targetGroups[0]), Weight: ptr(wanted[group]),
		})
	}
	return out, nil
}

// equivalent reports whether two lists split requests in the same way: the same
// target groups in the same proportion.
func equivalent(have, want []elbtypes.TargetGroupTuple) bool {
	if len(have) != len(want) {
		return false
	}
	stored := map[string]int64{}
	var haveTotal, wantTotal int64
	for _, d := range have {
		stored[deref(d.TargetGroupArn)] = int64(weight(d))
		haveTotal += int64(weight(d))
	}
	for _, d := range want {
		wantTotal += int64(weight(d))
	}
	for _, d := range want {
		have, ok := stored[deref(d.TargetGroupArn)]
		if !ok || have*wantTotal != int64(weight(d))*haveTotal {
			return false
		}
	}
	return (haveTotal == 0) == (wantTotal == 0)
}
