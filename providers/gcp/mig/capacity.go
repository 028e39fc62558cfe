package mig

import (
	"context"
	"fmt"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/delivery"
)

// defaultCPU is the share of CPU that an autoscaler holds its group at when
// nothing else was asked for (API reference of autoscalers).
const defaultCPU = 0.6

// scales reports whether the autoscaler moves the size of its group.
func scales(a *computepb.Autoscaler) bool {
	return a != nil && a.GetAutoscalingPolicy().GetMode() != modeOff
}

// capacityOf is the size of a group. A group that nothing scales is pinned to its
// size.
func capacityOf(m *computepb.InstanceGroupManager, a *computepb.Autoscaler) delivery.Capacity {
	size := int(m.GetTargetSize())
	if !scales(a) {
		return delivery.Pinned(size)
	}
	p := a.GetAutoscalingPolicy()
	return delivery.Capacity{Min: int(p.GetMinNumReplicas()), Max: int(p.GetMaxNumReplicas()), Desired: size}
}

// reached reports whether a group is as wanted. Above its desired size an
// autoscaler may have it anywhere: that is its work.
func reached(is, want delivery.Capacity) bool {
	return is == want || is.Min == want.Min && is.Max == want.Max && want.Min < want.Max && is.Desired > want.Desired
}

// step is one write of a resize.
type step int

const (
	stepNone  step = iota
	stepPin        // stop the autoscaler
	stepSize       // set the size
	stepScale      // start the autoscaler with its bounds
)

// nextStep tells what to write next. The size is set while nothing else moves it;
// the autoscaler takes over last.
func nextStep(m *computepb.InstanceGroupManager, a *computepb.Autoscaler, want delivery.Capacity) step {
	is := capacityOf(m, a)
	switch {
	case reached(is, want):
		return stepNone
	case scales(a) && (want.Min == want.Max || is.Desired < want.Desired):
		return stepPin
	case !scales(a) && is.Desired != want.Desired:
		return stepSize
	default:
		return stepScale
	}
}

// scaling is a resize on its way.
type scaling struct {
	*Target
	change     delivery.Change
	manager    *computepb.InstanceGroupManager
	autoscaler *computepb.Autoscaler
	history    history
}

func (r *scaling) next(ctx context.Context) (delivery.Receipt, error) {
	switch nextStep(r.manager, r.autoscaler, *r.change.Capacity) {
	case stepPin:
		return r.patchAutoscaler(ctx, &computepb.AutoscalingPolicy{Mode: proto.String(modeOff)})
	case stepSize:
		return r.setSize(ctx)
	case stepScale:
		return r.scale(ctx)
	default:
		return done(), nil
	}
}

func (r *scaling) setSize(ctx context.Context) (delivery.Receipt, error) {
	in := &computepb.ResizeRegionInstanceGroupManagerRequest{
		Project: r.project, Region: r.region, InstanceGroupManager: r.change.Group, Size: int32(r.change.Capacity.Desired),
	}
	return r.history.submit(write{r.change.Key, "RegionInstanceGroupManagers.Resize", in, fmt.Sprint(r.manager.GetTargetSize())}, func(id *string) (*compute.Operation, error) {
		in.RequestId = id
		return r.managers.Resize(ctx, in)
	}, "resize managed instance group %s", r.change.Group)
}

// scale gives the group to its autoscaler, in the mode that the group was made for.
func (r *scaling) scale(ctx context.Context) (delivery.Receipt, error) {
	mode := tagsIn(r.manager.GetDescription())[tagAutoscaling]
	if mode == "" {
		mode = modeOn
	}
	bounds := &computepb.AutoscalingPolicy{
		Mode: proto.String(mode), MinNumReplicas: proto.Int32(int32(r.change.Capacity.Min)), MaxNumReplicas: proto.Int32(int32(r.change.Capacity.Max)),
	}
	if r.autoscaler != nil {
		return r.patchAutoscaler(ctx, bounds)
	}
	bounds.CpuUtilization = &computepb.AutoscalingPolicyCpuUtilization{UtilizationTarget: proto.Float64(defaultCPU)}
	return r.insertAutoscaler(ctx, r.change, r.manager, bounds, r.history)
}

// insertAutoscaler makes the autoscaler of a group. It carries the tags of the group.
func (t *Target) insertAutoscaler(ctx context.Context, c delivery.Change, m *computepb.InstanceGroupManager, p *computepb.AutoscalingPolicy, h history) (delivery.Receipt, error) {
	in := &computepb.InsertRegionAutoscalerRequest{
		Project: t.project, Region: t.region,
		AutoscalerResource: &computepb.Autoscaler{
			Name: proto.String(c.Group), Target: proto.String(m.GetSelfLink()), AutoscalingPolicy: p,
		},
	}
	if tags := tagsIn(m.GetDescription()); tags != nil {
		in.AutoscalerResource.Description = proto.String(tags.description())
	}
	return exists(h.submit(write{c.Key, "RegionAutoscalers.Insert", in, ""}, func(id *string) (*compute.Operation, error) {
		in.RequestId = id
		return t.autoscalers.Insert(ctx, in)
	}, "create autoscaler %s", c.Group))
}

// patchAutoscaler changes the given fields of the policy.
func (r *scaling) patchAutoscaler(ctx context.Context, p *computepb.AutoscalingPolicy) (delivery.Receipt, error) {
	in := &computepb.PatchRegionAutoscalerRequest{
		Project: r.project, Region: r.region, Autoscaler: proto.String(r.autoscaler.GetName()),
		AutoscalerResource: &computepb.Autoscaler{AutoscalingPolicy: p},
	}
	is := r.autoscaler.GetAutoscalingPolicy()
	return r.history.submit(write{r.change.Key, "RegionAutoscalers.Patch", in, fmt.Sprint(is.GetMode(), is.GetMinNumReplicas(), is.GetMaxNumReplicas())}, func(id *string) (*compute.Operation, error) {
		in.RequestId = id
		return r.autoscalers.Patch(ctx, in)
	}, "change autoscaler %s", r.autoscaler.GetName())
}
