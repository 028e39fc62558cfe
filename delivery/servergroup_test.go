package delivery_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
)

func TestCapacityValidate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := delivery.Capacity{Min: rapid.IntRange(-2, 5).Draw(t, "min"), Max: rapid.IntRange(-2, 5).Draw(t, "max"),
			Desired: rapid.IntRange(-2, 5).Draw(t, "desired")}
		good := 0 <= c.Min && c.Min <= c.Desired && c.Desired <= c.Max
		findings := c.Validate()
		if good != (len(findings) == 0) {
			t.Fatalf("%+v: %v", c, findings)
		}
		for _, f := range findings {
			if f.Pointer != "/min" && f.Pointer != "/max" && f.Pointer != "/desired" {
				t.Fatalf("finding names %s", f.Pointer)
			}
		}
	})
	if got := delivery.Pinned(3); got != (delivery.Capacity{Min: 3, Max: 3, Desired: 3}) {
		t.Errorf("Pinned(3) = %+v", got)
	}
}

// instance returns one with the given words of the sources Amazon and TargetGroup.
func instance(amazon, targetGroup delivery.HealthState) delivery.Instance {
	return delivery.Instance{Health: []delivery.Health{
		{Source: "Amazon", State: amazon}, {Source: "TargetGroup", State: targetGroup}}}
}

func TestInstanceHealthy(t *testing.T) {
	both := []string{"Amazon", "TargetGroup"}
	up := delivery.HealthUp
	tests := map[string]struct {
		instance delivery.Instance
		sources  []string
		want     bool
	}{
		"all up":                   {instance(up, up), both, true},
		"one starting":             {instance(up, delivery.HealthStarting), both, false},
		"one draining":             {instance(up, delivery.HealthDraining), both, false},
		"one unknown":              {instance(up, delivery.HealthUnknown), both, false},
		"one silent":               {delivery.Instance{Health: []delivery.Health{{Source: "Amazon", State: up}}}, both, false},
		"the other does not count": {instance(up, delivery.HealthDown), []string{"Amazon"}, true},
		"nobody says anything":     {delivery.Instance{}, both, false},
		"nobody is asked":          {instance(up, up), nil, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.instance.Healthy(tt.sources); got != tt.want {
				t.Errorf("healthy is %v", got)
			}
			group := delivery.ServerGroup{HealthSources: tt.sources, Instances: []delivery.Instance{tt.instance, {}, tt.instance}}
			want := 0
			if tt.want {
				want = 2
			}
			if got := group.Healthy(); got != want {
				t.Errorf("the group has %d healthy, want %d", got, want)
			}
		})
	}
}

func TestServing(t *testing.T) {
	groups := []delivery.ServerGroup{
		{Name: "a-v000", Capacity: delivery.Pinned(0)},
		{Name: "a-v001", Capacity: delivery.Pinned(1)},
	}
	tests := map[string]struct {
		snapshot delivery.Snapshot
		want     map[string]bool
	}{
		"behind no router": {delivery.Snapshot{Groups: groups}, map[string]bool{"a-v000": false, "a-v001": true, "a-v002": false}},
		"by weight": {delivery.Snapshot{Groups: groups, Routing: &delivery.Routing{Weights: []delivery.Weight{
			{ServerGroup: "a-v000", Percent: 100}, {ServerGroup: "a-v001", Percent: 0}}}},
			map[string]bool{"a-v000": true, "a-v001": false, "a-v002": false}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for group, want := range tt.want {
				if got := tt.snapshot.Serving(group); got != want {
					t.Errorf("serving of %s is %v", group, got)
				}
			}
		})
	}
}

func TestSnapshotGroup(t *testing.T) {
	s := delivery.Snapshot{Groups: []delivery.ServerGroup{{Name: "a-v000"}, {Name: "a-v001", Sequence: 1}}}
	if g := s.Group("a-v001"); g == nil || g.Sequence != 1 {
		t.Errorf("group is %v", g)
	}
	if g := s.Group("a-v002"); g != nil {
		t.Errorf("an unknown group is %v", g)
	}
}
