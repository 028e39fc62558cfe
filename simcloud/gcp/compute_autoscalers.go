package gcp

import (
	"fmt"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

// There is no load in this world: an autoscaler with mode ON (or ONLY_UP, ONLY_SCALE_OUT, as far as it grows) keeps its
// group's target size within its bounds and does nothing else.

func (c *call) insertAutoscaler(in *computepb.InsertRegionAutoscalerRequest) (*computepb.Operation, error) {
	message := proto.Clone(in.GetAutoscalerResource()).(*computepb.Autoscaler)
	collection := pathOf(c.project.id, "regions", in.GetRegion(), "autoscalers")
	path, refusal := c.vacant(collection, message)
	if refusal != nil {
		return nil, refusal
	}
	target, refusal := c.checkAutoscaler(message)
	if refusal != nil {
		return nil, refusal
	}
	if a := c.project.compute.autoscalerOf(target); a != nil {
		return nil, inUse("instance_group_manager", target, pathOfLink(a.GetSelfLink()))
	}
	message.Status = proto.String("ACTIVE")
	op := c.insert(path, creation{collection: collection, message: message, kind: "compute#autoscaler", quota: "AUTOSCALERS"})
	c.autoscaled(target)
	return op, nil
}

// autoscaled lets an autoscaler's change act on its group.
func (c *call) autoscaled(target string) {
	if g := groupOf(c.data.resources[target]); g != nil {
		c.project.compute.boundByAutoscaler(g)
		c.project.compute.tellCapacity(g, c.principal.email)
	}
}

// checkAutoscaler refuses a policy that cannot be, fills in defaults, and returns the path of the group (discovery document,
// Autoscaler and AutoscalingPolicy: maxNumReplicas is required and must not be lower than minNumReplicas; the default signal
// is the CPU at 0.6, the default initialization period is 60 seconds).
func (c *call) checkAutoscaler(message *computepb.Autoscaler) (string, *apiError) {
	if message.Target == nil {
		return "", c.request.missing("target")
	}
	target, refusal := c.reference("resource.target", message.GetTarget(), "instanceGroupManagers")
	if refusal != nil {
		return "", refusal
	}
	message.Target = proto.String(selfLink(target))
	policy := message.GetAutoscalingPolicy()
	if policy == nil || policy.MaxNumReplicas == nil {
		return "", c.request.missing("autoscalingPolicy.maxNumReplicas")
	}
	if policy.MinNumReplicas == nil {
		policy.MinNumReplicas = proto.Int32(min(2, policy.GetMaxNumReplicas()))
	}
	if low, high := policy.GetMinNumReplicas(), policy.GetMaxNumReplicas(); low < 0 || high < low {
		return "", invalidValue("resource.autoscalingPolicy.maxNumReplicas", fmt.Sprint(high), "Max number of replicas cannot be lower than the min number of replicas.")
	}
	if policy.Mode == nil {
		policy.Mode = proto.String("ON")
	}
	if policy.CoolDownPeriodSec == nil {
		policy.CoolDownPeriodSec = proto.Int32(60)
	}
	if policy.CpuUtilization == nil && policy.LoadBalancingUtilization == nil && len(policy.CustomMetricUtilizations) == 0 {
		policy.CpuUtilization = &computepb.AutoscalingPolicyCpuUtilization{UtilizationTarget: proto.Float64(0.6)}
	}
	return target, nil
}

func (c *call) getAutoscaler(in *computepb.GetRegionAutoscalerRequest) (*computepb.Autoscaler, error) {
	return get[*computepb.Autoscaler](c, "regions", in.GetRegion(), "autoscalers", in.GetAutoscaler())
}

func (c *call) listAutoscalers(in *computepb.ListRegionAutoscalersRequest) (*computepb.RegionAutoscalerList, error) {
	items, next, err := list[*computepb.Autoscaler](c, in, "regions", in.GetRegion(), "autoscalers")
	return &computepb.RegionAutoscalerList{Kind: proto.String("compute#regionAutoscalerList"), Items: items, NextPageToken: next}, err
}

// patchAutoscaler names its autoscaler in a query parameter, unlike other methods.
func (c *call) patchAutoscaler(in *computepb.PatchRegionAutoscalerRequest) (*computepb.Operation, error) {
	name := in.GetAutoscaler()
	if name == "" {
		name = in.GetAutoscalerResource().GetName()
	}
	path := pathOf(c.project.id, "regions", in.GetRegion(), "autoscalers", name)
	c.about = path
	r := c.data.resources[path]
	if r == nil {
		return nil, notFound(path)
	}
	if refusal := c.ready(path); refusal != nil {
		return nil, refusal
	}
	next := merged(r.message.(*computepb.Autoscaler), in.GetAutoscalerResource(), "status", "recommended_size")
	target, refusal := c.checkAutoscaler(next)
	if refusal != nil {
		return nil, refusal
	}
	r.message = next
	c.autoscaled(target)
	return c.begin(operationSpec{kind: "patch", target: path, scope: scopeOf(path)}), nil
}

func (c *call) deleteAutoscaler(in *computepb.DeleteRegionAutoscalerRequest) (*computepb.Operation, error) {
	path := pathOf(c.project.id, "regions", in.GetRegion(), "autoscalers", in.GetAutoscaler())
	a := lookup[*computepb.Autoscaler](c.data, path)
	return c.remove(path, "", func() { c.autoscaled(pathOfLink(a.GetTarget())) })
}

// autoscalerOf is the autoscaler of a group, nil for none.
func (p *computePlane) autoscalerOf(group string) *computepb.Autoscaler {
	for _, r := range all[*computepb.Autoscaler](p.project.data) {
		if a := r.message.(*computepb.Autoscaler); pathOfLink(a.GetTarget()) == group && !r.doomed {
			return a
		}
	}
	return nil
}

// boundByAutoscaler brings a group's target size within its autoscaler's bounds.
func (p *computePlane) boundByAutoscaler(g *group) {
	a := p.autoscalerOf(g.path)
	if a == nil || a.GetAutoscalingPolicy().GetMode() == "OFF" || g.deletion != "" {
		return
	}
	policy := a.GetAutoscalingPolicy()
	size := max(g.message.GetTargetSize(), policy.GetMinNumReplicas())
	if policy.GetMode() == "ON" {
		size = min(size, policy.GetMaxNumReplicas())
	}
	a.RecommendedSize = proto.Int32(size)
	if size == g.message.GetTargetSize() {
		return
	}
	g.message.TargetSize = proto.Int32(size)
	g.message.Versions[0].TargetSize = &computepb.FixedOrPercent{Calculated: proto.Int32(size)}
	p.tellCapacity(g, "")
}
