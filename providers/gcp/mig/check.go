package mig

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

var (
	// validName is what names of Compute Engine's resources must match (RFC 1035
	// labels; API reference, the field name of every resource).
	validName = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)
	// validType is a machine type's name: "e2-small", "custom-4-3072".
	validType = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)+$`)
	// validLabel is a key of a label; values may be empty and begin with anything.
	validLabel = regexp.MustCompile(`^[a-z][-_a-z0-9]{0,62}$`)
	validValue = regexp.MustCompile(`^[-_a-z0-9]{0,63}$`)
	// validResource is a name, or a full or partial URL that ends in one.
	validResource = regexp.MustCompile(`^(https://[^ ]+/|[a-z][-A-Za-z0-9:./]*/)?[a-z]([-a-z0-9.]*[a-z0-9])?$`)
)

// review collects findings.
type review struct {
	settings
	region   string
	findings []delivery.Finding
}

func (r *review) refuse(pointer, format string, args ...any) {
	r.findings = append(r.findings, delivery.Finding{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
}

// check returns what is wrong without asking Compute Engine.
func (s settings) check(cluster delivery.Cluster) []delivery.Finding {
	r := &review{settings: s, region: cluster.Region}
	// The number at the end has three digits always.
	if name := cluster.Moniker.ServerGroup(0); !validName.MatchString(name) {
		r.refuse("", "server group names such as %s are refused by Compute Engine: 63 characters at most, lower-case letters, digits and dashes, a letter first", name)
	}
	if s.from != "" && !validName.MatchString(s.from) {
		r.refuse(delivery.AtSource, "%q is not the name of a managed instance group", s.from)
	}
	if s.Image == "" {
		if s.from == "" {
			r.refuse("/image", "is missing: which image shall run?")
		}
	} else if _, err := parseImage(s.Image, ""); err != nil {
		r.refuse("/image", "%v", err)
	}
	r.place()
	r.machine()
	r.router()
	r.scaling()
	r.numbers()
	return r.findings
}

// place checks where the instances are to be.
func (r *review) place() {
	if r.Regional != nil && !*r.Regional {
		r.refuse("/regional", "is false; server groups of a single zone are not supported, since their load balancer is global")
	}
	if _, ok := r.AvailabilityZones[r.region]; !ok && len(r.AvailabilityZones) > 0 {
		r.refuse("/availabilityZones", "has no zones of region %s", r.region)
	}
	for i, zone := range r.zones(r.region) {
		if !strings.HasPrefix(zone, r.region+"-") {
			r.refuse(fmt.Sprintf("%s/%d", r.atZones(r.region), i), "%q is no zone of region %s", zone, r.region)
		}
	}
}

// machine checks what an instance is.
func (r *review) machine() {
	if r.InstanceType == "" {
		if r.from == "" {
			r.refuse("/instanceType", "is missing")
		}
	} else if !validType.MatchString(r.InstanceType) {
		r.refuse("/instanceType", "%q is no machine type, such as e2-small", r.InstanceType)
	}
	for i, tag := range r.Tags {
		if !validName.MatchString(tag) {
			r.refuse(fmt.Sprintf("/tags/%d", i), "%q is no network tag: lower-case letters, digits and dashes, a letter first", tag)
		}
	}
	for _, key := range sortedKeys(r.Labels) {
		if !validLabel.MatchString(key) || !validValue.MatchString(r.Labels[key]) {
			r.refuse("/labels/"+delivery.PointerToken(key), "%q=%q is no label: lower-case letters, digits, dashes and underscores, a letter first", key, r.Labels[key])
		}
	}
	for i, d := range r.Disks {
		if i > 0 && d.SizeGB == 0 && d.SourceImage == "" && d.Type != localSSD {
			r.refuse(fmt.Sprintf("/disks/%d/sizeGb", i), "is missing for a blank disk")
		}
		if i == 0 && d.Type == localSSD {
			r.refuse("/disks/0/type", "is local-ssd, from which no instance boots")
		}
	}
	if !slices.Contains([]string{"", "MIGRATE", "TERMINATE"}, r.OnHostMaintenance) {
		r.refuse("/onHostMaintenance", "is %q; want MIGRATE or TERMINATE", r.OnHostMaintenance)
	}
	if r.Preemptible && r.AutomaticRestart != nil && *r.AutomaticRestart {
		r.refuse("/automaticRestart", "is true; preemptible instances are not restarted")
	}
	if r.Preemptible && r.OnHostMaintenance == "MIGRATE" {
		r.refuse("/onHostMaintenance", "is MIGRATE; preemptible instances are not migrated")
	}
}

// router checks what leads requests to the group.
func (r *review) router() {
	if len(r.BackendServices) > 0 && !slices.Contains([]string{"null", "[]", "{}"}, string(r.BackendServices)) {
		r.refuse("/backendServices", "cannot be used: every server group gets a backend service of its own; name the URL map in loadBalancers")
	}
	if len(r.LoadBalancers) > 1 {
		r.refuse("/loadBalancers", "names %d load balancers; a cluster has one", len(r.LoadBalancers))
	}
	if name := r.balancer(); name != "" && !validName.MatchString(name) {
		r.refuse("/loadBalancers/0", "%q is not the name of a URL map", name)
	}
	for _, ref := range []struct{ pointer, value string }{
		{"/network", r.Network}, {"/subnet", r.Subnet}, {"/healthCheck", r.HealthCheck}, {"/autoHealingPolicy/healthCheck", r.healing()},
	} {
		if ref.value != "" && !validResource.MatchString(ref.value) {
			r.refuse(ref.pointer, "%q is neither a name nor a URL", ref.value)
		}
	}
	if r.AutoHealingPolicy != nil && r.AutoHealingPolicy.HealthCheck == "" {
		r.refuse("/autoHealingPolicy/healthCheck", "is missing: by what is an instance to be judged?")
	}
	names := map[string]bool{}
	for i, port := range r.ports() {
		if !validName.MatchString(port.Name) {
			r.refuse(fmt.Sprintf("/loadBalancingPolicy/namedPorts/%d/name", i), "%q is not the name of a port", port.Name)
		}
		if port.Port < 1 || port.Port > 65535 {
			r.refuse(fmt.Sprintf("/loadBalancingPolicy/namedPorts/%d/port", i), "is %d; want 1 to 65535", port.Port)
		}
		names[port.Name] = true
	}
	if r.PortName != "" && len(names) > 0 && !names[r.PortName] {
		r.refuse("/portName", "%q is none of the named ports", r.PortName)
	}
}

// healing is the health check that repairs are decided by; empty for none.
func (s settings) healing() string {
	if s.AutoHealingPolicy == nil {
		return ""
	}
	return s.AutoHealingPolicy.HealthCheck
}

// scaling checks the autoscaling and the balancing policy.
func (r *review) scaling() {
	if p := r.LoadBalancingPolicy; p != nil && !slices.Contains([]string{"", "RATE", "UTILIZATION"}, p.BalancingMode) {
		r.refuse("/loadBalancingPolicy/balancingMode", "is %q; want RATE or UTILIZATION", p.BalancingMode)
	}
	if p := r.LoadBalancingPolicy; p != nil && p.BalancingMode == "RATE" && p.MaxRatePerInstance == nil {
		r.refuse("/loadBalancingPolicy/maxRatePerInstance", "is missing; balancing by rate needs it")
	}
	p := r.AutoscalingPolicy
	if p == nil {
		return
	}
	if !slices.Contains([]string{modeOn, modeScaleOut}, p.mode()) {
		r.refuse("/autoscalingPolicy/mode", "is %q; want ON or ONLY_SCALE_OUT, or no autoscalingPolicy", p.Mode)
	}
	for _, u := range []struct {
		pointer string
		value   *utilization
	}{{"cpuUtilization", p.CPUUtilization}, {"loadBalancingUtilization", p.LoadBalancingUtilization}} {
		if u.value != nil && (u.value.Target <= 0 || u.value.Target > 1) {
			r.refuse("/autoscalingPolicy/"+u.pointer+"/utilizationTarget", "is %v; want more than 0, at most 1", u.value.Target)
		}
	}
	for i, m := range p.CustomMetricUtilizations {
		if m.Metric == "" {
			r.refuse(fmt.Sprintf("/autoscalingPolicy/customMetricUtilizations/%d/metric", i), "is missing")
		}
	}
}

// numbers holds the numbers within what Compute Engine allows (API reference of
// backendServices, instanceGroupManagers and autoscalers). Absent ones are fine.
func (r *review) numbers() {
	check := func(pointer string, value *int32, low, high int32) {
		if value != nil && (*value < low || *value > high) {
			r.refuse(pointer, "is %d; want %d to %d", *value, low, high)
		}
	}
	check("/connectionDrainingTimeoutSec", r.DrainingTimeoutSec, 0, 3600)
	if p := r.AutoHealingPolicy; p != nil {
		check("/autoHealingPolicy/initialDelaySec", p.InitialDelaySec, 0, 3600)
	}
	if p := r.AutoscalingPolicy; p != nil {
		check("/autoscalingPolicy/coolDownPeriodSec", p.CoolDownPeriodSec, 0, 3600)
	}
	for i, d := range r.Disks {
		if d.SizeGB < 0 || d.SizeGB > 65536 {
			r.refuse(fmt.Sprintf("/disks/%d/sizeGb", i), "is %d; want 1 to 65536", d.SizeGB)
		}
	}
	p := r.LoadBalancingPolicy
	if p == nil {
		return
	}
	share := func(name string, value *float32, low float32) {
		if value != nil && *value != 0 && (*value < low || *value > 1) {
			r.refuse("/loadBalancingPolicy/"+name, "is %v; want %v to 1", *value, low)
		}
	}
	share("maxUtilization", p.MaxUtilization, 0.01)
	// Nothing between 0 and 0.1, says the API reference. 0 would drain the group.
	share("capacityScaler", p.CapacityScaler, 0.1)
	if p.CapacityScaler != nil && *p.CapacityScaler == 0 {
		r.refuse("/loadBalancingPolicy/capacityScaler", "is 0; the only backend of a backend service cannot be drained")
	}
}
