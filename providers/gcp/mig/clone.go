package mig

import (
	"cmp"
	"context"
	"slices"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/delivery"
)

// source is a server group that another one is made like. What it holds, the
// metadata of its instances above all, goes into requests and nowhere else.
type source struct {
	*pieces
	properties *computepb.InstanceProperties
	// image is the boot image, as a name or a URL.
	image string
}

// source reads the named server group; nil without a name. Findings tell why it
// cannot be copied.
func (t *Target) source(ctx context.Context, name string) (*source, []delivery.Finding, error) {
	if name == "" {
		return nil, nil, nil
	}
	p, err := t.piecesOf(ctx, name)
	switch {
	case err != nil:
		return nil, nil, err
	case p.manager == nil:
		return nil, finding(delivery.AtSource, "no managed instance group %q in %s", name, t.region), nil
	case len(p.manager.GetVersions()) > 1:
		return nil, finding(delivery.AtSource, "managed instance group %s runs %d versions; only one with a single template can be copied", name, len(p.manager.GetVersions())), nil
	}
	template, err := t.templateOf(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	s := &source{pieces: p, properties: template.GetProperties(), image: cmp.Or(tagsIn(template.GetDescription())[tagImageID], bootImage(template))}
	if s.properties == nil || s.image == "" {
		return nil, finding(delivery.AtSource, "the instance template of %s is gone, or has no boot image", name), nil
	}
	return s, nil, nil
}

// template is what a new instance template begins with: the source's, without what
// Compute Engine writes into its answers, and with the image on its boot disk.
func (s *source) template(image *computepb.Image) *computepb.InstanceProperties {
	if s == nil {
		return &computepb.InstanceProperties{}
	}
	out := proto.CloneOf(s.properties)
	for _, d := range out.GetDisks() {
		d.Kind, d.Index, d.Licenses = nil, nil, nil
		if d.GetBoot() {
			d.InitializeParams.SourceImage = proto.String(pathOf(image.GetSelfLink()))
		}
	}
	for _, n := range out.GetNetworkInterfaces() {
		n.Kind, n.Name, n.Fingerprint = nil, nil, nil
		for _, a := range n.GetAccessConfigs() {
			a.Kind = nil
		}
	}
	if out.Metadata != nil {
		out.Metadata.Kind, out.Metadata.Fingerprint = nil, nil
	}
	if out.Tags != nil {
		out.Tags.Fingerprint = nil
	}
	return out
}

// fill gives a group what the source's has and no spec can say otherwise, and what
// a spec may.
func (s *source) fill(out *computepb.InstanceGroupManager) {
	if s == nil {
		return
	}
	m := s.manager
	out.DistributionPolicy, out.UpdatePolicy, out.InstanceLifecyclePolicy = m.DistributionPolicy, m.UpdatePolicy, m.InstanceLifecyclePolicy
	out.AutoHealingPolicies, out.InstanceFlexibilityPolicy = m.AutoHealingPolicies, m.InstanceFlexibilityPolicy
	out.NamedPorts = m.NamedPorts
}

// policy is that of the source's autoscaler; nil for none.
func (s *source) policy() *computepb.AutoscalingPolicy {
	if s == nil || s.autoscaler == nil {
		return nil
	}
	return proto.CloneOf(s.autoscaler.GetAutoscalingPolicy())
}

// mode is the mode that the source's autoscaler works in while it is not pinned.
func (s *source) mode() string {
	if mode := tagsIn(s.manager.GetDescription())[tagAutoscaling]; mode != "" {
		return mode
	}
	if mode := s.policy().GetMode(); mode != "" && mode != modeOff {
		return mode
	}
	return modeOn
}

// imageOfSpec finds the image that the spec names, else the source's.
func (t *Target) imageOfSpec(ctx context.Context, s settings, from *source) (*computepb.Image, []delivery.Finding, error) {
	if s.Image != "" || from == nil {
		return t.resolveImage(ctx, s.Image)
	}
	image, findings, err := t.resolveImage(ctx, from.image)
	for i := range findings {
		findings[i].Pointer = delivery.AtSource
	}
	return image, findings, err
}

// readSource reads what the group is made like, unless everything is there that is
// made from it: the source may be gone by then.
func (n *creation) readSource(ctx context.Context) error {
	p := n.pieces
	autoscaled := tagsIn(p.manager.GetDescription())[tagAutoscaling] == "" || p.autoscaler != nil
	if p.template != nil && p.manager != nil && autoscaled && (n.settings.balancer() == "" || len(p.services) > 0) {
		return nil
	}
	var findings []delivery.Finding
	var err error
	if n.source, findings, err = n.Target.source(ctx, n.settings.from); err != nil {
		return err
	}
	return delivery.InvalidError("server group "+n.change.Group, findings)
}

// policy is the autoscaler's: the stage's, else the source's; nil for none.
func (n *creation) policy() *computepb.AutoscalingPolicy {
	if n.settings.AutoscalingPolicy != nil {
		return n.settings.AutoscalingPolicy.resource()
	}
	return n.source.policy()
}

// mode is the mode of the autoscaler while the group is not pinned; empty for a
// group without one.
func (n *creation) mode() string {
	switch {
	case n.settings.AutoscalingPolicy != nil:
		return n.settings.AutoscalingPolicy.mode()
	case n.source.policy() != nil:
		return n.source.mode()
	default:
		return ""
	}
}

// model is the backend service that the new one is made like: the source's, else
// the one that serves; nil for none.
func (n *creation) model(p place) *computepb.BackendService {
	if n.source == nil {
		return n.survey.model(p)
	}
	if known := n.survey.groups[n.source.name]; known != nil && len(known.services) > 0 {
		return known.services[0] // it may have another name than the group
	}
	if len(n.source.services) > 0 {
		return n.source.services[0]
	}
	return n.survey.model(p)
}

// setMetadata gives instances the values, beside those that are there.
func setMetadata(properties *computepb.InstanceProperties, values map[string]string) {
	if len(values) == 0 {
		return
	}
	if properties.Metadata == nil {
		properties.Metadata = &computepb.Metadata{}
	}
	items := slices.DeleteFunc(properties.Metadata.Items, func(i *computepb.Items) bool { _, given := values[i.GetKey()]; return given })
	for _, key := range sortedKeys(values) {
		items = append(items, &computepb.Items{Key: proto.String(key), Value: proto.String(values[key])})
	}
	properties.Metadata.Items = items
}

// like is the group whose named ports the new one gets where the stage gives none:
// the source, else the one that serves; nil for none.
func (n *creation) like() *pieces {
	if n.source != nil {
		return n.source.pieces
	}
	return n.survey.serving()
}
