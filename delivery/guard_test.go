package delivery_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
)

// group returns a managed server group with capacity for n instances of which
// some are healthy.
func group(name string, n, healthy int) delivery.ServerGroup {
	g := delivery.ServerGroup{Name: name, Capacity: delivery.Pinned(n), HealthSources: []string{"TargetGroup"}, Managed: true, Complete: true}
	for i := range n {
		state := delivery.HealthDown
		if i < healthy {
			state = delivery.HealthUp
		}
		g.Instances = append(g.Instances, delivery.Instance{ID: fmt.Sprintf("%s-%d", name, i),
			Health: []delivery.Health{{Source: "TargetGroup", State: state}}})
	}
	return g
}

func routed(weights ...delivery.Weight) *delivery.Routing {
	return &delivery.Routing{LoadBalancer: "storefront", Weights: weights}
}

func TestGuard(t *testing.T) {
	foreign := group("a-v000", 2, 2)
	foreign.Managed = false
	old, fresh, sick := group("a-v000", 2, 2), group("a-v001", 2, 1), group("a-v001", 2, 0)
	weight := func(a, b int) []delivery.Weight {
		return []delivery.Weight{{ServerGroup: "a-v000", Percent: a}, {ServerGroup: "a-v001", Percent: b}}
	}
	resize := func(name string, n int) delivery.Change {
		c := delivery.Pinned(n)
		return delivery.Change{Kind: delivery.ResizeGroup, Group: name, Capacity: &c}
	}
	destroy := func(name string) delivery.Change { return delivery.Change{Kind: delivery.DestroyGroup, Group: name} }
	routing := func(weights ...delivery.Weight) delivery.Change {
		return delivery.Change{Kind: delivery.SetRouting, Weights: weights}
	}
	list := func(groups ...delivery.ServerGroup) []delivery.ServerGroup { return groups }
	tests := map[string]struct {
		groups  []delivery.ServerGroup
		routing *delivery.Routing
		change  delivery.Change
		want    string // what the refusal says; empty when the change is let through
	}{
		"create":                      {list(), nil, delivery.Change{Kind: delivery.CreateGroup, Group: "a-v000"}, ""},
		"unknown kind":                {list(), nil, delivery.Change{Kind: "explode"}, `unknown change "explode"`},
		"resize of serving to 0":      {list(old, fresh), routed(weight(100, 0)...), resize("a-v000", 0), "resize of a-v000 to 0 refused: it takes 100 % of the traffic of storefront"},
		"resize of serving to 1":      {list(old, fresh), routed(weight(100, 0)...), resize("a-v000", 1), ""},
		"resize of idle to 0":         {list(old, fresh), routed(weight(0, 100)...), resize("a-v000", 0), ""},
		"resize of absent to 0":       {list(old), nil, resize("a-v009", 0), ""},
		"unrouted, last healthy to 0": {list(old, sick), nil, resize("a-v000", 0), "resize of a-v000 to 0 refused: it takes the cluster's last healthy capacity"},
		"unrouted, others healthy":    {list(old, fresh), nil, resize("a-v000", 0), ""},
		"destroy of foreign":          {list(foreign), routed(weight(0, 100)...), destroy("a-v000"), "destroy of a-v000 refused: it carries no ownership tag of Slipway"},
		"destroy of serving":          {list(old, fresh), routed(weight(1, 99)...), destroy("a-v000"), "destroy of a-v000 refused: it takes 1 % of the traffic of storefront"},
		"destroy of idle":             {list(old, fresh), routed(weight(0, 100)...), destroy("a-v000"), ""},
		"destroy of absent":           {list(), nil, destroy("a-v000"), ""},
		"unrouted, destroy of last":   {list(old, sick), nil, destroy("a-v000"), "last healthy capacity"},
		"unrouted, destroy of sick":   {list(old, sick), nil, destroy("a-v001"), ""},
		"update of foreign":           {list(foreign), nil, delivery.Change{Kind: delivery.UpdateGroup, Group: "a-v000"}, "updateServerGroup of a-v000 refused: it carries no ownership tag of Slipway"},
		"prune of foreign":            {list(foreign), nil, delivery.Change{Kind: delivery.PruneGroup, Group: "a-v000"}, "pruneServerGroup of a-v000 refused"},
		"update of serving":           {list(old), routed(weight(100, 0)...), delivery.Change{Kind: delivery.UpdateGroup, Group: "a-v000"}, ""},
		"weights to healthy":          {list(old, fresh), routed(weight(100, 0)...), routing(weight(50, 50)...), ""},
		"weights to sick":             {list(old, sick), routed(weight(100, 0)...), routing(weight(50, 50)...), "weight 50 % for a-v001 refused: it has no healthy instance"},
		"weights away from sick":      {list(old, sick), routed(weight(40, 60)...), routing(weight(100, 0)...), ""},
		"weights to absent":           {list(old), routed(weight(100, 0)...), routing(weight(99, 1)...), "weight 1 % for a-v001 refused"},
		"weights below 100":           {list(old, fresh), routed(weight(100, 0)...), routing(weight(50, 49)...), "weights add up to 99, not 100"},
		"negative weight":             {list(old, fresh), routed(weight(100, 0)...), routing(weight(-1, 101)...), "weight -1 of a-v000 is outside 0 to 100"},
		"no weights":                  {list(old, fresh), routed(weight(100, 0)...), routing(), "weights add up to 0, not 100"},
		"a group twice": {list(old, sick), routed(weight(50, 50)...),
			routing(delivery.Weight{ServerGroup: "a-v001", Percent: 50}, delivery.Weight{ServerGroup: "a-v001", Percent: 50}), "weights name a-v001 twice"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := delivery.Guard(delivery.Snapshot{Groups: tt.groups, Routing: tt.routing}, tt.change)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error is %v, want %s", err, tt.want)
			case err != nil && delivery.KindOf(err) != delivery.Guarded && delivery.KindOf(err) != delivery.Invalid:
				t.Errorf("kind is %s", delivery.KindOf(err))
			}
		})
	}
}

// served counts the healthy instances that traffic reaches.
func served(s delivery.Snapshot) int {
	n := 0
	for _, g := range s.Groups {
		if s.Routing == nil || s.Routing.Percent(g.Name) > 0 {
			n += g.Healthy()
		}
	}
	return n
}

// carryOut returns the snapshot after the change, at its worst: what is added is
// not healthy yet.
func carryOut(s delivery.Snapshot, c delivery.Change) delivery.Snapshot {
	out := delivery.Snapshot{Routing: s.Routing}
	for _, g := range s.Groups {
		switch {
		case c.Kind == delivery.DestroyGroup && g.Name == c.Group:
		case c.Kind == delivery.ResizeGroup && g.Name == c.Group && c.Capacity.Desired == 0:
			g.Instances = nil
			out.Groups = append(out.Groups, g)
		default:
			out.Groups = append(out.Groups, g)
		}
	}
	if c.Kind == delivery.SetRouting {
		out.Routing = routed(c.Weights...)
	}
	return out
}

func drawWeights(t *rapid.T, names []string, label string) []delivery.Weight {
	a := rapid.IntRange(0, 100).Draw(t, label)
	b := rapid.IntRange(0, 100-a).Draw(t, label)
	picked := func(i int) string { return names[(i+rapid.IntRange(0, 1).Draw(t, label))%len(names)] }
	return []delivery.Weight{{ServerGroup: picked(0), Percent: a}, {ServerGroup: picked(1), Percent: b}, {ServerGroup: picked(2), Percent: 100 - a - b}}
}

// Whatever the guard lets through leaves a cluster that serves, serving.
func TestGuardKeepsServing(t *testing.T) {
	names := []string{"a-v000", "a-v001", "a-v002"}
	rapid.Check(t, func(t *rapid.T) {
		var seen delivery.Snapshot
		for _, name := range names {
			n := rapid.IntRange(0, 2).Draw(t, "instances")
			g := group(name, n, rapid.IntRange(0, n).Draw(t, "healthy"))
			g.Managed = rapid.Bool().Draw(t, "managed")
			seen.Groups = append(seen.Groups, g)
		}
		if rapid.Bool().Draw(t, "routed") {
			before := drawWeights(t, names, "before")
			seen.Routing = routed()
			for _, name := range names {
				total := 0
				for _, w := range before {
					if w.ServerGroup == name {
						total += w.Percent
					}
				}
				seen.Routing.Weights = append(seen.Routing.Weights, delivery.Weight{ServerGroup: name, Percent: total})
			}
		}
		capacity := delivery.Pinned(rapid.IntRange(0, 1).Draw(t, "size"))
		change := delivery.Change{Kind: rapid.SampledFrom([]delivery.ChangeKind{delivery.ResizeGroup, delivery.SetRouting, delivery.DestroyGroup}).Draw(t, "kind"),
			Group: rapid.SampledFrom(names).Draw(t, "group"), Capacity: &capacity}
		if change.Kind == delivery.SetRouting {
			if seen.Routing == nil {
				return
			}
			change.Weights = drawWeights(t, names, "after")
		}
		if err := delivery.Guard(seen, change); err != nil {
			return
		}
		if served(seen) > 0 && served(carryOut(seen, change)) == 0 {
			t.Fatalf("%s was let through and leaves nothing that serves, of %+v", change, seen)
		}
	})
}

// A deletion that began is carried to its end, although nothing else is healthy by then.
func TestGuardLetsABegunDeletionEnd(t *testing.T) {
	deleting := group("a-v000", 1, 1)
	deleting.Managed, deleting.Deleting = true, true
	c := delivery.Change{Kind: delivery.DestroyGroup, Group: "a-v000"}
	if err := delivery.Guard(delivery.Snapshot{Groups: []delivery.ServerGroup{deleting}}, c); err != nil {
		t.Error(err)
	}
	routing := routed(delivery.Weight{ServerGroup: "a-v000", Percent: 100})
	if err := delivery.Guard(delivery.Snapshot{Groups: []delivery.ServerGroup{deleting}, Routing: routing}, c); delivery.KindOf(err) != delivery.Guarded {
		t.Errorf("with weight: %v", err)
	}
}
