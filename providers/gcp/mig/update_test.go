package mig

import (
	"strings"
	"testing"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

// TestNotInPlace: what Compute Engine would roll without looking, or what has no
// way back, is refused.
func TestNotInPlace(t *testing.T) {
	const template = "projects/p/regions/r/instanceTemplates/"
	long := strings.Repeat("a", 50) + "-v001"
	for _, test := range []struct {
		name, says string
		change     func(*computepb.InstanceGroupManager)
	}{
		{"shop-v001", "", func(*computepb.InstanceGroupManager) {}},
		{"shop-v001", "no autohealing health check", func(m *computepb.InstanceGroupManager) { m.AutoHealingPolicies = nil }},
		{"shop-v001", "several versions", func(m *computepb.InstanceGroupManager) {
			m.Versions = []*computepb.InstanceGroupManagerVersion{{}, {}}
		}},
		{"shop-v001", "not made for it", func(m *computepb.InstanceGroupManager) { m.InstanceTemplate = proto.String(template + "other") }},
		{long, "has a name of 55 characters", func(*computepb.InstanceGroupManager) {}},
	} {
		m := &computepb.InstanceGroupManager{InstanceTemplate: proto.String(template + test.name),
			AutoHealingPolicies: []*computepb.InstanceGroupManagerAutoHealingPolicy{{HealthCheck: proto.String("alive")}}}
		test.change(m)
		p := &pieces{name: test.name, manager: m, templates: []*computepb.InstanceTemplate{{SelfLink: proto.String("https://host/" + template + test.name)}}}
		if got := p.notInPlace(); (got == "") != (test.says == "") || !strings.Contains(got, test.says) {
			t.Errorf("%s: %q; want %q", test.name, got, test.says)
		}
	}
}

// TestGroupOfTemplate: templates of updates are the group's, look-alikes are not.
func TestGroupOfTemplate(t *testing.T) {
	for name, want := range map[string]string{
		"shop-v001": "shop-v001", "shop-v001-0a1b2c3d": "shop-v001", "shop-v001-0a1b2c3": "shop-v001-0a1b2c3",
		"shop-v001-next": "shop-v001-next", "shop-0a1b2c3d": "shop-0a1b2c3d", "shop-prod-v001-0a1b2c3d": "shop-prod-v001",
	} {
		if got := groupOfTemplate(name); got != want {
			t.Errorf("%s is of %s; want %s", name, got, want)
		}
	}
}
