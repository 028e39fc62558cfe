package mig

import (
	"cmp"
	"context"
	"strings"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

const (
	// defaultInitialDelay is Spinnaker's usual value in seconds; the API's own
	// default of 0 would repair instances while they boot.
	defaultInitialDelay = 300
	scopePrefix         = "https://www.googleapis.com/auth/"
	// localSSD is the one type of disk that does not outlive its instance.
	localSSD = "local-ssd"
)

// templateResource is the instance template. The image is written as the one that
// its name meant, so that what a group runs does not change under it.
func (n *creation) templateResource(image *computepb.Image) *computepb.InstanceTemplate {
	s := n.settings
	tags := n.tags().with(tagImage, image.GetName()).with(tagImageID, pathOf(image.GetSelfLink()))
	properties := n.source.template(image)
	if s.InstanceType != "" {
		properties.MachineType = proto.String(s.InstanceType)
	}
	for _, key := range sortedKeys(s.Labels) {
		if properties.Labels == nil {
			properties.Labels = map[string]string{}
		}
		properties.Labels[key] = s.Labels[key]
	}
	if n.source == nil || len(s.Disks) > 0 {
		properties.Disks = s.disks(image)
	}
	if n.source == nil || s.Network != "" || s.Subnet != "" || s.AssociatePublicIP != nil {
		properties.NetworkInterfaces = []*computepb.NetworkInterface{n.networkInterface()}
	}
	if schedule := s.schedule(); schedule != nil {
		properties.Scheduling = schedule
	}
	if len(s.Tags) > 0 {
		properties.Tags = &computepb.Tags{Items: s.Tags}
	}
	setMetadata(properties, s.InstanceMetadata)
	if s.ServiceAccountEmail != "" || len(s.AuthScopes) > 0 {
		account := &computepb.ServiceAccount{Email: proto.String(cmp.Or(s.ServiceAccountEmail, "default"))}
		for _, scope := range s.AuthScopes {
			account.Scopes = append(account.Scopes, scopePrefix+strings.TrimPrefix(scope, scopePrefix))
		}
		if len(account.Scopes) == 0 {
			account.Scopes = []string{scopePrefix + "cloud-platform"} // what the account may do is decided by its roles
		}
		properties.ServiceAccounts = []*computepb.ServiceAccount{account}
	}
	return &computepb.InstanceTemplate{
		Name: proto.String(n.change.Group), Description: proto.String(tags.description()), Properties: properties,
	}
}

// disks are the boot disk and the others.
func (s settings) disks(image *computepb.Image) []*computepb.AttachedDisk {
	wanted := s.Disks
	if len(wanted) == 0 {
		wanted = []disk{{}}
	}
	var out []*computepb.AttachedDisk
	for i, d := range wanted {
		from := &computepb.AttachedDiskInitializeParams{}
		if i == 0 {
			from.SourceImage = proto.String(pathOf(image.GetSelfLink()))
		} else if d.SourceImage != "" {
			from.SourceImage = proto.String(d.SourceImage)
		}
		if d.Type != "" {
			from.DiskType = proto.String(d.Type)
		}
		if d.SizeGB > 0 {
			from.DiskSizeGb = proto.Int64(d.SizeGB)
		}
		kind := "PERSISTENT"
		if d.Type == localSSD {
			kind = "SCRATCH"
		}
		out = append(out, &computepb.AttachedDisk{
			Boot: proto.Bool(i == 0), AutoDelete: proto.Bool(true), Type: proto.String(kind), InitializeParams: from,
		})
	}
	return out
}

// networkInterface has an address that the internet reaches unless the stage says
// otherwise, as in Spinnaker.
func (n *creation) networkInterface() *computepb.NetworkInterface {
	s := n.settings
	out := &computepb.NetworkInterface{}
	if s.Subnet != "" {
		out.Subnetwork = proto.String(n.subnetPath(s.Subnet))
	} else {
		out.Network = proto.String(n.networkPath(cmp.Or(s.Network, "default")))
	}
	if s.AssociatePublicIP == nil || *s.AssociatePublicIP {
		out.AccessConfigs = []*computepb.AccessConfig{{Name: proto.String("External NAT"), Type: proto.String("ONE_TO_ONE_NAT")}}
	}
	return out
}

// schedule is nil where nothing differs from Compute Engine's defaults.
func (s settings) schedule() *computepb.Scheduling {
	if !s.Preemptible && s.AutomaticRestart == nil && s.OnHostMaintenance == "" {
		return nil
	}
	out := &computepb.Scheduling{AutomaticRestart: s.AutomaticRestart}
	if s.OnHostMaintenance != "" {
		out.OnHostMaintenance = proto.String(s.OnHostMaintenance)
	}
	if s.Preemptible {
		out.Preemptible, out.AutomaticRestart, out.OnHostMaintenance = proto.Bool(true), proto.Bool(false), proto.String("TERMINATE")
	}
	return out
}

// baseName is what the names of a group's instances begin with: the group's name
// within the 58 characters that leave room for their own five, the number kept.
func baseName(group string) string {
	const most, number = 58, len("-v000")
	if len(group) <= most {
		return group
	}
	return group[:most-number] + group[len(group)-number:]
}

// managerResource is the managed instance group. Its named ports are the stage's,
// else the source's, else those of the group that serves now.
func (n *creation) managerResource(ctx context.Context) (*computepb.InstanceGroupManager, error) {
	s := n.settings
	made := tagsIn(n.pieces.template.GetDescription())
	out := &computepb.InstanceGroupManager{
		Name: proto.String(n.change.Group), BaseInstanceName: proto.String(baseName(n.change.Group)), TargetSize: proto.Int32(int32(n.change.Capacity.Desired)),
		InstanceTemplate: proto.String(n.pieces.template.GetSelfLink()),
		Description:      proto.String(n.tags().with(tagImage, made[tagImage]).with(tagImageID, made[tagImageID]).description()),
	}
	n.source.fill(out)
	if zones := s.zones(n.region); len(zones) > 0 {
		out.DistributionPolicy = &computepb.DistributionPolicy{}
		for _, zone := range zones {
			out.DistributionPolicy.Zones = append(out.DistributionPolicy.Zones, &computepb.DistributionPolicyZoneConfiguration{
				Zone: proto.String("projects/" + n.project + "/zones/" + zone),
			})
		}
	}
	if p := s.AutoHealingPolicy; p != nil {
		delay := int32(defaultInitialDelay)
		if p.InitialDelaySec != nil {
			delay = *p.InitialDelaySec
		}
		out.AutoHealingPolicies = []*computepb.InstanceGroupManagerAutoHealingPolicy{{
			HealthCheck: proto.String(n.healthCheckPath(p.HealthCheck)), InitialDelaySec: proto.Int32(delay),
		}}
	}
	if len(s.ports()) > 0 {
		out.NamedPorts = nil
	}
	for _, port := range s.ports() {
		out.NamedPorts = append(out.NamedPorts, &computepb.NamedPort{Name: proto.String(port.Name), Port: proto.Int32(port.Port)})
	}
	if len(out.NamedPorts) > 0 || s.balancer() == "" {
		return out, nil
	}
	out.NamedPorts = []*computepb.NamedPort{{Name: proto.String(cmp.Or(s.portName(), defaultPort)), Port: proto.Int32(80)}}
	found, err := n.look(ctx)
	if err != nil {
		return nil, err
	}
	if serving := found.serving(); serving != nil && len(serving.manager.GetNamedPorts()) > 0 {
		out.NamedPorts = serving.manager.GetNamedPorts()
	}
	return out, nil
}

// resource is the policy without mode and bounds.
func (p *autoscalingPolicy) resource() *computepb.AutoscalingPolicy {
	out := &computepb.AutoscalingPolicy{CoolDownPeriodSec: p.CoolDownPeriodSec}
	if p.CPUUtilization != nil {
		out.CpuUtilization = &computepb.AutoscalingPolicyCpuUtilization{UtilizationTarget: proto.Float64(p.CPUUtilization.Target)}
	}
	if p.LoadBalancingUtilization != nil {
		out.LoadBalancingUtilization = &computepb.AutoscalingPolicyLoadBalancingUtilization{UtilizationTarget: proto.Float64(p.LoadBalancingUtilization.Target)}
	}
	for _, m := range p.CustomMetricUtilizations {
		custom := &computepb.AutoscalingPolicyCustomMetricUtilization{Metric: proto.String(m.Metric), UtilizationTarget: proto.Float64(m.Target)}
		if m.TargetType != "" {
			custom.UtilizationTargetType = proto.String(m.TargetType)
		}
		out.CustomMetricUtilizations = append(out.CustomMetricUtilizations, custom)
	}
	if out.CpuUtilization == nil && out.LoadBalancingUtilization == nil && len(out.CustomMetricUtilizations) == 0 {
		out.CpuUtilization = &computepb.AutoscalingPolicyCpuUtilization{UtilizationTarget: proto.Float64(defaultCPU)}
	}
	return out
}
